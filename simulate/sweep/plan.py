"""How the points of a grid are trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from meanfield.attention import closures
from meanfield.attention.onset import onset_of_closure, onset_retrieval
from meanfield.checks import real
from meanfield.errors import ParameterError
from meanfield.parameters import Parameters
from meanfield.sweep.grid import Grid
from meanfield.theory import PAPER, Theory
from meanfield.training import Training
from simulate.settings import Experiment, Machine, Schedule, seeds_of

HORIZON = 2.0  # epochs of training, in those to the linear closure's onset (T = 2: R = 3/4)
EVALUATIONS = 60  # of a training, about


@dataclass(frozen=True)
class Plan:
    """How each point is trained.

    given: of Training and Schedule, by name. horizon: epochs in units of the linear closure's
    onset, or None. folder: where run files go, one that all workers see.
    """

    given: dict[str, Any]
    seeds: tuple[int, ...]
    horizon: float | None
    folder: str
    machine: Machine

    def experiment(self, parameters: Parameters) -> Experiment:
        """Return the training of one point."""
        given = dict(self.given)
        if self.horizon is not None:
            R_end = onset_retrieval(parameters.T)
            found = onset_of_closure(closures.LINEAR, parameters, R_end=R_end)
            epochs = math.exp(found.log_t) / parameters.lr
            given["train_epochs"] = max(1, math.ceil(self.horizon * epochs))
        given.setdefault("eval_every", max(1, given["train_epochs"] // EVALUATIONS))
        return Experiment.of(self.seeds, **{**dict(parameters.items()), **given})


def plan(grid: Grid, folder: Path, device: str | None) -> Plan:
    """Return how the grid is trained; ParameterError on what cannot be.

    folder: where run files go. device: as in Machine; "auto" unless given.
    """
    given = dict(grid.training)
    seeds = given.pop("seeds", "0:4")
    horizon = given.pop("horizon", None if "train_epochs" in given else HORIZON)
    known = [each.name for kind in (Training, Schedule) for each in fields(kind)]
    for name in given:
        if name not in known:
            raise ParameterError(f"[training] has seeds, horizon, {', '.join(known)}, not {name!r}")
    if horizon is not None:
        if "train_epochs" in given:
            raise ParameterError("[training] may have train_epochs or horizon, not both")
        if real("horizon", horizon) <= 0:
            raise ParameterError(f"horizon must be greater than 0, not {horizon!r}")
    if grid.theory != Theory.parse(PAPER) or grid.epochs.size:
        raise ParameterError("theory and epochs are for python -m meanfield.sweep; leave them out")
    # a worker trains one point at a time: seeds side by side would get in each other's way
    machine = Machine(**({"device": device} if device else {}), threads=1)
    result = Plan(given, tuple(seeds_of(seeds)), horizon, str(folder.resolve()), machine)
    result.experiment(grid.parameters(*[0] * len(grid.shape)))
    return result
