"""Every link carries: with a wrong parent the statement changes, or the derivation refuses it."""

from __future__ import annotations

import pytest
import sympy as sp
from sympy.core.function import AppliedUndef

from derivations.registry import EQUATIONS
from derivations.statement import CheckFailed, Equation

SHIFT = sp.Rational(3, 7)
SHAPED = sp.Sum | sp.Product | sp.Integral | AppliedUndef


def inside(right: sp.Basic) -> sp.Basic:
    """Doubled within the sum, integral, average or cases that ``right`` is."""
    if isinstance(right, sp.Piecewise):
        return sp.Piecewise(*((2 * value, where) for value, where in right.args))
    if isinstance(right, SHAPED) and isinstance(right.args[0], sp.Expr):
        return right.func(inside(right.args[0]), *right.args[1:])
    if right.is_Mul and any(isinstance(factor, SHAPED) for factor in right.args):
        return right.func(*(inside(f) if isinstance(f, SHAPED) else f for f in right.args))
    return 2 * right


def shifted(right: sp.Basic) -> sp.Basic:
    ones = sp.ones(*right.shape) if isinstance(right, sp.MatrixBase) else sp.Integer(1)
    return right + SHIFT * ones


def reacts(equation: Equation, place: int, wrong: sp.Basic) -> bool | None:
    """Whether ``equation`` states something else, or refuses, with ``wrong`` for parent ``place``.

    None after a crash: it only says that the derivation expects a right side of another shape.
    """
    given = [parent.statement for parent in equation.follows_from]
    given[place] = sp.Eq(given[place].lhs, wrong, evaluate=False)
    try:
        *_, (_, statement) = equation.derive(*given)
    except CheckFailed:
        return True
    except Exception:
        return None
    return statement != equation.statement


def carries(equation: Equation, place: int) -> bool:
    """Whether the parent twice as large or shifted is noticed; where both crash, doubled inside."""
    right = equation.follows_from[place].statement.rhs
    answers = []
    for wrong in (2 * right, shifted(right)):
        answers.append(reacts(equation, place, wrong))
        if answers[-1]:
            return True
    return answers == [None, None] and reacts(equation, place, inside(right)) is True


@pytest.mark.parametrize("equation", EQUATIONS.values(), ids=lambda equation: equation.number)
def test_every_link_carries(equation: Equation) -> None:
    hollow = [
        parent.number
        for place, parent in enumerate(equation.follows_from)
        if not carries(equation, place)
    ]
    assert not hollow, f"({equation.number}) does not depend on ({'), ('.join(hollow)})"
