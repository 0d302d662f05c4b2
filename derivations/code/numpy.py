"""SymPy expressions as NumPy code that a person can read, and proofs of their stable forms.

Where a plain form overflows or cancels (e^Delta, 1 - R, 1 - a), a stable one stands in its place;
``prove`` holds it against the plain one in 400 digits before anything is written.
"""

from __future__ import annotations

import random
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p
from sympy.printing.numpy import NumPyPrinter
from sympy.printing.precedence import PRECEDENCE

from derivations.beyond import variances
from derivations.beyond.solution import U_0, V_0
from derivations.equation import Equation, require
from derivations.paper import logic, rollout
from derivations.paper.dynamics import rho
from derivations.paper.regimes import Q_0, S_0
from derivations.symbols import Delta, K, N, T, d, sigma2

WIDTH = 100  # columns

# --- stable special functions: what SciPy computes, and what it means ----------------------------

expit = sp.Function("expit", real=True)
log_expit = sp.Function("log_expit", real=True)
logaddexp = sp.Function("logaddexp", real=True)
log_ndtr = sp.Function("log_ndtr", real=True)
wrightomega = sp.Function("wrightomega", real=True)
rint = sp.Function("rint", real=True)  # to the nearest integer
select = sp.Function("where", real=True)  # where(condition, if true, if false)
everywhere = sp.Function("everywhere", real=True)  # (value, argument): as many as the argument has
over_planes = sp.Function("over_planes", real=True)  # sum over the last axis

MEANING: dict[sp.Function, Callable[..., sp.Expr]] = {
    expit: lambda x: 1 / (1 + sp.exp(-x)),
    log_expit: lambda x: -sp.log(1 + sp.exp(-x)),
    logaddexp: lambda x, y: sp.log(sp.exp(x) + sp.exp(y)),
    log1p: lambda x: sp.log(1 + x),
    expm1: lambda x: sp.exp(x) - 1,
    log_ndtr: lambda x: sp.log(rollout.Phi(x)),
    wrightomega: lambda x: sp.LambertW(sp.exp(x)),
}


def meaning(expr: sp.Expr) -> sp.Expr:
    """``expr`` with every stable special function replaced by its definition."""
    for function, definition in MEANING.items():
        expr = expr.replace(function, definition)
    return expr.replace(rollout.Phi, lambda x: sp.erfc(-x / sp.sqrt(2)) / 2)


def prove(
    stable: sp.Expr, plain: sp.Expr, ranges: Mapping[sp.Symbol, tuple[float, float]]
) -> sp.Expr:
    """Return ``stable`` if it equals ``plain`` at 8 random points, 400 digits; else CheckFailed."""
    rng = random.Random(str(plain))
    difference = meaning(stable) - meaning(plain)
    unknown = difference.free_symbols - set(ranges)
    require(not unknown, f"no range is given for {unknown} in {plain}")
    evaluate = sp.lambdify(list(ranges), difference, modules="mpmath")
    with mpmath.workdps(400):
        for _ in range(8):
            point = [
                mpmath.mpf(rng.randint(int(low), int(high)))
                if symbol.is_integer
                else low + (high - low) * mpmath.mpf(rng.randint(1, 999)) / 1000
                for symbol, (low, high) in ranges.items()
            ]
            gap = abs(evaluate(*point))
            require(gap < 1e-40, f"{stable} is not {plain}: differs by {mpmath.nstr(gap, 3)}")
    return stable


# --- one generated function ----------------------------------------------------------------------

NAMES = {
    Delta: "margin",
    rho: "logit_R",
    U_0: "U0",
    V_0: "V0",
    Q_0: "Q0",
    S_0: "S0",
    sigma2: "qk_variance",
    variances.sigma_W2: "w_variance",
    rollout.error: "error",
    logic.c_2: "overlap",
    rollout.z: "z",
}
SIZES = (N, K, T, d)


@dataclass(frozen=True)
class Written:
    """One generated function: its arguments, named intermediate lines, and what it returns."""

    name: str
    says: str
    sources: tuple[Equation, ...]
    arguments: tuple[sp.Symbol, ...]
    returns: Any  # an expression or nested tuples of expressions
    lines: tuple[tuple[sp.Symbol, sp.Expr], ...] = field(default=())

    def source(self) -> str:
        """Return the function as Python source."""
        names = [NAMES.get(symbol, symbol.name) for symbol in self.arguments]
        listed = ", ".join(f"{name}: Real" for name in names)
        kind = "Any" if isinstance(self.returns, tuple) else "Real"
        signature = f"def {self.name}({listed}) -> {kind}:"
        if len(signature) > WIDTH:
            lines = textwrap.wrap(listed.replace(": ", ":"), WIDTH - len(names) - 4)
            listed = "\n    ".join(lines).replace(":", ": ")
            signature = f"def {self.name}(\n    {listed}\n) -> {kind}:"
        equations = ", ".join(f"({equation.number})" for equation in self.sources)
        body = [f'"""{self.says} {equations}"""']
        if len(body[0]) > WIDTH - 4:
            body = [f'"""{self.says}', "", f"{equations}", '"""']
        sizes = [
            name for symbol, name in zip(self.arguments, names, strict=True) if symbol in SIZES
        ]
        if sizes:
            body.append(f"{', '.join(sizes)} = {', '.join(f'1.0 * {name}' for name in sizes)}")
        body += [
            folded(f"{NAMES.get(left, left.name)} = ", code(right)) for left, right in self.lines
        ]
        scalar = "[()]" if isinstance(self.returns, select) else ""  # a 0-d array back to a number
        body.append(folded("return ", code(self.returns) + scalar))
        return signature + "\n" + textwrap.indent("\n".join(body), "    ")


def as_stated(name: str, says: str, equation: Equation, *arguments: sp.Symbol) -> Written:
    """An equation's right side as it stands."""
    return Written(name, says, (equation,), arguments, equation.statement.rhs)


class Printer(NumPyPrinter):
    """NumPy code with the names of this file: np.sqrt, expit, ..."""

    def __init__(self) -> None:
        """Write functions of SciPy by their own names."""
        super().__init__({"fully_qualified_modules": False, "allow_unknown_functions": True})

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return NAMES.get(expr, expr.name)

    def _print_Function(self, expr: sp.Function) -> str:
        name = expr.func.__name__
        if name == "everywhere":
            value, argument = map(self._print, expr.args)
            return f"{value} * np.ones_like({argument}, dtype=float)"
        if name == "over_planes":
            return f"np.sum({self._print(expr.args[0])}, axis=-1)"
        prefix = "" if name in FROM_SCIPY else "np."
        return f"{prefix}{name}({', '.join(map(self._print, expr.args))})"

    _print_log = _print_exp = _print_sin = _print_cos = _print_expm1 = _print_log1p = (
        _print_Function
    )

    def _print_Pow(self, expr: sp.Pow, rational: bool = False, sqrt: str = "sqrt") -> str:
        if abs(expr.exp) == sp.Rational(1, 2):
            root = f"np.sqrt({self._print(expr.base)})"
            return root if expr.exp > 0 else f"1 / {root}"
        if expr.exp.is_Integer and expr.exp < 0:
            below = self.parenthesize(expr.base**-expr.exp, PRECEDENCE["Mul"])
            return f"1 / {below}"
        return super()._print_Pow(expr, rational=rational)

    def _print_Relational(self, expr: sp.core.relational.Relational) -> str:
        return f"{self._print(expr.lhs)} {expr.rel_op} {self._print(expr.rhs)}"

    def _print_Abs(self, expr: sp.Abs) -> str:
        return f"np.abs({self._print(expr.args[0])})"

    def _print_Pi(self, expr: sp.Expr) -> str:
        return "np.pi"

    def _print_Rational(self, expr: sp.Rational) -> str:
        return f"{expr.p} / {expr.q}"


def code(expr: Any) -> str:
    """``expr`` as NumPy code; nested tuples become tuples, one entry a line."""
    if isinstance(expr, tuple):
        entries = [textwrap.indent(wrapped(code(entry)), "    ") + ",\n" for entry in expr]
        return f"(\n{''.join(entries)})"
    return Printer().doprint(expr)


def wrapped(text: str) -> str:
    """Break one long line that stands in brackets at a blank."""
    if "\n" in text or len(text) <= WIDTH - 12:
        return text
    return textwrap.fill(text, WIDTH - 12, subsequent_indent="    ", break_on_hyphens=False)


def folded(start: str, text: str) -> str:
    """A statement, its right side put in brackets and broken where it is too long."""
    if "\n" in text or len(start + text) <= WIDTH - 4:
        return start + text
    return f"{start}(\n" + textwrap.indent(wrapped(text), "    ") + "\n)"


FROM_SCIPY = ("expit", "log_expit", "log_ndtr", "wrightomega")
HEADER = '''"""The theory as numbers. Written by ``python -m derivations.generate``: do not edit.

Every function broadcasts over its arguments and is safe at any margin; the numbers in brackets are
the equations it is taken from (``python -m derivations NUMBER`` shows the derivation). ``rate`` is
gamma (14) for the linear closure and g_0 (70b) for the quadratic one; ``logit_R`` is
log(R/(1 - R)), ``missing`` is 1 - R, ``hit`` is 1 - g, U is Q - S and V is Q + (K - 1) S. Sizes are
made floats because products of large integers overflow.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import FROM_SCIPY

Real: TypeAlias = "float | NDArray[np.float64]"
'''.replace("FROM_SCIPY", ", ".join(FROM_SCIPY))
