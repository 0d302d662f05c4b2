"""The whole derivation as one HTML page: offline, MathML, links along "follows from"."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.printing.pretty.pretty_symbology import pretty_symbol

from derivations.code.mathml import MATRIX_STYLE, mathml
from derivations.code.terminal import readable
from derivations.form import plain
from derivations.lookup import functions_of
from derivations.registry import (
    EQUATIONS,
    Outcome,
    chapters,
    followers_of,
    in_paper_order,
    rests_on,
)
from derivations.statement import Equation

TITLE = (
    "Chain-of-thought state tracking in a solvable transformer: every equation, derived and checked"
)

STYLE = (
    """
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
[hidden] { display: none; }
#search { position: sticky; top: 0; z-index: 1; display: flex; gap: .3rem .8rem; flex-wrap: wrap;
          align-items: baseline; background: var(--paper); padding: .5rem 0; }
#find { font: inherit; flex: 1 1 12rem; min-width: 0; padding: .3rem .6rem; color: inherit;
        background: var(--tint); border: 1px solid var(--line); border-radius: 6px; }
#found { font-size: .9rem; color: var(--soft); }
article { scroll-margin-top: 3.6rem; }
.status { font-size: .78rem; letter-spacing: .03em; color: var(--soft);
          border: 1px solid var(--line); border-radius: 99px; padding: .05rem .55rem;
          margin-left: .5rem; }
.statement, .formula { overflow: auto hidden; scrollbar-width: thin; }
.statement { background: var(--tint); border-radius: 6px; margin: .6rem 0; padding: .5rem .8rem;
             font-size: 1.08rem; }
.formula { padding: .3rem 0 .3rem 1.2rem; }
p { margin: .45rem 0; }
.links, .note, .check { font-size: .9rem; color: var(--soft); margin: .25rem 0;
                        overflow-wrap: anywhere; }
.note { font-style: italic; }
.ok { color: var(--ok); } .failed { color: var(--bad); font-weight: 700; }
nav ul { columns: 2; padding-left: 1.2rem; } .index { font-size: .9rem; line-height: 1.9; }
math { font-size: 1.05em;
       font-family: "STIX Two Math", "Latin Modern Math", "Cambria Math", "XITS Math", math; }
"""
    + MATRIX_STYLE
    + """
@media (max-width: 40rem) {
  nav ul { columns: 1; } body { font-size: 16px; padding: 1rem .7rem 4rem; }
  article { padding: .7rem .7rem; } .statement { padding: .5rem; } .formula { padding-left: .3rem; }
  math { font-size: .88em; } }
"""
)

# shows the equations that have all words of the search field, a letter of a formula being a word
SCRIPT = """
const field = document.getElementById("find"), found = document.getElementById("found");
const cards = [...document.querySelectorAll("article")].map((card) => ({
  card, number: card.id.slice(3).toLowerCase(), letters: card.dataset.letters.split(" "),
  words: (card.parentNode.firstChild.textContent + card.textContent).toLowerCase() }));
function has({ number, letters, words }, word) {
  const lower = word.toLowerCase(), bare = lower.replace(/[()]/g, "");
  if (letters.includes(word) || bare === number) return true;
  if (/^x?\\d+[a-z]?$/.test(bare)) return number.replace(/[a-z]+$/, "") === bare;
  return word.length > 1 && words.includes(lower);
}
function search() {
  const asked = field.value.trim().split(/\\s+/).filter(Boolean);
  let count = 0;
  for (const each of cards) {
    each.card.hidden = !asked.every((word) => has(each, word));
    count += !each.card.hidden;
  }
  for (const part of document.querySelectorAll("section")) {
    part.hidden = !part.querySelector("article:not([hidden])");
  }
  document.querySelector("nav").hidden = asked.length > 0;
  found.textContent = asked.length ? `${count} of ${cards.length} equations` : "";
}
field.addEventListener("input", search);
addEventListener("hashchange", () => { // a link to an equation that the search has hidden
  const goal = document.getElementById(location.hash.slice(1));
  if (goal && goal.closest("[hidden]")) { field.value = ""; search(); goal.scrollIntoView(); }
});
search();
"""


def link(equation: Equation, printed: Collection[Equation]) -> str:
    """Return the HTML that leads to an equation, if it is printed on the same page."""
    title = f'title="{escape(equation.title)}"'
    if equation in printed:
        return f'<a href="#eq-{equation.number}" {title}>({equation.number})</a>'
    return f"<span {title}>({equation.number})</span>"


def symbols(equation: Equation) -> str:
    """Return the letters of a statement, as they are typed and as they look, for the search."""
    names = {symbol.name for symbol in equation.statement.atoms(sp.Symbol)}
    names |= {str(each.func) for each in equation.statement.atoms(AppliedUndef)}
    typed, drawn = map(plain, names), (pretty_symbol(readable(name)) for name in names)
    return escape(" ".join(sorted({*typed, *drawn})))


def card(equation: Equation, outcomes: Sequence[Outcome], printed: Collection[Equation]) -> str:
    """One equation: statement, where it comes from and leads to, derivation, checks."""
    parts = [
        f'<article id="eq-{equation.number}" data-letters="{symbols(equation)}">',
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
            listed = ", ".join(link(each, printed) for each in others)
            parts.append(f'<p class="links">{words} {listed}</p>')
    if functions := functions_of(equation):
        parts.append(f'<p class="links">generated as {", ".join(functions)}</p>')
    for words, formula in equation.steps[:-1]:
        parts.append(f'<p>{escape(words)}:</p><div class="formula">{mathml(formula)}</div>')
    parts.append(f"<p>{escape(equation.steps[-1][0])}: the statement.</p>")
    for outcome in outcomes:
        if equation in outcome.check.covers:
            parts.append(check_line(outcome))
    return "\n".join([*parts, "</article>"])


def check_line(outcome: Outcome) -> str:
    """Return the HTML that tells what a check found."""
    mark, style = {True: ("✓", "ok"), False: ("✗", "failed"), None: ("in tests", "")}[outcome.ok]
    check = outcome.check
    return (
        f'<p class="check"><span class="{style}">{mark}</span> <b>{check.kind.value}</b>: '
        f"{escape(check.says)} <br>→ {escape(outcome.found)}</p>"
    )


def page(outcomes: Sequence[Outcome], equations: Collection[Equation] = ()) -> str:
    """The page, self-contained: all equations, or those given."""
    printed = equations or list(EQUATIONS.values())
    by_chapter = {
        chapter: [each for each in members if each in printed]
        for chapter, members in chapters().items()
    }
    present = {chapter: members for chapter, members in by_chapter.items() if members}
    contents = "".join(
        f'<li><a href="#chapter-{place}">{escape(chapter)}</a></li>'
        for place, chapter in enumerate(present)
    )
    index = " ".join(link(each, printed) for each in in_paper_order(printed))
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
        '<div id="search"><input type="search" id="find" aria-label="Search the equations" '
        'placeholder="number, word or symbol: 15a, onset, gamma"><output id="found"></output>'
        "</div>",
        f"<nav><ul>{contents}</ul><p class='index'>{index}</p></nav>",
    ]
    for place, (chapter, members) in enumerate(present.items()):
        body.append(f'<section><h2 id="chapter-{place}">{escape(chapter)}</h2>')
        body += [card(each, outcomes, printed) for each in members]
        body.append("</section>")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{TITLE}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + f"\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
