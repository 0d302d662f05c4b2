"""The points of a grid: each one training, a run file of its own, and what a sweep keeps of it."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.compare.statistics import first_half
from meanfield.runs.run import Run, read_run
from meanfield.sweep.grid import Grid
from meanfield.sweep.store import DONE, Block, Variable, Variables
from simulate.machine import one_thread
from simulate.settings import Schedule
from simulate.sweep.plan import Plan
from simulate.train import train

PROBED = 5  # epochs that are trained for the estimate of the time
SAMPLED = 50  # points whose costs are averaged for it

SEED = ("seed",)
VARIABLES: Variables = {
    "onset_epoch": Variable(SEED, "epoch at which R = 1/2 (not reached: inf)", "epoch", "(8)"),
    "R": Variable(SEED, "attention on the right action at the end", "1", "(8)"),
    "Q": Variable(SEED, "overlap with the right permutations at the end", "1", "(9)"),
    "S": Variable(SEED, "overlap with the other permutations at the end", "1", "(9)"),
    "rollout_accuracy": Variable(SEED, "test rollouts that end right, at the end", "1", "(18)"),
    "train_epochs": Variable((), "epochs trained", "epoch", ""),
}


def solve(
    grid: Grid, block: Block, _missing: NDArray[np.bool_], plan: Plan
) -> dict[str, NDArray[Any]]:
    """Train one point, or read its run file, and return the variables, a row."""
    one_thread()
    experiment = plan.experiment(grid.parameters(*block.start))
    path = Path(plan.folder) / experiment.file
    if path.exists():
        run = read_run(path)
    else:  # a worker that died left its checkpoint
        run = train(experiment, machine=plan.machine, path=path, resume=True)
    return row(run)


def row(run: Run) -> dict[str, NDArray[Any]]:
    """Return what a sweep keeps of a run; a seed that diverged is nan."""
    onset = np.array([_onset(run, R) for R in run.R])
    onset[np.isin(run.seeds, list(run.diverged))] = np.nan
    found = {"onset_epoch": onset[None], "train_epochs": np.array([float(run.epoch[-1])])}
    for name in ("R", "Q", "S", "rollout_accuracy"):
        found[name] = getattr(run, name)[None, :, -1]
    return {**found, "status": np.array([DONE], np.int8)}


def estimate(grid: Grid, plan: Plan) -> tuple[float, int]:
    """Return about how many seconds all points take one worker, and the most epochs of one.

    A few epochs of the first point are trained, and scaled by the costs of points of all sizes.
    """
    first = plan.experiment(grid.parameters(*[0] * len(grid.shape)))
    probe = Schedule(n_test=first.schedule.n_test, train_epochs=PROBED, eval_every=PROBED)
    short = replace(first, schedule=probe)
    train(short, machine=plan.machine)  # what is compiled once is not counted
    began = time.perf_counter()
    train(short, machine=plan.machine)
    by_cost = (time.perf_counter() - began) / short.cost
    rng = np.random.default_rng(0)
    sampled = [
        plan.experiment(grid.parameters(*(int(rng.integers(0, size)) for size in grid.shape)))
        for _ in range(min(grid.size, SAMPLED))
    ]
    seconds = by_cost * float(np.mean([each.cost for each in sampled])) * grid.size
    return seconds, max(each.schedule.train_epochs for each in sampled)


def _onset(run: Run, R: NDArray[np.float64]) -> float:
    epoch = first_half(run.epoch.astype(float), R, _logit)
    return math.inf if math.isnan(epoch) else epoch


def _logit(R: Any) -> Any:
    return np.log(R / (1 - R))
