"""What the README shows is run as it stands (its two set-up commands are run by .ci/run)."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.documents import ROOT, fenced, run

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    """The fenced blocks of one kind, in order."""
    return [block for found, block in fenced(README) if found == kind]


# These take long: .ci/run makes all the checks and the quick figures,
# tests/derivations/test_command_line.py the report.
LONG = {
    "python -m derivations",
    "python -m derivations --report report.html",
    "python -m figures --runs --quick --out figures/out/quick",
}


@pytest.mark.parametrize("block", blocks("bash"), ids=lambda block: block.split("\n")[0])
def test_commands_work(block: str, tmp_path: Path) -> None:
    """One after the other in one folder, as a reader types them."""
    for command in block.splitlines():
        if command in LONG:
            continue
        python, *arguments = shlex.split(command)
        assert python == "python"
        result = run(*arguments, folder=tmp_path)
        assert result.returncode == 0, result.stderr
        assert result.stdout
        for written in re.findall(r"\S+\.pdf", command):
            assert (tmp_path / written).stat().st_size > 1000


@pytest.mark.parametrize("program", blocks("python"))
def test_program_works(program: str, tmp_path: Path) -> None:
    result = run("-c", program, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout


def test_the_output_shown_is_what_is_printed(tmp_path: Path) -> None:
    (shown,) = blocks("text")
    printed = run("-m", "meanfield.predict", "--N", "20", "--T", "10", folder=tmp_path).stdout
    assert shown in printed


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_set_up_commands_are_the_ones_ci_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for name in ("setup", "test"):
        assert len(blocks(f"bash {name}")) == 1
        assert f"block {name}" in script


def cells(table: str) -> dict[str, list[tuple[float, float]]]:
    """Value and standard error of each cell, by the theory of its row."""
    found = {}
    for line in table.splitlines()[2:]:
        theory, *rest = re.split(r"\s{2,}", line.strip())
        found[theory] = [
            (float(value), float(error) * 10.0 ** -len(decimals))
            for value, decimals, error in re.findall(r"([-+]?\d+\.?(\d*))\((\d+)\)", " ".join(rest))
        ]
    return found


@pytest.mark.slow
def test_how_right_the_theory_is_can_be_measured_again(tmp_path: Path) -> None:
    (commands,), (shown,) = blocks("bash train"), blocks("text compare")
    for command in commands.splitlines():
        result = run(*shlex.split(command)[1:], folder=tmp_path)
        assert result.returncode == 0, result.stderr
    again = cells(result.stdout.split("\n\n")[1])
    assert again.keys() == cells(shown).keys()
    for theory, row in cells(shown).items():
        assert len(row) == 8
        for (value, error), (now, _) in zip(row, again[theory], strict=True):
            assert abs(now - value) <= max(error, 1e-12), (theory, value, now)
