"""The figure of the scaling: points, lines and words are those of the laws."""

from __future__ import annotations

import numpy as np
import pytest

from figures.beyond import scaling_laws
from figures.drawing import Drawn
from figures.measurements.onset_laws import SERIES, batches, laws
from meanfield.runs.run import Run
from tests.figures.small_runs import assert_no_words_overlap
from tests.figures.synthetic_runs import locking, synthetic


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    epoch = np.arange(0, 100, 5)
    return {
        key: synthetic(
            each.parameters,
            epoch,
            R=locking(epoch, [30.0, 40.0, np.inf if key == "T 6" else 45.0]),
        )
        for key, each in batches(quick=True).items()
    }


@pytest.fixture(scope="module")
def drawn(runs: dict[str, Run]) -> Drawn:
    return scaling_laws.draw(runs)


def test_points_and_lines_are_those_of_the_laws(runs: dict[str, Run], drawn: Drawn) -> None:
    series = laws(runs)
    for axes, name in zip(drawn.canvas.axes, SERIES, strict=True):
        law, lines = series[name], [np.asarray(line.get_ydata()) for line in axes.get_lines()]
        for curve in (law.trained, law.linear, law.spectral, law.closed):
            shapes = [line for line in lines if line.shape == curve.shape]
            assert any(np.allclose(line, curve, equal_nan=True) for line in shapes)
        late = drawn.numbers["late"][name]
        assert list(late.values()) == pytest.approx(law.linear / law.trained - 1)


def test_the_caption_says_what_is_left_out_and_which_sizes_are_kept(drawn: Drawn) -> None:
    assert "Left out, without an onset at every value: 1 (T). " in drawn.caption
    assert "the others at $N=12$, $K=12$, $T=6$, head dimension 64, RoPE base 10." in drawn.caption
    assert drawn.canvas.axes[1].get_xlabel() == "$N$, $K=12$"


def test_the_caption_says_where_the_closure_is_off(runs: dict[str, Run], drawn: Drawn) -> None:
    off = laws(runs)["lr"].disagreements()
    assert f"lr = {', '.join(f'{value:g}' for value in off)}" in drawn.caption


def test_nothing_overlaps(drawn: Drawn) -> None:
    assert_no_words_overlap(drawn.canvas)
