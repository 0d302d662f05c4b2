"""LaTeX of statements and steps, with the paper's way of writing matrices."""

from __future__ import annotations

import sympy as sp
from sympy.printing.latex import LatexPrinter


class PaperPrinter(LatexPrinter):
    """(W_k)_{nm} instead of W_{k,n,m}; otherwise SymPy's own."""

    def _print_Indexed(self, expr: sp.Indexed) -> str:
        name = str(expr.base.label)
        if name in ("W", "P", r"\Delta W") and len(expr.indices) == 3:
            action, row, column = map(self._print, expr.indices)
            return rf"\left({name}_{{{action}}}\right)_{{{row} {column}}}"
        return super()._print_Indexed(expr)


def latex(formula: sp.Basic) -> str:
    """``formula`` as LaTeX, for a display."""
    return PaperPrinter({"fold_short_frac": False, "ln_notation": False}).doprint(formula)
