"""Training: epochs, measurements and checkpoints, until the last epoch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from meanfield.files import make_folder
from meanfield.runs.run import Run, checkpoint_of
from simulate import checkpoint
from simulate.checkpoint import Resumed
from simulate.machine import side_by_side
from simulate.record import Record
from simulate.settings import Experiment, Machine
from simulate.trainer import Trainer

Report = Callable[[int, dict[str, NDArray[Any]]], None]
Say = Callable[[str], None]


def train(
    experiment: Experiment,
    *,
    machine: Machine | None = None,
    path: Path | None = None,
    resume: bool = False,
    shorter: Path | None = None,
    report: Report = lambda epoch, measured: None,
    say: Say = lambda message: None,
) -> Run:
    """Train one model a seed and return what was measured.

    machine: what to train on; whatever is there unless given.
    path: the run file to write, its folder made where it is not there; a checkpoint beside it is
        renewed at every evaluation.
    resume: go on from that checkpoint if there is one, else from ``shorter``.
    shorter: a finished run of the same training with fewer epochs, which may be ``path`` itself.
    report: called with the epoch and the measured arrays at every evaluation.
    say: called with a sentence when a seed diverges, when a finished run goes on, or if another
        device or kernel does.

    Raises ParameterError for what cannot be, FileError for a checkpoint of another run.
    """
    machine = machine or Machine()
    with side_by_side(min(machine.threads, len(experiment.seeds))) as each:
        trainer = Trainer.set_up(experiment, machine, each=each)
        record, at = Record.at_start(trainer), Resumed(0, [0] * len(experiment.seeds), "")
        begun = checkpoint_of(path) if path is not None else None
        old = begun if begun is not None and begun.exists() else shorter
        if resume and old is not None:
            at = checkpoint.resume(old, trainer, record)
            if old == shorter:
                say(f"going on from {old}, a finished run of {at.epoch} epochs")
            if at.change:
                say(at.change)
        _epochs(trainer, record, at, path, report, say)
    run = checkpoint.finished(trainer, record)
    if path is not None:
        make_folder(path.parent)
        run.save(path)
        checkpoint_of(path).unlink(missing_ok=True)
    return run


def _epochs(
    trainer: Trainer, record: Record, at: Resumed, path: Path | None, report: Report, say: Say
) -> None:
    """Train from there to the last epoch, or until all seeds diverged."""
    schedule, lr = trainer.experiment.schedule, trainer.experiment.parameters.lr
    device = trainer.machine.device
    broken = torch.tensor(at.broken, dtype=torch.int64, device=device)  # see Record.add
    for epoch in range(at.epoch, schedule.train_epochs + 1):
        last = epoch == schedule.train_epochs
        if schedule.evaluates(epoch) and epoch != record.last:
            measured = trainer.measure()
            for seed in record.add(epoch, measured, broken.tolist()):
                say(
                    f"seed {seed} diverged at epoch {record.diverged[seed]}: its numbers are no "
                    f"longer finite; it is stopped, try a smaller lr such as {lr / 4:g}"
                )
            if path is not None and not last:
                make_folder(path.parent)
                checkpoint.save(checkpoint_of(path), trainer, record)
            report(epoch, measured)
        if last or record.all_diverged:
            return
        trainer.train_epoch(epoch)
        broken = torch.where((broken == 0) & ~trainer.finite(), epoch + 1, broken)
