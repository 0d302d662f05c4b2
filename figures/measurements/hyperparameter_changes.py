"""One hyperparameter changed at a time from the main set: the trainings, and what is learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from figures.batches import QUICK, Batch, batch, lasting, main_batch
from figures.measurements import onset_epochs
from meanfield.parameters import Parameters
from meanfield.predict.horizon import SATURATED
from meanfield.predict.prediction import predict
from meanfield.runs.run import Run
from meanfield.theory import CLOSURES

Array = NDArray[np.float64]

SEEDS = 3
LENGTH = 1.5  # epochs of training, in those to saturation by the slower closure
SHORTEST = 100  # epochs, however large the learning rate
MAIN = "main"


@dataclass(frozen=True, kw_only=True)
class Series:
    """One hyperparameter that is changed, and its values; N alone keeps K.

    quick: values of small models. others: what else differs from the main set.
    """

    changes: str
    values: tuple[Any, ...]
    quick: tuple[Any, ...]
    others: Mapping[str, Any] = field(default_factory=dict)

    def value_in(self, run: Run) -> float:
        """Return the value that a training has."""
        return float({**dict(run.parameters.items()), **run.training}[self.changes])


SERIES: dict[str, Series] = {
    "N": Series(changes="N", values=(5, 10, 40), quick=(20,)),
    "K": Series(changes="K", values=(5, 10, 40), quick=(20,)),
    "T": Series(changes="T", values=(3, 5, 15), quick=(3, 8)),
    "d_head": Series(changes="d_head", values=(2, 4, 8, 16), quick=(2, 8)),
    "d_head faster": Series(
        changes="d_head", values=(2, 4), quick=(2,), others={"T": 20, "lr": 20.0}
    ),
    "power": Series(changes="rope_theta", values=(2.0, 100.0, 1e4), quick=(100.0, 1e4)),
    "linear": Series(
        changes="rope_theta",
        values=(2.0, 10.0, 1e4),
        quick=(10.0, 1e4),
        others={"rope_spacing": "linear"},
    ),
    "lr": Series(
        changes="lr", values=(1.0, 5.0, 20.0, 50.0, 100.0, 200.0, 500.0), quick=(20.0, 200.0)
    ),
    "n_train": Series(changes="n_train", values=(16, 64, 256, 1024, 8192), quick=(64, 256)),
}


def batches(*, quick: bool) -> dict[str, Batch]:
    """The main training, and one for each value of each series, named "series value"."""
    result = {MAIN: main_batch(quick=quick)}
    for name, series in SERIES.items():
        for value in series.quick if quick else series.values:
            changed = {**(QUICK[MAIN] if quick else {}), **series.others, series.changes: value}
            if quick and "T" in series.others:
                changed["T"] = 2 * QUICK[MAIN]["T"]
            if series.changes == "N":
                changed["K"] = result[MAIN].parameters.K
            short = batch(seeds=2 if quick else SEEDS, epochs=1, **changed)
            result[f"{name} {value:g}"] = lasting(
                short, horizon(short.parameters), evaluations=30 if quick else 60
            )
    return result


@cache
def horizon(parameters: Parameters) -> int:
    """Return how many epochs to train: some more than either closure needs to saturate."""
    saturated = (predict(parameters, name).saturation_epoch for name in CLOSURES)
    needed = LENGTH * max(epoch for epoch in saturated if epoch is not None)
    return max(SHORTEST, 10 * round(needed / 10))


@dataclass(frozen=True)
class Outcome:
    """What became of one training.

    value: of what was changed. rollout: accuracy of each seed at the end. lost: whether its R ends
    below where it began. diverged: whether its loss ends above where it began, or is no number.
    onset: epoch of each seed's onset over that of the linear closure; nan if it never comes.
    quadratic: the same of the quadratic closure.
    """

    value: float
    rollout: Array
    lost: NDArray[np.bool_]
    diverged: NDArray[np.bool_]
    onset: Array
    quadratic: float

    @property
    def learned(self) -> NDArray[np.bool_]:
        """Which seeds have learned fully."""
        return np.asarray(self.rollout >= 1 - SATURATED)

    @property
    def fates(self) -> list[str]:
        """The fate of each seed: "learned", "lost", "diverged", or "not" for none of them."""
        fates = {"diverged": self.diverged, "lost": self.lost, "learned": self.learned}
        return np.select(list(fates.values()), list(fates), "not").tolist()


def outcome(run: Run, value: float) -> Outcome:
    """Return what became of the first seeds of a training."""
    p, loss, R = run.parameters, run.loss[:SEEDS], run.R[:SEEDS]
    linear, quadratic = (onset_epochs.predicted_epoch(p, name) for name in CLOSURES)
    return Outcome(
        value=value,
        rollout=np.nan_to_num(run.rollout_accuracy[:SEEDS, -1], nan=1 / p.N),
        lost=R[:, -1] < R[:, 0],
        diverged=~(loss[:, -1] <= loss[:, 0]),
        onset=onset_epochs.measured_epochs(run)[:SEEDS] / linear,
        quadratic=quadratic / linear,
    )


def outcomes(runs: Mapping[str, Run]) -> dict[str, list[Outcome]]:
    """Return what became of the trainings of each series, in the order of the value changed.

    The main training is one of a series that changes nothing else.
    """
    result = {}
    for name, series in SERIES.items():
        own = [run for key, run in runs.items() if key.rpartition(" ")[0] == name]
        if not series.others:
            own.append(runs[MAIN])
        each = [outcome(run, series.value_in(run)) for run in own]
        result[name] = sorted(each, key=lambda one: one.value)
    return result
