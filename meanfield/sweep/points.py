"""The theory on a part of a grid: onset, order parameters and accuracies as labelled arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import ParameterError, SolverError
from meanfield.parameters import Parameters
from meanfield.predict.many import NEVER, in_quadrature, predict_many
from meanfield.predict.prediction import predict
from meanfield.predict.trust import REASONS
from meanfield.sweep.grid import Grid
from meanfield.sweep.store import DONE, IMPOSSIBLE, Block, Variable, Variables

POINTS = 2**14  # of a block, when all are solved at once
SLOW_POINTS = 8  # when each is a prediction of its own
JUDGED = ("trusted", "relative_delay", "relative_lag")  # of a closure
CURVES = ("R", "Q", "S", "next_token_accuracy", "rollout_accuracy")


def variables(grid: Grid) -> Variables:
    """Return what a theory sweep of this grid holds."""
    names = ["onset_epoch", *(CURVES if grid.epochs.size else ())]
    found = {name: Variable.of(name, ("epoch",) if name in CURVES else ()) for name in names}
    found["onset_epoch"] = replace(found["onset_epoch"], source=grid.theory.equations)
    for name in JUDGED if in_quadrature(grid.theory) else ():
        found[name] = Variable.of(name, ())
        if name == "trusted":
            why = "; ".join([*REASONS.values(), NEVER])
            found[name] = replace(found[name], says=f"{found[name].says}: {why}")
    return found


def block_points(grid: Grid) -> int:
    """Return how many points are solved at once, at most: what bounds the memory."""
    if not in_quadrature(grid.theory):
        return SLOW_POINTS
    return max(1, POINTS // max(1, grid.epochs.size // 4))


def solve(grid: Grid, block: Block, missing: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Return the variables and the status of the missing points of a block, in their order.

    missing: of the block's shape. Each array has the points in front.
    """
    return solve_points(grid, [each[missing] for each in block.indices()])


def solve_points(grid: Grid, index: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the same for these points; index: theirs along each axis."""
    if not in_quadrature(grid.theory):
        return _one_by_one(grid, index)
    settings: dict[str, Any] = dict(grid.fixed)
    for (name, values), i in zip(grid.axes.items(), index, strict=True):
        settings[name] = values[i]
    batch = predict_many(grid.theory, **settings, epochs=grid.epochs)
    found: dict[str, Any] = {"onset_epoch": batch.onset_epoch}
    found |= {name: np.asarray(getattr(batch, name), float) for name in JUDGED}
    if grid.epochs.size:
        found |= {name: getattr(batch, name) for name in CURVES}
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
    whole = predict(parameters, grid.theory)
    if not grid.epochs.size:
        return whole
    at_epochs = predict(parameters, grid.theory, epochs=grid.epochs)
    return replace(at_epochs, onset_epoch=whole.onset_epoch)
