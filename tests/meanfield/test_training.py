"""Data and optimizer of a training run."""

from __future__ import annotations

from typing import Any

import pytest

from meanfield.errors import ParameterError
from meanfield.training import Training


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"n_train": 0}, "n_train must be between 1 and 1000000000, not 0"),
        ({"batch_size": 5000}, "batch_size must be at most n_train = 4096, not 5000"),
        ({"weight_decay": -1}, "weight_decay must be at least 0, not -1"),
        ({"optimizer": "adam"}, "optimizer must be \"sgd\" or \"adamw\", not 'adam'"),
        ({"integrator": "rk4"}, "integrator must be \"sgd\" or \"ssprk3\", not 'rk4'"),
        ({"fix_embedding": 1}, "fix_embedding must be True or False, not 1"),
        ({"integrator": "ssprk3", "optimizer": "adamw"}, "needs optimizer \"sgd\""),
        ({"integrator": "ssprk3", "batch_size": 10}, "with batch_size 10"),
        ({"d_embed": "x"}, "d_embed must be an integer"),
        ({"weight_decay": float("nan")}, "weight_decay must be a finite number, not nan"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_sentence(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError) as raised:
        Training(**values)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_steps_of_a_training() -> None:
    whole = Training(n_train=10)
    assert (whole.batch_size, whole.full_batch, whole.steps_per_epoch) == (10, True, 1)
    parts = Training(n_train=10, batch_size=4)
    assert (parts.full_batch, parts.steps_per_epoch, parts.in_steps) == (False, 3, True)
    assert not Training(integrator="ssprk3").in_steps


def test_a_training_of_what_a_run_file_holds() -> None:
    known = {"n_train": 7, "optimizer": "adamw", "n_test": 5, "train_epochs": 3}
    assert Training.of(known) == Training(n_train=7, optimizer="adamw")
