"""Plot one predicted training run: order parameters above, accuracies below, phases marked."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from meanfield.files import writing
from meanfield.parameters import ParameterError
from meanfield.trajectory import Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".pdf", ".svg")

# Okabe and Ito's colours, which colour-blind readers tell apart; the dashes do so in grey
BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
BAND = "#ECECEC"
PHASES = ("heuristic", "attention locks on", "saturated")
STYLE = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "svg.fonttype": "none",
}


def check(path: str | os.PathLike[str]) -> None:
    """Raise ParameterError unless the file is a .png, .pdf or .svg and matplotlib is installed."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ParameterError(
            f"the plot must be a {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file, "
            f"not {os.fspath(path)}"
        )
    if find_spec("matplotlib") is None:
        raise ParameterError("a plot needs matplotlib, which is not installed")


def plot(trajectory: Trajectory, path: str | os.PathLike[str]) -> None:
    """Write the plot to ``path``, whole or not at all; its suffix chooses the format."""
    check(path)
    import matplotlib.style
    from matplotlib.figure import Figure

    parameters = trajectory.parameters
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(6.4, 5.0), layout="constrained")
        above, below = figure.subplots(2, sharex=True)
        figure.suptitle(
            f"$N={parameters.N}$, $K={parameters.K}$, $T={parameters.T}$, "
            f"$d={parameters.d_head}$, RoPE base {parameters.rope_theta:g}, "
            f"lr {parameters.lr:g}, {trajectory.closure} closure",
            size=9,
            x=0.99,
            ha="right",
        )
        epoch = trajectory.epoch
        above.plot(epoch, trajectory.R, color=BLUE, label="$R$  attention on the right action")
        above.plot(
            epoch,
            trajectory.Q,
            color=VERMILION,
            ls=(0, (5, 1.5)),
            label="$Q$  overlap with the right permutation",
        )
        above.plot(
            epoch, trajectory.S, color=GREEN, ls=(0, (1, 1)), label="$S$  overlap with the others"
        )
        above.set_ylabel("order parameters")
        below.plot(
            epoch,
            trajectory.next_token_accuracy,
            color=VERMILION,
            ls=(0, (5, 1.5)),
            label="next token",
        )
        below.plot(
            epoch, trajectory.rollout_accuracy, color=BLUE, label=f"rollout of {parameters.T} steps"
        )
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
        ends = [trajectory.heuristic_end_epoch, trajectory.saturation_epoch]
        edges = [0.0, *(epoch[-1] if end is None else end for end in ends), epoch[-1]]
        for phase, left, right in zip(PHASES, edges[:-1], edges[1:], strict=True):
            if right - left > 0.12 * epoch[-1]:  # room for the name
                above.annotate(
                    phase,
                    ((left + right) / 2, 1.02),
                    ha="center",
                    color=GREY,
                    xycoords=above.get_xaxis_transform(),
                )
        for axes in (above, below):
            axes.axvspan(edges[1], edges[2], color=BAND, lw=0, zorder=0)
            axes.legend(loc="upper left")
        with writing(path) as file:
            figure.savefig(file, format=Path(path).suffix[1:].lower(), dpi=200)


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
