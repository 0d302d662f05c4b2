"""The dataset of a sweep: resumed, widened, interrupted, and never mixed with another."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from meanfield.sweep import __main__ as sweep
from meanfield.sweep import grid, points
from meanfield.sweep import store as stores
from meanfield.sweep.store import Block, Store, Variable, block_shape
from tests.meanfield.sweep.small_grid import SMALL, swept, written

xarray = pytest.importorskip("xarray")


def test_arrays_say_what_they_are(tmp_path: Path) -> None:
    data = swept(tmp_path)
    assert data.attrs["theory"] == "linear"
    assert data.attrs["fixed"] == '{"K": 7, "rope_theta": 30.0}'
    for array in (data.onset_epoch, data.R, data.rollout_accuracy):
        assert array.attrs["units"] in ("epoch", "1")
        assert array.attrs["equations"].startswith("(")
    assert all(coordinate.attrs["long_name"] for coordinate in data.coords.values())


def test_an_interrupted_sweep_goes_on_and_computes_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(points, "POINTS", 4)
    whole = swept(tmp_path)
    seen: list[Block] = []
    solve = points.solve

    def failing(wanted: Any, block: Block, missing: Any) -> Any:
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(block)
        return solve(wanted, block, missing)

    monkeypatch.setattr(points, "solve", failing)
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

    monkeypatch.setattr(points, "solve", counting)
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
    solve = points.solve

    def counting(wanted: Any, block: Block, missing: Any) -> Any:
        nonlocal computed
        computed += int(missing.sum())
        return solve(wanted, block, missing)

    monkeypatch.setattr(points, "solve", counting)
    data = swept(tmp_path, "--resume", text=more)
    assert computed == 4 * 4 * 3 - 3 * 2 * 3
    anew = swept(tmp_path, text=more, out="anew.zarr")
    xarray.testing.assert_allclose(data, anew, rtol=1e-12)


def test_a_sweep_that_knew_fewer_variables_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(points, "JUDGED", ())
        before = swept(tmp_path)
    assert "trusted" not in before
    more = SMALL.replace("T = [3, 5]", "T = [2, 3, 5]")
    for text in (SMALL, more):
        data = swept(tmp_path, "--resume", text=text)
        anew = swept(tmp_path, text=text, out=f"{len(text)}.zarr")
        xarray.testing.assert_allclose(data, anew, rtol=1e-12)
    assert data.onset_epoch.sel(T=[3, 5]).identical(before.onset_epoch)


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
        if renamed == killed_at:
            raise KeyboardInterrupt
        replace(*arguments)

    with monkeypatch.context() as until:
        until.setattr(stores, "os", SimpleNamespace(replace=killed))
        arguments = [str(written(tmp_path, more)), "--out", str(tmp_path / "sweep.zarr")]
        assert sweep.main([*arguments, "--workers", "0", "--resume"]) == 130
    assert renamed == killed_at
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


def test_blocks_fill_the_grid_once() -> None:
    assert block_shape((100, 50, 20), 2**14) == (16, 50, 20)
    assert block_shape((100, 50, 20), 100) == (1, 5, 20)
    assert block_shape((3, 2), 1) == (1, 1)
    block = Block((2, 1), (4, 4))
    assert (block.shape, block.region) == ((2, 3), (slice(2, 4), slice(1, 4)))
    first, second = block.indices()
    assert (first.tolist(), second.tolist()) == ([[2] * 3, [3] * 3], [[1, 2, 3]] * 2)


def test_a_variable_is_what_the_quantity_says() -> None:
    found = Variable.of("R", ("epoch",))
    assert found == Variable(("epoch",), "attention on the right action", "1", "(8), (15a)")


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
        stores.require_libraries()


def test_a_point_is_there_once_its_status_says_so(tmp_path: Path) -> None:
    """The status is written last, so that what is half written is computed again."""
    swept(tmp_path)
    store = Store(tmp_path / "sweep.zarr", grid.read(tmp_path / "grid.toml"))
    assert store.counts() == (0, 0)
    order: list[str] = []

    class Arrays(dict):  # type: ignore[type-arg]
        def __getitem__(self, name: str) -> Any:
            order.append(name)
            return super().__getitem__(name)

    block = Block((0, 0, 0), (1, 1, 1))
    found = {"status": np.array([1]), "onset_epoch": np.array([7.0])}
    store.arrays = Arrays({name: np.zeros((3, 2, 3)) for name in found})
    store.write(block, np.array([[[True]]]), found)
    assert order == ["onset_epoch", "status"]
    assert dict.__getitem__(store.arrays, "onset_epoch")[0, 0, 0] == 7.0


def chunks(path: Path) -> list[Path]:
    """Return the files of a dataset's results, each one chunk."""
    names = ("onset_epoch", "R", "Q", "S", "next_token_accuracy", "rollout_accuracy", "status")
    return [file for name in names for file in (path / name).iterdir() if file.name[0] != "."]


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_chunk_is_noticed_and_computed_again(damage: str, tmp_path: Path) -> None:
    whole = swept(tmp_path)
    path = tmp_path / "sweep.zarr"
    for file in chunks(path):
        kept = file.read_bytes()
        if damage == "flipped":
            middle = len(kept) // 2
            file.write_bytes(kept[:middle] + bytes([kept[middle] ^ 1]) + kept[middle + 1 :])
            with pytest.raises((RuntimeError, ValueError)):
                xarray.open_zarr(path).load()
        elif damage == "cut":
            file.write_bytes(kept[: len(kept) // 2])
        else:
            file.unlink()
        assert swept(tmp_path, "--resume").identical(whole), file
    assert len(chunks(path)) == 7


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
    for folder in own:
        folder.mkdir()
        (folder / "notes.txt").write_text("mine", encoding="utf-8")
    swept(tmp_path)
    swept(tmp_path, "--resume", text=SMALL.replace("T = [3, 5]", "T = [3, 4, 5]"))
    assert all((folder / "notes.txt").read_text(encoding="utf-8") == "mine" for folder in own)
    in_the_way = tmp_path / ".sweep.zarr.part"
    in_the_way.mkdir()
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

    monkeypatch.setattr(stores, "os", SimpleNamespace(replace=full))
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
