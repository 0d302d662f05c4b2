"""Checkpoints: a run that is under way, and the state of model and optimizer to go on from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meanfield.errors import FileError
from meanfield.runs.run import Run, read_run
from simulate.record import Record
from simulate.trainer import Trainer


def save(path: Path, trainer: Trainer, record: Record) -> None:
    """Write a checkpoint, whole or not at all."""
    record.run(trainer, state=state_of(trainer)).save(path)


def resume(path: Path, trainer: Trainer, record: Record) -> None:
    """Put model, optimizer and record where a checkpoint left them.

    Raises FileError if it is broken or of another run.
    """
    run = read_run(path, unfinished=True)
    _check_same(run, trainer, path)
    load_state(trainer, run.state)
    record.go_on_from(run)


def state_of(trainer: Trainer) -> dict[str, NDArray[Any]]:
    """Return all that the next step depends on, as arrays."""
    weights = trainer.model.named_parameters()
    state: dict[str, Tensor] = {f"model/{name}": weight for name, weight in weights}
    for name, (mean, square) in trainer.optimizer.moments.items():
        state |= {f"mean/{name}": mean, f"square/{name}": square}
    arrays = {name: value.detach().cpu().numpy() for name, value in state.items()}
    return {**arrays, "steps": np.array(trainer.optimizer.steps)}


@torch.no_grad()
def load_state(trainer: Trainer, state: dict[str, NDArray[Any]]) -> None:
    """Undo state_of."""
    trainer.optimizer.steps = int(state["steps"])
    for name, weight in trainer.model.named_parameters():
        weight.copy_(torch.from_numpy(state[f"model/{name}"]))
        if f"mean/{name}" in state:
            mean, square = (
                torch.from_numpy(state[f"{kind}/{name}"]).to(weight.device)
                for kind in ("mean", "square")
            )
            trainer.optimizer.moments[name] = mean, square


def _check_same(old: Run, trainer: Trainer, path: Path) -> None:
    """Raise FileError if a checkpoint is not of this very run."""
    experiment, machine = trainer.experiment, trainer.machine.arithmetic
    wanted = {
        **asdict(experiment.parameters),
        **experiment.settings,
        "seeds": list(experiment.seeds),
        **machine,
    }
    found = {
        **asdict(old.parameters),
        **old.training,
        "seeds": old.seeds.tolist(),
        **{name: old.made_with.get(name) for name in machine},
    }
    for name, value in wanted.items():
        if found.get(name) != value:
            raise FileError(
                f"{path} was begun with {name} = {found.get(name)!r}, not {value!r}: resume with "
                "the same settings, or start again elsewhere"
            )
