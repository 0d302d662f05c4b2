"""How attention locks on from the nominal start: what U, V and the time are when R has risen.

From Q = S = C/N the gap U = Q - S starts at 0 and (X1) is two quadratures over R, once G is known
as a function of R: U^2/2 is the integral of R dR / (kappa G), V and the time follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from meanfield import generated
from meanfield.attention import closures
from meanfield.attention import planes as attention
from meanfield.attention.closures import Closure
from meanfield.attention.planes import FlowError, Heads, Planes
from meanfield.numerics import panels
from meanfield.parameters import Parameters

Array = NDArray[np.float64]

PANELS, NODES = 3, 12  # of the way to the onset
CHUNK = 2**16  # heads times d_head followed at once: what a cache holds


@dataclass(frozen=True)
class Onset:
    """What has been gained when R reaches its goal, from U = V = C = 0: numbers, or arrays by head.

    U = Q - S, V = Q + (K - 1) S, and the logarithm of the training time, which may leave float64.
    """

    U: Any
    V: Any
    log_t: Any


def onset_retrieval(T: int) -> float:
    """Return the R that is judged: the onset 1/2, or 3/4 for T = 2, where R starts at 1/2."""
    return 0.5 if T > 2 else 0.75


def onset_of_softmax(parameters: Parameters) -> Onset:
    """Return how the softmax attention locks on from its mean start.

    Raises FlowError if it cannot be followed in reasonable time, as with very few frequencies or
    with very many actions.
    """
    planes = attention.planes(parameters)
    found = onset_of_heads(planes, attention.mean_heads(parameters, np.ones(1)), parameters)
    if not np.all(np.isfinite(found.log_t)):
        raise FlowError(
            f"these {parameters.d_head // 2} RoPE planes tell the {parameters.T} positions apart "
            f"too poorly for R to be followed to {onset_retrieval(parameters.T):.2g} in "
            f"{PANELS * NODES} steps"
        )
    return Onset(*(float(values[0]) for values in (found.U, found.V, found.log_t)))


def onset_of_heads(
    planes: Planes, heads: Heads, parameters: Parameters, *, count: int | None = None
) -> Onset:
    """Return how each head, (B, d), locks on; nan where it cannot be followed or starts beyond.

    count: panels of the way, PANELS unless given; 1 is enough to compare heads.
    """
    R, missing, _ = attention.retrieval(planes, heads.p)
    R_end = onset_retrieval(parameters.T)
    found = np.full((3, len(R)), np.nan)
    below = np.flatnonzero(R_end > R)
    for chunk in np.array_split(below, 1 + below.size * parameters.d_head // CHUNK):
        if chunk.size:
            gradient = partial(_along, planes, Heads(heads.p[chunk], heads.imbalance[chunk]))
            logit_R0 = np.log(R[chunk] / missing[chunk])
            found[:, chunk] = _onset(
                gradient, parameters, logit_R0=logit_R0, R_end=R_end, count=count
            )
    return Onset(*found)


def _along(planes: Planes, heads: Heads, logit_R: Array) -> Array:
    """Return G of each head where logit R comes to each of these values, (heads, ...)."""
    rows = logit_R.reshape(len(logit_R), -1)
    return attention.gradients(planes, heads, rows).reshape(logit_R.shape)


def onset_of_closure(closure: Closure, parameters: Parameters, *, R_end: float) -> Onset:
    """Return how a closure locks on from R = 1/T, from its own G(R)."""
    rate = closures.rate(closure, parameters)

    def gradient(logit_R: Array) -> Array:
        growth = closure.growth(logit_R, rate)
        return np.asarray(growth * expit(logit_R) * expit(-logit_R))

    logit_R0 = logit(generated.nominal_retrieval(np.array([parameters.T])))
    found = _onset(gradient, parameters, logit_R0=logit_R0, R_end=R_end)
    return Onset(*(float(values[0]) for values in found))


def _onset(
    gradient: Callable[[Array], Array],
    parameters: Parameters,
    *,
    logit_R0: Array,
    R_end: float,
    count: int | None = None,
) -> tuple[Array, Array, Array]:
    """Return U, V and log t, a row for each logit_R0, on the way to R_end by G = ``gradient``."""
    N, K = float(parameters.N), float(parameters.K)
    rise = (logit(R_end) - logit_R0)[:, None, None]
    x, half = panels.at_points(np.linspace(0.0, 1.0, (count or PANELS) + 1)[None], NODES)
    logit_R = rise * x**2 + logit_R0[:, None, None]  # U starts in proportion to x: smooth in x
    R, kappa = expit(logit_R), generated.rate_constant(N, K, 1.0)
    by_x = 2 * rise * x * generated.gap_square_slope(logit_R, gradient(logit_R), kappa)
    squares = panels.at_edges(by_x, half)
    with np.errstate(invalid="ignore"):  # panels too wide for by_x, which is positive: nan
        U = np.sqrt(2 * panels.between_edges(by_x, half, squares))
    dU = by_x / U
    Vs = panels.at_edges(dU / R, half)
    V = panels.between_edges(dU / R, half, Vs)
    margin = generated.margin_by_gap(R, U, V, 0.0, N, K)
    log_dt = generated.log_time_slope(logit_R, margin, N, K) + np.log(dU)
    largest = np.max(log_dt, axis=(1, 2))
    t = panels.at_edges(np.exp(log_dt - largest[:, None, None]), half)[:, -1]
    return np.sqrt(2 * squares[:, -1]), Vs[:, -1], largest + np.log(t)
