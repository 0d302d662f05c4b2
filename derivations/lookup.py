"""From a number to its equation, and between equations and the functions generated from them."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from derivations.generate import TARGET
from derivations.registry import EQUATIONS, NotFound, find
from derivations.statement import Equation

MODULE = "meanfield.generated"
NUMBERS = re.compile(r"(?:\(X?\d+[a-z]*\)(?:, )?)+$")  # at the end of a generated docstring


def equation(number: str | int) -> Equation:
    """Return the equation of this number; NotFound if there is none, or several."""
    found = find(str(number))
    if len(found) > 1:
        listed = ", ".join(f"({each.number})" for each in found)
        raise NotFound(f"({number}) has parts: choose one of {listed}")
    return found[0]


def equations_of(function: str | Callable[..., Any]) -> tuple[Equation, ...]:
    """Return the equations that a generated function is taken from; NotFound for another name."""
    asked = function if isinstance(function, str) else getattr(function, "__name__", "")
    name = asked.removeprefix(f"{MODULE}.")
    if name not in sources():
        near = ", ".join(sorted(sources(), key=lambda known: _likeness(name, known))[-3:])
        raise NotFound(f"{MODULE} has no function {asked!r}; the nearest are {near}")
    return tuple(EQUATIONS[number] for number in sources()[name])


def _likeness(one: str, other: str) -> tuple[int, float]:
    """Return how many words two names share, and how alike they are letter by letter."""
    shared = len(set(one.split("_")) & set(other.split("_")))
    return shared, difflib.SequenceMatcher(None, one, other).ratio()


def functions_of(equation: Equation) -> tuple[str, ...]:
    """Return the full names of the generated functions that are taken from an equation."""
    return tuple(
        f"{MODULE}.{name}" for name, numbers in sources().items() if equation.number in numbers
    )


@cache
def sources() -> dict[str, tuple[str, ...]]:
    """Return the numbers of the equations behind each generated function.

    Read from the docstrings in the generated file: to generate it anew takes seconds.
    """
    found = {}
    for node in ast.parse(TARGET.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            numbers = NUMBERS.search((ast.get_docstring(node) or "").strip())
            found[node.name] = tuple(re.findall(r"X?\d+[a-z]*", numbers[0] if numbers else ""))
    return found
