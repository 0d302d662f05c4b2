"""What every sweep shares: options, the work on a cluster with a bar, and what came out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from meanfield import command
from meanfield.sweep import store as stores
from meanfield.sweep import workers
from meanfield.sweep.grid import Grid
from meanfield.sweep.store import Store
from meanfield.sweep.workers import Cluster

RESUME = "the same command with --resume goes on"


def add_options(to: Any) -> None:
    """Add to a parser what every sweep has: how to go on, and where to run."""
    to.add_argument(
        "--resume",
        action="store_true",
        help="go on, or add values to the axes; what is there stays",
    )
    to.add_argument("--overwrite", action="store_true", help="start again over an old dataset")
    to.add_argument(
        "--dry-run", action="store_true", help="check the grid, say how many runs and how long"
    )
    command.add_fields(
        to.add_argument_group("where to run (by default a process for each core)"), Cluster
    )


def cluster_of(options: Any) -> Cluster:
    """Return where the options say to run."""
    return Cluster(**command.given(options, Cluster))


def described(grid: Grid) -> str:
    """Return how many runs a grid is, and of what."""
    sizes = " x ".join(f"{len(values)} {name}" for name, values in grid.axes.items())
    return f"{grid.size:,} parameter sets ({sizes})"


def fill(
    prepare: Callable[[], Store],
    function: Callable[..., Any],
    cluster: Cluster,
    *more: Any,
) -> Store:
    """Compute what a store does not have yet, and keep each result as it comes, with a bar.

    prepare: makes the store, once the cluster is there. function: of the grid, a block, which of
    its points are missing, and more; returns the variables of these points.
    """
    from tqdm import tqdm

    with workers.started(cluster) as client:
        store = prepare()
        tasks = ((store.grid, block, missing, *more) for block, missing in store.unfinished())
        results = workers.run(function, tasks, cluster, client)
        there = sum(int(done.sum()) for done, _ in store.results())
        with tqdm(total=store.grid.size, initial=there, disable=None) as bar:
            for (_, block, missing, *_), found in results:
                store.write(block, missing, found)
                bar.update(int(missing.sum()))
    return store


def summary(store: Store) -> str:
    """Return what came out, a line each."""
    low, high, never, impossible, doubtful = np.inf, -np.inf, 0, 0, 0
    for done, values in store.results():
        onset = values["onset_epoch"][done] if done.any() else np.array([])
        finite = onset[np.isfinite(onset)]
        low, high = min(low, finite.min(initial=np.inf)), max(high, finite.max(initial=-np.inf))
        never += int(np.sum(np.isposinf(onset)))
        if "trusted" in values:
            doubtful += int(np.sum(values["trusted"][done] == 0))
        if done.any():
            impossible += int(np.sum(values["status"][done] == stores.IMPOSSIBLE))
    text = f"onset from epoch {low + 0:.6g} to {high:.6g}" if low <= high else "no point locks on"
    if never:
        text += f"; {never:,} never lock on"
    if impossible:
        text += f"; {impossible:,} cannot be predicted (status {stores.IMPOSSIBLE})"
    if doubtful:
        text += f"; {doubtful:,} not to be trusted (see trusted, relative_delay, relative_lag)"
    return f"{text}\n{store.path}"


def time_in_words(seconds: float) -> str:
    """Return a time span as a person says it."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
