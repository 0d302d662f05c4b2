"""Attention over training, step by step and as a map: is any step preferred? (Figure 5)"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap, PowerNorm
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from figures.batches import main_batch
from figures.drawing import Drawn, Figure, with_errors
from figures.measurements.attention_maps import excess, maps_at_R, right_entries, step_statistics
from meanfield import style
from meanfield.compare.statistics import Estimate, concise
from meanfield.runs.measured import of_run
from meanfield.runs.run import Run

Array = NDArray[np.float64]

ONSET = 0.5
MAPS = (0.0, 0.3, ONSET, 0.9)  # values of R at which the whole map is shown; 0: the start
PROFILES = {0.0: (style.GREY, "s"), ONSET: (style.BLUE, "o"), 0.9: (style.VERMILION, "^")}


def draw(runs: Mapping[str, Run]) -> Drawn:
    """Draw A_{i,i-T} of every step over epochs, its excess over the mean step, and whole maps."""
    run = runs["run"]
    measured = of_run(run, "the run")
    epoch, R = measured.epoch, measured.curves["R"]
    attention = run.attention[np.isin(run.seeds, measured.seeds)]
    maps = {level: maps_at_R(level, epoch, R, attention) for level in MAPS}
    statistics = step_statistics(maps[ONSET])
    return Drawn(
        canvas=_picture(epoch, right_entries(attention).mean(0), maps),
        caption=_caption(run, len(attention), statistics),
        numbers=with_errors(statistics),
    )


def _picture(epoch: Array, entries: Array, maps: Mapping[float, Array]) -> Canvas:
    """Draw the mean entries (E, T) of the steps over epochs, and the maps at values of R."""
    with style.drawing(7.0, 4.9) as canvas:
        upper, lower = canvas.subfigures(2, 1, squeeze=False, height_ratios=(1.4, 1))[:, 0]
        over_epochs, profile = upper.subplots(1, 2, width_ratios=(1.35, 1))
        _draw_entries(over_epochs, epoch, entries)
        _draw_profile(profile, maps)
        _draw_maps(lower, maps)
    return canvas


def _draw_entries(axes: Axes, epoch: Array, entries: Array) -> None:
    T = entries.shape[1]
    for entry, color in zip(entries.T, style.step_colors(T), strict=True):
        axes.plot(epoch, entry, color=color, lw=1.2)
    axes.set(xlim=(0, epoch[-1]), ylim=(0, 1.03), xlabel="epoch")
    axes.set_ylabel("attention $A_{i,i-T}$")
    axes.set_title("ahead: first and last step\nbehind: all others", size=9, color=style.GREY)
    _step_bar(axes, T)


def _draw_profile(axes: Axes, maps: Mapping[float, Array]) -> None:
    for level, (color, marker) in PROFILES.items():
        percent = 100 * excess(maps[level])
        error = np.std(percent, axis=0, ddof=1) / np.sqrt(len(percent))
        steps = np.arange(1, percent.shape[1] + 1)
        axes.errorbar(
            steps,
            percent.mean(0),
            error,
            color=color,
            marker=marker,
            ms=3.5,
            lw=0.9,
            elinewidth=0.9,
            label=_name(level),
        )
    axes.axhline(0, color=style.GREY, lw=0.7, zorder=0)
    axes.set(xlabel="step $t$", ylabel="excess over the mean step (%)", xticks=_few(len(steps)))
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        ncols=len(PROFILES),
        columnspacing=1,
        handletextpad=0.4,
    )


def _draw_maps(canvas: Any, maps: Mapping[float, Array]) -> None:
    row = canvas.subplots(1, len(maps), sharey=True)
    for axes, (level, each) in zip(row, maps.items(), strict=True):
        T = each.shape[-1]
        image = axes.imshow(
            each.mean(0),
            cmap=style.SEQUENTIAL,
            norm=PowerNorm(0.5, 0, 1),
            extent=(0.5, T + 0.5, T + 0.5, 0.5),
        )
        axes.set_title(_name(level), size=9)
        axes.set(xlabel="action $a_j$", xticks=_few(T), yticks=_few(T))
    row[0].set_ylabel("step $t$")
    bar = canvas.colorbar(image, ax=row, ticks=(0, 0.05, 0.2, 0.5, 1), aspect=12, pad=0.02)
    bar.ax.yaxis.set_major_formatter("{x:g}")
    bar.set_label("attention $A_{T+t,j}$")


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


def _caption(run: Run, seeds: int, statistics: Mapping[str, Estimate]) -> str:
    T = run.parameters.T
    text = {name: concise(each) for name, each in statistics.items()}
    ends, between = (concise(statistics[name], sign=True) for name in ("ends", "between"))
    return (
        f"Attention over training at {style.parameters_line(run.parameters.items())}, mean of "
        f"{seeds} seeds. Left: the entries $A_{{i,i-T}}$, $i=T+t$, of every step $t$. Right: by "
        "how much each step exceeds the mean step, $A_{i,i-T}/R-1$, with standard errors. Each "
        "seed is taken when its own $R$ passes the value given. Below: the whole map at these "
        f"moments (square-root scale). At the onset, $R=1/2$, the {T - 2} steps between the first "
        f"and the last are equal to within {text['between_range']} % of the mean. The first and "
        f"the last, with a neighbour on one side only, are ahead: {ends} % against {between} % of "
        f"the others. The standard deviation over steps is {text['spread']} % of the mean. The "
        "attention that misses the right action is not spread evenly: each neighbour of a step in "
        f"between gets {text['neighbour']}, where $(1-R)/(T-1)$ would be "
        f"{statistics['exchangeable'].value:.3f}."
    )


FIGURE = Figure(
    name="attention",
    title="attention on the right action, step by step, and the whole map",
    source="Figure 5",
    batches=lambda *, quick: {"run": main_batch(quick=quick)},
    draw=draw,
)
