"""Attention over training, step by step and as a map: is any step preferred? (Figure 5)"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap, PowerNorm
from numpy.typing import NDArray

from figures import over_training
from figures.batches import main_batch
from figures.drawing import Drawn, Figure, with_error
from meanfield import style
from meanfield.comparison import Estimate, average
from meanfield.measured import of_run
from meanfield.runs import Run
from meanfield.words import concise

Array = NDArray[np.float64]

ONSET = 0.5
MAPS = (0.0, 0.3, ONSET, 0.9)  # values of R at which the whole map is shown; 0: the start
PROFILES = {0.0: (style.GREY, "s"), ONSET: (style.BLUE, "o"), 0.9: (style.VERMILION, "^")}


def draw(runs: Mapping[str, Run]) -> Drawn:
    """Draw A_{i,i-T} of every step over epochs, its excess over the mean step, and whole maps."""
    run = runs["run"]
    measured = of_run(run, "the run")
    epoch, R, T = measured.epoch, measured.curves["R"], run.parameters.T
    attention = run.attention[np.isin(run.seeds, measured.seeds)]
    at = {level: when_R_is(level, epoch, R, attention) for level in MAPS}
    steps = np.arange(1, T + 1)
    with style.drawing(7.0, 4.6) as canvas:
        upper, lower = canvas.subfigures(2, 1, squeeze=False, height_ratios=(1.25, 1))[:, 0]
        over, beside = upper.subplots(1, 2, width_ratios=(1.35, 1))
        entries = right_entries(attention).mean(0)
        for entry, color in zip(entries.T, style.step_colors(T), strict=True):
            over.plot(epoch, entry, color=color, lw=1.2)
        over.annotate(
            "ahead: first and last step\nbehind: all others", (0.98, 0.06), ha="right",
            xycoords="axes fraction", color=style.GREY, linespacing=1.4,
        )  # fmt: skip
        over.set_xlim(0, epoch[-1])
        over.set_ylim(0, 1.03)
        over.set_xlabel("epoch")
        over.set_ylabel("attention $A_{i,i-T}$")
        _step_bar(over, T)
        for level, (color, marker) in PROFILES.items():
            percent = 100 * excess(at[level])
            error = np.std(percent, axis=0, ddof=1) / np.sqrt(len(percent))
            beside.errorbar(
                steps, percent.mean(0), error, color=color, marker=marker, ms=3.5, lw=0.9,
                elinewidth=0.9, label=_name(level),
            )  # fmt: skip
        beside.axhline(0, color=style.GREY, lw=0.7, zorder=0)
        beside.set_xlabel("step $t$")
        beside.set_ylabel("excess over the mean step (%)")
        beside.set_xticks(_few(T))
        beside.legend(loc="upper center")
        maps = lower.subplots(1, len(MAPS), sharey=True)
        for axes, level in zip(maps, MAPS, strict=True):
            image = axes.imshow(
                at[level].mean(0), cmap=style.SEQUENTIAL, norm=PowerNorm(0.5, 0, 1),
                extent=(0.5, T + 0.5, T + 0.5, 0.5),
            )  # fmt: skip
            axes.set_title(_name(level), size=9)
            axes.set_xlabel("action $a_j$")
            axes.set_xticks(_few(T))
            axes.set_yticks(_few(T))
        maps[0].set_ylabel("step $t$")
        bar = lower.colorbar(image, ax=maps, ticks=(0, 0.05, 0.2, 0.5, 1), aspect=12, pad=0.02)
        bar.set_label("attention $A_{T+t,j}$")
    found = numbers(at[ONSET])
    ends, between, spread, near, equal = (
        found[name] for name in ("ends", "between", "spread", "neighbour", "exchangeable")
    )
    caption = (
        f"Attention over training at {style.parameters_line(run.parameters.items())}, mean of "
        f"{len(attention)} seeds. Left: the entries $A_{{i,i-T}}$, $i=T+t$, of every step $t$. "
        "Right: by how much each step exceeds the mean step, $A_{i,i-T}/R-1$, each seed taken when "
        "its own $R$ passes the value given, with standard errors. Below: the whole map at these "
        f"moments (square-root scale). At onset, $R=1/2$, the {T - 2} steps between the first and "
        f"the last are equal to within {concise(found['between_range'])} % of the mean; the first "
        f"and the last are ahead, at {concise(ends, sign=True)} % against "
        f"{concise(between, sign=True)} % of the others, having a neighbour on one side only. The "
        f"standard deviation over steps is {concise(spread)} % of the mean. What misses the right "
        f"action is not spread evenly: each neighbour in between gets {concise(near)}, where "
        f"$(1-R)/(T-1)$ would be {equal.value:.3f}."
    )
    return Drawn(
        canvas=canvas,
        caption=caption,
        numbers={name: with_error(each) for name, each in found.items()},
    )


def right_entries(attention: Array) -> Array:
    """Return A_{i,i-T}, the diagonal (..., T) of maps (..., T, T)."""
    return np.diagonal(attention, axis1=-2, axis2=-1)


def when_R_is(level: float, epoch: Array, R: Array, attention: Array) -> Array:
    """Return the map of each seed, (seeds, T, T), when its R (B, E) first passes a level.

    Straight between epochs; the start for a seed that begins above; seeds that never come so far
    are left out. attention: (B, E, T, T).
    """
    when = np.array([over_training.reaches(epoch, curve, level) for curve in R])
    kept = np.flatnonzero(np.isfinite(when))
    right = np.clip(np.searchsorted(epoch, when[kept]), 1, len(epoch) - 1)
    share = (when[kept] - epoch[right - 1]) / (epoch[right] - epoch[right - 1])
    before, after = attention[kept, right - 1], attention[kept, right]
    return np.asarray(before + share[:, None, None] * (after - before))


def excess(maps: Array) -> Array:
    """Return A_{i,i-T}/R - 1 of each step, (seeds, T); maps: (seeds, T, T)."""
    entries = right_entries(maps)
    return np.asarray(entries / entries.mean(-1, keepdims=True) - 1)


def numbers(maps: Array) -> dict[str, Estimate]:
    """Return what a caption says of the maps (seeds, T, T) at one moment, over seeds.

    In percent of the mean step: ends, the excess of the first and last step; between, that of the
    others; between_range, from the least to the greatest of these; spread, the standard deviation
    over all steps. neighbour: attention of a step in between on the action before or after the
    right one. exchangeable: the same if all wrong actions got alike.
    """
    T = maps.shape[-1]
    percent = 100 * excess(maps)
    inner = np.arange(1, T - 1)
    neighbours = (maps[:, inner, inner - 1] + maps[:, inner, inner + 1]) / 2
    wrong = 1 - right_entries(maps).mean(-1)
    return {
        "ends": average(percent[:, [0, -1]].mean(1)),
        "between": average(percent[:, inner].mean(1)),
        "between_range": average(np.ptp(percent[:, inner], axis=1)),
        "spread": average(percent.std(1)),
        "neighbour": average(neighbours.mean(1)),
        "exchangeable": average(wrong / (T - 1)),
    }


def _name(level: float) -> str:
    return f"$R={level:g}$" if level else "start"


def _few(T: int) -> list[int]:
    """Return the first step, the last, and one in the middle."""
    return [1, (T + 1) // 2, T]


def _step_bar(axes: Axes, T: int) -> None:
    """Put the colours of the steps beside the axes."""
    colormap = ListedColormap(style.step_colors(T))
    norm = BoundaryNorm(np.arange(0.5, T + 1), T)
    figure: Any = axes.figure
    bar = figure.colorbar(ScalarMappable(norm, colormap), ax=axes, ticks=_few(T), pad=0.02)
    bar.set_label("step $t$")
    bar.ax.minorticks_off()


FIGURE = Figure(
    name="attention",
    title="attention on the right action, step by step, and the whole map",
    source="Figure 5",
    batches=lambda *, quick: {"run": main_batch(quick=quick)},
    draw=draw,
)
