"""A function to be generated, in no language yet, and proofs of the forms it is written in.

Where a plain form overflows or cancels (e^Delta, 1 - R, 1 - a) a stable one stands in its place;
``prove`` holds it against the plain one in 400 digits before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from derivations.form import letters, parse, released, replaced
from derivations.proof import Ranges, difference
from derivations.statement import Equation, require
from derivations.symbols import Phi

# --- stable special functions: what SciPy computes, and what it means ----------------------------

expit = sp.Function("expit", real=True)
log_expit = sp.Function("log_expit", real=True)
logaddexp = sp.Function("logaddexp", real=True)
log_ndtr = sp.Function("log_ndtr", real=True)
wrightomega = sp.Function("wrightomega", real=True)
gammaln = sp.Function("gammaln", real=True)
betaln = sp.Function("betaln", real=True)
rint = sp.Function("rint", real=True)  # to the nearest integer
select = sp.Function("where", real=True)  # where(condition, if true, if false)
everywhere = sp.Function("everywhere", real=True)  # (value, argument): as many as the argument has
over_planes = sp.Function("over_planes", real=True)  # sum over the last axis

MEANING: dict[Any, Callable[..., sp.Expr]] = {
    expit: lambda x: 1 / (1 + sp.exp(-x)),
    log_expit: lambda x: -sp.log(1 + sp.exp(-x)),
    logaddexp: lambda x, y: sp.log(sp.exp(x) + sp.exp(y)),
    log1p: lambda x: sp.log(1 + x),
    expm1: lambda x: sp.exp(x) - 1,
    log_ndtr: lambda x: sp.log(sp.erfc(-x / sp.sqrt(2)) / 2),
    wrightomega: lambda x: sp.LambertW(sp.exp(x)),
    gammaln: lambda x: sp.loggamma(x),
    betaln: lambda x, y: sp.loggamma(x) + sp.loggamma(y) - sp.loggamma(x + y),
}
STABLE = {function.__name__: function for function in MEANING}


def meaning(expr: sp.Expr) -> sp.Expr:
    """``expr`` with every stable special function replaced by its definition."""
    for function, definition in MEANING.items():
        expr = expr.replace(function, definition)
    return expr.replace(Phi, lambda x: sp.erfc(-x / sp.sqrt(2)) / 2)


Line: TypeAlias = tuple[sp.Symbol, sp.Expr]  # a named part of a formula: name = right side


def prove(
    form: str | sp.Expr,
    plain: sp.Expr,
    ranges: Ranges | None = None,
    *,
    lines: Sequence[Line] = (),
) -> sp.Expr:
    """Return ``form``, kept in its order, if it equals ``plain``; else CheckFailed.

    form: an expression, or text in the letters of ``plain`` and of ``lines``, which name parts of
    it. ranges: of the symbols, where a random number of their kind will not do.
    """
    if isinstance(form, str):
        form = parse(form, {**STABLE, **letters(plain, *(part for line in lines for part in line))})
    whole = released(form)
    for name, right in reversed(lines):
        whole, plain = (side.xreplace({name: released(right)}) for side in (whole, plain))
    found = difference(whole, plain, ranges, meaning)
    require(not found, f"{form} is not {plain}: {found}")
    return form


def define(form: str, **known: Any) -> sp.Expr:
    """A form that names a part of a formula: it is proven where it is used."""
    return parse(form, {**STABLE, **known})


# --- one generated function ----------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """One generated function: its arguments, named intermediate lines, and what it returns."""

    name: str
    says: str
    sources: tuple[Equation, ...]
    arguments: tuple[sp.Symbol, ...]
    returns: Any  # an expression or nested tuples of expressions
    lines: tuple[Line, ...] = field(default=())


def as_shown(name: str, says: str, equation: Equation, *arguments: sp.Symbol) -> Written:
    """An equation's right side in the form it is shown in."""
    return Written(name, says, (equation,), arguments, held(equation))


def held(equation: Equation, rules: Mapping[sp.Basic, sp.Basic] | None = None) -> sp.Expr:
    """The right side of an equation as shown, some letters replaced."""
    return replaced(equation.form.rhs, rules or {})
