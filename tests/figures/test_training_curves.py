"""Figures over training: their panels, the curves of the seeds, and the twin of the second set."""

from __future__ import annotations

import numpy as np

from figures.drawing import Drawn
from figures.training_curves import (
    draw_simulation,
    figures_of_both_sets,
    panel_pairs,
    simulation_sentences,
)
from meanfield import style
from meanfield.predict.prediction import predict
from tests.figures.small_runs import P


def test_panels_share_the_epochs_and_the_phases_of_the_theory() -> None:
    theory = predict(P, "linear", epochs=np.linspace(0, 90, 10))
    with style.drawing(7.0, 3.8) as canvas:
        pairs = panel_pairs(canvas, theory, ratio=2, sharey=True)
    assert len(pairs) == 2
    for upper, lower in pairs:
        assert upper.get_xlim() == lower.get_xlim() == (0, 90)
        assert lower.get_xlabel() == "epoch"
        for axes in (upper, lower):
            (grey,) = axes.patches
            ends = grey.get_x(), grey.get_x() + grey.get_width()
            assert ends == (theory.heuristic_end_epoch, theory.saturation_epoch)
    (one, _), (other, _) = pairs
    one.set_ylim(-3, 5)
    assert other.get_ylim() == (-3, 5)


def test_every_seed_is_a_line_and_their_mean_is_points() -> None:
    epoch, curves = np.arange(4.0), np.array([[0, 1, 2, 3.0], [0, 3, 4, 9.0]])
    with style.drawing(3, 3) as canvas:
        axes = canvas.subplots()
        draw_simulation(axes, epoch, curves, color="red")
    *seeds, mean = axes.get_lines()
    np.testing.assert_array_equal([line.get_ydata() for line in seeds], curves)
    assert mean.get_marker() == "o"
    np.testing.assert_array_equal(mean.get_ydata(), [0, 2, 3, 6])
    assert "mean of 2 seeds" in simulation_sentences(2)


def test_a_figure_of_both_sets() -> None:
    def draw(runs: object) -> Drawn:
        raise AssertionError

    main, robust = figures_of_both_sets(
        name="x", title="the x", subject="x", source="Figure 7", draw=draw
    )
    assert (main.name, main.title, main.source) == ("x", "the x", "Figure 7")
    assert (robust.name, robust.source) == ("robust_x", "Appendix J")
    assert robust.title == "x for the second set of hyperparameters"
    (one,), (other,) = (list(each.batches(quick=False).values()) for each in (main, robust))
    assert one.parameters != other.parameters
    assert main.draw is robust.draw is draw
