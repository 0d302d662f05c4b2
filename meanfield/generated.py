"""The theory as numbers. Written by ``python -m derivations.generate``: do not edit.

Every function broadcasts over its arguments and is safe at any margin; the numbers in brackets are
the equations it is taken from (``python -m derivations NUMBER`` shows the derivation). ``rate`` is
gamma (14) for the linear closure and g_0 (70b) for the quadratic one; ``logit_R`` is
log(R/(1 - R)), ``missing`` is 1 - R, ``hit`` is 1 - g, U is Q - S and V is Q + (K - 1) S. Sizes are
made floats because products of large integers overflow.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, log_ndtr, wrightomega

Real: TypeAlias = "float | NDArray[np.float64]"


def nominal_retrieval(T: Real) -> Real:
    """R at the start. (15g)"""
    T = 1.0 * T
    return 1 / T


def nominal_overlap(C: Real, N: Real) -> Real:
    """Q and S at the start. (15h), (15i)"""
    N = 1.0 * N
    return C/N


def power_frequency(r: Real, d: Real, rope_theta: Real) -> Real:
    """Frequency of RoPE plane r = 0..d/2 - 1, radians a position. (5b)"""
    d = 1.0 * d
    return rope_theta**(-2*r/d)


def linear_frequency(r: Real, d: Real, rope_theta: Real) -> Real:
    """Frequency on a linear grid of RoPE plane r = 0..d/2 - 1, radians a position. (5d)"""
    d = 1.0 * d
    return 1 - 2*r*(1 - 1/rope_theta)/d


def uniform_variance(width: Real) -> Real:
    """Variance of entries drawn uniformly from an interval about 0 of this half-width. (3b)"""
    return (1 / 3)*width**2


def uniform_width(variance: Real) -> Real:
    """Half-width of the interval about 0 whose uniform entries have this variance. (3b)"""
    return np.sqrt(3*variance)


def wrong_attention(missing: Real, T: Real) -> Real:
    """Attention on each of the T - 1 wrong actions when they share what R leaves. (70a)"""
    T = 1.0 * T
    return missing/(T - 1)


def mean_overlap(N: Real) -> Real:
    """Overlap of independent permutations, on average. (76b)"""
    N = 1.0 * N
    return 1 / N


def measured_overlap(squares: Real, N: Real, K: Real) -> Real:
    """Overlap of K permutations; squares sums (permutations that take x to n)^2 over x, n.

    (57), (58), (58b)
    """
    N, K = 1.0 * N, 1.0 * K
    return -(K*N - squares)/(K*N*(K - 1))


def least_overlap(N: Real, K: Real) -> Real:
    """The least that it can be. (58c)"""
    N, K = 1.0 * N, 1.0 * K
    return (K - N)/(N*(K - 1))


def correct_logit(R: Real, Q: Real, S: Real, K: Real) -> Real:
    """Mean logit of the right state. (11)"""
    K = 1.0 * K
    return Q*(R + (1 - R)/K) + S*(1 - R)*(K - 1)/K


def other_logit(y_c: Real, C: Real, N: Real) -> Real:
    """Mean logit of any other. (12)"""
    N = 1.0 * N
    return (C - y_c)/(N - 1)


def margin(R: Real, Q: Real, S: Real, C: Real, N: Real, K: Real) -> Real:
    """Lead of the right state's mean logit over the others'. (11), (12b)"""
    N, K = 1.0 * N, 1.0 * K
    y_c = Q*(R + (1 - R)/K) + S*(1 - R)*(K - 1)/K
    return -(C - N*y_c)/(N - 1)


def loss(margin: Real, N: Real) -> Real:
    """Mean-field loss. (10)"""
    N = 1.0 * N
    return np.logaddexp(0, -margin + np.log(N - 1))


def error_signal(margin: Real, N: Real) -> Real:
    """g = 1 - p_correct under the mean logits. (43)"""
    N = 1.0 * N
    return expit(-margin + np.log(N - 1))


def log_error_signal(margin: Real, N: Real) -> Real:
    """log g. (43)"""
    N = 1.0 * N
    return log_expit(-margin + np.log(N - 1))


def attention_drive(R: Real, Q: Real, S: Real, C: Real, N: Real, K: Real) -> Real:
    """F = -dL/dR. (61b)"""
    N, K = 1.0 * N, 1.0 * K
    y_c = Q*(R + (1 - R)/K) + S*(1 - R)*(K - 1)/K
    margin = -(C - N*y_c)/(N - 1)
    g = expit(-margin + np.log(N - 1))
    return N*g*(K - 1)*(Q - S)/(K*(N - 1))


def form_factor(omega: Real, T: Real) -> Real:
    """phi of RoPE planes of frequencies omega (radians a position), 0 if they do not resolve T.

    (14b), (14c)
    """
    T = 1.0 * T
    omega = omega - 2*np.pi*np.rint((1 / 2)*omega/np.pi)
    x = T**2*omega**2
    w = 1 / T**2
    c_1 = -1 / 12*(w - 1)
    c_2 = -1 / 720*(w - 1)*(3*w - 2)
    c_3 = -1 / 60480*(w - 1)*(2*w - 1)*(5*w - 3)
    c_4 = -1 / 3628800*(w - 1)*(3*w - 2)*(7*w**2 - 5*w + 1)
    c_5 = -1 / 479001600*(w - 1)*(3*w - 1)*(30*w**3 - 37*w**2 + 14*w - 2)
    slow = T*np.abs(omega) < 1 / 4
    resolved = np.where(slow, 1, omega)
    by_series = x*(c_1 + x*(c_2 + x*(c_3 + x*(c_4 + c_5*x))))
    by_closed_form = 1 - np.sin((1 / 2)*T*resolved)**2/(T**2*np.sin((1 / 2)*resolved)**2)
    return np.where(slow, by_series, by_closed_form)[()]


def closure_rate_linear(phi: Real, qk_variance: Real, d: Real, T: Real) -> Real:
    """gamma; phi: form factors, planes on the last axis, 0 for one that is not there. (14)"""
    d, T = 1.0 * d, 1.0 * T
    return 4*qk_variance*np.sum(phi**2, axis=-1)/(d*(T - 1))


def closure_rate_quadratic(phi: Real, qk_variance: Real, d: Real, T: Real) -> Real:
    """g_0; phi: form factors, planes on the last axis, 0 for one that is not there. (70b)"""
    d, T = 1.0 * d, 1.0 * T
    return 4*T**2*qk_variance*np.sum(phi**2, axis=-1)/(d*(T - 1)**2)


def linear_rate(sum_phi2: Real, qk_variance: Real, d: Real, T: Real) -> Real:
    """gamma; sum_phi2 is the sum of form_factor squared over the d/2 planes. (14)"""
    d, T = 1.0 * d, 1.0 * T
    return 4*qk_variance*sum_phi2/(d*(T - 1))


def quadratic_rate(sum_phi2: Real, qk_variance: Real, d: Real, T: Real) -> Real:
    """g_0; sum_phi2 is the sum of form_factor squared over the d/2 planes. (70b)"""
    d, T = 1.0 * d, 1.0 * T
    return 4*T**2*qk_variance*sum_phi2/(d*(T - 1)**2)


def gradient_linear(R: Real, rate: Real) -> Real:
    """G = |grad_q R|^2 + |grad_k R|^2, linear closure. (71a)"""
    return R*rate*(1 - R)


def gradient_quadratic(R: Real, rate: Real) -> Real:
    """G = |grad_q R|^2 + |grad_k R|^2, quadratic closure. (71b)"""
    return R**2*rate*(R - 1)**2


def driven_rates(R: Real, missing: Real, Q: Real, S: Real, C: Real, N: Real, K: Real) -> Any:
    """(F, dQ/dt, dS/dt): the drive on attention and the rates of the logic. (61b), (15b), (15c)"""
    N, K = 1.0 * N, 1.0 * K
    y_c = Q*(R + missing/K) + S*missing*(K - 1)/K
    margin = -(C - N*y_c)/(N - 1)
    g = expit(-margin + np.log(N - 1))
    return (
        N*g*(K - 1)*(Q - S)/(K*(N - 1)),
        g*(R + missing/K)/(K*N),
        g*missing/(K**2*N),
    )


def driven_jacobian(R: Real, missing: Real, Q: Real, S: Real, C: Real, N: Real, K: Real) -> Any:
    """Derivatives of the driven rates (rows) in (logit R, Q, S) (columns).

    (61b), (15b), (15c), (43b)
    """
    N, K = 1.0 * N, 1.0 * K
    y_c = Q*(R + missing/K) + S*missing*(K - 1)/K
    margin = -(C - N*y_c)/(N - 1)
    g = expit(-margin + np.log(N - 1))
    F = N*g*(K - 1)*(Q - S)/(K*(N - 1))
    dQ = g*(R + missing/K)/(K*N)
    dS = g*missing/(K**2*N)
    hit = expit(margin - np.log(N - 1))
    margin_by_logit_R = N*R*missing*(K - 1)*(Q - S)/(K*(N - 1))
    margin_by_Q = N*(R + missing/K)/(N - 1)
    margin_by_S = N*missing*(K - 1)/(K*(N - 1))
    return (
        (
            -F*hit*margin_by_logit_R,
            -F*hit*margin_by_Q + N*g*(K - 1)/(K*(N - 1)),
            -F*hit*margin_by_S - N*g*(K - 1)/(K*(N - 1)),
        ),
        (
            -dQ*hit*margin_by_logit_R + R*g*missing*(K - 1)/(K**2*N),
            -dQ*hit*margin_by_Q,
            -dQ*hit*margin_by_S,
        ),
        (
            -dS*hit*margin_by_logit_R - R*g*missing/(K**2*N),
            -dS*hit*margin_by_Q,
            -dS*hit*margin_by_S,
        ),
    )


def rhs_linear(logit_R: Real, Q: Real, S: Real, C: Real, N: Real, K: Real, rate: Real) -> Any:
    """Time derivatives of (logit R, Q, S), time is eta * epoch. (15f), (71a), (15b), (15c)"""
    N, K = 1.0 * N, 1.0 * K
    R = expit(logit_R)
    missing = expit(-logit_R)
    y_c = Q*(R + missing/K) + S*missing*(K - 1)/K
    margin = -(C - N*y_c)/(N - 1)
    g = expit(-margin + np.log(N - 1))
    return (
        N*g*rate*(K - 1)*(Q - S)/(K*(N - 1)),
        g*(R + missing/K)/(K*N),
        g*missing/(K**2*N),
    )


def jacobian_linear(logit_R: Real, Q: Real, S: Real, C: Real, N: Real, K: Real, rate: Real) -> Any:
    """Derivatives of the three rates (rows) in (logit R, Q, S) (columns).

    (15f), (71a), (15b), (15c)
    """
    N, K = 1.0 * N, 1.0 * K
    R = expit(logit_R)
    missing = expit(-logit_R)
    y_c = Q*(R + missing/K) + S*missing*(K - 1)/K
    margin = -(C - N*y_c)/(N - 1)
    g = expit(-margin + np.log(N - 1))
    dlogit_R = N*g*rate*(K - 1)*(Q - S)/(K*(N - 1))
    dQ = g*(R + missing/K)/(K*N)
    dS = g*missing/(K**2*N)
    hit = expit(margin - np.log(N - 1))
    margin_by_logit_R = N*R*missing*(K - 1)*(Q - S)/(K*(N - 1))
    margin_by_Q = N*(R + missing/K)/(N - 1)
    margin_by_S = N*missing*(K - 1)/(K*(N - 1))
    return (
        (
            -dlogit_R*hit*margin_by_logit_R,
            -dlogit_R*hit*margin_by_Q + N*g*rate*(K - 1)/(K*(N - 1)),
            -dlogit_R*hit*margin_by_S - N*g*rate*(K - 1)/(K*(N - 1)),
        ),
        (
            -dQ*hit*margin_by_logit_R + R*g*missing*(K - 1)/(K**2*N),
            -dQ*hit*margin_by_Q,
            -dQ*hit*margin_by_S,
        ),
        (
            -dS*hit*margin_by_logit_R - R*g*missing/(K**2*N),
            -dS*hit*margin_by_Q,
            -dS*hit*margin_by_S,
        ),
    )


def growth_linear(logit_R: Real, rate: Real) -> Real:
    """Growth rate of logit R per unit of the drive F. (15f), (71a)"""
    return rate * np.ones_like(logit_R, dtype=float)


def growth_slope_linear(logit_R: Real, rate: Real) -> Real:
    """Its derivative in logit R. (15f), (71a)"""
    return 0 * np.ones_like(logit_R, dtype=float)


def bend_linear(logit_R: Real) -> Real:
    """What steps change in the growth of logit R, over its square and minus lr/2. (X7c), (71a)"""
    R = expit(logit_R)
    return -1 / 2*(2*R - 1)


def rhs_quadratic(logit_R: Real, Q: Real, S: Real, C: Real, N: Real, K: Real, rate: Real) -> Any:
    """Time derivatives of (logit R, Q, S), time is eta * epoch. (15f), (71b), (15b), (15c)"""
    N, K = 1.0 * N, 1.0 * K
    R = expit(logit_R)
    missing = expit(-logit_R)
    y_c = Q*(R + missing/K) + S*missing*(K - 1)/K
    margin = -(C - N*y_c)/(N - 1)
    g = expit(-margin + np.log(N - 1))
    return (
        N*R*g*missing*rate*(K - 1)*(Q - S)/(K*(N - 1)),
        g*(R + missing/K)/(K*N),
        g*missing/(K**2*N),
    )


def jacobian_quadratic(
    logit_R: Real, Q: Real, S: Real, C: Real, N: Real, K: Real, rate: Real
) -> Any:
    """Derivatives of the three rates (rows) in (logit R, Q, S) (columns).

    (15f), (71b), (15b), (15c)
    """
    N, K = 1.0 * N, 1.0 * K
    R = expit(logit_R)
    missing = expit(-logit_R)
    y_c = Q*(R + missing/K) + S*missing*(K - 1)/K
    margin = -(C - N*y_c)/(N - 1)
    g = expit(-margin + np.log(N - 1))
    dlogit_R = N*R*g*missing*rate*(K - 1)*(Q - S)/(K*(N - 1))
    dQ = g*(R + missing/K)/(K*N)
    dS = g*missing/(K**2*N)
    hit = expit(margin - np.log(N - 1))
    margin_by_logit_R = N*R*missing*(K - 1)*(Q - S)/(K*(N - 1))
    margin_by_Q = N*(R + missing/K)/(N - 1)
    margin_by_S = N*missing*(K - 1)/(K*(N - 1))
    return (
        (
            -dlogit_R*hit*margin_by_logit_R - N*R*g*missing*rate*(K - 1)*(Q - S)*(R - missing)/(K*(N
                - 1)),
            -dlogit_R*hit*margin_by_Q + N*R*g*missing*rate*(K - 1)/(K*(N - 1)),
            -dlogit_R*hit*margin_by_S - N*R*g*missing*rate*(K - 1)/(K*(N - 1)),
        ),
        (
            -dQ*hit*margin_by_logit_R + R*g*missing*(K - 1)/(K**2*N),
            -dQ*hit*margin_by_Q,
            -dQ*hit*margin_by_S,
        ),
        (
            -dS*hit*margin_by_logit_R - R*g*missing/(K**2*N),
            -dS*hit*margin_by_Q,
            -dS*hit*margin_by_S,
        ),
    )


def growth_quadratic(logit_R: Real, rate: Real) -> Real:
    """Growth rate of logit R per unit of the drive F. (15f), (71b)"""
    R = expit(logit_R)
    missing = expit(-logit_R)
    return R*missing*rate


def growth_slope_quadratic(logit_R: Real, rate: Real) -> Real:
    """Its derivative in logit R. (15f), (71b)"""
    R = expit(logit_R)
    missing = expit(-logit_R)
    return -R*missing*rate*(R - missing)


def bend_quadratic(logit_R: Real) -> Real:
    """What steps change in the growth of logit R, over its square and minus lr/2. (X7c), (71b)"""
    return 0 * np.ones_like(logit_R, dtype=float)


def kappa(N: Real, K: Real, rate: Real) -> Real:
    """The one constant of the curves in internal time. (X1d)"""
    N, K = 1.0 * N, 1.0 * K
    return N**2*rate*(K - 1)/(N - 1)


def margin_by_gap(R: Real, U: Real, V: Real, C: Real, N: Real, K: Real) -> Real:
    """Margin. (X3b)"""
    N, K = 1.0 * N, 1.0 * K
    return -(C - N*(R*U*(K - 1)/K + V/K))/(N - 1)


def logit_R_linear(U: Real, U0: Real, logit_R0: Real, kappa: Real) -> Real:
    """logit R along a solution of the linear closure; nan below R = 0, outside the basin. (X2b)"""
    log_missing = -1 / 2*kappa*(U - U0)*(U + U0) + log_expit(-logit_R0)
    return -log_missing + np.log(-np.expm1(log_missing))


def logit_R_quadratic(U: Real, U0: Real, logit_R0: Real, kappa: Real) -> Real:
    """logit R along a solution of the quadratic closure. (X2c)"""
    level = (1 / 2)*kappa*(U - U0)*(U + U0) + logit_R0 + np.exp(logit_R0)
    odds = wrightomega(level)
    return np.where(level > 0, np.log(np.where(level > 0, odds, 1)), level - odds)[()]


def onset_gap_linear(U0: Real, logit_R0: Real, kappa: Real) -> Real:
    """U = Q - S where R = 1/2. (X3e)"""
    return np.sqrt(U0**2 + 2*(log_expit(-logit_R0) + np.log(2))/kappa)


def onset_gap_quadratic(U0: Real, logit_R0: Real, kappa: Real) -> Real:
    """U = Q - S where R = 1/2. (X3f)"""
    return np.sqrt(U0**2 + 2*(-logit_R0 - np.exp(logit_R0) + 1)/kappa)


def basin_gap_linear(logit_R0: Real, kappa: Real) -> Real:
    """The smallest U = Q - S at the start that learns. (X3i)"""
    return -np.sqrt(2)*np.sqrt(-log_expit(-logit_R0))/np.sqrt(kappa)


def gap_square_slope(logit_R: Real, G: Real, kappa: Real) -> Real:
    """Derivative of U^2/2 in logit R where attention has the gradient G; kappa of rate 1.

    (X2a), (X1d)
    """
    R = expit(logit_R)
    missing = expit(-logit_R)
    return R**2*missing/(G*kappa)


def squared_gap_linear(logit_R: Real, logit_R0: Real, kappa: Real) -> Real:
    """U^2 - U0^2 along a solution of the linear closure. (X2b)"""
    return -2*(log_expit(-logit_R) - log_expit(-logit_R0))/kappa


def off_target_slope(missing: Real, K: Real) -> Real:
    """dS/dV along a solution. (15c), (X1b)"""
    K = 1.0 * K
    return missing/K


def time_slope(margin: Real, N: Real, K: Real) -> Real:
    """dt/dV along a solution. (X1b), (43)"""
    N, K = 1.0 * N, 1.0 * K
    g = expit(-margin + np.log(N - 1))
    return K*N/g


def thermodynamic_pace(N: Real, K: Real) -> Real:
    """What the thermodynamic limit makes of the growth of R: this many times as fast.

    (15a), (15e)
    """
    N, K = 1.0 * N, 1.0 * K
    return K*(N - 1)/(N*(K - 1))


def log_time_slope(logit_R: Real, margin: Real, N: Real, K: Real) -> Real:
    """log of dt/dU along a solution. (X3c)"""
    N, K = 1.0 * N, 1.0 * K
    return -log_expit(logit_R) - log_expit(-margin + np.log(N - 1)) + np.log(K*N)


def early_time(V: Real, V0: Real, N: Real, K: Real) -> Real:
    """Time to the total V, small margin. (X3g)"""
    N, K = 1.0 * N, 1.0 * K
    return K*N**2*(V - V0)/(N - 1)


def early_Q(t: Real, Q0: Real, N: Real, K: Real, T: Real) -> Real:
    """Q on the plateau of R. (78a)"""
    N, K, T = 1.0 * N, 1.0 * K, 1.0 * T
    return Q0 + t*(N - 1)*(K + T - 1)/(K**2*N**2*T)


def early_S(t: Real, S0: Real, N: Real, K: Real, T: Real) -> Real:
    """S on the plateau of R. (78b)"""
    N, K, T = 1.0 * N, 1.0 * K, 1.0 * T
    return S0 + t*(N - 1)*(T - 1)/(K**2*N**2*T)


def onset_time_scale(N: Real, K: Real, T: Real, rate: Real) -> Real:
    """tau, the time scale of the onset (time is eta * epoch). (81c)"""
    N, K, T = 1.0 * N, 1.0 * K, 1.0 * T
    return np.sqrt(2)*K*N*np.sqrt(T)*np.sqrt(1/((K - 1)*(N - 1)))/np.sqrt(rate)


def early_R(t: Real, tau: Real, T: Real) -> Real:
    """R at its onset, saturation kept. (81b)"""
    T = 1.0 * T
    return expit(t**2/tau**2 - np.log(T - 1))


def onset_total_slope(x: Real, T: Real) -> Real:
    """1/R at x = sqrt(kappa) U. (X9a)"""
    T = 1.0 * T
    return 1 / (-(1 - 1/T)*np.exp(-1 / 2*x**2) + 1)


def onset_total_end(T: Real) -> Real:
    """x at the onset. (X9a)"""
    T = 1.0 * T
    return np.sqrt(2*np.log(1 - 1/T) + 2*np.log(2))


def small_margin_onset(h: Real, N: Real, K: Real, rate: Real) -> Real:
    """Training time of the onset; h is the integral of onset_total_slope to its end. (X9b)"""
    N, K = 1.0 * N, 1.0 * K
    return K*N*h/(np.sqrt(rate)*np.sqrt(K - 1)*np.sqrt(N - 1))


def onset_exponent_N(N: Real) -> Real:
    """Its local exponent. (X9c)"""
    N = 1.0 * N
    return (1 / 2)*(N - 2)/(N - 1)


def onset_exponent_K(K: Real) -> Real:
    """Its local exponent. (X9d)"""
    K = 1.0 * K
    return (1 / 2)*(K - 2)/(K - 1)


def onset_exponent_both(N: Real) -> Real:
    """Its local exponent. (X9e)"""
    N = 1.0 * N
    return (N - 2)/(N - 1)


def log_any_above_slope(y: Real, N: Real) -> Real:
    """Its derivative in y. (17b)"""
    N = 1.0 * N
    far = y > 30
    alone = log_ndtr(-y) + np.log(N - 1)
    together = np.log(-np.expm1((N - 1)*log_ndtr(np.where(far, 0, y))))
    log_above = np.where(far, alone, together)
    return (
        -1 / 2*np.sqrt(2)*(N - 1)*np.exp(-log_above - 1 / 2*y**2 + (N -
            2)*log_ndtr(y))/np.sqrt(np.pi)
    )


def log_right_below_slope(w: Real, margin: Real, sigma_c: Real, sigma_o: Real, N: Real) -> Real:
    """Its derivative in w. (17c)"""
    N = 1.0 * N
    right_below = (-margin + sigma_o*w)/sigma_c
    return (
        (1 / 2)*np.sqrt(2)*(N - 2)*np.exp(-1 / 2*w**2 - log_ndtr(w))/np.sqrt(np.pi) + (1 /
            2)*np.sqrt(2)*sigma_o*np.exp(-1 / 2*right_below**2 -
            log_ndtr(right_below))/(np.sqrt(np.pi)*sigma_c)
    )


def log_any_above(y: Real, N: Real) -> Real:
    """log of the chance that the largest of N - 1 standard normals exceeds y. (17b)"""
    N = 1.0 * N
    far = y > 30
    alone = log_ndtr(-y) + np.log(N - 1)
    together = np.log(-np.expm1((N - 1)*log_ndtr(np.where(far, 0, y))))
    return np.where(far, alone, together)[()]


def log_right_below(w: Real, margin: Real, sigma_c: Real, sigma_o: Real, N: Real) -> Real:
    """log of what the largest other logit, w deviations above its mean, adds to 1 - a. (17c)"""
    N = 1.0 * N
    return (N - 2)*log_ndtr(w) + log_ndtr((-margin + sigma_o*w)/sigma_c) + np.log(N - 1)


def rollout_accuracy(error: Real, N: Real, T: Real) -> Real:
    """Probability that the state after T steps is right; error = 1 - a. (18)"""
    N, T = 1.0 * N, 1.0 * T
    return (1 - 1/N)*(-N*error/(N - 1) + 1)**T + 1 / N


def rollout_error(error: Real, N: Real, T: Real) -> Real:
    """Probability that it is wrong, exact however small the error 1 - a. (18b)"""
    N, T = 1.0 * N, 1.0 * T
    informed = error < (N - 1)/N
    by_logarithm = -(1 - 1/N)*np.expm1(T*np.log1p(-N*np.where(informed, error, 0)/(N - 1)))
    by_power = (1 - 1/N)*(1 - (-N*error/(N - 1) + 1)**T)
    return np.where(informed, by_logarithm, by_power)[()]


def retrieval_part(U: Real, U0: Real, overlap: Real) -> Real:
    """Weight u of P_k - mean. (X4c)"""
    return (-U + U0)/(overlap - 1)


def heuristic_part(V: Real, V0: Real, overlap: Real, N: Real, K: Real) -> Real:
    """Weight v of mean - J/N. (X4d)"""
    N, K = 1.0 * N, 1.0 * K
    return N*(V - V0)/(K*N*overlap - K - N*overlap + N)


def logit_variances(u: Real, v: Real, R: Real, w_variance: Real, N: Real, K: Real, T: Real) -> Any:
    """Variances (sigma_c^2, sigma_o^2) of the right logit and of any other. (X6a), (X6b)"""
    N, K, T = 1.0 * N, 1.0 * K, 1.0 * T
    rest = 1 - R
    I_2 = rest**2/(T - 1)
    start = w_variance*(I_2*K - I_2 + K*rest**2 - 2*K*rest + K - rest**2 + 2*rest)/K
    lead = -u + v
    mixed = lead*(K - 1)*(N - 1)*(lead + 2*rest*u)/(K**2*N**2)
    own_c = (K - 1)*(N - 1)*(I_2*K + I_2*N - 2*I_2 + rest**2)/(K**2*N**2)
    own_o = (K - 1)*(I_2*K*N - I_2*K - I_2*N + 2*I_2 + N*rest**2 - rest**2)/(K**2*N**2)
    variance_c = mixed + own_c*u**2 + start
    variance_o = mixed + own_o*u**2 + start
    return (
        variance_c,
        variance_o,
    )


def corrected_loss(
    R: Real, Q: Real, S: Real, Q0: Real, S0: Real, C: Real, overlap: Real, w_variance: Real,
    N: Real, K: Real, T: Real
) -> Real:
    """Loss with the fluctuations of the logits to second order. (X8d), (X3b)"""
    N, K, T = 1.0 * N, 1.0 * K, 1.0 * T
    gap_gain = 1 - overlap
    total_gain = K*overlap - K/N - overlap + 1
    U = Q - S
    V = Q + S*(K - 1)
    u = (-Q0 + S0 + U)/gap_gain
    v = (-Q0 - S0*(K - 1) + V)/total_gain
    margin = -(C - N*(R*U*(K - 1)/K + V/K))/(N - 1)
    g = expit(-margin + np.log(N - 1))
    rest = 1 - R
    I_2 = rest**2/(T - 1)
    start = w_variance*(I_2*K - I_2 + K*rest**2 - 2*K*rest + K - rest**2 + 2*rest)/K
    lead = -u + v
    mixed = lead*(K - 1)*(N - 1)*(lead + 2*rest*u)/(K**2*N**2)
    own_c = (K - 1)*(N - 1)*(I_2*K + I_2*N - 2*I_2 + rest**2)/(K**2*N**2)
    own_o = (K - 1)*(I_2*K*N - I_2*K - I_2*N + 2*I_2 + N*rest**2 - rest**2)/(K**2*N**2)
    variance_c = mixed + own_c*u**2 + start
    variance_o = mixed + own_o*u**2 + start
    return (
        (1 / 2)*g*start*(N*g - 2*N + 2)/(N - 1)**2 - 1 / 2*g*variance_c*(N**2*g - N**2 + 1)/(N -
            1)**2 + (1 / 2)*g*variance_o + np.logaddexp(0, -margin + np.log(N - 1))
    )


def corrected_rates(
    R: Real, Q: Real, S: Real, Q0: Real, S0: Real, C: Real, overlap: Real, w_variance: Real,
    N: Real, K: Real, T: Real
) -> Any:
    """The drive F = -dL/dR on attention, and the time derivatives of Q and S.

    (X8d), (X3b), (X8h), (X8f), (X8g)
    """
    N, K, T = 1.0 * N, 1.0 * K, 1.0 * T
    gap_gain = 1 - overlap
    total_gain = K*overlap - K/N - overlap + 1
    U = Q - S
    V = Q + S*(K - 1)
    u = (-Q0 + S0 + U)/gap_gain
    v = (-Q0 - S0*(K - 1) + V)/total_gain
    margin = -(C - N*(R*U*(K - 1)/K + V/K))/(N - 1)
    g = expit(-margin + np.log(N - 1))
    rest = 1 - R
    I_2 = rest**2/(T - 1)
    start = w_variance*(I_2*K - I_2 + K*rest**2 - 2*K*rest + K - rest**2 + 2*rest)/K
    lead = -u + v
    mixed = lead*(K - 1)*(N - 1)*(lead + 2*rest*u)/(K**2*N**2)
    own_c = (K - 1)*(N - 1)*(I_2*K + I_2*N - 2*I_2 + rest**2)/(K**2*N**2)
    own_o = (K - 1)*(I_2*K*N - I_2*K - I_2*N + 2*I_2 + N*rest**2 - rest**2)/(K**2*N**2)
    variance_c = mixed + own_c*u**2 + start
    variance_o = mixed + own_o*u**2 + start
    hit = expit(margin - np.log(N - 1))
    by_start = (1 / 2)*g*(N*g - 2*N + 2)/(N - 1)**2
    by_variance_c = -1 / 2*g*(N**2*g - N**2 + 1)/(N - 1)**2
    by_variance_o = (1 / 2)*g
    by_margin = (
        -g*hit*(-1 / 2*N**2*g*variance_c/(N - 1)**2 + (1 / 2)*N*g*start/(N - 1)**2 + (1 /
            2)*start*(N*g - 2*N + 2)/(N - 1)**2 - 1 / 2*variance_c*(N**2*g - N**2 + 1)/(N -
            1)**2 + (1 / 2)*variance_o) - g
    )
    squares_by_R = -2*rest/(T - 1)
    start_by_R = w_variance*squares_by_R*(K - 1)/K - 2*w_variance*(K - 1)*(rest - 1)/K
    own_c_by_R = (
        -2*rest*(K - 1)*(N - 1)/(K**2*N**2) + squares_by_R*(K - 1)*(N - 1)*(K + N -
            2)/(K**2*N**2)
    )
    own_o_by_R = (
        -2*rest*(K - 1)*(N - 1)/(K**2*N**2) + squares_by_R*(K - 1)*(K*N - K - N + 2)/(K**2*N**2)
    )
    mixed_by_R = -2*lead*u*(K - 1)*(N - 1)/(K**2*N**2)
    mixed_by_u = -2*(K - 1)*(N - 1)*(-lead*rest + lead + rest*u)/(K**2*N**2)
    mixed_by_v = 2*(K - 1)*(N - 1)*(lead + rest*u)/(K**2*N**2)
    gap_rate = (
        -(2*by_variance_c*own_c*u + 2*by_variance_o*own_o*u + mixed_by_u*(by_variance_c +
            by_variance_o) + N*R*by_margin*gap_gain*(K - 1)/(K*(N - 1)))/(N*(K - 1))
    )
    total_rate = (
        -(mixed_by_v*(by_variance_c + by_variance_o) + N*by_margin*total_gain/(K*(N - 1)))/N
    )
    return (
        -by_start*start_by_R - by_variance_c*own_c_by_R*u**2 - by_variance_o*own_o_by_R*u**2 -
            (by_variance_c + by_variance_o)*(mixed_by_R + start_by_R) - N*U*by_margin*(K -
            1)/(K*(N - 1)),
        (K*gap_rate - gap_rate + total_rate)/K,
        -(gap_rate - total_rate)/K,
    )


def plane_waves(omega: Real, m: Real, d: Real) -> Any:
    """Derivatives of the attention logit at offset m in (p_re, p_im). (X5b)"""
    d = 1.0 * d
    return (
        np.cos(m*omega)/np.sqrt(d),
        -np.sin(m*omega)/np.sqrt(d),
    )


def plane_product(q_re: Real, q_im: Real, k_re: Real, k_im: Real) -> Any:
    """(p_re, p_im) = q k^*. (X5a)"""
    return (
        k_im*q_im + k_re*q_re,
        -k_im*q_re + k_re*q_im,
    )


def plane_imbalance(q_re: Real, q_im: Real, k_re: Real, k_im: Real) -> Real:
    """|q|^2 - |k|^2. (X5h)"""
    return -k_im**2 - k_re**2 + q_im**2 + q_re**2


def plane_size(p_re: Real, p_im: Real, imbalance: Real) -> Real:
    """|q|^2 + |k|^2. (X5i)"""
    return np.sqrt(imbalance**2 + 4*p_im**2 + 4*p_re**2)


def mean_size(qk_variance: Real) -> Real:
    """Mean size at the start. (X5n)"""
    return 4*qk_variance


def product_spread(qk_variance: Real) -> Real:
    """Variance of p_re, and of p_im, at the start. (X5m)"""
    return 2*qk_variance**2


def size_spread(qk_variance: Real) -> Real:
    """Variance of the size at the start. (X5o)"""
    return (16 / 5)*qk_variance**2


def plane_gradient(H_re: Real, H_im: Real, size: Real) -> Real:
    """What a plane adds to G = |grad_q R|^2 + |grad_k R|^2; H is the gradient of R in p. (X5e)"""
    return size*(H_im**2 + H_re**2)


def product_rates(H_re: Real, H_im: Real, size: Real, F: Real) -> Any:
    """Time derivatives of (p_re, p_im) under the drive F. (X5f)"""
    return (
        F*H_re*size,
        F*H_im*size,
    )


def product_back(
    p_re: Real, p_im: Real, H_re: Real, H_im: Real, size: Real, F: Real, eta: Real
) -> Any:
    """(p_re, p_im) half a gradient step back. (X7d)"""
    return (
        (1 / 4)*F**2*eta**2*(2*H_im*H_re*p_im + p_re*(-H_im**2 + H_re**2)) - 1 /
            2*F*H_re*eta*size + p_re,
        (1 / 4)*F**2*eta**2*(2*H_im*H_re*p_re - p_im*(-H_im**2 + H_re**2)) - 1 /
            2*F*H_im*eta*size + p_im,
    )


def product_rates_in_steps(
    p_re: Real, p_im: Real, H_re: Real, H_im: Real, H_back_re: Real, H_back_im: Real, size: Real,
    F: Real, F_back: Real, eta: Real
) -> Any:
    """Time derivatives of (p_re, p_im) in steps; F_back, H_back are half a step back. (X7e)"""
    return (
        F_back*(F*H_back_im*eta*(-H_im*p_re + H_re*p_im) + H_back_re*(-F*eta*(H_im*p_im +
            H_re*p_re) + size)),
        F_back*(-F*H_back_re*eta*(-H_im*p_re + H_re*p_im) + H_back_im*(-F*eta*(H_im*p_im +
            H_re*p_re) + size)),
    )


def imbalance_rate_in_steps(
    imbalance: Real, H_re: Real, H_im: Real, H_back_re: Real, H_back_im: Real, F: Real,
    F_back: Real, eta: Real
) -> Real:
    """Time derivative of |q|^2 - |k|^2 in steps. (X7f)"""
    return -F*F_back*eta*imbalance*(H_back_im*H_im + H_back_re*H_re)
