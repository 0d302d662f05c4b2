"""``python -m meanfield.sweep grid.toml --out sweep.zarr``: the theory over a grid."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from meanfield import command
from meanfield.errors import ParameterError
from meanfield.predict.many import in_quadrature
from meanfield.sweep import folder, points
from meanfield.sweep import grid as grids
from meanfield.sweep.grid import Grid
from meanfield.sweep.running import (
    RESUME,
    add_options,
    cluster_of,
    described,
    fill,
    summary,
    time_in_words,
)
from meanfield.sweep.workers import Cluster

PROBED = 256  # points that are solved for the estimate of the time


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = command.parser(
        "python -m meanfield.sweep",
        "Solve the mean-field equations over a grid of parameters and keep the onset, "
        "and R, Q, S and the accuracies at epochs if any are given, as a labelled Zarr dataset.",
    )
    result.add_argument(
        "grid", type=Path, metavar="GRID.toml", help="what varies and what is fixed"
    )
    result.add_argument("--out", type=Path, required=True, metavar="SWEEP.zarr",
                        help="where the dataset goes")  # fmt: skip
    add_options(result)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parsed = parser()
    options = parsed.parse_args(argv)
    return command.run(parsed, lambda: _sweep(options), resume=RESUME)


def _sweep(options: argparse.Namespace) -> int:
    folder.require_libraries()
    grid, cluster = grids.read(options.grid), cluster_of(options)
    if grid.training:
        raise ParameterError("[training] is for python -m simulate.sweep; leave it out here")
    contents = folder.Contents(
        title="Mean-field theory over a grid of parameters",
        variables=points.variables(grid),
        points=points.block_points(grid),
        extra={"epoch": grid.epochs} if grid.epochs.size else {},
    )
    how = {"resume": options.resume, "overwrite": options.overwrite}
    if not options.dry_run:
        folder.check(options.out, grid, contents, **how)
    print(f"{described(grid)}, theory {grid.theory}: {_estimate(grid, cluster)}")
    if options.dry_run:
        return 0
    prepare = partial(folder.prepare, options.out, grid, contents, **how)
    store = fill(prepare, points.solve, cluster)
    print(summary(store))
    return 0


def _estimate(grid: Grid, cluster: Cluster) -> str:
    """Return about how long it takes, from a few points spread over the grid."""
    count = min(grid.size, PROBED if in_quadrature(grid.theory) else 2)
    rng = np.random.default_rng(0)
    index = [rng.integers(0, size, count) for size in grid.shape]
    began = time.perf_counter()
    points.solve_points(grid, index)
    seconds = (time.perf_counter() - began) * grid.size / count / cluster.count
    where = "1 worker" if cluster.count == 1 else f"{cluster.count} workers"
    return f"about {time_in_words(seconds)} on {where}"


if __name__ == "__main__":
    sys.exit(main())
