"""The attention itself, plane by plane: how R grows under the exact softmax, without a closure.

With complex q_r, k_r for each RoPE plane, p_r = q_r k_r* (X5a) and n_r = |q_r|^2 + |k_r|^2 (X5d)
close under gradient flow on R (X5f), (X5g), as attention depends on p_r alone: the key-query
product at offset m is u_m = Re sum_r p_r exp(i omega_r m) / sqrt(d) (X5b). In internal time the
growth of R depends neither on N, K, C nor on the loss: only on T, the frequencies and the spread
of the start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST = 10**6  # actions times planes: more would take seconds


class FlowError(ArithmeticError):
    """The flow cannot be followed; the message says why."""


@dataclass(frozen=True)
class Planes:
    """RoPE planes as waves over the offsets m = 1..2T-1.

    waves: cos(omega_r m) and -sin(omega_r m) over sqrt(d), shape (2T - 1, d): u = waves @ p with
    p = (Re p_r, Im p_r).
    """

    T: int
    waves: Array


def planes(frequencies: Sequence[float], T: int) -> Planes:
    """Return the planes of the d/2 RoPE frequencies, for T actions; FlowError if too many."""
    if T * len(frequencies) > MOST:
        raise FlowError(f"T = {T} actions, {len(frequencies)} RoPE planes: too many to follow")
    angles = np.outer(np.arange(1, 2 * T), np.asarray(frequencies, float))
    waves = np.hstack([np.cos(angles), -np.sin(angles)])
    return Planes(T, waves / math.sqrt(2 * len(frequencies)))


def retrieval(planes: Planes, p: Array) -> tuple[float, Array]:
    """Return R (8) and its gradient by p (X5c); p: (Re p_r, Im p_r), shape (d,).

    Row i = 1..T of the attention sees the offsets i..i+T-1, the right action sits at offset T in
    each: every sum over a row is a difference of running sums.
    """
    T = planes.T
    u = planes.waves @ p
    weights = np.exp(u - u.max())
    running = np.concatenate([[0.0], np.cumsum(weights)])
    rows = running[T:] - running[:T]
    right = weights[T - 1]
    R = right / T * np.sum(1 / rows)
    # offset m is seen by the rows max(1, m - T + 1)..min(T, m)
    inverse = np.concatenate([[0.0], np.cumsum(1 / rows**2)])
    m = np.arange(1, 2 * T)
    by_u = -right / T * weights * (inverse[np.minimum(m, T)] - inverse[np.maximum(m - T, 0)])
    by_u[T - 1] += R
    return float(R), by_u @ planes.waves


@dataclass(frozen=True)
class Lock:
    """What has been gained when R reaches its goal, in internal time with N K F = 1.

    U = Q - S grows by U' = R; V = Q + (K - 1) S by V' = 1: it is the internal time itself.
    """

    U: float
    V: float


def lock(planes: Planes, *, qk_variance: float, R_end: float = 0.5, steps: int = 10) -> Lock:
    """Follow the flow from p_r = 0, n_r = 4 qk_variance, its mean start, until R = R_end.

    Along it d(U^2/2) = R dR/G (X2a) with G = sum_r |dR/dp_r|^2 n_r (X5e). Raises ValueError if
    R_end is not between 1/T and 1, FlowError if R has not kept to its course after ``steps`` steps.
    """
    T, d = planes.T, planes.waves.shape[1]
    if not 1 / T < R_end < 1:
        raise ValueError(f"R_end must lie between 1/T = {1 / T:g} and 1, not {R_end!r}")
    rise = math.log(R_end / (1 - R_end)) + math.log(T - 1)

    def change(x: float, state: Array) -> Array:
        # logit R = -log(T - 1) + rise x^2: U starts in proportion to x, so V = int dU / R is smooth
        p, n = state[:d], state[d:-1]
        R, H = retrieval(planes, p)
        squares = np.sum(H.reshape(2, -1) ** 2, axis=0)
        course = 2 * rise * x * R * (1 - R) / np.sum(squares * n)
        dn = 4 * np.sum((H * p).reshape(2, -1), axis=0)
        return np.asarray(course * np.concatenate([H * np.tile(n, 2), dn, [R]]))

    h = 1 / steps
    state = np.concatenate([np.zeros(d), np.full(d // 2, 4 * qk_variance), [0.0]])
    U = np.zeros(steps + 1)
    for step in range(steps):
        x = step * h
        k1 = change(x, state)
        k2 = change(x + h / 2, state + h / 2 * k1)
        k3 = change(x + h / 2, state + h / 2 * k2)
        k4 = change(x + h, state + h * k3)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        U[step + 1] = math.sqrt(2 * state[-1])
    if not abs(retrieval(planes, state[:d])[0] - R_end) < 1e-3:
        raise FlowError(
            f"these {d // 2} RoPE planes tell the {T} positions apart too poorly for R to be "
            f"followed to {R_end} in {steps} steps"
        )
    # V = int dU / R = U/R + int U dR / R^2, the last by Simpson's rule in x
    xs = np.linspace(0.0, 1.0, steps + 1)
    Rs = 1 / (1 + (T - 1) * np.exp(-rise * xs**2))
    simpson = np.full(steps + 1, 2.0)
    simpson[1::2], simpson[0], simpson[-1] = 4.0, 1.0, 1.0
    return Lock(
        U[-1],
        U[-1] / Rs[-1] + h / 3 * np.sum(simpson * U * 2 * rise * xs * (1 - Rs) / Rs),
    )
