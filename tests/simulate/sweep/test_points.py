"""What a sweep keeps of each training, and how long it says it takes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from meanfield.runs.run import Run, read_run
from meanfield.sweep.grid import Grid, from_tables
from meanfield.sweep.store import DONE, Block
from simulate.settings import Experiment
from simulate.sweep import points
from simulate.sweep.plan import Plan, plan
from simulate.sweep.points import estimate, row, solve
from simulate.train import train

TRAINING = {"n_train": 64, "n_test": 16, "train_epochs": 6, "eval_every": 2, "seeds": "0:2"}


def grid(**changed: Any) -> Grid:
    return from_tables({"grid": {"N": [4, 5, 6], "T": [3, 4]}, "training": {**TRAINING, **changed}})


def test_a_point_is_trained_once_and_then_read(tmp_path: Path) -> None:
    of = grid()
    how, block = plan(of, tmp_path, "cpu"), Block(start=(2, 1), stop=(3, 2))
    torch.set_num_threads(2)
    first = solve(of, block, np.ones((1, 1), bool), how)
    assert torch.get_num_threads() == 1
    (path,) = tmp_path.iterdir()
    run = read_run(path)
    assert (run.parameters.N, run.parameters.T, path.name) == (
        6,
        4,
        how.experiment(run.parameters).file,
    )
    for name in ("R", "Q", "S", "rollout_accuracy"):
        np.testing.assert_array_equal(first[name], getattr(run, name)[None, :, -1])
    assert first["train_epochs"].tolist() == [6.0]
    assert first["status"].tolist() == [DONE]
    assert set(first) == {*points.VARIABLES, "status"}
    changed = replace(run, R=run.R * 0.5)
    changed.save(path)
    np.testing.assert_array_equal(
        solve(of, block, np.ones((1, 1), bool), how)["R"], changed.R[None, :, -1]
    )


def curve(*R: float) -> Run:
    """A run of one seed whose R is these numbers, two epochs apart."""
    run = train(Experiment.of([7], N=4, T=3, n_train=8, n_test=8, train_epochs=2, eval_every=2))
    longer = {
        name: np.resize(value, (1, len(R), *value.shape[2:]))
        for name, value in vars(run).items()
        if isinstance(value, np.ndarray) and value.shape[:2] == (1, 2)
    }
    return replace(run, **{**longer, "epoch": 2 * np.arange(len(R)), "R": np.array([R])})


def test_the_onset_is_where_logit_R_passes_0_between_two_evaluations() -> None:
    found = float(row(curve(0.2, 0.3, 0.6, 0.9))["onset_epoch"][0, 0])
    low, high = math.log(0.3 / 0.7), math.log(0.6 / 0.4)
    assert found == pytest.approx(2 + 2 * -low / (high - low), rel=1e-12)


def test_seeds_without_an_onset() -> None:
    late = curve(0.1, 0.2, 0.3)
    assert row(late)["onset_epoch"].tolist() == [[math.inf]]
    assert np.isnan(row(replace(late, diverged={7: 4}))["onset_epoch"][0, 0])
    assert row(replace(late, diverged={8: 4}))["onset_epoch"].tolist() == [[math.inf]]


def test_the_time_is_that_of_a_few_epochs_scaled_by_the_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = grid(train_epochs=300)
    how = plan(of, tmp_path, "cpu")
    trained: list[Experiment] = []

    def noted(experiment: Experiment, *, machine: Any) -> None:
        assert machine == how.machine
        trained.append(experiment)

    clock = SimpleNamespace(perf_counter=iter([10.0, 12.5]).__next__)
    monkeypatch.setattr(points, "train", noted)
    monkeypatch.setattr(points, "time", clock)
    seconds, epochs = estimate(of, how)
    first = how.experiment(of.parameters(0, 0))
    assert len(trained) == 2
    for short in trained:
        assert short.settings == {**first.settings, "train_epochs": 5, "eval_every": 5}
        assert short.parameters == first.parameters
    costs = [how.experiment(of.parameters(i, j)).cost for i in range(3) for j in range(2)]
    assert min(costs) < seconds / 6 * trained[0].cost / 2.5 < max(costs)  # six points, a sample
    assert epochs == 300
    assert not list(tmp_path.iterdir())


def test_a_grid_of_one_point_is_estimated_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = from_tables({"grid": {"N": [5], "T": [4]}, "training": {**TRAINING, "train_epochs": 70}})
    how: Plan = plan(of, tmp_path, "cpu")
    monkeypatch.setattr(points, "train", lambda *_, **__: None)
    monkeypatch.setattr(points, "time", SimpleNamespace(perf_counter=iter([0.0, 0.5]).__next__))
    assert estimate(of, how) == (pytest.approx(0.5 * 70 / 5), 70)
