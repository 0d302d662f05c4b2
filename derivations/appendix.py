r"""Equations as LaTeX: displays to paste, and an appendix that compiles.

Needs amsmath, and graphicx for the few formulas that no line break makes fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from derivations.registry import chapters, rests_on
from derivations.statement import Equation

WIDEST = 56  # letters in a line, as ``width`` counts them
SPECIAL = {
    "\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
} | {sign: f"\\{sign}" for sign in "{}_&%#$"}  # fmt: skip
TOKEN = re.compile(r"\\(?:begin|end)\{\w+\}|\\(?:left|right)\S|\\\w+|[{}]| [-+=] |.", re.DOTALL)
SIGNS = (" + ", " - ")
OPENS, CLOSES = ("{", r"\left", r"\begin"), ("}", r"\right", r"\end")

PREAMBLE = r"""% Written by python -m derivations --latex: change the derivation, not this file.
\documentclass[a4paper]{article}
\usepackage[T1]{fontenc}
\usepackage{amsmath,amssymb,graphicx}
\usepackage[margin=25mm]{geometry}
\usepackage[hidelinks]{hyperref}
\allowdisplaybreaks
\title{Chain-of-thought state tracking in a solvable transformer: equations}
\author{}
\date{}
\begin{document}
\maketitle
\appendix
\noindent Numbers are those of Forner, K\"uhn, Thamm and Rosenow, arXiv:2606.18164; X numbers go
beyond it. Time $t$ is learning rate times epoch. An assumption is a closure, which something else
could replace; what rests on it is said at each equation.
"""


def display(equation: Equation) -> str:
    """Return an equation as a LaTeX display with its number, its title in a comment."""
    return "\n".join(
        (
            f"% ({equation.number}) {equation.title}",
            r"\begin{equation}",
            f"{body(equation.latex)}",
            rf"\tag{{{equation.number}}}\label{{{label(equation)}}}",
            r"\end{equation}",
        )
    )


def document(equations: Sequence[Equation]) -> str:
    """Return a LaTeX document: the equations by chapter, each with what it follows from."""
    parts = [PREAMBLE]
    for chapter, members in chapters().items():
        if chosen := [each for each in members if each in equations]:
            parts.append(rf"\section{{{escaped(chapter)}}}")
            parts += [entry(each, equations) for each in chosen]
    return "\n\n".join([*parts, r"\end{document}", ""])


def entry(equation: Equation, printed: Sequence[Equation]) -> str:
    """Return one equation with its title, its status, its assumptions and what it follows from.

    printed: the equations that the document holds and that a reference can lead to.
    """
    said = []
    for words, others in (
        ("Follows from", equation.follows_from),
        ("Rests on the assumptions", rests_on(equation)),
    ):
        if others:
            said.append(f"{words} {references(others, printed)}.")
    if equation.note:
        said.append(escaped(equation.note))
    heading = rf"\paragraph{{{escaped(equation.title)}}} ({equation.status.value})."
    return "\n".join([" ".join([heading, *said]), display(equation)])


def references(equations: Iterable[Equation], printed: Sequence[Equation]) -> str:
    """Return the numbers of equations, as links to those that are printed."""
    return ", ".join(
        rf"\eqref{{{label(each)}}}" if each in printed else f"({each.number})" for each in equations
    )


def label(equation: Equation) -> str:
    """Return the label of an equation."""
    return f"eq:{equation.number}"


def escaped(words: str) -> str:
    """Return prose with LaTeX's special characters made plain ones."""
    return "".join(SPECIAL.get(character, character) for character in words)


# --- line breaks ---------------------------------------------------------------------------------


def body(latex: str) -> str:
    """Return a formula, broken before its terms or made smaller if it is too wide for a line."""
    if width(latex) <= WIDEST:
        return latex
    left, *others = terms(latex)
    lines = [left]
    for term in others:
        if lines == [left] or width(lines[-1] + term) <= WIDEST:
            lines[-1] += term
        else:
            lines.append(term)
    if len(lines) == 1 or max(map(width, lines)) > WIDEST:
        return rf"\resizebox{{0.9\linewidth}}{{!}}{{$\displaystyle {latex}$}}"
    first = f"{left} &={lines[0].removeprefix(left).removeprefix(' =')}"
    broken = " \\\\\n&\\quad ".join([first, *(line.strip() for line in lines[1:])])
    return f"\\begin{{split}}\n{broken}\n\\end{{split}}"


def terms(latex: str) -> list[str]:
    """Return the left side of a formula, then its right side cut before each plus and minus that
    stands in no bracket; the equals sign begins the first of its terms."""
    found, depth = [""], 0
    for token in TOKEN.findall(latex):
        depth += token.startswith(OPENS)
        depth -= token.startswith(CLOSES)
        right_side = len(found) > 1
        if depth == 0 and ((token == " = " and not right_side) or (token in SIGNS and right_side)):
            found.append("")
        found[-1] += token
    return found


def width(latex: str) -> float:
    """Return about how wide a formula is, in letters: of a fraction, its wider part counts."""
    text = re.sub(r"\\(?:left|right|displaystyle|tilde|hat|bar|dot|mathrm|mathbb) ?", "", latex)
    text = re.sub(r"\\begin\{matrix\}(.*?)\\end\{matrix\}", _widest_row, text)
    text = re.sub(r"\\(log|exp|cos|sin|erf|lim|min)\b", r"\1", text)
    while (simpler := _simpler(text)) != text:
        text = simpler
    return len(re.sub(r"\\[a-zA-Z]+ ?|\\.", "x", text).replace(" ", ""))


def _widest_row(matrix: re.Match[str]) -> str:
    return str(max(matrix[1].split(r"\\"), key=width))


def _simpler(text: str) -> str:
    """Replace the innermost braces by what they hold, as wide as it is."""
    inner = r"\{([^{}]*)\}"
    text = re.sub(rf"\\d?frac{inner}{inner}", lambda m: max(m[1], m[2], key=width), text)
    text = re.sub(rf"[_^]{inner}", lambda m: m[1][: int(width(m[1]) + 1) // 2], text)
    return re.sub(rf"(?<![}}_^c]){inner}", r"\1", text)
