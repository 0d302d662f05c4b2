"""How attention locks on from the nominal start: what U, V and the time are when R has risen.

From Q = S = C/N the gap U = Q - S starts at 0 and (X1) is two quadratures over R, once G is known
as a function of R: U^2/2 is the integral of R dR / (kappa G), V and the time follow, and so does
the lag of gradient steps behind the flow (X7g)-(X7i). Many models at once are rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
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
ROWS = 2**10  # models at once, likewise
FLOWS = 2**14  # of the softmax attention, kept by what decides them


@dataclass(frozen=True)
class Onset:
    """What has been gained when R reaches its goal, from U = V = C = 0: numbers, or arrays by head.

    U = Q - S, V = Q + (K - 1) S, and the logarithm of the training time, which may leave float64.
    lag: epochs by which gradient steps come there later, to first order in the learning rate, if G
    depends on R alone, as it does under a closure.
    """

    U: Any
    V: Any
    log_t: Any
    lag: Any


def onset_retrieval(T: Any) -> Any:
    """Return the R that is judged: the onset 1/2, or 3/4 for T = 2, where R starts at 1/2."""
    return np.where(np.asarray(T) > 2, 0.5, 0.75)[()]


def onsets_of_closure(closure: Closure, models: dict[str, Array], rate: Array) -> Onset:
    """Return how a closure locks on in many models, (rows,), from R = 1/T; (rows,) each.

    models: N, K and T, (rows,). rate: the prefactor of its G in each, (rows,).
    """

    def gradients(rows: Any, logit_R: Array) -> Array:
        growth = closure.growth(logit_R, rate[rows][:, None, None])
        return np.asarray(growth * expit(logit_R) * expit(-logit_R))

    return _in_rows(gradients, models)


def onsets_of_softmax(models: dict[str, Array], rope_spacing: str) -> Onset:
    """Return how the softmax attention locks on from its mean start, (rows,); nan: not followed.

    models: the numbers of Parameters by name, (rows,). The flow of the attention is followed once
    for all models that share it: it knows nothing of N, K and lr.
    """
    names = ("T", "d_head", "rope_theta", "qk_variance")
    table = np.stack([models[name] for name in names], axis=-1)
    different, which = np.unique(table, axis=0, return_inverse=True)
    flows = np.array([_gradients_of_mean(*each, rope_spacing) for each in different.tolist()])
    which = which.reshape(-1)

    def gradients(rows: Any, logit_R: Array) -> Array:
        return flows[which[rows]].reshape(logit_R.shape)

    return _in_rows(gradients, models)


def _in_rows(gradients: Callable[[Any, Array], Array], models: dict[str, Array]) -> Onset:
    """Return the onset of each row; gradients(rows, logit_R): G along the way of those rows."""
    logit_R0 = logit(generated.nominal_retrieval(models["T"]))
    rise = logit(onset_retrieval(models["T"])) - logit_R0
    found = np.empty((4, len(rise)))
    for first in range(0, len(rise), ROWS):
        rows = slice(first, first + ROWS)
        own, sizes = partial(gradients, rows), (models["N"][rows], models["K"][rows])
        found[:, rows] = _onset(own, *sizes, logit_R0=logit_R0[rows], rise=rise[rows])
    return Onset(*found)


@lru_cache(maxsize=FLOWS)
def _gradients_of_mean(
    T: float, d_head: float, rope_theta: float, qk_variance: float, rope_spacing: str
) -> tuple[float, ...]:
    """Return G of the softmax attention from its mean start at the points of the way; nan: none."""
    p = Parameters(
        N=2,
        T=int(T),
        d_head=int(d_head),
        rope_theta=rope_theta,
        rope_spacing=rope_spacing,
        qk_variance=qk_variance,
    )
    logit_R0 = logit(generated.nominal_retrieval(np.array([T])))
    rise = logit(onset_retrieval(T)) - logit_R0
    logit_R, _ = _way(logit_R0, rise, PANELS)
    try:
        along = _along(attention.planes(p), attention.mean_heads(p, np.ones(1)), logit_R)
    except (FlowError, ValueError):
        along = np.full(logit_R.shape, np.nan)
    return tuple(along.ravel().tolist())


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
    return Onset(*(float(values[0]) for values in vars(found).values()))


def onset_of_heads(
    planes: Planes, heads: Heads, parameters: Parameters, *, count: int | None = None
) -> Onset:
    """Return how each head, (B, d), locks on; nan where it cannot be followed or starts beyond.

    count: panels of the way, PANELS unless given; 1 is enough to compare heads.
    """
    R, missing, _ = attention.retrieval(planes, heads.p)
    R_end = onset_retrieval(parameters.T)
    found = np.full((4, len(R)), np.nan)
    below = np.flatnonzero(R_end > R)
    for chunk in np.array_split(below, 1 + below.size * parameters.d_head // CHUNK):
        if chunk.size:
            gradient = partial(_along, planes, Heads(heads.p[chunk], heads.imbalance[chunk]))
            logit_R0, sizes = np.log(R[chunk] / missing[chunk]), (parameters.N, parameters.K)
            rise = logit(R_end) - logit_R0
            found[:, chunk] = _onset(gradient, *sizes, logit_R0=logit_R0, rise=rise, count=count)
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
    rise = logit(R_end) - logit_R0
    found = _onset(gradient, parameters.N, parameters.K, logit_R0=logit_R0, rise=rise)
    return Onset(*(float(values[0]) for values in found))


def _way(logit_R0: Array, rise: Array, count: int) -> tuple[Array, Array]:
    """Return logit R at the points of the way, (rows, panels, nodes), and its slope in x."""
    x, _ = panels.at_points(np.linspace(0.0, 1.0, count + 1)[None], NODES)
    rise = rise[:, None, None]
    return rise * x**2 + logit_R0[:, None, None], 2 * rise * x  # U starts like x: smooth in x


def _onset(
    gradient: Callable[[Array], Array],
    N: Any,
    K: Any,
    *,
    logit_R0: Array,
    rise: Array,
    count: int | None = None,
) -> tuple[Array, Array, Array, Array]:
    """Return U, V, log t and the lag, a row for each logit_R0, when that has risen by ``rise``.

    gradient: G along the way. N, K: numbers, or one for each row.
    """
    N, K = (np.asarray(size, float).reshape(-1, 1, 1) for size in (N, K))
    logit_R, slope = _way(logit_R0, rise, count or PANELS)
    half = np.full((1, logit_R.shape[1], 1), 0.5 / logit_R.shape[1])  # of a panel of x in 0..1
    R, G, kappa = expit(logit_R), gradient(logit_R), generated.rate_constant(N, K, 1.0)
    by_x = slope * generated.gap_square_slope(logit_R, G, kappa)
    squares = panels.at_edges(by_x, half)
    with np.errstate(invalid="ignore"):  # panels too wide for by_x, which is positive: nan
        U = np.sqrt(2 * panels.between_edges(by_x, half, squares))
    dU = by_x / U
    Vs = panels.at_edges(dU / R, half)
    V = panels.between_edges(dU / R, half, Vs)
    margin = np.asarray(generated.margin_by_gap(R, U, V, 0.0, N, K))
    log_dt = generated.log_time_slope(logit_R, margin, N, K) + np.log(dU)
    largest = np.max(log_dt, axis=(1, 2))
    t = panels.at_edges(np.exp(log_dt - largest[:, None, None]), half)[:, -1]
    lag = _lag(half, R, G, U, dU / R, margin, N, K)
    return np.sqrt(2 * squares[:, -1]), Vs[:, -1], largest + np.log(t), lag


def _lag(
    half: Array, R: Array, G: Array, U: Array, dV: Array, margin: Array, N: Array, K: Array
) -> Array:
    """Return by how many epochs steps come later (X7g)-(X7i), (rows,); inf beyond float64."""

    def running(slope: Any) -> Array:
        return panels.between_edges(slope, half, panels.at_edges(slope, half))

    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        pace = generated.error_signal(margin, N) / generated.error_signal(0.0, N)  # 1 at the start
        log_e, log_G, dR = (panels.slopes(each, half) for each in (np.log(pace), np.log(G), R))
        D = running(generated.excess_slope(R, U, pace, dR, log_e, log_G))
        v = 0.5 + running(generated.total_ahead_slope(U, pace, D, log_G, dV))
        return (
            0.5
            + panels.at_edges(
                np.asarray(generated.lag_slope(R, U, margin, pace, D, v, log_e, log_G, dV, N, K)),
                half,
            )[:, -1]
        )
