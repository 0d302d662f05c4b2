"""A theory held against curves whose deviations from it are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from meanfield import FileError, ParameterError, Start, Theory, predict
from meanfield.attention.typical import draw
from meanfield.compare import comparison
from meanfield.compare.comparison import (
    as_trained,
    compare,
    compared,
    obstacle,
    predictions,
    quantities,
    starts_of,
)
from meanfield.predict.many import predict_many
from meanfield.runs.measured import CURVES
from meanfield.theory import LADDER
from tests.meanfield.compare.example_measured import EPOCH, STARTS, P, measured_like


def test_what_follows_the_theory_deviates_nowhere() -> None:
    against = compare(measured_like(), "linear")
    for each in against.deviations.values():
        assert each.largest_seed.value < 1e-9
        assert each.largest_mean.value < 1e-9
    for each in against.lateness.values():
        assert each.seed is not None
        assert each.seed.seeds == 3
        assert abs(each.seed.value) < 1e-9
        assert abs(each.mean.value) < 1e-9


def test_each_seed_is_held_against_its_own_start() -> None:
    """The same curves under other seeds' starts are not followed."""
    measured = measured_like()
    turned = replace(
        measured, curves={**measured.curves, "R": np.roll(measured.curves["R"], 1, axis=0)}
    )
    assert compare(turned, "linear").deviations["R"].rms_seed.value > 1e-3


def test_the_nominal_start_knows_the_parameters_alone() -> None:
    measured = measured_like()
    against = compare(measured, "linear", start="nominal")
    nominal = predict(P, "linear", epochs=EPOCH)
    for name, curve in against.curves.items():
        np.testing.assert_allclose(curve, np.tile(getattr(nominal, name), (3, 1)), rtol=1e-12)
    gap = nominal.Q - measured.curves["Q"]
    expected = np.sqrt(np.mean(gap**2, axis=1))
    assert against.deviations["Q"].rms_seed.value == pytest.approx(expected.mean(), rel=1e-12)
    of_mean = np.sqrt(np.mean(gap.mean(0) ** 2))
    assert against.deviations["Q"].rms_mean.value == pytest.approx(of_mean, rel=1e-12)


def test_a_theory_that_runs_slower_is_late() -> None:
    """At three quarters of the learning rate every epoch comes a third later."""
    slow = replace(measured_like(), parameters=replace(P, lr=0.75 * P.lr))
    for name, each in compare(slow, "linear").lateness.items():
        assert each.seed.value == pytest.approx(1 / 3, abs=2e-3), name
        assert each.mean.value == pytest.approx(1 / 3, abs=0.02), name
        assert each.spread < 1e-3


def test_theory_may_reach_half_after_the_run_has_ended() -> None:
    short = measured_like()
    end = int(np.argmax(short.curves["R"].min(axis=0) > 0.5)) + 2
    short = replace(
        short,
        parameters=replace(P, lr=P.lr / 2),
        epoch=EPOCH[:end],
        curves={name: curve[:, :end] for name, curve in short.curves.items()},
    )
    assert compare(short, "linear").lateness["onset_epoch"].seed.value == pytest.approx(1, abs=0.01)


def test_another_start_is_refused() -> None:
    with pytest.raises(ParameterError) as caught:
        compare(measured_like(), "linear", start="mean")
    assert str(caught.value) == (
        'the start of linear must be "measured" or "nominal", not \'mean\''
    )
    q, k = draw(P, 3)
    with pytest.raises(
        ParameterError, match='the start of per-seed must be "measured", not \'nomi'
    ):
        compare(measured_like(q=q, k=k), "per-seed", start="nominal")


SGD, FLOW = {"n_train": 4096}, {"n_train": 4096, "integrator": "ssprk3"}


def test_by_its_name_a_theory_takes_the_steps_that_training_took() -> None:
    for training, flow, steps in (({}, False, False), (SGD, False, True), (SGD, True, False),
                                  (FLOW, False, False)):  # fmt: skip
        measured = measured_like(training=training)
        assert as_trained(measured, "linear", flow=flow) == Theory.parse("linear", steps=steps)
        assert compare(measured, "linear", flow=flow).theory.steps == steps
    own = Theory.parse("linear", logits="constant", sigma_c=0.1)  # taken as it is
    assert compare(measured_like(training=SGD), own).theory == own


def test_by_its_name_a_theory_reads_its_logits_in_the_best_way() -> None:
    for name in LADDER:
        theory = as_trained(measured_like(), name)
        assert theory.logits == ("sampled" if "fluctuations" in name else "gaussian")
        assert str(theory) == name


def test_steps_of_training_are_followed() -> None:
    start = Start(R=0.3, Q=0.2, C=0.1)
    measured = measured_like([start], training=SGD)
    (run,) = predictions(measured, Theory.parse("linear", steps=True), start="measured")
    alone = predict(
        P, Theory.parse("linear", steps=True), start=replace(start, S=0.1 / 8), epochs=run.epoch
    )
    np.testing.assert_allclose(run.R, alone.R, rtol=1e-12)
    assert np.abs(run.R[: len(EPOCH)] - measured.curves["R"][0]).max() > 1e-3


def test_each_theory_gets_of_a_seed_what_it_reads() -> None:
    q, k = draw(P, 3)
    rng = np.random.default_rng(0)
    permutations = rng.permuted(np.tile(np.arange(8), (3, 8, 1)), axis=2)
    measured = measured_like(q=q, k=k, permutations=permutations)
    for name in LADDER:
        theory = Theory.parse(name)
        for index, run in enumerate(predictions(measured, theory, start="measured")):
            assert tuple(
                measured.curves[n][index, 0] if n != "C" else measured.C[index] for n in "QSC"
            ) == (run.start.Q, run.start.S, run.start.C)
            if theory.closed:
                assert pytest.approx(measured.curves["R"][index, 0]) == run.start.R
            if theory.of_one_seed:
                np.testing.assert_array_equal(run.start.k, k[index])
            if theory.fluctuating:
                np.testing.assert_array_equal(run.start.permutations, permutations[index])
                assert run.start.overlap != 1 / 8


def test_theory_goes_on_beyond_the_run_at_the_same_distance() -> None:
    (run,) = predictions(measured_like(STARTS[:1]), Theory.parse("linear"), start="nominal")
    assert run.epoch[: len(EPOCH)].tolist() == EPOCH.tolist()
    assert set(np.diff(run.epoch).tolist()) == {4.0}
    assert 2 * EPOCH[-1] - 4 <= run.epoch[-1] < 2 * EPOCH[-1]


OTHER: dict[str, Any] = {
    "optimizer": "adamw", "weight_decay": 0.1, "fix_embedding": False, "d_embed": 3,
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER)
def test_training_that_the_theory_is_not_about_is_refused(name: str) -> None:
    measured = measured_like(training={"n_train": 8, name: OTHER[name]})
    words = f"{name} = {OTHER[name]!r} is not covered: the theory is about {name} = "
    with pytest.raises(FileError, match=f"^{words}.*seed 0 of made up"):
        compare(measured, "linear")
    with pytest.raises(ParameterError, match=f"^{words}"):
        compare(measured, "linear", start="nominal")
    with pytest.raises(ParameterError, match=f"nothing can be compared: {words}"):
        compared(measured, ["linear"], ["measured", "nominal"])


def test_a_vocabulary_without_fluctuations_leaves_one_theory_out() -> None:
    tiles = np.array([np.roll(np.arange(8), shift) for shift in range(8)])
    measured = measured_like(permutations=np.array([tiles] * 3))
    assert obstacle(measured, Theory.parse("per-seed")) == (
        "per-seed needs q and k of a start, but q is missing (seed 0 of made up)"
    )
    why = obstacle(measured, Theory.parse("spectral+fluctuations"))
    assert why.startswith("overlap must be above 0 and below 1 for N = 8, K = 8, not 0: these")
    assert why.endswith("(seed 0 of made up)")
    assert obstacle(measured, Theory.parse("spectral")) == ""
    with pytest.raises(FileError, match="overlap must be above 0"):
        compare(measured, "spectral+fluctuations")


def test_theories_that_cannot_be_are_noted_and_the_rest_compared() -> None:
    measured = measured_like(notes=("as it was",))
    noted, found = compared(measured, ["linear", "per-seed"], ["nominal", "measured"])
    assert [(str(each.theory), each.start) for each in found] == [
        ("linear", "nominal"), ("linear", "measured")
    ]  # fmt: skip
    assert noted.notes == (
        "as it was",
        "without per-seed: per-seed needs q and k of a start, but q is missing (seed 0 of made up)",
    )
    q, k = draw(P, 3)
    with_both = measured_like(q=q, k=k)
    noted, found = compared(with_both, ["linear", "per-seed"], ["nominal"])
    assert noted.notes == ("without per-seed: it has no nominal start",)
    noted, found = compared(with_both, ["per-seed"], ["nominal", "measured"])
    assert [each.start for each in found] == ["measured"]
    with pytest.raises(ParameterError, match=r"^nothing can be compared: it has no nominal start$"):
        compared(with_both, ["per-seed", "per-seed+fluctuations"], ["nominal"])
    assert starts_of(Theory.parse("spectral")) == ("measured", "nominal")


def test_curves_that_a_file_does_not_hold_are_left_out() -> None:
    curves = measured_like().curves
    bare = measured_like(curves={name: curves[name] for name in ("S", "R", "Q")})
    against = compare(bare, "linear")
    assert set(against.deviations) == {"R", "Q", "S"}
    assert set(against.lateness) == {"onset_epoch"}
    assert quantities([against]) == ["R", "Q", "S"]
    assert quantities([against, compare(measured_like(), "linear")]) == list(CURVES)


def test_the_nominal_onset_is_that_of_many_at_once() -> None:
    late = compare(measured_like(), "linear", start="nominal").lateness["onset_epoch"]
    nominal = float(predict_many(N=8, T=4).onset_epoch)
    own = [predict(P, "linear", start=each, points=2).onset_epoch for each in STARTS]
    assert late.seed.value == pytest.approx(np.mean(nominal / np.array(own) - 1), abs=2e-3)
    assert set(comparison.EVENTS) == {"onset_epoch", "rollout_half_epoch"}


def test_without_R_Q_and_S_theory_starts_nominal() -> None:
    curves = {name: measured_like().curves[name] for name in ("loss", "R")}
    bare = measured_like(curves=curves)
    noted, (found,) = compared(bare, ["linear"], ["measured", "nominal"])
    assert found.start == "nominal"
    assert set(found.deviations) == {"loss", "R"}
    assert noted.notes == ("no measured start, as made up holds no Q, S",)
    with pytest.raises(FileError, match="no measured start, as made up holds no Q, S"):
        compare(bare, "linear")
    with pytest.raises(ParameterError, match="nothing can be compared: no measured start"):
        compared(bare, ["linear"], ["measured"])


def test_few_training_data_are_noted() -> None:
    for n_train, told in ((50, True), (500, False)):
        measured, _ = compared(
            measured_like(training={"n_train": n_train}), ["linear"], ["nominal"]
        )
        few = [note for note in measured.notes if note.startswith(f"n_train = {n_train} sequences")]
        assert bool(few) == told
