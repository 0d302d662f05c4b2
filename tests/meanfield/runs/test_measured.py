"""What a run says in the names of the theory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from meanfield import FileError, Training
from meanfield.runs.measured import CURVES, of_run
from meanfield.runs.run import MEASURED
from tests.meanfield.example_run import a_run


def test_a_run_in_the_names_of_the_theory() -> None:
    run = a_run()
    measured = of_run(run, "run.npz")
    for name in ("R", "Q", "S", "loss", "rollout_accuracy"):
        np.testing.assert_array_equal(measured.curves[name], getattr(run, name))
    np.testing.assert_array_equal(measured.curves["next_token_accuracy"], run.test_accuracy)
    assert tuple(measured.curves) == tuple(CURVES)
    np.testing.assert_array_equal(measured.C, run.C[:, 0])
    np.testing.assert_array_equal(measured.q, run.q_start)
    np.testing.assert_array_equal(measured.k, run.k_start)
    start = measured.start(1)
    numbers = {"R": run.R[1, 0], "Q": run.Q[1, 0], "S": run.S[1, 0], "C": run.C[1, 0]}
    assert {name: getattr(start, name) for name in numbers} == numbers
    for name, stored in (("q", "q_start"), ("k", "k_start"), ("permutations", "permutations")):
        np.testing.assert_array_equal(getattr(start, name), getattr(run, stored)[1])
    assert start.overlap is None  # it follows from the permutations
    assert (measured.count, measured.known_training) == (2, Training(n_train=8))


def test_epochs_are_gradient_steps() -> None:
    run = a_run(training={"n_train": 100, "batch_size": 30})
    assert of_run(run, "run.npz").epoch.tolist() == [0, 40, 60]


@pytest.mark.parametrize(
    ("name", "value"),
    [("optimizer", "adamw"), ("weight_decay", 0.1), ("fix_embedding", False), ("d_embed", 3)],
)
def test_any_training_is_read_and_known(name: str, value: Any) -> None:
    """A reader knows no theory: what is not covered is refused where one is compared."""
    measured = of_run(a_run(training={"n_train": 8, name: value}), "run.npz")
    assert getattr(measured.known_training, name) == value


def test_a_diverged_seed_is_left_out_and_said() -> None:
    curves = {name: getattr(a_run(), name).copy() for name in (*MEASURED, "attention")}
    for curve in curves.values():
        curve[0, 1:] = np.nan
    run = a_run(**curves, diverged={4: 7})
    measured = of_run(run, "run.npz")
    assert measured.seeds.tolist() == [7]
    assert measured.notes == ("left out, as training diverged: seed 4",)
    assert measured.curves["R"].shape == (1, 3)
    dead = {name: curve * np.nan for name, curve in curves.items()}
    for name, curve in dead.items():
        curve[:, 0] = curves[name][:, 0]
    with pytest.raises(FileError, match="holds no seed that did not diverge"):
        of_run(a_run(**dead, diverged={4: 7, 7: 7}), "run.npz")
