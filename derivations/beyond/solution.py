"""X2, X3: the exact solution of (15): the curve R(U), the clock t(U), onset, plateau, basin."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from functools import cache

import mpmath
import sympy as sp

from derivations.paper.attention_closures import linear_closure, quadratic_closure
from derivations.paper.dynamics import (
    BEYOND,
    R_of,
    U,
    V,
    V_of,
    alignment_dynamics,
    gap_in_internal_time,
    kappa,
    linear_growth,
    off_target_dynamics,
    quadratic_growth,
    rate,
    rate_constant,
    retrieval_in_internal_time,
    right_logit_in_gap,
    shape,
    total_in_internal_time,
)
from derivations.paper.logits import margin, mean_correct_logit
from derivations.paper.loss import error_signal
from derivations.statement import Kind, Step, check, equation, require, shown
from derivations.symbols import C, Delta, G, K, N, Q, R, S, T, g, g0, gamma, t, y_c

U_0, V_0, R_0 = (
    sp.Symbol("U_0", real=True),
    sp.Symbol("V_0", real=True),
    sp.Symbol("R_0", positive=True),
)
dummy = sp.Symbol("R'", positive=True)  # integration variables
gap_passed = sp.Symbol("U'", real=True)
margin_of = sp.Function("Delta")
squared_gap = sp.Symbol("U^2", positive=True)  # what the onset and the basin are solved for
missing_0 = sp.Symbol("x_0", positive=True)  # 1 - R_0, known to be positive
level = sp.Symbol("h", real=True)  # right side of the first integral
odds, odds_0 = sp.symbols("y y_0", positive=True)  # R/(1 - R)


# --- first integrals (X2) ------------------------------------------------------------------------


@shown("Integral((N - 1)/(N**2*(K - 1))*(R_prime/G(R_prime)), (R_prime, R_0, R))")
@equation(
    "X2a",
    "First integral",
    status=BEYOND,
    follows_from=(gap_in_internal_time, retrieval_in_internal_time),
)
def first_integral(
    gap_in_internal_time: sp.Eq, retrieval_in_internal_time: sp.Eq
) -> Iterator[Step]:
    slope = retrieval_in_internal_time.rhs / gap_in_internal_time.rhs
    yield "Divide (X1c) by (X1a): time drops out", sp.Eq(sp.Derivative(R_of(U), U), slope)
    left = sp.integrate(U, (U, U_0, U))
    right = sp.Integral((U / slope).subs(R, dummy), (dummy, R_0, R))
    yield "Separate and integrate", sp.Eq(left, right)


def integrate_closure(
    first_integral: sp.Eq, closure: sp.Eq, own_rate: sp.Symbol, rate_constant: sp.Eq
) -> sp.Eq:
    """(X2a) times kappa, its integral carried out for a given closure."""
    (integral,) = first_integral.rhs.atoms(sp.Integral)
    ((_, low, high),) = integral.limits
    integrand = integral.function.subs(shape(dummy), closure.rhs.subs(R, dummy))
    scale = rate_constant.rhs.subs(rate, own_rate)
    primitive = sp.integrate(sp.factor(integrand * scale), dummy)
    primitive = primitive.subs(sp.log(dummy - 1), sp.log(1 - dummy))  # R < 1: the real branch
    passed = primitive.subs(dummy, high) - primitive.subs(dummy, low)
    whole = sp.Symbol("whole")  # the integral, to be put in its place
    beside, share = sp.Poly(first_integral.rhs.xreplace({integral: whole}), whole).all_coeffs()[
        ::-1
    ]
    return sp.Eq(kappa * first_integral.lhs, scale * beside + share * passed)


@shown("(1 - R_0)*exp(-kappa*(U**2 - U_0**2)/2)")
@equation(
    "X2b",
    "Attention by the gap, linear closure",
    status=BEYOND,
    follows_from=(first_integral, linear_closure, rate_constant),
)
def linear_retrieval_by_gap(
    first_integral: sp.Eq, linear_closure: sp.Eq, rate_constant: sp.Eq
) -> Iterator[Step]:
    integrated = integrate_closure(first_integral, linear_closure, gamma, rate_constant)
    yield "Carry out the integral: (1 - R) exp(kappa U^2/2) is conserved", integrated
    missing = sp.Symbol("x", positive=True)
    solved = sp.solve(integrated.subs(R, 1 - missing), missing)
    require(len(solved) == 1, "the first integral has not one solution")
    yield "Solve for the attention still missing", sp.Eq(1 - R, sp.simplify(solved[0]))


@shown("LambertW(y_0*exp(y_0 + kappa*(U**2 - U_0**2)/2))")
@equation(
    "X2c",
    "Attention by the gap, quadratic closure",
    status=BEYOND,
    follows_from=(first_integral, quadratic_closure, rate_constant),
)
def quadratic_retrieval_by_gap(
    first_integral: sp.Eq, quadratic_closure: sp.Eq, rate_constant: sp.Eq
) -> Iterator[Step]:
    integrated = integrate_closure(first_integral, quadratic_closure, g0, rate_constant)
    yield "Carry out the integral", integrated
    in_odds = integrated.rhs.subs({R: odds / (1 + odds), R_0: odds_0 / (1 + odds_0)})
    in_odds = sp.expand_log(sp.simplify(in_odds), force=True)
    expected = odds + sp.log(odds) - odds_0 - sp.log(odds_0)
    require(
        all(sp.simplify(sp.diff(in_odds - expected, z)) == 0 for z in (odds, odds_0))
        and sp.simplify((in_odds - expected).subs(odds, odds_0)) == 0,
        "the first integral is not y + log y",
    )
    yield "In the odds y = R/(1 - R)", sp.Eq(integrated.lhs, expected)
    level = odds_0 + sp.log(odds_0) + integrated.lhs
    yield (
        "y + log y grows by that much: Lambert's function",
        sp.Eq(odds, sp.LambertW(sp.exp(level))),
    )


# --- the exact solution (X3) ---------------------------------------------------------------------


@equation(
    "X3a",
    "Total by the gap",
    status=BEYOND,
    follows_from=(gap_in_internal_time, total_in_internal_time),
)
def total_by_gap(gap_in_internal_time: sp.Eq, total_in_internal_time: sp.Eq) -> Iterator[Step]:
    slope = total_in_internal_time.rhs / gap_in_internal_time.rhs
    yield "Divide (X1b) by (X1a)", sp.Eq(sp.Derivative(V_of(U), U), slope)
    yield (
        "Integrate along the curve R(U) of (X2)",
        sp.Eq(V, V_0 + sp.Integral(slope.subs(R, R_of(gap_passed)), (gap_passed, U_0, U))),
    )


@shown("(N*(V/K + (1 - 1/K)*R*U) - C)/(N - 1)")
@equation("X3b", "Margin by the gap", status=BEYOND, follows_from=(margin, right_logit_in_gap))
def margin_by_gap(margin: sp.Eq, right_logit_in_gap: sp.Eq) -> Iterator[Step]:
    yield "Insert (X1e) into the margin", sp.Eq(Delta, margin.rhs.subs(y_c, right_logit_in_gap.rhs))


@shown("Integral(N*K/R(U_prime)*(1 + exp(Delta(U_prime))/(N - 1)), (U_prime, U_0, U))")
@equation(
    "X3c", "Time by the gap", status=BEYOND, follows_from=(gap_in_internal_time, error_signal)
)
def time_by_gap(gap_in_internal_time: sp.Eq, error_signal: sp.Eq) -> Iterator[Step]:
    inverse = 1 + sp.simplify(1 / error_signal.rhs - 1)
    yield "Internal time runs slower the fewer errors are left", sp.Eq(1 / g, inverse)
    slope = K * N / gap_in_internal_time.rhs * inverse
    along = slope.subs({R: R_of(gap_passed), Delta: margin_of(gap_passed)})
    yield (
        "dt = KN ds/g = KN dU/(R g): the whole of (15) is one quadrature",
        sp.Eq(t, sp.Integral(along, (gap_passed, U_0, U))),
    )


order = sp.Symbol("n", integer=True, positive=True)  # order of a geometric series


@shown("V_0 + U + Sum((1 - R_0)**n*sqrt(pi/(2*kappa*n))*erf(U*sqrt(kappa*n/2)), (n, 1, oo))")
@equation(
    "X3d",
    "Total by the gap, linear closure",
    status=BEYOND,
    follows_from=(total_by_gap, linear_retrieval_by_gap),
)
def linear_total_by_gap(total_by_gap: sp.Eq, linear_retrieval_by_gap: sp.Eq) -> Iterator[Step]:
    missing = linear_retrieval_by_gap.rhs.subs(U_0, 0)
    yield "Start without a gap", sp.Eq(1 - R, missing)
    (integral,) = total_by_gap.rhs.atoms(sp.Integral)
    require(integral.function == 1 / R_of(gap_passed), "the integrand is not 1/R")
    require(integral.limits == ((gap_passed, U_0, U),), "the way is not from U_0 to U")
    powers = sp.Sum(missing_0**order, (order, 1, sp.oo))
    geometric = powers.doit().args[0][0]  # the branch of a sum that converges
    require(sp.simplify(1 + geometric - 1 / (1 - missing_0)) == 0, "1/R is not this series")
    length = sp.Symbol("U", positive=True)
    term = sp.integrate(sp.exp(-order * kappa * gap_passed**2 / 2), (gap_passed, 0, length))
    require(
        sp.simplify(
            missing.subs(U, gap_passed) ** order / (1 - R_0) ** order
            - sp.exp(-order * kappa * gap_passed**2 / 2)
        )
        == 0,
        "a power of 1 - R is not a Gaussian",
    )
    yield "1/R is a geometric series in 1 - R, each term a Gaussian in U", term
    series = sp.Sum((1 - R_0) ** order * sp.simplify(term.subs(length, U)), (order, 1, sp.oo))
    yield (
        "Integrate term by term; the first term, 1, gives U",
        sp.Eq(V, total_by_gap.rhs.xreplace({integral: U + series})),
    )


@shown("sqrt(U_0**2 + 2/kappa*log(2*(1 - R_0)))")
@equation(
    "X3e",
    "Gap at the onset, linear closure",
    status=BEYOND,
    follows_from=(linear_retrieval_by_gap,),
)
def linear_onset_gap(linear_retrieval_by_gap: sp.Eq) -> Iterator[Step]:
    half = linear_retrieval_by_gap.subs(R, sp.Rational(1, 2))
    yield "Attention is half way", half
    left = half.subs({1 - R_0: missing_0, U**2: squared_gap})
    (square,) = sp.solve(left, squared_gap)
    in_missing = sp.expand(sp.expand_log(square))
    yield "Solve for the gap", sp.Eq(U, sp.sqrt(in_missing.subs(missing_0, 1 - R_0)))


@shown("sqrt(U_0**2 + 2/kappa*(2 - 1/(1 - R_0) + log((1 - R_0)/R_0)))")
@equation(
    "X3f",
    "Gap at the onset, quadratic closure",
    status=BEYOND,
    follows_from=(first_integral, quadratic_closure, rate_constant),
)
def quadratic_onset_gap(
    first_integral: sp.Eq, quadratic_closure: sp.Eq, rate_constant: sp.Eq
) -> Iterator[Step]:
    half = integrate_closure(first_integral, quadratic_closure, g0, rate_constant).subs(
        R, sp.Rational(1, 2)
    )
    yield "Attention is half way", half
    require(sp.expand(half.lhs - kappa * (U**2 - U_0**2) / 2) == 0, "left side of (X2a)")
    (square,) = sp.solve(sp.Eq(kappa * (squared_gap - U_0**2) / 2, level), squared_gap)
    yield "Solve for the gap", sp.Eq(U, sp.sqrt(sp.expand(square).subs(level, half.rhs)))


@shown("N**2/(N - 1)*K*(V - V_0)")
@equation(
    "X3g",
    "Time while the margin is small",
    status=BEYOND,
    follows_from=(total_in_internal_time, error_signal),
)
def early_time(total_in_internal_time: sp.Eq, error_signal: sp.Eq) -> Iterator[Step]:
    blind = sp.simplify(error_signal.rhs.subs(Delta, 0))
    yield "Without a margin the model guesses", sp.Eq(g, blind)
    slope = sp.factor(K * N / blind / total_in_internal_time.rhs)
    yield "dt = KN dV/g", slope
    yield "The onset is at V of (X3d) for U of (X3e)", sp.Eq(t, slope * (V - V_0))


@shown("V_0/K + 1/K*sqrt(pi/(2*kappa))*polylog(1/2, 1 - R_0)")
@equation("X3h", "Plateau of S, linear closure", status=BEYOND, follows_from=(linear_total_by_gap,))
def linear_plateau(linear_total_by_gap: sp.Eq) -> Iterator[Step]:
    surplus = linear_total_by_gap.rhs - U
    yield "K S = V - U: what V has over U", surplus
    (series,) = surplus.atoms(sp.Sum)
    far = sp.Symbol("U", positive=True)
    term = sp.limit(series.function.subs(U, far), far, sp.oo)
    yield (
        "Once attention has locked on, U grows without bound",
        sp.Sum(sp.simplify(term), *series.limits),
    )
    constant, power = term.as_independent(order, as_Add=False)
    require(
        sp.simplify(power - (1 - R_0) ** order / sp.sqrt(order)) == 0
        and series.limits == ((order, 1, sp.oo),),
        "the series is not a polylogarithm",
    )
    lasting = surplus.xreplace({series: constant * sp.polylog(sp.Rational(1, 2), 1 - R_0)})
    require(not lasting.has(U), "S keeps growing with U")
    yield "A polylogarithm of order 1/2", sp.Eq(S, sp.expand(lasting / K))


@shown("-sqrt(-2/kappa*log(1 - R_0))")
@equation(
    "X3i",
    "Basin of attraction, linear closure",
    status=BEYOND,
    follows_from=(linear_retrieval_by_gap,),
    note="A start with Q - S below this is driven to R = 0 and never learns.",
)
def linear_basin(linear_retrieval_by_gap: sp.Eq) -> Iterator[Step]:
    turning = linear_retrieval_by_gap.subs({U: 0, R: 0})
    yield "The worst start that still returns: attention dies just when the gap closes", turning
    left = turning.subs({1 - R_0: missing_0, U_0**2: squared_gap})
    (square,) = sp.solve(left, squared_gap)
    in_missing = sp.expand_log(square).subs(missing_0, 1 - R_0)
    yield "Solve for the start", sp.Eq(U_0, -sp.sqrt(in_missing))


@shown("LambertW(y_0*exp(y_0 - kappa*U_0**2/2))")
@equation(
    "X3j",
    "No basin, quadratic closure",
    status=BEYOND,
    follows_from=(quadratic_retrieval_by_gap,),
    note="Positive for every start: this closure always learns, however late.",
)
def quadratic_minimum(quadratic_retrieval_by_gap: sp.Eq) -> Iterator[Step]:
    yield (
        "The odds R/(1 - R) when the gap closes",
        sp.Eq(sp.Symbol("y_min", positive=True), quadratic_retrieval_by_gap.rhs.subs(U, 0)),
    )


@shown("t_0 + N*K*Q + K*exp((N*Q - C)/(N - 1))")
@equation(
    "X3k",
    "Late law",
    status=BEYOND,
    follows_from=(alignment_dynamics, error_signal, margin, mean_correct_logit),
)
def late_law(
    alignment_dynamics: sp.Eq, error_signal: sp.Eq, margin: sp.Eq, mean_correct_logit: sp.Eq
) -> Iterator[Step]:
    locked = margin.rhs.subs(y_c, mean_correct_logit.rhs).subs(R, 1)
    yield "Attention locked on: the margin is that of Q alone", sp.Eq(Delta, locked)
    slope = 1 / (alignment_dynamics.rhs.subs(R, 1).subs(g, error_signal.rhs.subs(Delta, locked)))
    yield "Time per unit of Q", sp.expand(sp.simplify(slope))
    lasting = sp.integrate(sp.expand(sp.simplify(slope)), Q)
    yield (
        "Integrate: Q grows like the logarithm of time",
        sp.Eq(t, sp.simplify(lasting) + sp.Symbol("t_0", real=True)),
    )


# --- checks --------------------------------------------------------------------------------------

SIZES = {N: 5, K: 3, T: 4, gamma: sp.Rational(3, 10), g0: sp.Rational(7, 4)}
START = {R: 0.25, Q: 0.35, S: 0.15, C: 0.4}


def wrong_answer(model: dict, sizes: dict, total: float) -> float:
    """1 - p_correct at the order parameters ``model``, C = ``total``: (11), (12) in floats."""
    N0, K0 = int(sizes[N]), int(sizes[K])
    right = (model[R] + (1 - model[R]) / K0) * model[Q] + (1 - model[R]) * (1 - 1 / K0) * model[S]
    other = (total - right) / (N0 - 1)
    return 1 - math.exp(right) / (math.exp(right) + (N0 - 1) * math.exp(other))


def solved(
    growth: tuple[sp.Eq, ...], sizes: dict, start: dict, *, end: float, steps: int
) -> list[dict]:
    """The rates of R, Q, S integrated in t by the classical Runge-Kutta method, every step kept.

    sizes: values of N, K, T and the closure's rate.  start: values of R, Q, S and C.
    """
    return _solved(growth, tuple(sizes.items()), tuple(start.items()), end, steps)


@cache
def _solved(
    growth: tuple[sp.Eq, ...], sizes_items: tuple, start_items: tuple, end: float, steps: int
) -> list[dict]:
    sizes, start = dict(sizes_items), dict(start_items)
    names, h = (R, Q, S), end / steps
    rates = [sp.lambdify((*names, g), eq.rhs.subs(sizes), modules="math") for eq in growth]

    def slope(point: list[float]) -> list[float]:
        error = wrong_answer(dict(zip(names, point, strict=True)), sizes, start[C])
        return [rate(*point, error) for rate in rates]

    point, curve = [float(start[name]) for name in names], []
    for count in range(steps + 1):
        curve.append({t: h * count, **dict(zip(names, point, strict=True))})
        k1 = slope(point)
        k2 = slope([a + h / 2 * b for a, b in zip(point, k1, strict=True)])
        k3 = slope([a + h / 2 * b for a, b in zip(point, k2, strict=True)])
        k4 = slope([a + h * b for a, b in zip(point, k3, strict=True)])
        point = [
            a + h / 6 * (b + 2 * c + 2 * d + e)
            for a, b, c, d, e in zip(point, k1, k2, k3, k4, strict=True)
        ]
    return curve


def gap_of(point: dict) -> float:
    """Return U = Q - S at a point of a curve."""
    return point[Q] - point[S]


def grid(integral: sp.Integral, at: dict, points: int = 801) -> list[float]:
    """``points`` numbers, evenly spaced, over the limits of ``integral`` at the values ``at``."""
    ((_, *limits),) = integral.limits
    low, high = (float(limit.subs(at)) for limit in limits)
    return [low + (high - low) * count / (points - 1) for count in range(points)]


def simpson(values: list[float], width: float) -> float:
    """Return the integral of an odd number of values, ``width`` apart, by Simpson's rule."""
    odd, even = math.fsum(values[1:-1:2]), math.fsum(values[2:-1:2])
    return width / 3 * (values[0] + 4 * odd + 2 * even + values[-1])


def deviation_at_end(
    end: dict, start: dict, missing: Callable, total_law: sp.Eq, time_law: sp.Eq, margin_law: sp.Eq
) -> float:
    """How far V and the time at the end of a curve are from their integrals over U."""
    at_end = {**start, U: gap_of(end)}
    (total_integral,), (time_integral,) = (
        law.rhs.atoms(sp.Integral) for law in (total_law, time_law)
    )
    inverse = sp.lambdify(R_of(gap_passed), total_integral.function, "math")
    gaps = grid(total_integral, at_end)
    gained = simpson([inverse(1 - missing(value)) for value in gaps], gaps[1] - gaps[0])
    claimed_total = float(total_law.rhs.xreplace({total_integral: sp.Float(gained)}).subs(start))
    of_total = abs(claimed_total - end[Q] - (int(SIZES[K]) - 1) * end[S])
    gaps = grid(time_integral, at_end)
    width = gaps[1] - gaps[0]
    totals = [start[V_0]]  # at every second gap
    for first in range(0, len(gaps) - 2, 2):
        panel = [1 / (1 - missing(value)) for value in gaps[first : first + 3]]
        totals.append(totals[-1] + simpson(panel, width))
    pace_of = sp.lambdify(
        (R_of(gap_passed), margin_of(gap_passed)), time_integral.function.subs(SIZES), "math"
    )
    lead = sp.lambdify((R, U, V), margin_law.rhs.subs(SIZES).subs(C, START[C]), "math")
    paces = [
        pace_of(1 - missing(value), lead(1 - missing(value), value, total))
        for value, total in zip(gaps[::2], totals, strict=True)
    ]
    passed = sp.Float(simpson(paces, 2 * width))
    claimed_time = float(time_law.rhs.xreplace({time_integral: passed}))
    return max(of_total, abs(claimed_time - end[t]) / end[t])


@check(
    linear_growth,
    alignment_dynamics,
    off_target_dynamics,
    gap_in_internal_time,
    total_in_internal_time,
    retrieval_in_internal_time,
    rate_constant,
    right_logit_in_gap,
    total_by_gap,
    margin_by_gap,
    time_by_gap,
    linear_retrieval_by_gap,
    kind=Kind.NUMERIC,
    says="(15) solved by Runge-Kutta: slopes in internal time, the curve R(U), the clock t(U)",
)
def exact_solution(
    growth_of_R: sp.Eq, growth_of_Q: sp.Eq, growth_of_S: sp.Eq,
    gap_slope: sp.Eq, total_slope: sp.Eq, retrieval_slope: sp.Eq, constant: sp.Eq,
    right_logit: sp.Eq, total_law: sp.Eq, margin_law: sp.Eq, time_law: sp.Eq, retrieval_law: sp.Eq,
) -> str:  # fmt: skip
    curve = solved((growth_of_R, growth_of_Q, growth_of_S), SIZES, START, end=60.0, steps=3000)
    K0, N0 = int(SIZES[K]), int(SIZES[N])
    linear = {shape(R): gamma * R * (1 - R)}
    kappa_value = float(constant.rhs.subs(rate, gamma).subs(SIZES))
    begin, worst = curve[0], 0.0
    start = {
        U_0: gap_of(begin),
        V_0: begin[Q] + (K0 - 1) * begin[S],
        R_0: begin[R],
        kappa: kappa_value,
    }
    missing = sp.lambdify(U, retrieval_law.rhs.subs(start), modules="math")
    for before, here, after in list(zip(curve, curve[1:], curve[2:], strict=False))[::100]:
        pace = (
            wrong_answer(here, SIZES, START[C]) / (K0 * N0) * (after[t] - before[t])
        )  # internal time passed
        moves = {
            gap_slope: gap_of(after) - gap_of(before),
            total_slope: after[Q] + (K0 - 1) * after[S] - before[Q] - (K0 - 1) * before[S],
            retrieval_slope: after[R] - before[R],
        }
        at = {U: gap_of(here), V: here[Q] + (K0 - 1) * here[S], R: here[R]}
        for statement, move in moves.items():
            claimed = float(statement.rhs.subs(linear).subs(at).subs(SIZES))
            worst = max(
                worst, abs(move / pace - claimed) / abs(claimed) / 300
            )  # differences: O(h^2)
        worst = max(worst, abs(1 - here[R] - missing(gap_of(here))))
        logit = (here[R] + (1 - here[R]) / K0) * here[Q] + (1 - here[R]) * (1 - 1 / K0) * here[S]
        worst = max(worst, abs(float(right_logit.rhs.subs(at).subs(SIZES)) - logit))
    worst = max(worst, deviation_at_end(curve[-1], start, missing, total_law, time_law, margin_law))
    end = curve[-1]
    require(worst < 1e-6, f"deviation {worst:.1e}")
    return f"R from {begin[R]} to {end[R]:.3f}; largest deviation {worst:.0e}"


@check(
    first_integral,
    kind=Kind.NUMERIC,
    says="along (15) solved by Runge-Kutta with an unusual closure, adaptive quadrature over R",
)
def first_integral_along_flow(first_integral: sp.Eq) -> str:
    unusual = gamma * R ** sp.Rational(3, 2) * (1 - R) ** 2 * (1 + R)
    growth_of_R = linear_growth.statement.rhs / (R * (1 - R)) * (unusual / gamma)
    flow = sp.Eq(G, growth_of_R), alignment_dynamics.statement, off_target_dynamics.statement
    begin, *_, end = solved(flow, SIZES, START, end=60.0, steps=3000)
    (integral,) = first_integral.rhs.atoms(sp.Integral)
    integrand = integral.function.replace(shape, lambda value: unusual.subs(R, value)).subs(SIZES)
    ((_, *limits),) = integral.limits
    ends = [float(limit.subs({R: end[R], R_0: begin[R]})) for limit in limits]
    passed = mpmath.quad(sp.lambdify(dummy, integrand, modules="mpmath"), ends)
    right = float(first_integral.rhs.xreplace({integral: sp.Float(passed)}))
    left = float(first_integral.lhs.subs({U: gap_of(end), U_0: gap_of(begin)}))
    gap = abs(right - left)
    require(gap < 1e-8, f"{right} instead of {left}")
    return f"R from {begin[R]} to {end[R]:.3f}; deviation {gap:.0e}"


@check(
    quadratic_growth,
    alignment_dynamics,
    off_target_dynamics,
    quadratic_retrieval_by_gap,
    quadratic_onset_gap,
    kind=Kind.NUMERIC,
    says="(15) with the quadratic closure solved by Runge-Kutta: Lambert's curve and the onset",
)
def exact_solution_quadratic(
    growth_of_R: sp.Eq, growth_of_Q: sp.Eq, growth_of_S: sp.Eq, retrieval_law: sp.Eq, onset: sp.Eq
) -> str:
    curve = solved((growth_of_R, growth_of_Q, growth_of_S), SIZES, START, end=60.0, steps=3000)
    worst = 0.0
    start = {U_0: gap_of(curve[0]), R_0: curve[0][R], odds_0: curve[0][R] / (1 - curve[0][R])}
    start[kappa] = float((N**2 * (K - 1) / (N - 1) * g0).subs(SIZES))
    for point in curve[::300]:
        odds = float(retrieval_law.rhs.subs(start).subs(U, gap_of(point)))
        worst = max(worst, abs(odds / (1 + odds) - point[R]))
    require(curve[-1][R] > 0.5, f"R ends at {curve[-1][R]}")
    before, after = next(pair for pair in itertools.pairwise(curve) if pair[1][R] > 0.5)
    share = (0.5 - before[R]) / (after[R] - before[R])
    crossing = gap_of(before) + share * (gap_of(after) - gap_of(before))
    worst = max(worst, abs(float(onset.rhs.subs(start)) - crossing) / 10)  # linear interpolation
    require(worst < 1e-6, f"deviation {worst:.1e}")
    return f"R up to {curve[-1][R]:.3f}; largest deviation {worst:.0e}"


@check(
    linear_total_by_gap,
    linear_onset_gap,
    linear_plateau,
    kind=Kind.NUMERIC,
    says="adaptive quadrature of 1/R along the explicit curve, 15 digits",
)
def quadrature_along_curve(total_law: sp.Eq, onset: sp.Eq, plateau: sp.Eq) -> str:
    kappa_value, R_start, K_value = 3.7, 0.25, 4

    def missing(gap: float) -> float:
        return (1 - R_start) * mpmath.exp(-kappa_value * gap**2 / 2)

    given = {kappa: kappa_value, R_0: R_start, V_0: 0.3, K: K_value, U_0: 0}
    (series,) = total_law.rhs.atoms(sp.Sum)
    ((_, first, last),) = series.limits
    require(last == sp.oo, f"the series ends at {last}")
    worst = 0.0
    for gap in (0.2, 0.9, 2.5):
        terms = sp.lambdify(order, series.function.subs({**given, U: gap}), modules="mpmath")
        summed = sp.Float(mpmath.fsum(map(terms, range(int(first), 200))))
        total = total_law.rhs.xreplace({series: summed})
        exact = 0.3 + mpmath.quad(lambda value: 1 / (1 - missing(value)), [0, gap])
        worst = max(worst, abs(float(total.subs({**given, U: gap}) - exact)))
    for gap_at_start in (0, 0.4):
        onset_gap = sp.N(onset.rhs.subs({**given, U_0: gap_at_start}))
        require(onset_gap.is_positive, f"the onset is at U = {onset_gap}")
        there = missing(float(onset_gap)) * mpmath.exp(kappa_value * gap_at_start**2 / 2)
        worst = max(worst, abs(there - 0.5))
    tail = mpmath.quad(lambda value: missing(value) / (1 - missing(value)), [0, 1, 3, 8])
    worst = max(worst, abs(float(plateau.rhs.subs(given).evalf()) - (0.3 + tail) / K_value))
    require(worst < 1e-12, f"deviation {worst}")
    return f"largest deviation {float(worst):.0e}"


def internal_flow(
    R_start: float, U_start: float, power: int, kappa_value: float, *, until: float = math.inf
) -> tuple[float, float]:
    """Follow R' = kappa U (R (1-R))^power, U' = R until U passes ``until`` or R settles.

    Returns R and U.
    """
    point, h = (R_start, U_start), 1e-3 / math.sqrt(kappa_value)

    def slope(R_now: float, U_now: float) -> tuple[float, float]:
        return kappa_value * U_now * (R_now * (1 - R_now)) ** power, R_now

    while 1e-6 < point[0] < 1 - 1e-6 and point[1] < until:
        first = slope(*point)
        middle = slope(point[0] + h / 2 * first[0], point[1] + h / 2 * first[1])
        point = point[0] + h * middle[0], point[1] + h * middle[1]
    return point


@check(linear_basin, kind=Kind.NUMERIC, says="flows started 5 % inside and 5 % outside the basin")
def basin_by_flow(linear_basin: sp.Eq) -> str:
    for kappa_value in (1.0, 3.7):
        threshold = sp.N(linear_basin.rhs.subs({kappa: kappa_value, R_0: 0.25}))
        require(threshold.is_negative, f"the basin ends at U_0 = {threshold}")
        starts = [factor * float(threshold) for factor in (0.95, 1.05)]
        ends = [internal_flow(0.25, start, 1, kappa_value)[0] for start in starts]
        require(ends[0] > 0.99 and ends[1] < 0.01, f"R ends at {ends} around U_0 = {threshold}")
    return f"kappa = 1 and 3.7: around U_0 = {threshold:.3f} R ends at {ends[0]:.3f}, {ends[1]:.3f}"


@check(
    quadratic_minimum,
    kind=Kind.NUMERIC,
    says="a flow started far outside the linear closure's basin",
)
def minimum_by_flow(quadratic_minimum: sp.Eq) -> str:
    said = []
    for kappa_value, R_start in ((1.0, 0.25), (2.6, 0.4)):
        R_low, gap = internal_flow(R_start, -1.5, 2, kappa_value, until=0.0)
        given = {kappa: kappa_value, U_0: -1.5, odds_0: R_start / (1 - R_start)}
        claimed, found = float(quadratic_minimum.rhs.subs(given)), R_low / (1 - R_low)
        require(abs(claimed - found) < 1e-5, f"odds {found} instead of {claimed} at U = {gap}")
        said.append(f"odds {found:.6f}, deviation {abs(claimed - found):.0e}")
    return "; ".join(said)


@check(
    early_time,
    late_law,
    kind=Kind.NUMERIC,
    says="differences of the two laws against 1/(rate of V, rate of Q)",
)
def early_and_late_rates(early_time: sp.Eq, late_law: sp.Eq) -> str:
    N0, K0, C0 = 5, 3, sp.Rational(2, 5)
    sizes = {N: N0, K: K0, C: C0, sp.Symbol("t_0", real=True): 0, V_0: sp.Rational(1, 3)}
    guessing = sp.Rational(N0 - 1, N0)
    for gained in (sp.Rational(3, 4), sp.Rational(5, 2)):
        passed = early_time.rhs.subs(sizes).subs(V, sizes[V_0] + gained)
        require(passed == gained * K0 * N0 / guessing, f"{passed} while V grows by {gained}")
    at, h = sp.Float("2.3", 40), sp.Float(10, 40) ** -12
    ends = [late_law.rhs.subs(sizes).subs(Q, at + side * h) for side in (1, -1)]
    others = (C0 - at) / (N0 - 1)
    wrong = 1 - sp.exp(at) / (sp.exp(at) + (N0 - 1) * sp.exp(others))
    gap = abs((ends[0] - ends[1]) / (2 * h) - K0 * N0 / wrong)
    require(gap < sp.Float(10) ** -15, f"deviation {gap}")
    return f"0 and {sp.N(gap, 1)}"
