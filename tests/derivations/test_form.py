"""Forms: read from text, proven, kept in their order by every printer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sympy as sp

from derivations.code.infix import CodeError
from derivations.code.javascript import JavaScript
from derivations.code.latex import latex
from derivations.code.numpy import NumPy, function
from derivations.code.terminal import text
from derivations.code.written import Written, everywhere, expit, prove, select
from derivations.form import FormError, letters, parse, released, replaced
from derivations.proof import difference
from derivations.registry import EQUATIONS
from derivations.statement import CheckFailed, Equation, Step, equation, shown
from derivations.symbols import C, Delta, K, N, Q, R, S, T, y_c

KNOWN = letters(N + K + T + R + Q + S + C + y_c + Delta)
SHOWN = [each for each in EQUATIONS.values() if each.shown]


def read(form: str) -> sp.Expr:
    return parse(form, KNOWN)


def numpy(expr: sp.Expr) -> str:
    return NumPy({})(expr)


# --- text to expression --------------------------------------------------------------------------


def test_a_form_means_what_it_says_and_keeps_its_order() -> None:
    for form, plain in (
        ("(N*y_c - C)/(N - 1)", (N * y_c - C) / (N - 1)),
        ("-R**2/2 - exp(-Delta)", -(R**2) / 2 - sp.exp(-Delta)),
        ("2*(1 - R)/K*Q", 2 * (1 - R) * Q / K),
        ("sqrt(N - 1)/sqrt(K)", sp.sqrt(N - 1) / sp.sqrt(K)),
    ):
        held = read(form)
        assert released(held) == plain
        assert parse(numpy(held).replace("np.", ""), KNOWN) == held
    assert released(read("Sum(R**N, (N, 1, K - 1))")) == sp.Sum(R**N, (N, 1, K - 1))


@pytest.mark.parametrize("form", ["(N", "N + beta_", "N if K else R", "N // K", "'N'", "1.5*N"])
def test_what_has_no_meaning_is_refused(form: str) -> None:
    with pytest.raises(FormError):
        read(form)


def test_parts_are_replaced_by_their_value_and_the_rest_stays() -> None:
    missing = sp.Symbol("missing")
    held = replaced(read("(R + (1 - R)/K)*Q - (K - 1)*R"), {1 - R: missing, Q: S})
    assert numpy(held) == "(R + missing / K) * S - (K - 1) * R"


# --- proofs --------------------------------------------------------------------------------------


def test_a_difference_is_found() -> None:
    right = (N * y_c - C) / (N - 1)
    assert difference(read("(N*y_c - C)/(N - 1)"), right) == ""
    for wrong in ("(N*y_c - C)/N", "(N*y_c + C)/(N - 1)", "(K*y_c - C)/(N - 1)"):
        assert "differs by" in difference(read(wrong), right)
    assert "cannot be compared" in difference(read("1/(N - N)"), right)


def test_sums_and_functions_are_compared_by_their_parts() -> None:
    unknown = sp.Function("f")
    total = sp.Sum(unknown(R) * R**N, (N, 0, K - 1))
    known = letters(total)
    assert not difference(parse("Sum(R**N*f(R), (N, 0, K - 1))", known), total)
    for wrong in (
        "Sum(R**N*f(R), (N, 0, K))",
        "Sum(R**N*f(R), (N, 1, K - 1))",
        "Sum(R**N*f(R/2), (N, 0, K - 1))",
        "2*Sum(R**N*f(R), (N, 0, K - 1))",
    ):
        assert difference(parse(wrong, known), total), wrong


@pytest.mark.parametrize("each", SHOWN, ids=lambda each: each.number)
def test_what_is_shown_is_what_was_derived(each: Equation) -> None:
    assert each.form.lhs == each.statement.lhs
    assert not difference(each.form.rhs, each.statement.rhs)


def test_the_papers_equations_have_forms() -> None:
    have = {each.number for each in SHOWN}
    paper = {"10", "11", "12b", "14", "15a", "15b", "15c", "15d", "17", "18", "36", "43", "54"}
    paper |= {"56", "59a", "61", "64", "70", "70b", "71a", "71b", "73", "78a", "79", "80", "81"}
    assert paper | {"X1d", "X2b", "X3e", "X4c", "X6a", "X6b", "X8d"} <= have


@pytest.mark.parametrize("form", ["(C - N*y_c)/(N - 1)", "(N*y_c - C)/(K - 1)", "N*(y_c"])
def test_a_form_that_is_not_what_was_derived_is_refused(form: str) -> None:
    @shown(form)
    @equation("0", "Margin")
    def wrong() -> Iterator[Step]:
        yield "Derived", sp.Eq(Delta, N * y_c / (N - 1) - C / (N - 1))

    with pytest.raises((CheckFailed, FormError)):
        _ = wrong.form


def test_a_stable_form_that_is_wrong_is_refused() -> None:
    plain = (N - 1) / (N - 1 + sp.exp(Delta))
    ranges = {Delta: (-5, 5), N: (2, 9)}
    prove("expit(log(N - 1) - Delta)", plain, ranges)
    with pytest.raises(CheckFailed, match="differs by"):
        prove("expit(log(N - 1) - Delta + 1)", plain, ranges)
    with pytest.raises(CheckFailed, match="no range is given for"):
        prove("expit(log(N - 1) - Delta)", plain, {Delta: (-5, 5)})


def test_named_lines_are_part_of_what_is_proven() -> None:
    half = sp.Symbol("half")
    plain = (1 - R) ** 2 / 4
    prove("half**2", plain, lines=[(half, (1 - R) / 2)])
    with pytest.raises(CheckFailed):
        prove("half**2", plain, lines=[(half, (1 - R) / 3)])


# --- printers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ("(N*y_c - C)/(N - 1)", "(N * y_c - C) / (N - 1)"),
        ("N/(N - 1)*(K - 1)/K*(Q - S)", "N / (N - 1) * (K - 1) / K * (Q - S)"),
        ("Q*(N/(N - 1))*S", "Q * (N / (N - 1)) * S"),
        ("Q - (R - S)", "Q - (R - S)"),
        ("Q - R*(S + 1)", "Q - R * (S + 1)"),
        ("-(Q + S)*R", "-(Q + S) * R"),
        ("Q/(N*K)", "Q / (N * K)"),
        ("Q/N/K", "Q / (N * K)"),
        ("Q/(N/K)", "Q / (N / K)"),
        ("(1 - R)**2/(T - 1)", "(1 - R) ** 2 / (T - 1)"),
        ("R**(N - 1)", "R ** (N - 1)"),
        ("(R**N)**K", "(R**N) ** K"),
        ("exp(-R**2/2)", "np.exp(-R**2 / 2)"),
        ("sqrt(2*R)/2", "np.sqrt(2 * R) / 2"),
        ("1/N", "1 / N"),
        ("-1/N*Q", "-1 / N * Q"),
        ("Q*(-R)", "Q * (-R)"),
    ],
)
def test_code_keeps_the_order_and_means_the_same(form: str, code: str) -> None:
    held = read(form)
    assert numpy(held) == code
    assert not difference(parse(code.replace("np.", ""), KNOWN), held)


def test_what_sympy_computed_is_written_as_one_fraction_and_begins_with_a_plus() -> None:
    assert numpy(N * R * (K - 1) / (K * (N - 1))) == "N * R * (K - 1) / (K * (N - 1))"
    assert numpy(sp.log(N - 1) - Delta) == "np.log(N - 1) - Delta"
    assert numpy(-R / 2) == "-R / 2"
    assert numpy(sp.Rational(-3, 4) * R**2) == "-3 * R**2 / 4"
    assert numpy(1 / sp.sqrt(N)) == "1 / np.sqrt(N)"


def test_one_order_everywhere() -> None:
    form = read("Q*(N/(N - 1))*(Q - S)*R*(1 - R)**2")
    assert latex(form, held=True) == (
        r"Q \frac{N}{N - 1} \left(Q - S\right) R \left(1 - R\right)^{2}"
    )
    lines = text(form, held=True).splitlines()
    assert [line.strip() for line in lines] == [
        "N                    2",
        "Q⋅─────⋅(Q - S)⋅R⋅(1 - R)",
        "N - 1",
    ]
    assert JavaScript({})(form) == "Q * (N / (N - 1)) * (Q - S) * R * (1 - R) ** 2"


def test_javascript_brackets_a_power_behind_a_minus() -> None:
    assert JavaScript({})(read("exp(-R**2/2)")) == "Math.exp(-(R**2 / 2))"
    assert JavaScript({})(read("Q - R**2")) == "Q - R**2"


def test_names_in_latex_are_readable_in_a_terminal() -> None:
    assert text(sp.Symbol(r"\dot{R}")) == "dR/dt"
    assert text(sp.Symbol(r"\sigma_W^2")) == "σ_W²"
    assert text(sp.IndexedBase(r"\Delta W")[N, K]) == "ΔW[N, K]"


def test_a_long_line_is_broken_between_its_terms() -> None:
    terms = [f"Q*R**{power}*(K - {power})*(N - {power})" for power in range(2, 8)]
    source = function(Written("f", "Says.", (), (R, Q, N, K), read(" + ".join(terms))))
    assert source.count("\n        + Q * R**") == 5


def test_values_that_are_constant_come_in_the_shape_of_the_argument() -> None:
    assert numpy(everywhere(Q, R)) == "Q * np.ones_like(R, dtype=float)"
    assert numpy(everywhere(0, R)) == "np.zeros_like(R, dtype=float)[()]"
    assert JavaScript({})(everywhere(Q, R)) == "Q"


def test_cases_and_what_no_language_knows() -> None:
    piecewise = sp.Piecewise((R, R < 1), (sp.Max(R, Q), True))
    assert numpy(piecewise) == "np.where(R < 1, R, np.maximum(Q, R))"
    assert JavaScript({})(select(R > 1, R**2, 1 / N)) == "R > 1 ? R**2 : 1 / N"
    assert numpy(expit(R)) == "expit(R)"
    for write in (NumPy({}), JavaScript({})):
        with pytest.raises(CodeError, match="is known for zeta"):
            write(sp.zeta(R))
