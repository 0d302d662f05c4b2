"""The right-hand side and Jacobian of (15) as NumPy code, for any closure G(R)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import sympy as sp

from derivations.beyond import finite_steps
from derivations.code.numpy import HEADER, Written, everywhere, expit, prove
from derivations.equation import Equation, require
from derivations.paper import dynamics, logits, loss
from derivations.paper.dynamics import rho, shape
from derivations.symbols import C, Delta, K, N, Q, R, S, T, d, g, g0, gamma, t, y_c

missing = sp.Symbol("missing", positive=True)  # 1 - R, exact however close R is to 1
hit = sp.Symbol("hit", positive=True)  # 1 - g
rate = sp.Symbol("rate", positive=True)  # gamma of the linear closure, g_0 of the quadratic one
RATES = sp.symbols("dlogit_R dQ dS", real=True)  # the three rates, in the Jacobian
DRIVEN = sp.symbols("F dQ dS", real=True)  # likewise, driven by any attention
MARGIN_SLOPES = margin_rho, margin_Q, margin_S = sp.symbols(
    "margin_by_logit_R margin_by_Q margin_by_S", real=True
)


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


def driven() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """The drive F = -dL/dR and the rates of Q and S, in R, missing, Q, S, g."""
    equations = (loss.attention_drive, dynamics.alignment_dynamics, dynamics.off_target_dynamics)
    drive, dQ, dS = (through_logit(equation.statement.rhs) for equation in equations)
    return drive, dQ, dS


def growth(closure: sp.Expr) -> sp.Expr:
    """Growth rate of logit R per unit of the drive F for G = ``closure``, in R and missing."""
    of_logit = dynamics.logit_growth.statement.rhs / loss.attention_drive.statement.rhs
    return through_logit(sp.simplify(of_logit.subs(shape(R), closure)))


def by_logit(expr: sp.Expr) -> sp.Expr:
    """The derivative in logit R of an expression in R and missing."""
    R_f, missing_f = sp.Function("R")(rho), sp.Function("missing")(rho)
    slope = R * missing
    logistic = {sp.diff(R_f, rho): slope, sp.diff(missing_f, rho): -slope}
    changed = sp.diff(expr.xreplace({R: R_f, missing: missing_f}), rho)
    return changed.xreplace(logistic).xreplace({R_f: R, missing_f: missing})


def driven_system() -> tuple[Written, ...]:
    """The rates of the logic and the drive on attention, and their derivatives."""
    equations = (loss.attention_drive, dynamics.alignment_dynamics, dynamics.off_target_dynamics)
    arguments = (R, missing, Q, S, C, N, K)
    by_error = sp.simplify(loss.error_slope.statement.rhs.subs(1 - g, hit) / g)
    rows = []
    for name, rate_of in zip(DRIVEN, driven(), strict=True):
        require(sp.diff(rate_of, g, 2) == 0 and rate_of.subs(g, 0) == 0, "a rate not linear in g")
        beside = (by_logit(rate_of), sp.diff(rate_of, Q), sp.diff(rate_of, S))
        rows.append(
            tuple(
                by_error * by_margin * name + sp.factor(slope)
                for by_margin, slope in zip(MARGIN_SLOPES, beside, strict=True)
            )
        )
    return (
        Written(
            "driven_rates",
            "(F, dQ/dt, dS/dt): the drive on attention and the rates of the logic.",
            equations,
            arguments,
            driven(),
            MODEL_LINES,
        ),
        Written(
            "driven_jacobian",
            "Derivatives of the driven rates (rows) in (logit R, Q, S) (columns).",
            (*equations, loss.error_slope),
            arguments,
            tuple(rows),
            (*MODEL_LINES, *zip(DRIVEN, driven(), strict=True), *slope_lines()),
        ),
    )


def attention_growth(name: str, closure: sp.Expr, source: Equation | None) -> tuple[Written, ...]:
    """How logit R grows under one closure, per unit of the drive: what attention offers."""
    per_drive = growth(closure)
    sources = (dynamics.logit_growth, *((source,) if source else ()))

    def of_logit(letter: str, says: str, value: sp.Expr, *arguments: sp.Symbol) -> Written:
        shaped = value if value.free_symbols & {R, missing} else everywhere(value, rho)
        needed = tuple(line for line in _STATE_LINES if line[0] in shaped.free_symbols)
        return Written(f"{letter}_{name}", says, sources, arguments, shaped, needed)

    return (
        of_logit("growth", "Growth rate of logit R per unit of the drive F.", per_drive, rho, rate),
        of_logit(
            "growth_slope", "Its derivative in logit R.", sp.factor(by_logit(per_drive)), rho, rate
        ),
    )


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


def attention_bend(name: str, closure: sp.Expr, source: Equation | None) -> Written:
    """What steps change in the growth of logit R under one closure."""
    bent = bend(closure)
    return Written(
        f"bend_{name}",
        "What steps change in the growth of logit R, over its square and minus lr/2.",
        (finite_steps.logit_growth_in_steps, *((source,) if source else ())),
        (rho,),
        bent if bent.has(R) else everywhere(bent, rho),
        _STATE_LINES[:1] if bent.has(R) else (),
    )


def system(name: str, closure: sp.Expr, source: Equation | None) -> tuple[Written, ...]:
    """The right-hand side and the Jacobian of (15) for one closure."""
    arguments = (rho, Q, S, C, N, K, rate)
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
    )


KNOWN = {symbol.name: symbol for symbol in (R, N, K, T, d, gamma, g0)}  # in a closure of your own


def compiled_closure(
    closure: sp.Expr, values: Mapping[str, float] | None = None
) -> tuple[Callable[..., Any], ...]:
    """A closure G(R) of your own as functions, compiled at run time.

    closure: an expression in R (0 < R < 1) and, by name, any of N, K, T, d, gamma and g_0.
    values: of those of them that it uses.
    Returns (growth, growth_slope, bend) with the signatures of ``meanfield.generated``'s
    ``growth_linear``, ``growth_slope_linear`` and ``bend_linear``; the argument rate is not used.
    Raises ValueError for another symbol, a value that is not given, and a G that is negative or
    not finite somewhere between R = 0 and 1.
    """
    names = {symbol: symbol.name for symbol in closure.free_symbols}
    if strange := sorted(set(names.values()) - set(KNOWN)):
        raise ValueError(f"a closure G(R) may use {', '.join(KNOWN)}, not {', '.join(strange)}")
    given = {name: float((values or {})[name]) for name in names.values() if name in (values or {})}
    if lacking := sorted(set(names.values()) - {"R"} - set(given)):
        raise ValueError(f"the closure {closure} needs a value of {', '.join(lacking)}")
    own = closure.xreplace({symbol: KNOWN[name] for symbol, name in names.items()})
    _require_gradient(own.xreplace({KNOWN[name]: sp.Float(x, 17) for name, x in given.items()}))
    functions = (*attention_growth("own", own, None), attention_bend("own", own, None))
    source = HEADER + "\n\n".join(written.source() for written in functions)
    namespace: dict[str, Any] = dict(given)
    exec(compile(source, "<generated closure>", "exec"), namespace)
    return tuple(namespace[written.name] for written in functions)


def _require_gradient(closure: sp.Expr) -> None:
    """Raise ValueError unless G is a number of at least 0 at many places between R = 0 and 1."""
    of_R = sp.lambdify(R, closure, modules="mpmath")
    near_ends = [1 / (1 + mpmath.exp(-mpmath.mpf(x))) for x in range(-40, 41)]
    with mpmath.workdps(30):
        for place in [*near_ends, *(mpmath.mpf(x) / 200 for x in range(1, 200))]:
            try:
                found = mpmath.mpmathify(of_R(place))
            except (ArithmeticError, ValueError, TypeError, NameError):
                found = mpmath.nan
            if not (mpmath.im(found) == 0 and 0 <= mpmath.re(found) < mpmath.inf):
                raise ValueError(
                    f"a closure G(R) must be finite and at least 0 for 0 < R < 1; {closure} is "
                    f"{mpmath.nstr(found, 3)} at R = {mpmath.nstr(place, 3)}"
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
    functions = (*system("own", closure, None), attention_bend("own", closure, None))
    source = HEADER + "\n\n".join(written.source() for written in functions)
    namespace: dict[str, Any] = {}
    exec(compile(source, "<generated closure>", "exec"), namespace)
    return tuple(namespace[f"{name}_own"] for name in ("rhs", "jacobian", "bend"))
