"""``python -m meanfield.sweep grid.toml --out sweep.zarr``: the theory over a grid."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from meanfield.command import Parser, integer
from meanfield.errors import FileError, ParameterError
from meanfield.sweep import grid as grids
from meanfield.sweep import points as grid_theory
from meanfield.sweep import store as grid_store
from meanfield.sweep import workers
from meanfield.sweep.grid import Grid
from meanfield.sweep.store import Store
from meanfield.sweep.workers import Cluster

PROBED = 256  # points that are solved for the estimate of the time


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = Parser(
        prog="python -m meanfield.sweep",
        description="Solve the mean-field equations over a grid of parameters and keep the onset, "
        "and R, Q, S and the accuracies at epochs if any are given, as a labelled Zarr dataset.",
    )
    result.add_argument(
        "grid", type=Path, metavar="GRID.toml", help="what varies and what is fixed"
    )
    result.add_argument("--out", type=Path, required=True, metavar="SWEEP.zarr",
                        help="where the dataset goes")  # fmt: skip
    add_options(result)
    return result


def add_options(to: argparse.ArgumentParser) -> None:
    """Add what every sweep has: how to go on, and where to run."""
    to.add_argument("--resume", action="store_true",
                    help="go on, or add values to the axes; what is there stays")  # fmt: skip
    to.add_argument("--overwrite", action="store_true", help="start again over an old dataset")
    to.add_argument("--dry-run", action="store_true",
                    help="check the grid, say how many runs and how long, and stop")  # fmt: skip
    where = to.add_argument_group("where to run (by default a process for each core)")
    where.add_argument("--workers", type=integer, metavar="COUNT",
                       help="local processes; 0 for none, one after the other")  # fmt: skip
    where.add_argument("--memory", metavar="SIZE", help="of each worker, such as 2GiB")
    where.add_argument("--scheduler", metavar="tcp://HOST:PORT",
                       help="of a Dask cluster that is running")  # fmt: skip
    where.add_argument("--slurm", type=integer, metavar="JOBS",
                       help="workers to ask a SLURM queue for")  # fmt: skip
    where.add_argument("--queue", help="of the SLURM jobs")
    where.add_argument("--walltime", metavar="HH:MM:SS", help="of the SLURM jobs")
    where.add_argument("--account", help="of the SLURM jobs")
    where.add_argument("--directive", dest="directives", action="append", default=[],
                       metavar="LINE",
                       help="a further #SBATCH line: --directive=--gres=gpu:1")  # fmt: skip


def cluster_of(options: argparse.Namespace) -> Cluster:
    """Return where the options say to run."""
    names = ("workers", "memory", "scheduler", "slurm", "queue", "walltime", "account")
    given = {name: getattr(options, name) for name in names}
    return Cluster(**given, directives=tuple(options.directives))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    command = parser()
    options = command.parse_args(argv)
    return guarded(command, lambda: _sweep(options))


def guarded(command: argparse.ArgumentParser, sweep: Callable[[], int]) -> int:
    """Run a sweep; a mistake, or an interruption, is told in one sentence."""
    try:
        return sweep()
    except (ParameterError, FileError) as error:
        command.error(str(error))
    except KeyboardInterrupt:
        print(
            f"{command.prog}: interrupted; the same command with --resume goes on", file=sys.stderr
        )
        return 130


def _sweep(options: argparse.Namespace) -> int:
    grid_store.require_libraries()
    grid, cluster = grids.read(options.grid), cluster_of(options)
    if grid.training:
        raise ParameterError("[training] is for python -m simulate.sweep; leave it out here")
    print(f"{described(grid)}, closure {grid.closure}: {_estimate(grid, cluster)}")
    if options.dry_run:
        return 0
    store = grid_store.prepare(
        options.out,
        grid,
        grid_theory.variables(grid),
        points=grid_theory.block_points(grid),
        extra={"epoch": grid.epochs} if grid.epochs.size else None,
        title="Mean-field theory over a grid of parameters",
        resume=options.resume,
        overwrite=options.overwrite,
    )
    tasks = ((grid, block, missing) for block, missing in store.unfinished())
    fill(store, grid_theory.solve, tasks, cluster)
    print(summary(store))
    return 0


def described(grid: Grid) -> str:
    """Return how many runs a grid is, and of what."""
    sizes = " x ".join(f"{len(values)} {name}" for name, values in grid.axes.items())
    return f"{grid.size:,} parameter sets ({sizes})"


def fill(
    store: Store,
    function: Callable[..., Any],
    tasks: Iterable[tuple[Any, ...]],
    cluster: Cluster,
) -> None:
    """Run tasks (grid, block, missing, ...) and keep each result as it comes, with a bar."""
    from tqdm import tqdm

    absent, _ = store.counts()
    with tqdm(total=store.grid.size, initial=store.grid.size - absent, disable=None) as bar:
        for (_, block, missing, *_), found in workers.run(function, tasks, cluster):
            store.write(block, missing, found)
            bar.update(int(missing.sum()))


def summary(store: Store) -> str:
    """Return what came out, a line each."""
    onset = np.asarray(store.arrays["onset_epoch"])
    finite = onset[np.isfinite(onset)]
    told = "no point locks on"
    if finite.size:
        told = f"onset from epoch {finite.min():.6g} to {finite.max():.6g}"
    never, (_, impossible) = int(np.sum(np.isposinf(onset))), store.counts()
    if never:
        told += f"; {never:,} never lock on"
    if impossible:
        told += f"; {impossible:,} cannot be predicted (status {grid_store.IMPOSSIBLE})"
    return f"{told}\n{store.path}"


def _estimate(grid: Grid, cluster: Cluster) -> str:
    """Return about how long it takes, from a few points spread over the grid."""
    count = min(grid.size, 2 if grid.closure == "spectral" else PROBED)
    rng = np.random.default_rng(0)
    index = [rng.integers(0, size, count) for size in grid.shape]
    began = time.perf_counter()
    grid_theory.solve_points(grid, index)
    seconds = (time.perf_counter() - began) * grid.size / count / cluster.count
    where = "1 worker" if cluster.count == 1 else f"{cluster.count} workers"
    return f"about {said(seconds)} on {where}"


def said(seconds: float) -> str:
    """Return a time span as a person says it."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    sys.exit(main())
