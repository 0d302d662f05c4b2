"""The generated functions in JavaScript, for numbers one at a time, and formulas as MathML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp
from sympy.core.function import Application

from derivations.code.infix import ATOM, LOOSE, Infix
from derivations.code.mathml import MATRIX_STYLE, mathml
from derivations.code.written import Written
from derivations.form import fractions
from derivations.statement import Equation

# what the page needs; see meanfield/explore/{attention,solver}.js, which call these
NEEDED = (
    "nominal_retrieval", "power_frequency", "linear_frequency", "uniform_variance", "mean_overlap",
    "margin", "loss", "form_factor", "closure_rate_linear", "closure_rate_quadratic",
    "driven_rates", "growth_linear", "growth_quadratic", "rate_constant", "total", "margin_by_gap",
    "gap_square_slope", "log_time_slope", "early_time", "log_any_above", "log_right_below",
    "rollout_error", "retrieval_part", "heuristic_part", "logit_variances", "plane_waves",
    "plane_size", "mean_size", "product_spread", "size_spread", "plane_gradient", "product_rates",
    "corrected_loss", "corrected_rates",
)  # fmt: skip
# beside the curves
SHOWN = (
    "15a", "71a", "15d", "71b", "15b", "15c", "12b", "43", "14", "70b", "X5e", "X5f", "17", "18",
    "X8d",
)  # fmt: skip

HEADER = """// The theory as numbers. Written by python -m derivations.generate: do not edit.
// The same equations, from the same statements, as meanfield/generated.py.
"""


class JavaScript(Infix):
    """JavaScript: Math.sqrt, and expit, ... of special.js."""

    functions = (
        {name: name for name in ("expit", "log_expit", "log_ndtr", "logaddexp", "rint")}
        | {name: f"Math.{name}" for name in ("sqrt", "log1p", "expm1", "log", "exp", "sin", "cos")}
        | {"Abs": "Math.abs"}
    )
    constants: Mapping[sp.Expr, str] = {sp.pi: "Math.PI", sp.E: "Math.E"}
    language = "JavaScript"

    def function(self, expr: Application) -> tuple[str, int]:
        """A function; of ``where`` only the branch that is asked for is evaluated."""
        name = expr.func.__name__
        if name == "where":
            condition, true, false = map(self, expr.args)
            return f"{condition} ? {true} : {false}", LOOSE
        if name == "everywhere":
            return self.written(expr.args[0])
        if name == "over_planes":
            (summand,) = expr.args
            (array,) = map(self.name, summand.free_symbols)
            return f"{array}.reduce((sum, {array}) => sum + {self(summand)}, 0)", ATOM
        return super().function(expr)

    def negative(self, size: sp.Expr) -> str:
        """A minus in front; no power may follow it without a bracket."""
        text = super().negative(size)
        first = next((above[0] for above, _ in fractions(size) if above), size)
        bare = isinstance(first, sp.Pow) and first.exp != sp.S.Half and not text.startswith("-(")
        return f"-({text[1:]})" if bare else text


def value(expr: Any, write: JavaScript) -> str:
    """An expression as JavaScript; tuples become arrays."""
    if isinstance(expr, tuple):
        return f"[{', '.join(value(each, write) for each in expr)}]"
    return write(expr)


def function(written: Written, names: Mapping[sp.Symbol, str] | None = None) -> str:
    """One generated function."""
    write = JavaScript(names or {})
    given, body = set(written.arguments), []
    for left, right in written.lines:
        body.append(
            f"{'' if left in given else 'const '}{write.name(left)} = {value(right, write)};"
        )
        given.add(left)
    body.append(f"return {value(written.returns, write)};")
    numbers = ", ".join(f"({source.number})" for source in written.sources)
    called = ", ".join(map(write.name, written.arguments))
    return (
        f"// {written.says} {numbers}\nfunction {written.name}({called}) {{\n"
        + textwrap.indent("\n".join(body), "  ")
        + "\n}\n"
    )


def module(functions: Iterable[Written], names: Mapping[sp.Symbol, str]) -> str:
    """All functions the page needs."""
    known = {written.name: written for written in functions}
    return HEADER + "\n" + "\n".join(function(known[name], names) for name in NEEDED)


def formulas(equations: Mapping[str, Equation]) -> str:
    """The page's formulas as MathML, each with what it says and its number."""
    items = []
    for number in SHOWN:
        equation = equations[number]
        formula = mathml(equation.form, held=bool(equation.shown))
        caption = f"<figcaption>{equation.title} ({number})</figcaption>"
        items.append(f"<figure>{caption}{formula}</figure>")
    return "\n".join([f"<style>\n{MATRIX_STYLE}</style>", *items]) + "\n"
