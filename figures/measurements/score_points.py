"""The five quantities that are shown of a theory's score, each with what was aimed at."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from figures.measurements.theory_scores import Model, Score
from meanfield.compare.statistics import Estimate, Lateness


@dataclass(frozen=True)
class Point:
    """One theory on one model: a value, and a range from low to high about it."""

    estimate: Estimate
    low: float
    high: float


@dataclass(frozen=True)
class Quantity:
    """One quantity of a score.

    name: for captions. label: of its axis. aim: what was aimed at, in its unit. signed: whether
    its values can be negative: then per cent. of: its point in a score, None if not reached.
    """

    name: str
    label: str
    aim: float
    signed: bool
    of: Callable[[Score], Point | None]

    def size(self, score: Score) -> float:
        """Return what is held against the aim; inf if not reached.

        The size of the value, but for the next token the largest error.
        """
        point = self.of(score)
        if point is None:
            return math.inf
        return abs(point.estimate.value) if self.signed else point.high


def per_cent(estimate: Estimate) -> Estimate:
    """Return the same in per cent."""
    return Estimate(100 * estimate.value, 100 * estimate.error, estimate.seeds)


def delay(lateness: Lateness) -> Point | None:
    """Return the mean over seeds in per cent, and a standard deviation over them on both sides."""
    if lateness.seed is None:
        return None
    mean, spread = per_cent(lateness.seed), 100 * np.nan_to_num(lateness.spread)
    return Point(mean, mean.value - spread, mean.value + spread)


def alone(estimate: Estimate) -> Point:
    """Return a value without a range."""
    return Point(estimate, estimate.value, estimate.value)


QUANTITIES: dict[str, Quantity] = {
    "rms_R": Quantity("$R$", "rms of $R$,\na single seed", 0.004, False, lambda s: alone(s.rms)),
    "onset_late": Quantity("onset", "onset\nlate by / %", 0.6, True, lambda s: delay(s.onset)),
    "rollout_late": Quantity(
        "rollouts", "rollouts\nlate by / %", 1, True, lambda s: delay(s.rollout)
    ),
    "S_end": Quantity(
        "$S$", "$S$ at the end,\nexcess / %", 5, True, lambda s: alone(per_cent(s.end))
    ),
    "next_token": Quantity(
        "next token",
        "next-token\naccuracy, error",
        0.02,
        False,
        lambda s: Point(s.next_rms, s.next_rms.value, s.next_largest.value),
    ),
}


def models_within_aim(models: Mapping[str, Model], theory: str, quantity: Quantity) -> int:
    """Return on how many models a theory comes within what was aimed at."""
    return sum(quantity.size(each.scores[theory]) <= quantity.aim for each in models.values())


def mean_size(models: Mapping[str, Model], theory: str, quantity: Quantity) -> float:
    """Return the size of a quantity averaged over models."""
    return float(np.mean([quantity.size(each.scores[theory]) for each in models.values()]))
