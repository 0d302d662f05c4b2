"""Checkpoints: bit for bit the same state again, and only of the same run."""

from __future__ import annotations

from dataclasses import replace
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
from tests.simulate.small import experiment, needs_compiler, trainer_of

ADAMW: dict[str, Any] = {"optimizer": "adamw", "lr": 0.05, "fix_embedding": False, "d_embed": 2}


def trained(of: Experiment, path: Path, epochs: int = 5) -> Trainer:
    """Return a trainer whose checkpoint has just been written."""
    return saved(trainer_of(of), path, epochs)


def saved(trainer: Trainer, path: Path, epochs: int = 5) -> Trainer:
    """Train for some epochs and write a checkpoint; return the trainer."""
    record, of = Record.at_start(trainer), trainer.experiment
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


def test_a_checkpoint_of_another_precision_is_refused(tmp_path: Path) -> None:
    trained(experiment(), path := tmp_path / "run.checkpoint.npz")
    other = trainer_of(experiment(), dtype="float32")
    with pytest.raises(FileError, match="was begun with dtype = 'float64', not 'float32'"):
        checkpoint.resume(path, other, Record.at_start(other))


@needs_compiler
def test_another_kernel_goes_on_and_that_is_said_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint.npz"
    saved(trainer_of(experiment(), "fused"), path)
    other = trainer_of(experiment(), "torch")
    record = Record.at_start(other)
    resumed = checkpoint.resume(path, other, record)
    assert resumed.epoch == 5
    assert resumed.change == (
        f"{path} was begun with kernel = 'fused' and goes on with kernel = 'torch': numbers round "
        "differently"
    )
    begun = "kernel = 'fused' to epoch 5"
    assert record.made_with["kernel"] == "torch"
    assert record.made_with["begun_with"] == begun
    record.run(other, complete=False, state=checkpoint.state_of(other)).save(path)
    again = Record.at_start(other)
    assert checkpoint.resume(path, other, again).change == ""
    assert again.made_with["begun_with"] == begun
    back = trainer_of(experiment(), "fused")
    third = Record.at_start(back)
    checkpoint.resume(path, back, third)
    assert third.made_with["begun_with"] == f"{begun}, kernel = 'torch' to epoch 5"


WITHOUT = None


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("model/W", WITHOUT, "its state lacks model/W"),
        ("square/key", WITHOUT, "its state lacks square/key"),
        ("momentum", np.negative, "its state has an unknown momentum"),
        (
            "model/W",
            lambda W: W[:1],
            r"model/W of its state is not float64 of shape \(3,",
        ),
        ("model/W", lambda W: W.astype(np.float32), "model/W of its state is not float64"),
        ("mean/W", lambda W: W * np.nan, "mean/W of its state is not finite"),
        ("model/W", lambda W: W + 1, "W_end is not that of its state"),
        ("model/query", lambda q: q + 1, "q_end is not that of its state"),
        ("steps", lambda n: n + 1, "its state has taken 6 steps, not 5"),
    ],
)
def test_a_state_that_is_not_what_training_needs_is_refused(
    name: str, change: Any, words: str, tmp_path: Path
) -> None:
    trainer = trained(experiment(**ADAMW), path := tmp_path / "run.checkpoint.npz")
    run = read_run(path, unfinished=True)
    state = dict(run.state)
    if change is WITHOUT:
        del state[name]
    else:
        state[name] = change(state.get(name, np.ones(3)))
    replace(run, state=state).save(path)
    before = checkpoint.state_of(trainer)
    with pytest.raises(FileError, match=words):
        checkpoint.resume(path, trainer, Record.at_start(trainer))
    for each, value in checkpoint.state_of(trainer).items():
        np.testing.assert_array_equal(value, before[each])


def test_other_permutations_than_the_seeds_draw_are_refused(tmp_path: Path) -> None:
    trainer = trained(experiment(), path := tmp_path / "run.checkpoint.npz")
    run = read_run(path, unfinished=True)
    turned = {name: getattr(run, name)[::-1] for name in ("permutations", "W_end", "Q")}
    for change in (turned, {"k_start": run.k_start + 0.1}):
        replace(run, **change).save(path)
        with pytest.raises(FileError, match="query or key are not those of its seeds"):
            checkpoint.resume(path, trainer, Record.at_start(trainer))


def test_a_resumed_model_still_learns(tmp_path: Path) -> None:
    trained(experiment(fix_embedding=False), path := tmp_path / "run.checkpoint.npz")
    again = trainer_of(experiment(fix_embedding=False))
    checkpoint.resume(path, again, Record.at_start(again))
    assert all(weight.requires_grad for weight in again.model.parameters())
    assert torch.equal(
        again.model.W.detach(), torch.as_tensor(checkpoint.state_of(again)["model/W"])
    )
