"""Accuracies from the margin: next token (17), its variances, and rollout (18).

Everything is carried as an error, 1 - accuracy, so that it keeps its digits when almost nothing
goes wrong any more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from meanfield import generated
from meanfield.parameters import Parameters

Array = NDArray[np.float64]

LOG_SQRT_2PI = math.log(2 * math.pi) / 2

REACH = 8.6  # of the integration window, each side of the peak: exp(-REACH^2 / 2) < 1e-16
INTERVALS = 48  # of the window to begin with, doubled until the sum has settled
MOST_INTERVALS = 48 * 2**8
SETTLED = 1e-10  # change from n/2 to n intervals; what n intervals still miss is far less


def logit_deviations(
    parameters: Parameters, *, R: Any, U_gained: Any, V_gained: Any, overlap: float | None = None
) -> tuple[Array, Array]:
    """Return (sigma_c, sigma_o): spread of the right and of any other logit, from theory, no fit.

    In the mean-field solution W_k = W_k(0) + u (P_k - P) + v (P - 1/N), with P the mean of the K
    permutation matrices. U_gained and V_gained are what U = Q - S and V = Q + (K - 1) S have grown
    by; u and v follow (X4c), (X4d). The spread (X6a), (X6b) is over seeds and data alike; the T - 1
    attention weights beside the right one are taken as equal. overlap: of the vocabulary (58), 1/N
    unless given.
    """
    N = parameters.N
    return deviations(
        R=R,
        U_gained=U_gained,
        V_gained=V_gained,
        overlap=1 / N if overlap is None else overlap,
        w_variance=parameters.w_variance,
        N=N,
        K=parameters.K,
        T=parameters.T,
    )


def deviations(
    *,
    R: Any,
    U_gained: Any,
    V_gained: Any,
    overlap: Any,
    w_variance: Any,
    N: Any,
    K: Any,
    T: Any,
) -> tuple[Array, Array]:
    """Return the same for many parameter sets at once; the arguments broadcast."""
    u = generated.retrieval_part(U_gained, 0.0, overlap)
    v = generated.heuristic_part(V_gained, 0.0, overlap, N, K)
    variances = generated.logit_variances(u, v, R, w_variance, N, K, T)
    sigma_c, sigma_o = (np.sqrt(variance) for variance in variances)
    return sigma_c, sigma_o


def next_token_error(margin: Any, sigma_c: Any, sigma_o: Any, N: Any) -> Array:
    """Return 1 - a (17): how often the largest of N Gaussian logits is not the right one.

    The right logit has mean ``margin`` and deviation sigma_c, every other mean 0 and deviation
    sigma_o. The arguments broadcast. The relative accuracy is 1e-10 or better down to 1e-300.
    """
    margin, sigma_c, sigma_o, N = np.broadcast_arrays(
        *(np.asarray(value, float) for value in (margin, sigma_c, sigma_o, N))
    )
    error = 0.5 * (1 - np.sign(margin))  # no noise: right, wrong, or a tie of N
    error = np.where(margin == 0, 1 - 1 / N, error)
    narrow = (sigma_o > 0) & (sigma_c <= sigma_o)
    wide = sigma_c > sigma_o
    if np.any(narrow):
        error[narrow] = _over_right(
            margin[narrow] / sigma_o[narrow], sigma_c[narrow] / sigma_o[narrow], N[narrow]
        )
    if np.any(wide):
        error[wide] = _over_others(
            margin[wide] / sigma_c[wide], sigma_o[wide] / sigma_c[wide], N[wide]
        )
    return error


def rollout_error(margin: Any, sigma_c: Any, sigma_o: Any, N: Any, T: Any) -> Array:
    """Return 1 - P_T (18) for the same logits: how often the state after T steps is wrong."""
    return np.asarray(generated.rollout_error(next_token_error(margin, sigma_c, sigma_o, N), N, T))


def _over_right(x: Array, ratio: Array, N: Array) -> Array:
    """Integrate (17) over the right logit, x + ratio * z in units of sigma_o; ratio <= 1."""

    def log_f(z: Array, x: Array, ratio: Array, N: Array) -> Array:
        return np.asarray(generated.log_any_above(x + ratio * z, N))

    def slope(z: Array, x: Array, ratio: Array, N: Array) -> Array:
        y = x + ratio * z
        log_density = np.log(N - 1) + (N - 2) * log_ndtr(y) - y**2 / 2 - LOG_SQRT_2PI
        return -ratio * np.exp(log_density - generated.log_any_above(y, N))

    # the hazard rate of the largest of several normals is below that of one, max(y, 0) + 1
    low = -ratio * (np.maximum(x, 0) + 1)
    return _gaussian_mean(log_f, slope, low, np.zeros_like(x), (x, ratio, N))


def _over_others(x: Array, ratio: Array, N: Array) -> Array:
    """Integrate (17) by parts, over the largest other logit; units of sigma_c, ratio < 1."""

    def log_f(z: Array, x: Array, ratio: Array, N: Array) -> Array:
        return np.asarray(generated.log_right_below(z, x, 1.0, ratio, N))

    def slope(z: Array, x: Array, ratio: Array, N: Array) -> Array:
        return (N - 2) * _reverse_hazard(z) + ratio * _reverse_hazard(ratio * z - x)

    high = np.sqrt(2 * np.log(N)) + 1 + ratio * (np.maximum(x, 0) + 1)
    return _gaussian_mean(log_f, slope, np.zeros_like(x), high, (x, ratio, N))


def _gaussian_mean(
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
            raise ArithmeticError("the next-token accuracy integral (17) does not converge")
        step = 2 * REACH / intervals
        intervals *= 2
        total[unsettled] += summed(unsettled, np.arange(-REACH + step / 2, REACH, step))
        before = mean[unsettled]
        mean[unsettled] = total[unsettled] * (step / 2)
        unsettled = unsettled[np.abs(mean[unsettled] - before) > SETTLED * mean[unsettled]]
    return mean


def _reverse_hazard(y: Array) -> Array:
    """Return the normal density over the normal distribution function."""
    return np.asarray(np.exp(-(y**2) / 2 - LOG_SQRT_2PI - log_ndtr(y)))
