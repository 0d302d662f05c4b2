"""The theory as numbers. Written by ``python -m derivations.generate``: do not edit.

Every function broadcasts over its arguments and is safe at any margin; the numbers in brackets are
the equations it is taken from (``python -m derivations NUMBER`` shows the derivation). ``rate`` is
gamma (14) for the linear closure and g_0 (70b) for the quadratic one; ``logit_R`` is
log(R/(1 - R)), ``missing`` is 1 - R, ``Delta`` is the margin, ``hit`` is 1 - g, U is Q - S and V is
Q + (K - 1) S. Sizes are made floats because products of large integers overflow.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, expit, gammaln, log_expit, log_ndtr, wrightomega

Real: TypeAlias = "float | NDArray[np.float64]"


def nominal_retrieval(T: Real) -> Real:
    """R at the start. (15g)"""
    T = 1.0 * T
    return 1 / T


def nominal_overlap(C: Real, N: Real) -> Real:
    """Q and S at the start. (15h), (15i)"""
    N = 1.0 * N
    return C / N


def power_frequency(r: Real, d: Real, rope_theta: Real) -> Real:
    """Frequency of RoPE plane r = 0..d/2 - 1, radians a position. (5b)"""
    d = 1.0 * d
    return rope_theta ** (-2 * r / d)


def linear_frequency(r: Real, d: Real, rope_theta: Real) -> Real:
    """Frequency of RoPE plane r = 0..d/2 - 1 on a linear grid. (5f)"""
    d = 1.0 * d
    return 1 - (1 - 1 / rope_theta) * (2 * r / d)


def uniform_variance(width: Real) -> Real:
    """Variance of entries drawn uniformly from an interval about 0 of this half-width. (3b)"""
    return width**2 / 3


def uniform_width(variance: Real) -> Real:
    """Half-width of the interval about 0 whose uniform entries have this variance. (3b)"""
    return np.sqrt(3 * variance)


def wrong_attention(missing: Real, T: Real) -> Real:
    """Attention on each of the T - 1 wrong actions when they share what R leaves. (70a)"""
    T = 1.0 * T
    return missing / (T - 1)


def mean_overlap(N: Real) -> Real:
    """Overlap of independent permutations, on average. (76b), (58c)"""
    N = 1.0 * N
    return 1 / N


def measured_overlap(squares: Real, N: Real, K: Real) -> Real:
    """Overlap of K permutations; squares sums (permutations that take x to n)^2 over x, n.

    (57), (58), (58b)
    """
    N, K = 1.0 * N, 1.0 * K
    return (squares - N * K) / (N * K * (K - 1))


def chance_of_equal(N: Real, K: Real) -> Real:
    """Chance that of K independent permutations two or more are equal; N at most 25. (76c)"""
    N, K = 1.0 * N, 1.0 * K
    M = np.exp(gammaln(N + 1))
    return -np.expm1(gammaln(K) - betaln(M - K + 1, K) - K * np.log(M))


def chance_of_all_equal(N: Real, K: Real) -> Real:
    """Chance that all of them are equal. (76d)"""
    N, K = 1.0 * N, 1.0 * K
    return np.exp((1 - K) * gammaln(N + 1))


def least_overlap(N: Real, K: Real) -> Real:
    """The least that it can be. (58d)"""
    N, K = 1.0 * N, 1.0 * K
    return (K / N - 1) / (K - 1)


def margin(R: Real, Q: Real, S: Real, C: Real, N: Real, K: Real) -> Real:
    """Lead of the right state's mean logit over the others'. (11), (12b)"""
    N, K = 1.0 * N, 1.0 * K
    y_c = (R + (1 - R) / K) * Q + (1 - R) * (1 - 1 / K) * S
    return (N * y_c - C) / (N - 1)


def loss(Delta: Real, N: Real) -> Real:
    """Mean-field loss. (10)"""
    N = 1.0 * N
    return np.logaddexp(0, np.log(N - 1) - Delta)


def error_signal(Delta: Real, N: Real) -> Real:
    """g = 1 - p_correct under the mean logits. (43)"""
    N = 1.0 * N
    return expit(np.log(N - 1) - Delta)


def driven_rates(R: Real, missing: Real, Q: Real, S: Real, C: Real, N: Real, K: Real) -> Any:
    """(F, dQ/dt, dS/dt): the drive on attention and the rates of the logic. (61b), (15b), (15c)"""
    N, K = 1.0 * N, 1.0 * K
    y_c = (R + missing / K) * Q + missing * (1 - 1 / K) * S
    Delta = (N * y_c - C) / (N - 1)
    g = expit(np.log(N - 1) - Delta)
    return (
        g * (N / (N - 1)) * ((K - 1) / K) * (Q - S),
        g / (N * K) * (R + missing / K),
        g / (N * K) * (missing / K),
    )


def driven_jacobian(R: Real, missing: Real, Q: Real, S: Real, C: Real, N: Real, K: Real) -> Any:
    """Derivatives of the driven rates (rows) in (logit R, Q, S) (columns).

    (61b), (15b), (15c), (43b)
    """
    N, K = 1.0 * N, 1.0 * K
    y_c = (R + missing / K) * Q + missing * (1 - 1 / K) * S
    Delta = (N * y_c - C) / (N - 1)
    g = expit(np.log(N - 1) - Delta)
    hit = expit(Delta - np.log(N - 1))
    margin_by_logit_R = N / (N - 1) * ((K - 1) / K) * (Q - S) * R * missing
    margin_by_Q = N / (N - 1) * (R + missing / K)
    margin_by_S = N / (N - 1) * ((K - 1) / K) * missing
    F = g * (N / (N - 1)) * ((K - 1) / K) * (Q - S)
    dQ = g / (N * K) * (R + missing / K)
    dS = g / (N * K) * (missing / K)
    F_by_gap = g * (N / (N - 1)) * ((K - 1) / K)
    return (
        (
            -hit * F * margin_by_logit_R,
            F_by_gap - hit * F * margin_by_Q,
            -F_by_gap - hit * F * margin_by_S,
        ),
        (
            g / (N * K) * ((K - 1) / K) * R * missing - hit * dQ * margin_by_logit_R,
            -hit * dQ * margin_by_Q,
            -hit * dQ * margin_by_S,
        ),
        (
            -g / (N * K) * (R * missing / K) - hit * dS * margin_by_logit_R,
            -hit * dS * margin_by_Q,
            -hit * dS * margin_by_S,
        ),
    )


def form_factor(omega: Real, T: Real) -> Real:
    """phi of RoPE planes of frequencies omega (radians a position), 0 if they do not resolve T.

    (14b), (14c)
    """
    T = 1.0 * T
    omega = omega - 2 * np.pi * np.rint(omega / (2 * np.pi))
    x = (omega * T) ** 2
    w = 1 / T**2
    c_1 = (1 - w) / 12
    c_2 = -(1 - w) * (2 - 3 * w) / 720
    c_3 = (1 - w) * (1 - 2 * w) * (3 - 5 * w) / 60480
    c_4 = -(1 - w) * (2 - 3 * w) * (1 - 5 * w + 7 * w**2) / 3628800
    c_5 = (1 - w) * (1 - 3 * w) * (2 - 14 * w + 37 * w**2 - 30 * w**3) / 479001600
    slow = T * np.abs(omega) < 1 / 4
    resolved = np.where(slow, 1, omega)
    by_series = x * (c_1 + x * (c_2 + x * (c_3 + x * (c_4 + x * c_5))))
    by_closed_form = 1 - (np.sin(T * resolved / 2) / (T * np.sin(resolved / 2))) ** 2
    return np.where(slow, by_series, by_closed_form)[()]


def closure_rate_linear(phi: Real, qk_variance: Real, d: Real, T: Real) -> Real:
    """gamma; phi: form factors, planes on the last axis, 0 for one that is not there. (14)"""
    d, T = 1.0 * d, 1.0 * T
    return 4 * qk_variance / (d * (T - 1)) * np.sum(phi**2, axis=-1)


def closure_rate_quadratic(phi: Real, qk_variance: Real, d: Real, T: Real) -> Real:
    """g_0; phi: form factors, planes on the last axis, 0 for one that is not there. (70b)"""
    d, T = 1.0 * d, 1.0 * T
    return 4 * qk_variance / d * (T / (T - 1)) ** 2 * np.sum(phi**2, axis=-1)


def gradient_linear(R: Real, rate: Real) -> Real:
    """G = |grad_q R|^2 + |grad_k R|^2, linear closure. (71a)"""
    return rate * R * (1 - R)


def growth_linear(logit_R: Real, rate: Real) -> Real:
    """Growth rate of logit R per unit of the drive F. (15f), (71a)"""
    return rate * np.ones_like(logit_R, dtype=float)


def growth_slope_linear(logit_R: Real, rate: Real) -> Real:
    """Derivative of that growth in logit R. (15f), (71a)"""
    return np.zeros_like(logit_R, dtype=float)[()]


def bend_linear(logit_R: Real) -> Real:
    """What steps change in the growth of logit R, over its square and minus lr/2. (X7c), (71a)"""
    R = expit(logit_R)
    return 1 / 2 - R


def gradient_quadratic(R: Real, rate: Real) -> Real:
    """G = |grad_q R|^2 + |grad_k R|^2, quadratic closure. (71b)"""
    return rate * R**2 * (1 - R) ** 2


def growth_quadratic(logit_R: Real, rate: Real) -> Real:
    """Growth rate of logit R per unit of the drive F. (15f), (71b)"""
    R = expit(logit_R)
    missing = expit(-logit_R)
    return rate * R * missing


def growth_slope_quadratic(logit_R: Real, rate: Real) -> Real:
    """Derivative of that growth in logit R. (15f), (71b)"""
    R = expit(logit_R)
    missing = expit(-logit_R)
    return rate * R * missing * (missing - R)


def bend_quadratic(logit_R: Real) -> Real:
    """What steps change in the growth of logit R, over its square and minus lr/2. (X7c), (71b)"""
    return np.zeros_like(logit_R, dtype=float)[()]


def rate_constant(N: Real, K: Real, rate: Real) -> Real:
    """kappa, the one constant of the curves in internal time. (X1d)"""
    N, K = 1.0 * N, 1.0 * K
    return N**2 * ((K - 1) / (N - 1)) * rate


def total(U: Real, S: Real, K: Real) -> Real:
    """V = Q + (K - 1) S from U = Q - S and S. (X1e)"""
    K = 1.0 * K
    return U + K * S


def margin_by_gap(R: Real, U: Real, V: Real, C: Real, N: Real, K: Real) -> Real:
    """Margin. (X3b)"""
    N, K = 1.0 * N, 1.0 * K
    return (N * (V / K + (1 - 1 / K) * R * U) - C) / (N - 1)


def gap_square_slope(logit_R: Real, G: Real, kappa: Real) -> Real:
    """Derivative of U^2/2 in logit R where attention has the gradient G; kappa of rate 1.

    (X2a), (X1d)
    """
    R = expit(logit_R)
    missing = expit(-logit_R)
    return R**2 * missing / (kappa * G)


def off_target_slope(missing: Real, K: Real) -> Real:
    """dS/dV along a solution. (15c), (X1b)"""
    K = 1.0 * K
    return missing / K


def time_slope(Delta: Real, N: Real, K: Real) -> Real:
    """dt/dV along a solution. (X1b), (43)"""
    N, K = 1.0 * N, 1.0 * K
    g = expit(np.log(N - 1) - Delta)
    return N * K / g


def thermodynamic_pace(N: Real, K: Real) -> Real:
    """What the thermodynamic limit makes of the growth of R: this many times as fast.

    (15a), (15e)
    """
    N, K = 1.0 * N, 1.0 * K
    return (N - 1) * K / (N * (K - 1))


def logit_R_linear(U: Real, U0: Real, logit_R0: Real, kappa: Real) -> Real:
    """logit R along a solution of the linear closure; nan below R = 0, outside the basin. (X2b)"""
    log_missing = log_expit(-logit_R0) - kappa * (U - U0) * (U + U0) / 2
    return np.log(-np.expm1(log_missing)) - log_missing


def logit_R_quadratic(U: Real, U0: Real, logit_R0: Real, kappa: Real) -> Real:
    """logit R along a solution of the quadratic closure. (X2c)"""
    level = logit_R0 + np.exp(logit_R0) + kappa * (U - U0) * (U + U0) / 2
    odds = wrightomega(level)
    return np.where(level > 0, np.log(np.where(level > 0, odds, 1)), level - odds)[()]


def squared_gap_linear(logit_R: Real, logit_R0: Real, kappa: Real) -> Real:
    """U^2 - U0^2 along a solution of the linear closure. (X2b)"""
    return 2 / kappa * (log_expit(-logit_R0) - log_expit(-logit_R))


def squared_gap_quadratic(logit_R: Real, logit_R0: Real, kappa: Real) -> Real:
    """U^2 - U0^2 along a solution of the quadratic closure. (X2c)"""
    return 2 / kappa * (logit_R - logit_R0 + np.exp(logit_R) - np.exp(logit_R0))


def onset_gap_linear(U0: Real, logit_R0: Real, kappa: Real) -> Real:
    """U = Q - S where R = 1/2: before U0 if R starts above; nan if R was never so low. (X3e)"""
    return np.sqrt(U0**2 + 2 / kappa * (np.log(2) + log_expit(-logit_R0)))


def onset_gap_quadratic(U0: Real, logit_R0: Real, kappa: Real) -> Real:
    """U = Q - S where R = 1/2: before U0 if R starts above; nan if R was never so low. (X3f)"""
    return np.sqrt(U0**2 + 2 / kappa * (1 - logit_R0 - np.exp(logit_R0)))


def basin_gap_linear(logit_R0: Real, kappa: Real) -> Real:
    """The smallest U = Q - S at the start that learns. (X3i)"""
    return -np.sqrt(-2 / kappa * log_expit(-logit_R0))


def log_time_slope(logit_R: Real, Delta: Real, N: Real, K: Real) -> Real:
    """log of dt/dU along a solution. (X3c)"""
    N, K = 1.0 * N, 1.0 * K
    return np.log(N * K) - log_expit(logit_R) - log_expit(np.log(N - 1) - Delta)


def early_time(V: Real, V0: Real, N: Real, K: Real) -> Real:
    """Time to the total V, small margin. (X3g)"""
    N, K = 1.0 * N, 1.0 * K
    return N**2 / (N - 1) * K * (V - V0)


def early_Q(t: Real, Q0: Real, N: Real, K: Real, T: Real) -> Real:
    """Q on the plateau of R. (78a)"""
    N, K, T = 1.0 * N, 1.0 * K, 1.0 * T
    return Q0 + (N - 1) / (N**2 * K) * (1 / T + (1 - 1 / T) / K) * t


def early_S(t: Real, S0: Real, N: Real, K: Real, T: Real) -> Real:
    """S on the plateau of R. (78b)"""
    N, K, T = 1.0 * N, 1.0 * K, 1.0 * T
    return S0 + (N - 1) / (N**2 * K) * ((1 - 1 / T) / K) * t


def onset_time_scale(N: Real, K: Real, T: Real, rate: Real) -> Real:
    """tau, the time scale of the onset (time is eta * epoch). (81c)"""
    N, K, T = 1.0 * N, 1.0 * K, 1.0 * T
    return N * K * np.sqrt(2 * T / (rate * (N - 1) * (K - 1)))


def early_R(t: Real, tau: Real, T: Real) -> Real:
    """R at its onset, saturation kept. (81b)"""
    T = 1.0 * T
    return expit(t**2 / tau**2 - np.log(T - 1))


def excess_slope(
    R: Real,
    U: Real,
    e: Real,
    R_slope: Real,
    log_e_slope: Real,
    log_G_slope: Real,
) -> Real:
    """Slope of D; e is the pace of internal time, in any unit. (X7g)"""
    return e * U / 2 * (R * log_e_slope + 2 * R_slope - R * log_G_slope / 2)


def total_ahead_slope(U: Real, e: Real, D: Real, log_G_slope: Real, V_slope: Real) -> Real:
    """Slope of v, e/2 at the start. (X7h)"""
    return D / U**2 * V_slope + e * log_G_slope / 4


def lag_slope(
    R: Real,
    U: Real,
    Delta: Real,
    e: Real,
    D: Real,
    v: Real,
    log_e_slope: Real,
    log_G_slope: Real,
    V_slope: Real,
    N: Real,
    K: Real,
) -> Real:
    """Slope of the lag in epochs, 1/2 at the start. (X7i)"""
    N, K = 1.0 * N, 1.0 * K
    hit = expit(Delta - np.log(N - 1))
    margin_ahead = N / (N - 1) * ((1 - 1 / K) * R * (e * R / 2 - D / U) + v / K)
    return log_e_slope / 2 + log_G_slope / 4 + V_slope * (D / U**2 + hit * margin_ahead) / e


def onset_total_slope(x: Real, T: Real) -> Real:
    """1/R at x = sqrt(kappa) U. (X9a)"""
    T = 1.0 * T
    return 1 / (np.exp(-x**2 / 2) / T - np.expm1(-x**2 / 2))


def onset_total_end(T: Real) -> Real:
    """x at the onset. (X9a)"""
    T = 1.0 * T
    return np.sqrt(2 * np.log(2 * (1 - 1 / T)))


def small_margin_onset(h: Real, N: Real, K: Real, rate: Real) -> Real:
    """Training time of the onset; h is the integral of onset_total_slope to its end. (X9b)"""
    N, K = 1.0 * N, 1.0 * K
    return N * K * h / np.sqrt(rate * (N - 1) * (K - 1))


def onset_exponent_N(N: Real) -> Real:
    """Its local exponent in N, at fixed K. (X9c)"""
    N = 1.0 * N
    return (N - 2) / (2 * (N - 1))


def onset_exponent_K(K: Real) -> Real:
    """Its local exponent in K, at fixed N. (X9d)"""
    K = 1.0 * K
    return (K - 2) / (2 * (K - 1))


def onset_exponent_both(N: Real) -> Real:
    """Its local exponent in N, at K = N. (X9e)"""
    N = 1.0 * N
    return (N - 2) / (N - 1)


def log_any_above(y: Real, N: Real) -> Real:
    """log of the chance that the largest of N - 1 standard normals exceeds y. (17b)"""
    N = 1.0 * N
    far = y > 30
    alone = np.log(N - 1) + log_ndtr(-y)
    together = np.log(-np.expm1((N - 1) * log_ndtr(np.where(far, 0, y))))
    return np.where(far, alone, together)[()]


def log_any_above_slope(y: Real, N: Real) -> Real:
    """Derivative of log_any_above in y. (17b)"""
    N = 1.0 * N
    far = y > 30
    alone = np.log(N - 1) + log_ndtr(-y)
    together = np.log(-np.expm1((N - 1) * log_ndtr(np.where(far, 0, y))))
    log_above = np.where(far, alone, together)
    log_density = np.log(N - 1) + (N - 2) * log_ndtr(y) - y**2 / 2 - np.log(2 * np.pi) / 2
    return -np.exp(log_density - log_above)


def log_right_below(w: Real, Delta: Real, sigma_c: Real, sigma_o: Real, N: Real) -> Real:
    """log of what the largest other logit, w deviations above its mean, adds to 1 - a. (17c)"""
    N = 1.0 * N
    return np.log(N - 1) + (N - 2) * log_ndtr(w) + log_ndtr((sigma_o * w - Delta) / sigma_c)


def log_right_below_slope(w: Real, Delta: Real, sigma_c: Real, sigma_o: Real, N: Real) -> Real:
    """Derivative of log_right_below in w. (17c)"""
    N = 1.0 * N
    beside = (sigma_o * w - Delta) / sigma_c
    hazard = np.exp(-w**2 / 2 - np.log(2 * np.pi) / 2 - log_ndtr(w))
    right_hazard = np.exp(-beside**2 / 2 - np.log(2 * np.pi) / 2 - log_ndtr(beside))
    return (N - 2) * hazard + sigma_o / sigma_c * right_hazard


def rollout_error(error: Real, N: Real, T: Real) -> Real:
    """Probability that the state after T steps is wrong; error = 1 - a, however small. (18b)"""
    N, T = 1.0 * N, 1.0 * T
    informed = error < (N - 1) / N
    by_logarithm = (
        -(1 - 1 / N) * np.expm1(T * np.log1p(-N * np.where(informed, error, 0) / (N - 1)))
    )
    by_power = (1 - 1 / N) * (1 - (1 - N * error / (N - 1)) ** T)
    return np.where(informed, by_logarithm, by_power)[()]


def retrieval_part(U: Real, U0: Real, overlap: Real) -> Real:
    """Weight u of P_k - mean; overlap below 1, as equal permutations leave no such part. (X4c)"""
    return (U - U0) / (1 - overlap)


def heuristic_part(V: Real, V0: Real, overlap: Real, N: Real, K: Real) -> Real:
    """Weight v of mean - J/N; overlap above the least, where the mean is J/N. (X4d)"""
    N, K = 1.0 * N, 1.0 * K
    return (V - V0) / (1 + (K - 1) * overlap - K / N)


def logit_variances(u: Real, v: Real, R: Real, w_variance: Real, N: Real, K: Real, T: Real) -> Any:
    """Variances (sigma_c^2, sigma_o^2) of the right logit and of any other. (X6a), (X6b)"""
    N, K, T = 1.0 * N, 1.0 * K, 1.0 * T
    missing = 1 - R
    I_2 = missing**2 / (T - 1)
    from_start = w_variance * (1 / K + (1 - 1 / K) * (R**2 + I_2))
    common = (K - 1) * (N - 1) / (N * K) ** 2
    lead = v - u
    shared = common * lead * (lead + 2 * missing * u)
    own_c = common * (missing**2 + (N + K - 2) * I_2)
    own_o = common * (missing**2 + (K - 1 + 1 / (N - 1)) * I_2)
    variance_c = from_start + shared + own_c * u**2
    variance_o = from_start + shared + own_o * u**2
    return (
        variance_c,
        variance_o,
    )


def corrected_loss(
    R: Real,
    Q: Real,
    S: Real,
    Q0: Real,
    S0: Real,
    C: Real,
    overlap: Real,
    w_variance: Real,
    N: Real,
    K: Real,
    T: Real,
) -> Real:
    """Loss with the fluctuations of the logits to second order. (X8d), (X3b)"""
    N, K, T = 1.0 * N, 1.0 * K, 1.0 * T
    gap_gain = 1 - overlap
    total_gain = 1 + (K - 1) * overlap - K / N
    U = Q - S
    V = Q + (K - 1) * S
    u = (U - (Q0 - S0)) / gap_gain
    v = (V - (Q0 + (K - 1) * S0)) / total_gain
    Delta = (N * (V / K + (1 - 1 / K) * R * U) - C) / (N - 1)
    g = expit(np.log(N - 1) - Delta)
    missing = 1 - R
    I_2 = missing**2 / (T - 1)
    from_start = w_variance * (1 / K + (1 - 1 / K) * (R**2 + I_2))
    common = (K - 1) * (N - 1) / (N * K) ** 2
    lead = v - u
    shared = common * lead * (lead + 2 * missing * u)
    own_c = common * (missing**2 + (N + K - 2) * I_2)
    own_o = common * (missing**2 + (K - 1 + 1 / (N - 1)) * I_2)
    variance_c = from_start + shared + own_c * u**2
    variance_o = from_start + shared + own_o * u**2
    by_from_start = -g * (2 * (N - 1) - N * g) / (2 * (N - 1) ** 2)
    by_variance_c = g * (N**2 * (1 - g) - 1) / (2 * (N - 1) ** 2)
    by_variance_o = g / 2
    return (
        np.logaddexp(0, np.log(N - 1) - Delta)
        + by_from_start * from_start
        + by_variance_c * variance_c
        + by_variance_o * variance_o
    )


def corrected_rates(
    R: Real,
    Q: Real,
    S: Real,
    Q0: Real,
    S0: Real,
    C: Real,
    overlap: Real,
    w_variance: Real,
    N: Real,
    K: Real,
    T: Real,
) -> Any:
    """The drive F = -dL/dR on attention, and the time derivatives of Q and S.

    (X8d), (X3b), (X8h), (X8f), (X8g)
    """
    N, K, T = 1.0 * N, 1.0 * K, 1.0 * T
    gap_gain = 1 - overlap
    total_gain = 1 + (K - 1) * overlap - K / N
    U = Q - S
    V = Q + (K - 1) * S
    u = (U - (Q0 - S0)) / gap_gain
    v = (V - (Q0 + (K - 1) * S0)) / total_gain
    Delta = (N * (V / K + (1 - 1 / K) * R * U) - C) / (N - 1)
    g = expit(np.log(N - 1) - Delta)
    missing = 1 - R
    I_2 = missing**2 / (T - 1)
    from_start = w_variance * (1 / K + (1 - 1 / K) * (R**2 + I_2))
    common = (K - 1) * (N - 1) / (N * K) ** 2
    lead = v - u
    shared = common * lead * (lead + 2 * missing * u)
    own_c = common * (missing**2 + (N + K - 2) * I_2)
    own_o = common * (missing**2 + (K - 1 + 1 / (N - 1)) * I_2)
    variance_c = from_start + shared + own_c * u**2
    variance_o = from_start + shared + own_o * u**2
    by_from_start = -g * (2 * (N - 1) - N * g) / (2 * (N - 1) ** 2)
    by_variance_c = g * (N**2 * (1 - g) - 1) / (2 * (N - 1) ** 2)
    by_variance_o = g / 2
    hit = expit(Delta - np.log(N - 1))
    added_by_g = (
        -(N - 1 - N * g) / (N - 1) ** 2 * from_start
        + (N**2 * (1 - 2 * g) - 1) / (2 * (N - 1) ** 2) * variance_c
        + variance_o / 2
    )
    by_margin = -g * (1 + hit * added_by_g)
    squares_by_R = -2 * missing / (T - 1)
    from_start_by_R = w_variance * (1 - 1 / K) * (2 * R + squares_by_R)
    own_c_by_R = common * ((N + K - 2) * squares_by_R - 2 * missing)
    own_o_by_R = common * ((K - 1 + 1 / (N - 1)) * squares_by_R - 2 * missing)
    shared_by_R = -2 * common * lead * u
    shared_by_u = -2 * common * (R * lead + missing * u)
    shared_by_v = 2 * common * (lead + missing * u)
    by_variances = by_variance_c + by_variance_o
    slope_R = (
        by_margin * (N / (N - 1)) * ((K - 1) / K) * U
        + by_from_start * from_start_by_R
        + by_variances * (from_start_by_R + shared_by_R)
        + u**2 * (by_variance_c * own_c_by_R + by_variance_o * own_o_by_R)
    )
    slope_u = (
        by_margin * (N / (N - 1)) * ((K - 1) / K) * R * gap_gain
        + by_variances * shared_by_u
        + 2 * u * (by_variance_c * own_c + by_variance_o * own_o)
    )
    slope_v = by_margin * (N / (N - 1)) / K * total_gain + by_variances * shared_by_v
    gap_rate = -slope_u / (N * (K - 1))
    total_rate = -slope_v / N
    return (
        -slope_R,
        (total_rate + (K - 1) * gap_rate) / K,
        (total_rate - gap_rate) / K,
    )


def plane_waves(omega: Real, m: Real, d: Real) -> Any:
    """Derivatives of the attention logit at offset m in (p_re, p_im). (X5b)"""
    d = 1.0 * d
    return (
        np.cos(omega * m) / np.sqrt(d),
        -np.sin(omega * m) / np.sqrt(d),
    )


def plane_product(q_re: Real, q_im: Real, k_re: Real, k_im: Real) -> Any:
    """(p_re, p_im) = q k^*. (X5a)"""
    return (
        q_re * k_re + q_im * k_im,
        q_im * k_re - q_re * k_im,
    )


def plane_imbalance(q_re: Real, q_im: Real, k_re: Real, k_im: Real) -> Real:
    """|q|^2 - |k|^2. (X5h)"""
    return q_re**2 + q_im**2 - k_re**2 - k_im**2


def plane_size(p_re: Real, p_im: Real, imbalance: Real) -> Real:
    """|q|^2 + |k|^2. (X5i)"""
    return np.sqrt(imbalance**2 + 4 * (p_re**2 + p_im**2))


def mean_size(qk_variance: Real) -> Real:
    """Mean size at the start. (X5n)"""
    return 4 * qk_variance


def product_spread(qk_variance: Real) -> Real:
    """Variance of p_re, and of p_im, at the start. (X5m)"""
    return 2 * qk_variance**2


def size_spread(qk_variance: Real) -> Real:
    """Variance of the size at the start. (X5o)"""
    return 16 * qk_variance**2 / 5


def plane_gradient(H_re: Real, H_im: Real, size: Real) -> Real:
    """What a plane adds to G = |grad_q R|^2 + |grad_k R|^2; H is the gradient of R in p. (X5e)"""
    return size * (H_re**2 + H_im**2)


def product_rates(H_re: Real, H_im: Real, size: Real, F: Real) -> Any:
    """Time derivatives of (p_re, p_im) under the drive F. (X5f)"""
    return (
        F * size * H_re,
        F * size * H_im,
    )


def product_back(
    p_re: Real,
    p_im: Real,
    H_re: Real,
    H_im: Real,
    size: Real,
    F: Real,
    eta: Real,
) -> Any:
    """(p_re, p_im) half a gradient step back. (X7d)"""
    step = eta * F / 2
    square_re = H_re**2 - H_im**2
    square_im = 2 * H_re * H_im
    return (
        p_re - step * size * H_re + step**2 * (square_re * p_re + square_im * p_im),
        p_im - step * size * H_im + step**2 * (square_im * p_re - square_re * p_im),
    )


def product_rates_in_steps(
    p_re: Real,
    p_im: Real,
    H_re: Real,
    H_im: Real,
    H_back_re: Real,
    H_back_im: Real,
    size: Real,
    F: Real,
    F_back: Real,
    eta: Real,
) -> Any:
    """Time derivatives of (p_re, p_im) in steps; F_back, H_back are half a step back. (X7e)"""
    ahead_re = size - eta * F * (H_re * p_re + H_im * p_im)
    ahead_im = -eta * F * (H_re * p_im - H_im * p_re)
    return (
        F_back * (H_back_re * ahead_re - H_back_im * ahead_im),
        F_back * (H_back_im * ahead_re + H_back_re * ahead_im),
    )


def imbalance_rate_in_steps(
    imbalance: Real,
    H_re: Real,
    H_im: Real,
    H_back_re: Real,
    H_back_im: Real,
    F: Real,
    F_back: Real,
    eta: Real,
) -> Real:
    """Time derivative of |q|^2 - |k|^2 in steps. (X7f)"""
    return -eta * F * F_back * imbalance * (H_re * H_back_re + H_im * H_back_im)
