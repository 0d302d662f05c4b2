"""Plot one predicted training run: order parameters above, accuracies below, phases marked."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING, Any

from meanfield import style
from meanfield.style import BAND, BLUE, COLORS, DASHED, DOTTED, GREY, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Trajectory = Any  # what has the attributes of one (see meanfield.predict.trajectory)

CAPTION = 112  # characters in a line below the plot
PHASES = (("heuristic",), ("attention locks on", "locks on"), ("saturated",))  # shorter ones last
LETTER = 0.062  # inches, of the width of a name


def plot(trajectory: Trajectory, path: str | os.PathLike[str]) -> None:
    """Write the plot to ``path``, whole or not at all; its suffix chooses the format."""
    style.check(path)
    style.save(draw(trajectory), path)


def draw(trajectory: Trajectory) -> Figure:
    """Return the plot."""
    parameters, epoch = trajectory.parameters, trajectory.epoch
    with style.drawing(6.4, 5.0) as figure:
        above, below = figure.subplots(2, sharex=True)
        figure.suptitle(
            f"{style.parameters_line(parameters.items())}, {trajectory.theory}",
            size=9,
            x=0.99,
            ha="right",
        )
        for name, dashes, words in (
            ("R", "-", "$R$  attention on the right action"),
            ("Q", DASHED, "$Q$  overlap with the right permutation"),
            ("S", DOTTED, "$S$  overlap with the others"),
        ):
            above.plot(epoch, getattr(trajectory, name), color=COLORS[name], ls=dashes, label=words)
        above.set_ylabel("order parameters")
        for name, dashes, words in (
            ("next_token_accuracy", DASHED, "next token"),
            ("rollout_accuracy", "-", f"rollout of {parameters.T} steps"),
        ):
            below.plot(epoch, getattr(trajectory, name), color=COLORS[name], ls=dashes, label=words)
        below.axhline(1 / parameters.N, color=GREY, lw=0.7, ls=":")
        below.annotate(
            "chance",
            (1, 1 / parameters.N),
            xycoords=below.get_yaxis_transform(),
            xytext=(-2, 2),
            textcoords="offset points",
            ha="right",
            color=GREY,
        )
        below.set_ylabel("accuracy")
        below.set_ylim(0, 1.03)
        below.set_xlabel("epoch")
        below.set_xlim(0, epoch[-1])
        _mark(above, trajectory.onset_epoch, "$R=1/2$", left=True)
        _mark(below, trajectory.rollout_half_epoch, "rollout 1/2", left=False)
        ends = phases(above, trajectory, width=5.6)
        for axes in (above, below):
            axes.axvspan(*ends, color=BAND, lw=0, zorder=0)
            axes.legend(loc="upper left")
        if trajectory.caveats:
            words = textwrap.fill("; ".join(trajectory.caveats), CAPTION)
            figure.supxlabel(words, size=7, color=VERMILION, x=0.01, ha="left")
    return figure


def phases(axes: Axes, trajectory: Trajectory, *, width: float) -> tuple[float, float]:
    """Name the phases above the axes where there is room; return where the middle one lies.

    width: of the axes, in inches.
    """
    last = float(trajectory.epoch[-1])
    ends = [trajectory.heuristic_end_epoch, trajectory.saturation_epoch]
    edges = [0.0, *(last if end is None else end for end in ends), last]
    for names, left, right in zip(PHASES, edges[:-1], edges[1:], strict=True):
        room = (right - left) / last * width
        fitting = [name for name in names if len(name) * LETTER < room]
        if fitting:
            axes.annotate(
                fitting[0],
                ((left + right) / 2, 1.02),
                ha="center",
                color=GREY,
                xycoords=axes.get_xaxis_transform(),
            )
    return edges[1], edges[2]


def _mark(axes: Axes, epoch: float | None, words: str, *, left: bool) -> None:
    """Put a dot on the blue curve at height 1/2, with its epoch on the free side."""
    if epoch is not None:
        axes.plot(epoch, 0.5, "o", ms=5, color=BLUE, zorder=3)
        axes.annotate(
            f"{words}: epoch {epoch:.4g}",
            (epoch, 0.5),
            xytext=(-7, 5) if left else (7, -3),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
        )
