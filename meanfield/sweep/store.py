"""Results over a grid as a labelled dataset in Zarr, written block by block, so never lost.

``xarray.open_zarr`` reads it: a dimension for each parameter that varies, meaning, units and
equation numbers in the attributes. A point whose status is 0 is not there yet.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import FileError
from meanfield.quantities import QUANTITIES
from meanfield.sweep.grid import Grid

MISSING, DONE, IMPOSSIBLE = 0, 1, 2  # the status of a point
MEANINGS = "missing done impossible"
DAMAGED = (  # what Zarr, its codecs and json say of broken bytes; Blosc even SystemError
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, OSError,
    EOFError, MemoryError, SystemError, struct.error, zlib.error,
)  # fmt: skip
CHECKSUM = "checksum"  # of a point: of its coordinates and of all its values
PRIME = np.uint64(0x9E3779B97F4A7C15)  # odd and of mixed bits, as a multiplier that hashes


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


def checksums(
    coordinates: Sequence[NDArray[Any]], values: Mapping[str, NDArray[Any]]
) -> NDArray[np.uint32]:
    """Return a number for each point that changes if a coordinate or a value of it does.

    coordinates: along each dimension of the points. values: by name, the points' dimensions first.
    """
    shape = tuple(map(len, coordinates))
    columns = [
        *np.meshgrid(*coordinates, indexing="ij"),
        *(values[name] for name in sorted(values)),
    ]
    total = np.zeros(shape, np.uint64)
    for column in columns:
        bits = np.ascontiguousarray(column, np.float64).view(np.uint64).reshape(*shape, -1)
        for each in np.moveaxis(bits, -1, 0):
            total = (total ^ each) * PRIME
            total ^= total >> np.uint64(29)
    return (total >> np.uint64(32)).astype(np.uint32)


class Store:
    """The dataset of one sweep on disk. grid: what it covers, all that it ever covered included."""

    def __init__(self, path: Path, grid: Grid) -> None:
        """Open what ``folder.prepare`` made."""
        import zarr

        self.path, self.grid = path, grid
        group = zarr.open_group(str(path), mode="r+")
        behind = {name for name in group.array_keys() if group[name].ndim >= len(grid.axes)}
        self.arrays = {name: group[name] for name in sorted(behind - set(grid.axes))}
        self.blocks = self.arrays["status"].chunks

    def read(self, at: Sequence[Any]) -> tuple[NDArray[np.bool_], dict[str, NDArray[Any]]]:
        """Return which points are there as they were written, and every variable of them.

        at: a slice or indices along each axis. No point is there, and no variable, if a chunk of
        them is damaged.
        """
        part = tuple(at)
        coordinates = [
            values[each] for values, each in zip(self.grid.axes.values(), part, strict=True)
        ]
        try:
            values = {
                name: np.asarray(array.oindex[part + (slice(None),) * (array.ndim - len(part))])
                for name, array in self.arrays.items()
            }
        except DAMAGED:
            return np.zeros(tuple(map(len, coordinates)), bool), {}
        written = values.pop(CHECKSUM)
        return (values["status"] != MISSING) & (checksums(coordinates, values) == written), values

    def missing(self, block: Block) -> NDArray[np.bool_]:
        """Return which points of a block are not there as they were written, of its shape."""
        there, _ = self.read(block.region)
        return ~there

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

    def results(self) -> Iterator[tuple[NDArray[np.bool_], dict[str, NDArray[Any]]]]:
        """Yield what ``read`` returns of each block."""
        for block in self.every_block():
            yield self.read(block.region)

    def write(
        self, block: Block, missing: NDArray[np.bool_], found: Mapping[str, NDArray[Any]]
    ) -> None:
        """Keep what was found at the missing points of a block; the status is written last.

        Raises FileError if the disk does not take it, or the folder is gone.
        """
        if not (self.path / ".zmetadata").exists():
            raise FileError(f"{self.path} has been moved or removed: nothing is written any more")
        values = {}
        for name in found:
            array = self.arrays[name]
            shape = (*block.shape, *array.shape[len(block.shape) :])
            some = np.empty(shape, array.dtype) if missing.all() else array[block.region]
            values[name] = np.asarray(some)
            values[name][missing] = found[name]
        chosen = zip(self.grid.axes.values(), block.region, strict=True)
        values[CHECKSUM] = checksums([each[part] for each, part in chosen], values)
        with writable(self.path):
            for name in sorted(values, key="status".__eq__):
                self.arrays[name][block.region] = values[name]


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
