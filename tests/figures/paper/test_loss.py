"""Figure 4: the mean-field loss against the true one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from figures.drawing import Drawn
from figures.paper.loss import draw
from meanfield.compare.statistics import average, concise, jackknife
from meanfield.runs.run import Run
from tests.figures.small_runs import P, assert_no_words_overlap, line_like, trained


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw({"run": trained()})


def mean_field(run: Run) -> np.ndarray:
    """Write (10)-(12) out, (B, E)."""
    right = run.Q * (run.R + (1 - run.R) / P.K) + run.S * (1 - run.R) * (P.K - 1) / P.K
    other = (run.C - right) / (P.N - 1)
    return np.log1p((P.N - 1) * np.exp(other - right))


@pytest.mark.parametrize(("column", "shown"), [(0, slice(1)), (1, slice(None))])
def test_lines_points_and_residuals(drawn: Drawn, column: int, shown: slice) -> None:
    run = trained()
    upper, lower = drawn.canvas.axes[column], drawn.canvas.axes[column + 2]
    theirs, ours = run.loss[shown].mean(0), mean_field(run)[shown].mean(0)
    assert "o" in [
        line.get_marker() for line in upper.get_lines() if np.array_equal(line.get_ydata(), theirs)
    ]
    assert line_like(upper, ours).get_linestyle() == "-"
    assert line_like(lower, ours - theirs).get_linestyle() == "-"


def test_with_the_mean_logits_of_the_data_it_is_a_lower_bound(drawn: Drawn) -> None:
    for lower in drawn.canvas.axes[2:]:
        (dashed,) = (line for line in lower.get_lines() if line.get_linestyle() == "--")
        assert np.all(np.asarray(dashed.get_ydata()) < 0)


def test_the_numbers_said(drawn: Drawn) -> None:
    run = trained()
    off = mean_field(run) - run.loss
    assert drawn.numbers["largest_seed"] == pytest.approx(np.abs(off).max(1).mean())
    assert drawn.numbers["largest_mean"] == pytest.approx(np.abs(off.mean(0)).max())
    assert drawn.numbers["end"] == pytest.approx(off[:, -1].mean())
    assert "averaged over 3 seeds" in drawn.caption
    seed = concise(average(np.abs(off).max(1)))
    mean = concise(jackknife(lambda curve: np.abs(curve).max(), off))
    end = concise(average(off[:, -1]), sign=True)
    assert (
        f"at most {seed} nats along a seed and {mean} in the mean over seeds, and {end} at"
        in drawn.caption
    )


def test_a_diverged_seed_is_left_out() -> None:
    run = trained()
    drawn = draw({"run": replace(run, diverged={0: 20})})
    left, right, _, _ = drawn.canvas.axes
    line_like(left, mean_field(run)[1])
    line_like(right, mean_field(run)[1:].mean(0))
    assert [text.get_text() for text in left.texts if "seed" in text.get_text()] == ["seed 1"]


def test_nothing_overlaps(drawn: Drawn) -> None:
    assert_no_words_overlap(drawn.canvas)
