"""When attention has its onset, over the sizes and the RoPE base: a map, and training on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure as Canvas
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from figures.drawing import Drawn, Figure
from figures.measurements.onset_epochs import ONSET
from figures.measurements.onset_maps import (
    MAPPED,
    MAPS,
    Map,
    Point,
    batches,
    delay_against_softmax,
    onset_times,
    point,
)
from figures.panels import MINUS, fix_ticks, legend, round_steps
from meanfield import style
from meanfield.compare.statistics import average, concise
from meanfield.predict import trust
from meanfield.runs.run import Run
from meanfield.theory import CLOSURES

Array = NDArray[np.float64]

TICKS = (4, 10, 20)
FREE_ROWS = (6, 14, 28)  # T where a contour may have its label
CIRCLE: dict[str, Any] = {"s": 110, "lw": 0.6, "edgecolors": "white", "zorder": 3}
UNTRUSTED = f"{MAPPED} closure {100 * trust.TOLERANCE:.0f} % later than softmax"


def draw(runs: Mapping[str, Run]) -> Drawn:
    """The maps side by side, one scale of colours for theory and simulation."""
    points = [point(name, run) for name, run in runs.items()]
    return Drawn(
        canvas=_picture(points),
        caption=_caption(points, runs),
        closures=tuple(CLOSURES),
        numbers={
            "late": {
                name: here.delay if here.learned else None
                for name, here in zip(runs, points, strict=True)
            }
        },
    )


def _picture(points: Sequence[Point]) -> Canvas:
    grids = {name: onset_times(each) for name, each in MAPS.items()}
    values = np.concatenate([grid.ravel() for grid in grids.values()])
    ends = values.min(), values.max()
    colors, levels = {"norm": LogNorm(*ends), "cmap": "viridis"}, round_steps(*ends)
    with style.drawing(7.0, 3.3) as canvas:
        panels = dict(zip(MAPS, canvas.subplots(1, 3, sharey=True), strict=True))
        for name, axes in panels.items():
            _frame(axes, MAPS[name])
            image = axes.pcolormesh(
                *MAPS[name].grid, grids[name], shading="gouraud", rasterized=True, **colors
            )
            _draw_contours(axes, MAPS[name], grids[name], levels)
            for here in points:
                if here.map == name:
                    _draw_point(axes, here, colors)
        panels["rope_theta"].contour(
            *delay_against_softmax(MAPS["rope_theta"]),
            [trust.TOLERANCE],
            colors="black",
            linewidths=1.1,
            linestyles=[style.DASHED],
        )
        panels["N"].set_ylabel("actions $T$")
        bar = canvas.colorbar(image, ax=list(panels.values()), pad=0.01, aspect=30, ticks=levels)
        bar.ax.yaxis.set_major_formatter("{x:g}")
        bar.minorticks_off()
        bar.set_label("onset of attention, lr $\\times$ epoch")
        circle = {"marker": "o", "ls": "", "ms": 8, "mfc": "white", "mec": style.GREY, "mew": 0.8}
        legend(
            canvas,
            {
                f"map and lines: {MAPPED} closure": {"color": style.GREY, "lw": 1},
                "training, and delay of theory / %": circle,
                UNTRUSTED: {"color": style.BLACK, "ls": style.DASHED, "lw": 1.1},
            },
            fontsize=8,
            columnspacing=1.2,
        )
    return canvas


def _frame(axes: Axes, each: Map) -> None:
    """Set the scales; before any contour has its label, which is turned as the line is there."""
    across, T = each.grid
    axes.set(xscale="log", yscale="log", xlabel=each.label)
    axes.set(xlim=(across[0], across[-1]), ylim=(T[0], T[-1]))
    fix_ticks(axes.xaxis, each.ticks)
    fix_ticks(axes.yaxis, TICKS)


def _draw_contours(axes: Axes, each: Map, grid: Array, values: Sequence[float]) -> None:
    lines = axes.contour(*each.grid, grid, values, colors="white", linewidths=0.6)
    places = label_places(each, grid, values)
    parts = [part for level in lines.allsegs for part in level]
    places += [place for part in parts for place in unlabelled(axes, part, places)]
    for text in axes.clabel(lines, fmt="%g", fontsize=7, manual=places, inline=False):
        # over the line, which stays whole
        text.set_path_effects([withStroke(linewidth=2.0, foreground=style.BLACK, alpha=0.4)])


def unlabelled(
    axes: Axes, line: Array, labelled: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Return the middle of a contour, (points, 2), that has no label yet and room for one."""
    at, places = axes.transAxes.inverted().transform, axes.transData.transform
    seen = at(places(line)) if len(line) else np.empty((0, 2))
    there = at(places(np.reshape(labelled, (-1, 2))))
    near = [np.min(np.hypot(*(seen - each).T), initial=np.inf) < 0.02 for each in there]
    length = np.hypot(*np.diff(seen, axis=0).T).sum()
    from_edge = np.minimum(seen, 1 - seen).min(axis=1, initial=1.0)
    if any(near) or length < 0.12 or from_edge.max(initial=0.0) < 0.04:
        return []
    x, y = line[int(np.argmax(from_edge))]
    return [(float(x), float(y))]


def label_places(each: Map, grid: Array, wanted: Sequence[float]) -> list[tuple[float, float]]:
    """Return a place on the contour of each level, between the rows of circles; none outside."""
    across, T = each.grid
    places = []
    for level in wanted:
        for row in np.searchsorted(T, FREE_ROWS):
            above = np.flatnonzero(grid[row] >= level)
            inside = above[(above > 0.04 * len(across)) & (above < 0.9 * len(across))]
            if above.size and inside.size and above[0] == inside[0]:
                places.append((float(across[above[0]]), float(T[row])))
                break
    return places


def _draw_point(axes: Axes, here: Point, colors: Mapping[str, Any]) -> None:
    """Draw a training as a circle, filled as the map would be, and theory's delay in per cent."""
    if not here.learned:
        axes.plot(here.across, here.T, "x", color="white", ms=7, mew=1.5)
        return
    axes.scatter(here.across, here.T, c=[here.simulated], **CIRCLE, **colors)
    axes.annotate(
        f"{round(100 * here.delay[MAPPED]):+d}".replace("-", MINUS),
        (here.across, here.T),
        xytext=(0, 7.5),
        ha="center",
        textcoords="offset points",
        fontsize=7,
        color="white",
        zorder=4,
        path_effects=[withStroke(linewidth=1.5, foreground=style.BLACK, alpha=0.4)],
    )


def _caption(points: Sequence[Point], runs: Mapping[str, Run]) -> str:
    first = next(iter(runs.values()))
    p = first.parameters
    rates = [run.parameters.lr for run in runs.values()]
    scatter = np.nanmean([each.scatter for each in points])
    return (
        "The onset of attention ($R=1/2$) in training time, lr times epoch, the only time in the "
        f"mean-field equations. Maps and white lines: the {MAPPED} closure, at head dimension "
        f"{p.d_head} and, where nothing else is said, RoPE base {p.rope_theta:g}. Circles: median "
        "of "
        f"{len(first.seeds)} seeds, filled in the same colours, so that a circle vanishes where "
        "theory is right. The number above a circle is the delay of theory in per cent. Single "
        f"seeds scatter by {100 * scatter:.0f} %. Each model has the learning rate "
        f"({min(rates):g} to {max(rates):g}) that puts the predicted onset at epoch {ONSET}. Mean "
        "delay of the closures, with its standard error over the circles: "
        + "; ".join(
            _mean_delays(each, [here for here in points if here.map == name and here.learned])
            for name, each in MAPS.items()
        )
        + f". Dashed: up and right of it the onset of the {MAPPED} closure comes more than "
        f"{100 * trust.TOLERANCE:.0f} % later than that of softmax attention from its mean start."
    )


def _mean_delays(each: Map, points: Sequence[Point]) -> str:
    means = {c: average(np.array([100 * here.delay[c] for here in points])) for c in CLOSURES}
    worst = max((here.delay[MAPPED] for here in points), key=abs)
    return (
        f"over {each.description} "
        + " and ".join(f"{concise(means[c], sign=True)} % ({c})" for c in CLOSURES)
        + f", at worst {100 * worst:+.0f} % ({MAPPED})"
    )


FIGURE = Figure(
    name="phase_diagram",
    title="when attention locks on, over N, K, T and the RoPE base",
    source="beyond the paper",
    batches=batches,
    draw=draw,
)
