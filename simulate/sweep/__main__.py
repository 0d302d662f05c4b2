"""``python -m simulate.sweep grid.toml --out runs/``: training over a grid of parameters.

Each point is a run file of its own, named after a hash of all its settings, so that no training is
done twice; the onset of every seed is gathered in sweep.zarr beside them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from meanfield import command
from meanfield.sweep import folder
from meanfield.sweep import grid as grids
from meanfield.sweep.running import (
    RESUME,
    add_options,
    cluster_of,
    described,
    fill,
    summary,
    time_in_words,
)
from simulate.settings import Machine
from simulate.sweep.plan import plan


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = command.parser(
        "python -m simulate.sweep",
        "Train the model at every point of a grid; a run file a point, and all onsets as a "
        "labelled\nZarr dataset, sweep.zarr, beside them.",
    )
    result.add_argument(
        "grid", type=Path, metavar="GRID.toml", help="what varies and what is fixed"
    )
    result.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="for run files and sweep.zarr; all workers must see it",
    )
    command.add_fields(result, Machine, ["device"])
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
    how = plan(grid, options.out, options.device)
    from simulate.sweep import points  # torch is loaded once the grid is found good

    out = options.out / "sweep.zarr"
    contents = folder.Contents(
        title="Training over a grid of parameters",
        variables=points.VARIABLES,
        points=1,
        extra={"seed": np.array(how.seeds)},
    )
    goes_on = {"resume": options.resume, "overwrite": options.overwrite}
    if not options.dry_run:
        folder.check(out, grid, contents, **goes_on)
    seconds, epochs = points.estimate(grid, how)
    seeds = "1 seed each" if len(how.seeds) == 1 else f"{len(how.seeds)} seeds each"
    print(
        f"{described(grid)}, {seeds}: about {time_in_words(seconds / cluster.count)}, "
        f"trainings of up to {epochs:,} epochs"
    )
    if options.dry_run:
        return 0
    prepare = partial(folder.prepare, out, grid, contents, **goes_on)
    store = fill(prepare, points.solve, cluster, how)
    print(summary(store))
    return 0


if __name__ == "__main__":
    sys.exit(main())
