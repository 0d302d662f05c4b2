"""The onset of attention: its epoch in seeds and in theory, and trainings that go past it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from figures.measurements.onset_epochs import (
    ONSET,
    batch_past_onset,
    first_passage,
    measured_epochs,
    predicted_epoch,
)
from meanfield.parameters import Parameters
from meanfield.predict.prediction import predict
from tests.figures.synthetic_runs import locking, synthetic

P = Parameters(N=7, K=12, T=6, d_head=16, lr=3.0)


def test_seeds_have_their_onset_where_R_passes_one_half() -> None:
    epoch = np.arange(0, 100, 7)
    run = synthetic(P, epoch, R=locking(epoch, [30.0, 41.5, np.inf]))
    np.testing.assert_allclose(measured_epochs(run), [30.0, 41.5, np.nan])


@pytest.mark.parametrize("closure", ["linear", "quadratic"])
def test_the_predicted_onset_is_that_of_the_solution(closure: str) -> None:
    expected = predict(P, closure).onset_epoch
    assert predicted_epoch(P, closure) == pytest.approx(expected, rel=1e-6)


def test_the_learning_rate_puts_the_onset_at_the_wanted_epoch_unless_given() -> None:
    sizes = {"N": 7, "K": 12, "T": 6}
    chosen = batch_past_onset(sizes, quick=False, beyond=2.0)
    assert predicted_epoch(chosen.parameters, "linear") == pytest.approx(ONSET, rel=0.05)
    for each in (chosen, batch_past_onset({**sizes, "lr": 9.0}, quick=True, beyond=2.0)):
        onset = predicted_epoch(each.parameters, "linear")
        assert each.schedule.train_epochs == math.ceil(2 * onset)
    assert each.parameters.lr == 9.0
    assert each.training.n_train < chosen.training.n_train


def test_a_passage_is_straight_between_epochs() -> None:
    epoch, curve = [0, 10, 20], [0.0, 0.2, 0.6]
    assert first_passage(epoch, curve, 0.3) == pytest.approx(12.5)
    assert math.isnan(first_passage(epoch, curve, 0.7))
