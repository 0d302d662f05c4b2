"""``python -m simulate.sweep grid.toml --out runs/``: training over a grid of parameters.

Each point is a run file of its own, named after a hash of all its settings, so that no training is
done twice; the onset of every seed is gathered in sweep.zarr beside them.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from meanfield.attention import closures
from meanfield.attention import onset as lock
from meanfield.checks import real
from meanfield.command import Parser
from meanfield.compare.comparison import first_half
from meanfield.errors import ParameterError
from meanfield.files import make_folder
from meanfield.parameters import Parameters
from meanfield.runs.run import Run, read_run
from meanfield.sweep import grid as grids
from meanfield.sweep import store as grid_store
from meanfield.sweep import workers
from meanfield.sweep.__main__ import (
    add_options,
    cluster_of,
    described,
    fill,
    guarded,
    said,
    summary,
)
from meanfield.sweep.grid import Grid
from meanfield.sweep.store import DONE, Block, Variable, Variables
from simulate.cli import seeds_of
from simulate.settings import Training, run_name
from simulate.train import train

HORIZON = 2.0  # epochs of training, in those to the linear closure's onset (T = 2: R = 3/4)
EVALUATIONS = 60  # of a training, about
PROBED = 5  # epochs that are trained for the estimate of the time

SEED = ("seed",)
VARIABLES: Variables = {
    "onset_epoch": Variable(SEED, "epoch at which R = 1/2 (not reached: inf)", "epoch", "(8)"),
    "R": Variable(SEED, "attention on the right action at the end", "1", "(8)"),
    "Q": Variable(SEED, "overlap with the right permutations at the end", "1", "(9)"),
    "S": Variable(SEED, "overlap with the other permutations at the end", "1", "(9)"),
    "rollout_accuracy": Variable(SEED, "test rollouts that end right, at the end", "1", "(18)"),
    "train_epochs": Variable((), "epochs trained", "epoch", ""),
}


@dataclass(frozen=True)
class Plan:
    """How each point is trained. horizon: epochs in units of the linear closure's onset, or None.

    given: of Training. folder: where run files go, one that all workers see.
    """

    given: dict[str, Any]
    seeds: tuple[int, ...]
    horizon: float | None
    folder: str
    device: str

    def training(self, parameters: Parameters) -> Training:
        """Return the training of one point."""
        given = dict(self.given)
        if self.horizon is not None:
            locked = lock.closure_lock(closures.LINEAR, parameters, R_end=lock.goal(parameters.T))
            onset = math.exp(locked.log_t) / parameters.lr
            given["train_epochs"] = max(1, math.ceil(self.horizon * onset))
        given.setdefault("eval_every", max(1, given["train_epochs"] // EVALUATIONS))
        return Training(**given)


def plan(grid: Grid, folder: Path, device: str) -> Plan:
    """Return how the grid is trained; ParameterError on what cannot be."""
    given = dict(grid.training)
    seeds = given.pop("seeds", "0:4")
    horizon = given.pop("horizon", None if "train_epochs" in given else HORIZON)
    known = [field.name for field in fields(Training)]
    for name in given:
        if name not in known:
            raise ParameterError(f"[training] has seeds, horizon, {', '.join(known)}, not {name!r}")
    if horizon is not None:
        if "train_epochs" in given:
            raise ParameterError("[training] may have train_epochs or horizon, not both")
        if real("horizon", horizon) <= 0:
            raise ParameterError(f"horizon must be greater than 0, not {horizon!r}")
    try:
        chosen = tuple(seeds_of(seeds))
    except (argparse.ArgumentTypeError, AttributeError, TypeError):
        raise ParameterError(
            f'seeds must be text such as "0:8" or "1,5,7", not {seeds!r}'
        ) from None
    if grid.closure != "linear" or grid.epochs.size:
        raise ParameterError("closure and epochs are for python -m meanfield.sweep; leave them out")
    result = Plan(given, chosen, horizon, str(folder.resolve()), device)
    result.training(grid.parameters(*[0] * len(grid.shape)))
    return result


def solve(
    grid: Grid, block: Block, _missing: NDArray[np.bool_], plan: Plan
) -> dict[str, NDArray[Any]]:
    """Train one point, or read its run file, and return the variables, a row."""
    torch.set_num_threads(1)
    parameters = grid.parameters(*block.start)
    training = plan.training(parameters)
    path = Path(plan.folder) / run_name(parameters, training, plan.seeds)
    if path.exists():
        run = read_run(path)
    else:  # a worker that died left its checkpoint
        run = train(parameters, training, plan.seeds, path=path, resume=True, device=plan.device)
    return row(run)


def row(run: Run) -> dict[str, NDArray[Any]]:
    """Return what a sweep keeps of a run; a seed that diverged is nan."""
    onset = np.array([_onset(run, R) for R in run.R])
    onset[np.isin(run.seeds, list(run.diverged))] = np.nan
    found = {"onset_epoch": onset[None], "train_epochs": np.array([float(run.epoch[-1])])}
    for name in ("R", "Q", "S", "rollout_accuracy"):
        found[name] = getattr(run, name)[None, :, -1]
    return {**found, "status": np.array([DONE], np.int8)}


def _onset(run: Run, R: NDArray[np.float64]) -> float:
    epoch = first_half(run.epoch.astype(float), R, _logit)
    return math.inf if math.isnan(epoch) else epoch


def _logit(R: Any) -> Any:
    return np.log(R / (1 - R))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = Parser(
        prog="python -m simulate.sweep",
        description="Train the model at every point of a grid; a run file a point, and all onsets "
        "as a labelled Zarr dataset, sweep.zarr, beside them.",
    )
    result.add_argument(
        "grid", type=Path, metavar="GRID.toml", help="what varies and what is fixed"
    )
    result.add_argument("--out", type=Path, required=True, metavar="FOLDER",
                        help="for run files and sweep.zarr; all workers must see it")  # fmt: skip
    result.add_argument("--device", default="auto", metavar="auto|cpu|cuda")
    add_options(result)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    command = parser()
    options = command.parse_args(argv)
    return guarded(command, lambda: _sweep(options))


def _sweep(options: argparse.Namespace) -> int:
    grid_store.require_libraries()
    grid, cluster = grids.read(options.grid), cluster_of(options)
    how = plan(grid, options.out, options.device)
    make_folder(options.out)
    seeds = f"{len(how.seeds)} seeds each" if len(how.seeds) > 1 else "1 seed each"
    print(f"{described(grid)}, {seeds}: {_estimate(grid, how, cluster)}")
    if options.dry_run:
        return 0
    store = grid_store.prepare(
        options.out / "sweep.zarr",
        grid,
        VARIABLES,
        points=1,
        extra={"seed": np.array(how.seeds)},
        title="Training over a grid of parameters",
        resume=options.resume,
        overwrite=options.overwrite,
    )
    tasks = ((grid, block, missing, how) for block, missing in store.unfinished())
    fill(store, solve, tasks, cluster)
    print(summary(store))
    return 0


def _estimate(grid: Grid, how: Plan, cluster: workers.Cluster) -> str:
    """Return about how long it takes: a few epochs of the first point, scaled by the sizes."""
    first = grid.parameters(*[0] * len(grid.shape))
    training = how.training(first)
    short = Training(**{**_given(training), "train_epochs": PROBED, "eval_every": PROBED})
    train(first, short, how.seeds, device=how.device)  # what is compiled once is not counted
    began = time.perf_counter()
    train(first, short, how.seeds, device=how.device)
    by_size = (time.perf_counter() - began) / PROBED / _work(first)
    total, epochs = 0.0, 0
    rng = np.random.default_rng(0)
    for _ in range(count := min(grid.size, 50)):
        point = grid.parameters(*(int(rng.integers(0, n)) for n in grid.shape))
        trained = how.training(point).train_epochs
        epochs = max(epochs, trained)
        total += by_size * _work(point) * trained
    seconds = total / count * grid.size / cluster.count
    return f"about {said(seconds)}, trainings of up to {epochs:,} epochs"


def _given(training: Training) -> dict[str, Any]:
    return {field.name: getattr(training, field.name) for field in fields(training)}


def _work(parameters: Parameters) -> float:
    """Return what an epoch costs, up to a factor: rows times logits."""
    return parameters.T**2 * (parameters.N + 20.0)


if __name__ == "__main__":
    sys.exit(main())
