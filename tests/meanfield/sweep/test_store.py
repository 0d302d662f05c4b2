"""The dataset of a sweep: interrupted, gone on with, and a damaged value noticed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meanfield.sweep import __main__ as sweep
from meanfield.sweep import grid, points
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
    there = sum(int(done.sum()) for done, _ in half.results())
    assert 0 < there < half.grid.size

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


def test_a_point_is_there_once_its_status_says_so(tmp_path: Path) -> None:
    """The status is written last, so that what is half written is computed again."""
    swept(tmp_path)
    store = Store(tmp_path / "sweep.zarr", grid.read(tmp_path / "grid.toml"))
    assert not list(store.unfinished())
    order: list[str] = []

    class Arrays(dict):  # type: ignore[type-arg]
        def __getitem__(self, name: str) -> Any:
            order.append(name)
            return super().__getitem__(name)

    block = Block((0, 0, 0), (1, 1, 1))
    found = {"status": np.array([1]), "onset_epoch": np.array([7.0])}
    store.arrays = Arrays({name: np.zeros((3, 2, 3)) for name in (*found, "checksum")})
    store.write(block, np.array([[[True]]]), found)
    assert order[-3:] == ["onset_epoch", "checksum", "status"]
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
