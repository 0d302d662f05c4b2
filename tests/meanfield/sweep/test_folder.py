"""The folder of a sweep: widened, interrupted, refused, never mixed with another."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from meanfield.sweep import __main__ as sweep
from meanfield.sweep import folder, points
from meanfield.sweep.store import Block
from tests.meanfield.sweep.small_grid import SMALL, swept, written

xarray = pytest.importorskip("xarray")


def test_more_values_on_an_axis_keep_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept(tmp_path)
    more = SMALL.replace("T = [3, 5]", "T = [2, 3, 4, 5]").replace("to = 8", "to = 10")
    computed = 0
    solve = points.solve

    def counting(wanted: Any, block: Block, missing: Any) -> Any:
        nonlocal computed
        computed += int(missing.sum())
        return solve(wanted, block, missing)

    monkeypatch.setattr(points, "solve", counting)
    data = swept(tmp_path, "--resume", text=more)
    assert computed == 4 * 4 * 3 - 3 * 2 * 3
    anew = swept(tmp_path, text=more, out="anew.zarr")
    xarray.testing.assert_allclose(
        *(each.drop_vars("checksum") for each in (data, anew)), rtol=1e-12
    )


@pytest.mark.parametrize("killed_at", [1, 2])
def test_killed_while_more_values_come_in_nothing_is_lost(
    killed_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept(tmp_path)
    more = SMALL.replace("T = [3, 5]", "T = [2, 3, 5]")
    computed, renamed = 0, 0
    solve, replace = points.solve, os.replace

    def counting(wanted: Any, block: Block, missing: Any) -> Any:
        nonlocal computed
        computed += int(missing.sum())
        return solve(wanted, block, missing)

    def killed(*arguments: Any) -> None:
        nonlocal renamed
        renamed += 1
        if renamed >= killed_at:  # for good, so that nothing is put back either
            raise KeyboardInterrupt
        replace(*arguments)

    with monkeypatch.context() as until:
        until.setattr(folder, "os", SimpleNamespace(**{**vars(os), "replace": killed}))
        arguments = [str(written(tmp_path, more)), "--out", str(tmp_path / "sweep.zarr")]
        assert sweep.main([*arguments, "--workers", "0", "--resume"]) == 130
    assert renamed >= killed_at
    monkeypatch.setattr(points, "solve", counting)
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


def test_results_are_a_zarr_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        sweep.main([str(written(tmp_path)), "--out", str(tmp_path / "out.nc"), "--workers", "0"])
    assert "name one that ends in .zarr" in capsys.readouterr().err


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from meanfield.errors import FileError

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("zarr", "dask") else find(name)
    )
    with pytest.raises(
        FileError, match=r'a sweep needs zarr, dask: pip install --editable "\.\[sw'
    ):
        folder.require_libraries()


def test_fewer_values_on_an_axis_take_nothing_away(tmp_path: Path) -> None:
    whole = swept(tmp_path)
    fewer = SMALL.replace("T = [3, 5]", "T = [5, 6]")
    data = swept(tmp_path, "--resume", text=fewer)
    assert data["T"].values.tolist() == [3, 5, 6]
    assert data.sel(T=[3, 5]).identical(whole)
    assert bool((data.status == 1).all())


def test_folders_of_the_users_own_are_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [tmp_path / name for name in ("sweep.zarr.old", "sweep.zarr.part")]
    for each in own:
        each.mkdir()
        (each / "notes.txt").write_text("mine", encoding="utf-8")
    swept(tmp_path)
    swept(tmp_path, "--resume", text=SMALL.replace("T = [3, 5]", "T = [3, 4, 5]"))
    assert all((each / "notes.txt").read_text(encoding="utf-8") == "mine" for each in own)
    in_the_way = tmp_path / ".sweep.zarr.part"
    in_the_way.mkdir()
    (in_the_way / "notes.txt").touch()
    arguments = [str(written(tmp_path)), "--out", str(tmp_path / "sweep.zarr"), "--workers", "0"]
    with pytest.raises(SystemExit, match="2"):
        sweep.main([*arguments, "--overwrite"])
    assert "is in the way" in capsys.readouterr().err
    assert in_the_way.is_dir()
    assert bool((xarray.open_zarr(tmp_path / "sweep.zarr").status == 1).all())


def test_a_full_disk_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    swept(tmp_path)
    more = str(written(tmp_path, SMALL.replace("T = [3, 5]", "T = [3, 5, 6]")))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "os", SimpleNamespace(**{**vars(os), "replace": full}))
    with pytest.raises(SystemExit, match="2"):
        sweep.main([more, "--out", str(tmp_path / "sweep.zarr"), "--workers", "0", "--resume"])
    assert "cannot be written: No space left on device" in capsys.readouterr().err


def test_going_on_and_starting_again_exclude_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(written(tmp_path)), "--out", str(tmp_path / "sweep.zarr"), "--workers", "0"]
    with pytest.raises(SystemExit, match="2"):
        sweep.main([*arguments, "--resume", "--overwrite"])
    assert "give one of them" in capsys.readouterr().err
    assert not (tmp_path / "sweep.zarr").exists()


def refused(capsys: pytest.CaptureFixture[str], grid: Path, out: Path, *options: str) -> str:
    """Return what the sweep says when it is refused."""
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        sweep.main([str(grid), "--out", str(out), "--workers", "0", *options])
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_what_is_no_sweep_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, grid = tmp_path / "q.zarr", written(tmp_path)
    path.write_text("a file", encoding="utf-8")
    assert "is no sweep of this project" in refused(capsys, grid, path, "--overwrite")
    assert path.read_text(encoding="utf-8") == "a file"
    assert "is no folder" in refused(capsys, grid, path / "q.zarr")
    foreign = tmp_path / "foreign.zarr"
    xarray.Dataset({"status": ("N", [1])}).to_zarr(foreign, zarr_format=3, consolidated=False)
    for option in ("--resume", "--overwrite"):
        assert "is no sweep of this project" in refused(capsys, grid, foreign, option)
    loop = tmp_path / "loop.zarr"
    loop.symlink_to(loop)
    refused(capsys, grid, loop)
    assert {each.name for each in tmp_path.iterdir()} == {
        "q.zarr", "foreign.zarr", "loop.zarr", "grid.toml"
    }  # fmt: skip


def test_behind_a_link_the_dataset_stands_where_the_link_leads(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    link = tmp_path / "sweep.zarr"
    link.symlink_to(tmp_path / "scratch" / "data.zarr")
    swept(tmp_path)
    data = swept(tmp_path, "--resume", text=SMALL.replace("T = [3, 5]", "T = [3, 4, 5]"))
    assert link.is_symlink()
    assert data.identical(xarray.open_zarr(tmp_path / "scratch" / "data.zarr").load())
    assert [each.name for each in (tmp_path / "scratch").iterdir()] == ["data.zarr"]


def test_files_that_their_owner_put_into_a_dataset_stay(tmp_path: Path) -> None:
    swept(tmp_path)
    notes = tmp_path / "sweep.zarr" / "notes.txt"
    notes.write_text("mine", encoding="utf-8")
    swept(tmp_path, "--resume", text=SMALL.replace("T = [3, 5]", "T = [3, 4, 5]"))
    swept(tmp_path, "--overwrite")
    assert notes.read_text(encoding="utf-8") == "mine"


def test_a_folder_that_vanishes_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    solve, path = points.solve, tmp_path / "q.zarr"

    def removing(*arguments: Any) -> Any:
        shutil.rmtree(path)
        return solve(*arguments)

    monkeypatch.setattr(points, "solve", removing)
    assert "has been moved or removed" in refused(capsys, written(tmp_path), path)
    assert not path.exists()


def test_a_grid_beyond_the_disk_is_refused_with_what_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    many = "[grid]\nN = { from = 5, to = 5000 }\nT = { from = 2, to = 10001 }\n[fixed]\nK = 4\n"
    said = refused(capsys, written(tmp_path, many), tmp_path / "q.zarr")
    assert "would take up to 2.4 GB in " in said
    assert "its disk has 1.0 GB left: make the grid smaller" in said
    assert not (tmp_path / "q.zarr").exists()
