"""Early training: lines are the closed forms, and the caption says where each of them fails."""

from __future__ import annotations

import json

import numpy as np
import pytest

from figures.beyond import early_training
from figures.drawing import Drawn
from figures.measurements.early_growth import NAMES
from meanfield import style
from meanfield.compare.statistics import concise
from meanfield.parameters import Parameters
from tests.figures.small_runs import assert_no_words_overlap, line_like, trained
from tests.figures.synthetic_runs import mean_field_run

PARAMETERS = Parameters(N=9, K=14, T=6, d_head=12, lr=3.0)
RUN = mean_field_run(PARAMETERS, np.linspace(0, 120, 61).astype(int))


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return early_training.draw({"run": RUN})


@pytest.fixture(scope="module")
def early() -> early_training.EarlyTraining:
    return early_training.early_training(RUN)


@pytest.fixture(scope="module")
def drawn_of_trained() -> Drawn:
    return early_training.draw({"run": trained()})


@pytest.mark.parametrize(("name", "column"), [("Q", 0), ("S", 0), ("R", 1)])
def test_points_lines_and_errors(drawn_of_trained: Drawn, name: str, column: int) -> None:
    axes, early = drawn_of_trained.canvas.axes, early_training.early_training(trained())
    upper, lower = axes[column], axes[column + 2]
    E = len(early.epoch)
    points = line_like(upper, getattr(trained(), name)[:, :E].mean(0))
    closed = line_like(upper, early.closed[name].mean(0))
    equations = line_like(upper, early.equations[name].mean(0))
    assert (points.get_marker(), closed.get_linestyle(), equations.get_linestyle()) == (
        "o", "-", "--",
    )  # fmt: skip
    line_like(lower, 100 * early.error(name).mean(0))
    assert {each.get_color() for each in (points, closed, equations)} == {style.COLORS[name]}
    assert max(closed.get_xdata()) <= upper.get_xlim()[1]


def test_the_time_scale_is_marked(drawn: Drawn, early: early_training.EarlyTraining) -> None:
    for axes in drawn.canvas.axes:
        assert any(np.all(np.equal(line.get_xdata(), early.time_scale)) for line in axes.lines)
    assert rf"$\tau$ at epoch {early.time_scale:.0f}" in drawn.caption


def test_the_numbers_said(drawn: Drawn, early: early_training.EarlyTraining) -> None:
    departures = {name: early.departure(name) for name in NAMES}
    assert any(departures.values())
    for name, departure in departures.items():
        numbers = drawn.numbers["departure"][name]
        if departure is None:
            assert numbers is None
            assert f"of ${name}$ is right to 10 % up to the onset." in drawn.caption
        else:
            assert not departure.from_the_start
            assert numbers["epoch"]["value"] == departure.epoch.value
            assert (
                f"of ${name}$ is right to 10 % up to epoch {concise(departure.epoch)}, where "
                f"$R={departure.R:.2f}$ and the margin is {departure.margin:.2g}; there (15) is "
                f"off by {100 * departure.equations_error:+.1f} %." in drawn.caption
            )
    json.dumps(drawn.numbers, allow_nan=False)


def test_the_assumption_that_fails_is_that_of_the_first_departure(
    drawn: Drawn, early: early_training.EarlyTraining
) -> None:
    known = [each for name in NAMES if (each := early.departure(name)) is not None]
    first = min(known, key=lambda each: each.epoch.value)
    assert f"$R$ has left its plateau by {100 * first.growth_of_R:.0f} %" in drawn.caption
    assert f"$g$ is {100 * first.fall_of_error_signal:.1f} % below" in drawn.caption
    assert first.growth_of_R > 5 * first.fall_of_error_signal
    assert "So the plateau is the assumption that fails." in drawn.caption


def test_a_form_that_is_off_from_the_start_is_said_to_be(drawn_of_trained: Drawn) -> None:
    early = early_training.early_training(trained())
    first = {name: early.departure(name) for name in NAMES}
    at_once = [name for name, each in first.items() if each and each.from_the_start]
    assert at_once
    for name in at_once:
        assert f"of ${name}$ is off by more than 10 % from the start." in drawn_of_trained.caption
    assert_no_words_overlap(drawn_of_trained.canvas)


def test_it_is_drawn_from_the_main_training() -> None:
    (batch,) = early_training.FIGURE.batches(quick=False).values()
    assert (batch.parameters.N, batch.parameters.T, len(batch.seeds)) == (20, 10, 16)


def test_nothing_overlaps(drawn: Drawn) -> None:
    assert_no_words_overlap(drawn.canvas)
