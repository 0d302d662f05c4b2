"""Legends stand outside the data, and axes show the chosen ticks alone."""

from __future__ import annotations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from figures.panels import fix_ticks, legend, round_steps
from meanfield import style


@pytest.mark.parametrize("place", ["upper", "lower"])
def test_a_legend_covers_no_panel(place: str) -> None:
    with style.drawing(4, 3) as canvas:
        axes = canvas.subplots()
        legend(canvas, {"one": {"color": "red"}, "two": {"marker": "o", "ls": ""}}, place=place)
    FigureCanvasAgg(canvas).draw()
    (box,) = canvas.legends
    assert not box.get_window_extent().overlaps(axes.get_window_extent())
    assert (box.get_window_extent().y0 > axes.get_window_extent().y0) == (place == "upper")
    assert [text.get_text() for text in box.get_texts()] == ["one", "two"]
    assert box.legend_handles[1].get_marker() == "o"


@pytest.mark.parametrize(
    ("low", "high", "steps"),
    [(30, 700, [50, 100, 200, 500]), (1, 10, [2, 5]), (0.15, 1.1, [0.2, 0.5, 1])],
)
def test_steps_are_round_and_inside(low: float, high: float, steps: list[float]) -> None:
    assert round_steps(low, high) == pytest.approx(steps)


def test_ticks_are_those_chosen_as_plain_numbers() -> None:
    with style.drawing(4, 3) as canvas:
        axes = canvas.subplots()
        axes.set(yscale="symlog", ylim=(-20, 20_000))
        fix_ticks(axes.yaxis, (-10, 0, 10_000))
    FigureCanvasAgg(canvas).draw()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["−10", "0", "10000"]
    assert list(axes.yaxis.get_minorticklocs()) == []
