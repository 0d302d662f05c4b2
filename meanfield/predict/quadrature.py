"""The mean-field equations without an ODE solver: one quadrature, for many parameter sets at once.

With U = Q - S and V = Q + (K - 1) S the equations (15) conserve a function of R and U, so R is
known in closed form along the way and time is one integral, t = int NK dV / g with dV = dU / R.
Everything runs on Gauss-Legendre panels along a path x -> (U, logit R, dV/dx) on which the
integrand is smooth; panels are as narrow as the change of x, of logit R and of the margin asks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from meanfield import generated
from meanfield.attention.closures import ClosedForm
from meanfield.numerics import panels

Array = NDArray[np.float64]

NODES = 12  # of a panel
X_WIDTH, LOGIT_R_WIDTH, MARGIN_WIDTH = 0.8, 2.5, 2.0  # the most that changes over one panel
FIRST_PANELS, FIRST_NODES = 16, 4  # of the first looks, which only place the panels
CHUNK = 2**17  # numbers in one array at most
LARGEST_MARGIN = 600.0  # a little further on the time leaves float64


@dataclass(frozen=True)
class Rows:
    """Parameter sets, one row each: arrays of shape (rows, 1). U0, S0, logit_R0: where they start.

    t_end: the last time wanted. p0: dU/dx at the start of a way that locks on: the scale on which R
    changes there.
    """

    N: Array
    K: Array
    C: Array
    U0: Array
    S0: Array
    logit_R0: Array
    kappa: Array
    t_end: Array
    p0: Array

    def __getitem__(self, rows: Any) -> Rows:
        """Return some of the rows."""
        return Rows(*(values[rows] for values in vars(self).values()))


def solve(solution: ClosedForm, rows: Rows, t: Array) -> tuple[Array, Array, Array, Array]:
    """Return logit R, what U and S gained at times t, (rows, times), and the time of R = 1/2.

    rows.p0 is set here.
    """
    basin = np.broadcast_to(solution.basin_gap(rows.logit_R0, rows.kappa), rows.U0.shape)
    bounded = np.isfinite(basin)
    p0 = np.where(bounded, -basin, np.sqrt(rows.U0**2 + 2 / rows.kappa))
    rows, lost = replace(rows, p0=p0), (basin >= rows.U0)[:, 0]
    state, onset = np.empty((3, *t.shape)), np.empty(len(t))
    for group, way in ((~lost, locking), (lost, losing)):
        if np.any(group):
            state[:, group], onset[group] = _solve(way(solution), rows[group], t[group])
    logit_R, U_gained, S_gained = state
    return logit_R, U_gained, S_gained, onset


def chunks(rows: NDArray[np.intp], numbers_per_row: int) -> list[NDArray[np.intp]]:
    """Return the rows in pieces that hold no more numbers than a cache does."""
    return np.array_split(rows, math.ceil(len(rows) * max(numbers_per_row, 1) / CHUNK))


@dataclass(frozen=True)
class Way:
    """How U and R move along a variable x that starts at 0.

    path(x, rows): U - U0, logit R and dV/dx. x_onset: where R = 1/2, inf if nowhere.
    x_last: not before t_end and the onset. live: the logit R between which the integrand changes.
    """

    path: Callable[[Array, Rows], tuple[Array, Array, Array]]
    x_onset: Callable[[Rows], Array]
    x_last: Callable[[Rows], Array]
    live: tuple[float, float]


def locking(solution: ClosedForm) -> Way:
    """R grows to 1: U = U0 cosh x + p0 sinh x, so that dU/dx is the scale on which R changes."""
    # with a basin of attraction U^2 - dU^2 stays, as if dU began at R = 0
    bounded = np.isfinite(solution.basin_gap(0.0, 1.0))

    def path(x: Array, rows: Rows) -> tuple[Array, Array, Array]:
        grown = np.expm1(x)
        shrunk = grown / (grown + 1)  # 1 - exp(-x)
        sinh, cosh_less_1 = (grown + shrunk) / 2, grown * shrunk / 2
        U_gained = rows.U0 * cosh_less_1 + rows.p0 * sinh
        dU = rows.p0 + rows.p0 * cosh_less_1 + rows.U0 * sinh
        if bounded:
            logit_R = solution.logit_R(dU, 0.0, -np.inf, rows.kappa)
        else:
            logit_R = solution.logit_R(rows.U0 + U_gained, rows.U0, rows.logit_R0, rows.kappa)
        return U_gained, logit_R, dU / expit(logit_R)

    def x_at(U: Array, rows: Rows) -> Array:
        b = (rows.p0 - rows.U0) * (rows.p0 + rows.U0)
        return np.asarray(np.log((U + np.sqrt(U**2 + b)) / (rows.U0 + rows.p0)))

    def x_onset(rows: Rows) -> Array:
        later = rows.logit_R0 < 0
        U = solution.onset_gap(rows.U0, np.where(later, rows.logit_R0, 0.0), rows.kappa)
        return np.where(later, x_at(U, rows), 0.0)

    def x_last(rows: Rows) -> Array:
        longest = np.abs(rows.U0) + np.minimum(rows.t_end / (rows.N * rows.K), 1e100)  # dU/ds < 1
        return np.maximum(x_at(longest, rows), x_onset(rows))

    return Way(path, x_onset, x_last, (-800.0, 40.0))


def losing(solution: ClosedForm) -> Way:
    """R falls to 0 while U < 0, outside the basin of attraction: x is the loss of logit R."""

    def path(x: Array, rows: Rows) -> tuple[Array, Array, Array]:
        logit_R = rows.logit_R0 - x
        U2_lost = -solution.squared_gap(logit_R, rows.logit_R0, rows.kappa)
        distance = np.sqrt(rows.U0**2 - U2_lost)  # of U from 0
        return U2_lost / (distance - rows.U0), logit_R, 1 / (rows.kappa * distance)

    def x_last(rows: Rows) -> Array:
        longest = np.minimum(rows.t_end / (rows.N * rows.K), 1e100)
        return np.asarray(-rows.kappa * rows.U0 * longest)

    return Way(path, lambda rows: np.full_like(rows.N, np.inf), x_last, (-40.0, 800.0))


@dataclass(frozen=True)
class _Integrals:
    """The integrals along the way: at the edges (rows, panels + 1), at the points one axis more."""

    half: Array
    logit_R: Array
    margin: Array
    t: Array
    S_gained: Array
    dS: Array  # by x, at the points
    dt: Array


def _integrate(way: Way, rows: Rows, edges: Array, nodes: int) -> _Integrals:
    wide = Rows(*(values[:, :, None] for values in vars(rows).values()))
    x, half = panels.at_points(edges, nodes)
    U_gained, logit_R, dV = way.path(x, wide)
    dS = generated.off_target_slope(expit(-logit_R), wide.K) * dV
    S_gained = panels.at_edges(dS, half)
    margin = _margin(logit_R, U_gained, panels.between_edges(dS, half, S_gained), wide)
    dt = dV * generated.time_slope(margin, wide.N, wide.K)
    U_gained, logit_R, _ = way.path(edges, rows)
    margin = _margin(logit_R, U_gained, S_gained, rows)
    return _Integrals(half, logit_R, margin, panels.at_edges(dt, half), S_gained, dS, dt)


def _margin(logit_R: Array, U_gained: Array, S_gained: Array, rows: Rows) -> Array:
    S = rows.S0 + S_gained
    Q = rows.U0 + U_gained + S
    return np.asarray(generated.margin(expit(logit_R), Q, S, rows.C, rows.N, rows.K))


def _solve(way: Way, rows: Rows, t: Array) -> tuple[Array, Array]:
    """Return (logit R, U - U0, S - S0) at the times t, and the time of the onset."""
    x_onset = way.x_onset(rows)
    edges, cost = np.empty((2, len(t), FIRST_PANELS + 1))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # far beyond t_end
        for some in chunks(np.arange(len(t)), FIRST_PANELS * FIRST_NODES):
            edges[some], cost[some] = _look(way, rows[some], x_onset[some])
    state, onset = np.empty((3, *t.shape)), np.empty(len(t))
    needed = np.ceil(cost[:, -1]).astype(int)
    order = np.argsort(needed)  # so that rows in one chunk need about as many panels
    for some in chunks(order, max(int(needed.max()), t.shape[1]) * NODES):
        count = max(int(needed[some].max()), 1)
        fine = panels.spread(edges[some], cost[some], count)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # see finite there
            state[:, some], onset[some] = _evaluate(way, rows[some], t[some], fine, x_onset[some])
    return state, onset


def _look(way: Way, rows: Rows, x_onset: Array) -> tuple[Array, Array]:
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
    way: Way, rows: Rows, edges: Array, x_onset: Array
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


def _evaluate(way: Way, rows: Rows, t: Array, edges: Array, x_onset: Array) -> tuple[Array, Array]:
    seen = _integrate(way, rows, edges, NODES)
    if np.any(seen.t[:, -1:] < rows.t_end):
        raise ArithmeticError("the quadrature ends before the last epoch asked for")
    total, total_S = (panels.integral_series(each, seen.half) for each in (seen.dt, seen.dS))
    slope = np.moveaxis(seen.dt @ panels.coefficients(NODES).T, 2, 0) * seen.half[:, :, 0]

    panel = panels.find(seen.t, t)
    offset = panels.reach(
        panels.pick(total, panel), panels.pick(slope, panel), t - panels.pick(seen.t, panel)
    )
    offset = np.where(t > 0, offset, -1.0)
    half = panels.pick(seen.half[:, :, 0], panel)
    U_gained, logit_R, _ = way.path(panels.pick(edges, panel) + half * (1 + offset), rows)
    S_more = panels.series(panels.pick(total_S, panel), offset) * (t > 0)
    S_gained = panels.pick(seen.S_gained, panel) + S_more

    x = np.minimum(x_onset, edges[:, -1:])
    panel = panels.find(edges, x)
    offset = (x - panels.pick(edges, panel)) / panels.pick(seen.half[:, :, 0], panel) - 1
    onset = panels.pick(seen.t, panel) + panels.series(panels.pick(total, panel), offset)
    finite = (x_onset <= edges[:, -1:]) & np.isfinite(panels.pick(seen.t[:, 1:], panel))
    onset = np.where(finite, onset, np.inf) * (x_onset > 0)
    state = np.array([logit_R, U_gained, S_gained])
    if np.any(np.isnan(state)) or np.any(np.isnan(onset)):
        raise ArithmeticError("the quadrature has left float64")
    return state, onset[:, 0]
