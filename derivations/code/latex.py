"""LaTeX of statements and steps, with the paper's way of writing matrices."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter

from derivations.form import fractions, signed, terms


class PaperPrinter(LatexPrinter):
    """(W_k)_{nm} instead of W_{k,n,m}; otherwise SymPy's own."""

    def _print_Indexed(self, expr: sp.Indexed) -> str:
        name = str(expr.base.label)
        if name in ("W", "P", r"\Delta W") and len(expr.indices) == 3:
            action, row, column = map(self._print, expr.indices)
            return rf"\left({name}_{{{action}}}\right)_{{{row} {column}}}"
        return super()._print_Indexed(expr)


class HeldPrinter(PaperPrinter):
    """Terms, factors and fractions in the order in which a form has them."""

    def _print_Add(self, expr: sp.Add, order: str | None = None) -> str:
        text = ""
        for negative, term in terms(expr):
            sign = " - " if negative else " + " if text else ""
            text += sign + self._in_brackets(term, isinstance(term, sp.Add))
        return text.strip()

    def _print_Mul(self, expr: sp.Mul) -> str:
        negative, size = signed(expr)
        if negative:
            return f"- {self._in_brackets(size, isinstance(size, sp.Add))}"
        return " ".join(self._fraction(*pair) for pair in fractions(size))

    def _print_Pow(self, expr: sp.Pow) -> str:
        if expr.exp.is_Rational and expr.exp < 0:
            return self._print_Mul(expr)
        return super()._print_Pow(expr)

    def _fraction(self, above: list[sp.Expr], below: list[sp.Expr]) -> str:
        if not below:
            return self._product(above)
        return rf"\frac{{{self._alone(above)}}}{{{self._alone(below)}}}"

    def _alone(self, factors: list[sp.Expr]) -> str:
        return self._print(factors[0]) if len(factors) == 1 else self._product(factors)

    def _product(self, factors: list[sp.Expr]) -> str:
        if not factors:
            return "1"
        last = len(factors) - 1
        return " ".join(
            self._in_brackets(
                factor,
                isinstance(factor, sp.Add)
                or signed(factor)[0]
                or (isinstance(factor, (sp.Sum, sp.Integral)) and place < last),
            )
            for place, factor in enumerate(factors)
        )

    def _in_brackets(self, expr: sp.Expr, needed: bool) -> str:
        text = self._print(expr)
        return rf"\left({text}\right)" if needed else text


def latex(formula: sp.Basic, *, held: bool = False) -> str:
    """``formula`` as LaTeX, for a display. held: in the order of its own nodes."""
    printer: Any = HeldPrinter if held else PaperPrinter
    return printer({"fold_short_frac": False, "ln_notation": False}).doprint(formula)
