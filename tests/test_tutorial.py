"""The tutorial is run as it stands, from its first block to its last, in one folder."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.documents import ROOT, fenced, run

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")


def test_the_tutorial_works(tmp_path: Path) -> None:
    pytest.importorskip("xarray")
    printed = ""
    for kind, block in fenced(TUTORIAL):
        language, *name = kind.split()
        if language == "toml":
            (tmp_path / name[0]).write_text(block, encoding="utf-8")
        elif language == "text":
            assert block in printed
        elif language == "python":
            result = run("-c", "import matplotlib; matplotlib.use('agg')\n" + block,
                         folder=tmp_path)  # fmt: skip
            assert result.returncode == 0, result.stderr
            printed = result.stdout
        else:
            assert language == "bash"
            for command in block.splitlines():
                python, *arguments = shlex.split(command)
                assert python == "python"
                result = run(*arguments, folder=tmp_path)
                assert result.returncode == 0, result.stderr
                printed = result.stdout
                if "meanfield.predict" in command:
                    assert "attention onset  epoch 320.7" in printed
                if "meanfield.sweep" in command:
                    assert "3,360 parameter sets" in printed
    assert (tmp_path / "phase_diagram.png").stat().st_size > 10_000
