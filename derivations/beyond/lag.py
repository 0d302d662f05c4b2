"""X7g-X7i: by how many epochs gradient steps come to a given R later than gradient flow.

From the nominal start Q = S = C/N, to first order in the learning rate. All is told where R is the
same: there U = Q - S and V = Q + (K - 1) S are ahead of the flow's by eta u and eta v in steps, and
the time is later by eta times the lag: the epoch by the lag itself, whatever eta is. Slopes are
those along the flow in internal time s, whose pace is e = ds/dt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import sympy as sp

from derivations.beyond.finite_steps import f, logit_growth_in_steps, modified_flow, phi, x
from derivations.beyond.solution import margin_by_gap
from derivations.paper.dynamics import (
    BEYOND,
    U,
    V,
    gap_in_internal_time,
    retrieval_in_internal_time,
    s,
    shape,
    total_in_internal_time,
)
from derivations.paper.loss import error_signal
from derivations.statement import Kind, Step, check, equation, require, shown
from derivations.symbols import Delta, G, K, N, R, T, eta, g, t

e = sp.Symbol("e", positive=True)
e_s, G_s = sp.symbols("e_s G_s", real=True)
R_s = sp.Symbol("R_s", positive=True)
u, v = sp.symbols("u v", real=True)  # ahead of the flow at the same R, per eta: U and V
D, D_s = sp.symbols("D D_s", real=True)  # U (e R/2 - u): 0 at the start
v_s = sp.Symbol("v_s", real=True)  # v is e/2 at the start
lag_s = sp.Symbol(r"\ell_s", real=True)  # the lag in epochs is 1/2 at the start
pull = sp.Symbol("h", positive=True)  # R_s/(U G), a number
FUNCTIONS = {letter: sp.Function(letter.name)(s) for letter in (e, U, R, G)}
SLOPES = {sp.Derivative(FUNCTIONS[of], s): name for of, name in ((e, e_s), (R, R_s), (G, G_s))}


def along(expr: sp.Expr) -> sp.Expr:
    """``expr`` with the letters of the flow as functions of internal time."""
    return expr.xreplace(FUNCTIONS)


def at_a_point(expr: sp.Expr) -> sp.Expr:
    """Back in letters, with the slopes as letters too."""
    found = expr.doit().xreplace(SLOPES)
    return found.xreplace({function: letter for letter, function in FUNCTIONS.items()})


def logit_in_steps(growth_in_steps: sp.Eq, gap: sp.Eq, retrieval: sp.Eq) -> sp.Expr:
    """Velocity of logit R in steps, by the flow at the same place."""
    require(not sp.cancel(retrieval.rhs / (U * shape(R))).has(U, R), "R does not grow like U G")
    flow = FUNCTIONS[e] * along(pull * U * G / (R * (1 - R)))  # by ds = e dt
    change = FUNCTIONS[e] * sp.diff(flow, s)
    found = growth_in_steps.rhs.subs({sp.Derivative(phi(t), t): change, phi(t): flow})
    by_R = sp.diff(FUNCTIONS[G], s) / sp.diff(FUNCTIONS[R], s)
    return _by_U(found.subs(sp.Derivative(shape(R), R), by_R).subs(shape(R), G), gap)


def total_in_steps(modified_flow: sp.Eq, speed: sp.Eq, gap: sp.Eq) -> sp.Expr:
    """Velocity of U or V in steps, of which ``speed`` is the one in internal time."""
    half = modified_flow.rhs.coeff(eta) / f(x) / sp.diff(f(x), x)
    flow = FUNCTIONS[e] * along(speed.rhs)
    return _by_U(flow + half * eta * FUNCTIONS[e] * sp.diff(flow, s), gap)


def _by_U(velocity: sp.Expr, gap: sp.Eq) -> sp.Expr:
    """In letters, U_s by (X1a) and R_s by (X1c)."""
    own = at_a_point(along(velocity)).xreplace({sp.Derivative(U, s): gap.rhs})
    return own.subs(R_s, pull * U * G)


def first_order(expr: sp.Expr) -> sp.Expr:
    """The coefficient of eta, by the flow's slope R_s."""
    found = sp.diff(expr, eta).subs(eta, 0)
    return sp.expand(sp.simplify(found.subs(pull, R_s / (U * G))))


@shown("U/2*(R*e_s + 2*e*R_s - e*R*G_s/(2*G))")
@equation(
    "X7g",
    "Curve of gradient steps",
    status=BEYOND,
    follows_from=(
        modified_flow,
        logit_growth_in_steps,
        gap_in_internal_time,
        retrieval_in_internal_time,
    ),
    note="D = U (e R/2 - u), 0 at the start: u itself is e R/2 there, however small U is.",
)
def excess_growth(
    modified_flow: sp.Eq, growth_in_steps: sp.Eq, gap: sp.Eq, retrieval: sp.Eq
) -> Iterator[Step]:
    of_logit = logit_in_steps(growth_in_steps, gap, retrieval)
    of_U = total_in_steps(modified_flow, gap, gap)
    yield "Logit R in steps", sp.Eq(sp.Symbol(r"\dot{\rho}"), of_logit)
    yield "U in steps", sp.Eq(sp.Symbol(r"\dot{U}"), of_U)
    flow = of_logit.subs(eta, 0)
    # ahead by eta u, the growth of logit R, in proportion to U, is faster by its share
    slope = of_U / (of_logit + eta * u / U * flow) * flow / e
    u_s = first_order(slope)
    yield "Divide, at the same R where U is ahead by eta u", sp.Eq(sp.Symbol("u_s"), u_s)
    of_D = R * (e * R / 2 - u) + U * (e_s * R / 2 + e * R_s / 2 - u_s)  # U_s = R
    yield "The slope of D", sp.Eq(D_s, sp.factor(sp.expand(of_D)))


@shown("D/U**2 + e*G_s/(4*G)")
@equation(
    "X7h",
    "Total overlap of gradient steps",
    status=BEYOND,
    follows_from=(
        modified_flow,
        logit_growth_in_steps,
        gap_in_internal_time,
        total_in_internal_time,
        retrieval_in_internal_time,
    ),
    note="v is e/2 at the start: half a step late, R waits while V already grows.",
)
def total_ahead_growth(
    modified_flow: sp.Eq, growth_in_steps: sp.Eq, gap: sp.Eq, total: sp.Eq, retrieval: sp.Eq
) -> Iterator[Step]:
    of_logit = logit_in_steps(growth_in_steps, gap, retrieval)
    of_V = total_in_steps(modified_flow, total, gap)
    flow = of_logit.subs(eta, 0)
    slope = first_order(of_V / (of_logit + eta * u / U * flow) * flow / e)
    yield "Divide as for U", sp.Eq(v_s, slope)
    yield "By D", sp.Eq(v_s, sp.expand(slope.subs(u, e * R / 2 - D / U)))


@shown("e_s/(2*e) + G_s/(4*G) + D/(e*U**2) + (1 - g)/e*N/(N - 1)*((1 - 1/K)*R*(e*R/2 - D/U) + v/K)")
@equation(
    "X7i",
    "Lag of gradient steps",
    status=BEYOND,
    follows_from=(
        logit_growth_in_steps,
        gap_in_internal_time,
        retrieval_in_internal_time,
        margin_by_gap,
        error_signal,
    ),
    note="1/2 at the start: there R does not move in the first step, its drive being 0.",
)
def lag_growth(
    growth_in_steps: sp.Eq, gap: sp.Eq, retrieval: sp.Eq, margin: sp.Eq, error_signal: sp.Eq
) -> Iterator[Step]:
    of_logit = logit_in_steps(growth_in_steps, gap, retrieval)
    flow = of_logit.subs(eta, 0)
    by_margin = sp.diff(sp.log(error_signal.rhs), Delta)
    share = sp.simplify(by_margin / (1 - error_signal.rhs))
    require(share == -1, "g does not fall like its own 1 - g")
    paced = sp.Symbol("delta", real=True)  # what the margin has gained at the same R, per eta
    faster = u / U + share * (1 - g) * paced
    late = first_order(flow / e / (of_logit + eta * faster * flow))
    yield "Time by logit R, at the margin there", sp.Eq(lag_s, late)
    gained = sp.diff(margin.rhs, U) * u + sp.diff(margin.rhs, V) * v
    yield "The margin there", sp.Eq(paced, gained)
    in_D = late.subs(paced, gained).subs(u, e * R / 2 - D / U)
    yield "By D", sp.Eq(lag_s, sp.expand(in_D))


# --- checks --------------------------------------------------------------------------------------


SIZES = {N: 4, K: 3, T: 5}  # R starts at 1/T
WIDTHS = [0.1 / 2**n for n in range(4)]  # of the steps


def error_and_slopes(R_now: float, gap: float, total: float) -> tuple[float, float, float]:
    """Return g, dR/ds for G = 4R, and the slope of the margin in internal time."""
    states, words = SIZES[N], SIZES[K]
    lead = states / (states - 1) * (total / words + (1 - 1 / words) * R_now * gap)
    wrong = 1 / (1 + math.exp(lead) / (states - 1))
    R_slope = states**2 * (words - 1) / (states - 1) * gap * 4 * R_now
    lead_slope = 1 / words + (1 - 1 / words) * (R_slope * gap + R_now**2)
    return wrong, R_slope, states / (states - 1) * lead_slope


def at_one_half(logits: list[float], values: list[float]) -> float:
    """Return the value where the logit is 0: Lagrange's cubic through the last four points."""
    points = list(zip(logits[-4:], values[-4:], strict=True))
    return sum(
        value * math.prod(other / (other - logit) for other, _ in points if other != logit)
        for logit, value in points
    )


def onset_of_steps(width: float) -> tuple[float, float]:
    """Return time and V at R = 1/2 in steps of one weight w with R = w^2, which U drives."""
    pace = 1 / (SIZES[N] * SIZES[K])
    weight, gap, total = 1 / math.sqrt(SIZES[T]), 0.0, 0.0
    logits: list[float] = []
    times: list[float] = []
    totals: list[float] = []
    while len(logits) < 4 or logits[-2] < 0:
        R_now = weight**2
        logits.append(math.log(R_now / (1 - R_now)))
        times.append(len(times) * width)
        totals.append(total)
        wrong, R_slope, _ = error_and_slopes(R_now, gap, total)
        ds = width * wrong * pace
        weight += ds * R_slope / (2 * weight)
        gap += ds * R_now
        total += ds
    return at_one_half(logits, times), at_one_half(logits, totals)


def slope_towards_none(values: Sequence[float]) -> float:
    """Return the slope of values in the width of the steps, towards none: Richardson."""
    onsets = zip(WIDTHS, values, strict=True)
    slopes = [(late - early) / (wide - fine) for (wide, late), (fine, early) in pairwise(onsets)]
    power = 2
    while len(slopes) > 1:
        slopes = [(power * fine - coarse) / (power - 1) for coarse, fine in pairwise(slopes)]
        power *= 2
    return slopes[0]


def lag_by_slopes(slopes: Callable[..., list[float]], ds: float) -> tuple[float, float]:
    """Return the lag and v at R = 1/2, integrated with D along the flow of G = 4R: Runge-Kutta."""
    pace = 1 / (SIZES[N] * SIZES[K])

    def rates(state: list[float]) -> list[float]:
        R_now, gap, total, D_now, v_now, _ = state
        wrong, R_slope, lead_slope = error_and_slopes(R_now, gap, total)
        e_now = pace * wrong
        e_slope = -e_now * (1 - wrong) * lead_slope
        own = (R_now, gap or 1e-30, 4 * R_now, e_now, wrong, D_now, v_now)
        by_flow = (R_slope, 4 * R_slope, e_slope)
        return [R_slope, R_now, 1.0, *slopes(*own, *by_flow)]

    def moved(state: list[float], by: float, rate: list[float]) -> list[float]:
        return [value + by * each for value, each in zip(state, rate, strict=True)]

    blind = error_and_slopes(1 / SIZES[T], 0.0, 0.0)[0]
    state = [1 / SIZES[T], 0.0, 0.0, 0.0, pace * blind / 2, 0.5]
    logits: list[float] = []
    lags: list[float] = []
    ahead: list[float] = []
    while len(logits) < 4 or logits[-2] < 0:
        logits.append(math.log(state[0] / (1 - state[0])))
        lags.append(state[-1])
        ahead.append(state[-2])
        k1 = rates(state)
        k2 = rates(moved(state, ds / 2, k1))
        k3 = rates(moved(state, ds / 2, k2))
        k4 = rates(moved(state, ds, k3))
        mean = [(a + 2 * b + 2 * c + h) / 6 for a, b, c, h in zip(k1, k2, k3, k4, strict=True)]
        state = moved(state, ds, mean)
    return at_one_half(logits, lags), at_one_half(logits, ahead)


@check(
    excess_growth,
    total_ahead_growth,
    lag_growth,
    kind=Kind.NUMERIC,
    says="one weight w with R = w^2, so G = 4R, in steps that are made finer and finer",
)
def one_weight_in_steps(excess: sp.Eq, total_ahead: sp.Eq, lag: sp.Eq) -> str:
    claims = [each.rhs.subs({N: SIZES[N], K: SIZES[K]}) for each in (excess, total_ahead, lag)]
    slopes = sp.lambdify((R, U, G, e, g, D, v, R_s, G_s, e_s), claims, "math")
    claimed, v_claimed = lag_by_slopes(slopes, 4e-3)
    times, totals = zip(*map(onset_of_steps, WIDTHS), strict=True)
    found, v_found = slope_towards_none(times), slope_towards_none(totals)
    require(abs(claimed - found) < 1e-4, f"the steps come {found} epochs later, not {claimed}")
    require(abs(v_claimed / v_found - 1) < 2e-4, f"V is {v_found} ahead, not {v_claimed}")
    return f"{found:.5f} epochs for {claimed:.5f}, V ahead by {v_found:.6f} for {v_claimed:.6f}"
