"""What is learned off the main set: every seed's fate is shown and counted as it was."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import pytest

from figures import robustness
from figures.robustness import MAIN, PANELS
from meanfield import prediction, style
from meanfield.comparison import Estimate
from meanfield.parameters import Parameters
from meanfield.runs import Run
from meanfield.words import concise
from tests.figures.synthetic_runs import locking, synthetic

predict = partial(prediction.predict, closure="linear")  # the paper's, unless a test says otherwise

SIZES = {"N": 5, "T": 4, "K": 6, "d_head": 8}
EPOCH = np.arange(0, 400, 4)


def a_run(
    *,
    onsets: tuple[float, ...],
    rollout: tuple[float, ...],
    loss: tuple[float, ...] = (),
    **changed: float,
) -> Run:
    """Seeds that lock on there, with that rollout accuracy and loss at the end; loss from 1.6."""
    B, n_train = len(onsets), int(changed.pop("n_train", 64))
    last = np.arange(len(EPOCH)) == len(EPOCH) - 1
    ends = np.array(loss or B * (0.1,))[:, None]
    return synthetic(
        Parameters(**{**SIZES, **changed}),  # type: ignore[arg-type]
        EPOCH,
        n_train=n_train,
        R=locking(EPOCH, onsets),
        loss=np.where(last, ends, 1.6),
        rollout_accuracy=np.where(last, np.array(rollout)[:, None], 0.2),
    )


def with_attention_lost(run: Run) -> Run:
    """Let R of the first seed end below its start."""
    run.R[0, -1] = run.R[0, 0] / 2
    return run


@pytest.fixture
def runs() -> dict[str, Run]:
    good = {"onsets": (50.0, 60.0), "rollout": (1.0, 0.995)}
    return {
        MAIN: a_run(onsets=(80.0, 90.0, 100.0, 5.0), rollout=(1.0, 1.0, 0.99, 0.0)),
        "N 10": a_run(**good, N=10),  # type: ignore[arg-type]
        "d_head 2": a_run(**good, d_head=2),  # type: ignore[arg-type]
        "d_head faster 2": a_run(onsets=(np.inf, 70.0), rollout=(0.2, 1.0), d_head=2, T=8, lr=9.0),
        "linear 10": a_run(onsets=(50.0, 50.0), rollout=(0.989, 1.0)),
        "lr 200": with_attention_lost(
            a_run(onsets=(np.inf, 20.0), rollout=(0.25, 0.6), loss=(1.7, 0.3), lr=200.0)
        ),
        "n_train 16": with_attention_lost(
            a_run(onsets=(40.0, 41.0), rollout=(0.3, 0.4), loss=(0.5, 1.59), n_train=16)
        ),
    }


def test_outcome_of_each_seed(runs: Mapping[str, Run]) -> None:
    found = robustness.outcome(runs["lr 200"], 200.0)
    assert found.rollout.tolist() == [0.25, 0.6]
    assert found.diverged.tolist() == [True, False]
    assert found.learned.tolist() == [False, False]
    linear, quadratic = (
        predict(runs["lr 200"].parameters, closure=name).onset_epoch
        for name in ("linear", "quadratic")
    )
    assert linear is not None
    assert quadratic is not None
    assert np.isnan(found.late[0])
    assert found.late[1] == pytest.approx(20 / linear, rel=1e-6)
    assert found.quadratic == pytest.approx(quadratic / linear, rel=1e-6)


def test_numbers_that_are_not_finite_have_diverged() -> None:
    run = a_run(onsets=(50.0, 50.0), rollout=(1.0, 1.0))
    curves = {
        name: np.where(np.arange(len(EPOCH)) > 20, np.nan, getattr(run, name))
        for name in ("loss", "rollout_accuracy", "R")
    }
    lost = synthetic(Parameters(**SIZES), EPOCH, diverged={0: 84, 1: 84}, **curves)  # type: ignore[arg-type]
    found = robustness.outcome(lost, 1.0)
    assert found.kinds == ["diverged", "diverged"]
    assert found.rollout.tolist() == [1 / 5, 1 / 5]  # as bad as a guess
    assert not found.learned.any()


def test_marks_say_what_became_of_the_seeds(runs: Mapping[str, Run]) -> None:
    axes = robustness.draw(runs).canvas.axes
    uppers, lowers = [*axes[0:4], *axes[8:12]], [*axes[4:8], *axes[12:16]]

    def marks(of: list, series: str) -> list[tuple[str, str, float]]:  # type: ignore[type-arg]
        place = of[list(PANELS).index(series)]
        return [
            (line.get_marker(), line.get_markerfacecolor(), float(line.get_ydata()[0]))
            for line in place.lines
            if line.get_marker() != "None"
        ]

    full, part = ("o", style.BLUE), ("o", "white")
    main = [(*full, 1.0), (*full, 1.0), (*full, 0.99)]
    assert marks(uppers, "N") == [*main, (*full, 1.0), (*full, 0.995)]
    assert marks(uppers, "T") == main
    assert marks(uppers, "d_head") == [
        (*full, 1.0), (*full, 0.995), *main, ("s", "white", 0.2), ("s", style.BLUE, 1.0),
    ]  # fmt: skip
    assert marks(uppers, "linear") == [(*part, 0.989), (*full, 1.0)]
    assert marks(uppers, "lr") == [*main, ("*", style.PURPLE, 0.25), (*part, 0.6)]
    assert marks(uppers, "n_train") == [("x", style.BLACK, 0.3), (*part, 0.4), *main]
    onset = predict(runs["N 10"].parameters).onset_epoch
    assert onset is not None
    assert [y for *_, y in marks(lowers, "N")[3:]] == pytest.approx([50 / onset, 60 / onset])


def test_caption_counts_changes_and_names_those_that_fail(runs: Mapping[str, Run]) -> None:
    drawn = robustness.draw(runs)
    assert "Of 6 changes 2 are learned fully by every seed" in drawn.caption
    assert "not: squares at $d$ 2 (1 of 2 seeds)" in drawn.caption
    assert "linear frequencies to base 10 (1 of 2 seeds)" in drawn.caption
    assert "Squares: at $T=8$ and lr 9" in drawn.caption
    assert "lr 200 (0 of 2 seeds, 1 diverged)" in drawn.caption
    assert "training sequences 16 (0 of 2 seeds, 1 lost)" in drawn.caption
    late = [
        np.mean([50, 60]) / (predict(runs[name].parameters).onset_epoch or np.nan)
        for name in ("N 10", "d_head 2")
    ]
    mean = Estimate(float(np.mean(late)), float(np.std(late, ddof=1)) / np.sqrt(2), 2)
    assert f"locking on at {concise(mean)} times" in drawn.caption
    assert drawn.numbers["lr"]["200"]["onset_over_theory"][0] is None


def test_one_value_is_changed_at_a_time_and_trained_past_saturation() -> None:
    found = robustness.batches(quick=True)
    main = dict(found[MAIN].parameters.items())
    for name, each in found.items():
        if name == MAIN:
            continue
        series, _, value = name.rpartition(" ")
        field, others, _ = robustness.SERIES[series]
        changed = {
            key for key, kept in each.parameters.items() if kept != main[key] and key != "w_init"
        }
        assert changed <= {field, *others}, name
        settings = {**dict(each.parameters.items()), "n_train": each.training.n_train}
        assert settings[field] == float(value)
        if series not in ("T", "linear"):  # the others take as long to test
            continue
        saturated = [
            predict(each.parameters, closure=closure).saturation_epoch
            for closure in ("linear", "quadratic")
        ]
        expected = max(100, 1.5 * max(epoch or 0 for epoch in saturated))
        assert each.training.train_epochs == pytest.approx(expected, abs=5)
