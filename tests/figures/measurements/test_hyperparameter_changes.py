"""One hyperparameter changed at a time: what is trained, and what became of every seed."""

from __future__ import annotations

import numpy as np
import pytest

from figures.measurements import hyperparameter_changes
from figures.measurements.hyperparameter_changes import SERIES, outcome, outcomes
from meanfield.parameters import Parameters
from meanfield.predict.prediction import predict
from tests.figures.changed_runs import EPOCH, MAIN, SIZES, a_run, changed_runs
from tests.figures.synthetic_runs import synthetic


def test_outcome_of_each_seed() -> None:
    run = changed_runs()["lr 200"]
    found = outcome(run, 200.0)
    assert found.rollout.tolist() == [0.25, 0.6]
    assert found.diverged.tolist() == [True, False]
    assert found.learned.tolist() == [False, False]
    linear, quadratic = (
        predict(run.parameters, name).onset_epoch for name in ("linear", "quadratic")
    )
    assert linear is not None
    assert quadratic is not None
    assert np.isnan(found.onset[0])
    assert found.onset[1] == pytest.approx(20 / linear, rel=1e-6)
    assert found.quadratic == pytest.approx(quadratic / linear, rel=1e-6)


def test_numbers_that_are_not_finite_have_diverged() -> None:
    run = a_run(onsets=(50.0, 50.0), rollout=(1.0, 1.0))
    curves = {
        name: np.where(np.arange(len(EPOCH)) > 20, np.nan, getattr(run, name))
        for name in ("loss", "rollout_accuracy", "R")
    }
    lost = synthetic(Parameters(**SIZES), EPOCH, diverged={0: 84, 1: 84}, **curves)  # type: ignore[arg-type]
    found = outcome(lost, 1.0)
    assert found.fates == ["diverged", "diverged"]
    assert found.rollout.tolist() == [1 / 5, 1 / 5]  # as bad as a guess
    assert not found.learned.any()


def test_the_main_training_is_one_of_every_series_that_changes_nothing_else() -> None:
    found = {name: [each.value for each in row] for name, row in outcomes(changed_runs()).items()}
    assert found == {
        "N": [5, 10], "K": [6], "T": [4], "d_head": [2, 8], "d_head faster": [2], "power": [10],
        "linear": [10], "lr": [2, 200], "n_train": [16, 64],
    }  # fmt: skip


def test_one_value_is_changed_at_a_time_and_trained_past_saturation() -> None:
    found = hyperparameter_changes.batches(quick=True)
    main = dict(found[MAIN].parameters.items())
    for name, each in found.items():
        if name == MAIN:
            continue
        series, _, value = name.rpartition(" ")
        changes, others = SERIES[series].changes, SERIES[series].others
        differing = {
            key for key, kept in each.parameters.items() if kept != main[key] and key != "w_init"
        }
        assert differing <= {changes, *others}, name
        settings = {**dict(each.parameters.items()), "n_train": each.training.n_train}
        assert settings[changes] == float(value)
        if series not in ("T", "linear"):  # the others take as long to test
            continue
        saturated = [
            predict(each.parameters, closure).saturation_epoch
            for closure in ("linear", "quadratic")
        ]
        expected = max(100, 1.5 * max(epoch or 0 for epoch in saturated))
        assert each.schedule.train_epochs == pytest.approx(expected, abs=5)
