"""Expressions as code in infix notation: what Python and JavaScript have in common.

Order and divisions are those of the expression (see ``derivations.form``); a long right side is
broken between its terms or factors, never inside a bracket.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import sympy as sp
from sympy.core.function import Application

from derivations.form import fractions, signed, terms

LOOSE, SUM, PRODUCT, POWER, ATOM = range(5)  # how tightly the parts of a text hold together
SIMPLE = re.compile(r"[\w.]+")


class CodeError(ValueError):
    """An expression for which no code is known."""


class Infix:
    """Writes expressions. names: of symbols, where they differ from SymPy's.

    functions: what the language calls SymPy's functions. constants: likewise.
    """

    functions: Mapping[str, str] = {}
    constants: Mapping[sp.Expr, str] = {}
    language = "code"

    def __init__(self, names: Mapping[sp.Symbol, str]) -> None:
        """Write the symbols by these names."""
        self.names = names

    def __call__(self, expr: sp.Basic) -> str:
        """The expression as code."""
        return self.part(expr, LOOSE)

    def name(self, symbol: sp.Symbol) -> str:
        """What a symbol is called."""
        return self.names.get(symbol, symbol.name)

    def part(self, expr: sp.Basic, least: int, *, operand: bool = False) -> str:
        """The expression as a part that must hold together at least so tightly.

        operand: nothing may stand in front of it but a bracket, as for the base of a power.
        """
        text, level = self.written(expr)
        return f"({text})" if level < least or (operand and text.startswith("-")) else text

    def pieces(self, expr: sp.Expr) -> list[str]:
        """The terms of a sum, or else the factors of a product: what a line may be broken into."""
        if isinstance(expr, sp.Add):
            return self.summands(expr)
        return [self(expr)] if signed(expr)[0] else self.factors(expr)

    def written(self, expr: sp.Basic) -> tuple[str, int]:
        """The text and how tightly it holds together."""
        if isinstance(expr, sp.Symbol):
            return self.name(expr), ATOM
        if expr in self.constants:
            return self.constants[expr], ATOM
        if isinstance(expr, sp.Add):
            return " ".join(self.summands(expr)), SUM
        if isinstance(expr, sp.core.relational.Relational):
            sides = self.part(expr.lhs, SUM), self.part(expr.rhs, SUM)
            return f"{sides[0]} {expr.rel_op} {sides[1]}", LOOSE
        negative, size = signed(expr)
        if negative:
            return self.negative(size), PRODUCT
        if isinstance(expr, sp.Float):
            return repr(float(expr)), ATOM
        if isinstance(expr, sp.Integer):
            return str(expr), ATOM
        if isinstance(expr, sp.Pow) and expr.exp == sp.S.Half:
            return self.call("sqrt", expr.base), ATOM
        if isinstance(expr, sp.Pow) and not (expr.exp.is_Rational and expr.exp < 0):
            return self.power(expr.base, expr.exp), POWER
        if isinstance(expr, (sp.Mul, sp.Pow, sp.Rational)):
            return " ".join(self.factors(expr)), PRODUCT
        if isinstance(expr, Application):
            return self.function(expr)
        raise CodeError(f"no {self.language} is known for {expr}")

    def summands(self, expr: sp.Expr) -> list[str]:
        """Terms, each but the first with its sign and a blank."""
        texts: list[str] = []
        for negative, term in terms(expr):
            text = self.part(term, PRODUCT, operand=True)
            if texts:
                texts.append(f"{'-' if negative else '+'} {text}")
            else:
                texts.append(self.negative(term) if negative else text)
        return texts

    def negative(self, size: sp.Expr) -> str:
        """A minus in front."""
        return f"-{self.part(size, PRODUCT, operand=True)}"

    def factors(self, expr: sp.Expr) -> list[str]:
        """Factors, each but the first with ``*`` or ``/`` in front."""
        texts: list[str] = []
        for above, below in fractions(expr):
            for factor in above or ([] if texts else [sp.S.One]):
                text = self.part(factor, POWER, operand=True)
                texts.append(f"* {text}" if texts else text)
            if len(below) == 1:
                texts.append(f"/ {self.part(below[0], POWER, operand=True)}")
            elif below:
                product = " * ".join(self.part(factor, POWER, operand=True) for factor in below)
                texts.append(f"/ ({product})")
        return texts

    def power(self, base: sp.Expr, exponent: sp.Expr) -> str:
        """A power: close together when both are short, as ruff has it."""
        texts = self.part(base, ATOM, operand=True), self.part(exponent, POWER)
        close = all(SIMPLE.fullmatch(text.removeprefix("-")) for text in texts)
        return f"{texts[0]}**{texts[1]}" if close else f"{texts[0]} ** {texts[1]}"

    def function(self, expr: Application) -> tuple[str, int]:
        """A function by what the language calls it."""
        return self.call(expr.func.__name__, *expr.args), ATOM

    def call(self, name: str, *arguments: sp.Expr) -> str:
        """A call; CodeError for a function that the language lacks."""
        if name not in self.functions:
            raise CodeError(f"no {self.language} is known for {name}")
        return f"{self.functions[name]}({', '.join(map(self, arguments))})"
