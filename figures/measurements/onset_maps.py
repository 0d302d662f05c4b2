"""When attention has its onset over the sizes and the RoPE base, in theory and in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from figures.batches import Batch
from figures.measurements import onset_epochs
from meanfield.parameters import Parameters
from meanfield.predict import trust
from meanfield.predict.many import predict_many
from meanfield.runs.run import Run
from meanfield.theory import CLOSURES

Array = NDArray[np.float64]

MAPPED = "linear"  # the closure that is drawn as a map


@dataclass(frozen=True, kw_only=True)
class Map:
    """One map: what changes across, beside T upwards, and at which values it is trained.

    name: of the axis. description: for the caption. ticks: across. others: what all its models
    have in common. grid: values of the theory, across and up. trained, quick: values of the
    trainings.
    """

    across: str
    name: str
    description: str
    ticks: tuple[float, ...]
    others: dict[str, Any]
    grid: tuple[NDArray[Any], NDArray[Any]]
    trained: tuple[tuple[Any, ...], tuple[Any, ...]]
    quick: tuple[tuple[Any, ...], tuple[Any, ...]]

    @property
    def label(self) -> str:
        """The label of the axis: its name, and what all the models have in common."""
        N = self.others.get("N")
        both = "N" if self.across == "K" else "N=K"
        return self.name if N is None else f"{self.name}, at ${both}={N}$"

    def settings(self, across: Any, T: Any) -> dict[str, Any]:
        """Return the settings of a point, or of many."""
        changed = {**self.others, self.across: across, "T": T}
        return {"K": changed["N"], **changed}  # as many permutations as states

    def points(self, *, quick: bool) -> list[tuple[Any, Any]]:
        """Return the points that are trained, (across, T)."""
        columns, rows = self.quick if quick else self.trained
        return [(across, T) for across in columns for T in rows]


ACTIONS = np.arange(3, 33)
MAPS = {
    "N": Map(
        across="N",
        name="states $N$ = permutations $K$",
        description="$N=K$ and $T$",
        ticks=(8, 20, 50),
        others={},
        grid=(np.arange(5, 65), ACTIONS),
        trained=((8, 20, 50), (4, 10, 20)),
        quick=((6, 12), (4, 8)),
    ),
    "K": Map(
        across="K",
        name="permutations $K$",
        description="$K$ and $T$",
        ticks=(8, 20, 50),
        others={"N": 20},
        grid=(np.arange(6, 65), ACTIONS),
        trained=((8, 20, 50), (4, 10, 20)),
        quick=((8, 20), (4,)),
    ),
    "rope_theta": Map(
        across="rope_theta",
        name="RoPE base",
        description="RoPE base and $T$",
        ticks=(10, 100, 1000, 10000),
        others={"N": 20},
        grid=(np.geomspace(2.0, 3e4, 61), ACTIONS),
        trained=((10.0, 100.0, 1e4), (4, 10, 20)),
        quick=((10.0, 1e4), (4,)),
    ),
}


def batches(*, quick: bool) -> dict[str, Batch]:
    """One training for each point on each map, named "map across T".

    Each has the learning rate that brings its predicted onset to about the same epoch.
    """
    return {
        f"{name} {across:g} {T}": onset_epochs.batch_past_onset(
            each.settings(across, T), quick=quick
        )
        for name, each in MAPS.items()
        for across, T in each.points(quick=quick)
    }


@dataclass(frozen=True)
class Point:
    """One training on a map.

    simulated: median over its seeds of the training time of the onset; inf if most have none.
    scatter: standard deviation over seeds, relative to it; nan if one has none.
    delay: how much later each closure puts it, relative; meaningless if most have none.
    """

    map: str
    across: float
    T: int
    simulated: float
    scatter: float
    delay: dict[str, float]

    @property
    def learned(self) -> bool:
        """Whether most seeds have an onset."""
        return bool(np.isfinite(self.simulated))


def point(name: str, run: Run) -> Point:
    """Return where a training stands on which map, and how late theory is."""
    which, across, T = name.split()
    p, epochs = run.parameters, np.nan_to_num(onset_epochs.measured_epochs(run), nan=np.inf)
    simulated = p.lr * float(np.median(epochs))
    predicted = {closure: p.lr * onset_epochs.predicted_epoch(p, closure) for closure in CLOSURES}
    delay = {closure: time / simulated - 1 for closure, time in predicted.items()}
    all_learn = bool(np.all(np.isfinite(epochs)))
    scatter = p.lr * float(np.std(epochs, ddof=1)) / simulated if all_learn else np.nan
    return Point(which, float(across), int(T), simulated, scatter, delay)


def onset_times(each: Map) -> Array:
    """Return the predicted training time of the onset over a map's grid, (T, across)."""
    across, T = each.grid
    settings = each.settings(across, T[:, None])
    return predict_many(MAPPED, **settings, lr=1.0).onset_epoch


def delay_against_softmax(each: Map) -> tuple[Array, Array, Array]:
    """Return a coarse grid of a map, across and T, and the closure's delay there, (T, across).

    The delay is relative to the softmax attention from its mean start; nothing is trained.
    """
    across, T = (axis[:: max(1, len(axis) // 12)] for axis in each.grid)
    delay = np.full((len(T), len(across)), np.nan)
    for row, column in np.ndindex(delay.shape):
        settings = each.settings(float(across[column]), int(T[row]))
        parameters = Parameters(**settings)
        delay[row, column] = trust.relative_delays(parameters, CLOSURES[MAPPED])[0]
    return across, T, delay
