"""Early training in closed form: (15) while R is on its plateau, and where that ends."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from figures.measurements.early_growth import (
    TOLERANCE,
    EarlyTraining,
    before_onset,
    closed_forms,
    early_training,
    time_scale,
)
from meanfield.parameters import Parameters
from tests.figures.synthetic_runs import mean_field_run, slow_gamma

UNEVEN = Parameters(N=9, K=14, T=6, d_head=12, lr=3.0)


EPOCH = np.linspace(0, 120, 61).astype(int)


@pytest.fixture(scope="module")
def early() -> EarlyTraining:
    return early_training(mean_field_run(UNEVEN, EPOCH))


def test_the_time_scale_is_81c() -> None:
    p = UNEVEN
    tau = p.K * p.N * math.sqrt(2 * p.T / (slow_gamma(p) * (p.K - 1) * (p.N - 1)))
    assert time_scale(p) == pytest.approx(tau / p.lr)


def test_closed_forms_solve_15_on_the_plateau() -> None:
    """Written out with g = (N - 1)/N and R held at 1/T where Q and S grow; R then grows by (81)."""
    p, epoch = UNEVEN, np.linspace(0, 0.6 * time_scale(UNEVEN), 7)
    start = {"Q": 0.02, "S": -0.01, "R": 1 / p.T}
    g, R0, gamma = (p.N - 1) / p.N, 1 / p.T, slow_gamma(p)

    def rates(_: float, y: np.ndarray) -> list[float]:
        Q, S, R = y
        drive = g * p.N / (p.N - 1) * (p.K - 1) / p.K * (Q - S - start["Q"] + start["S"])
        return [
            g * (R0 + (1 - R0) / p.K) / (p.K * p.N),
            g * (1 - R0) / (p.K**2 * p.N),
            gamma * R * (1 - R) * drive,
        ]

    solved = solve_ivp(
        rates, (0, p.lr * epoch[-1]), list(start.values()), t_eval=p.lr * epoch, rtol=1e-10,
        atol=1e-12,
    ).y  # fmt: skip
    found = closed_forms(p, epoch, {name: np.array([[each]]) for name, each in start.items()})
    np.testing.assert_allclose([found[name][0] for name in "QSR"], solved, rtol=1e-7)


def test_every_seed_starts_from_its_own_values(early: EarlyTraining) -> None:
    run = mean_field_run(UNEVEN, EPOCH)
    for name in "QSR":
        start = getattr(run, name)[:, 0]
        np.testing.assert_allclose(early.closed[name][:, 0], start, rtol=1e-9)
        np.testing.assert_allclose(early.equations[name][:, 0], start, rtol=1e-9)


def test_it_ends_with_the_onset_of_the_mean(early: EarlyTraining) -> None:
    R = early.simulated["R"].mean(0)
    assert R[-2] < 0.5 <= R[-1]
    assert before_onset(np.array([0.1, 0.4, 0.3])) == 3
    assert before_onset(np.array([0.1, 0.5, 0.7])) == 2


def test_the_margin_is_11_less_12(early: EarlyTraining) -> None:
    run, E, K = mean_field_run(UNEVEN, EPOCH), len(early.epoch), UNEVEN.K
    right = run.Q * (run.R + (1 - run.R) / K) + run.S * (1 - run.R) * (K - 1) / K
    other = (run.C - right) / (UNEVEN.N - 1)
    np.testing.assert_allclose(early.margin, (right - other).mean(0)[:E], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["Q", "R"])
def test_the_error_is_that_of_the_means(early: EarlyTraining, name: str) -> None:
    ours, theirs = early.closed[name], early.simulated[name]
    if name == "Q":
        ours, theirs = ours - ours[:, :1], theirs - theirs[:, :1]
    ours, theirs = ours[:, 1:], theirs[:, 1:]
    ratio = ours.mean(0) / theirs.mean(0) - 1
    error = early.error(name)
    np.testing.assert_allclose(error.mean(0), ratio)
    B = len(ours)
    left_out = [np.delete(ours, b, 0).mean(0) / np.delete(theirs, b, 0).mean(0) for b in range(B)]
    jackknife = np.sqrt((B - 1) * np.var(left_out, axis=0))
    np.testing.assert_allclose(np.std(error, axis=0, ddof=1) / np.sqrt(B), jackknife, rtol=0.25)


def test_a_closed_form_departs_where_its_error_passes_the_tolerance(early: EarlyTraining) -> None:
    departure = early.departure("Q")
    assert departure is not None
    error = np.interp(departure.epoch.value, early.epoch[1:], early.error("Q").mean(0))
    assert abs(error) == pytest.approx(TOLERANCE)
    R = early.simulated["R"].mean(0)
    at = np.interp(departure.epoch.value, early.epoch, R)
    assert (departure.R, departure.growth_of_R) == pytest.approx((at, at / R[0] - 1))
    N = UNEVEN.N
    p_correct = 1 / (1 + (N - 1) * math.exp(-departure.margin))
    fall = 1 - (1 - p_correct) / (1 - 1 / N)
    assert departure.fall_of_error_signal == pytest.approx(fall)
    assert departure.plateau_fails_first
    assert departure.equations_error == pytest.approx(0, abs=1e-6)  # the seeds obey (15)
    assert not departure.from_the_start


def test_a_closed_form_that_is_off_at_once_departs_from_the_start(early: EarlyTraining) -> None:
    off = {name: 1.2 * curve for name, curve in early.simulated.items()}
    departure = replace(early, closed=off).departure("R")
    assert departure is not None
    assert (departure.epoch.value, departure.from_the_start) == (early.epoch[1], True)


def test_closed_forms_that_are_right_never_depart(early: EarlyTraining) -> None:
    right = replace(early, closed=early.simulated)
    assert [right.departure(name) for name in "QSR"] == [None] * 3
