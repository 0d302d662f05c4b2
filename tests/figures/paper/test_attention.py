"""Figure 5: attention step by step."""

from __future__ import annotations

import numpy as np
import pytest

from figures.drawing import Drawn
from figures.paper.attention import MAPS, draw
from meanfield.compare.statistics import average, concise
from tests.figures.small_runs import P, assert_no_words_overlap, line_like, trained


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw({"run": trained()})


def interpolated(level: float) -> np.ndarray:
    """Return each seed's map when its R passes the level, entry by entry."""
    run = trained()
    maps = []
    for R, attention in zip(run.R, run.attention, strict=True):
        right = max(1, int(np.argmax(level <= R)))
        share = (level - R[right - 1]) / (R[right] - R[right - 1]) if R[0] < level else 0.0
        maps.append((1 - share) * attention[right - 1] + share * attention[right])
    return np.array(maps)


def test_a_line_a_step(drawn: Drawn) -> None:
    run = trained()
    for step in range(P.T):
        line_like(drawn.canvas.axes[0], run.attention[:, :, step, step].mean(0))


def test_the_maps(drawn: Drawn) -> None:
    images = [axes.images[0].get_array() for axes in drawn.canvas.axes if axes.images]
    assert len(images) == len(MAPS)
    for level, image in zip(MAPS, images, strict=True):
        np.testing.assert_allclose(image, interpolated(level).mean(0))


def test_excess_over_the_mean_step(drawn: Drawn) -> None:
    beside = drawn.canvas.axes[1]
    maps = interpolated(0.5)
    entries = np.array([[each[t, t] for t in range(P.T)] for each in maps])
    percent = 100 * (entries / 0.5 - 1)
    line_like(beside, percent.mean(0))
    assert drawn.numbers["ends"]["value"] == pytest.approx(percent[:, [0, 3]].mean())
    assert drawn.numbers["between"]["value"] == pytest.approx(percent[:, [1, 2]].mean())
    ends = average(percent[:, [0, 3]].mean(1))
    assert drawn.numbers["ends"]["error"] == pytest.approx(ends.error)
    between = concise(average(percent[:, [1, 2]].mean(1)), sign=True)
    apart = concise(average(np.abs(percent[:, 1] - percent[:, 2])))
    spread = concise(average(percent.std(1)))
    assert f"ahead: {concise(ends, sign=True)} % against {between} % of the others" in drawn.caption
    assert f"equal to within {apart} % of the mean" in drawn.caption
    assert f"deviation over steps is {spread} % of the mean" in drawn.caption


def test_nothing_overlaps(drawn: Drawn) -> None:
    assert_no_words_overlap(drawn.canvas)
