"""Means over a standard normal variable, with all digits however small they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LOG_SQRT_2PI = math.log(2 * math.pi) / 2

REACH = 8.6  # of the integration window, each side of the peak: exp(-REACH^2 / 2) < 1e-16
INTERVALS = 48  # of the window to begin with, doubled until the sum has settled
MOST_INTERVALS = 48 * 2**8
SETTLED = 1e-10  # change from n/2 to n intervals; what n intervals still miss is far less


def normal_mean(
    log_f: Callable[..., Array],
    slope: Callable[..., Array],
    low: Array,
    high: Array,
    rows: tuple[Array, ...],
) -> Array:
    """Return the mean of f(z, *row) over a standard normal z for each row; log f is concave in z.

    slope is the derivative of log f; the peak of the integrand lies between low and high. The rule
    is the trapezoid one around that peak: a concave log f makes the integrand fall off at least
    like the normal density, so one window holds it, and as it is analytic the rule converges
    exponentially, like Gauss-Hermite, which has no nodes where the integrand of a tiny error sits.
    """
    for _ in range(14):
        middle = (low + high) / 2
        rising = slope(middle, *rows) > middle
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    peak = (low + high) / 2

    def summed(open_rows: Any, offsets: Array) -> Array:
        z = peak[open_rows, None] + offsets
        f = log_f(z, *(values[open_rows, None] for values in rows))
        return np.asarray(np.sum(np.exp(f - z**2 / 2 - LOG_SQRT_2PI), axis=1))

    intervals = INTERVALS
    total = summed(slice(None), np.linspace(-REACH, REACH, intervals + 1))
    mean = total * (2 * REACH / intervals)
    unsettled = np.arange(len(peak))
    while unsettled.size:
        if intervals >= MOST_INTERVALS:
            raise ArithmeticError("an integral over a normal variable does not converge")
        step = 2 * REACH / intervals
        intervals *= 2
        total[unsettled] += summed(unsettled, np.arange(-REACH + step / 2, REACH, step))
        before = mean[unsettled]
        mean[unsettled] = total[unsettled] * (step / 2)
        unsettled = unsettled[np.abs(mean[unsettled] - before) > SETTLED * mean[unsettled]]
    return mean
