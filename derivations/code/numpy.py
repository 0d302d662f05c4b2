"""Generated functions as NumPy code that reads like a formula sheet."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp
from sympy.core.function import Application

from derivations.code.infix import ATOM, PRODUCT, Infix
from derivations.code.written import Written
from derivations.symbols import K, N, T, d

WIDTH = 100  # columns
SIZES = (N, K, T, d)
FROM_SCIPY = (
    "betaln", "erf", "erfc", "expit", "gammaln", "log_expit", "log_ndtr", "wrightomega",
)  # fmt: skip
FROM_NUMPY = (
    "sqrt", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "expm1", "log1p",
    "logaddexp", "rint", "where", "sign", "floor", "heaviside",
)  # fmt: skip
OTHER_NAMES = {
    "Abs": "abs", "Max": "maximum", "Min": "minimum", "Heaviside": "heaviside", "asin": "arcsin",
    "acos": "arccos", "atan": "arctan", "floor_step": "floor",
}  # fmt: skip

HEADER = '''"""The theory as numbers. Written by ``python -m derivations.generate``: do not edit.

Every function broadcasts over its arguments and is safe at any margin; the numbers in brackets are
the equations it is taken from (``python -m derivations NUMBER`` shows the derivation). ``rate`` is
gamma (14) for the linear closure and g_0 (70b) for the quadratic one; ``logit_R`` is
log(R/(1 - R)), ``missing`` is 1 - R, ``Delta`` is the margin, ``hit`` is 1 - g, U is Q - S and V is
Q + (K - 1) S. Sizes are made floats because products of large integers overflow.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import IMPORTED

Real: TypeAlias = "float | NDArray[np.float64]"
'''


class NumPy(Infix):
    """NumPy code: np.sqrt, expit, ..."""

    functions = (
        {name: name for name in FROM_SCIPY}
        | {name: f"np.{name}" for name in FROM_NUMPY}
        | {name: f"np.{other}" for name, other in OTHER_NAMES.items()}
    )
    constants: Mapping[sp.Expr, str] = {sp.pi: "np.pi", sp.E: "np.e"}
    language = "NumPy code"

    def function(self, expr: Application) -> tuple[str, int]:
        """A function; some are no calls."""
        name = expr.func.__name__
        if name == "everywhere":
            value, argument = expr.args
            if value == 0:
                return f"np.zeros_like({self(argument)}, dtype=float)[()]", ATOM
            ones = f"np.ones_like({self(argument)}, dtype=float)"
            return f"{self.part(value, PRODUCT)} * {ones}", PRODUCT
        if name == "over_planes":
            return f"np.sum({self(expr.args[0])}, axis=-1)", ATOM
        if isinstance(expr, sp.Piecewise):
            *cases, (last, _) = expr.args
            for value, condition in reversed(cases):
                last = sp.Function("where")(condition, value, last)
            return self.written(last)
        if name in ("Max", "Min") and len(expr.args) > 2:
            first, *others = expr.args
            return self.call(name, first, expr.func(*others)), ATOM
        return super().function(expr)


def function(written: Written, names: Mapping[sp.Symbol, str] | None = None) -> str:
    """One generated function as Python source."""
    write = NumPy(names or {})
    called = [write.name(symbol) for symbol in written.arguments]
    kind = "Any" if isinstance(written.returns, tuple) else "Real"
    listed = ", ".join(f"{name}: Real" for name in called)
    signature = f"def {written.name}({listed}) -> {kind}:"
    if len(signature) > WIDTH:
        listed = "".join(f"    {name}: Real,\n" for name in called)
        signature = f"def {written.name}(\n{listed}) -> {kind}:"
    sizes = [write.name(symbol) for symbol in written.arguments if symbol in SIZES]
    body = [docstring(written)]
    if sizes:
        body.append(f"{', '.join(sizes)} = {', '.join(f'1.0 * {name}' for name in sizes)}")
    body += [statement(f"{write.name(left)} = ", right, write) for left, right in written.lines]
    body.append(statement("return ", written.returns, write))
    return signature + "\n" + textwrap.indent("\n".join(body), "    ")


def docstring(written: Written) -> str:
    """What the function is, and the numbers of its equations."""
    numbers = ", ".join(f"({equation.number})" for equation in written.sources)
    short = f'"""{written.says} {numbers}"""'
    if len(short) <= WIDTH - 4 and "\n" not in written.says:
        return short
    first, *others = textwrap.wrap(written.says, WIDTH - 7, break_on_hyphens=False)
    return "\n".join([f'"""{first}', *others, "", numbers, '"""'])


def statement(start: str, right: Any, write: NumPy) -> str:
    """An assignment or a return, broken between the terms or factors where it is too long."""
    if isinstance(right, tuple):
        return start + entries(right, write)
    scalar = "[()]" if right.func.__name__ == "where" and start == "return " else ""
    line = f"{start}{write(right)}{scalar}"  # [()]: a 0-d array back to a number
    return line if len(line) <= WIDTH - 4 else f"{start}(\n{broken(right, write)}\n)"


def entries(values: tuple[Any, ...], write: NumPy) -> str:
    """A tuple, one entry a line."""
    lines = []
    for value in values:
        text = entries(value, write) if isinstance(value, tuple) else write(value)
        if "\n" not in text and len(text) > WIDTH - 13:
            text = broken(value, write).lstrip()
        lines.append(textwrap.indent(text, "    ") + ",\n")
    return f"(\n{''.join(lines)})"


def broken(expr: sp.Expr, write: NumPy) -> str:
    """The terms of a sum, or the factors of a product, one a line."""
    return textwrap.indent("\n".join(write.pieces(expr)), "    ")


def module(functions: Iterable[Written], names: Mapping[sp.Symbol, str]) -> str:
    """All functions as one module."""
    body = "\n\n\n".join(function(each, names) for each in functions) + "\n"
    used = [name for name in FROM_SCIPY if re.search(rf"(?<!\.)\b{name}\(", body)]
    imported = f"from scipy.special import {', '.join(used)}\n" if used else ""
    return HEADER.replace("from scipy.special import IMPORTED\n", imported) + "\n\n" + body
