"""(15) and X1: the closed dynamics of R, Q and S, and the internal time in which it is loss-free.

With U = Q - S and V = Q + (K - 1) S, in the time ds = g dt/(KN), the loss drops out of the curves.
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from derivations.paper.attention import R_dot, retrieval_growth
from derivations.paper.attention_closures import linear_closure, quadratic_closure
from derivations.paper.logic import (
    Q_dot,
    S_dot,
    alignment_growth,
    off_target_growth,
    weight_off_target,
    weight_right,
)
from derivations.paper.logits import mean_correct_logit
from derivations.statement import Kind, Status, Step, check, equation, require, shown
from derivations.symbols import G, K, N, Q, R, S, alpha, beta, g, g0, gamma, y_c

BEYOND = Status.BEYOND
U = sp.Symbol("U", real=True)  # gap Q - S: what the logic knows beyond the heuristic
V = sp.Symbol("V", real=True)  # Q + (K - 1) S: total overlap, K times the mean
kappa = sp.Symbol("kappa", positive=True)  # N K (N/(N-1)) ((K-1)/K) times the closure's rate
rate = sp.Symbol("c", positive=True)  # a closure's rate: gamma or g_0
s = sp.Symbol("s", nonnegative=True)  # internal time, ds = g dt/(KN)
rho = sp.Symbol("rho", real=True)  # logit of R: log R - log(1 - R)
rho_dot = sp.Symbol(r"\dot{\rho}", real=True)
U_of, V_of, R_of = sp.Function("U"), sp.Function("V"), sp.Function("R")
shape = sp.Function("G")  # any closure G(R)

gap, total = Q - S, Q + (K - 1) * S


# --- the closed dynamics -------------------------------------------------------------------------


@shown("g*(N/(N - 1))*((K - 1)/K)*(Q - S)*gamma*R*(1 - R)")
@equation("15a", "Growth of R", follows_from=(retrieval_growth, linear_closure))
def linear_growth(retrieval_growth: sp.Eq, linear_closure: sp.Eq) -> Iterator[Step]:
    yield (
        "Insert the linear closure (71) into (64)",
        sp.Eq(R_dot, retrieval_growth.rhs.subs(G, linear_closure.rhs)),
    )


@shown("g*(N/(N - 1))*((K - 1)/K)*(Q - S)*g_0*R**2*(1 - R)**2")
@equation(
    "15d",
    "Growth of R, quadratic closure",
    follows_from=(retrieval_growth, quadratic_closure),
)
def quadratic_growth(retrieval_growth: sp.Eq, quadratic_closure: sp.Eq) -> Iterator[Step]:
    yield (
        "Insert the bare ansatz (70) into (64)",
        sp.Eq(R_dot, retrieval_growth.rhs.subs(G, quadratic_closure.rhs)),
    )


@shown("g/(N*K)*(R + (1 - R)/K)")
@equation("15b", "Growth of Q", follows_from=(alignment_growth, weight_right))
def alignment_dynamics(alignment_growth: sp.Eq, weight_right: sp.Eq) -> Iterator[Step]:
    yield "Insert (46) into (59a)", sp.Eq(Q_dot, alignment_growth.rhs.subs(alpha, weight_right.rhs))


@shown("g/(N*K)*((1 - R)/K)")
@equation("15c", "Growth of S", follows_from=(off_target_growth, weight_off_target))
def off_target_dynamics(off_target_growth: sp.Eq, weight_off_target: sp.Eq) -> Iterator[Step]:
    yield (
        "Insert (46) into (59b)",
        sp.Eq(S_dot, off_target_growth.rhs.subs(beta, weight_off_target.rhs)),
    )


@shown("g*(N/(N - 1))*((K - 1)/K)*(Q - S)*(G(R)/(R*(1 - R)))")
@equation(
    "15f",
    "Growth of R for any closure, in its logit",
    follows_from=(retrieval_growth,),
    status=BEYOND,
    note="The logit keeps 1 - R exact when R saturates; carried by the numerical integration.",
)
def logit_growth(retrieval_growth: sp.Eq) -> Iterator[Step]:
    logit = sp.log(R) - sp.log(1 - R)
    yield "The logit of R", sp.Eq(rho, logit)
    slope = 1 / sp.simplify(1 / sp.diff(logit, R))
    yield "Its slope", slope
    yield "Chain rule", sp.Eq(rho_dot, retrieval_growth.rhs.subs(G, shape(R)) * slope)


# --- internal time (X1) --------------------------------------------------------------------------


@equation(
    "X1a",
    "Internal time: the gap",
    status=BEYOND,
    follows_from=(alignment_growth, off_target_growth, weight_right, weight_off_target),
)
def gap_in_internal_time(
    Q_growth: sp.Eq, S_growth: sp.Eq, weight_right: sp.Eq, weight_off_target: sp.Eq
) -> Iterator[Step]:
    yield (
        "Internal time runs by the error signal",
        sp.Eq(sp.Symbol("ds"), g / (K * N) * sp.Symbol("dt")),
    )
    growth = (Q_growth.rhs - S_growth.rhs) * K * N / g
    yield "U = Q - S in internal time, by (59)", sp.simplify(growth)
    in_R = growth.subs({alpha: weight_right.rhs, beta: weight_off_target.rhs})
    yield "The gap grows at the rate R", sp.Eq(sp.Derivative(U_of(s), s), sp.simplify(in_R))


@equation(
    "X1b",
    "Internal time: the total",
    status=BEYOND,
    follows_from=(alignment_growth, off_target_growth, weight_right, weight_off_target),
)
def total_in_internal_time(
    Q_growth: sp.Eq, S_growth: sp.Eq, weight_right: sp.Eq, weight_off_target: sp.Eq
) -> Iterator[Step]:
    growth = (Q_growth.rhs + (K - 1) * S_growth.rhs) * K * N / g
    yield "V = Q + (K - 1) S in internal time, by (59)", sp.simplify(growth)
    in_R = growth.subs({alpha: weight_right.rhs, beta: weight_off_target.rhs})
    yield (
        "The total is the internal time itself",
        sp.Eq(sp.Derivative(V_of(s), s), sp.simplify(in_R)),
    )


@shown("N**2*((K - 1)/(N - 1))*U*G(R)")
@equation("X1c", "Internal time: retrieval", status=BEYOND, follows_from=(retrieval_growth,))
def retrieval_in_internal_time(retrieval_growth: sp.Eq) -> Iterator[Step]:
    growth = retrieval_growth.rhs * K * N / g
    in_gap = sp.simplify(growth.subs(Q, U + S))
    yield (
        "Neither the loss nor C is left",
        sp.Eq(sp.Derivative(R_of(s), s), in_gap.subs(G, shape(R))),
    )


@shown("N**2*((K - 1)/(N - 1))*c")
@equation(
    "X1d", "Rate constant of the gap", status=BEYOND, follows_from=(retrieval_in_internal_time,)
)
def rate_constant(retrieval_in_internal_time: sp.Eq) -> Iterator[Step]:
    prefactor = retrieval_in_internal_time.rhs / (U * shape(R))
    yield (
        "All sizes enter through one constant, c the rate of the closure",
        sp.Eq(kappa, sp.factor(prefactor) * rate),
    )


@shown("V/K + (1 - 1/K)*R*U")
@equation("X1e", "Mean right logit in U, V, R", status=BEYOND, follows_from=(mean_correct_logit,))
def right_logit_in_gap(mean_correct_logit: sp.Eq) -> Iterator[Step]:
    overlaps = sp.solve([U - gap, V - total], [Q, S], dict=True)[0]
    for overlap, value in overlaps.items():
        yield "Invert", sp.Eq(overlap, value)
    in_gap = sp.collect(sp.expand(mean_correct_logit.rhs.subs(overlaps)), U, sp.factor)
    yield "Insert into (11)", sp.Eq(y_c, in_gap)


# --- checks --------------------------------------------------------------------------------------


@check(
    linear_growth,
    quadratic_growth,
    alignment_dynamics,
    off_target_dynamics,
    kind=Kind.IDENTITY,
    says="gradient flow loses loss at the rate of the squared gradient, attention and logic apart",
)
def dissipation(linear: sp.Eq, quadratic: sp.Eq, growth_of_Q: sp.Eq, growth_of_S: sp.Eq) -> str:
    by_margin = {
        R: N / (N - 1) * (1 - 1 / K) * (Q - S),
        Q: N / (N - 1) * (R + (1 - R) / K),
        S: N / (N - 1) * (1 - R) * (1 - 1 / K),
    }
    for growth_of_R, squared in (
        (linear, gamma * R * (1 - R)),
        (quadratic, g0 * R**2 * (1 - R) ** 2),
    ):
        lost = g * by_margin[R] * growth_of_R.rhs
        require(sp.simplify(lost - (g * by_margin[R]) ** 2 * squared) == 0, f"{growth_of_R.rhs}")
    lost = g * (by_margin[Q] * growth_of_Q.rhs + by_margin[S] * growth_of_S.rhs)
    overlap = 1 + (K - 1) / N  # mean overlap of a permutation with all K
    squared = R**2 * N * K + 2 * R * (1 - R) * N * overlap + (1 - R) ** 2 * N * overlap - K
    require(sp.simplify(lost - (g / (K * (N - 1))) ** 2 * squared) == 0, "logic")
    weights = growth_of_Q.rhs + (K - 1) * growth_of_S.rhs
    require(sp.simplify(weights - g / (K * N)) == 0, "the K overlaps of a matrix share g/(KN)")
    return "dL/dt + |grad L|^2 = 0"


@check(logit_growth, kind=Kind.IDENTITY, says="back from the logit: R = 1/(1 + exp(-rho))")
def back_from_logit(logit_growth: sp.Eq) -> str:
    sigmoid = 1 / (1 + sp.exp(-rho))
    growth = logit_growth.rhs.subs(shape(R), G).subs(R, sigmoid) * sp.diff(sigmoid, rho)
    direct = g * N / (N - 1) * (1 - 1 / K) * (Q - S) * G
    require(sp.simplify(growth - direct) == 0, f"dR/dt = {sp.simplify(growth)}")
    return "dR/dt - F G = 0"
