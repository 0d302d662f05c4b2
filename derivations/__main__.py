"""Check every equation of the paper, and what goes beyond it.

python -m derivations                       check all, print the table
python -m derivations 11 59 71              show these: statement, derivation, checks
python -m derivations --report report.html  check all, write the whole derivation as one page
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate
from tqdm import tqdm

from derivations.code.terminal import text
from derivations.equation import Check, Equation, Status
from derivations.registry import (
    CHECKS,
    EQUATIONS,
    Outcome,
    checks_of,
    find,
    followers_of,
    in_paper_order,
    rests_on,
    run,
)


def make(checks: Sequence[Check]) -> list[Outcome]:
    """Make ``checks``, with a progress bar on a terminal."""
    bar = tqdm(checks, desc="checking", unit="check", disable=None, leave=False)
    outcomes = []
    for check in bar:
        bar.set_postfix_str(" ".join(f"({equation.number})" for equation in check.covers[:4]))
        outcomes.append(run(check))
    return outcomes


def verdict(equation: Equation, outcomes: Sequence[Outcome]) -> str:
    """Return ok, FAILED, tests (checked there only), - for a definition, or UNCHECKED."""
    own = [outcome.ok for outcome in outcomes if equation in outcome.check.covers]
    if False in own:
        return "FAILED"
    if True in own:
        return "ok"
    if own:
        return "tests"
    return "-" if equation.status is Status.DEFINITION else "UNCHECKED"


def table(outcomes: Sequence[Outcome]) -> str:
    """One line an equation: number, title, status, kinds of check, verdict."""
    rows = []
    for equation in in_paper_order(EQUATIONS.values()):
        kinds = dict.fromkeys(check.kind.value for check in checks_of(equation))
        rows.append(
            (
                f"({equation.number})",
                equation.title,
                equation.status.value,
                ", ".join(kinds),
                verdict(equation, outcomes),
            )
        )
    return tabulate(rows, headers=("", "equation", "status", "checks", ""), tablefmt="simple")


def summary(outcomes: Sequence[Outcome]) -> str:
    """How much was derived and checked, in two lines."""
    status = Counter(equation.status.value for equation in EQUATIONS.values())
    kinds = Counter(outcome.check.kind.value for outcome in outcomes)
    made = [outcome for outcome in outcomes if outcome.ok is not None]
    return (
        f"{len(EQUATIONS)} equations: "
        + ", ".join(f"{n} {name}" for name, n in status.items())
        + "\n"
        f"{len(outcomes)} checks: " + ", ".join(f"{n} {name}" for name, n in kinds.items()) + "; "
        f"{sum(outcome.ok is True for outcome in made)} of {len(made)} hold here, "
        f"{len(outcomes) - len(made)} need torch and are made by pytest"
    )


def shown(equation: Equation, outcomes: Sequence[Outcome]) -> str:
    """One equation in full, for a terminal."""
    lines = [f"({equation.number})  {equation.title}  [{equation.status.value}]"]
    if equation.follows_from:
        lines.append("follows from " + ", ".join(f"({p.number})" for p in equation.follows_from))
    if followers := followers_of(equation):
        lines.append("used by " + ", ".join(f"({follower.number})" for follower in followers))
    if closures := rests_on(equation):
        lines.append("rests on the closures " + ", ".join(f"({c.number})" for c in closures))
    if equation.note:
        lines.append(equation.note)
    for words, formula in equation.steps[:-1]:
        lines += ["", f"  {words}:", indented(text(formula))]
    words, _ = equation.steps[-1]
    lines += ["", f"  {words}:", indented(text(equation.form, held=bool(equation.shown)))]
    lines.append("")
    for outcome in outcomes:
        check = outcome.check
        if equation in check.covers:
            mark = {True: "holds", False: "FAILS", None: "in tests"}[outcome.ok]
            lines.append(f"  {mark}  {check.kind.value}: {check.says}  ->  {outcome.found}")
    return "\n".join(lines)


def indented(block: str) -> str:
    """Return the lines of a block, set in by six spaces."""
    return "\n".join("      " + line for line in block.splitlines())


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Returns 1 if a check fails, 2 for a number or a file that cannot be."""
    parser = argparse.ArgumentParser(
        prog="python -m derivations",
        description="Derive and check every equation of the paper, from the definitions (1)-(9).",
        epilog="Equations beyond the paper are numbered X0, X1a, ...; 59 means (59a) and (59b).",
    )
    parser.add_argument("numbers", nargs="*", metavar="NUMBER", help="show these equations in full")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write everything as one HTML page"
    )
    options = parser.parse_args(arguments)
    try:
        chosen = list(find(options.numbers))
    except KeyError as unknown:
        last = max(number[:2] for number in EQUATIONS if number.startswith("X"))
        print(
            f"there is no equation ({unknown.args[0]}): (1) to (91), (X0) to ({last})",
            file=sys.stderr,
        )
        return 2
    if chosen:
        outcomes = make([check for check in CHECKS if set(check.covers) & set(chosen)])
        print("\n\n".join(shown(equation, outcomes) for equation in chosen))
        return int(any(outcome.ok is False for outcome in outcomes))
    if options.report and not options.report.resolve().parent.is_dir():
        print(f"cannot write {options.report}: its folder does not exist", file=sys.stderr)
        return 2
    outcomes = make(CHECKS)
    print(table(outcomes))
    print()
    print(summary(outcomes))
    failed = [outcome for outcome in outcomes if outcome.ok is False]
    for outcome in failed:
        covered = ", ".join(f"({equation.number})" for equation in outcome.check.covers)
        print(f"FAILED {covered} {outcome.check.kind.value}: {outcome.found}", file=sys.stderr)
    if options.report:
        from derivations.report import page

        try:
            options.report.write_text(page(outcomes), encoding="utf-8")
        except OSError as problem:
            print(f"cannot write {options.report}: {problem.strerror}", file=sys.stderr)
            return 2
    return int(bool(failed))


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the reader of a pipe may stop early
    sys.exit(main())
