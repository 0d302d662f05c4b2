"""The registry as a whole: complete, linked, checked, and every check able to fail."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import sympy as sp

from derivations.registry import CHECKS, EQUATIONS, checks_of, find, in_paper_order, rests_on, run
from derivations.statement import Check, Equation, Status
from tests.derivations.mutants import mutants, some

ROOT = Path(__file__).parents[2]


def test_every_number_of_the_paper_is_there() -> None:
    digits = {int(re.findall(r"\d+", number)[0]) for number in EQUATIONS if number[0] != "X"}
    assert digits == set(range(1, 92))


def test_what_goes_beyond_the_paper_is_there() -> None:
    beyond = {number[:2] for number in EQUATIONS if number.startswith("X")}
    assert beyond == {f"X{number}" for number in range(10)}
    for number in beyond:
        assert all(equation.status is Status.BEYOND for equation in find(number))


@pytest.mark.parametrize("equation", EQUATIONS.values(), ids=lambda equation: equation.number)
def test_equation_is_derived(equation: Equation) -> None:
    assert isinstance(equation.statement, sp.Eq)
    assert all(words and words[0] != " " for words, _ in equation.steps)
    assert all(parent in EQUATIONS.values() for parent in equation.follows_from)
    if equation.status is not Status.DEFINITION:
        assert checks_of(equation), f"nothing checks ({equation.number})"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.says[:60])
def test_check_holds(check: Check) -> None:
    outcome = run(check)
    assert outcome.ok is not False, outcome.found


def test_checks_made_with_torch_exist() -> None:
    for check in CHECKS:
        if check.run is None:
            path, name = check.test.split("::")
            tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_order_is_the_papers() -> None:
    numbers = [equation.number for equation in in_paper_order(EQUATIONS.values())]
    assert numbers.index("9b") < numbers.index("10") < numbers.index("91") < numbers.index("X0")


# --- mutants: a wrong statement must be noticed -------------------------------------------------


def notices(check: Check, equation: Equation, wrong: sp.Eq) -> bool:
    """Whether ``check`` fails when ``equation`` states ``wrong``."""
    given = [wrong if covered is equation else covered.statement for covered in check.covers]
    try:
        assert check.run is not None
        check.run(*given)
    except Exception:  # a crash on a wrong statement is as good as a failed comparison
        return True
    return False


def made_here(equation: Equation) -> list[Check]:
    """The checks of ``equation`` that need no torch."""
    return [check for check in checks_of(equation) if check.run is not None]


CHECKED = [equation for equation in EQUATIONS.values() if made_here(equation)]


def unnoticed(equation: Equation, wrong: dict[str, sp.Eq]) -> list[str]:
    """What was changed in those mutants of ``equation`` that pass all its checks."""
    checks = made_here(equation)
    return [
        change
        for change, mutant in wrong.items()
        if not any(notices(check, equation, mutant) for check in checks)
    ]


@pytest.mark.parametrize("equation", CHECKED, ids=lambda equation: equation.number)
def test_mutants_are_noticed(equation: Equation) -> None:
    assert not unnoticed(equation, some(mutants(equation)))


@pytest.mark.slow
@pytest.mark.parametrize("equation", CHECKED, ids=lambda equation: equation.number)
def test_every_mutant_is_noticed(equation: Equation) -> None:
    assert not unnoticed(equation, mutants(equation))


# --- left sides ---------------------------------------------------------------------------------


LEFT_SIDES = {
    "10": "L", "11": "y_c", "12": "y_o", "12b": "Delta", "14": "gamma", "15a": r"\dot{R}",
    "15b": r"\dot{Q}", "15c": r"\dot{S}", "15d": r"\dot{R}", "15e": r"\dot{R}",
    "15f": r"\dot{\rho}", "15g": "R", "15h": "Q_0", "15i": "S_0", "36": "y_c", "40": "C",
    "41": "y_o", "43": "g", "46a": "alpha", "46b": "beta", "54": r"\Delta Q", "56": r"\Delta S",
    "59a": r"\dot{Q}", "59b": r"\dot{S}", "61b": "F", "64": r"\dot{R}", "70": "G", "70b": "g_0",
    "71a": "G", "71b": "G", "73": "Gamma_0", "78a": "Q", "78b": "S", "79": "Q - S",
    "80": r"\dot{R}", "81": "R", "81c": "tau", "18": "P_T", "18b": "E_T", "17": "a", "17b": "e",
    "X3c": "t", "X3g": "t", "X3h": "S", "X3k": "t", "X6a": "sigma_c**2", "X6b": "sigma_o**2",
    "X6c": "u", "X6d": "v",
}  # fmt: skip


@pytest.mark.parametrize("number", LEFT_SIDES)
def test_statement_determines_what_it_should(number: str) -> None:
    assert str(EQUATIONS[number].statement.lhs) == LEFT_SIDES[number]


def test_closures_behind_a_result_are_found() -> None:
    behind = {closure.number for closure in rests_on(EQUATIONS["15a"])}
    assert {"10", "71a"} <= behind
    assert "71b" not in behind
    assert rests_on(EQUATIONS["11"]) == []


@pytest.mark.parametrize(
    ("number", "assumptions"),
    [("15b", {"58c"}), ("79", {"58c", "78c", "78d"}), ("81", {"71a", "78c", "80"}),
     ("17", {"88b", "88c"}), ("18", {"86", "87"})],
)  # fmt: skip
def test_assumptions_are_shown(number: str, assumptions: set[str]) -> None:
    assert assumptions <= {closure.number for closure in rests_on(EQUATIONS[number])}
