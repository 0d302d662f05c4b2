"""The folder of a sweep: made, gone on with, widened or refused, and nothing beside it touched.

While a dataset is made it stands in a hidden folder of our own beside its place, with a marker in
it, so that a command that is killed loses nothing and what it leaves is cleared by the next.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import FileError, ParameterError
from meanfield.files import check_folder
from meanfield.parameters import Parameters
from meanfield.sweep.grid import MOST_VALUES, Grid
from meanfield.sweep.store import (
    CHECKSUM,
    DAMAGED,
    DONE,
    IMPOSSIBLE,
    MISSING,
    Store,
    Variables,
    block_shape,
    writable,
)

MEANINGS = "missing done impossible"
INSTALL = 'pip install --editable ".[sweep]"'
MARKER, WORDS = "of-a-sweep", "python -m meanfield.sweep left this folder; it may be removed\n"
LEAST_FILE = 4096  # bytes that a file takes on a disk, however small
UNFINISHED_CHUNK = re.compile(r".+\.[0-9a-f]{32}\.partial")  # of zarr, if it is killed
# What a coordinate is: parameters say it themselves.
COORDINATES = {each.name: each.metadata.get("says", each.name) for each in fields(Parameters)} | {
    "epoch": "epoch",
    "seed": "seed",
}


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a dataset holds at each point of a grid.

    variables: by name. points: of a block, at most. extra: coordinates behind the grid's, by name.
    """

    title: str
    variables: Variables
    points: int
    extra: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def size(self, grid: Grid) -> tuple[int, int]:
        """Return how many bytes the dataset of a grid takes at most, and how many files."""
        chunk = block_shape(grid.shape, self.points)
        sizes = zip(grid.shape, chunk, strict=True)
        blocks = math.prod(math.ceil(n / size) for n, size in sizes)
        behind = [
            math.prod(len(self.extra[name]) for name in variable.dims)
            for variable in self.variables.values()
        ]
        of_block = [8 * math.prod(chunk) * each for each in [*behind, 1, 1]]  # status and checksum
        return blocks * sum(max(LEAST_FILE, each) for each in of_block), blocks * len(of_block)

    def write(self, to: Any, grid: Grid) -> None:
        """Write an empty dataset of a grid: coordinates, attributes, and no value yet.

        to: a folder, or another place that Zarr can write to.
        """
        import numcodecs
        import xarray

        dims, chunks = tuple(grid.axes), block_shape(grid.shape, self.points)
        arrays: dict[str, Any] = {}
        for name, variable in self.variables.items():
            about = {
                "long_name": variable.says,
                "units": variable.units,
                "equations": variable.source,
            }
            behind = tuple(len(self.extra[each]) for each in variable.dims)
            empty = _filled(grid.shape + behind, np.nan, float)
            arrays[name] = (dims + variable.dims, empty, about)
        flags = {"flag_values": [MISSING, DONE, IMPOSSIBLE], "flag_meanings": MEANINGS}
        about_sums = {"long_name": "checksum of the point's coordinates and values", "units": "1"}
        arrays["status"] = (
            dims,
            _filled(grid.shape, MISSING, np.int8),
            {"long_name": "status", **flags},
        )
        arrays[CHECKSUM] = (dims, _filled(grid.shape, 0, np.uint32), about_sums)
        coordinates = {
            name: (name, values, {"long_name": COORDINATES[name], "units": "1"})
            for name, values in {**grid.axes, **self.extra}.items()
        }
        dataset = xarray.Dataset(arrays, coordinates, self._attributes(grid))
        # compared whenever a chunk is read, by xarray as well; that of another array does not fit
        encoding: dict[str, Any] = {
            name: {"filters": [numcodecs.JenkinsLookup3(initval=zlib.crc32(str(name).encode()))]}
            for name in dataset.variables
        }
        for name in dataset.data_vars:
            encoding[str(name)]["chunks"] = chunks + dataset[name].shape[len(dims) :]
        dataset.to_zarr(to, compute=False, zarr_format=2, consolidated=True, encoding=encoding)

    def _attributes(self, grid: Grid) -> dict[str, str]:
        training = json.dumps(dict(grid.training), sort_keys=True)
        return {
            "title": self.title,
            "fixed": json.dumps(dict(grid.fixed), sort_keys=True),
            **({"training": training} if grid.training else {"theory": str(grid.theory)}),
            "grid_hash": grid.hash,
            "source": "Forner, Kuehn, Thamm, Rosenow, arXiv:2606.18164",
        }


def _filled(shape: tuple[int, ...], value: float, dtype: Any) -> Any:
    """Return an array of one value that takes no memory."""
    import dask.array

    return dask.array.full(shape, value, dtype=dtype, chunks=-1)


def check(path: Path, grid: Grid, contents: Contents, *, resume: bool, overwrite: bool) -> None:
    """Raise what ``prepare`` would, and write nothing."""
    if path.suffix != ".zarr":
        raise ParameterError(f"results are a Zarr folder: name one that ends in .zarr, not {path}")
    if resume and overwrite:
        raise ParameterError("--resume goes on and --overwrite starts again: give one of them")
    place = _resolved(path)
    if _recoverable(place):
        return  # and looked at when it is back in its place
    if place.is_symlink() or place.exists():
        if not _is_ours(place):
            raise FileError(f"{path} is no sweep of this project: name another --out")
        if not resume and not overwrite:
            raise FileError(f"{path} exists: give --resume to go on, or --overwrite")
        if resume:
            widened = _together(grid, _axes(place, grid, contents))
            if widened is None:
                return  # there is room already
            grid = widened
    _check_room(place, grid, contents)


def prepare(path: Path, grid: Grid, contents: Contents, *, resume: bool, overwrite: bool) -> Store:
    """Return the store of a sweep, made anew or gone on with.

    resume: go on with what is there, which stays; the grid may have other values on its axes, and
    the store then covers both.
    Raises FileError if the path holds something else, is damaged, exists and neither is said, or
    cannot be written; ParameterError for a path that is no .zarr.
    """
    require_libraries()
    check(path, grid, contents, resume=resume, overwrite=overwrite)
    place = _resolved(path)
    if _clean_up(place):
        check(path, grid, contents, resume=resume, overwrite=overwrite)
    together = grid
    if resume and place.exists():
        before = _axes(place, grid, contents)
        widened = _together(grid, before)
        if widened is None:
            return Store(place, before)
        together = widened
        _replace(place, together, contents, keep=Store(place, before))
    else:
        _replace(place, grid, contents)
    return Store(place, together)


def _resolved(path: Path) -> Path:
    """Return the place itself if the path is a link to it."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        raise FileError(f"{path} is a link that leads nowhere: name another --out") from None


def _together(grid: Grid, before: Grid) -> Grid | None:
    """Return the grid of all values of both; None if the older one has them all."""
    axes = {name: np.union1d(values, before.axes[name]) for name, values in grid.axes.items()}
    together = replace(grid, axes=axes)
    return None if together.shape == before.shape else together


def _check_room(place: Path, grid: Grid, contents: Contents) -> None:
    """Raise FileError if the folder above cannot take the dataset."""
    check_folder(place.parent)
    need, files = contents.size(grid)
    free = shutil.disk_usage(next(each for each in place.parents if each.exists())).free
    if need > free:
        raise FileError(
            f"{place} would take up to {need / 1e9:,.1f} GB in {files:,} files, and its disk has "
            f"{free / 1e9:,.1f} GB left: make the grid smaller"
        )


def _is_ours(place: Path) -> bool:
    """Whether a folder is a dataset of this project."""
    try:
        return "grid_hash" in json.loads((place / ".zattrs").read_text(encoding="utf-8"))
    except DAMAGED:
        return False


def _axes(place: Path, grid: Grid, contents: Contents) -> Grid:
    """Return the grid that a dataset covers; FileError unless it is whole, and of such a grid."""
    import zarr

    try:
        found = _documents(place)
        other = found[".zattrs"]["grid_hash"] != grid.hash
        if not other:
            group = zarr.open_group(str(place), mode="r", zarr_format=2)
            axes = {name: _values(group[name]) for name in (*grid.axes, *contents.extra)}
            before = replace(grid, axes={name: axes[name] for name in grid.axes})
            same = all(np.array_equal(axes[n], each) for n, each in contents.extra.items())
            whole = same and found == _expected(before, contents)
    except DAMAGED:
        other = whole = False
    if other:
        raise FileError(
            f"{place} is a sweep of other fixed values or dimensions than this grid: name another "
            "--out, or give --overwrite"
        )
    if not whole:
        raise FileError(
            f"{place} is damaged, or of another version of this project: name another --out, or "
            "give --overwrite"
        )
    return before


def _documents(place: Path) -> Any:
    """Return the metadata of every array; ValueError if not all say the same."""
    found = json.loads((place / ".zmetadata").read_text(encoding="utf-8"))["metadata"]
    for name, document in found.items():
        if json.loads((place / name).read_text(encoding="utf-8")) != document:
            raise ValueError(name)
    return _essential(found)


def _expected(grid: Grid, contents: Contents) -> Any:
    """Return the metadata that the dataset of a grid has."""
    from zarr.storage import MemoryStore

    kept: dict[str, Any] = {}
    contents.write(MemoryStore(kept), grid)
    return _essential(json.loads(kept[".zmetadata"].to_bytes())["metadata"])


def _essential(documents: Any) -> Any:
    """Return the metadata without what may change with a version of Zarr: how it is compressed."""
    for document in documents.values():
        document.pop("compressor", None)
    return documents


def _values(array: Any) -> NDArray[Any]:
    """Return a coordinate; ValueError if it is none."""
    if array.ndim != 1 or array.chunks != array.shape or array.shape[0] > MOST_VALUES:
        raise ValueError(array.shape)
    return np.asarray(array[:])


def _aside(place: Path) -> Path:
    """Return our own folder beside the dataset's place."""
    return place.with_name(f".{place.name}.part")


def _recoverable(place: Path) -> bool:
    """Whether a killed command has taken the dataset away and not put another in its place."""
    return _is_marked(_aside(place)) and not place.exists() and (_aside(place) / "old").is_dir()


def _is_marked(aside: Path) -> bool:
    """Whether the folder beside is ours, or empty, as we may have been killed before marking it."""
    if aside.is_symlink() or not aside.is_dir():
        return False
    there = [each.name for each in aside.iterdir()]
    return not there or MARKER in there


def _clean_up(place: Path) -> bool:
    """Clear what a killed command left, and put back what it took away; return whether it did."""
    aside, recovers = _aside(place), _recoverable(place)
    with writable(place):
        if recovers:
            os.replace(aside / "old", place)
        if _is_marked(aside):
            _retire(aside / "old", place)
            shutil.rmtree(aside)
        if _is_ours(place):
            for each in place.glob("*/*.partial"):
                if UNFINISHED_CHUNK.fullmatch(each.name):
                    each.unlink()
    return recovers


def _retire(old: Path, place: Path) -> None:
    """Keep what is in a replaced dataset and no part of it: a file that its owner put there."""
    for each in old.iterdir() if old.is_dir() else ():
        ours = each.name.startswith(".z") or (each / ".zarray").exists()
        if not ours and not (place / each.name).exists():
            os.replace(each, place / each.name)


def _replace(place: Path, grid: Grid, contents: Contents, *, keep: Store | None = None) -> None:
    """Put an empty dataset at the place; keep: with the points that this older one has."""
    aside = _aside(place)
    if aside.exists() or aside.is_symlink():
        raise FileError(f"{aside} is in the way and not of this project: move it")
    with writable(place):
        try:
            aside.mkdir(parents=True)
            (aside / MARKER).write_text(WORDS, encoding="utf-8")
            contents.write(aside / "new", grid)
            if keep is not None:
                _keep(keep, Store(aside / "new", grid))
            if place.exists():
                os.replace(place, aside / "old")
            os.replace(aside / "new", place)
        finally:
            _clean_up(place)


def _keep(old: Store, new: Store) -> None:
    """Copy the points that an older sweep has, block by block of the new one."""
    places = []  # of the new values along each old axis, -1 where it has none
    for values, before in zip(new.grid.axes.values(), old.grid.axes.values(), strict=True):
        at = np.minimum(np.searchsorted(before, values), len(before) - 1)
        places.append(np.where(before[at] == values, at, -1))
    for block in new.every_block():
        along = [place[part] for place, part in zip(places, block.region, strict=True)]
        known = np.all(np.meshgrid(*(each >= 0 for each in along), indexing="ij"), axis=0)
        if known.any():
            there, kept = old.read([each[each >= 0] for each in along])
            known[known] = there.ravel()
            if known.any():
                new.write(block, known, {name: each[there] for name, each in kept.items()})


def require_libraries() -> None:
    """Raise FileError if xarray, Zarr or Dask are not installed."""
    from importlib.util import find_spec

    absent = [name for name in ("xarray", "zarr", "dask", "distributed") if not find_spec(name)]
    if absent:
        raise FileError(f"a sweep needs {', '.join(absent)}: {INSTALL}")
