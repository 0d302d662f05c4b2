"""How a model is trained: checked when made, and read from what a run file holds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from meanfield import ParameterError
from meanfield.training import Schedule, Training


def test_defaults_are_resolved() -> None:
    assert asdict(Training()) == {
        "n_train": 4096,
        "batch_size": 4096,
        "optimizer": "sgd",
        "weight_decay": 0.0,
        "integrator": "sgd",
        "d_embed": 1,
        "fix_embedding": True,
    }
    assert Training(n_train=100).batch_size == 100
    assert Training(n_train=100) != Training(n_train=100, batch_size=30)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"n_train": 0}, "n_train must be between 1 and 1000000000, not 0"),
        ({"n_train": 2.5}, "n_train must be an integer, not 2.5"),
        ({"batch_size": True}, "batch_size must be an integer, not True"),
        ({"batch_size": 0}, "batch_size must be between 1 and 1000000000, not 0"),
        ({"batch_size": 5000}, "batch_size must be at most n_train = 4096, not 5000"),
        ({"weight_decay": -1}, "weight_decay must be at least 0, not -1"),
        ({"weight_decay": float("nan")}, "weight_decay must be a finite number, not nan"),
        ({"optimizer": "adam"}, "optimizer must be \"sgd\" or \"adamw\", not 'adam'"),
        ({"integrator": "rk4"}, "integrator must be \"sgd\" or \"ssprk3\", not 'rk4'"),
        ({"fix_embedding": 1}, "fix_embedding must be True or False, not 1"),
        ({"d_embed": "x"}, "d_embed must be an integer, not 'x'"),
        (
            {"integrator": "ssprk3", "optimizer": "adamw"},
            'integrator "ssprk3" follows the full gradient: it needs optimizer "sgd" and batch_size'
            " = n_train = 4096, not optimizer 'adamw' with batch_size 4096",
        ),
        (
            {"integrator": "ssprk3", "batch_size": 10},
            'integrator "ssprk3" follows the full gradient: it needs optimizer "sgd" and batch_size'
            " = n_train = 4096, not optimizer 'sgd' with batch_size 10",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_sentence(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError) as raised:
        Training(**values)
    assert str(raised.value) == words


def test_an_epoch_has_as_many_steps_as_batches_the_last_maybe_smaller() -> None:
    counts = {100: 1, 50: 2, 30: 4, 99: 2, 1: 100}
    for batch_size, steps in counts.items():
        training = Training(n_train=100, batch_size=batch_size)
        assert training.steps_per_epoch == steps
        assert training.full_batch == (batch_size == 100)


def test_only_the_flow_takes_no_steps() -> None:
    assert Training().in_steps
    assert not Training(integrator="ssprk3").in_steps


def test_of_a_run_file_what_is_no_field_is_left_out() -> None:
    known = {"n_train": 8, "n_test": 3, "train_epochs": 100, "weight_decay": 0.5}
    assert Training.of(known) == Training(n_train=8, weight_decay=0.5)
    with pytest.raises(ParameterError, match="n_train must be"):
        Training.of({"n_train": 0})


def test_which_epochs_are_evaluated() -> None:
    schedule = Schedule(train_epochs=23, eval_every=5)
    for epochs in ([0], [0, 5], [0, 5, 10, 15, 20, 23], [0, 5, 8]):
        assert schedule.evaluated(epochs)
    for epochs in ([0, 10], [0, 5, 5], [0, 5, 2**62], [0, 4, 10]):
        assert not schedule.evaluated(epochs)
    assert Schedule.of({"eval_every": 5, "train_epochs": 23, "lr": 3.0}) == schedule
