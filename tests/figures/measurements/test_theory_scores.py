"""How right each theory is: a score is what comparing gives, on models that are new."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import logit

from figures.measurements import theory_scores
from figures.measurements.theory_scores import MAIN, Model, model
from meanfield.attention import typical
from meanfield.compare.comparison import compare
from meanfield.predict import spread
from meanfield.predict.prediction import predict
from meanfield.runs.measured import of_run
from meanfield.start import Start
from meanfield.theory import Theory
from tests.figures.made_up_scores import NEVER, P, made_up
from tests.figures.small_runs import trained
from tests.figures.synthetic_runs import locking, synthetic


@pytest.fixture(scope="module")
def trained_model() -> Model:
    return model(trained(), "the run")


def crossing(epoch: np.ndarray, curve: np.ndarray) -> float:
    right = int(np.argmax(curve >= 0.5))
    return float(np.interp(0.5, curve[right - 1 : right + 1], epoch[right - 1 : right + 1]))


@pytest.mark.parametrize("theory", ["linear", "per-seed"])
def test_score_is_that_of_the_curves(theory: str, trained_model: Model) -> None:
    run = trained()
    found = compare(of_run(run, ""), theory)
    B, score = len(run.seeds), trained_model.scores[theory]
    rms = np.sqrt(np.mean((found.curves["R"] - run.R) ** 2, axis=1))
    assert score.rms.value == pytest.approx(rms.mean())
    assert score.rms.error == pytest.approx(rms.std(ddof=1) / np.sqrt(B))

    ours, theirs = found.curves["S"][:, -1], run.S[:, -1]
    assert score.end.value == pytest.approx(ours.mean() / theirs.mean() - 1)
    left_out = [np.delete(ours, b).mean() / np.delete(theirs, b).mean() for b in range(B)]
    error = np.sqrt((B - 1) * np.var(left_out))
    assert score.end.error == pytest.approx(error)

    off = np.mean(found.curves["next_token_accuracy"] - run.test_accuracy, axis=0)
    assert score.next_rms.value == pytest.approx(np.sqrt(np.mean(off**2)))
    assert score.next_largest.value == pytest.approx(np.abs(off).max())

    for event, curves, measured in (
        (score.onset, logit(found.curves["R"]) + 0.5, logit(run.R) + 0.5),
        (score.rollout, found.curves["rollout_accuracy"], run.rollout_accuracy),
    ):
        by = [
            crossing(run.epoch, ours) / crossing(run.epoch, theirs) - 1
            for ours, theirs in zip(curves, measured, strict=True)
            if ours.max() >= 0.5
        ]
        assert len(by) == B
        assert event.seed is not None
        assert event.seed.value == pytest.approx(np.mean(by))
        assert event.spread == pytest.approx(np.std(by, ddof=1))


def test_spectral_against_the_median_seed() -> None:
    theory = predict(P, Theory.parse("spectral+fluctuations", steps=True)).onset_epoch
    assert theory is not None
    at = theory / np.array([0.9, 0.95, 1.3])
    found = theory_scores.delay_against_median(
        synthetic(P, np.arange(0, 600), R=locking(range(600), at))
    )
    assert found.value == pytest.approx(0.95 - 1, abs=1e-4)
    spread = np.std([0.9, 0.95, 1.3], ddof=1) / math.sqrt(3)
    assert found.error == pytest.approx(math.sqrt(math.pi / 2) * spread, rel=1e-3)


def test_what_is_expected_of_a_closure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "SAMPLES", 3)
    found = theory_scores.expected_delay(P)
    pairs = list(zip(*typical.draw(P, 3), strict=True))
    for name in ("linear", "quadratic"):
        ratios = []
        for q, k in pairs:
            own = predict(P, "per-seed", start=Start(q=q, k=k))
            closed = predict(P, name, start=Start(R=own.R[0]))
            ratios.append((closed.onset_epoch or math.nan) / (own.onset_epoch or math.nan))
        assert found[name] == pytest.approx(np.mean(ratios) - 1, abs=2e-3)


def test_excess_is_measured_less_expected() -> None:
    models = {MAIN: made_up(), "other": made_up(onset=NEVER)}
    # linear -0.5 - 2 once, quadratic -0.5 + 3 twice
    assert theory_scores.excess_over_expected(models) == pytest.approx([-2.5, 2.5, 2.5])


def test_models_are_new_and_trained_past_saturation_in_little_time() -> None:
    full, quick = theory_scores.batches(quick=False), theory_scores.batches(quick=True)
    second = 4096 * 10**2 * (20 + 20) / 3.5e-3  # cost of a second of one core
    assert sum(each.cost for name, each in full.items() if name != MAIN) < 600 * second
    assert sum(each.cost for each in quick.values()) < 10 * second
    assert len(full) >= 7
    assert all(
        each.parameters.N != each.parameters.K for name, each in full.items() if name != MAIN
    )
    for each in (full["T5"], quick["T8"]):
        typical = predict(each.parameters, "spectral")
        epochs = 1.6 * (typical.saturation_epoch or math.inf)
        assert each.schedule.train_epochs == pytest.approx(epochs, abs=5)
    assert {each.parameters.T for each in full.values()} >= {5, 20}
