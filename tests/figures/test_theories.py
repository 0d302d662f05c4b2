"""How right each theory is: what is shown is what comparing gives, and the caption counts it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.special import logit

from figures import theories
from figures.drawing import Drawn
from figures.theories import COLUMNS, MAIN, PANELS, Model, Score
from meanfield import seeds
from meanfield.comparison import FLUCTUATIONS, THEORIES, Estimate, Lateness, compare
from meanfield.measured import of_run
from meanfield.parameters import Parameters
from meanfield.prediction import predict
from tests.figures.small_runs import assert_no_words_overlap, trained
from tests.figures.synthetic_runs import locking, synthetic

P = Parameters(N=9, K=5, T=4, d_head=16)
NEVER = Lateness(seed=None, spread=math.nan, mean=None)


def told(value: float, error: float = 0.0) -> Estimate:
    return Estimate(value, error, 4)


def late(value: float, spread: float = 0.01) -> Lateness:
    return Lateness(seed=told(value, 0.002), spread=spread, mean=told(value))


def made_up(**changed: object) -> Model:
    """Return a model on which every theory has reached all that was aimed at, unless changed."""
    good = {
        "rms": told(0.003, 0.001),
        "onset": late(-0.005),
        "rollout": late(0.009),
        "end": told(-0.04, 0.01),
        "next_rms": told(0.01, 0.002),
        "next_largest": told(0.019),
    }
    scores = {name: Score(**good) for name in THEORIES}  # type: ignore[arg-type]
    scores["linear"] = Score(**{**good, **changed})  # type: ignore[arg-type]
    expected = {"linear": 0.02, "quadratic": -0.03}
    return Model(P, 4, scores, told(0.025, 0.01), expected)


def crossing(epoch: np.ndarray, curve: np.ndarray) -> float:
    right = int(np.argmax(curve >= 0.5))
    return float(np.interp(0.5, curve[right - 1 : right + 1], epoch[right - 1 : right + 1]))


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return theories.draw({MAIN: trained()})


@pytest.mark.parametrize("theory", ["linear", "per-seed"])
def test_score_is_that_of_the_curves(theory: str, drawn: Drawn) -> None:
    run = trained()
    found = compare(of_run(run, ""), theory=theory, start="measured", lr_correction=True)
    B, table = len(run.seeds), drawn.numbers[MAIN]["theories"][theory]

    rms = np.sqrt(np.mean((found.curves["R"] - run.R) ** 2, axis=1))
    assert table["rms_R"]["value"] == pytest.approx(rms.mean())
    assert table["rms_R"]["error"] == pytest.approx(rms.std(ddof=1) / np.sqrt(B))

    ours, theirs = found.curves["S"][:, -1], run.S[:, -1]
    assert table["S_end"]["value"] == pytest.approx(100 * (ours.mean() / theirs.mean() - 1))
    left_out = [np.delete(ours, b).mean() / np.delete(theirs, b).mean() for b in range(B)]
    error = np.sqrt((B - 1) * np.var(left_out))
    assert table["S_end"]["error"] == pytest.approx(100 * error)

    off = np.mean(found.curves["next_token_accuracy"] - run.test_accuracy, axis=0)
    assert table["next_token"]["value"] == pytest.approx(np.sqrt(np.mean(off**2)))
    assert table["next_token"]["high"] == pytest.approx(np.abs(off).max())

    for event, curves, measured in (
        ("onset_late", logit(found.curves["R"]) + 0.5, logit(run.R) + 0.5),
        ("rollout_late", found.curves["rollout_accuracy"], run.rollout_accuracy),
    ):
        by = [
            100 * (crossing(run.epoch, ours) / crossing(run.epoch, theirs) - 1)
            for ours, theirs in zip(curves, measured, strict=True)
            if ours.max() >= 0.5
        ]
        assert len(by) == B
        assert table[event]["value"] == pytest.approx(np.mean(by))
        assert table[event]["high"] - table[event]["low"] == pytest.approx(2 * np.std(by, ddof=1))


def test_a_mark_a_theory_in_every_row(drawn: Drawn) -> None:
    table = drawn.numbers[MAIN]["theories"]
    for axes, quantity in zip(drawn.canvas.axes, PANELS, strict=True):
        marks = {}
        for line in axes.lines:
            x, y = line.get_xdata(), line.get_ydata()
            if line.get_marker() in "sDo^" and len(x) == 1:
                marks[float(x[0])] = (float(y[0]), line)
        assert len(marks) == len(THEORIES)
        order = [column for column in COLUMNS if column in THEORIES]
        for theory, (_, (y, line)) in zip(order, sorted(marks.items()), strict=True):
            assert y == pytest.approx(table[theory][quantity]["value"])
            filled = line.get_markerfacecolor() != "white"
            assert filled == theory.endswith(FLUCTUATIONS)
            low, high = axes.get_ylim()
            assert low < y < high
        thin = [line.get_ydata() for line in axes.lines if line.get_linewidth() == 0.8]
        ends = [[table[t][quantity][end] for end in ("low", "high")] for t in THEORIES]
        np.testing.assert_allclose([each for each in thin if len(each) == 2], ends)


def test_spectral_against_the_median_seed() -> None:
    theory = predict(P, closure="spectral", fluctuations=True, lr_correction=True).onset_epoch
    assert theory is not None
    at = theory / np.array([0.9, 0.95, 1.3])
    found = theories.against_median(synthetic(P, np.arange(0, 600), R=locking(range(600), at)))
    assert found.value == pytest.approx(0.95 - 1, abs=1e-4)
    spread = np.std([0.9, 0.95, 1.3], ddof=1) / math.sqrt(3)
    assert found.error == pytest.approx(math.sqrt(math.pi / 2) * spread, rel=1e-3)


def test_what_is_expected_of_a_closure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "SAMPLES", 3)
    found = theories.expected(P)
    pairs = list(zip(*seeds.draw(P, 3), strict=True))
    for name in ("linear", "quadratic"):
        ratios = []
        for q, k in pairs:
            own = predict(P, closure="per-seed", q=q, k=k, fluctuations=False)
            closed = predict(P, closure=name, R0=own.R[0])
            ratios.append((closed.onset_epoch or math.nan) / (own.onset_epoch or math.nan))
        assert found[name] == pytest.approx(np.mean(ratios) - 1, abs=2e-3)


@pytest.mark.parametrize(
    ("row", "changed"),
    [
        (0, {"rms": told(0.0041)}),
        (1, {"onset": late(0.0061)}),
        (2, {"rollout": late(-0.0101)}),
        (2, {"rollout": NEVER}),
        (3, {"end": told(-0.051)}),
        (4, {"next_largest": told(0.021)}),
    ],
)
def test_what_meets_the_aim_is_counted(row: int, changed: dict[str, object]) -> None:
    models = {MAIN: made_up(), "other": made_up(**changed)}
    counts = [theories.met(models, "linear", panel) for panel in PANELS.values()]
    assert counts == [1 if place == row else 2 for place in range(5)]
    assert theories.met(models, "quadratic", list(PANELS.values())[row]) == 2


def test_the_numbers_said() -> None:
    caption = theories.picture({MAIN: made_up(), "other": made_up(onset=NEVER)}).caption
    # measured less expected: linear -0.5 - 2 once, quadratic -0.5 + 3 twice
    off = np.array([-2.5, 2.5, 2.5])
    assert f"{np.sqrt(np.mean(off**2)):.2g} in the root mean square" in caption
    assert f"measured minus expected is +{off.mean():.1f}(17) points" in caption
    assert "from -3 to +2 %" in caption
    assert "+2.5 to +2.5 %" in caption
    assert "row by row: linear 2, 1, 2, 2, 2; quadratic 2, 2, 2, 2, 2; spectral 2" in caption
    assert "per-seed with fluctuations 2, 2, 2, 2, 2." in caption
    assert "onset 0.5 % without and 0.5 % with, rollouts 0.9 % without" in caption
    assert "$S$ 4 % without and 4 % with, next token 0.019 without and 0.019 with." in caption
    assert "on the main model and on 1 models that no theory was tuned on (4 seeds each)" in caption


def test_what_is_never_reached_is_not_drawn() -> None:
    drawn = theories.picture({MAIN: made_up(rollout=NEVER)})
    rows = drawn.canvas.axes
    marks = [sum(line.get_marker() in "sDo^" for line in axes.lines) for axes in rows]
    assert marks == [6, 6, 5, 6, 6]
    assert drawn.numbers[MAIN]["theories"]["linear"]["rollout_late"] is None
    json.dumps(drawn.numbers, allow_nan=False)


def test_models_are_new_and_trained_past_saturation_in_little_time() -> None:
    full, quick = theories.batches(quick=False), theories.batches(quick=True)
    second = 4096 * 10**2 * (20 + 20) / 3.5e-3  # cost of a second of one core
    assert sum(each.cost for name, each in full.items() if name != MAIN) < 600 * second
    assert sum(each.cost for each in quick.values()) < 10 * second
    assert len(full) >= 7
    assert all(
        each.parameters.N != each.parameters.K for name, each in full.items() if name != MAIN
    )
    for each in (full["T5"], quick["T8"]):
        typical = predict(each.parameters, closure="spectral", fluctuations=False)
        epochs = 1.6 * (typical.saturation_epoch or math.inf)
        assert each.training.train_epochs == pytest.approx(epochs, abs=5)
    assert {each.parameters.T for each in full.values()} >= {5, 20}


def test_nothing_overlaps() -> None:
    far = made_up(rms=told(0.3), onset=late(0.6, 0.2), end=told(1.8, 0.2), next_largest=told(0.4))
    names = theories.batches(quick=False)
    assert_no_words_overlap(theories.picture(dict.fromkeys(names, far)).canvas)
