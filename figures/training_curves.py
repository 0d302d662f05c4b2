"""Figures over training: all seeds above, theory minus simulation below, the phases behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from figures.batches import main_batch, robust_batch
from figures.drawing import Drawn, Figure
from meanfield import style
from meanfield.predict import plot
from meanfield.predict.trajectory import Trajectory
from meanfield.runs.run import Run

Array = NDArray[np.float64]

WIDTH = 2.7  # of a panel, in inches
POINTS = {"color": style.GREY, "ls": "", "marker": "o", "ms": 2.6}

# Sentences for captions.
PHASES = "Grey: from the end of the heuristic phase to saturation, in theory."
RESIDUALS = "Below: theory minus simulation, averaged over seeds, with its standard error."


def simulation_sentences(count: int) -> str:
    """Return what ``draw_simulation`` shows of so many seeds, for a caption."""
    return f"Points: mean of {count} seeds. Band: two thirds of them. Thin lines: single seeds."


def panel_pairs(
    canvas: Canvas, theory: Trajectory, *, ratio: float = 3.0, sharey: bool = False
) -> list[tuple[Axes, Axes]]:
    """Return two pairs of panels over the epochs of the theory, with its phases.

    The upper one is for the curves, the lower one for differences. ratio: of their heights.
    sharey: whether both pairs share their scales.
    """
    rows = canvas.subplots(
        2, 2, sharex=True, sharey="row" if sharey else False, height_ratios=(ratio, 1)
    )
    pairs = list(zip(*rows, strict=True))
    for upper, lower in pairs:
        ends = plot.phases(upper, theory, width=WIDTH)
        for axes in (upper, lower):
            axes.axvspan(*ends, color=style.BAND, lw=0, zorder=0)
        upper.set_xlim(0, theory.epoch[-1])
        lower.set_xlabel("epoch")
    return pairs


def draw_simulation(axes: Axes, epoch: Array, curves: Array, *, color: str) -> None:
    """Draw curves (B, E): their mean as points, two thirds of them as a band, each as a line."""
    axes.plot(epoch, curves.T, color=color, lw=0.5, alpha=0.3, zorder=1)
    style.band(axes, epoch, curves, color=color)


def figures_of_both_sets(
    *, name: str, title: str, subject: str, source: str, draw: Callable[[Mapping[str, Run]], Drawn]
) -> tuple[Figure, Figure]:
    """Return a figure of the main training, and the same of the second set (Appendix J).

    subject: what the second one shows, for its title.
    """
    main = Figure(
        name=name,
        title=title,
        source=source,
        batches=lambda *, quick: {"run": main_batch(quick=quick)},
        draw=draw,
    )
    robust = Figure(
        name=f"robust_{name}",
        title=f"{subject} for the second set of hyperparameters",
        source="Appendix J",
        batches=lambda *, quick: {"run": robust_batch(quick=quick)},
        draw=draw,
    )
    return main, robust
