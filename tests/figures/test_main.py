"""python -m figures: the list, the default folders, one sentence on what is wrong."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from figures.__main__ import main, parser
from figures.catalogue import FIGURES
from figures.drawing import Drawn
from meanfield.errors import FileError


def test_the_list_names_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [figure.name for figure in FIGURES]
    assert lines[0].endswith("(Figure 1)")


def test_folders_have_defaults() -> None:
    options = parser().parse_args([])
    assert (options.out, options.data) == (Path("figures/out"), Path("runs/figures"))
    assert (options.quick, options.runs, options.workers) == (False, False, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "there is no figure 'nothing'"),
        (["--workers", "0"], "workers must be at least 1, not 0"),
        (["--workers", "many"], "must be an integer, not 'many'"),
        (
            ["loss", "theories", "--quick", "--data", "my runs"],
            "make it with python -m figures loss theories --runs --quick --data 'my runs'\n",
        ),
        (["setup_schematic", "--out", "/dev/null/out"], "/dev/null is no folder"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_one_figure_that_is_refused_leaves_no_half_of_a_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(_: object) -> Drawn:
        raise FileError("no such curve")

    good, bad = FIGURES[0], replace(FIGURES[0], name="bad", draw=refused)
    monkeypatch.setattr("figures.__main__.named", lambda names: [good, bad])
    with pytest.raises(SystemExit, match="2"):
        main(["--out", str(tmp_path / "out")])
    assert "no such curve" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_figure_without_a_training_is_drawn_from_the_package(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "figures", "setup_schematic", "--out", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    names = [Path(line).name for line in result.stdout.splitlines()]
    assert names == [f"setup_schematic.{suffix}" for suffix in ("pdf", "png", "json")]
    assert {path.name for path in tmp_path.iterdir()} == set(names)
