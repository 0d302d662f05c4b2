"""The gradient of R: points where training was, lines where the closures are, factors between."""

from __future__ import annotations

import numpy as np

from figures.beyond import attention_gradient
from figures.measurements.squared_gradient import mean_ratios
from meanfield.compare.statistics import Estimate, concise
from tests.figures.synthetic_runs import FACTORS, PARAMETERS, run_of_factors, slow_gamma


def test_figure_shows_points_lines_and_their_ratio() -> None:
    run = run_of_factors()
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
