"""How right every theory is on models that none was tuned on: the trainings and the scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from figures.batches import Batch, batch, lasting, main_batch
from figures.measurements import onset_epochs
from meanfield.attention import planes as attention
from meanfield.attention import typical
from meanfield.compare.comparison import Comparison, compare
from meanfield.compare.statistics import Estimate, Lateness, average, jackknife
from meanfield.parameters import Parameters
from meanfield.predict import spread
from meanfield.predict.many import predict_many
from meanfield.predict.prediction import predict
from meanfield.runs.measured import Measured, of_run
from meanfield.runs.run import Run
from meanfield.theory import CLOSURES, DEFAULT, LADDER, Theory

SEEDS, QUICK_SEEDS = 16, 4
LENGTH = 1.6  # epochs of training, in those to saturation of the spectral theory
MAIN = "main"

# Models beside the main one, N != K, from short sequences to long ones, every size and base moved;
# the learning rates put the onset at about epoch 150.
SETS: dict[str, dict[str, Any]] = {
    "T5": {"N": 16, "K": 30, "T": 5, "d_head": 16, "rope_theta": 10.0, "lr": 2.5},
    "T8": {"N": 12, "K": 20, "T": 8, "d_head": 32, "rope_theta": 100.0, "lr": 3.0},
    "T10": {
        "N": 24,
        "K": 16,
        "T": 10,
        "d_head": 64,
        "rope_theta": 30.0,
        "rope_spacing": "linear",
        "lr": 3.5,
    },
    "T12": {"N": 25, "K": 12, "T": 12, "d_head": 128, "rope_theta": 1e3, "lr": 6.0},
    "T15": {"N": 30, "K": 24, "T": 15, "d_head": 64, "rope_theta": 10.0, "lr": 8.0},
    "T16": {"N": 14, "K": 6, "T": 16, "d_head": 24, "rope_theta": 300.0, "lr": 3.5},
    "T20": {"N": 10, "K": 15, "T": 20, "d_head": 256, "rope_theta": 1e4, "lr": 7.0},
}
QUICK_SETS: dict[str, dict[str, Any]] = {
    "T4": {"N": 8, "K": 12, "T": 4, "d_head": 16, "rope_theta": 10.0, "lr": 4.0},
    "T6": {"N": 10, "K": 5, "T": 6, "d_head": 8, "rope_theta": 30.0, "lr": 4.0},
    "T8": {"N": 7, "K": 9, "T": 8, "d_head": 32, "rope_theta": 1e4, "lr": 6.0},
}
QUICK_DATA: dict[str, Any] = {"n_train": 1024, "n_test": 512}


def batches(*, quick: bool) -> dict[str, Batch]:
    """The main training, at full size only, and one of each other model."""
    result = {} if quick else {MAIN: main_batch(quick=False)}
    for name, changed in (QUICK_SETS if quick else SETS).items():
        data: dict[str, Any] = QUICK_DATA if quick else {}
        short = batch(seeds=QUICK_SEEDS if quick else SEEDS, epochs=1, **changed, **data)
        result[name] = lasting(short, horizon(short.parameters))
    return result


@cache
def horizon(parameters: Parameters) -> int:
    """Return how many epochs to train: some more than the typical seed needs to saturate."""
    typical = predict(parameters, "spectral")
    return 10 * round(LENGTH * (typical.saturation_epoch or math.nan) / 10)


@dataclass(frozen=True)
class Score:
    """How right one theory is on one model.

    rms: of R over a seed's own curve, averaged. onset, rollout: relative delay of theory.
    end: S at the last epoch, theory over training less 1, of the curve averaged over seeds.
    next_rms, next_largest: of the next-token accuracy averaged over seeds.
    """

    rms: Estimate
    onset: Lateness
    rollout: Lateness
    end: Estimate
    next_rms: Estimate
    next_largest: Estimate


def score(measured: Measured, comparison: Comparison) -> Score:
    """Return how right a theory is where it was compared."""
    ends = np.stack([comparison.curves["S"][:, -1], measured.curves["S"][:, -1]], axis=1)
    next_token = comparison.deviations["next_token_accuracy"]
    return Score(
        rms=comparison.deviations["R"].rms_seed,
        onset=comparison.lateness["onset_epoch"],
        rollout=comparison.lateness["rollout_half_epoch"],
        end=jackknife(lambda pair: pair[0] / pair[1] - 1, ends),
        next_rms=next_token.rms_mean,
        next_largest=next_token.largest_mean,
    )


def scores(measured: Measured) -> dict[str, Score]:
    """Return the score of every theory, from the measured start, in gradient steps."""
    return {name: score(measured, compare(measured, name)) for name in LADDER}


def delay_against_median(run: Run) -> Estimate:
    """Return how late the spectral theory, from its nominal start, is against the median seed.

    With fluctuations, in gradient steps. The standard error is that of a median of normal deviates.
    """
    theory = predict(run.parameters, Theory.parse(DEFAULT, steps=True))
    delay = (theory.onset_epoch or math.nan) / onset_epochs.measured_epochs(run) - 1
    mean = average(delay)
    return Estimate(float(np.nanmedian(delay)), math.sqrt(math.pi / 2) * mean.error, mean.seeds)


def expected_delay(parameters: Parameters) -> dict[str, float]:
    """Return how late each closure is on average over drawn seeds of softmax attention.

    Each seed's R at the start is the closure's too; nothing is trained.
    """
    q, k = typical.draw(parameters, spread.SAMPLES)
    own = spread.onset_epochs(parameters, q, k)
    R, _, _ = attention.retrieval(typical.followable_planes(parameters), attention.heads(q, k).p)
    fair = np.isfinite(own) & (own > 0)
    given = dict(parameters.items())
    return {
        name: float(np.mean(predict_many(name, **given, R=R[fair]).onset_epoch / own[fair]) - 1)
        for name in CLOSURES
    }


@dataclass(frozen=True)
class Model:
    """All that is shown of one model.

    scores: by theory. median: delay of the spectral theory against the median seed.
    expected: delay that a closure should have, by closure.
    """

    parameters: Parameters
    seeds: int
    scores: Mapping[str, Score]
    median: Estimate
    expected: Mapping[str, float]


def model(run: Run, name: str) -> Model:
    """Return what is shown of a training."""
    measured, p = of_run(run, name), run.parameters
    return Model(p, measured.count, scores(measured), delay_against_median(run), expected_delay(p))


def excess_over_expected(models: Mapping[str, Model]) -> list[float]:
    """Return measured minus expected delay of every closure on every model, in per cent."""
    return [
        100 * (measured.value - each.expected[name])
        for each in models.values()
        for name in CLOSURES
        if (measured := each.scores[name].onset.seed) is not None
    ]
