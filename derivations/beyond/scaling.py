"""X9: how the onset scales with the sizes: the law while the margin is small, and its exponents.

From the nominal start, with the linear closure. The exponents are local: d log t / d log N.
"""

from __future__ import annotations

import cmath
from collections.abc import Iterator

import mpmath
import sympy as sp

from derivations.beyond.solution import (
    R_0,
    U_0,
    V_0,
    early_time,
    linear_onset_gap,
    linear_retrieval_by_gap,
    total_by_gap,
)
from derivations.paper.attention_closures import linear_rate, phi
from derivations.paper.dynamics import BEYOND, R_of, U, V, kappa, rate, rate_constant
from derivations.paper.regimes import start_of_retrieval
from derivations.statement import Kind, Step, check, equation, require, shown
from derivations.symbols import K, N, R, T, gamma, r, sigma2, t

x = sp.Symbol("x", positive=True)  # sqrt(kappa) U
h = sp.Symbol("h", positive=True)  # sqrt(kappa) V at the onset: a number that T alone decides
exponent_N, exponent_K = sp.symbols("a_N a_K", real=True)
exponent_both = sp.Symbol("a", real=True)


@shown("Integral(1/(1 - (1 - 1/T)*exp(-x**2/2)), (x, 0, sqrt(2*log(2*(1 - 1/T)))))")
@equation(
    "X9a",
    "V at the onset, in units of 1/sqrt(kappa)",
    status=BEYOND,
    follows_from=(total_by_gap, linear_retrieval_by_gap, linear_onset_gap, start_of_retrieval),
)
def onset_total(
    total_by_gap: sp.Eq, linear_retrieval_by_gap: sp.Eq, linear_onset_gap: sp.Eq, start: sp.Eq
) -> Iterator[Step]:
    nominal = {R_0: start.rhs, U_0: 0}
    along = 1 - linear_retrieval_by_gap.rhs.subs(nominal).subs(U, x / sp.sqrt(kappa))
    yield "Along the way, x = sqrt(kappa) U", sp.Eq(R, along)
    end = linear_onset_gap.rhs.subs(nominal) * sp.sqrt(kappa)
    squared = sp.expand(end**2)
    yield "At the onset", sp.Eq(x, sp.sqrt(squared))
    (integral,) = total_by_gap.rhs.atoms(sp.Integral)
    ((passed, *limits),) = integral.limits
    low, high = (limit.subs(U, x / sp.sqrt(kappa)).subs(nominal) for limit in limits)
    ends = low * sp.sqrt(kappa), (high * sp.sqrt(kappa)).subs(x, sp.sqrt(squared))
    slope = integral.function.subs(R_of(passed), along)
    in_x = total_by_gap.rhs.xreplace({integral: sp.Integral(slope, (x, *ends)) / sp.sqrt(kappa)})
    yield "V by (X3a), dU = dx/sqrt(kappa)", sp.Eq(V, in_x)
    yield "From V = 0 on, in units of 1/sqrt(kappa)", sp.Eq(h, sp.sqrt(kappa) * in_x.subs(V_0, 0))


@shown("N*K*h/sqrt(gamma*(N - 1)*(K - 1))")
@equation(
    "X9b",
    "Onset while the margin is small, linear closure",
    status=BEYOND,
    follows_from=(early_time, rate_constant),
    note="Time is lr times epoch: the epoch falls like 1/lr. h is (X9a), gamma (14).",
)
def onset_time(early_time: sp.Eq, rate_constant: sp.Eq) -> Iterator[Step]:
    in_units = early_time.rhs.subs(V_0, 0).subs(V, h / sp.sqrt(kappa))
    yield "V = h/sqrt(kappa)", sp.Eq(t, in_units)
    explicit = in_units.subs(kappa, rate_constant.rhs.subs(rate, gamma))
    gathered = K * N * h / sp.sqrt(gamma * (K - 1) * (N - 1))
    ratio = sp.simplify((explicit / gathered) ** 2)
    require(ratio == 1, f"not gathered rightly: {ratio}")
    yield "With kappa", sp.Eq(t, gathered)


def local_exponent(law: sp.Expr, size: sp.Symbol) -> sp.Expr:
    """Return d log(law) / d log(size)."""
    return sp.factor(sp.simplify(size * sp.diff(law, size) / law))


@equation("X9c", "Exponent of the onset in N", status=BEYOND, follows_from=(onset_time,))
def onset_exponent_N(onset_time: sp.Eq) -> Iterator[Step]:
    yield "At fixed K", sp.Eq(exponent_N, local_exponent(onset_time.rhs, N))


@equation("X9d", "Exponent of the onset in K", status=BEYOND, follows_from=(onset_time,))
def onset_exponent_K(onset_time: sp.Eq) -> Iterator[Step]:
    yield "At fixed N", sp.Eq(exponent_K, local_exponent(onset_time.rhs, K))


@equation("X9e", "Exponent of the onset in N = K", status=BEYOND, follows_from=(onset_time,))
def onset_exponent_both(onset_time: sp.Eq) -> Iterator[Step]:
    together = sp.simplify(onset_time.rhs.subs(K, N))
    yield "As many permutations as states", sp.Eq(t, together)
    yield "Grows linearly at last", sp.Eq(exponent_both, local_exponent(together, N))


@equation(
    "X9f",
    "V at the onset, many actions",
    status=BEYOND,
    follows_from=(onset_total,),
    note="R stays near 1/T most of the way.",
)
def onset_total_many_actions(onset_total: sp.Eq) -> Iterator[Step]:
    (integral,) = onset_total.rhs.atoms(sp.Integral)
    ((_, *limits),) = integral.limits
    missing = sp.series(1 / integral.function, x, 0, 4).removeO()
    y = sp.Symbol("y", positive=True)
    scale = sp.sqrt(2 / T)
    near = sp.limit(sp.simplify(T * missing.subs(x, y * scale)), T, sp.oo)
    yield "1/R on the scale x = y sqrt(2/T)", sp.Eq(T * R, near)
    ends = [sp.limit(limit / scale, T, sp.oo) for limit in limits]
    yield (
        "On this scale the onset is far away",
        sp.Eq(sp.Limit(limits[1] / scale, T, sp.oo), ends[1]),
    )
    whole = onset_total.rhs.xreplace({integral: sp.integrate(1 / near, (y, *ends))})
    yield "So h is sqrt(2/T) T times", whole
    ratio = sp.Limit(h / sp.sqrt(T), T, sp.oo)
    yield "It grows like the root of T", sp.Eq(ratio, sp.simplify(scale * sp.sqrt(T)) * whole)


@shown("pi*N*K/(2*sqrt(sigma2*(N - 1)*(K - 1)))")
@equation(
    "X9g",
    "Onset while the margin is small, many actions",
    status=BEYOND,
    follows_from=(onset_time, onset_total_many_actions, linear_rate),
    note="Every plane tells the positions apart, phi_r = 1: the frequencies and d drop out.",
)
def onset_time_many_actions(
    onset_time: sp.Eq, onset_total_many_actions: sp.Eq, linear_rate: sp.Eq
) -> Iterator[Step]:
    resolved = linear_rate.rhs.replace(phi[r], sp.S.One).doit()
    yield "phi_r = 1 in (14)", sp.Eq(gamma, sp.factor(resolved))
    law = onset_time.rhs.subs(gamma, resolved).subs(h, sp.sqrt(T) * onset_total_many_actions.rhs)
    yield "With (X9f)", sp.Eq(t, law)
    ratio = sp.limit(law / T, T, sp.oo)
    yield "Grows like T", sp.Eq(sp.Limit(t / T, T, sp.oo), sp.simplify(ratio))


def onset_of_flow(N0: float, K0: float, T0: float, gamma0: float, *, step: float) -> float:
    """Return the time of R = 1/2 by Runge-Kutta steps, the error signal being that of a guess."""
    blind = (N0 - 1) / N0

    def slope(R_now: float, gap: float) -> tuple[float, float]:
        growth = N0 * blind * gamma0 * (K0 - 1) * gap / (K0 * (N0 - 1)) * R_now * (1 - R_now)
        return growth, blind * R_now / (K0 * N0)

    point, time, before = (1 / T0, 0.0), 0.0, (1 / T0, 0.0)
    while point[0] < 0.5:
        before = point
        first = slope(*point)
        half = slope(point[0] + step / 2 * first[0], point[1] + step / 2 * first[1])
        point = point[0] + step * half[0], point[1] + step * half[1]
        time += step
    return time - step * (point[0] - 0.5) / (point[0] - before[0])


@check(
    onset_total,
    onset_time,
    kind=Kind.NUMERIC,
    says="(15a)-(15c) while the error signal is that of a guess, solved by Runge-Kutta",
)
def onset_by_flow(total: sp.Eq, law: sp.Eq) -> str:
    sizes = {N: 7, K: 4, T: 6, gamma: sp.Rational(3, 10)}
    time = onset_of_flow(*map(float, sizes.values()), step=0.02)
    (integral,) = total.rhs.atoms(sp.Integral)
    factor = float(total.rhs.subs(integral, 1))
    integrand = sp.lambdify(x, integral.function.subs(sizes), modules="mpmath")
    ((_, low, high),) = integral.limits
    ends = [float(sp.N(end.subs(sizes))) for end in (low, high)]
    claimed = float(law.rhs.subs(sizes).subs(h, factor * mpmath.quad(integrand, ends)))
    gap = abs(claimed / time - 1)
    require(gap < 1e-6, f"{claimed} instead of {time}")
    return f"t = {time:.6g}, relative deviation {gap:.0e}"


@check(
    onset_exponent_N,
    onset_exponent_K,
    onset_exponent_both,
    kind=Kind.NUMERIC,
    says="differences of log(K N / sqrt((K-1)(N-1))) over sizes, 30 digits",
)
def exponents_by_differences(in_N: sp.Eq, in_K: sp.Eq, both: sp.Eq) -> str:
    with mpmath.workdps(30):

        def log_time(size_N: mpmath.mpf, size_K: mpmath.mpf) -> mpmath.mpf:
            return mpmath.log(size_K * size_N / mpmath.sqrt((size_K - 1) * (size_N - 1)))

        step, N0, K0 = mpmath.mpf(10) ** -10, mpmath.mpf(7), mpmath.mpf(4)
        up, down = mpmath.exp(step), mpmath.exp(-step)
        slopes = (
            log_time(N0 * up, K0) - log_time(N0 * down, K0),
            log_time(N0, K0 * up) - log_time(N0, K0 * down),
            log_time(N0 * up, N0 * up) - log_time(N0 * down, N0 * down),
        )
        worst = max(
            abs(slope / (2 * step) - mpmath.mpf(sp.N(law.rhs.subs({N: 7, K: 4}), 30)))
            for slope, law in zip(slopes, (in_N, in_K, both), strict=True)
        )
    require(worst < 1e-15, f"deviation {worst}")
    return f"largest deviation {float(worst):.0e}"


@check(
    onset_total_many_actions,
    kind=Kind.NUMERIC,
    says="adaptive quadrature of (X9a) for T = 10^8",
)
def many_actions_by_quadrature(law: sp.Eq) -> str:
    T0 = mpmath.mpf(10) ** 8
    end = mpmath.sqrt(2 * mpmath.log(2 * (1 - 1 / T0)))
    places = [0, *(mpmath.sqrt(2 / T0) * 10**k for k in range(4)), end]
    exact = mpmath.quad(lambda value: 1 / (1 - (1 - 1 / T0) * mpmath.exp(-(value**2) / 2)), places)
    found = float(exact / mpmath.sqrt(T0))
    gap = abs(float(law.rhs) / found - 1)
    require(gap < 2e-4, f"{law.rhs} instead of {found}")
    return f"{found:.5f}, relative deviation {gap:.0e}"


@check(
    onset_time_many_actions,
    kind=Kind.NUMERIC,
    says="the same flow for T = 10^6, d = 8, RoPE base 10: gamma from sums of unit vectors",
)
def many_actions_by_flow(law: sp.Eq) -> str:
    N0, K0, T0, d0, variance = 7.0, 4.0, 1e6, 8, 0.3
    turns = [cmath.exp(1j * 10.0 ** (-2 * plane / d0)) for plane in range(d0 // 2)]
    means = [turn * (1 - turn**T0) / (1 - turn) / T0 for turn in turns]
    factors = sum((1 - abs(mean) ** 2) ** 2 for mean in means)
    gamma0 = 4 * variance * factors / (d0 * (T0 - 1))
    claimed = float(law.rhs.subs({N: N0, K: K0, sigma2: variance}))
    found = onset_of_flow(N0, K0, T0, gamma0, step=T0 / 1000) / T0
    gap = abs(claimed / found - 1)
    require(gap < 2e-3, f"{claimed} instead of {found}")
    return f"t/T = {found:.5g}, relative deviation {gap:.0e}"
