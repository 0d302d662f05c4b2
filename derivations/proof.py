"""Whether two expressions are the same: numbers of 400 digits at random points."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import mpmath
import sympy as sp

from derivations.form import released

Ranges: TypeAlias = Mapping[sp.Symbol, tuple[float, float]]

DIGITS, POINTS = 400, 8
TOLERANCE = mpmath.mpf(10) ** -40
# compared by their parts, as is any function that is not SymPy's
OPAQUE = (
    sp.Sum, sp.Integral, sp.Product, sp.Limit, sp.Derivative, sp.Indexed, sp.KroneckerDelta
)  # fmt: skip


def difference(
    one: sp.Expr,
    other: sp.Expr,
    ranges: Ranges | None = None,
    meaning: Callable[[sp.Expr], sp.Expr] = lambda expr: expr,
) -> str:
    """Say where two expressions differ, "" if nowhere: random points, 400 digits.

    ranges: of the symbols; by what they are known to be unless given. meaning: expands functions
    that mpmath does not know. Sums, integrals and unknown functions are compared by their parts.
    """
    one, other = meaning(released(one)), meaning(released(other))
    named: list[tuple[sp.Basic, sp.Dummy]] = []
    one, other = (_without_opaque(expr, named, ranges, meaning) for expr in (one, other))
    if one.has(sp.zoo, sp.nan) or other.has(sp.zoo, sp.nan):
        return "cannot be compared: it is not a number"
    symbols = sorted(one.free_symbols | other.free_symbols, key=str)
    if ranges is not None and (
        unknown := {s for s in symbols if not isinstance(s, sp.Dummy)} - set(ranges)
    ):
        return f"no range is given for {unknown}"
    rng = random.Random(str(other))
    function = sp.lambdify(symbols, [one, other], modules="mpmath")
    with mpmath.workdps(DIGITS):
        for _ in range(POINTS):
            point = [_drawn(symbol, ranges, rng) for symbol in symbols]
            try:
                left, right = map(mpmath.mpmathify, function(*point))
            except (ArithmeticError, ValueError, NameError) as error:
                return f"cannot be compared: {error}"
            gap = abs(left - right)
            if not gap < TOLERANCE * max(1, abs(right)):
                return f"differs by {mpmath.nstr(gap, 3)}"
    return ""


def _drawn(symbol: sp.Symbol, ranges: Ranges | None, rng: random.Random) -> Any:
    """A value that a symbol can have."""
    if ranges is not None and symbol in ranges:
        low, high = ranges[symbol]
    elif symbol.is_integer:
        low, high = 3, 9
    else:
        low, high = (-2, 2) if not symbol.is_nonnegative else (0, 1)
    if symbol.is_integer:
        return mpmath.mpf(rng.randint(int(low), int(high)))
    return low + (high - low) * mpmath.mpf(rng.randint(1, 999)) / 1000


def _without_opaque(
    expr: sp.Expr,
    named: list[tuple[sp.Basic, sp.Dummy]],
    ranges: Ranges | None,
    meaning: Callable[[sp.Expr], sp.Expr],
) -> sp.Expr:
    """``expr`` with a letter for each part that is not evaluated, the same for equal ones."""
    own = isinstance(expr, sp.Function) and not (expr.func.__module__ or "").startswith("sympy")
    if not isinstance(expr, OPAQUE) and not own:
        if not expr.args:
            return expr
        return expr.func(*(_without_opaque(part, named, ranges, meaning) for part in expr.args))
    for known, letter in named:
        if known == expr or (
            known.func == expr.func
            and len(known.args) == len(expr.args)
            and all(_alike(*pair, meaning) for pair in zip(known.args, expr.args, strict=True))
        ):
            return letter
    named.append((expr, sp.Dummy(f"part_{len(named)}", positive=True)))
    return named[-1][1]


def _alike(one: sp.Basic, other: sp.Basic, meaning: Callable[[sp.Expr], sp.Expr]) -> bool:
    if one == other:
        return True
    if isinstance(one, sp.Tuple) and isinstance(other, sp.Tuple) and len(one) == len(other):
        return all(_alike(*pair, meaning) for pair in zip(one, other, strict=True))
    both = isinstance(one, sp.Expr) and isinstance(other, sp.Expr)
    return both and not difference(one, other, None, meaning)
