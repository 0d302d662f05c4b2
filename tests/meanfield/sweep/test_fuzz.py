"""Damaged grid files and datasets: one sentence or the right numbers, and nothing lost beside."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meanfield.sweep import __main__ as sweep
from meanfield.sweep import grid, points
from tests.meanfield.sweep.kills import Killer, seconds
from tests.meanfield.sweep.mutations import damage, mutated_grid
from tests.meanfield.sweep.small_grid import SMALL, swept

xarray = pytest.importorskip("xarray")

OWN = ("q.zarr.old/notes.txt", "q.zarr.part/notes.txt", "notes.txt")  # files of the user's
MOST = 100  # points of a mutated grid that are solved


def few_or_many(few: int, many: int) -> Any:
    """Return the mark of a test of few seeds, and of many in the slow tests."""
    slow = pytest.param(range(few, few + many), marks=pytest.mark.slow)
    return pytest.mark.parametrize("seeds", [range(few), slow], ids=["few", "many"])


def prepare(folder: Path) -> Path:
    """Put the user's own files in a folder."""
    for name in OWN:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine", encoding="utf-8")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def outcome(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> bool:
    """Run the sweep here; return whether it was done, else it was refused in one plain sentence."""
    capsys.readouterr()
    code = None
    try:
        code = sweep.main([*arguments, "--workers", "0"])
    except SystemExit as refused:
        code = refused.code
    said = capsys.readouterr().err
    assert code in (0, 2)
    if code == 2:
        assert (said.count("\n"), said[-1]) == (1, "\n")
        assert said[:-1].isprintable()
        assert len(said) < 600
    return code == 0


@few_or_many(40, 1000)
def test_mutated_grids(seeds: range, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = 0
    for seed in seeds:
        folder = prepare(tmp_path / str(seed))
        path = folder / "grid.toml"
        path.write_bytes(mutated_grid(SMALL, np.random.default_rng([1, seed])))
        before, out = content(folder), folder / "q.zarr"
        if not outcome([str(path), "--out", str(out), "--dry-run"], capsys):
            assert content(folder) == before
        elif (found := grid.read(path)).size <= MOST:
            assert outcome([str(path), "--out", str(out)], capsys)
            data = xarray.open_zarr(out)
            assert data.onset_epoch.shape == found.shape
            assert all(np.array_equal(data[name], values) for name, values in found.axes.items())
            assert content(folder).items() >= before.items()
            done += 1
        shutil.rmtree(folder)
    assert done


@few_or_many(30, 1000)
def test_damaged_datasets(
    seeds: range,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(points, "POINTS", 4)
    whole = swept(prepare(tmp_path / "whole"), out="q.zarr")
    ends = {True: 0, False: 0}
    for seed in seeds:
        folder = tmp_path / str(seed)
        shutil.copytree(tmp_path / "whole", folder)
        out = folder / "q.zarr"
        kind = damage(out, np.random.default_rng([2, seed]))
        done = outcome([str(folder / "grid.toml"), "--out", str(out), "--resume"], capsys)
        ends[done] += 1
        if done:
            assert xarray.open_zarr(out).load().identical(whole), (seed, kind)
        assert {each.name for each in folder.iterdir()} == {
            "q.zarr", "q.zarr.old", "q.zarr.part", "notes.txt", "grid.toml"
        }  # fmt: skip
        assert all((folder / name).read_text(encoding="utf-8") == "mine" for name in OWN)
        shutil.rmtree(folder)
    assert all(ends.values())


def values_of(path: Path) -> list[Path]:
    """Return the chunks of a dataset's results, each a file."""
    return sorted(each for each in path.glob("*/*") if each.name[0] != "." and each.name != "0")


@few_or_many(20, 300)
def test_who_reads_a_damaged_chunk_is_told(
    seeds: range, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By xarray alone: a chunk whose bytes changed, that is cut, or that is another array's."""
    monkeypatch.setattr(points, "POINTS", 4)
    swept(tmp_path, out="q.zarr")
    chunks = values_of(tmp_path / "q.zarr")
    for seed in seeds:
        rng = np.random.default_rng([3, seed])
        one, other = (chunks[each] for each in rng.choice(len(chunks), 2, replace=False))
        kept = one.read_bytes()
        at = int(rng.integers(16, len(kept)))  # behind the header of the compressor
        if seed % 3 == 0:
            one.write_bytes(
                kept[:at] + bytes([kept[at] ^ 1 << int(rng.integers(8))]) + kept[at + 1 :]
            )
        elif seed % 3 == 1:
            one.write_bytes(kept[:at])
        elif one.parent != other.parent:
            one.write_bytes(other.read_bytes())
        if one.read_bytes() != kept:
            with pytest.raises((RuntimeError, ValueError)):
                xarray.open_zarr(tmp_path / "q.zarr").load()
        one.write_bytes(kept)


FEW_AND_SLOW = (
    'theory = "linear+fluctuations"\nepochs = [50]\n[grid]\nN = [4, 5, 6]\nT = [3, 4, 5]\n'
)


@pytest.mark.slow
def test_killed_at_any_moment_the_sweep_ends_the_same(tmp_path: Path) -> None:
    """Begun, widened and gone on with, each killed in between."""
    more = FEW_AND_SLOW.replace("[3, 4, 5]", "[3, 4, 5, 6]")
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "grid.toml").write_text(more, encoding="utf-8")
    command = ["-m", "meanfield.sweep", "grid.toml", "--out", "q.zarr", "--workers", "0"]
    within = seconds(command, tmp_path / "whole")
    whole = xarray.open_zarr(tmp_path / "whole" / "q.zarr").load()
    killer = Killer(within)
    for seed in range(40):
        folder = prepare(tmp_path / str(seed))
        (folder / "grid.toml").write_text(FEW_AND_SLOW, encoding="utf-8")
        killer.start([*command, "--resume"], folder)
        (folder / "grid.toml").write_text(more, encoding="utf-8")
        killer.start([*command, "--resume"], folder)
        seconds([*command, "--resume"], folder)
        assert xarray.open_zarr(folder / "q.zarr").load().identical(whole), seed
        assert {each.name for each in folder.iterdir()} == {
            "q.zarr", "q.zarr.old", "q.zarr.part", "notes.txt", "grid.toml"
        }  # fmt: skip
        assert not [each for each in folder.rglob("*") if "partial" in each.name]
        if killer.kills >= 20:
            return
    raise AssertionError(f"only {killer.kills} kills came in time")
