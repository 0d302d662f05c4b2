"""The trainings that the figures are drawn from, each a run file named after its settings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from meanfield.errors import FileError
from meanfield.runs.run import Run, read_run
from simulate.settings import Experiment, from_set

Batch = Experiment  # one training of several seeds
REMEDY = "python -m figures --runs"  # for a run file that is missing


def batch(name: str = "main", *, seeds: int, epochs: int, every: int = 10, **changed: Any) -> Batch:
    """Return a training of seeds 0 to ``seeds`` - 1 of a named set, with some values changed.

    K follows N where N alone is changed.
    """
    return from_set(name, range(seeds), train_epochs=epochs, eval_every=every, **changed)


# Sizes at which all figures are made in a minute or two, to look at them while working on them.
QUICK: dict[str, dict[str, Any]] = {
    "main": {"N": 10, "T": 5, "n_train": 1024, "n_test": 512},
    "robust": {"N": 8, "T": 6, "K": 12, "n_train": 1024, "n_test": 512},
}


def main_batch(*, quick: bool) -> Batch:
    """Return the main training: the paper's figures are drawn from it."""
    if quick:
        return batch(seeds=8, epochs=300, every=5, **QUICK["main"])
    return batch(seeds=16, epochs=700)


def robust_batch(*, quick: bool) -> Batch:
    """Return the training of the second set of hyperparameters (Appendix J)."""
    if quick:
        return batch("robust", seeds=8, epochs=250, every=5, **QUICK["robust"])
    return batch("robust", seeds=16, epochs=600)


def lasting(short: Batch, epochs: float, *, evaluations: int = 60) -> Batch:
    """Return the same training with that many epochs, rounded up, and about so many evaluations."""
    count = math.ceil(epochs)
    every = max(1, count // evaluations)
    schedule = replace(short.schedule, train_epochs=count, eval_every=every)
    return replace(short, schedule=schedule)


def load(batches: Mapping[str, Batch], folder: Path, *, remedy: str = REMEDY) -> dict[str, Run]:
    """Read the run files; FileError, with the remedy, if one is missing.

    remedy: the command that trains what is missing.
    """
    runs = {}
    for name, each in batches.items():
        path = folder / each.file
        if not path.exists():
            raise FileError(f"{path} has not been trained yet: make it with {remedy}")
        run = read_run(path)
        settings = (run.parameters, run.training, tuple(run.seeds.tolist()))
        if settings != (each.parameters, each.settings, each.seeds):
            raise FileError(f"{path} is of another training than its name says: remove it")
        runs[name] = run
    return runs


def distinct(batches: Iterable[Batch]) -> list[Batch]:
    """Return each training once, the longest first."""
    by_file = {each.file: each for each in batches}
    return sorted(by_file.values(), key=lambda each: each.cost, reverse=True)
