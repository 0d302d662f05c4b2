"""The theory on a part of a grid: onset, order parameters and accuracies as labelled arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import generated
from meanfield.errors import ParameterError, SolverError
from meanfield.logits import gaussian as accuracy
from meanfield.parameters import Parameters
from meanfield.predict.prediction import predict
from meanfield.predict.quadrature import predict_many
from meanfield.sweep.grid import Grid
from meanfield.sweep.store import DONE, IMPOSSIBLE, Block, Variable, Variables

POINTS = 2**14  # of a block, when a closure is solved for all at once
SPECTRAL_POINTS = 8  # when each is a prediction of its own

ONSET = Variable(
    (), "epoch at which R = 1/2 (never: inf)", "epoch", {"linear": "(15), (71a), (X2b), (X3)",
     "quadratic": "(15), (71b), (X2c), (X3)", "spectral": "(15), (X5), (X8)"},
)  # fmt: skip
CURVES = {
    "R": ("attention on the right action", "(8), (15a)"),
    "Q": ("overlap with the right permutations", "(9), (15b)"),
    "S": ("overlap with the other permutations", "(9), (15c)"),
    "next_token_accuracy": ("chance that the next state is right", "(17)"),
    "rollout_accuracy": ("chance that the state after T steps is right", "(18)"),
}


def variables(grid: Grid) -> Variables:
    """Return what a theory sweep of this grid holds."""
    found = {"onset_epoch": ONSET.of(grid.closure)}
    if grid.epochs.size:
        for name, (says, source) in CURVES.items():
            found[name] = Variable(("epoch",), says, "1", source)
    return found


def block_points(grid: Grid) -> int:
    """Return how many points are solved at once, at most: what bounds the memory."""
    if grid.closure == "spectral":
        return SPECTRAL_POINTS
    return max(1, POINTS // max(1, grid.epochs.size // 4))


def solve(grid: Grid, block: Block, missing: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Return the variables and the status of the missing points of a block, in their order.

    missing: of the block's shape. Each array has the points in front.
    """
    return solve_points(grid, [each[missing] for each in block.indices()])


def solve_points(grid: Grid, index: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the same for these points; index: theirs along each axis."""
    if grid.closure == "spectral":
        return _one_by_one(grid, index)
    settings: dict[str, Any] = dict(grid.fixed)
    for (name, values), i in zip(grid.axes.items(), index, strict=True):
        settings[name] = values[i]
    w_init = settings.pop("w_init", None)
    batch = predict_many(**settings, closure=grid.closure, epochs=grid.epochs)
    found: dict[str, Any] = {"onset_epoch": batch.onset_epoch}
    if grid.epochs.size:
        N, T = (np.asarray(settings[name], float)[..., None] for name in ("N", "T"))
        K = np.asarray(settings.get("K", settings["N"]), float)[..., None]
        width = 1 / np.sqrt(N) if w_init is None else np.asarray(w_init, float)[..., None]
        gap = batch.Q - batch.S
        deviations = accuracy.deviations(
            R=batch.R,
            U_gained=gap,
            V_gained=gap + K * batch.S,
            overlap=1 / N,
            w_variance=width**2 / 3,
            N=N,
            K=K,
            T=T,
        )
        margin = generated.margin(batch.R, batch.Q, batch.S, 0.0, N, K)
        wrong = accuracy.next_token_error(margin, *deviations, N)
        found |= {"R": batch.R, "Q": batch.Q, "S": batch.S, "next_token_accuracy": 1 - wrong}
        found["rollout_accuracy"] = 1 - generated.rollout_error(wrong, N, T)
    return {**found, "status": np.full(len(batch.onset_epoch), DONE, np.int8)}


def _one_by_one(grid: Grid, index: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Solve each point by itself; one that cannot be predicted is marked, and nan."""
    names = ["onset_epoch", *(CURVES if grid.epochs.size else ())]
    shape: dict[str, tuple[int, ...]] = {name: (len(index[0]), grid.epochs.size) for name in CURVES}
    found = {name: np.full(shape.get(name, (len(index[0]),)), np.nan) for name in names}
    status = np.full(len(index[0]), DONE, np.int8)
    for row, point in enumerate(zip(*index, strict=True)):
        try:
            run = _predict(grid.parameters(*point), grid)
        except (ParameterError, SolverError):
            status[row] = IMPOSSIBLE
            continue
        onset = run.onset_epoch
        found["onset_epoch"][row] = np.inf if onset is None else onset
        for name in names[1:]:
            found[name][row] = getattr(run, name)
    return {**found, "status": status}


def _predict(parameters: Parameters, grid: Grid) -> Any:
    """Return the prediction at the grid's epochs, with the onset wherever that is."""
    whole = predict(parameters, closure=grid.closure)
    if not grid.epochs.size:
        return whole
    at_epochs = predict(parameters, closure=grid.closure, epochs=grid.epochs)
    return replace(at_epochs, onset_epoch=whole.onset_epoch)
