"""What every sweep shares: options, the work on a cluster with a bar, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
    text = "no point locks on"
    if finite.size:
        text = f"onset from epoch {finite.min():.6g} to {finite.max():.6g}"
    never, (_, impossible) = int(np.sum(np.isposinf(onset))), store.counts()
    if never:
        text += f"; {never:,} never lock on"
    if impossible:
        text += f"; {impossible:,} cannot be predicted (status {stores.IMPOSSIBLE})"
    return f"{text}\n{store.path}"


def time_in_words(seconds: float) -> str:
    """Return a time span as a person says it."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
