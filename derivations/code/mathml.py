"""Formulas as MathML, which browsers show without a library."""

from __future__ import annotations

import re

import sympy as sp
from latex2mathml.converter import convert

from derivations.code.latex import latex

PRIMED = r"<msup><mi>(\w)</mi><m[io]>(?:′|&#x0*2032;)</m[io]></msup>"
MATRIX = r"<mo [^>]*>\[</mo><mtable>(.*?</mtable>)<mo [^>]*>\]</mo>"

# brackets as tall as the matrix in any font: drawn, as many phones have no font that stretches
MATRIX_STYLE = """
.matrix { --line: linear-gradient(currentcolor, currentcolor); margin: 0 .15em; padding: .1em .3em;
  border: solid; border-width: 0 .08em; background: var(--line) 0 0, var(--line) 100% 0,
  var(--line) 0 100%, var(--line) 100% 100%; background-size: .3em .08em;
  background-repeat: no-repeat; }
""".lstrip()


def mathml(formula: sp.Basic, *, held: bool = False) -> str:
    """``formula`` as display MathML, primed letters as one glyph. held: in its own order."""
    converted = convert(latex(formula, held=held), display="block")
    converted = re.sub(MATRIX, r'<mtable class="matrix">\1', converted, flags=re.DOTALL)
    return re.sub(PRIMED, r"<mi>\1′</mi>", converted)
