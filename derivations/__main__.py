"""Check every equation of the paper, and what goes beyond it.

python -m derivations                       check all, print the table
python -m derivations 11 59 71              show these: statement, derivation, checks
python -m derivations --report report.html  check all, write the whole derivation as one page
python -m derivations 11 59 --latex         print the LaTeX of these
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from derivations import console

if TYPE_CHECKING:
    from derivations.registry import Outcome
    from derivations.statement import Check, Equation

# What the command works with is imported when it works: SymPy takes a second to load, in which an
# interruption shall be one line too.
GLYPHS = "σΔ⋅─│√⎛"  # what formulas in a terminal are drawn with


def parser() -> console.Parser:
    """Return the parser of the command line."""
    result = console.parser(
        "python -m derivations",
        "Derive and check every equation of the paper, from the definitions (1)-(9).",
        "Equations beyond the paper are numbered X0, X1a, ...; 59 means (59a) and (59b).",
    )
    result.add_argument("numbers", nargs="*", metavar="NUMBER", help="show these equations in full")
    result.add_argument(
        "--report", type=Path, metavar="FILE.html",
        help="write everything, or the equations named, as one page to read",
    )  # fmt: skip
    result.add_argument(
        "--latex", nargs="?", const="", metavar="FILE.tex",
        help="print all equations, or those named, in LaTeX; with a file, as a paper's appendix",
    )  # fmt: skip
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Returns 1 if a check fails; exits with 2 for a number or a file in the way."""
    parsed = parser()
    options = parsed.parse_intermixed_args(arguments)
    if options.latex and not options.latex.endswith(".tex"):  # --latex 14: a number after it
        options.numbers.insert(0, options.latex)
        options.latex = ""
    return console.run(parsed, lambda: _work(options))


def _work(options: argparse.Namespace) -> int:
    from derivations.registry import EQUATIONS, NotFound, find

    try:
        chosen = list(dict.fromkeys(each for number in options.numbers for each in find(number)))
    except NotFound as unknown:
        raise console.Mistake(str(unknown)) from None
    appendix = Path(options.latex) if options.latex else None
    for path in (options.report, appendix):
        if path is not None:
            console.require_writable(path)
    if options.latex is not None:
        _write_latex(chosen or list(EQUATIONS.values()), appendix)
        if options.report is None:
            return 0
    return _check(chosen, options.report, silent=options.latex is not None)


def _write_latex(chosen: list[Equation], path: Path | None) -> None:
    from derivations import appendix

    if path is None:
        print("\n\n".join(map(appendix.display, chosen)))
    else:
        console.write(path, appendix.document(chosen))
        print(f"{path}: compile it, or copy its body into a paper")


def _check(chosen: list[Equation], report: Path | None, *, silent: bool) -> int:
    """Make the checks, of all equations unless some are chosen; print and write what they found."""
    from derivations import listing
    from derivations.registry import CHECKS

    outcomes = make([check for check in CHECKS if not chosen or set(check.covers) & set(chosen)])
    if chosen and not silent:
        drawn = console.says(GLYPHS)
        print("\n\n".join(listing.shown(each, outcomes, unicode=drawn) for each in chosen))
    elif not silent:
        print(f"{listing.table(outcomes)}\n\n{listing.summary(outcomes)}")
    failed = [outcome for outcome in outcomes if outcome.ok is False]
    for outcome in failed:
        covered = ", ".join(f"({equation.number})" for equation in outcome.check.covers)
        print(f"FAILED {covered} {outcome.check.kind.value}: {outcome.found}", file=sys.stderr)
    if report:
        from derivations.report import page

        console.write(report, page(outcomes, chosen))
        print(f"{report}: open it in a browser")
    return int(bool(failed))


def make(checks: Sequence[Check]) -> list[Outcome]:
    """Make ``checks``, with a progress bar on a terminal."""
    from tqdm import tqdm

    from derivations.registry import run

    bar = tqdm(checks, desc="checking", unit="check", disable=None, leave=False)
    outcomes = []
    for check in bar:
        bar.set_postfix_str(" ".join(f"({equation.number})" for equation in check.covers[:4]))
        outcomes.append(run(check))
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
