"""Means over a standard normal variable: known ones, tiny ones, and ones that do not converge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import log_ndtr, ndtr

from meanfield.numerics import normal
from meanfield.numerics.normal import normal_mean


def exponential(a: np.ndarray) -> np.ndarray:
    """The mean of exp(a z), exp(a^2 / 2), whose integrand peaks at a."""
    edge = np.abs(a) + 1
    return normal_mean(lambda z, a: a * z, lambda z, a: a + 0 * z, -edge, edge, (a,))


def tail(x: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """The mean of Phi(-(x + ratio z)): another normal variable, of variance 1 + ratio^2."""

    def log_f(z: np.ndarray, x: np.ndarray, ratio: np.ndarray) -> np.ndarray:
        return np.asarray(log_ndtr(-x - ratio * z))

    def slope(z: np.ndarray, x: np.ndarray, ratio: np.ndarray) -> np.ndarray:
        y = x + ratio * z
        return np.asarray(-ratio * np.exp(-(y**2) / 2 - log_ndtr(-y)) / math.sqrt(2 * math.pi))

    return normal_mean(log_f, slope, -ratio * (np.maximum(x, 0) + 1), 0 * x, (x, ratio))


def test_known_means() -> None:
    a = np.array([-3.0, 0.0, 0.5, 7.0])
    np.testing.assert_allclose(exponential(a), np.exp(a**2 / 2), rtol=1e-11)


def test_a_tiny_mean_keeps_its_digits() -> None:
    x, ratio = (each.ravel() for each in np.meshgrid([-5.0, 0.0, 3.0, 35.0], [0.01, 0.4, 1.0]))
    exact = ndtr(-x / np.hypot(1, ratio))
    assert exact.min() < 1e-200
    np.testing.assert_allclose(tail(x, ratio), exact, rtol=1e-10)


def test_each_row_is_its_own() -> None:
    x, ratio = np.array([0.3, 20.0, -1.0]), np.array([1.0, 0.1, 0.7])
    together = tail(x, ratio)
    for row in range(3):
        assert tail(x[row : row + 1], ratio[row : row + 1]) == pytest.approx(
            together[row], rel=1e-12
        )


def test_more_intervals_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    x, ratio = rng.uniform(-5, 36, 300), 10 ** rng.uniform(-2, 0, 300)
    found = tail(x, ratio)
    monkeypatch.setattr(normal, "INTERVALS", 1536)
    np.testing.assert_allclose(found, tail(x, ratio), rtol=1e-11)


def test_what_does_not_converge_is_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normal, "MOST_INTERVALS", 96)
    sharp = np.array([1e4])  # exp(-(1e4 z)^2 / 2) falls between the points
    with pytest.raises(ArithmeticError, match="does not converge"):
        normal_mean(
            lambda z, a: -((a * (z - 1e-3)) ** 2) / 2,
            lambda z, a: -(a**2) * (z - 1e-3),
            np.array([-1.0]),
            np.array([1.0]),
            (sharp,),
        )
