"""Checkpoints and finished runs, and the state of model and optimizer to go on from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meanfield.errors import FileError
from meanfield.files import unfit
from meanfield.runs.run import Run, read_run
from simulate.record import Record
from simulate.trainer import Trainer, learnable

Array = NDArray[Any]


@dataclass(frozen=True)
class Resumed:
    """Where training goes on.

    epoch: of the state. broken: by seed, the first epoch since the last evaluation on record whose
    step left weights that are not finite, or 0. change: a sentence if another device or kernel goes
    on, or "".
    """

    epoch: int
    broken: list[int]
    change: str


def save(path: Path, trainer: Trainer, record: Record) -> None:
    """Write a checkpoint, whole or not at all."""
    record.run(trainer, complete=False, state=state_of(trainer)).save(path)


def finished(trainer: Trainer, record: Record) -> Run:
    """Return the run, with what its ends lack to go on from if more epochs are asked for."""
    state = {} if _ends_are_all(trainer) else state_of(trainer)
    state.pop("model/W", None)  # it is W_end
    return record.run(trainer, state=state)


def resume(path: Path, trainer: Trainer, record: Record) -> Resumed:
    """Put model, optimizer and record where a checkpoint, or a finished run, left them.

    Raises FileError if the file is broken, or not of this training begun.
    """
    run = read_run(path, unfinished=True)
    _check_same(run, trainer, path)
    state = _state_in(run, trainer, path)
    _check_start(run, trainer, path)
    _check_state(run, state, trainer, path)
    load_state(trainer, state)
    last = int(run.epoch[-1])
    since = record.go_on_from(run, trainer.experiment.schedule)
    broken = [
        epoch if epoch < last or not finite else 0
        for epoch, finite in zip(since, trainer.finite().tolist(), strict=True)
    ]
    return Resumed(last, broken, _change(run, record, trainer, path))


def state_of(trainer: Trainer) -> dict[str, Array]:
    """Return all that the next step depends on, as arrays."""
    weights = trainer.model.named_parameters()
    state: dict[str, Tensor] = {f"model/{name}": weight for name, weight in weights}
    for name, (mean, square) in trainer.optimizer.moments.items():
        state |= {f"mean/{name}": mean, f"square/{name}": square}
    arrays = {name: value.detach().cpu().numpy() for name, value in state.items()}
    return {**arrays, "steps": np.array(trainer.optimizer.steps)}


@torch.no_grad()
def load_state(trainer: Trainer, state: dict[str, Array]) -> None:
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


def _ends_are_all(trainer: Trainer) -> bool:
    """Whether q_end, k_end and W_end are all the next step depends on."""
    training = trainer.experiment.training
    return training.optimizer == "sgd" and training.fix_embedding and training.d_embed == 1


def _state_in(run: Run, trainer: Trainer, path: Path) -> dict[str, Array]:
    """Return the state that a file holds; FileError if it holds none."""
    if not run.complete:
        return run.state
    state = {"model/W": run.W_end, **run.state}
    if _ends_are_all(trainer):
        state |= {"model/query": run.q_end[..., None], "model/key": run.k_end[..., None]}
        state["model/embedding"] = state_of(trainer)["model/embedding"]
        state["steps"] = np.array(_steps(trainer, int(run.epoch[-1])))
    elif not run.state:
        raise FileError(
            f"{path} was finished without what more epochs go on from: train from the start, "
            "without --resume"
        )
    return state


def _steps(trainer: Trainer, epochs: int) -> int:
    """Return how many gradients that many epochs take."""
    training = trainer.experiment.training
    return epochs * training.steps_per_epoch * (1 if training.in_steps else 3)


def _check_same(old: Run, trainer: Trainer, path: Path) -> None:
    """Raise FileError if a file is not of this very training; a finished one may be shorter."""
    experiment = trainer.experiment
    wanted = {
        **asdict(experiment.parameters),
        **experiment.settings,
        "seeds": list(experiment.seeds),
        "dtype": trainer.machine.dtype,
    }
    found = {
        **asdict(old.parameters),
        **old.training,
        "seeds": old.seeds.tolist(),
        "dtype": old.W_end.dtype.name,
    }
    if old.complete and found["train_epochs"] < wanted["train_epochs"]:
        del wanted["train_epochs"]
    for name, value in wanted.items():
        if found[name] != value:
            raise FileError(
                f"{path} was begun with {name} = {found[name]!r}, not {value!r}: resume with "
                "the same settings, or start again elsewhere"
            )


def _check_start(run: Run, trainer: Trainer, path: Path) -> None:
    """Raise FileError unless the file began where its seeds begin."""
    task = trainer.task
    same = np.array_equal(run.permutations, task.permutations)
    for found, drawn in ((run.q_start, task.query), (run.k_start, task.key)):
        same = same and np.allclose(found, drawn.sum(-1), rtol=1e-9, atol=1e-9)
    if not same:
        raise unfit(path, "run file", "its permutations, query or key are not those of its seeds")


def _check_state(run: Run, state: dict[str, Array], trainer: Trainer, path: Path) -> None:
    """Raise FileError unless a state has the names, types, shapes and steps that training needs."""
    kinds = {name: (each.dtype, each.shape) for name, each in state_of(trainer).items()}
    steps = _steps(trainer, int(run.epoch[-1]))
    if trainer.experiment.training.optimizer != "sgd" and steps:
        for name in learnable(trainer.model):
            kinds |= dict.fromkeys((f"mean/{name}", f"square/{name}"), kinds[f"model/{name}"])
    for name in sorted(set(kinds) ^ set(state)):
        problem = "has an unknown" if name in state else "lacks"
        raise unfit(path, "run file", f"its state {problem} {name}")
    lost = [seed in run.diverged for seed in run.seeds.tolist()]
    for name, (dtype, shape) in kinds.items():
        if (state[name].dtype, state[name].shape) != (dtype, shape):
            raise unfit(path, "run file", f"{name} of its state is not {dtype} of shape {shape}")
        if name != "steps" and not np.all(np.isfinite(state[name][np.logical_not(lost)])):
            raise unfit(path, "run file", f"{name} of its state is not finite")
    ends = {"q_end": state["model/query"].sum(-1), "k_end": state["model/key"].sum(-1)}
    ends["W_end"] = state["model/W"]
    for name, end in ends.items():
        if not np.allclose(getattr(run, name), end, rtol=1e-6, atol=1e-6, equal_nan=True):
            raise unfit(path, "run file", f"{name} is not that of its state")
    if int(state["steps"]) != steps:
        raise unfit(path, "run file", f"its state has taken {state['steps']} steps, not {steps}")


def _change(run: Run, record: Record, trainer: Trainer, path: Path) -> str:
    """Say, and note in the record, that another device or kernel goes on; "" if none does."""
    now = trainer.machine.arithmetic
    other = {name: run.made_with.get(name) for name, value in now.items()
             if run.made_with.get(name) != value}  # fmt: skip
    begun = run.made_with.get("begun_with")
    if not other:
        record.made_with |= {"begun_with": begun} if begun else {}
        return ""
    words = ", ".join(f"{name} = {value!r}" for name, value in other.items())
    here = ", ".join(f"{name} = {now[name]!r}" for name in other)
    to = f"{words} to epoch {run.epoch[-1]}"
    record.made_with["begun_with"] = f"{begun}, {to}" if begun else to
    return f"{path} was begun with {words} and goes on with {here}: numbers round differently"
