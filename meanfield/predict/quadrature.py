"""The mean-field equations without an ODE solver: one quadrature, for many parameter sets at once.

With U = Q - S and V = Q + (K - 1) S the equations (15) conserve a function of R and U, so R is
known in closed form along the way and time is one integral, t = int NK dV / g with dV = dU / R.
Everything runs on Gauss-Legendre panels along a path x -> (U, logit R, dV/dx) on which the
integrand is smooth; panels are as narrow as the change of x, of logit R and of the margin asks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, logit

from meanfield import generated
from meanfield.attention import closures
from meanfield.errors import ParameterError
from meanfield.numerics import panels
from meanfield.parameters import SPACINGS, rope_frequency

Array = NDArray[np.float64]

NODES = 12  # of a panel
X_WIDTH, LOGIT_R_WIDTH, MARGIN_WIDTH = 0.8, 2.5, 2.0  # the most that changes over one panel
FIRST_PANELS, FIRST_NODES = 16, 4  # of the first looks, which only place the panels
CHUNK = 2**17  # numbers in one array at most
LARGEST_MARGIN = 600.0  # a little further on the time leaves float64


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Curves of many parameter sets. shape: that of the parameters, broadcast.

    epoch: shape + (E,). logit_R, Q, S: the same; R = expit(logit_R), 1 - R = expit(-logit_R).
    onset_epoch: shape; R = 1/2, inf where it is never reached or lies beyond float64.
    """

    epoch: Array
    logit_R: Array
    Q: Array
    S: Array
    onset_epoch: Array

    @property
    def R(self) -> Array:
        """Attention retrieval (8)."""
        return np.asarray(expit(self.logit_R))

    @property
    def retrieval_error(self) -> Array:
        """1 - R, accurate where R is almost 1."""
        return np.asarray(expit(-self.logit_R))


@dataclass(frozen=True)
class _Rows:
    """Parameter sets, one row each: arrays of shape (rows, 1)."""

    N: Array
    K: Array
    C: Array
    U0: Array
    S0: Array
    logit_R0: Array
    kappa: Array
    t_end: Array
    p0: Array  # dU/dx at the start of a way that locks on: the scale on which R changes there

    def __getitem__(self, rows: Any) -> _Rows:
        return _Rows(*(values[rows] for values in vars(self).values()))


def predict_many(
    *,
    N: Any,
    T: Any,
    K: Any = None,
    d_head: Any = 64,
    rope_theta: Any = 10.0,
    rope_spacing: str = "power",
    lr: Any = 2.0,
    qk_variance: Any = 1 / 3,
    closure: str = "linear",
    epochs: Any = (),
    R0: Any = None,
    Q0: Any = None,
    S0: Any = None,
    C: Any = 0.0,
) -> Batch:
    """Solve (15) for every parameter set; the arguments broadcast and mean what Parameters says.

    epochs: where to evaluate, shape (E,) for all sets or (..., E) for each; none by default, for
    the onset alone. Raises ParameterError naming the first value that cannot be.
    """
    given = {
        "N": N,
        "T": T,
        "K": N if K is None else K,
        "d_head": d_head,
        "rope_theta": rope_theta,
        "lr": lr,
        "qk_variance": qk_variance,
    }
    given["C"] = C
    given["R0"] = 1 / np.asarray(T, float) if R0 is None else R0
    given["Q0"] = np.asarray(C, float) / np.asarray(N, float) if Q0 is None else Q0
    given["S0"] = np.asarray(C, float) / np.asarray(N, float) if S0 is None else S0
    same_shape = np.broadcast_arrays(*(np.asarray(value, float) for value in given.values()))
    arrays = dict(zip(given, same_shape, strict=True))
    _check(arrays)
    shape = arrays["N"].shape
    flat = {name: values.reshape(-1, 1) for name, values in arrays.items()}
    epoch = np.asarray(epochs, float)
    if rope_spacing not in SPACINGS:
        raise ParameterError(f'rope_spacing must be "power" or "linear", not {rope_spacing!r}')
    if not np.all((epoch >= 0) & (epoch <= 1e100)):
        raise ParameterError("epochs must lie between 0 and 1e100")
    epoch = np.array(np.broadcast_to(epoch, (*shape, *epoch.shape[-1:])))
    t = epoch.reshape(len(flat["N"]), -1) * flat["lr"]

    chosen = closures.named(closure)
    rate = _rates(chosen, flat, rope_spacing)
    kappa = np.asarray(generated.kappa(flat["N"], flat["K"], rate))
    U0, logit_R0 = flat["Q0"] - flat["S0"], logit(flat["R0"])
    t_end = t.max(axis=1, keepdims=True, initial=0.0)
    if chosen is closures.LINEAR:
        p0 = -np.asarray(generated.basin_gap_linear(logit_R0, kappa))
        lost = (-p0 >= U0)[:, 0]  # outside the basin of attraction: U stops where R = 0
    else:
        p0 = np.sqrt(U0**2 + 2 / kappa)
        lost = np.zeros(len(t), bool)
    rows = _Rows(flat["N"], flat["K"], flat["C"], U0, flat["S0"], logit_R0, kappa, t_end, p0)
    state = np.empty((3, *t.shape))
    onset = np.empty(len(t))
    for group, way in ((~lost, _locking(chosen)), (lost, LOSING)):
        if np.any(group):
            state[:, group], onset[group] = _solve(way, rows[group], t[group])
    logit_R, U_gained, S_gained = state
    S = flat["S0"] + S_gained
    Q = flat["Q0"] + U_gained + S_gained
    return Batch(
        epoch=epoch,
        logit_R=logit_R.reshape(epoch.shape),
        Q=Q.reshape(epoch.shape),
        S=S.reshape(epoch.shape),
        onset_epoch=(onset / flat["lr"][:, 0]).reshape(shape),
    )


def _check(arrays: dict[str, Array]) -> None:
    def require(good: NDArray[np.bool_], name: str, allowed: str) -> None:
        if not np.all(good):
            value = arrays[name][~good].flat[0]
            raise ParameterError(f"{name} must be {allowed}, not {value:g}")

    for name, values in arrays.items():
        require(np.isfinite(values), name, "finite")
        if name in ("N", "T", "K", "d_head"):
            require((values >= 2) & (values == np.floor(values)), name, "an integer of at least 2")
        if name in ("rope_theta", "lr", "qk_variance"):
            require(values > 0, name, "greater than 0")
    small = np.minimum(arrays["N"], 18).astype(int)  # 18! exceeds any K that is allowed
    factorials = np.array([math.factorial(n) for n in range(19)], float)
    require(arrays["K"] <= np.where(arrays["N"] > 18, 1e9, factorials[small]), "K", "at most N!")
    require(arrays["d_head"] % 2 == 0, "d_head", "even")
    require((arrays["R0"] > 0) & (arrays["R0"] < 1), "R0", "strictly between 0 and 1")


def _rates(closure: closures.Closure, flat: dict[str, Array], rope_spacing: str) -> Array:
    """Return the prefactor of G for every row, shape (rows, 1)."""
    d, T, base = flat["d_head"], flat["T"], flat["rope_theta"]
    planes = np.arange(int(d.max()) // 2)
    sums = np.empty_like(d)
    for rows in _chunks(np.arange(len(d)), len(planes)):
        omega = rope_frequency(
            planes, d_head=d[rows], rope_theta=base[rows], rope_spacing=rope_spacing
        )
        phi2 = generated.form_factor(omega, T[rows]) ** 2
        sums[rows] = np.sum(np.where(planes < d[rows] / 2, phi2, 0.0), axis=1, keepdims=True)
    return np.asarray(closure.rate(sums, flat["qk_variance"], d, T))


def _chunks(rows: NDArray[np.intp], numbers_per_row: int) -> list[NDArray[np.intp]]:
    return np.array_split(rows, math.ceil(len(rows) * max(numbers_per_row, 1) / CHUNK))


@dataclass(frozen=True)
class _Way:
    """How U and R move along a variable x that starts at 0.

    path(x, rows): U - U0, logit R and dV/dx. x_onset: where R = 1/2, inf if nowhere.
    x_last: not before t_end and the onset. live: the logit R between which the integrand changes.
    """

    path: Callable[[Array, _Rows], tuple[Array, Array, Array]]
    x_onset: Callable[[_Rows], Array]
    x_last: Callable[[_Rows], Array]
    live: tuple[float, float]


def _locking(closure: closures.Closure) -> _Way:
    """R grows to 1: U = U0 cosh x + p0 sinh x, so that dU/dx is the scale on which R changes."""
    along, gap = closure.logit_R, closure.onset_gap
    if along is None or gap is None:
        raise ParameterError(f"the closure {closure.name} has no conserved quantity to integrate")

    def path(x: Array, rows: _Rows) -> tuple[Array, Array, Array]:
        grown = np.expm1(x)
        shrunk = grown / (grown + 1)  # 1 - exp(-x)
        sinh, cosh_less_1 = (grown + shrunk) / 2, grown * shrunk / 2
        U_gained = rows.U0 * cosh_less_1 + rows.p0 * sinh
        dU = rows.p0 + rows.p0 * cosh_less_1 + rows.U0 * sinh
        if closure is closures.LINEAR:  # U^2 - dU^2 is the same all along: as if dU began at R = 0
            logit_R = along(dU, 0.0, -np.inf, rows.kappa)
        else:
            logit_R = along(rows.U0 + U_gained, rows.U0, rows.logit_R0, rows.kappa)
        return U_gained, logit_R, dU / expit(logit_R)

    def x_at(U: Array, rows: _Rows) -> Array:
        b = (rows.p0 - rows.U0) * (rows.p0 + rows.U0)
        return np.asarray(np.log((U + np.sqrt(U**2 + b)) / (rows.U0 + rows.p0)))

    def x_onset(rows: _Rows) -> Array:
        later = rows.logit_R0 < 0
        U = gap(rows.U0, np.where(later, rows.logit_R0, 0.0), rows.kappa)
        return np.where(later, x_at(U, rows), 0.0)

    def x_last(rows: _Rows) -> Array:
        longest = np.abs(rows.U0) + np.minimum(rows.t_end / (rows.N * rows.K), 1e100)  # dU/ds < 1
        return np.maximum(x_at(longest, rows), x_onset(rows))

    return _Way(path, x_onset, x_last, (-800.0, 40.0))


def _losing_path(x: Array, rows: _Rows) -> tuple[Array, Array, Array]:
    """R falls to 0 while U < 0, in the linear closure: x is the loss of logit R."""
    logit_R = rows.logit_R0 - x
    U2_lost = 2 / rows.kappa * (log_expit(-logit_R) - log_expit(-rows.logit_R0))
    distance = np.sqrt(rows.U0**2 - U2_lost)  # of U from 0
    return U2_lost / (distance - rows.U0), logit_R, 1 / (rows.kappa * distance)


LOSING = _Way(
    _losing_path,
    lambda rows: np.full_like(rows.N, np.inf),
    lambda rows: -rows.kappa * rows.U0 * np.minimum(rows.t_end / (rows.N * rows.K), 1e100),
    (-40.0, 800.0),
)


@dataclass(frozen=True)
class _Integrals:
    """The integrals along the way: at the edges (rows, panels + 1), at the points one axis more."""

    half: Array
    logit_R: Array
    margin: Array
    t: Array
    Z: Array  # K (S - S0)
    dZ: Array  # by x, at the points
    dt: Array


def _integrate(way: _Way, rows: _Rows, edges: Array, nodes: int) -> _Integrals:
    wide = _Rows(*(values[:, :, None] for values in vars(rows).values()))
    x, half = panels.at_points(edges, nodes)
    U_gained, logit_R, dV = way.path(x, wide)
    dZ = expit(-logit_R) * dV
    Z = panels.at_edges(dZ, half)
    margin = _margin(logit_R, U_gained, panels.between_edges(dZ, half, Z), wide)
    dt = wide.N * wide.K * dV / generated.error_signal(margin, wide.N)
    U_gained, logit_R, _ = way.path(edges, rows)
    margin = _margin(logit_R, U_gained, Z, rows)
    return _Integrals(half, logit_R, margin, panels.at_edges(dt, half), Z, dZ, dt)


def _margin(logit_R: Array, U_gained: Array, Z: Array, rows: _Rows) -> Array:
    S = rows.S0 + Z / rows.K
    Q = rows.U0 + U_gained + S
    return np.asarray(generated.margin(expit(logit_R), Q, S, rows.C, rows.N, rows.K))


def _solve(way: _Way, rows: _Rows, t: Array) -> tuple[Array, Array]:
    """Return (logit R, U - U0, S - S0) at the times t, and the time of the onset."""
    x_onset = way.x_onset(rows)
    edges, cost = np.empty((2, len(t), FIRST_PANELS + 1))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # far beyond t_end
        for some in _chunks(np.arange(len(t)), FIRST_PANELS * FIRST_NODES):
            edges[some], cost[some] = _look(way, rows[some], x_onset[some])
    state, onset = np.empty((3, *t.shape)), np.empty(len(t))
    needed = np.ceil(cost[:, -1]).astype(int)
    order = np.argsort(needed)  # so that rows in one chunk need about as many panels
    for some in _chunks(order, max(int(needed.max()), t.shape[1]) * NODES):
        count = max(int(needed[some].max()), 1)
        fine = panels.spread(edges[some], cost[some], count)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # see finite there
            state[:, some], onset[some] = _evaluate(way, rows[some], t[some], fine, x_onset[some])
    return state, onset


def _look(way: _Way, rows: _Rows, x_onset: Array) -> tuple[Array, Array]:
    """Return edges that reach past t_end and the onset, and the running cost at each."""
    edges = np.maximum(way.x_last(rows), 1e-6) * np.linspace(0.0, 1.0, FIRST_PANELS + 1)
    cost = np.empty_like(edges)
    some = np.arange(len(edges))
    for _ in range(60):
        edges[some], cost[some], end = _cut(way, rows[some], edges[some], x_onset[some])
        before = np.take_along_axis(cost[some], np.maximum(end - 2, 0)[:, None], 1)[:, 0]
        wasted = cost[some, -1] - before  # on the way from t_end to the last edge, at most
        some = some[wasted > 1 + cost[some, -1] / 6]
        if not some.size:
            return edges, cost
        edges[some] = panels.spread(edges[some], cost[some], FIRST_PANELS)
    raise ArithmeticError("the end of the quadrature could not be found")


def _cut(
    way: _Way, rows: _Rows, edges: Array, x_onset: Array
) -> tuple[Array, Array, NDArray[np.intp]]:
    """Return the edges, those after the first that is far enough pulled back, cost, and which."""
    seen = _integrate(way, rows, edges, FIRST_NODES)
    margin = np.where(seen.margin < LARGEST_MARGIN, seen.margin, LARGEST_MARGIN)
    on = (seen.t < rows.t_end) | (edges < np.where(np.isinf(x_onset), 0.0, x_onset))
    on &= margin < LARGEST_MARGIN
    # one edge further than these few nodes say
    end = np.minimum(np.sum(np.logical_and.accumulate(on, axis=1), axis=1) + 1, FIRST_PANELS)
    changes = (
        np.abs(np.diff(edges)) / X_WIDTH
        + np.abs(np.diff(np.clip(seen.logit_R, *way.live))) / LOGIT_R_WIDTH
        + np.abs(np.diff(margin)) / MARGIN_WIDTH
    )
    cost = np.concatenate([np.zeros((len(edges), 1)), np.cumsum(changes, axis=1)], axis=1)
    last = np.minimum(np.arange(FIRST_PANELS + 1), end[:, None])
    return np.take_along_axis(edges, last, 1), np.take_along_axis(cost, last, 1), end


def _evaluate(
    way: _Way, rows: _Rows, t: Array, edges: Array, x_onset: Array
) -> tuple[Array, Array]:
    seen = _integrate(way, rows, edges, NODES)
    if np.any(seen.t[:, -1:] < rows.t_end):
        raise ArithmeticError("the quadrature ends before the last epoch asked for")
    total, total_Z = (panels.integral_series(each, seen.half) for each in (seen.dt, seen.dZ))
    slope = np.moveaxis(seen.dt @ panels.coefficients(NODES).T, 2, 0) * seen.half[:, :, 0]

    panel = panels.find(seen.t, t)
    offset = panels.reach(
        panels.pick(total, panel), panels.pick(slope, panel), t - panels.pick(seen.t, panel)
    )
    offset = np.where(t > 0, offset, -1.0)
    half = panels.pick(seen.half[:, :, 0], panel)
    U_gained, logit_R, _ = way.path(panels.pick(edges, panel) + half * (1 + offset), rows)
    Z = panels.pick(seen.Z, panel) + panels.series(panels.pick(total_Z, panel), offset) * (t > 0)

    x = np.minimum(x_onset, edges[:, -1:])
    panel = panels.find(edges, x)
    offset = (x - panels.pick(edges, panel)) / panels.pick(seen.half[:, :, 0], panel) - 1
    onset = panels.pick(seen.t, panel) + panels.series(panels.pick(total, panel), offset)
    finite = (x_onset <= edges[:, -1:]) & np.isfinite(panels.pick(seen.t[:, 1:], panel))
    onset = np.where(finite, onset, np.inf) * (x_onset > 0)
    state = np.array([logit_R, U_gained, Z / rows.K])
    if np.any(np.isnan(state)) or np.any(np.isnan(onset)):
        raise ArithmeticError("the quadrature has left float64")
    return state, onset[:, 0]
