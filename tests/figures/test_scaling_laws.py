"""The figure of the scaling: its trainings, and that it measures what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from figures import scaling_laws
from figures.scaling_laws import SERIES, Law
from meanfield import Parameters, scaling
from simulate.settings import Training


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


def test_trainings_last_beyond_the_onset_and_are_shared_with_the_phase_diagram() -> None:
    from figures import phase_diagram

    found = scaling_laws.batches(quick=False)
    assert len(found) == sum(len(series.values) for series in SERIES.values())
    shared = {each.file for each in phase_diagram.batches(quick=False).values()}
    assert len(shared & {each.file for each in found.values()}) >= 5
    for name, each in found.items():
        assert each.training.train_epochs > 1.4 * scaling.small_margin_onset(each.parameters), name
        assert isinstance(each.training, Training)


def test_a_law_finds_its_exponents_and_where_theory_parts() -> None:
    x = np.array([1.0, 2.0, 4.0, 8.0])
    trained = 3 * x**0.5
    linear = trained * np.array([1.0, 1.05, 1.2, 1.3])
    nowhere = np.full(4, np.nan)
    error = trained * np.array([0.01, 0.01, 0.2, 0.01])
    law = Law(x, trained, error, linear, nowhere, trained)
    found = law.exponents()
    assert set(found) == {"training", "linear", "closed"}
    assert found["training"].value == pytest.approx(0.5)
    assert found["linear"].value > 0.55
    assert law.parts() == [8.0]
