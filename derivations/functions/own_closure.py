"""A closure G(R) of your own, as functions that are generated when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import sympy as sp

from derivations.code import numpy
from derivations.functions.closures import offered
from derivations.functions.names import NAMES
from derivations.symbols import K, N, R, T, d, g0, gamma

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
    functions = offered("own", own, None)
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
