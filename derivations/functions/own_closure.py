"""A closure G(R) of your own, as functions that are generated when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import sympy as sp
from sympy.core.function import AppliedUndef

from derivations.code import numpy
from derivations.code.infix import CodeError
from derivations.functions.closures import offered
from derivations.functions.names import NAMES
from derivations.symbols import K, N, R, T, d, g0, gamma

KNOWN = {symbol.name: symbol for symbol in (R, N, K, T, d, gamma, g0)}


LARGEST = mpmath.mpf(10) ** 100  # of G at R = 1/2, and 1 over it the least
SHOWN = 80  # characters of a closure in a message
NEAR = 20, 40  # logits of R between which G must vanish, at least about like 1 - R


class Step(sp.Function):
    """A function of whole steps: it has a value, and no slope but where nobody asks."""

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return its slope."""
        return sp.S.Zero


class floor_step(Step):
    """The largest integer not above."""


def compiled_closure(
    closure: sp.Expr, values: Mapping[str, float] | None = None
) -> tuple[Callable[..., Any], ...]:
    """A closure G(R) of your own as functions, compiled at run time.

    closure: an expression in R (0 < R < 1) and, by name, any of N, K, T, d, gamma and g_0.
    values: of those of them that it uses.
    Returns (growth, growth_slope, bend) with the signatures of ``meanfield.generated``'s
    ``growth_linear``, ``growth_slope_linear`` and ``bend_linear``; the argument rate is not used.
    Raises ValueError, in one sentence, unless G is real and positive between R = 0 and 1 and
    vanishes at R = 1 about like 1 - R or faster, in symbols with values and functions NumPy has.
    """
    if not isinstance(closure, sp.Expr) or closure.has(*NO_NUMBERS):
        raise ValueError(
            f"a closure G(R) must be an expression that has a value, not {short(closure)}"
        )
    names = {symbol: symbol.name for symbol in closure.free_symbols}
    if strange := sorted(set(names.values()) - set(KNOWN)):
        raise ValueError(f"a closure G(R) may use {', '.join(KNOWN)}, not {', '.join(strange)}")
    given = {name: float(x) for name, x in (values or {}).items() if name in names.values()}
    if lacking := sorted(set(names.values()) - {"R"} - set(given)):
        raise ValueError(f"the closure {short(closure)} needs a value of {', '.join(lacking)}")
    own = closure.xreplace({symbol: KNOWN[name] for symbol, name in names.items()})
    _require_gradient(own, {KNOWN[name]: sp.Float(x, 17) for name, x in given.items()})
    functions = offered("own", in_known_functions(own), None)
    namespace: dict[str, Any] = dict(given)
    try:
        source = numpy.module(functions, NAMES)
    except CodeError as error:
        raise ValueError(f"the closure {short(closure)} cannot be computed: {error}") from None
    exec(compile(source, "<generated closure>", "exec"), namespace)
    return tuple(namespace[written.name] for written in functions)


def short(closure: sp.Basic) -> str:
    """``closure`` as it is written, a long one by its beginning."""
    text = str(closure)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def in_known_functions(closure: sp.Expr) -> sp.Expr:
    """``closure`` by functions that NumPy and SciPy have."""
    for function, instead in INSTEAD.items():
        closure = closure.replace(function, instead)
    return closure


INSTEAD: dict[Any, Callable[..., sp.Expr]] = {
    sp.sec: lambda x: 1 / sp.cos(x),
    sp.csc: lambda x: 1 / sp.sin(x),
    sp.cot: lambda x: 1 / sp.tan(x),
    sp.sech: lambda x: 1 / sp.cosh(x),
    sp.csch: lambda x: 1 / sp.sinh(x),
    sp.coth: lambda x: 1 / sp.tanh(x),
    sp.sinc: lambda x: sp.sin(x) / x,
    sp.asinh: lambda x: sp.log(x + sp.sqrt(x**2 + 1)),
    sp.acosh: lambda x: sp.log(x + sp.sqrt(x**2 - 1)),
    sp.atanh: lambda x: sp.log((1 + x) / (1 - x)) / 2,
    sp.Mod: lambda x, y: x - y * floor_step(x / y),
    sp.ceiling: lambda x: -floor_step(-x),
    sp.floor: floor_step,
    sp.Heaviside: lambda x, *_: sp.Piecewise((0, x < 0), (1, True)),
}
NO_NUMBERS = (
    sp.nan, sp.zoo, sp.oo, -sp.oo, sp.Derivative, sp.Integral, sp.Sum, sp.Product, AppliedUndef
)  # fmt: skip


def _require_gradient(closure: sp.Expr, values: Mapping[sp.Symbol, sp.Expr]) -> None:
    """Raise ValueError unless G is positive at many places between R = 0 and 1, and 0 at R = 1."""
    own = closure.xreplace(dict(values))
    try:
        of_R = sp.lambdify(R, own, modules="mpmath")
    except Exception:  # whatever SymPy's printer says of what it does not know
        raise ValueError(f"the closure {short(closure)} cannot be computed") from None

    def at(place: Any) -> Any:
        try:
            return mpmath.mpmathify(of_R(place))
        except Exception:
            return mpmath.nan

    with mpmath.workdps(30):
        near_ends = [1 / (1 + mpmath.exp(-mpmath.mpf(x))) for x in range(-40, 41)]
        for place in [*near_ends, *(mpmath.mpf(x) / 200 for x in range(1, 200))]:
            found = at(place)
            if not (mpmath.im(found) == 0 and 0 < mpmath.re(found) < mpmath.inf):
                raise ValueError(
                    f"a closure G(R) must be finite and above 0 for 0 < R < 1; {short(closure)} is "
                    f"{mpmath.nstr(found, 3)} at R = {mpmath.nstr(place, 3)}"
                )
        middle = at(mpmath.mpf(1) / 2)
        if not 1 / LARGEST < middle < LARGEST:
            raise ValueError(
                f"a closure G(R) must be a number of reasonable size; {short(closure)} is "
                f"{mpmath.nstr(middle, 3)} at R = 0.5"
            )
        shares = [at(1 / (1 + mpmath.exp(-x))) * (1 + mpmath.exp(x)) for x in map(mpmath.mpf, NEAR)]
        if shares[1] > mpmath.e * shares[0]:
            raise ValueError(
                f"a closure G(R) must vanish at R = 1 like 1 - R or faster, else R exceeds 1; "
                f"{short(closure)} does not"
            )
