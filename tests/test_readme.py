"""What the README shows is run as it stands (its two set-up commands are run by .ci/run)."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.M | re.S)


# These take long: .ci/run makes all the checks, tests/derivations/test_command_line.py the report.
LONG = {"python -m derivations", "python -m derivations --report report.html"}
COMMANDS = [line for block in blocks("bash") for line in block.splitlines() if line not in LONG]


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with warnings as errors, in an empty folder."""
    command = [sys.executable, "-W", "error", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "MPLCONFIGDIR": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_works(command: str, tmp_path: Path) -> None:
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
