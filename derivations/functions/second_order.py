"""The loss with fluctuations, and the flow down it (X8), in the terms of R, Q and S."""

from __future__ import annotations

from typing import Any

import sympy as sp

from derivations.beyond import fluctuations, matrices, solution
from derivations.beyond.variances import I_2, sigma_W2, u, v
from derivations.code.written import Line, Written, define, held, prove
from derivations.functions.logit_variances import (
    OWN,
    VARIANCES,
    from_start,
    lead,
    shared,
    variance_lines,
)
from derivations.functions.mean_field import ERROR, HIT, LOSS, hit, missing
from derivations.paper import dynamics, logic, loss, rollout
from derivations.paper.dynamics import U, V
from derivations.paper.regimes import Q_0, S_0
from derivations.symbols import C, Delta, K, L, N, Q, R, S, T, g

GAINS = gap_gain, total_gain = sp.symbols("gap_gain total_gain", real=True)
RATES = gap_rate, total_rate = sp.symbols("gap_rate total_rate", real=True)
BY_VARIANCE = by_start, by_c, by_o = sp.symbols("by_from_start by_variance_c by_variance_o")
by_both, by_margin = sp.symbols("by_variances by_margin", real=True)
added_by_g, squares_by_R = sp.symbols("added_by_g squares_by_R", real=True)
SLOPES_BY_R = sp.symbols("from_start_by_R own_c_by_R own_o_by_R shared_by_R", real=True)
start_by_R, own_c_by_R, own_o_by_R, shared_by_R = SLOPES_BY_R
shared_by_u, shared_by_v = sp.symbols("shared_by_u shared_by_v", real=True)
SLOPES = slope_R, slope_u, slope_v = sp.symbols("slope_R slope_u slope_v", real=True)
NAMED: dict[str, Any] = {
    symbol.name: symbol
    for symbol in (
        *GAINS, *RATES, *BY_VARIANCE, *VARIANCES, *OWN, *SLOPES_BY_R, *SLOPES, by_both, by_margin,
        added_by_g, squares_by_R, shared_by_u, shared_by_v, from_start, shared, lead, missing, hit,
        u, v, U, V, C, K, N, Q, R, S, T, g, I_2, Q_0, S_0,
    )
} | {"sigma_W2": sigma_W2, "c_2": logic.c_2}  # fmt: skip
WEIGHTS = (  # what one of the three variances adds to the loss, per unit
    "-g*(2*(N - 1) - N*g)/(2*(N - 1)**2)",
    "g*(N**2*(1 - g) - 1)/(2*(N - 1)**2)",
    "g/2",
)


def corrected_flow() -> list[Written]:
    """Loss and rates."""
    arguments = (R, Q, S, Q_0, S_0, C, logic.c_2, sigma_W2, N, K, T)
    sources = (fluctuations.second_order_loss, solution.margin_by_gap)
    flows = (
        fluctuations.retrieval_under_any_loss,
        fluctuations.retrieval_part_flow,
        fluctuations.heuristic_flow,
    )
    by_Q_and_S = sp.solve([gap_rate - Q + S, total_rate - Q - (K - 1) * S], [Q, S], dict=True)[0]
    return [
        Written(
            "corrected_loss",
            "Loss with the fluctuations of the logits to second order.",
            sources,
            arguments,
            prove(
                "logaddexp(0, log(N - 1) - Delta) + by_from_start*from_start"
                " + by_variance_c*variance_c + by_variance_o*variance_o",
                LOSS + added(),
            ),
            (*state_lines(), *weight_lines()),
        ),
        Written(
            "corrected_rates",
            "The drive F = -dL/dR on attention, and the time derivatives of Q and S.",
            (*sources, *flows),
            arguments,
            (
                define("-slope_R", **NAMED),
                prove("(total_rate + (K - 1)*gap_rate)/K", by_Q_and_S[Q]),
                prove("(total_rate - gap_rate)/K", by_Q_and_S[S]),
            ),
            (*state_lines(), *weight_lines(), *slope_lines(), *rate_lines()),
        ),
    ]


def added() -> sp.Expr:
    """What fluctuations add to the loss, by the names of their weights."""
    return by_start * from_start + by_c * VARIANCES[0] + by_o * VARIANCES[1]


def plain_added() -> sp.Expr:
    """The same, in g and the three variances."""
    whole = fluctuations.second_order_loss.statement.rhs - loss.mean_field_loss.statement.rhs
    spreads = (fluctuations.w_0, rollout.sigma_c**2, rollout.sigma_o**2)
    return sp.expand(whole).subs(dict(zip(spreads, (from_start, *VARIANCES), strict=True)))


def state_lines() -> tuple[Line, ...]:
    """u, v, margin, error signal and variances in the terms of R, Q and S."""
    by_gap, by_total = matrices.gap_by_retrieval_part, matrices.total_by_heuristic
    return (
        (gap_gain, prove("1 - c_2", sp.diff(by_gap.statement.rhs, u))),
        (total_gain, prove("1 + (K - 1)*c_2 - K/N", sp.diff(by_total.statement.rhs, v))),
        (U, prove("Q - S", dynamics.gap)),
        (V, prove("Q + (K - 1)*S", dynamics.total)),
        (u, define("(U - (Q_0 - S_0))/gap_gain", **NAMED)),
        (v, define("(V - (Q_0 + (K - 1)*S_0))/total_gain", **NAMED)),
        (Delta, held(solution.margin_by_gap)),
        (g, ERROR),
        *variance_lines(),
    )


def weight_lines() -> tuple[Line, ...]:
    """What the variances add to the loss."""
    plain = plain_added()
    parts = zip(BY_VARIANCE, WEIGHTS, (from_start, *VARIANCES), strict=True)
    return tuple((name, prove(form, plain.coeff(of))) for name, form, of in parts)


def slope_lines() -> tuple[Line, ...]:
    """The slopes of the corrected loss in R, u and v, part by part."""
    lines = dict(variance_lines())
    in_g = sp.factor(sp.diff(plain_added(), g))
    forms = {
        hit: (HIT, None),
        added_by_g: (
            "-(N - 1 - N*g)/(N - 1)**2*from_start + (N**2*(1 - 2*g) - 1)/(2*(N - 1)**2)*variance_c"
            " + variance_o/2",
            in_g,
        ),
        # the loss falls with the margin at the rate g, and g at the rate g (1 - g)
        by_margin: ("-g*(1 + hit*added_by_g)", -g - g * hit * added_by_g),
        squares_by_R: ("-2*missing/(T - 1)", -sp.diff(lines[I_2], missing)),
        start_by_R: ("sigma_W2*(1 - 1/K)*(2*R + squares_by_R)", through_R(lines[from_start])),
        own_c_by_R: ("common*((N + K - 2)*squares_by_R - 2*missing)", through_R(lines[OWN[0]])),
        own_o_by_R: (
            "common*((K - 1 + 1/(N - 1))*squares_by_R - 2*missing)",
            through_R(lines[OWN[1]]),
        ),
        shared_by_R: ("-2*common*lead*u", through_R(lines[shared])),
        shared_by_u: (
            "-2*common*(R*lead + missing*u)",
            sp.diff(lines[shared], u) - sp.diff(lines[shared], lead),
        ),
        shared_by_v: ("2*common*(lead + missing*u)", sp.diff(lines[shared], lead)),
        by_both: ("by_variance_c + by_variance_o", by_c + by_o),
    }
    return tuple(
        (name, form if plain is None else prove(form, plain, lines=[(R, 1 - missing)]))
        for name, (form, plain) in forms.items()
    )


def through_R(expr: sp.Expr) -> sp.Expr:
    """Slope in R of what holds R, missing and the squares I_2."""
    return sp.diff(expr, R) - sp.diff(expr, missing) + sp.diff(expr, I_2) * squares_by_R


def rate_lines() -> tuple[Line, ...]:
    """The slopes of the corrected loss, and the rates of U and V down them."""
    margin = solution.margin_by_gap.statement.rhs
    by_R, by_U, by_V = (by_margin * sp.diff(margin, letter) for letter in (R, U, V))
    own_by_R = u**2 * (by_c * own_c_by_R + by_o * own_o_by_R)
    own_by_u = 2 * u * (by_c * OWN[0] + by_o * OWN[1])
    in_R = by_R + by_start * start_by_R + by_both * (start_by_R + shared_by_R) + own_by_R
    in_u = by_U * gap_gain + by_both * shared_by_u + own_by_u
    in_v = by_V * total_gain + by_both * shared_by_v
    # L falls with U and V as with u and v, over their gains, by which they grow too
    u_rate = fluctuations.retrieval_part_flow.statement.rhs
    v_rate = fluctuations.heuristic_flow.statement.rhs
    u_rate = u_rate.xreplace({sp.Derivative(L, U): slope_u / gap_gain})
    v_rate = v_rate.xreplace({sp.Derivative(L, V): slope_v / total_gain})
    return (
        (
            slope_R,
            prove(
                "by_margin*(N/(N - 1))*((K - 1)/K)*U + by_from_start*from_start_by_R"
                " + by_variances*(from_start_by_R + shared_by_R)"
                " + u**2*(by_variance_c*own_c_by_R + by_variance_o*own_o_by_R)",
                in_R,
            ),
        ),
        (
            slope_u,
            prove(
                "by_margin*(N/(N - 1))*((K - 1)/K)*R*gap_gain + by_variances*shared_by_u"
                " + 2*u*(by_variance_c*own_c + by_variance_o*own_o)",
                in_u,
            ),
        ),
        (
            slope_v,
            prove("by_margin*(N/(N - 1))/K*total_gain + by_variances*shared_by_v", in_v),
        ),
        (gap_rate, prove("-slope_u/(N*(K - 1))", gap_gain * u_rate)),
        (total_rate, prove("-slope_v/N", total_gain * v_rate)),
    )
