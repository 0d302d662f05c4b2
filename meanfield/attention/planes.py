"""The attention itself, plane by plane: how R grows under the softmax, without a closure.

With complex q_r, k_r for each RoPE plane, p_r = q_r k_r* (X5a) follows a closed flow (X5f) beside
the conserved imbalance I_r = |q_r|^2 - |k_r|^2 (X5h), as attention depends on p_r alone: the
key-query product at offset m is u_m = Re sum_r p_r exp(i omega_r m) / sqrt(d) (X5b). From one start
the flow takes one way whatever N, K, C and the loss, which only set its pace: so G is a function of
R, as a closure says it is, but one that T, the frequencies and the start decide.

Arrays have the heads in front and the planes last; p is (..., d), the d/2 real parts first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from meanfield import generated
from meanfield.errors import ParameterError
from meanfield.parameters import Parameters

Array = NDArray[np.float64]

MOST = 10**6  # actions times planes: more would take seconds
LARGEST_LOGIT = 300.0  # of attention: twice that between two logits, and exp stays in float64


class FlowError(ArithmeticError):
    """The flow cannot be followed; the message says why."""


@dataclass(frozen=True)
class Planes:
    """RoPE planes as waves over the offsets m = 1..2T-1: u = waves @ p, waves (2T - 1, d)."""

    T: int
    waves: Array


@dataclass(frozen=True)
class Heads:
    """Queries and keys by plane. p: (..., d), the products p_r; imbalance: (..., d/2)."""

    p: Array
    imbalance: Array


def planes(parameters: Parameters) -> Planes:
    """Return the planes of a model; FlowError if they are too many to follow."""
    T, frequencies = parameters.T, parameters.frequencies
    if T * len(frequencies) > MOST:
        raise FlowError(f"T = {T} actions, {len(frequencies)} RoPE planes: too many to follow")
    offsets = np.arange(1.0, 2 * T)[:, None]
    waves = generated.plane_waves(np.array(frequencies), offsets, parameters.d_head)
    return Planes(T, np.hstack(waves))


def heads(q: Array, k: Array) -> Heads:
    """Return the plane variables of queries and keys (..., d), plane r the entries r, r + d/2.

    Raises ParameterError if their products are too large for a softmax in float64.
    """
    entries = (*pair(q), *pair(k))
    p = np.concatenate(generated.plane_product(*entries), axis=-1)
    largest = float(np.max(np.sum(np.hypot(*pair(p)), axis=-1)) / math.sqrt(p.shape[-1]))
    if not largest < LARGEST_LOGIT:
        raise ParameterError(
            f"query and key are too large: their attention logits may reach {largest:.3g}, more "
            f"than {LARGEST_LOGIT:g}"
        )
    return Heads(p, np.asarray(generated.plane_imbalance(*entries)))


def mean_heads(parameters: Parameters, share: Array | float = 1.0) -> Heads:
    """Return heads at the mean of the start, p = 0, with ``share`` of its mean size (X5n)."""
    size = np.asarray(share)[..., None] * generated.mean_size(parameters.qk_variance)
    half = parameters.d_head // 2
    return Heads(np.zeros((*size.shape[:-1], 2 * half)), np.repeat(size, half, axis=-1))


def pair(p: Array) -> tuple[Array, Array]:
    """Return real and imaginary parts, each (..., d/2)."""
    half = p.shape[-1] // 2
    return p[..., :half], p[..., half:]


def rows(planes: Planes, p: Array) -> Array:
    """Return the attention (4), (..., T, T): row t predicts step t + 1, the diagonal is right."""
    step = np.arange(planes.T)
    offset = planes.T - 1 + step[:, None] - step  # m - 1
    u = (p @ planes.waves.T)[..., offset]
    return np.asarray(softmax(u, axis=-1))


def retrieval(planes: Planes, p: Array) -> tuple[Array, Array, Array]:
    """Return R (8), 1 - R, which keeps its digits, and the gradient of R in p (X5c).

    Row i = 1..T of the attention sees the offsets i..i+T-1 (X5j), the right action sits at offset T
    in each: what it sees on either side is a running sum, and so are the slopes (X5k), (X5l).
    """
    T = planes.T
    u = p @ planes.waves.T
    weights = np.exp(u - u.max(axis=-1, keepdims=True))
    own, below, above = weights[..., T - 1 : T], weights[..., : T - 1], weights[..., T:]
    other = np.zeros((*u.shape[:-1], T))
    other[..., :-1] += _running_back(below)  # row i sees the offsets i..T-1
    other[..., 1:] += np.cumsum(above, axis=-1)  # and T+1..i+T-1
    rows = own + other
    R, missing = (own / rows).sum(axis=-1) / T, (other / rows).sum(axis=-1) / T
    per_row = own / T / rows**2
    by_below = -below * np.cumsum(per_row[..., :-1], axis=-1)  # offset m < T is seen by rows 1..m
    by_above = -above * _running_back(per_row[..., 1:])  # m > T by rows m-T+1..T
    by_own = -by_below.sum(axis=-1, keepdims=True) - by_above.sum(axis=-1, keepdims=True)
    by_u = np.concatenate([by_below, by_own, by_above], axis=-1)
    return R, missing, by_u @ planes.waves


def _running_back(values: Array) -> Array:
    """Return the running sum from the end."""
    return np.cumsum(values[..., ::-1], axis=-1)[..., ::-1]


def logit_R(planes: Planes, p: Array) -> Array:
    """Return log R - log(1 - R), exact when either is almost 0; p: (..., d)."""
    R, missing, _ = retrieval(planes, p)
    return np.asarray(np.log(R) - np.log(missing))


def gradients(planes: Planes, heads: Heads, logit_R: Array) -> Array:
    """Return G = |grad_q R|^2 + |grad_k R|^2 (X5e) where logit R comes to each of these values.

    logit_R: (heads, values), ascending from where each head starts; the flow takes one step from
    value to value. Raises ValueError if they do not ascend; nan where R has not kept to its course.
    """
    p = heads.p
    R, missing, _ = retrieval(planes, p)
    here = np.log(R / missing)
    if np.any(np.diff(np.column_stack([here, logit_R])) <= 0):
        raise ValueError(f"logit R must ascend from {here}, where the flow starts")

    def change(p: Array) -> tuple[Array, Array, Array]:
        """Return the derivative of p by logit R, then R and G."""
        R, missing, H = retrieval(planes, p)
        size = generated.plane_size(*pair(p), heads.imbalance)
        G = np.sum(generated.plane_gradient(*pair(H), size), axis=-1)
        slope = np.concatenate(generated.product_rates(*pair(H), size, 1.0), axis=-1)
        return slope * (R * missing / G)[:, None], R, G

    found = np.empty(logit_R.shape)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # off its course: nan
        k1, R, _ = change(p)
        for number, there in enumerate(logit_R.T):
            h = (there - here)[:, None]
            k2 = change(p + h / 2 * k1)[0]
            k3 = change(p + h / 2 * k2)[0]
            k4 = change(p + h * k3)[0]
            p = p + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            k1, R, found[:, number] = change(p)
            here = there
    found[~(np.abs(R - expit(here)) < 1e-3)] = np.nan
    return found
