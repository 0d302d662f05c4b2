"""The gradient of R: points where training was, lines where the closures are, factors between."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from figures.beyond import attention_gradient
from figures.measurements.squared_gradient import mean_ratios
from meanfield.compare.statistics import Estimate, concise
from meanfield.parameters import Parameters
from meanfield.runs.run import Run
from tests.figures.synthetic_runs import slow_gamma, synthetic

PARAMETERS = Parameters(N=6, T=8, d_head=16, rope_theta=30.0)
FACTORS = np.array([0.5, 1.0, 1.6])  # of the linear closure, by seed


def a_run() -> Run:
    """Seeds whose G is the linear closure's times a factor, their R moving at their own pace."""
    epoch = np.arange(0, 2000, 10)
    R = expit(logit(1 / 8) + 0.005 * np.outer([1.0, 1.1, 1.2], epoch))
    G = FACTORS[:, None] * slow_gamma(PARAMETERS) * R * (1 - R)
    return synthetic(PARAMETERS, epoch, R=R, grad_R_squared=G)


def test_figure_shows_points_lines_and_their_ratio() -> None:
    run = a_run()
    drawn = attention_gradient.draw({"30": run, "100": run})
    upper, _, lower, _ = drawn.canvas.axes
    points = [line for line in upper.lines if line.get_marker() == "."]
    np.testing.assert_array_equal(points[1].get_xdata(), run.R[1])
    np.testing.assert_array_equal(points[1].get_ydata(), run.grad_R_squared[1])
    linear = next(line for line in upper.lines if line.get_color() == "#000000")
    R = np.asarray(linear.get_xdata())
    np.testing.assert_allclose(linear.get_ydata(), slow_gamma(PARAMETERS) * R * (1 - R), rtol=1e-9)
    ratio = next(line for line in lower.lines if line.get_color() == "#000000")
    np.testing.assert_allclose(ratio.get_ydata(), -np.log2(FACTORS).mean(), atol=1e-3)
    found = mean_ratios(run, *attention_gradient.END)
    assert isinstance(found["linear"], Estimate)
    assert f"From 0.95 to 0.98 it is {concise(found['linear'])} (linear)" in drawn.caption
    assert "3, 3 seeds" in drawn.caption
    assert drawn.numbers["end"]["100"]["linear"] == found["linear"].value
