"""When attention has its onset: a map is the theory, a point is the median of its seeds."""

from __future__ import annotations

import numpy as np
import pytest

from figures.measurements import onset_epochs, onset_maps
from figures.measurements.onset_maps import MAPS, delay_against_softmax, onset_times, point
from meanfield.parameters import Parameters
from meanfield.predict.prediction import predict
from tests.figures.synthetic_runs import LR, map_parameters, map_runs


def test_a_map_is_the_onset_that_the_solver_finds() -> None:
    for name, row, column, changed in (
        ("N", 5, 7, {"N": 12}),
        ("K", 5, 8, {"N": 20, "K": 14}),
        ("rope_theta", 5, 20, {"N": 20, "rope_theta": MAPS["rope_theta"].grid[0][20]}),
    ):
        across, T = MAPS[name].grid
        assert changed.get(name, 0) == pytest.approx(across[column])
        found = onset_times(MAPS[name])
        p = Parameters(T=int(T[row]), lr=1.0, **changed)
        assert found[row, column] == pytest.approx(predict(p, "linear").onset_epoch, rel=1e-6)


def test_a_point_is_the_median_of_its_seeds() -> None:
    runs = map_runs()
    for name, middle in (("N 8 4", 120.0), ("N 20 10", 150.0), ("rope_theta 100 4", 61.0)):
        here = point(name, runs[name])
        assert here.simulated == pytest.approx(LR * middle)
        for closure, delay in here.delay.items():
            onset = predict(map_parameters(name), closure).onset_epoch
            assert onset is not None
            assert delay == pytest.approx(onset / middle - 1, rel=1e-6)
    assert point("N 8 4", runs["N 8 4"]).scatter == pytest.approx(
        np.std([100, 120, 130], ddof=1) / 120
    )
    assert point("rope_theta 10000 4", runs["rope_theta 10000 4"]).simulated == np.inf


def test_delay_is_that_of_the_closure_at_each_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        onset_maps.trust, "relative_delays", lambda p, closure: (p.T + 100 * p.rope_theta,)
    )
    across, T, delay = delay_against_softmax(MAPS["rope_theta"])
    np.testing.assert_allclose(delay, T[:, None] + 100 * across)


def test_every_training_locks_on_at_about_the_same_epoch() -> None:
    for each in list(onset_maps.batches(quick=False).values())[::5]:
        onset = predict(each.parameters, "linear").onset_epoch
        assert onset == pytest.approx(onset_epochs.ONSET, rel=0.05)
        assert each.schedule.train_epochs == pytest.approx(1.5 * onset, abs=1)
