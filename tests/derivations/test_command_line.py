"""``python -m derivations``: table, single equations, report, wrong input."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from derivations import __main__ as command
from derivations.registry import CHECKS, EQUATIONS, Outcome, run
from derivations.report import mathml, page
from derivations.statement import Check, CheckFailed, Kind


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """Outcomes as after a run in which everything holds, without making it again."""
    return [Outcome(check, None if check.run is None else True, "0", 0.0) for check in CHECKS]


def test_table_has_a_line_for_every_equation(outcomes: list[Outcome]) -> None:
    table = command.table(outcomes)
    for number, equation in EQUATIONS.items():
        assert re.search(rf"^\({number}\)\s+{re.escape(equation.title)}", table, flags=re.M)
    assert "FAILED" not in table
    assert "UNCHECKED" not in table


def test_summary_counts(outcomes: list[Outcome]) -> None:
    summary = command.summary(outcomes)
    assert summary.startswith(f"{len(EQUATIONS)} equations: ")
    made = sum(check.run is not None for check in CHECKS)
    assert f"{made} of {made} hold here" in summary


def test_single_equations_are_shown_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["11", "59", "(71)"]) == 0
    shown = capsys.readouterr().out
    for number in ("11", "59a", "59b", "71"):
        assert f"({number})  {EQUATIONS[number].title}" in shown
    assert shown.count("holds  ") >= 4
    assert "FAILS" not in shown


def test_an_equation_is_shown_in_the_papers_form(
    outcomes: list[Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["12b"]) == 0
    assert "N⋅y_c - C" in capsys.readouterr().out
    html = page(outcomes)
    for number in ("12b", "15a", "18", "X3e"):
        assert mathml(EQUATIONS[number].form, held=True) in html
        assert mathml(EQUATIONS[number].statement) not in html


def test_unknown_number_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["11", "92"]) == 2
    caught = capsys.readouterr()
    assert caught.out == ""
    assert caught.err == "there is no equation (92): (1) to (91), (X0) to (X9)\n"


def test_report_into_a_missing_folder_is_refused_before_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "make", lambda _: pytest.fail("worked in vain"))
    assert command.main(["--report", str(tmp_path / "missing" / "report.html")]) == 2
    assert "its folder does not exist" in capsys.readouterr().err


def test_a_failed_check_is_told_and_exits_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> str:
        raise CheckFailed("3 instead of 4")

    failing = run(Check((EQUATIONS["11"],), Kind.IDENTITY, "made to fail", fails))
    monkeypatch.setattr(command, "make", lambda _: [failing])
    assert command.main([]) == 1
    caught = capsys.readouterr()
    assert re.search(r"^\(11\).*FAILED$", caught.out, flags=re.M)
    assert "FAILED (11) identity: 3 instead of 4" in caught.err


def test_report_is_one_page_without_network(outcomes: list[Outcome]) -> None:
    html = page(outcomes)
    assert not re.findall(r"(?:src|href)=[\"'](?!#)", html)
    targets = set(re.findall(r'href="#([^"]+)"', html))
    anchors = re.findall(r' id="([^"]+)"', html)
    assert targets <= set(anchors)
    assert len(anchors) == len(set(anchors))
    formulas = re.findall(r"<math .*?</math>", html, flags=re.S)
    assert len(formulas) > len(EQUATIONS)
    for formula in formulas:
        tree = ElementTree.fromstring(formula)
        text = "".join(tree.itertext())
        assert "\\" not in text, f"LaTeX is left in {text}"
