"""How long and how often each point of a grid is trained and measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from meanfield import ParameterError, Parameters, predict
from meanfield.sweep.grid import Grid, from_tables
from simulate.settings import Experiment, Machine
from simulate.sweep.plan import plan

HERE = Path("runs")


def grid(**training: Any) -> Grid:
    return from_tables({"grid": {"N": [4, 5], "T": [2, 3, 4]}, "fixed": {"K": 6, "lr": 3.0},
                        "training": training})  # fmt: skip


def test_each_point_is_an_experiment_of_its_own() -> None:
    found = plan(grid(seeds="4,2", train_epochs=90, eval_every=7, optimizer="adamw"), HERE, "cpu")
    p = Parameters(N=5, T=3, K=6, lr=3.0)
    assert found.experiment(p) == Experiment.of(
        [4, 2], N=5, T=3, K=6, lr=3.0, train_epochs=90, eval_every=7, optimizer="adamw"
    )
    assert found.folder == str(HERE.resolve())
    assert found.machine == Machine(device="cpu", threads=1)
    assert plan(grid(), HERE, None).machine == Machine(threads=1)
    assert plan(grid(), HERE, None).seeds == (0, 1, 2, 3)


@pytest.mark.parametrize(("given", "horizon"), [({}, 2.0), ({"horizon": 2.5}, 2.5)])
def test_the_horizon_follows_the_theory(given: dict[str, Any], horizon: float) -> None:
    how = plan(grid(**given), HERE, None)
    for N, T in ((4, 3), (5, 4)):
        p = Parameters(N=N, T=T, K=6, lr=3.0)
        onset = predict(p, "linear").onset_epoch
        assert onset is not None
        assert how.experiment(p).schedule.train_epochs == math.ceil(horizon * onset)


def test_for_two_actions_the_horizon_is_where_three_quarters_are_reached() -> None:
    p = Parameters(N=5, T=2, K=6, lr=3.0)
    epochs = plan(grid(horizon=1), HERE, None).experiment(p).schedule.train_epochs
    R = predict(p, "linear", epochs=[epochs - 1, epochs]).R
    assert R[0] < 0.75 <= R[1]


@pytest.mark.parametrize(("epochs", "every"), [(600, 10), (659, 10), (40, 1), (1, 1)])
def test_there_are_about_sixty_evaluations(epochs: int, every: int) -> None:
    p = Parameters(N=5, T=3)
    assert plan(grid(train_epochs=epochs), HERE, None).experiment(p).schedule.eval_every == every


def test_a_training_is_an_epoch_at_least() -> None:
    how = plan(grid(horizon=1e-9), HERE, None)
    assert how.experiment(Parameters(N=5, T=3)).schedule.train_epochs == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"colour": 1}, "[training] has seeds, horizon, n_train, batch_size, optimizer,"),
        ({"lr": 1.0}, "train_epochs, eval_every, not 'lr'"),
        ({"horizon": 2, "train_epochs": 9}, "may have train_epochs or horizon, not both"),
        ({"horizon": 0}, "horizon must be greater than 0, not 0"),
        ({"horizon": "x"}, "horizon must be a finite number, not 'x'"),
        ({"seeds": "x"}, 'seeds must be text such as "0:8" or "1,5,7", not'),
        ({"seeds": 3}, 'seeds must be text such as "0:8" or "1,5,7", not 3'),
        ({"seeds": "1,1"}, "seeds must be different ones"),
        ({"n_test": 0}, "n_test must be between 1 and"),
        ({"optimizer": "adam"}, "optimizer must be"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError) as raised:
        plan(grid(**given), HERE, None)
    assert words in str(raised.value)


@pytest.mark.parametrize("more", [{"closure": "quadratic"}, {"epochs": [5]}])
def test_what_is_of_a_theory_sweep_is_refused(more: dict[str, Any]) -> None:
    found = from_tables({"grid": {"N": [4], "T": [3]}, **more})
    with pytest.raises(ParameterError, match="theory and epochs are for"):
        plan(found, HERE, None)
