"""Figure 6: the distribution of the correct logit."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from figures.drawing import Drawn
from figures.measurements.correct_logits import correct_logits
from figures.paper import logit_histograms
from meanfield.compare.statistics import average, concise
from tests.figures.small_runs import assert_no_words_overlap, line_like, trained


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return logit_histograms.draw({"early": trained(1), "late": trained()})


def test_histograms_and_quantiles(drawn: Drawn) -> None:
    for column, run in enumerate((trained(1), trained())):
        upper, lower = drawn.canvas.axes[column], drawn.canvas.axes[column + 2]
        logits = correct_logits(run, most=8, count=logit_histograms.SEQUENCES)[0]
        assert upper.get_title().startswith(f"epoch {run.epoch[-1]}\n")
        for stairs, step in zip(upper.patches, (1, 2, 4), strict=True):
            values = logits[:, step - 1]
            heights, edges, _ = stairs.get_data()
            inside = np.mean((values >= edges[0]) & (values <= edges[-1]))
            assert np.sum(heights * np.diff(edges)) == pytest.approx(inside)
            assert (edges[0] + edges[-1]) / 2 == pytest.approx(values.mean())
            z = np.linspace(-3, 3, 25)
            shares = [NormalDist().cdf(each) for each in z]
            standard = (np.quantile(values, shares) - values.mean()) / values.std()
            line_like(lower, standard)
        middle = logits[:, 1]
        (normal,) = upper.get_lines()
        y, density = np.asarray(normal.get_data())
        weights = density * (y[1] - y[0])
        assert weights.sum() == pytest.approx(1, abs=1e-3)
        assert weights @ y == pytest.approx(middle.mean(), abs=1e-3)
        assert weights @ (y - middle.mean()) ** 2 == pytest.approx(middle.var(), rel=1e-2)


def test_the_numbers_said(drawn: Drawn) -> None:
    run = trained()
    logits = correct_logits(run, most=8, count=logit_histograms.SEQUENCES)

    def moments(power: int) -> np.ndarray:
        """Return the standardised moment of each seed, averaged over steps."""
        each = [[np.mean((y - y.mean()) ** power) / y.std() ** power for y in x.T] for x in logits]
        return np.mean(each, axis=1)

    third, fourth = average(moments(3)), average(moments(4) - 3)
    said = drawn.numbers["40"]["skewness"]
    assert said["value"] == pytest.approx(third.value)
    assert said["error"] == pytest.approx(third.error)
    assert "over 3 seeds" in drawn.caption
    assert f"epoch 40: {concise(third)} and {concise(fourth)}." in drawn.caption


def test_nothing_overlaps(drawn: Drawn) -> None:
    assert_no_words_overlap(drawn.canvas)
