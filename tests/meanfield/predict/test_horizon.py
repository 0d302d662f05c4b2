"""How far a prediction goes, and when what happens on the way."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from meanfield import Parameters, Start, Theory, generated, predict
from meanfield.attention.onset import onset_of_closure
from meanfield.predict import horizon
from meanfield.theory import CLOSURES

P = Parameters(N=20, K=7, T=10, lr=3.0)


class Course:
    """A curve that is known: logit R rises by one in a unit of time from -2, for 30 of them."""

    model = SimpleNamespace(parameters=SimpleNamespace(lr=0.5))
    solution = SimpleNamespace(steps=np.arange(0.0, 31.0))
    end = 30.0

    def __call__(self, t: Any) -> tuple[Any, ...]:
        return np.asarray(t) - 2.0, 0.0, 0.0


class Read:
    """An error that falls like exp(-t / 4) from 0.9."""

    logits = SimpleNamespace(rtol=1e-12)

    def rollout_error(self, _curve: Any, t: Any) -> Any:
        return 0.9 * np.exp(-np.asarray(t) / 4)


def test_events_of_a_known_course() -> None:
    start = Start(R=float(expit(-2.0)))
    found = horizon.events(Course(), Read(), 60.0, start)  # training time is half the epoch
    tenth = logit(start.R + 0.1 * (1 - start.R)) + 2
    assert found["heuristic_end_epoch"] == pytest.approx(2 * tenth, rel=1e-11)
    assert found["onset_epoch"] == pytest.approx(4.0, rel=1e-11)
    assert found["rollout_half_epoch"] == pytest.approx(2 * 4 * math.log(1.8), rel=1e-11)
    assert found["saturation_epoch"] == pytest.approx(2 * 4 * math.log(90), rel=1e-11)


def test_events_beyond_the_end_are_none() -> None:
    found = horizon.events(Course(), Read(), 4.5, Start(R=float(expit(-2.0))))
    assert found["onset_epoch"] == pytest.approx(4.0, rel=1e-11)
    assert found["rollout_half_epoch"] is None
    assert found["saturation_epoch"] is None


def test_without_an_error_left_it_has_long_been_reached() -> None:
    class Perfect(Read):
        def rollout_error(self, curve: Any, t: Any) -> Any:
            return np.where(np.asarray(t) > 2.5, 0.0, super().rollout_error(curve, t))

    found = horizon.events(Course(), Perfect(), 60.0, Start(R=float(expit(-2.0))))
    assert found["saturation_epoch"] == pytest.approx(5.0, rel=1e-9)


def test_the_first_zero() -> None:
    steps = np.arange(5.0)
    f = lambda t: t - 2.3  # noqa: E731
    assert horizon.first_zero(f, steps, f(steps)) == pytest.approx(2.3, rel=1e-12)
    assert horizon.first_zero(f, steps, -np.ones(5)) is None
    assert horizon.first_zero(f, steps, np.ones(5)) == 0.0  # so from the start
    assert horizon.first_zero(f, steps, np.array([-1.0, 0.0, 1.0, 1.0, 1.0])) == 1.0
    rough = horizon.first_zero(lambda t: t**3 - 20, steps, steps**3 - 20, rtol=1e-2)
    assert 1e-6 < abs(rough - 20 ** (1 / 3)) < 0.1


def test_the_solver_s_steps_end_where_they_should() -> None:
    assert horizon.steps_to(Course(), 2.5).tolist() == [0.0, 1.0, 2.0, 2.5]
    assert horizon.steps_to(Course(), 3.0).tolist() == [0.0, 1.0, 2.0, 3.0]
    assert horizon.steps_to(Course(), 99.0)[-2:].tolist() == [29.0, 30.0]


@pytest.mark.parametrize(
    ("value", "up"), [(0.0312, 0.032), (1.0, 1.0), (1.01, 1.1), (987.0, 990.0), (999.0, 1000.0)]
)
def test_a_horizon_has_two_digits(value: float, up: float) -> None:
    assert horizon.round_up(value) == pytest.approx(up, rel=1e-12)


@pytest.mark.parametrize("R", [None, 0.05, 0.7])
@pytest.mark.parametrize("name", ["linear", "quadratic", "spectral"])
def test_the_onset_is_estimated_from_a_closure_with_a_small_margin(
    name: str, R: float | None
) -> None:
    """As far as half the way from where it starts to R = 1, or to R = 1/2 at least."""
    start = Start(C=0.4) if name == "spectral" else Start(R=R, C=0.4)
    prepared = Theory.parse(name).prepare(P, start, None)
    R_end = 0.85 if R == 0.7 and name != "spectral" else max(0.5, (1 + prepared.start.R) / 2)
    closure = CLOSURES["quadratic" if name == "quadratic" else "linear"]
    V = onset_of_closure(closure, P, R_end=R_end).V
    estimate = horizon.estimated_onset(prepared)
    assert estimate == pytest.approx(20**2 * 7 / 19 * V, rel=1e-12)  # (X3g)
    assert generated.early_time(V, 0.0, 20, 7) == pytest.approx(estimate)


def test_a_prediction_ends_a_little_past_saturation() -> None:
    for name in ("linear", "quadratic", "spectral"):
        run = predict(P, name, start=Start(C=0.4))
        assert 1.3 * run.saturation_epoch <= run.epoch[-1] < 1.6 * run.saturation_epoch
        assert run.rollout_error[-1] < 0.01


def test_a_start_that_is_saturated_is_followed_to_its_onset_all_the_same() -> None:
    start = Start(R=0.99, Q=30.0, S=0.0, C=0.0)
    run = predict(P, "linear", start=start)
    assert run.saturation_epoch == 0.0
    prepared = Theory.parse("linear").prepare(P, start, None)
    onset = horizon.estimated_onset(prepared) / P.lr
    assert run.epoch[-1] == pytest.approx(horizon.round_up(1.3 * onset), rel=1e-12)


def test_what_never_locks_on_is_followed_for_four_times_the_estimate() -> None:
    start = Start(Q=-2.0, S=0.0)
    run = predict(P, "linear", start=start)
    prepared = Theory.parse("linear").prepare(P, start, None)
    onset = horizon.estimated_onset(prepared) / P.lr
    assert run.onset_epoch is None
    assert run.epoch[-1] == pytest.approx(horizon.round_up(4 * onset), rel=1e-12)


def test_what_locks_on_and_never_saturates_is_followed_for_four_times_its_onset() -> None:
    theory = Theory.parse("linear", logits="constant", sigma_c=1e6, sigma_o=1e6)
    run = predict(P, theory, start=Start(Q=-0.05, S=0.0))
    assert run.saturation_epoch is None
    assert 4 * run.onset_epoch <= run.epoch[-1] < 4.8 * run.onset_epoch


def test_an_end_that_is_given_is_kept() -> None:
    prepared = Theory.parse("linear").prepare(P, Start(), None)
    curve, end = horizon.solve(prepared, None, 17.0)  # nothing is read from the logits
    assert (end, curve.end) == (17.0, 17.0 * 3.0)
