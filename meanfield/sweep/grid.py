"""A grid of parameter sets, read from a TOML file: what varies, what is fixed, checked at once.

theory = "linear"                       # of a theory sweep; default: linear
epochs = [100, 300]                     # where to keep R, Q, S and the accuracies, if wanted

[fixed]
rope_theta = 10.0

[grid]                                  # a dimension each, in this order
N = { from = 5, to = 60 }               # integers; step = 5 takes every fifth
T = [4, 10, 20]
lr = { from = 0.1, to = 10.0, count = 20, spacing = "log" }   # or "linear"

[training]                              # of a training sweep
seeds = "0:8"
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.checks import nonnegative, real
from meanfield.errors import FileError, ParameterError
from meanfield.parameters import Parameters
from meanfield.theory import DEFAULT, PAPER, Theory

TABLES = ("theory", "closure", "epochs", "fixed", "grid", "training")
INTEGERS = ("N", "T", "K", "d_head")
NAMES = tuple(field.name for field in fields(Parameters))
VARYING = tuple(name for name in NAMES if name != "rope_spacing")  # dimensions are numbers
MOST, MOST_VALUES = 10**9, 10**6  # parameter sets, and values along one axis
MOST_PAIRS = 10**6  # of N and K, which alone restrict one another


@dataclass(frozen=True)
class Grid:
    """Parameter sets: the product of the axes, one dimension each.

    axes: by parameter name, ascending values (n,). fixed: the other parameters that are given.
    theory: that is solved. epochs: (E,), where curves are kept, maybe none.
    training: its table, not checked here.
    """

    axes: Mapping[str, NDArray[Any]]
    fixed: Mapping[str, Any]
    theory: Theory
    epochs: NDArray[np.float64]
    training: Mapping[str, Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each axis has."""
        return tuple(len(values) for values in self.axes.values())

    @property
    def size(self) -> int:
        """How many parameter sets there are."""
        return math.prod(self.shape)

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits: with its coordinates they name the parameters of a point."""
        all_but_axes = {
            "dimensions": list(self.axes),
            "fixed": dict(self.fixed),
            "closure": str(self.theory),
            "epochs": self.epochs.tolist(),
            "training": dict(self.training),
        }
        text = json.dumps(all_but_axes, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def settings(self, *index: int) -> dict[str, Any]:
        """Return what is known of one parameter set, as Parameters takes it."""
        chosen = zip(self.axes.items(), index, strict=True)
        return {**self.fixed, **{name: values[i].item() for (name, values), i in chosen}}

    def parameters(self, *index: int) -> Parameters:
        """Return one parameter set."""
        return Parameters(**self.settings(*index))


def read(path: Path) -> Grid:
    """Return the grid of a TOML file.

    Raises FileError if it cannot be read, ParameterError, in one sentence, on what cannot be.
    """
    try:
        return from_tables(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise FileError(f"the grid file {path} cannot be read: {why}") from None
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"the grid file {path} is not TOML: {error}") from None


def from_tables(tables: Mapping[str, Any]) -> Grid:
    """Return the grid of these tables; ParameterError on what cannot be."""
    for name in tables:
        if name not in TABLES:
            raise ParameterError(f"a grid has {', '.join(TABLES)}, not {name!r}")
    for name in ("fixed", "grid", "training"):
        if not isinstance(tables.get(name, {}), Mapping):
            raise ParameterError(f"[{name}] must be a table, not {tables[name]!r}")
    fixed, varying = dict(tables.get("fixed", {})), tables.get("grid", {})
    if not varying:
        raise ParameterError("a grid needs a table [grid] with at least one parameter that varies")
    for name in (*fixed, *varying):
        if name not in NAMES:
            raise ParameterError(f"{name!r} is no parameter; there are {', '.join(NAMES)}")
        if name in fixed and name in varying:
            raise ParameterError(f"{name} cannot be in [fixed] and in [grid] at once")
    for name in ("N", "T"):
        if name not in fixed and name not in varying:
            raise ParameterError(f"{name} must be given, in [fixed] or in [grid]")
    axes = {name: axis(name, value) for name, value in varying.items()}
    listed = tables.get("epochs", [])
    if not isinstance(listed, list):
        raise ParameterError(f"epochs must be a list of numbers of at least 0, not {listed!r}")
    epochs = np.array([nonnegative("epochs", each) for each in listed])
    grid = Grid(axes, fixed, _theory(tables), np.unique(epochs), dict(tables.get("training", {})))
    if grid.size > MOST:
        raise ParameterError(f"a grid may have {MOST:,} parameter sets at most, not {grid.size:,}")
    for some in _judged(grid):
        Parameters(**some)
    return grid


def _theory(tables: Mapping[str, Any]) -> Theory:
    """Return the theory that is named, or whose closure is; ParameterError for none of a sweep."""
    if "theory" in tables and "closure" in tables:
        raise ParameterError("a grid has a theory or a closure, not both")
    named = tables.get("theory", tables.get("closure", PAPER))
    theory = Theory.parse(named)
    if "closure" in tables and not theory.closed:
        theory = Theory.parse(DEFAULT)
    if theory.of_one_seed:
        raise ParameterError(f"a grid has no seed for {theory} to start from: name another theory")
    return theory


def axis(name: str, value: Any) -> NDArray[Any]:
    """Return the values along one dimension, ascending; ParameterError on what cannot be."""
    if name not in VARYING:
        raise ParameterError(f"{name} cannot be a dimension, as it is no number: put it in [fixed]")
    if isinstance(value, Mapping):
        values = _ranged(name, value)
    elif isinstance(value, list) and value:
        values = np.array([real(name, each) for each in value])
    else:
        raise ParameterError(
            f"{name} in [grid] must be a list or a range such as {{ from = 5, to = 60 }}, "
            f"not {value!r}"
        )
    if np.any(np.diff(values) <= 0):
        raise ParameterError(f"{name} in [grid] must ascend, without a value twice, not {value!r}")
    if name not in INTEGERS:
        return values
    if np.any(values != np.floor(values)):
        raise ParameterError(f"{name} must be integers, not {values[values % 1 > 0][0]:g}")
    return values.astype(np.int64)


def _ranged(name: str, table: Mapping[str, Any]) -> NDArray[np.float64]:
    allowed = {"from", "to"}, {"from", "to", "step"}, {"from", "to", "count", "spacing"}
    if set(table) not in (*allowed, {"from", "to", "count"}):
        raise ParameterError(
            f"the range of {name} must have from and to, and step, or count and spacing, "
            f"not {', '.join(table)}"
        )
    first, last = real(f"{name}.from", table["from"]), real(f"{name}.to", table["to"])
    if last <= first:
        raise ParameterError(
            f"{name}.to must be greater than {name}.from = {first:g}, not {last:g}"
        )
    if "count" not in table:
        step = real(f"{name}.step", table.get("step", 1))
        if step <= 0 or (last - first) / step > MOST_VALUES:
            raise ParameterError(
                f"{name}.step must be greater than 0 and leave at most {MOST_VALUES:,} values, "
                f"not {step:g}"
            )
        count = math.floor((last - first) / step + 1e-9) + 1
        return np.array([first + step * each for each in range(count)])
    count, spacing = table["count"], table.get("spacing", "linear")
    if isinstance(count, bool) or not isinstance(count, int) or not 2 <= count <= MOST_VALUES:
        raise ParameterError(
            f"{name}.count must be an integer from 2 to {MOST_VALUES:,}, not {count!r}"
        )
    if spacing not in ("log", "linear"):
        raise ParameterError(f'{name}.spacing must be "log" or "linear", not {spacing!r}')
    if spacing == "log" and first <= 0:
        raise ParameterError(
            f"{name}.from must be greater than 0 to be spaced by log, not {first:g}"
        )
    between = np.geomspace if spacing == "log" else np.linspace
    values: NDArray[np.float64] = np.asarray(between(first, last, count), np.float64)
    return np.asarray(np.unique(np.rint(values)), float) if name in INTEGERS else values


def _judged(grid: Grid) -> Iterator[dict[str, Any]]:
    """Yield parameter sets that contain every value, and every pair of N and K."""
    first = grid.settings(*[0] * len(grid.shape))
    for name, values in grid.axes.items():
        if name not in ("N", "K"):
            yield from ({**first, name: value} for value in values.tolist())
    pairs = {name: grid.axes[name].tolist() for name in ("N", "K") if name in grid.axes}
    if math.prod(map(len, pairs.values())) > MOST_PAIRS:  # only the extremes restrict one another
        pairs = {name: sorted({*values[:9], values[-1]}) for name, values in pairs.items()}
    for together in product(*pairs.values()):
        yield {**first, **dict(zip(pairs, together, strict=True))}
