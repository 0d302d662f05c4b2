"""A closure G(R) of your own, as functions that are generated when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import sympy as sp

from derivations.code import numpy
from derivations.code.closures import growth, offered, rate
from derivations.code.mean_field import (
    MODEL_LINES,
    RATES,
    STATE_LINES,
    by_logit,
    driven_jacobian,
    driven_rates,
)
from derivations.code.names import NAMES
from derivations.code.written import Written
from derivations.equation import Equation
from derivations.paper import dynamics
from derivations.paper.dynamics import rho
from derivations.symbols import C, K, N, Q, R, S, T, d, g0, gamma

KNOWN = {symbol.name: symbol for symbol in (R, N, K, T, d, gamma, g0)}


def compiled_closure(
    closure: sp.Expr, values: Mapping[str, float] | None = None
) -> tuple[Callable[..., Any], ...]:
    """A closure G(R) of your own as functions, compiled at run time.

    closure: an expression in R (0 < R < 1) and, by name, any of N, K, T, d, gamma and g_0.
    values: of those of them that it uses.
    Returns (growth, growth_slope, bend) with the signatures of ``meanfield.generated``'s
    ``growth_linear``, ``growth_slope_linear`` and ``bend_linear``; the argument rate is not used.
    Raises ValueError for another symbol, a value that is not given, a function that NumPy lacks,
    and a G that is negative or not finite somewhere between R = 0 and 1.
    """
    names = {symbol: symbol.name for symbol in closure.free_symbols}
    if strange := sorted(set(names.values()) - set(KNOWN)):
        raise ValueError(f"a closure G(R) may use {', '.join(KNOWN)}, not {', '.join(strange)}")
    given = {name: float(x) for name, x in (values or {}).items() if name in names.values()}
    if lacking := sorted(set(names.values()) - {"R"} - set(given)):
        raise ValueError(f"the closure {closure} needs a value of {', '.join(lacking)}")
    own = closure.xreplace({symbol: KNOWN[name] for symbol, name in names.items()})
    _require_gradient(own.xreplace({KNOWN[name]: sp.Float(x, 17) for name, x in given.items()}))
    return _compiled(offered("own", own, None), given)


def _compiled(functions: tuple[Written, ...], given: dict[str, float]) -> tuple[Any, ...]:
    """The functions, in which each of the given names has its value."""
    namespace: dict[str, Any] = dict(given)
    exec(compile(numpy.module(functions, NAMES), "<generated closure>", "exec"), namespace)
    return tuple(namespace[written.name] for written in functions)


def _require_gradient(closure: sp.Expr) -> None:
    """Raise ValueError unless G is a number of at least 0 at many places between R = 0 and 1."""
    of_R = sp.lambdify(R, closure, modules="mpmath")
    with mpmath.workdps(30):
        near_ends = [1 / (1 + mpmath.exp(-mpmath.mpf(x))) for x in range(-40, 41)]
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


# --- the closed system in one piece, until nothing asks for it any more -------------------------


def system(name: str, closure: sp.Expr, source: Equation | None) -> tuple[Written, ...]:
    """The right-hand side and the Jacobian of (15) for one closure."""
    per_drive = growth(closure)
    sources = (dynamics.logit_growth, *((source,) if source else ()), *driven_rates().sources[1:])
    arguments = (rho, Q, S, C, N, K, rate)
    drive, *logic = driven_rates().returns
    jacobian = driven_jacobian()
    (first, *row), *rows = jacobian.returns
    own = (per_drive * first + RATES[0] * by_logit(per_drive), *(per_drive * x for x in row))
    return (
        Written(
            f"rhs_{name}",
            "Time derivatives of (logit R, Q, S), time is eta * epoch.",
            sources,
            arguments,
            (RATES[0] * per_drive, *logic),
            (*STATE_LINES, *MODEL_LINES, (RATES[0], drive)),
        ),
        Written(
            f"jacobian_{name}",
            "Derivatives of the three rates (rows) in (logit R, Q, S) (columns).",
            sources,
            arguments,
            (own, *rows),
            (*STATE_LINES, *jacobian.lines),
        ),
    )


def closure_functions(closure: sp.Expr) -> tuple[Callable[..., Any], ...]:
    """(rhs, jacobian, bend) of the closed system for a closure G(R) of your own."""
    own = {symbol: R for symbol in closure.free_symbols if symbol.name == "R"}
    closure = closure.xreplace(own)
    if strange := closure.free_symbols - {R}:
        raise ValueError(
            f"a closure G(R) may use R and numbers, not {', '.join(map(str, strange))}"
        )
    return _compiled((*system("own", closure, None), offered("own", closure, None)[-1]), {})
