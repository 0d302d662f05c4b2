"""The whole derivation, chapter by chapter, and how to run, find and order its parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from string import ascii_lowercase
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
from derivations.equation import Check, CheckFailed, Equation, Status, collect
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


def find(numbers: Iterable[str]) -> Iterator[Equation]:
    """Equations by number; "59" finds (59a) and (59b) too. Raises KeyError for an unknown one."""
    for number in numbers:
        exact = re.compile(re.escape(number.strip("()")) + "[a-z]?")
        found = [equation for key, equation in EQUATIONS.items() if exact.fullmatch(key)]
        if not found:
            raise KeyError(number)
        yield from found


def in_paper_order(equations: Iterable[Equation]) -> list[Equation]:
    """Sorted by number: (1), (2), ... (91), then what goes beyond the paper (X0), (X1a), ..."""

    def place(equation: Equation) -> tuple[bool, int, str]:
        beyond = equation.number.startswith("X")
        number = equation.number.removeprefix("X")
        digits = number.rstrip(ascii_lowercase)
        return beyond, int(digits), number.removeprefix(digits)

    return sorted(equations, key=place)
