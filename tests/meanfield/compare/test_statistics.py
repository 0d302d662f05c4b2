"""Deviations, delays and their standard errors, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import logit

from meanfield.compare.statistics import (
    Estimate,
    average,
    concise,
    deviation,
    first_half,
    jackknife,
    lateness,
    relative_delay,
)


def test_deviations_by_hand() -> None:
    difference = np.array([[3.0, -4.0], [1.0, 0.0]])
    found = deviation(difference)
    assert found.rms_seed.value == pytest.approx((math.sqrt(12.5) + math.sqrt(0.5)) / 2)
    assert found.rms_seed.error == pytest.approx((math.sqrt(12.5) - math.sqrt(0.5)) / 2)
    assert found.largest_seed.value == 2.5
    assert found.rms_mean.value == pytest.approx(2.0)  # of (2, -2)
    assert found.largest_mean.value == 2.0
    assert found.largest_mean.seeds == 2


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=(12, 1))
    found = jackknife(np.mean, values)
    assert found.value == pytest.approx(values.mean())
    assert found.error == pytest.approx(values.std(ddof=1) / math.sqrt(12), rel=1e-12)
    assert math.isnan(jackknife(np.mean, values[:1]).error)


def test_events_that_one_side_does_not_have() -> None:
    rising, flat = np.array([0.1, 0.4, 0.8]), np.array([0.1, 0.2, 0.3])
    epoch = np.array([0.0, 1.0, 2.0])
    found = lateness(epoch, np.array([rising, rising]), epoch, np.array([rising, flat]))
    assert found.seed == Estimate(0.0, pytest.approx(math.nan, nan_ok=True), 1)
    # the mean of both measured curves is at 0.3 and 0.55, theory reaches 1/2 after 1.25 epochs
    assert found.mean is not None
    assert found.mean.value == pytest.approx(1.25 / 1.8 - 1)
    assert math.isnan(found.mean.error)  # without the rising seed there is nothing to compare
    nothing = lateness(epoch, np.array([flat]), epoch, np.array([rising]))
    assert (nothing.seed, nothing.mean) == (None, None)


def test_theory_at_one_half_from_the_start_has_no_lateness() -> None:
    epoch = np.array([0.0, 1.0, 2.0])
    rising, high = np.array([[0.1, 0.4, 0.8]]), np.array([[0.6, 0.7, 0.8]])
    for pair in ((high, rising), (rising, high)):
        found = lateness(epoch, pair[0], epoch, pair[1])
        assert (found.seed, found.mean) == (None, None)


def test_first_half_is_straight_on_its_scale() -> None:
    epoch = np.array([0.0, 10.0, 20.0, 30.0])
    assert first_half(epoch, np.array([0.0, 0.2, 0.6, 0.1])) == pytest.approx(17.5)
    R = 1 / (1 + np.exp(-(epoch - 17.3)))
    assert first_half(epoch, R, logit) == pytest.approx(17.3, abs=1e-9)
    assert first_half(epoch, np.full(4, 0.7)) == 0.0
    assert math.isnan(first_half(epoch, np.full(4, 0.4)))


@pytest.mark.parametrize(
    ("value", "error", "told"),
    [
        (0.03712, 0.0041, "0.037(4)"),
        (0.03712, 0.0014, "0.0371(14)"),
        (0.0999, 0.0951, "0.10(10)"),
        (-12.34, 2.6, "-12(3)"),
        (1234.0, 150.0, "1230(150)"),
        (1234.0, 15.0, "1234(15)"),
        (0.5, 0.0196, "0.50(2)"),
        (0.03712, math.nan, "0.037"),
        (0.0, 0.0, "0"),
        (123.4, math.nan, "120"),
    ],
)
def test_concise(value: float, error: float, told: str) -> None:
    assert concise(Estimate(value, error, 9)) == told


def test_lateness_of_each_seed_and_of_their_mean() -> None:
    epoch = np.array([0.0, 10.0, 20.0])
    measured = np.array([[0.1, 0.5, 0.9], [0.1, 0.4, 0.6]])  # at 10 and 15
    theory = np.array([[0.1, 0.3, 0.7], [0.1, 0.5, 0.9]])  # at 15 and 10
    found = lateness(epoch, theory, epoch, measured)
    each = np.array([0.5, -1 / 3])
    assert found.seed.value == pytest.approx(each.mean())
    assert found.seed.error == pytest.approx(each.std(ddof=1) / math.sqrt(2))
    assert found.spread == pytest.approx(each.std(ddof=1))
    # the means: 0.1, 0.4, 0.8 in theory, 0.1, 0.45, 0.75 in training
    assert found.mean.value == pytest.approx(12.5 / (10 + 10 / 6) - 1)
    assert math.isfinite(found.mean.error)


def test_an_average_of_one_has_no_error() -> None:
    assert average(np.array([0.3, 0.5])) == Estimate(0.4, pytest.approx(0.1), 2)
    alone = average(np.array([0.3]))
    assert (alone.value, alone.seeds) == (0.3, 1)
    assert math.isnan(alone.error)


def test_concise_with_a_sign() -> None:
    assert concise(Estimate(0.3, 0.04, 3), sign=True) == "+0.30(4)"
    assert concise(Estimate(-0.3, math.nan, 1), sign=True) == "-0.3"


def test_delays_in_words() -> None:
    assert relative_delay(Estimate(-0.082, 0.031, 4)) == "8(3) % early"
    assert relative_delay(Estimate(0.082, 0.011, 4)) == "8.2(11) % late"
    assert relative_delay(None) == "beyond the run"
