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
from dataclasses import dataclass, fields
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
    """The dataset of one sweep on disk."""

    def __init__(self, path: Path, grid: Grid) -> None:
        """Open what ``create`` made."""
        import zarr

        self.path, self.grid = path, grid
        self.arrays = zarr.open_group(str(path), mode="r+")
        self.blocks = self.arrays["status"].chunks

    def missing(self, block: Block) -> NDArray[np.bool_]:
        """Return which points of a block are not there yet, of its shape."""
        return np.asarray(self.arrays["status"][block.region]) == MISSING

    def unfinished(self) -> Iterator[tuple[Block, NDArray[np.bool_]]]:
        """Yield the blocks with points that are not there yet, and which."""
        shape = self.grid.shape
        corners = np.ndindex(*(math.ceil(n / size) for n, size in zip(shape, self.blocks)))  # noqa: B905
        for corner in corners:
            start = tuple(i * size for i, size in zip(corner, self.blocks, strict=True))
            ends = zip(start, self.blocks, shape, strict=True)
            block = Block(start, tuple(min(a + size, n) for a, size, n in ends))
            missing = self.missing(block)
            if missing.any():
                yield block, missing

    def write(
        self, block: Block, missing: NDArray[np.bool_], found: Mapping[str, NDArray[Any]]
    ) -> None:
        """Keep what was found at the missing points of a block; the status is written last."""
        for name in sorted(found, key="status".__eq__):
            array = self.arrays[name]
            values = np.asarray(array[block.region])
            values[missing] = found[name]
            array[block.region] = values

    def counts(self) -> tuple[int, int]:
        """Return how many points there are not yet, and how many cannot be."""
        status = np.asarray(self.arrays["status"])
        return int(np.sum(status == MISSING)), int(np.sum(status == IMPOSSIBLE))


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
    there: the same points, or others of the same grid but for its axes, of which those that are
    there are kept. Raises FileError if the path holds something else or xarray is missing.
    """
    require_libraries()
    if path.suffix != ".zarr":
        raise ParameterError(f"results are a Zarr folder: name one that ends in .zarr, not {path}")
    unfinished_copy, retired = (path.with_name(path.name + end) for end in (".part", ".old"))
    if retired.exists() and not path.exists():  # interrupted between two names
        os.replace(retired, path)
    for leftover in (unfinished_copy, retired):
        if leftover.exists():
            shutil.rmtree(leftover)
    if not path.exists():
        _create(unfinished_copy, grid, variables, points, extra or {}, title)
        os.replace(unfinished_copy, path)
        return Store(path, grid)
    old = _attributes(path)
    if overwrite:
        shutil.rmtree(path)
        return prepare(path, grid, variables, points=points, extra=extra, title=title,
                       resume=False, overwrite=False)  # fmt: skip
    if not resume:
        raise FileError(f"{path} exists: give --resume to go on, or --overwrite")
    if old.get("grid_hash") != grid.hash:
        raise FileError(
            f"{path} is a sweep of other fixed values or dimensions than this grid: name another "
            "--out, or give --overwrite"
        )
    if _same_axes(path, grid):
        return Store(path, grid)
    _create(unfinished_copy, grid, variables, points, extra or {}, title)
    _keep(path, Store(unfinished_copy, grid))
    os.replace(path, retired)
    os.replace(unfinished_copy, path)
    shutil.rmtree(retired)
    return Store(path, grid)


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
    encoding = {
        name: {"chunks": tuple(c[0] for c in array.chunks)} for name, array in dataset.items()
    }
    dataset.to_zarr(path, compute=False, zarr_format=2, consolidated=True, encoding=encoding)


def _attributes(path: Path) -> dict[str, Any]:
    """Return the attributes of the dataset; FileError if there is none."""
    import zarr

    try:
        group = zarr.open_group(str(path), mode="r")
        if "status" not in group or "grid_hash" not in group.attrs:
            raise FileError(f"{path} is no sweep of this project: name another --out")
        return dict(group.attrs)
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path} is no sweep of this project: name another --out") from None


def _same_axes(path: Path, grid: Grid) -> bool:
    import zarr

    group = zarr.open_group(str(path), mode="r")
    return all(
        np.array_equal(np.asarray(group[name]), values) for name, values in grid.axes.items()
    )


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
