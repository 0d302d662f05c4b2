"""The generated functions in JavaScript, for numbers one at a time, and formulas as MathML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp
from latex2mathml.converter import convert
from sympy.printing.jscode import JavascriptCodePrinter

from derivations.code.latex import latex
from derivations.code.numpy import NAMES, Written
from derivations.equation import Equation

# what the page needs; see meanfield/explore/solver.js, which calls these
NEEDED = (
    "margin", "loss", "form_factor", "linear_rate", "quadratic_rate", "rhs_linear",
    "rhs_quadratic", "kappa", "early_time", "onset_gap_linear", "onset_gap_quadratic",
    "log_any_above", "log_right_below", "rollout_error", "retrieval_part", "heuristic_part",
    "logit_variances",
)  # fmt: skip
# beside the curves
SHOWN = ("15a", "71a", "15d", "71b", "15b", "15c", "12b", "43", "14", "70b", "17", "18")
OWN = ("expit", "log_expit", "log_ndtr", "logaddexp", "rint")  # of special.js
MATH = {name: name for name in ("log1p", "expm1", "log", "exp", "sin", "cos")} | {"Abs": "abs"}

HEADER = """// The theory as numbers. Written by python -m derivations.generate: do not edit.
// The same equations, from the same statements, as meanfield/generated.py.
"""


class Printer(JavascriptCodePrinter):
    """JavaScript with the names of the generated NumPy code."""

    def __init__(self) -> None:
        """Write functions of special.js by their own names."""
        super().__init__({"allow_unknown_functions": True})

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return NAMES.get(expr, expr.name)

    def _print_Function(self, expr: sp.Function) -> str:
        name, arguments = expr.func.__name__, [self._print(each) for each in expr.args]
        if name == "where":  # only the branch that is asked for is evaluated
            condition, true, false = arguments
            return f"(({condition}) ? ({true}) : ({false}))"
        if name not in (*OWN, *MATH):
            raise ValueError(f"no JavaScript is known for {name}")
        prefix = "Math." if name in MATH else ""
        name = MATH.get(name, name)
        return f"{prefix}{name}({', '.join(arguments)})"

    _print_Abs = _print_log = _print_exp = _print_sin = _print_cos = _print_expm1 = _print_log1p = (
        _print_Function
    )


def code(expr: Any) -> str:
    """``expr`` as JavaScript; tuples become arrays."""
    if isinstance(expr, tuple):
        return f"[{', '.join(map(code, expr))}]"
    return str(Printer().doprint(expr))


def function(written: Written) -> str:
    """One generated function."""
    names = ", ".join(NAMES.get(symbol, symbol.name) for symbol in written.arguments)
    given, body = set(written.arguments), []
    for left, right in written.lines:
        name = NAMES.get(left, left.name)
        body.append(f"{'' if left in given else 'const '}{name} = {code(right)};")
        given.add(left)
    body.append(f"return {code(written.returns)};")
    numbers = ", ".join(f"({source.number})" for source in written.sources)
    return (
        f"// {written.says} {numbers}\nfunction {written.name}({names}) {{\n"
        + textwrap.indent("\n".join(body), "  ")
        + "\n}\n"
    )


def module(functions: Iterable[Written]) -> str:
    """All functions the page needs."""
    known = {written.name: written for written in functions}
    return HEADER + "\n" + "\n".join(function(known[name]) for name in NEEDED)


def formulas(equations: Mapping[str, Equation]) -> str:
    """The page's formulas as MathML, each with what it says and its number."""
    items = []
    for number in SHOWN:
        equation = equations[number]
        mathml = convert(latex(equation.statement), display="block")
        caption = f"<figcaption>{equation.title} ({number})</figcaption>"
        items.append(f"<figure>{caption}{mathml}</figure>")
    return "\n".join(items) + "\n"
