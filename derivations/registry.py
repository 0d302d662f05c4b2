"""The whole derivation, chapter by chapter, and how to run, find and order its parts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from time import perf_counter
from types import ModuleType

from derivations.beyond import (
    attention_flow,
    finite_steps,
    fluctuations,
    lag,
    matrices,
    scaling,
    solution,
    variances,
)
from derivations.paper import (
    attention,
    attention_closures,
    attention_course,
    definitions,
    dynamics,
    glu,
    logic,
    logits,
    loss,
    overlaps,
    regimes,
    rollout,
    thermodynamic_limit,
)
from derivations.statement import Check, CheckFailed, Equation, Status, collect

CHAPTERS: dict[str, ModuleType] = {
    "Task, model, loss, order parameters": definitions,
    "The logic module as a GLU": glu,
    "Mean logits": logits,
    "Mean-field loss": loss,
    "Overlaps of permutations": overlaps,
    "Learning the logic": logic,
    "Learning to attend": attention,
    "Closing the attention gradient": attention_closures,
    "Attention at the start, under way and at the end": attention_course,
    "The closed dynamics": dynamics,
    "The thermodynamic limit": thermodynamic_limit,
    "Early training and onset": regimes,
    "Rollout accuracy": rollout,
    "Exact solution": solution,
    "The matrices along the flow": matrices,
    "Attention without a closure": attention_flow,
    "Variances of the logits": variances,
    "Steps of a finite learning rate": finite_steps,
    "How far steps lag the flow": lag,
    "What the mean-field loss leaves out": fluctuations,
    "How the onset scales": scaling,
}
EQUATIONS, CHECKS = collect(CHAPTERS.values())


@dataclass(frozen=True)
class Outcome:
    """What one check found. ok is None for a check that is made in the tests, with torch."""

    check: Check
    ok: bool | None
    found: str
    seconds: float


def run(check: Check) -> Outcome:
    """Make one check on the statements as derived."""
    if check.run is None:
        return Outcome(check, None, f"pytest {check.test}", 0.0)
    start = perf_counter()
    try:
        found, ok = check.run(*(equation.statement for equation in check.covers)), True
    except CheckFailed as failure:
        found, ok = str(failure), False
    return Outcome(check, ok, found, perf_counter() - start)


def chapters() -> dict[str, list[Equation]]:
    """The equations of each chapter, in the order derived."""
    found: dict[str, list[Equation]] = {chapter: [] for chapter in CHAPTERS}
    names = {module.__name__: chapter for chapter, module in CHAPTERS.items()}
    for equation in EQUATIONS.values():
        found[names[equation.derive.__module__]].append(equation)
    return found


def checks_of(equation: Equation) -> list[Check]:
    """The checks that cover ``equation``."""
    return [check for check in CHECKS if equation in check.covers]


def followers_of(equation: Equation) -> list[Equation]:
    """The equations that follow from ``equation`` directly."""
    return [other for other in EQUATIONS.values() if equation in other.follows_from]


def rests_on(equation: Equation) -> list[Equation]:
    """The closures behind ``equation``: those among what it follows from, itself included."""
    behind: dict[Equation, None] = {}
    waiting = [equation]
    while waiting:
        one = waiting.pop()
        if one not in behind:
            behind[one] = None
            waiting.extend(one.follows_from)
    return [one for one in EQUATIONS.values() if one in behind and one.status is Status.CLOSURE]


class NotFound(LookupError):
    """No equation has this number, or no function this name; the message names the nearest."""


def find(number: str) -> list[Equation]:
    """The equation of this number or, if only parts of it are numbered, these: 59 is (59a), (59b).

    Brackets around the number are no part of it. Raises NotFound.
    """
    wanted = number.strip("() ").replace("x", "X")
    if wanted in EQUATIONS:
        return [EQUATIONS[wanted]]
    parts = re.compile(re.escape(wanted) + "[a-z]" * wanted[-1:].isdigit())
    found = [equation for key, equation in EQUATIONS.items() if parts.fullmatch(key)]
    if not found:
        raise NotFound(f"there is no equation ({wanted}): {_nearest(wanted)}")
    return in_paper_order(found)


def _nearest(number: str, count: int = 3) -> str:
    """Words that name the equations nearest to a number that none has."""
    ordered = in_paper_order(EQUATIONS.values())
    paper = [each for each in ordered if each.status is not Status.BEYOND]
    if not _PARTS.fullmatch(number):
        return f"they are (1) to ({paper[-1].number}) and (X0) to ({ordered[-1].number})"
    beyond, digits, letters = _place(number)

    def distance(equation: Equation) -> tuple[bool, int, int]:
        other = _place(equation.number)
        ends = (ord(text[0]) if text else 96 for text in (letters, other[2]))  # 96: before "a"
        return other[0] != beyond, abs(other[1] - digits), abs(next(ends) - next(ends))

    near = in_paper_order(sorted(ordered, key=distance)[:count])
    return f"the nearest are {', '.join(f'({each.number})' for each in near)}"


_PARTS = re.compile(r"(X?)(\d+)([a-z]*)")


def _place(number: str) -> tuple[bool, int, str]:
    """What numbers are sorted by: whether beyond the paper, the number, its letter."""
    beyond, digits, letters = _PARTS.fullmatch(number).groups()  # type: ignore[union-attr]
    return bool(beyond), int(digits), letters


def in_paper_order(equations: Iterable[Equation]) -> list[Equation]:
    """Sorted by number: (1), (2), ... (91), then what goes beyond the paper (X0), (X1a), ..."""
    return sorted(equations, key=lambda equation: _place(equation.number))
