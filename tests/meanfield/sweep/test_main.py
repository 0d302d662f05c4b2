"""The command that sweeps: a dry run, and one sentence for a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from meanfield.sweep import __main__ as sweep
from tests.meanfield.sweep.small_grid import SMALL, swept, written

pytest.importorskip("xarray")


def test_a_dry_run_says_how_many_and_how_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sweep.zarr"
    assert sweep.main([str(written(tmp_path)), "--out", str(out), "--dry-run"]) == 0
    assert "18 parameter sets (3 N x 2 T x 3 lr), theory linear: about" in capsys.readouterr().out
    assert not out.exists()


def test_what_came_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = swept(tmp_path)
    onset = data.onset_epoch.values
    said = capsys.readouterr().out.splitlines()
    doubtful = int((data.trusted == 0).sum())
    assert doubtful
    assert said[-2] == (
        f"onset from epoch {onset.min():.6g} to {onset.max():.6g}; {doubtful} not to be trusted "
        "(see trusted, relative_delay, relative_lag)"
    )
    assert said[-1] == str(tmp_path / "sweep.zarr")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SMALL + "M = [1]\n", "grid.toml, line 10: 'M' is no parameter"),
        (SMALL + "[training]\nseeds = '0:2'\n", "[training] is for python -m simulate.sweep"),
    ],
)
def test_a_wrong_grid_is_one_sentence_and_code_2(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SystemExit, match="2"):
        sweep.main([str(path), "--out", str(tmp_path / "sweep.zarr"), "--workers", "0"])
    told = capsys.readouterr().err
    assert told.startswith("python -m meanfield.sweep: ")
    assert words in told
    assert told.count("\n") == 1
    assert not (tmp_path / "sweep.zarr").exists()
