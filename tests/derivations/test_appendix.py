"""Equations as LaTeX: balanced, in ASCII, every reference at home; compiled where LaTeX is."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from derivations import appendix
from derivations.registry import EQUATIONS
from derivations.statement import Equation

PDFLATEX = shutil.which("pdflatex")


@pytest.mark.parametrize("equation", EQUATIONS.values(), ids=lambda equation: equation.number)
def test_a_display_is_whole(equation: Equation) -> None:
    text = appendix.display(equation)
    assert text.isascii()
    assert text.count("{") == text.count("}")
    assert text.count(r"\left") == text.count(r"\right")
    begun = re.findall(r"\\begin\{(\w+)\}", text)
    assert Counter(begun) == Counter(re.findall(r"\\end\{(\w+)\}", text))
    assert rf"\tag{{{equation.number}}}\label{{eq:{equation.number}}}" in text
    whole = "".join(appendix.terms(equation.latex))
    assert whole == equation.latex
    assert all(term.count("{") == term.count("}") for term in appendix.terms(equation.latex))


def test_a_wide_formula_is_broken_before_a_term() -> None:
    text = appendix.display(EQUATIONS["X6a"])
    first, second = re.findall(r"\\begin\{split\}\n(.*)\n(.*)\n\\end", text)[0]
    assert first.startswith(r"\sigma_{c}^{2} &= ")
    assert second.startswith(r"&\quad + ")
    assert "split" not in appendix.display(EQUATIONS["14"])


def test_the_document_has_everything_and_refers_to_nothing_else() -> None:
    text = appendix.document(list(EQUATIONS.values()))
    labels = re.findall(r"\\label\{(.+?)\}", text)
    assert sorted(labels) == sorted(f"eq:{number}" for number in EQUATIONS)
    assert set(re.findall(r"\\eqref\{(.+?)\}", text)) <= set(labels)
    for equation in EQUATIONS.values():
        assert appendix.escaped(equation.title) in text
    part = appendix.document([EQUATIONS["14"], EQUATIONS["71"]])
    assert r"Follows from \eqref{eq:71}, (73)." in part
    assert r"Rests on the assumptions (70a), (71a), \eqref{eq:71}." in part
    assert part.count(r"\section") == 1


def test_prose_has_no_command_in_it() -> None:
    assert appendix.escaped(r"a_b^2 50 % {\x}") == (
        r"a\_b\textasciicircum{}2 50 \% \{\textbackslash{}x\}"
    )


@pytest.mark.skipif(PDFLATEX is None, reason="no LaTeX is installed")
def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "appendix.tex"
    path.write_text(appendix.document(list(EQUATIONS.values())), encoding="utf-8")
    for _ in range(3):  # until the references are known and stay in place
        done = subprocess.run(
            [str(PDFLATEX), "-interaction=nonstopmode", "-halt-on-error", path.name],
            cwd=tmp_path, capture_output=True, text=True, errors="replace",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:]
    complaints = [line for line in done.stdout.splitlines()
                  if line.startswith(("LaTeX Warning", "Overfull", "!"))]  # fmt: skip
    assert complaints == []
