"""``python -m derivations``: table, single equations, files, wrong input, interruptions."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from derivations import __main__ as command
from derivations import appendix, listing
from derivations.code.mathml import mathml
from derivations.registry import CHECKS, EQUATIONS, Outcome, run
from derivations.report import page
from derivations.statement import Check, CheckFailed, Kind


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """Outcomes as after a run in which everything holds, without making it again."""
    return [Outcome(check, None if check.run is None else True, "0", 0.0) for check in CHECKS]


def test_table_has_a_line_for_every_equation(outcomes: list[Outcome]) -> None:
    table = listing.table(outcomes)
    for number, equation in EQUATIONS.items():
        assert re.search(rf"^\({number}\)\s+{re.escape(equation.title)}", table, flags=re.M)
    assert "FAILED" not in table
    assert "UNCHECKED" not in table


def test_summary_counts(outcomes: list[Outcome]) -> None:
    summary = listing.summary(outcomes)
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


REFUSED = {
    "an unknown number": (["11", "92"], "there is no equation (92): the nearest are (90), (90b)"),
    "no number": (["eleven"], "there is no equation (eleven): they are (1) to (91) and (X0) to"),
    "a report into a missing folder": (["--report", "missing/r.html"], "its folder does not exist"),
    "a report into a folder": (["11", "--report", "."], "cannot write .: it is a folder"),
    "LaTeX into a missing folder": (["--latex", "missing/a.tex"], "its folder does not exist"),
    "an unknown option": (["--tex"], "unrecognized arguments: --tex"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mistake_is_one_sentence_before_work(
    case: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "make", lambda _: pytest.fail("worked in vain"))
    monkeypatch.chdir(tmp_path)
    arguments, told = REFUSED[case]
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)
    caught = capsys.readouterr()
    assert caught.out == ""
    assert caught.err.startswith("python -m derivations: ")
    assert told in caught.err
    assert caught.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_report_of_some_equations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.html"
    assert command.main(["11", "59", "--report", str(path)]) == 0
    html = path.read_text(encoding="utf-8")
    assert re.findall(r'<article id="eq-([^"]+)"', html) == ["11", "59a", "59b"]
    assert set(re.findall(r'href="#eq-([^"]+)"', html)) == {"11", "59a", "59b"}
    assert "(11)  Mean right logit" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437"])
def test_any_encoding_will_do(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", out)
    assert command.main(["14a"]) == 0
    printed = out.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert "omega[r]" in printed
    assert "?" not in printed


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interruption_is_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    number = getattr(signal, name)
    monkeypatch.setattr(command, "make", lambda _: os.kill(os.getpid(), number))
    assert command.main([]) == 130
    assert capsys.readouterr().err == "python -m derivations: interrupted\n"


def test_a_closed_pipe_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "derivations", "11", "--latex"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as started:  # fmt: skip
        assert started.stdout is not None
        assert started.stderr is not None
        started.stdout.close()
        assert started.stderr.read() == b""
    assert started.returncode == 141


def test_latex_is_printed_or_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["14", "--latex"]) == 0
    printed = capsys.readouterr().out
    assert printed == appendix.display(EQUATIONS["14"]) + "\n"
    assert command.main(["--latex", "14"]) == 0  # a number, not a file
    assert capsys.readouterr().out == printed
    path = tmp_path / "a.tex"
    assert command.main(["14", "71", "--latex", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == appendix.document([EQUATIONS["14"], EQUATIONS["71"]])


def test_what_only_torch_checks_is_not_called_ok() -> None:
    equation = EQUATIONS["48"]
    other, autograd = sorted(equation.checks, key=lambda check: check.run is None)
    in_tests, holds = Outcome(autograd, None, "", 0.0), Outcome(other, True, "0", 0.0)
    assert listing.verdict(equation, [in_tests]) == "in tests"
    assert listing.verdict(equation, [holds]) == "ok"
    assert listing.verdict(equation, [in_tests, holds]) == "ok; autograd in tests"


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
