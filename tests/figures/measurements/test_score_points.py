"""What is shown of a score, and whether it meets what was aimed at."""

from __future__ import annotations

import math

import numpy as np
import pytest

from figures.measurements.score_points import (
    QUANTITIES,
    mean_size,
    models_within_aim,
)
from figures.measurements.theory_scores import MAIN
from tests.figures.made_up_scores import NEVER, delayed, estimate, made_up


@pytest.mark.parametrize(
    ("row", "changed"),
    [
        (0, {"rms": estimate(0.0041)}),
        (1, {"onset": delayed(0.0061)}),
        (2, {"rollout": delayed(-0.0101)}),
        (2, {"rollout": NEVER}),
        (3, {"end": estimate(-0.051)}),
        (4, {"next_largest": estimate(0.021)}),
    ],
)
def test_what_meets_the_aim_is_counted(row: int, changed: dict[str, object]) -> None:
    models = {MAIN: made_up(), "other": made_up(**changed)}
    counts = [models_within_aim(models, "linear", quantity) for quantity in QUANTITIES.values()]
    assert counts == [1 if place == row else 2 for place in range(5)]
    assert models_within_aim(models, "quadratic", list(QUANTITIES.values())[row]) == 2


def test_delays_are_shown_in_per_cent_with_their_spread_over_seeds() -> None:
    score = made_up(onset=delayed(0.02, 0.005), rollout=NEVER).scores["linear"]
    point = QUANTITIES["onset_late"].of(score)
    assert point is not None
    shown = (point.estimate.value, point.estimate.error, point.low, point.high)
    assert shown == pytest.approx((2, 0.2, 1.5, 2.5))
    assert QUANTITIES["rollout_late"].of(score) is None
    assert QUANTITIES["rollout_late"].size(score) == math.inf


def test_the_mean_size_is_over_models() -> None:
    models = {MAIN: made_up(end=estimate(-0.5)), "other": made_up(end=estimate(0.1))}
    assert mean_size(models, "linear", QUANTITIES["S_end"]) == pytest.approx(np.mean([50, 10]))
