"""Internal time and the exact solution: R along U, the clocks, onset and basin (X1)-(X3)."""

from __future__ import annotations

import sympy as sp

from derivations.beyond import solution
from derivations.beyond.solution import R_0, U_0, V_0, odds_0
from derivations.code.written import (
    Written,
    as_shown,
    define,
    expit,
    held,
    log_expit,
    prove,
    select,
    wrightomega,
)
from derivations.functions.closures import rate
from derivations.functions.mean_field import ERROR, MARGIN_RANGES, MISSING, STATE_LINES, missing
from derivations.paper import dynamics, loss, thermodynamic_limit
from derivations.paper.dynamics import U, V, kappa, rho
from derivations.statement import Equation
from derivations.symbols import C, Delta, G, K, N, Q, R, S, g

start = sp.Symbol("logit_R0", real=True)
RANGES = {start: (-4, 0), rho: (-4, 4), kappa: (1, 5), U: (1, 2), U_0: (0, 1)}


def exact_solution() -> list[Written]:
    """All of these."""
    return [
        Written(
            "rate_constant",
            "kappa, the one constant of the curves in internal time.",
            (dynamics.rate_constant,),
            (N, K, rate),
            held(dynamics.rate_constant, {dynamics.rate: rate}),
        ),
        Written(
            "total",
            "V = Q + (K - 1) S from U = Q - S and S.",
            (dynamics.right_logit_in_gap,),
            (U, S, K),
            prove("U + K*S", sp.expand(dynamics.total.subs(Q, U + S))),
        ),
        as_shown("margin_by_gap", "Margin.", solution.margin_by_gap, R, U, V, C, N, K),
        *slopes(),
        *retrieval_by_gap(),
        *squared_gaps(),
        *onset_gaps(),
        *clocks(),
    ]


# --- slopes along a solution, whatever the closure -----------------------------------------------


def slopes() -> list[Written]:
    """Slopes by logit R or by V, and the factor of the thermodynamic limit."""
    (integral,) = solution.first_integral.statement.rhs.atoms(sp.Integral)
    by_R = integral.function.subs(integral.limits[0][0], R).subs(dynamics.shape(R), G)
    at_rate_1 = dynamics.rate_constant.statement.rhs / dynamics.rate
    off_target, total = dynamics.off_target_dynamics, dynamics.total_in_internal_time
    alignment = dynamics.alignment_dynamics.statement.rhs
    total_rate = sp.simplify(alignment + (K - 1) * off_target.statement.rhs)
    share = (off_target.statement.rhs / total_rate).xreplace(MISSING)
    full, limit = dynamics.linear_growth, thermodynamic_limit.thermodynamic_growth
    faster = limit.statement.rhs / full.statement.rhs
    return [
        Written(
            "gap_square_slope",
            "Derivative of U^2/2 in logit R where attention has the gradient G; kappa of rate 1.",
            (solution.first_integral, dynamics.rate_constant),
            (rho, G, kappa),
            prove("R**2*missing/(kappa*G)", sp.simplify(by_R * at_rate_1) / kappa * R * missing),
            STATE_LINES,
        ),
        Written(
            "off_target_slope",
            "dS/dV along a solution.",
            (off_target, total),
            (missing, K),
            prove("missing/K", share),
        ),
        Written(
            "time_slope",
            "dt/dV along a solution.",
            (total, loss.error_signal),
            (Delta, N, K),
            prove("N*K/g", 1 / total_rate),
            ((g, ERROR),),
        ),
        Written(
            "thermodynamic_pace",
            "What the thermodynamic limit makes of the growth of R: this many times as fast.",
            (full, limit),
            (N, K),
            prove("(N - 1)*K/(N*(K - 1))", faster),
        ),
    ]


# --- the curve R(U) ------------------------------------------------------------------------------


def retrieval_by_gap() -> list[Written]:
    """The conserved curve of both closures."""
    linear, quadratic = solution.linear_retrieval_by_gap, solution.quadratic_retrieval_by_gap
    log_missing, level, odds = sp.symbols("log_missing level odds", real=True)
    curve = (U, U_0, start, kappa)
    of_missing = prove(
        "log_expit(-logit_R0) - kappa*(U - U_0)*(U + U_0)/2",
        sp.log(linear.statement.rhs.subs(R_0, expit(start))),
        RANGES,
    )
    of_level = define(
        "logit_R0 + exp(logit_R0) + kappa*(U - U_0)*(U + U_0)/2",
        logit_R0=start,
        kappa=kappa,
        U=U,
        U_0=U_0,
    )
    plain_odds = quadratic.statement.rhs.subs(odds_0, sp.exp(start))
    prove(wrightomega(of_level), plain_odds, RANGES)
    small = prove(level - wrightomega(level), sp.log(wrightomega(level)), {level: (-6, 6)})
    back = sp.log((1 - sp.exp(log_missing)) / sp.exp(log_missing))
    return [
        Written(
            "logit_R_linear",
            "logit R along a solution of the linear closure; nan below R = 0, outside the basin.",
            (linear,),
            curve,
            prove("log(-expm1(log_missing)) - log_missing", back, {log_missing: (-6, -1)}),
            ((log_missing, of_missing),),
        ),
        Written(
            "logit_R_quadratic",
            "logit R along a solution of the quadratic closure.",
            (quadratic,),
            curve,
            select(
                level > 0, sp.log(select(level > 0, odds, 1)), small.subs(wrightomega(level), odds)
            ),
            ((level, of_level), (odds, wrightomega(level))),
        ),
    ]


def squared_gaps() -> list[Written]:
    """The same curves the other way round: how far U^2 has come, from R."""
    linear, quadratic = solution.linear_retrieval_by_gap, solution.quadratic_retrieval_by_gap
    x = sp.Symbol("x", real=True)
    (squared,) = sp.solve(sp.log(linear.statement.rhs) - x, U**2)
    gained = sp.expand(squared - U_0**2).subs({x: log_expit(-rho), R_0: expit(start)})
    (lambert,) = quadratic.statement.rhs.atoms(sp.LambertW)  # odds exp(odds) is its argument
    inverse = sp.expand_log(sp.log(*lambert.args), force=True) - sp.log(odds_0) - odds_0
    (squared,) = sp.solve(sp.expand(inverse) - x, U**2)
    of_level_gained = (rho + sp.exp(rho)) - (start + sp.exp(start))
    gained_quadratic = sp.expand(squared - U_0**2).subs(x, of_level_gained)
    return [
        Written(
            "squared_gap_linear",
            "U^2 - U0^2 along a solution of the linear closure.",
            (linear,),
            (rho, start, kappa),
            prove("2/kappa*(log_expit(-logit_R0) - log_expit(-rho))", gained, RANGES),
        ),
        Written(
            "squared_gap_quadratic",
            "U^2 - U0^2 along a solution of the quadratic closure.",
            (quadratic,),
            (rho, start, kappa),
            prove("2/kappa*(rho - logit_R0 + exp(rho) - exp(logit_R0))", gained_quadratic, RANGES),
        ),
    ]


def onset_gaps() -> list[Written]:
    """Where the curve passes R = 1/2, and where it begins to learn."""
    at_start = {R_0: expit(start)}

    def of_start(name: str, says: str, equation: Equation, form: str, *more: sp.Symbol) -> Written:
        plain = equation.statement.rhs.subs(at_start)
        ranges = {**RANGES, start: (-4, -1)}
        return Written(name, says, (equation,), (*more, start, kappa), prove(form, plain, ranges))

    says = "U = Q - S where R = 1/2: before U0 if R starts above; nan if R was never so low."
    return [
        of_start(
            "onset_gap_linear",
            says,
            solution.linear_onset_gap,
            "sqrt(U_0**2 + 2/kappa*(log(2) + log_expit(-logit_R0)))",
            U_0,
        ),
        of_start(
            "onset_gap_quadratic",
            says,
            solution.quadratic_onset_gap,
            "sqrt(U_0**2 + 2/kappa*(1 - logit_R0 - exp(logit_R0)))",
            U_0,
        ),
        of_start(
            "basin_gap_linear",
            "The smallest U = Q - S at the start that learns.",
            solution.linear_basin,
            "-sqrt(-2/kappa*log_expit(-logit_R0))",
        ),
    ]


# --- time ----------------------------------------------------------------------------------------


def clocks() -> list[Written]:
    """Time along the exact solution, and while the margin is small."""
    (integral,) = solution.time_by_gap.statement.rhs.atoms(sp.Integral)
    passed = integral.limits[0][0]
    plain = integral.function.subs(
        {sp.Function("R")(passed): expit(rho), sp.Function("Delta")(passed): Delta}
    )
    ranges = {rho: (-4, 4), K: (2, 20), **MARGIN_RANGES}
    return [
        Written(
            "log_time_slope",
            "log of dt/dU along a solution.",
            (solution.time_by_gap,),
            (rho, Delta, N, K),
            prove(
                "log(N*K) - log_expit(rho) - log_expit(log(N - 1) - Delta)", sp.log(plain), ranges
            ),
        ),
        as_shown(
            "early_time", "Time to the total V, small margin.", solution.early_time, V, V_0, N, K
        ),
    ]
