"""The attention itself, plane by plane: how R grows under the softmax, without a closure.

With complex q_r, k_r for each RoPE plane, p_r = q_r k_r* (X5a) and n_r = |q_r|^2 + |k_r|^2 (X5d)
close under gradient flow on R (X5f), (X5g), as attention depends on p_r alone: the key-query
product at offset m is u_m = Re sum_r p_r exp(i omega_r m) / sqrt(d) (X5b). From one start the flow
takes one way whatever N, K, C and the loss, which only set its pace: so G is a function of R, as a
closure says it is, but one that T, the frequencies and the spread of the start decide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

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


def gradients(planes: Planes, logit_R: Sequence[float], *, qk_variance: float) -> Array:
    """Return G = sum_r |dR/dp_r|^2 n_r (X5e) where logit R comes to each of these ascending values.

    The flow starts from its means p_r = 0, n_r = 4 qk_variance, at R = 1/T, and takes one step from
    value to value. Raises ValueError if they do not ascend from there, FlowError if R has not kept
    to its course.
    """
    T, d = planes.T, planes.waves.shape[1]
    here = -math.log(T - 1)
    if np.any(np.diff([here, *logit_R]) <= 0):
        raise ValueError(f"logit R must ascend from {here:g}, where R = 1/T = {1 / T:g}")

    def change(state: Array) -> tuple[Array, float, float]:
        """Return the derivative by logit R, then R and G."""
        p, n = state[:d], state[d:]
        R, H = retrieval(planes, p)
        G = float(np.sum(np.sum(H.reshape(2, -1) ** 2, axis=0) * n))
        dn = 4 * np.sum((H * p).reshape(2, -1), axis=0)
        return R * (1 - R) / G * np.concatenate([H * np.tile(n, 2), dn]), R, G

    state = np.concatenate([np.zeros(d), np.full(d // 2, 4 * qk_variance)])
    k1, R, _ = change(state)
    found = []
    for there in logit_R:
        h = there - here
        k2 = change(state + h / 2 * k1)[0]
        k3 = change(state + h / 2 * k2)[0]
        k4 = change(state + h * k3)[0]
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        k1, R, G = change(state)
        found.append(G)
        here = there
    goal = float(expit(here))
    if not abs(R - goal) < 1e-3:
        raise FlowError(
            f"these {d // 2} RoPE planes tell the {T} positions apart too poorly for R to be "
            f"followed to {goal:.2g} in {len(found)} steps"
        )
    return np.array(found)
