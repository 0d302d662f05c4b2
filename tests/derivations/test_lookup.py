"""From a number to its equation, from an equation to its functions, and back."""

from __future__ import annotations

import subprocess
import sys

import pytest

from derivations import equation, equations_of, generate
from derivations.lookup import sources
from derivations.registry import CHECKS, EQUATIONS, find
from meanfield import generated


@pytest.mark.parametrize("number", ["14", "(14)", " 14 ", 14])
def test_an_equation_is_found_by_its_number(number: str | int) -> None:
    assert equation(number) is EQUATIONS["14"]


def test_an_equation_shows_itself() -> None:
    rate = equation("14")
    assert repr(rate) == "<(14) Rate of the linear closure>"
    assert rate.latex.startswith(r"\gamma = \frac{4 \sigma^{2}}{d")
    assert rate._repr_latex_() == f"$$ {rate.latex} \\tag{{14}} $$"
    assert [words for words, _ in rate.steps] == ["Insert (73)"]


def test_an_equation_knows_what_is_around_it() -> None:
    rate = equation("14")
    assert [each.number for each in rate.follows_from] == ["71", "73"]
    assert [each.number for each in rate.used_by] == ["X9g"]
    assert [each.number for each in rate.rests_on] == ["70a", "71a", "71"]
    assert rate.checks == tuple(check for check in CHECKS if rate in check.covers)
    assert rate.functions == ("meanfield.generated.closure_rate_linear",)
    assert equation("1").functions == ()


def test_a_function_leads_back_to_its_equations() -> None:
    assert equations_of("closure_rate_linear") == (equation("14"),)
    behind = (equation("61b"), equation("15b"), equation("15c"))
    for named in ("driven_rates", "meanfield.generated.driven_rates", generated.driven_rates):
        assert equations_of(named) == behind


def test_every_function_is_known_with_its_sources() -> None:
    written = {
        each.name: tuple(source.number for source in each.sources) for each in generate.functions()
    }
    assert sources() == written


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("92", "there is no equation (92): the nearest are (90), (90b), (91)"),
        ("999", "there is no equation (999): the nearest are (90), (90b), (91)"),
        ("14z", "there is no equation (14z): the nearest are (14a), (14b), (14c)"),
        ("9c", "there is no equation (9c): the nearest are (8), (9a), (9b)"),
        ("59", "(59) has parts: choose one of (59a), (59b)"),
        ("onset", "there is no equation (onset): they are (1) to (91) and (X0) to (X"),
        ("", "there is no equation (): they are (1) to (91) and (X0) to (X"),
    ],
)
def test_a_wrong_number_is_told_with_the_nearest(number: str, told: str) -> None:
    with pytest.raises(LookupError) as error:
        equation(number)
    assert str(error.value).startswith(told)


def test_a_wrong_function_is_told_with_the_nearest() -> None:
    with pytest.raises(LookupError, match=r"no function 'linear_rate'; .*, closure_rate_linear$"):
        equations_of("linear_rate")


def test_a_number_finds_itself_or_its_parts() -> None:
    assert find("14") == [EQUATIONS["14"]]
    assert find("x3c") == [EQUATIONS["X3c"]]
    assert find("59") == [EQUATIONS["59a"], EQUATIONS["59b"]]


def test_asking_for_the_package_loads_no_sympy() -> None:
    program = "import sys, derivations.console; print('sympy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n"
