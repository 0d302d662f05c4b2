"""Results over a grid as a labelled dataset in Zarr, written block by block, so never lost.

``xarray.open_zarr`` reads it: a dimension for each parameter that varies, meaning, units and
equation numbers in the attributes. A point whose status is 0 is not there yet.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import FileError, ParameterError
from meanfield.parameters import Parameters
from meanfield.quantities import QUANTITIES
from meanfield.sweep.grid import Grid

MISSING, DONE, IMPOSSIBLE = 0, 1, 2  # the status of a point
MEANINGS = "missing done impossible"
INSTALL = 'pip install --editable ".[sweep]"'
# What a coordinate is: parameters say it themselves.
COORDINATES = {each.name: each.metadata.get("says", each.name) for each in fields(Parameters)} | {
    "epoch": "epoch",
    "seed": "seed",
}


@dataclass(frozen=True)
class Variable:
    """What one array holds. dims: behind those of the grid. source: its equations."""

    dims: tuple[str, ...]
    says: str
    units: str
    source: str

    @classmethod
    def of(cls, name: str, dims: tuple[str, ...]) -> Variable:
        """Return the array of a known quantity."""
        known = QUANTITIES[name]
        return cls(dims, known.says, known.unit, known.equations)


Variables = dict[str, Variable]


@dataclass(frozen=True)
class Block:
    """A rectangular part of a grid: where it starts and ends along each dimension."""

    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def region(self) -> tuple[slice, ...]:
        """The part as an index."""
        return tuple(map(slice, self.start, self.stop))

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each dimension."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    def indices(self) -> list[NDArray[np.intp]]:
        """Return the index along each dimension of every point, arrays of the block's shape."""
        ranges = (np.arange(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return list(np.meshgrid(*ranges, indexing="ij"))


def block_shape(shape: tuple[int, ...], most: int) -> tuple[int, ...]:
    """Return the shape of blocks of at most so many points: whole along the last dimensions."""
    sizes: list[int] = []
    for size in reversed(shape):
        sizes.append(max(1, min(size, most // math.prod(sizes))))
    return tuple(reversed(sizes))


class Store:
    """The dataset of one sweep on disk. grid: what it covers, all that it ever covered included."""

    def __init__(self, path: Path, grid: Grid) -> None:
        """Open what ``prepare`` made."""
        import zarr

        self.path, self.grid = path, grid
        with zarr.config.set({"array.write_empty_chunks": True}):  # so that a lost one is noticed
            group = zarr.open_group(str(path), mode="r+")
            self.arrays = {name: group[name] for name in group.array_keys()}
        self.blocks = self.arrays["status"].chunks

    def missing(self, block: Block) -> NDArray[np.bool_]:
        """Return which points of a block are not there yet, of its shape; all, if it is damaged."""
        everything = np.ones(block.shape, bool)
        try:
            missing = np.asarray(self.arrays["status"][block.region]) == MISSING
            if not missing.all() and not self._is_whole(block):
                return everything
        except (OSError, RuntimeError, ValueError):  # no chunk that was written, or another since
            return everything
        return missing

    def _is_whole(self, block: Block) -> bool:
        """Whether every value of a block is there as it was written; raises if one has changed."""
        corner = [a // size for a, size in zip(block.start, self.blocks, strict=True)]
        for name, array in self.arrays.items():
            if array.ndim < len(corner) or name in self.grid.axes:
                continue
            behind = [0] * (array.ndim - len(corner))
            if not (self.path / name / ".".join(map(str, corner + behind))).exists():
                return False
            array[block.region]  # its checksum is compared
        return True

    def every_block(self) -> Iterator[Block]:
        """Yield the blocks, each a chunk of every array."""
        shape = self.grid.shape
        counts = [math.ceil(n / size) for n, size in zip(shape, self.blocks, strict=True)]
        for corner in np.ndindex(*counts):
            start = tuple(i * size for i, size in zip(corner, self.blocks, strict=True))
            ends = zip(start, self.blocks, shape, strict=True)
            yield Block(start, tuple(min(a + size, n) for a, size, n in ends))

    def unfinished(self) -> Iterator[tuple[Block, NDArray[np.bool_]]]:
        """Yield the blocks with points that are not there yet, and which."""
        for block in self.every_block():
            missing = self.missing(block)
            if missing.any():
                yield block, missing

    def write(
        self, block: Block, missing: NDArray[np.bool_], found: Mapping[str, NDArray[Any]]
    ) -> None:
        """Keep what was found at the missing points of a block; the status is written last.

        Raises FileError if the disk does not take it.
        """
        for name in sorted(found, key="status".__eq__):
            array = self.arrays[name]
            whole = np.empty((*block.shape, *array.shape[len(block.shape) :]), array.dtype)
            values = whole if missing.all() else np.asarray(array[block.region])
            values[missing] = found[name]
            with writable(self.path):
                array[block.region] = values

    def counts(self) -> tuple[int, int]:
        """Return how many points there are not yet, and how many cannot be."""
        missing = impossible = 0
        for block in self.every_block():
            absent = self.missing(block)
            missing += int(absent.sum())
            if not absent.all():
                impossible += int(np.sum(self.arrays["status"][block.region] == IMPOSSIBLE))
        return missing, impossible


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Say in one sentence that the disk does not take what is written inside."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise FileError(
            f"{path} cannot be written: {why}; what is there stays, --resume goes on"
        ) from None


def prepare(
    path: Path,
    grid: Grid,
    variables: Variables,
    *,
    points: int,
    extra: Mapping[str, Any] | None = None,
    title: str,
    resume: bool,
    overwrite: bool,
) -> Store:
    """Return the store of a sweep, made anew or gone on with.

    points: of a block. extra: coordinates behind the grid's, by name. resume: go on with what is
    there, which stays; the grid may have other values on its axes, and the store then covers both.
    Raises FileError if the path holds something else, exists and neither is said, or cannot be
    written; ParameterError for a path that is no .zarr.
    """
    require_libraries()
    if path.suffix != ".zarr":
        raise ParameterError(f"results are a Zarr folder: name one that ends in .zarr, not {path}")
    if resume and overwrite:
        raise ParameterError("--resume goes on and --overwrite starts again: give one of them")
    known = (variables, points, extra or {}, title)
    _clean_up(path)
    if not path.exists():
        with writable(path):
            _replace(path, grid, *known)
        return Store(path, grid)
    old = _attributes(path)
    if overwrite:
        with writable(path):
            _replace(path, grid, *known)
        return Store(path, grid)
    if not resume:
        raise FileError(f"{path} exists: give --resume to go on, or --overwrite")
    if old.get("grid_hash") != grid.hash:
        raise FileError(
            f"{path} is a sweep of other fixed values or dimensions than this grid: name another "
            "--out, or give --overwrite"
        )
    before = _axes(path, grid)
    together = replace(
        grid, axes={name: np.union1d(values, before[name]) for name, values in grid.axes.items()}
    )
    larger = any(len(values) > len(before[name]) for name, values in together.axes.items())
    if larger or not set(variables) <= _arrays(path):  # an older sweep knew fewer
        with writable(path):
            _replace(path, together, *known, keep=True)
    return Store(path, together)


def _aside(path: Path, end: str) -> Path:
    """Return where a dataset stands while it is not in its place: hidden, beside it."""
    return path.with_name(f".{path.name}.{end}")


def _clean_up(path: Path) -> None:
    """Take away what a killed command left beside the dataset, and put back what it took away.

    Only folders that this module has marked as its own are touched.
    """
    unfinished, retired = _aside(path, "part"), _aside(path, "old")
    with writable(path):
        if _is_ours(retired) and not path.exists():  # killed between two names
            os.replace(retired, path)
        for leftover in (unfinished, retired):
            if _is_ours(leftover):
                shutil.rmtree(leftover)


def _replace(
    path: Path,
    grid: Grid,
    variables: Variables,
    points: int,
    extra: Mapping[str, Any],
    title: str,
    *,
    keep: bool = False,
) -> None:
    """Put an empty dataset at the path; keep: with the points that the one there already has."""
    unfinished, retired = _aside(path, "part"), _aside(path, "old")
    for folder in (unfinished, retired):
        if folder.exists():
            raise FileError(f"{folder} is in the way and not of this project: move it")
    _create(unfinished, grid, variables, points, extra, title)
    if keep:
        _keep(path, Store(unfinished, grid))
    if path.exists():
        os.replace(path, retired)
    os.replace(unfinished, path)
    if retired.exists():
        shutil.rmtree(retired)


def require_libraries() -> None:
    """Raise FileError if xarray, Zarr or Dask are not installed."""
    from importlib.util import find_spec

    absent = [name for name in ("xarray", "zarr", "dask", "distributed") if not find_spec(name)]
    if absent:
        raise FileError(f"a sweep needs {', '.join(absent)}: {INSTALL}")


def _create(
    path: Path,
    grid: Grid,
    variables: Variables,
    points: int,
    extra: Mapping[str, Any],
    title: str,
) -> None:
    """Write an empty dataset: coordinates, attributes, and no value yet."""
    import dask.array
    import numcodecs
    import xarray

    chunks = block_shape(grid.shape, points)
    dims = tuple(grid.axes)

    def empty(behind: tuple[str, ...], fill: float, dtype: Any) -> Any:
        sizes = tuple(len(extra[name]) for name in behind)
        return dask.array.full(
            grid.shape + sizes, fill, dtype=dtype, chunks=chunks + sizes if sizes else chunks
        )

    arrays: dict[str, Any] = {}
    for name, variable in variables.items():
        attributes = {
            "long_name": variable.says,
            "units": variable.units,
            "equations": variable.source,
        }
        arrays[name] = (dims + variable.dims, empty(variable.dims, np.nan, float), attributes)
    flags = {"flag_values": [MISSING, DONE, IMPOSSIBLE], "flag_meanings": MEANINGS}
    arrays["status"] = (dims, empty((), MISSING, np.int8), {"long_name": "status", **flags})
    coordinates = {
        name: (name, values, {"long_name": COORDINATES[name], "units": "1"})
        for name, values in {**grid.axes, **extra}.items()
    }
    training = json.dumps(dict(grid.training), sort_keys=True)
    what = {"training": training} if grid.training else {"theory": str(grid.theory)}
    dataset = xarray.Dataset(
        arrays,
        coordinates,
        {
            "title": title,
            "fixed": json.dumps(dict(grid.fixed), sort_keys=True),
            **what,
            "grid_hash": grid.hash,
            "source": "Forner, Kuehn, Thamm, Rosenow, arXiv:2606.18164",
        },
    )
    # the checksum is compared whenever a chunk is read, by xarray as well
    encoding = {
        name: {"chunks": tuple(c[0] for c in array.chunks), "filters": [numcodecs.CRC32()]}
        for name, array in dataset.items()
    }
    dataset.to_zarr(path, compute=False, zarr_format=2, consolidated=True, encoding=encoding)


def _attributes(path: Path) -> dict[str, Any]:
    """Return the attributes of the dataset; FileError if there is none of this project."""
    import zarr

    foreign = FileError(f"{path} is no sweep of this project: name another --out")
    try:
        group = zarr.open_group(str(path), mode="r")
        if "status" not in group or "grid_hash" not in group.attrs:
            raise foreign
        return dict(group.attrs)
    except (OSError, ValueError, KeyError, TypeError):
        raise foreign from None


def _is_ours(path: Path) -> bool:
    """Whether a folder is a dataset of this project."""
    try:
        return path.is_dir() and bool(_attributes(path))
    except FileError:
        return False


def _axes(path: Path, grid: Grid) -> dict[str, NDArray[Any]]:
    """Return the values along each axis of a dataset."""
    import zarr

    group = zarr.open_group(str(path), mode="r")
    return {name: np.asarray(group[name]) for name in grid.axes}


def _arrays(path: Path) -> set[str]:
    """Return the names of the arrays of a dataset."""
    import zarr

    return set(zarr.open_group(str(path), mode="r").array_keys())


def _keep(path: Path, store: Store) -> None:
    """Copy the points that an older sweep has, block by block of the new one."""
    import zarr

    old = zarr.open_group(str(path), mode="r")
    places = []  # of the new values along each old axis, -1 where it has none
    for name, values in store.grid.axes.items():
        before = np.asarray(old[name])
        at = np.minimum(np.searchsorted(before, values), len(before) - 1)
        places.append(np.where(before[at] == values, at, -1))
    for block, missing in list(store.unfinished()):
        along: list[NDArray[Any]] = [
            place[part] for place, part in zip(places, block.region, strict=True)
        ]
        if not all(np.any(place >= 0) for place in along):
            continue
        known = missing & np.all(np.meshgrid(*(p >= 0 for p in along), indexing="ij"), axis=0)
        both = tuple(place[place >= 0] for place in along)
        status = np.asarray(old["status"].oindex[both])
        known[known] = status.ravel() != MISSING
        kept = status != MISSING
        names = [name for name in old.array_keys() if name in store.arrays]
        results = [name for name in names if old[name].shape[: status.ndim] == old["status"].shape]
        found = {}
        for name in results:
            behind = (slice(None),) * (old[name].ndim - len(both))
            found[name] = np.asarray(old[name].oindex[both + behind])[kept]
        store.write(block, known, found)
