"""Scaling of the onset: its trainings, its exponents, and where theory disagrees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from figures.measurements import onset_epochs, onset_laws
from figures.measurements.onset_laws import SERIES, Law
from meanfield import Parameters
from meanfield.predict import scaling
from meanfield.runs.run import Run
from tests.figures.synthetic_runs import locking, synthetic


def test_each_series_changes_one_size_alone() -> None:
    for name, series in SERIES.items():
        for value in series.values:
            p = Parameters(**series.settings(name, value))
            expected = Parameters(N=20, T=10)
            if name == "N = K":
                expected = replace(expected, N=value, K=value, w_init=p.w_init)
            elif name == "N":
                expected = replace(expected, N=value, w_init=p.w_init)
            else:
                expected = replace(expected, **{name: value})
            assert p == expected


def test_trainings_wait_for_late_seeds() -> None:
    found = onset_laws.batches(quick=False)
    assert len(found) == sum(len(series.values) for series in SERIES.values())
    for name, each in found.items():
        predicted = onset_epochs.predicted_epoch(each.parameters, "linear")
        assert each.schedule.train_epochs > 3.9 * predicted, name
        assert len(each.seeds) == onset_laws.SEEDS


def test_a_law_finds_its_exponents_and_where_theory_disagrees() -> None:
    x = np.array([1.0, 2.0, 4.0, 8.0])
    trained = 3 * x**0.5
    linear = trained * np.array([1.0, 1.05, 1.2, 1.3])
    nowhere = np.full(4, np.nan)
    scatter = np.array([0.01, 0.01, 0.3, 0.01])
    tilts = np.array([-0.1, 0.0, 0.1])[:, None]
    seeds = trained * np.exp(np.array([-1.0, 0.0, 1.0])[:, None] * scatter) * x**tilts / 2**tilts
    law = Law(x, seeds, 0, linear, nowhere, trained)
    assert law.trained == pytest.approx(trained)
    found = law.exponents()
    assert set(found) == {"training", "linear", "closed"}
    assert found["training"].value == pytest.approx(0.5)
    assert found["linear"].value > 0.55
    own = [scaling.fit(x, seed).value for seed in seeds]
    assert found["training"].error == pytest.approx(np.std(own, ddof=1) / np.sqrt(3))
    law = Law(x, trained * np.exp(np.array([-1.0, 0.0, 1.0])[:, None] * scatter), 0, linear,
              nowhere, trained)  # fmt: skip
    assert law.disagreements() == [8.0]


def test_a_seed_without_an_onset_is_left_out() -> None:
    epoch = np.arange(0, 100, 5)
    runs: dict[str, Run] = {}
    for key, each in onset_laws.batches(quick=True).items():
        last = np.inf if key == "T 6" else 45.0
        runs[key] = synthetic(each.parameters, epoch, R=locking(epoch, [30.0, 40.0, last]))
    found = onset_laws.laws(runs)
    assert {name: law.left_out for name, law in found.items()} == {
        name: int(name == "T") for name in SERIES
    }
    assert len(found["T"].seeds) == 2
    by_lr = found["lr"].exponents()
    assert by_lr["linear"].value == pytest.approx(-1)
    assert by_lr["spectral"].value > -0.99, "gradient steps lag the flow"
