"""Sweeps: the grid file, the dataset, resuming, and the same numbers however they are computed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from meanfield import Parameters, predict
from meanfield.errors import ParameterError
from meanfield.sweep import __main__ as sweep
from meanfield.sweep import grid
from meanfield.sweep import points as grid_theory
from meanfield.sweep import store as grid_store
from meanfield.sweep.store import Block, Store

xarray = pytest.importorskip("xarray")

SMALL = """
epochs = [50, 100]
[fixed]
K = 7
rope_theta = 30.0
[grid]
N = { from = 4, to = 8, step = 2 }
T = [3, 5]
lr = { from = 1.0, to = 4.0, count = 3, spacing = "log" }
"""


def written(folder: Path, text: str = SMALL) -> Path:
    path = folder / "grid.toml"
    path.write_text(text, encoding="utf-8")
    return path


def swept(folder: Path, *options: str, text: str = SMALL, out: str = "sweep.zarr") -> Any:
    """The dataset of a sweep in this process."""
    path = folder / out
    arguments = [str(written(folder, text)), "--out", str(path), "--workers", "0", *options]
    assert sweep.main(arguments) == 0
    return xarray.open_zarr(path).load()


@pytest.mark.parametrize("closure", ["linear", "quadratic", "spectral"])
def test_every_point_is_what_predict_says(closure: str, tmp_path: Path) -> None:
    data = swept(tmp_path, text=f'closure = "{closure}"\n{SMALL}')
    assert dict(data.sizes) == {"N": 3, "T": 2, "lr": 3, "epoch": 2}
    late = 0
    for N, T, lr in ((4, 3, 4.0), (8, 5, 2.0), (8, 5, 1.0)):
        p = Parameters(N=N, T=T, K=7, lr=lr, rope_theta=30.0)
        point = data.sel(N=N, T=T).sel(lr=lr, method="nearest")
        run = predict(p, closure=closure, epochs=[50, 100])
        whole = predict(p, closure=closure)
        assert float(point.onset_epoch) == pytest.approx(whole.onset_epoch, rel=1e-8)
        late += whole.onset_epoch > 100
        for name in grid_theory.CURVES:
            assert point[name].values == pytest.approx(getattr(run, name), abs=1e-8), name
    assert np.all(data.status == grid_store.DONE)
    assert late, "an onset beyond the epochs is one of them"


def test_arrays_say_what_they_are(tmp_path: Path) -> None:
    data = swept(tmp_path)
    assert data.attrs["closure"] == "linear"
    assert data.attrs["fixed"] == '{"K": 7, "rope_theta": 30.0}'
    for array in (data.onset_epoch, data.R, data.rollout_accuracy):
        assert array.attrs["units"] in ("epoch", "1")
        assert array.attrs["equations"].startswith("(")
    assert all(coordinate.attrs["long_name"] for coordinate in data.coords.values())


def test_a_point_that_cannot_be_predicted_is_marked(tmp_path: Path) -> None:
    text = 'closure = "spectral"\n[fixed]\nN = 5\n[grid]\nT = [40]\nd_head = [2, 64]\n'
    data = swept(tmp_path, text=text)
    status = data.status.sel(T=40)
    assert int(status.sel(d_head=64)) == grid_store.DONE
    with pytest.raises(ParameterError):
        predict(Parameters(N=5, T=40, d_head=2))
    assert int(status.sel(d_head=2)) == grid_store.IMPOSSIBLE
    assert np.isnan(data.onset_epoch.sel(T=40, d_head=2))


def test_an_interrupted_sweep_goes_on_and_computes_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grid_theory, "POINTS", 4)
    whole = swept(tmp_path)
    seen: list[Block] = []
    solve = grid_theory.solve

    def failing(wanted: Any, block: Block, missing: Any) -> Any:
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(block)
        return solve(wanted, block, missing)

    monkeypatch.setattr(grid_theory, "solve", failing)
    path = tmp_path / "again.zarr"
    arguments = [str(written(tmp_path)), "--out", str(path), "--workers", "0"]
    assert sweep.main(arguments) == 130
    assert "--resume goes on" in capsys.readouterr().err
    half = Store(path, grid.read(tmp_path / "grid.toml"))
    assert 0 < half.counts()[0] < half.grid.size

    rest: list[Block] = []

    def counting(wanted: Any, block: Block, missing: Any) -> Any:
        rest.append(block)
        return solve(wanted, block, missing)

    monkeypatch.setattr(grid_theory, "solve", counting)
    shutil.copytree(path, tmp_path / "more.zarr")
    assert sweep.main([*arguments, "--resume"]) == 0
    assert not set(seen) & set(rest)
    assert xarray.open_zarr(path).load().identical(whole)
    assert sweep.main([*arguments, "--resume"]) == 0
    assert len(seen) + len(rest) == len(set(seen) | set(rest))

    more = SMALL.replace("T = [3, 5]", "T = [2, 3, 5]")  # of the half, with more values
    data = swept(tmp_path, "--resume", text=more, out="more.zarr")
    xarray.testing.assert_allclose(data, swept(tmp_path, text=more, out="new.zarr"), rtol=1e-12)


def test_more_values_on_an_axis_keep_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept(tmp_path)
    more = SMALL.replace("T = [3, 5]", "T = [2, 3, 4, 5]").replace("to = 8", "to = 10")
    computed = 0
    solve = grid_theory.solve

    def counting(wanted: Any, block: Block, missing: Any) -> Any:
        nonlocal computed
        computed += int(missing.sum())
        return solve(wanted, block, missing)

    monkeypatch.setattr(grid_theory, "solve", counting)
    data = swept(tmp_path, "--resume", text=more)
    assert computed == 4 * 4 * 3 - 3 * 2 * 3
    anew = swept(tmp_path, text=more, out="anew.zarr")
    xarray.testing.assert_allclose(data, anew, rtol=1e-12)


@pytest.mark.parametrize("killed_at", [1, 2])
def test_killed_while_more_values_come_in_nothing_is_lost(
    killed_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept(tmp_path)
    more = SMALL.replace("T = [3, 5]", "T = [2, 3, 5]")
    computed, renamed = 0, 0
    solve, replace = grid_theory.solve, os.replace

    def counting(wanted: Any, block: Block, missing: Any) -> Any:
        nonlocal computed
        computed += int(missing.sum())
        return solve(wanted, block, missing)

    def killed(*arguments: Any) -> None:
        nonlocal renamed
        renamed += 1
        if renamed == killed_at:
            raise KeyboardInterrupt
        replace(*arguments)

    with monkeypatch.context() as until:
        until.setattr(grid_store, "os", SimpleNamespace(replace=killed))
        arguments = [str(written(tmp_path, more)), "--out", str(tmp_path / "sweep.zarr")]
        assert sweep.main([*arguments, "--workers", "0", "--resume"]) == 130
    assert renamed == killed_at
    monkeypatch.setattr(grid_theory, "solve", counting)
    data = swept(tmp_path, "--resume", text=more)
    assert computed == 3 * 3
    assert bool((data.status == 1).all())
    assert not list(tmp_path.glob("*.old")) + list(tmp_path.glob("*.part"))


def test_a_grid_of_other_values_is_not_mixed_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swept(tmp_path)
    other = str(written(tmp_path, SMALL.replace("30.0", "40.0")))
    out = str(tmp_path / "sweep.zarr")
    for options, told in (
        ([], "exists: give --resume"),
        (["--resume"], "other fixed values or dimensions"),
    ):
        with pytest.raises(SystemExit, match="2"):
            sweep.main([other, "--out", out, "--workers", "0", *options])
        assert told in capsys.readouterr().err
    foreign = tmp_path / "foreign.zarr"
    foreign.mkdir()
    with pytest.raises(SystemExit, match="2"):
        sweep.main([other, "--out", str(foreign), "--overwrite", "--workers", "0"])
    assert "is no sweep of this project" in capsys.readouterr().err
    assert foreign.is_dir()


def test_a_dry_run_says_how_many_and_how_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sweep.zarr"
    assert sweep.main([str(written(tmp_path)), "--out", str(out), "--dry-run"]) == 0
    assert "18 parameter sets (3 N x 2 T x 3 lr), closure linear: about" in capsys.readouterr().out
    assert not out.exists()


GOOD = "[fixed]\nT = 4\n[grid]\nN = [5, 6]\n"
MISTAKES = {
    "[grid]\nN = [5": "is not TOML",
    "[fixed]\nT = 4\n": "needs a table [grid]",
    "[grid]\nN = [5]\n": "T must be given",
    GOOD + "M = [1]\n": "'M' is no parameter",
    GOOD + "T = [4]\n": "T cannot be in [fixed] and in [grid] at once",
    GOOD + 'rope_spacing = ["power"]\n': "rope_spacing cannot be a dimension",
    GOOD + "K = 7\n": "must be a list or a range",
    GOOD + "K = [7.5]\n": "K must be integers, not 7.5",
    GOOD + "K = [7, 7]\n": "must ascend",
    GOOD + "K = [7, 121]\n": "K must be at most N! = 120",
    GOOD + "d_head = [3, 4]\n": "d_head must be even",
    GOOD + "lr = [-1.0, 1.0]\n": "lr must be greater than 0",
    GOOD + "lr = { from = 1 }\n": "must have from and to",
    GOOD + "lr = { from = 2, to = 1 }\n": "lr.to must be greater than lr.from",
    GOOD + "lr = { from = 1, to = 2, step = 0 }\n": "lr.step must be greater than 0",
    GOOD + "lr = { from = 1, to = 2, count = 1 }\n": "lr.count must be an integer from 2",
    GOOD + 'lr = { from = 1, to = 2, count = 3, spacing = "x" }\n': "lr.spacing must be",
    GOOD + 'lr = { from = 0, to = 2, count = 3, spacing = "log" }\n': "lr.from must be greater",
    GOOD
    + "lr = { from = 1, to = 2, count = 2_000_000 }\n": "lr.count must be an integer from 2 to",
    GOOD + "lr = { from = 1, to = 2, step = 1e-9 }\n": "leave at most 1,000,000 values",
    GOOD
    + "lr = { from = 1, to = 2, count = 99999 }\n"
    + "qk_variance = { from = 1, to = 2, count = 9999 }\n": "parameter sets at most",
    'closure = "cubic"\n' + GOOD: "closure must be",
    "epochs = [-1]\n" + GOOD: "epochs must be at least 0, not -1",
    'epochs = "late"\n' + GOOD: "epochs must be a list of numbers",
    "colour = 1\n" + GOOD: "not 'colour'",
    "fixed = 1\n[grid]\nN = [5]\n": "[fixed] must be a table",
    GOOD + "[training]\nseeds = '0:2'\n": "[training] is for python -m simulate.sweep",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_wrong_grid_is_told_in_one_sentence(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SystemExit, match="2"):
        sweep.main([str(path), "--out", str(tmp_path / "sweep.zarr"), "--workers", "0"])
    told = capsys.readouterr().err
    assert MISTAKES[text] in told
    assert told.count("\n") == 1


def test_blocks_fill_the_grid_once() -> None:
    assert grid_store.block_shape((100, 50, 20), 2**14) == (16, 50, 20)
    assert grid_store.block_shape((100, 50, 20), 100) == (1, 5, 20)
    assert grid_store.block_shape((3, 2), 1) == (1, 1)
