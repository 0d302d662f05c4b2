"""What figures over training share: the curves of all seeds, and the phases behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from meanfield import plot, style
from meanfield.comparison import first_half
from meanfield.trajectory import Trajectory

Array = NDArray[np.float64]


def simulation(axes: Axes, epoch: Array, seeds: Array, *, color: str, label: str = "") -> None:
    """Draw curves (B, E): their mean as points, two thirds of them as a band, each as a line."""
    axes.plot(epoch, seeds.T, color=color, lw=0.5, alpha=0.3, zorder=1)
    style.band(axes, epoch, seeds, color=color, label=label)


def simulation_in_words(count: int) -> str:
    """Return what ``simulation`` has drawn, for a caption."""
    return f"Points: mean of {count} seeds; band: two thirds of them; thin lines: single seeds."


def phases(upper: Axes, lower: Axes, theory: Trajectory, *, width: float) -> None:
    """Name the phases above the upper axes, grey the middle one in both; width: in inches."""
    ends = plot.phases(upper, theory, width=width)
    for axes in (upper, lower):
        axes.axvspan(*ends, color=style.BAND, lw=0, zorder=0)


PHASES_IN_WORDS = "Grey: from the end of the heuristic phase to saturation, in theory."
RESIDUAL_IN_WORDS = "Below: theory minus simulation, averaged over seeds, with its standard error."


def reaches(epoch: Any, curve: Any, level: float) -> float:
    """Return where a curve (E,) first passes a level, straight between epochs; nan if nowhere."""
    return first_half(np.asarray(epoch), np.asarray(curve) + (0.5 - level))
