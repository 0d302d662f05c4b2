"""The solver on problems whose solutions are known: pieces that meet, and its two ways to fail."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from meanfield.errors import SolverError
from meanfield.numerics import integrate as solver
from meanfield.numerics.integrate import Problem, integrate

TURNING = Problem(
    y0=np.array([0.0, 1.0]),
    rhs=lambda _t, y: (y[1], -y[0]),
    scale=np.ones(2),
    first_step=0.1,
    clock=lambda t: f"day {t:.3g}",
    remedy="patience may help",
)


def test_a_known_solution() -> None:
    found = integrate(TURNING, t_end=7.0, rtol=1e-10)
    t = np.linspace(0, 7, 50)
    np.testing.assert_allclose(found(t), [np.sin(t), np.cos(t)], atol=2e-8)
    assert found.end == 7.0
    assert found.calls > 10
    rough = integrate(TURNING, t_end=7.0, rtol=1e-4)
    assert rough.calls < found.calls / 2
    assert 1e-7 < np.max(np.abs(rough(t) - found(t))) < 1e-2


def test_pieces_meet_and_are_one_solution() -> None:
    whole = integrate(TURNING, t_end=9.0, rtol=1e-10)
    first = integrate(TURNING, t_end=2.0, rtol=1e-10)
    both = integrate(TURNING, t_end=9.0, rtol=1e-10, after=integrate(
        TURNING, t_end=5.0, rtol=1e-10, after=first))  # fmt: skip
    t = np.array([0.0, 1.9, 2.0, 2.1, 5.0, 8.0, 9.0])
    np.testing.assert_allclose(both(t), whole(t), atol=3e-8)
    assert (both.end, len(both.pieces)) == (9.0, 3)
    assert both.calls > first.calls
    steps = both.steps
    assert np.all(np.diff(steps) >= 0)
    assert [int(np.sum(steps == meeting)) for meeting in (2.0, 5.0)] == [2, 2]
    assert (steps[0], steps[-1]) == (0.0, 9.0)


def test_beyond_its_ends_there_is_nothing() -> None:
    found = integrate(TURNING, t_end=1.0, rtol=1e-6)
    for t in (-1e-9, 1.0 + 1e-9):
        with pytest.raises(ValueError, match=r"the solution runs from t = 0 to 1\.0"):
            found(np.array([0.5, t]))


def test_a_first_step_longer_than_the_way_is_cut() -> None:
    found = integrate(replace(TURNING, first_step=1e9), t_end=0.5, rtol=1e-8)
    np.testing.assert_allclose(found(np.array([0.5]))[0], math.sin(0.5), atol=1e-6)


def test_the_tolerance_knows_what_size_matters() -> None:
    """An entry of 1e-6 is solved to its own digits where it is said to matter."""
    small = replace(TURNING, y0=np.array([0.0, 1e-6]))
    t = np.linspace(0, 7, 20)
    for scale, off in ((1.0, False), (1e-6, True)):
        found = integrate(replace(small, scale=np.full(2, scale)), t_end=7.0, rtol=1e-6)
        good = np.max(np.abs(found(t)[0] - 1e-6 * np.sin(t))) < 1e-11
        assert good == off


def test_where_nothing_moves_no_warning_is_heard() -> None:
    still = replace(TURNING, y0=np.zeros(2))
    np.testing.assert_array_equal(integrate(still, t_end=3.0, rtol=1e-6)(np.array([1.0, 3.0])), 0)


def test_giving_up_is_one_sentence() -> None:
    lost = replace(TURNING, rhs=lambda *_: (math.nan, math.nan))
    with pytest.raises(SolverError) as caught:
        integrate(lost, t_end=3.0, rtol=1e-6)
    said = str(caught.value)
    assert said.startswith("the equations could not be solved beyond day 0 (")
    assert said.endswith("): patience may help")
    assert "\n" not in said


def test_too_many_steps_are_said_to_be_too_stiff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver, "MOST_CALLS", 500)
    stiff = replace(TURNING, rhs=lambda _t, y: -1e9 * (y - np.cos(_t)))
    with pytest.raises(SolverError, match=r"too stiff to be solved beyond day \S+: patience may"):
        integrate(stiff, t_end=3.0, rtol=1e-6)
    found = integrate(TURNING, t_end=1.0, rtol=1e-6)  # each piece has as many
    for t_end in range(2, 40):
        found = integrate(TURNING, t_end=float(t_end), rtol=1e-6, after=found)
    assert found.calls > 500
