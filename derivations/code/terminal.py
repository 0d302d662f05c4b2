"""Statements and steps as lines for a terminal."""

from __future__ import annotations

import re

import sympy as sp
from sympy.printing.pretty.pretty import PrettyPrinter
from sympy.printing.pretty.pretty_symbology import greek_unicode, pretty_use_unicode, xsym
from sympy.printing.pretty.stringpict import prettyForm

from derivations.console import ascii_of
from derivations.form import fractions, signed, terms

GLYPHS = {
    r"\nabla": "∇", r"\langle": "⟨", r"\rangle": "⟩", r"\star": "*", r"\prime": "′", r"\neq": "≠",
    r"\otimes": "⊗", r"\wedge": "∧",
}  # fmt: skip
FONTS = re.compile(r"\\(?:mathrm|mathbb|mathcal|hat|tilde)\{(.+?)\}")
COMMAND = re.compile(r"\\([A-Za-z]+)( ?)")


def readable(name: str) -> str:
    r"""A name in LaTeX without its signs: ``\dot{R}`` is dR/dt, ``\sigma_W^2`` σ_W²."""
    name = re.sub(r"\\dot\{(.+?)\}", r"d\1/dt", FONTS.sub(r"\1", name))
    name = re.sub(r"\\bar\{(.+?)\}", "\\1\u0304", name).replace(r" \rangle", r"\rangle")
    name = COMMAND.sub(_glyph, name)
    return re.sub(r"[\^{}]", "", name.replace("^2", "²"))


def _glyph(command: re.Match[str]) -> str:
    """What a command stands for: its glyph, a Greek letter, or a word such as min."""
    word = command[1]
    return GLYPHS.get("\\" + word) or greek_unicode.get(word) or word + command[2]


class Terminal(PrettyPrinter):
    """SymPy's own, but names in LaTeX are made readable."""

    def _print_Symbol(self, expr: sp.Symbol, bold_name: bool = False) -> prettyForm:
        if not re.search(r"[\\{^]", expr.name):
            return super()._print_Symbol(expr, bold_name)
        name = readable(expr.name)
        return prettyForm(name if self._use_unicode else "".join(map(ascii_of, name)))

    def _print_Indexed(self, expr: sp.Indexed) -> prettyForm:
        base = self._print(expr.base.label)
        return prettyForm(*base.right(*self._print_seq(expr.indices, "[", "]")))


class HeldTerminal(Terminal):
    """Terms, factors and fractions in the order in which a form has them."""

    def _print_Add(self, expr: sp.Add, order: str | None = None) -> prettyForm:
        found = None
        for negative, term in terms(expr):
            shape = self._bracketed(term, isinstance(term, sp.Add))
            if found is None:
                found = prettyForm(*shape.left("-")) if negative else shape
            else:
                found = prettyForm(*found.right(" - " if negative else " + ", shape))
        return _bound(found, prettyForm.ADD)

    def _print_Mul(self, expr: sp.Mul) -> prettyForm:
        negative, size = signed(expr)
        if negative:
            shape = self._bracketed(size, isinstance(size, sp.Add))
            return prettyForm(*shape.left("-"), binding=prettyForm.NEG)
        found = None
        for above, below in fractions(size):
            shape = self._product(above, len(above) > 1 or not below)
            if below:
                shape /= self._product(below, len(below) > 1)
            found = shape if found is None else prettyForm(*found.right(xsym("*"), shape))
        return _bound(found, prettyForm.MUL)

    def _print_Pow(self, expr: sp.Pow) -> prettyForm:
        if expr.exp.is_Rational and expr.exp < 0:
            return self._print_Mul(expr)
        return super()._print_Pow(expr)

    def _product(self, factors: list[sp.Expr], brackets: bool) -> prettyForm:
        shapes = [
            self._bracketed(factor, brackets and (isinstance(factor, sp.Add) or signed(factor)[0]))
            for factor in factors or [sp.S.One]
        ]
        found = shapes[0]
        for shape in shapes[1:]:
            found = prettyForm(*found.right(xsym("*"), shape))
        return found

    def _bracketed(self, expr: sp.Expr, needed: bool) -> prettyForm:
        shape = self._print(expr)
        return prettyForm(*shape.parens()) if needed else shape


def _bound(shape: prettyForm, binding: int) -> prettyForm:
    """``shape`` as what holds together so tightly, which decides on brackets around it."""
    return prettyForm(*shape.right(""), binding=binding)


def text(formula: sp.Basic, *, held: bool = False, unicode: bool = True) -> str:
    """``formula`` as lines. held: in the order of its own nodes. unicode: or else in ASCII."""
    printer = HeldTerminal if held else Terminal
    before = pretty_use_unicode(unicode)  # of SymPy as a whole
    try:
        return str(printer({"use_unicode": unicode, "wrap_line": False}).doprint(formula))
    finally:
        pretty_use_unicode(before)
