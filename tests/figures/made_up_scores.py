"""Scores of theories that no one measured, to be counted and drawn."""

from __future__ import annotations

import math

from figures.measurements.theory_scores import Model, Score
from meanfield.compare.statistics import Estimate, Lateness
from meanfield.parameters import Parameters
from meanfield.theory import LADDER

P = Parameters(N=9, K=5, T=4, d_head=16)
NEVER = Lateness(seed=None, spread=math.nan, mean=None)


def estimate(value: float, error: float = 0.0) -> Estimate:
    return Estimate(value, error, 4)


def delayed(value: float, spread: float = 0.01) -> Lateness:
    return Lateness(seed=estimate(value, 0.002), spread=spread, mean=estimate(value))


def made_up(**changed: object) -> Model:
    """Return a model on which every theory has reached all that was aimed at, unless changed."""
    good = {
        "rms": estimate(0.003, 0.001),
        "onset": delayed(-0.005),
        "rollout": delayed(0.009),
        "end": estimate(-0.04, 0.01),
        "next_rms": estimate(0.01, 0.002),
        "next_largest": estimate(0.019),
    }
    scores = {name: Score(**good) for name in LADDER}  # type: ignore[arg-type]
    scores["linear"] = Score(**{**good, **changed})  # type: ignore[arg-type]
    expected = {"linear": 0.02, "quadratic": -0.03}
    return Model(P, 4, scores, estimate(0.025, 0.01), expected)
