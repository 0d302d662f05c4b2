"""The whole derivation as one HTML page: offline, MathML, links along "follows from"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

import sympy as sp
from latex2mathml.converter import convert

from derivations.code.latex import latex
from derivations.registry import (
    CHAPTERS,
    EQUATIONS,
    Outcome,
    followers_of,
    in_paper_order,
    rests_on,
)
from derivations.statement import Equation

PRIMED = r"<msup><mi>(\w)</mi><m[io]>(?:′|&#x0*2032;)</m[io]></msup>"
TITLE = (
    "Chain-of-thought state tracking in a solvable transformer: every equation, derived and checked"
)

STYLE = """
:root { --ink: #1b1f24; --soft: #57606a; --line: #d8dee4; --paper: #fff; --tint: #f6f8fa;
        --ok: #1a7f37; --bad: #b42318; --link: #0550ae; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --soft: #9aa4af; --line: #343a41; --paper: #16191d; --tint: #1e2328;
          --ok: #57c26f; --bad: #ff8278; --link: #79b8ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 6rem; color: var(--ink);
       background: var(--paper); font: 17px/1.55 Charter, "Bitstream Charter", Georgia, serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .6rem; }
h2 { font-size: 1.3rem; margin: 3.2rem 0 1rem; border-bottom: 2px solid var(--ink); }
h3 { font-size: 1.05rem; margin: 0; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
article { border: 1px solid var(--line); border-radius: 8px; margin: 1.1rem 0;
          padding: .8rem 1.1rem; }
article:target { outline: 3px solid var(--link); }
.number { float: right; font-weight: 600; }
.status { font-size: .78rem; letter-spacing: .03em; color: var(--soft);
          border: 1px solid var(--line); border-radius: 99px; padding: .05rem .55rem;
          margin-left: .5rem; }
.statement { background: var(--tint); border-radius: 6px; margin: .6rem 0; padding: .5rem .8rem;
             overflow: auto hidden; font-size: 1.08rem; }
.formula { overflow: auto hidden; padding: .3rem 0 .3rem 1.2rem; }
p { margin: .45rem 0; }
.links, .note, .check { font-size: .9rem; color: var(--soft); margin: .25rem 0; }
.note { font-style: italic; }
.ok { color: var(--ok); } .failed { color: var(--bad); font-weight: 700; }
nav ul { columns: 2; padding-left: 1.2rem; } .index { font-size: .9rem; line-height: 1.9; }
math { font-size: 1.05em;
       font-family: "STIX Two Math", "Latin Modern Math", "Cambria Math", "XITS Math", math; }
@media (max-width: 40rem) { nav ul { columns: 1; } body { font-size: 16px; } }
"""


def mathml(formula: sp.Basic, *, held: bool = False) -> str:
    """``formula`` as display MathML, primed letters as one glyph. held: in its own order."""
    converted = convert(latex(formula, held=held), display="block")
    return re.sub(PRIMED, r"<mi>\1′</mi>", converted)


def link(equation: Equation) -> str:
    """Return the HTML that leads to an equation on the same page."""
    return (
        f'<a href="#eq-{equation.number}" title="{escape(equation.title)}">({equation.number})</a>'
    )


def card(equation: Equation, outcomes: Sequence[Outcome]) -> str:
    """One equation: statement, where it comes from and leads to, derivation, checks."""
    parts = [
        f'<article id="eq-{equation.number}">',
        f'<span class="number">({equation.number})</span>',
        f'<h3>{escape(equation.title)}<span class="status">{equation.status.value}</span></h3>',
        f'<div class="statement">{mathml(equation.form, held=bool(equation.shown))}</div>',
    ]
    if equation.note:
        parts.append(f'<p class="note">{escape(equation.note)}</p>')
    for words, others in (
        ("follows from", equation.follows_from),
        ("rests on the closures", rests_on(equation)),
        ("used by", followers_of(equation)),
    ):
        if others:
            parts.append(f'<p class="links">{words} {", ".join(map(link, others))}</p>')
    for words, formula in equation.steps[:-1]:
        parts.append(f'<p>{escape(words)}:</p><div class="formula">{mathml(formula)}</div>')
    parts.append(f"<p>{escape(equation.steps[-1][0])}: the statement.</p>")
    for outcome in outcomes:
        if equation in outcome.check.covers:
            parts.append(check_line(outcome))
    return "\n".join([*parts, "</article>"])


def check_line(outcome: Outcome) -> str:
    """Return the HTML that tells what a check found."""
    mark, style = {True: ("✓", "ok"), False: ("✗", "failed"), None: ("✓ in tests", "")}[outcome.ok]
    check = outcome.check
    return (
        f'<p class="check"><span class="{style}">{mark}</span> <b>{check.kind.value}</b>: '
        f"{escape(check.says)} <br>→ {escape(outcome.found)}</p>"
    )


def page(outcomes: Sequence[Outcome]) -> str:
    """The page, self-contained."""
    by_module = {module.__name__: chapter for chapter, module in CHAPTERS.items()}
    chapters: dict[str, list[Equation]] = {chapter: [] for chapter in CHAPTERS}
    for equation in EQUATIONS.values():
        chapters[by_module[equation.derive.__module__]].append(equation)
    contents = "".join(
        f'<li><a href="#chapter-{place}">{escape(chapter)}</a></li>'
        for place, chapter in enumerate(chapters)
    )
    index = " ".join(map(link, in_paper_order(EQUATIONS.values())))
    held = sum(outcome.ok is True for outcome in outcomes)
    failed = sum(outcome.ok is False for outcome in outcomes)
    body = [
        f"<h1>{TITLE}</h1>",
        "<p>Forner, Kühn, Thamm, Rosenow, arXiv:2606.18164. Each statement is computed by SymPy "
        "from those it follows from, beginning with the definitions; each result is then checked "
        f"in a way the derivation did not use. Here {held} checks hold and {failed} fail; those "
        "marked <i>in tests</i> need torch and run with the test suite. Time t is learning rate "
        "times epoch. "
        "Numbers are the paper's; X numbers go beyond it.</p>",
        f"<nav><ul>{contents}</ul><p class='index'>{index}</p></nav>",
    ]
    for place, (chapter, equations) in enumerate(chapters.items()):
        body.append(f'<h2 id="chapter-{place}">{escape(chapter)}</h2>')
        body += [card(equation, outcomes) for equation in equations]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{TITLE}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )
