"""Checkpoints: bit for bit the same state again, and only of the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from meanfield.errors import FileError
from meanfield.runs.run import read_run
from simulate import checkpoint
from simulate.record import Record
from simulate.settings import Experiment
from simulate.trainer import Trainer
from tests.simulate.small import experiment, trainer_of

ADAMW: dict[str, Any] = {"optimizer": "adamw", "lr": 0.05, "fix_embedding": False, "d_embed": 2}


def trained(of: Experiment, path: Path, epochs: int = 5) -> Trainer:
    """Return a trainer whose checkpoint has just been written."""
    trainer = trainer_of(of)
    record = Record.at_start(trainer)
    record.add(0, trainer.measure(), [0] * len(of.seeds))
    for epoch in range(epochs):
        trainer.train_epoch(epoch)
    record.add(epochs, trainer.measure(), [0] * len(of.seeds))
    checkpoint.save(path, trainer, record)
    return trainer


@pytest.mark.parametrize("changed", [{}, ADAMW])
def test_the_next_step_is_the_same_bit_for_bit(changed: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint.npz"
    first = trained(experiment(**changed), path)
    second = trainer_of(experiment(**changed))
    record = Record.at_start(second)
    checkpoint.resume(path, second, record)
    assert record.epochs == [0, 5]
    assert second.optimizer.steps == first.optimizer.steps == 5
    assert set(second.optimizer.moments) == (
        {"query", "key", "W", "embedding"} if changed else set()
    )
    for _ in range(2):
        here, there = checkpoint.state_of(first), checkpoint.state_of(second)
        assert set(here) == set(there)
        for name, value in here.items():
            np.testing.assert_array_equal(there[name], value, err_msg=name)
        first.train_epoch(5)
        second.train_epoch(5)


def test_the_state_is_named_as_in_checkpoints_that_exist(tmp_path: Path) -> None:
    trained(experiment(**ADAMW), path := tmp_path / "run.checkpoint.npz")
    run = read_run(path, unfinished=True)
    assert not run.complete
    weights = ("query", "key", "W", "embedding")
    assert set(run.state) == {
        "steps", *(f"{kind}/{name}" for kind in ("model", "mean", "square") for name in weights)
    }  # fmt: skip
    assert int(run.state["steps"]) == 5
    np.testing.assert_array_equal(run.state["model/W"], run.W_end)
    assert bool(np.all(run.state["square/W"] >= 0))
    assert bool(np.any(run.state["mean/W"] < 0))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"seeds": [2, 1, 0]}, "seeds = [0, 1, 2], not [2, 1, 0]"),
        ({"seeds": [0]}, "seeds = [0, 1, 2], not [0]"),
        ({"weight_decay": 0.5}, "weight_decay = 0.0, not 0.5"),
        ({"eval_every": 4}, "eval_every = 5, not 4"),
        ({"lr": 1.5}, "lr = 4.0, not 1.5"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(
    changed: dict[str, Any], words: str, tmp_path: Path
) -> None:
    trained(experiment(), path := tmp_path / "run.checkpoint.npz")
    other = trainer_of(experiment(**changed))
    before = checkpoint.state_of(other)["model/W"].copy()
    with pytest.raises(FileError) as raised:
        checkpoint.resume(path, other, Record.at_start(other))
    assert str(raised.value) == (
        f"{path} was begun with {words}: resume with the same settings, or start again elsewhere"
    )
    np.testing.assert_array_equal(checkpoint.state_of(other)["model/W"], before)


def test_a_checkpoint_of_another_arithmetic_is_refused(tmp_path: Path) -> None:
    trained(experiment(), path := tmp_path / "run.checkpoint.npz")
    other = trainer_of(experiment(), dtype="float32")
    with pytest.raises(FileError, match="was begun with dtype = 'float64', not 'float32'"):
        checkpoint.resume(path, other, Record.at_start(other))


def test_a_resumed_model_still_learns(tmp_path: Path) -> None:
    trained(experiment(fix_embedding=False), path := tmp_path / "run.checkpoint.npz")
    again = trainer_of(experiment(fix_embedding=False))
    checkpoint.resume(path, again, Record.at_start(again))
    assert all(weight.requires_grad for weight in again.model.parameters())
    assert torch.equal(
        again.model.W.detach(), torch.as_tensor(checkpoint.state_of(again)["model/W"])
    )
