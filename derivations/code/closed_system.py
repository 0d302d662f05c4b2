"""The right-hand side and Jacobian of (15) as NumPy code, for any closure G(R)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from derivations.beyond import finite_steps
from derivations.code.numpy import HEADER, Written, expit, prove
from derivations.equation import Equation, require
from derivations.paper import dynamics, logits, loss
from derivations.paper.dynamics import rho, shape
from derivations.symbols import C, Delta, K, N, Q, R, S, g, t, y_c

missing = sp.Symbol("missing", positive=True)  # 1 - R, exact however close R is to 1
hit = sp.Symbol("hit", positive=True)  # 1 - g
rate = sp.Symbol("rate", positive=True)  # gamma of the linear closure, g_0 of the quadratic one
RATES = sp.symbols("dlogit_R dQ dS", real=True)  # the three rates, in the Jacobian
margin_rho, margin_Q, margin_S = sp.symbols("margin_by_logit_R margin_by_Q margin_by_S", real=True)


def through_logit(expr: sp.Expr) -> sp.Expr:
    """Write 1 - R as ``missing`` wherever it stands."""
    return expr.xreplace({1 - R: missing, R - 1: -missing})


def log_odds(excess: sp.Expr) -> sp.Expr:
    """Return log(N - 1) less ``excess``: the argument of a logistic function of a margin."""
    return sp.log(N - 1) - excess


MARGIN_RANGES = {Delta: (-9, 9), N: (2, 30)}
ERROR = prove(expit(log_odds(Delta)), loss.error_signal.statement.rhs, MARGIN_RANGES)
_STATE_LINES = (
    (R, prove(expit(rho), sp.solve(sp.Eq(rho, sp.log(R / (1 - R))), R)[0], {rho: (-9, 9)})),
    (missing, prove(expit(-rho), 1 - expit(rho), {rho: (-9, 9)})),
)
_RIGHT_LOGIT = through_logit(logits.mean_correct_logit.statement.rhs)
MODEL_LINES = (
    (y_c, _RIGHT_LOGIT),
    (Delta, logits.margin.statement.rhs),
    (g, ERROR),
)  # the error signal, in R, missing, Q, S and C


def rates(closure: sp.Expr) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """(15) for G = ``closure``: the time derivatives of logit R, Q and S in R, missing, Q, S, g."""
    of_logit = dynamics.logit_growth.statement.rhs
    per_R = sp.simplify(closure / (R * (1 - R)))
    attention = of_logit.subs(shape(R), R * (1 - R)) * per_R
    logic_rates = (dynamics.alignment_dynamics, dynamics.off_target_dynamics)
    return through_logit(attention), *(through_logit(eq.statement.rhs) for eq in logic_rates)


def jacobian(closure: sp.Expr) -> tuple[tuple[sp.Expr, ...], ...]:
    """The derivatives of ``rates`` in (logit R, Q, S), in the letters of ``slope_lines``.

    Every rate is proportional to the error signal, whose logarithm falls by ``hit`` per margin.
    """
    R_f, missing_f = sp.Function("R")(rho), sp.Function("missing")(rho)
    into, back = {R: R_f, missing: missing_f}, {R_f: R, missing_f: missing}
    logistic = {sp.diff(R_f, rho): R * missing, sp.diff(missing_f, rho): -R * missing}
    by_error = sp.simplify(loss.error_slope.statement.rhs.subs(1 - g, hit) / g)
    entries = []
    for name, rate_of in zip(RATES, rates(closure), strict=True):
        require(sp.diff(rate_of, g, 2) == 0 and rate_of.subs(g, 0) == 0, "a rate not linear in g")
        row = []
        for variable, by_variable in ((rho, margin_rho), (Q, margin_Q), (S, margin_S)):
            beside = sp.diff(rate_of.xreplace(into), variable).xreplace(logistic).xreplace(back)
            row.append(by_error * by_variable * name + sp.factor(beside))
        entries.append(tuple(row))
    return tuple(entries)


def slope_lines() -> tuple[tuple[sp.Symbol, sp.Expr], ...]:
    """1 - g and the derivatives of the margin in (logit R, Q, S)."""
    in_overlaps = logits.margin.statement.rhs.subs(y_c, logits.mean_correct_logit.statement.rhs)
    by_R = sp.factor(sp.diff(in_overlaps, R))
    complement = prove(expit(-log_odds(Delta)), 1 - loss.error_signal.statement.rhs, MARGIN_RANGES)
    return (
        (hit, complement),
        (margin_rho, by_R * R * missing),
        (margin_Q, through_logit(sp.diff(in_overlaps, Q))),
        (margin_S, through_logit(sp.diff(in_overlaps, S))),
    )


def bend(closure: sp.Expr) -> sp.Expr:
    """What gradient steps add to the growth of logit R for G = ``closure``, in R (X7c).

    In units of the squared growth rate, beside the rate's own change.
    """
    phi = finite_steps.phi(t)
    stepped = finite_steps.logit_growth_in_steps.statement.rhs.subs(shape(R), closure).doit()
    stepped = sp.expand(sp.simplify(stepped))
    return sp.factor(stepped.coeff(phi, 2) / stepped.coeff(sp.Derivative(phi, t)))


def system(name: str, closure: sp.Expr, source: Equation | None) -> tuple[Written, ...]:
    """The right-hand side, the Jacobian and the bend of (15) for one closure."""
    arguments = (rho, Q, S, C, N, K, rate)
    bent = bend(closure)
    sources = (
        dynamics.logit_growth,
        *((source,) if source else ()),
        dynamics.alignment_dynamics,
        dynamics.off_target_dynamics,
    )
    return (
        Written(
            f"rhs_{name}",
            "Time derivatives of (logit R, Q, S), time is eta * epoch.",
            sources,
            arguments,
            rates(closure),
            (*_STATE_LINES, *MODEL_LINES),
        ),
        Written(
            f"jacobian_{name}",
            "Derivatives of the three rates (rows) in (logit R, Q, S) (columns).",
            sources,
            arguments,
            jacobian(closure),
            (*_STATE_LINES, *MODEL_LINES, *zip(RATES, rates(closure), strict=True), *slope_lines()),
        ),
        Written(
            f"bend_{name}",
            "What steps change in the growth of logit R, over its square and minus lr/2.",
            (finite_steps.logit_growth_in_steps, *((source,) if source else ())),
            (rho,),
            bent,
            _STATE_LINES[:1] if bent.has(R) else (),
        ),
    )


def closure_functions(closure: sp.Expr) -> tuple[Callable[..., Any], ...]:
    """The generated system for a closure G(R) of your own, compiled at run time.

    closure: an expression in the symbol R of derivations.symbols (0 < R < 1) and numbers.
    Returns (rhs, jacobian, bend) with the signatures of ``meanfield.generated.rhs_linear``,
    ``jacobian_linear`` and ``bend_linear``; the argument rate is not used.
    Raises ValueError for any other free symbol.
    """
    own = {symbol: R for symbol in closure.free_symbols if symbol.name == "R"}
    closure = closure.xreplace(own)
    if strange := closure.free_symbols - {R}:
        raise ValueError(
            f"a closure G(R) may use R and numbers, not {', '.join(map(str, strange))}"
        )
    source = HEADER + "\n\n".join(written.source() for written in system("own", closure, None))
    namespace: dict[str, Any] = {}
    exec(compile(source, "<generated closure>", "exec"), namespace)
    return tuple(namespace[f"{name}_own"] for name in ("rhs", "jacobian", "bend"))
