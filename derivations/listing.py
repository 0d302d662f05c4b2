"""What the command prints: a table of all equations, its summary, single equations in full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tabulate import tabulate

from derivations.code.terminal import text
from derivations.lookup import functions_of
from derivations.registry import (
    EQUATIONS,
    Outcome,
    checks_of,
    followers_of,
    in_paper_order,
    rests_on,
)
from derivations.statement import Equation, Kind, Status


def verdict(equation: Equation, outcomes: Sequence[Outcome]) -> str:
    """Return ok, FAILED, - for a definition, or UNCHECKED; what only tests check is said."""
    own = {outcome.ok for outcome in outcomes if equation in outcome.check.covers}
    if False in own:
        return "FAILED"
    if own == {True, None}:
        return f"ok; {Kind.AUTOGRAD.value} in tests"
    if own:
        return "ok" if True in own else "in tests"
    return "-" if equation.status is Status.DEFINITION else "UNCHECKED"


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a line for each equation: number, title, status, kinds of check, verdict."""
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
    """Return how much was derived and checked, in two lines."""
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


def shown(equation: Equation, outcomes: Sequence[Outcome], *, unicode: bool = True) -> str:
    """Return one equation in full. unicode: whether formulas may be drawn in more than ASCII."""
    lines = [f"({equation.number})  {equation.title}  [{equation.status.value}]"]
    for words, others in (
        ("follows from", equation.follows_from),
        ("used by", followers_of(equation)),
        ("rests on the closures", rests_on(equation)),
    ):
        if others:
            lines.append(f"{words} " + ", ".join(f"({other.number})" for other in others))
    if functions := functions_of(equation):
        lines.append("generated as " + ", ".join(functions))
    if equation.note:
        lines.append(equation.note)
    for words, formula in equation.steps[:-1]:
        lines += ["", f"  {words}:", indented(text(formula, unicode=unicode))]
    words, _ = equation.steps[-1]
    statement = text(equation.form, held=bool(equation.shown), unicode=unicode)
    lines += ["", f"  {words}:", indented(statement), ""]
    for outcome in outcomes:
        check = outcome.check
        if equation in check.covers:
            mark = {True: "holds", False: "FAILS", None: "in tests"}[outcome.ok]
            lines.append(f"  {mark}  {check.kind.value}: {check.says}  ->  {outcome.found}")
    return "\n".join(lines)


def indented(block: str) -> str:
    """Return the lines of a block, set in by six spaces."""
    return "\n".join("      " + line for line in block.splitlines())
