"""When attention locks on, over the sizes and the RoPE base: theory as a map, training on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from figures import onset
from figures.batches import Batch
from figures.drawing import Drawn, Figure
from meanfield import closures, style, trust
from meanfield.comparison import average
from meanfield.parameters import Parameters
from meanfield.quadrature import predict_many
from meanfield.runs import Run
from meanfield.words import concise

Array = NDArray[np.float64]

CLOSURES = tuple(closures.CLOSURES)
DRAWN = "linear"  # as a map; the other is in the caption


@dataclass(frozen=True, kw_only=True)
class Map:
    """One map: what changes across and up, and at which values it is trained.

    words: of the caption. ticks: across. others: what all its models have in common.
    grid: values of the theory, across and up. trained, quick: values of the trainings.
    """

    across: str
    label: str
    words: str
    ticks: tuple[float, ...]
    others: dict[str, Any]
    grid: tuple[NDArray[Any], NDArray[Any]]
    trained: tuple[tuple[Any, ...], tuple[Any, ...]]
    quick: tuple[tuple[Any, ...], tuple[Any, ...]]

    def settings(self, across: Any, T: Any) -> dict[str, Any]:
        """Return the settings of a point, or of many."""
        changed = {**self.others, self.across: across, "T": T}
        return {"K": changed["N"], **changed}  # as many permutations as states


TICKS = (4, 10, 20)
FREE_ROWS = (6, 14, 28)  # T where a contour may have its label
ACTIONS = np.arange(3, 33)
MAPS = {
    "N": Map(
        across="N",
        label="states $N$ = permutations $K$",
        words="$N=K$ and $T$",
        ticks=(8, 20, 50),
        others={},
        grid=(np.arange(5, 65), ACTIONS),
        trained=((8, 20, 50), (4, 10, 20)),
        quick=((6, 12), (4, 8)),
    ),
    "K": Map(
        across="K",
        label="permutations $K$, at $N=20$",
        words="$K$ and $T$",
        ticks=(8, 20, 50),
        others={"N": 20},
        grid=(np.arange(6, 65), ACTIONS),
        trained=((8, 20, 50), (4, 10, 20)),
        quick=((8, 20), (4,)),
    ),
    "rope_theta": Map(
        across="rope_theta",
        label="RoPE base, at $N=K=20$",
        words="RoPE base and $T$",
        ticks=(10, 100, 1000, 10000),
        others={"N": 20},
        grid=(np.geomspace(2.0, 3e4, 61), ACTIONS),
        trained=((10.0, 100.0, 1e4), (4, 10, 20)),
        quick=((10.0, 1e4), (4,)),
    ),
}


def batches(*, quick: bool) -> dict[str, Batch]:
    """One training for each point on each map, named "map across T".

    Each has the learning rate that brings its predicted onset to about the same epoch.
    """
    result = {}
    for name, each in MAPS.items():
        for across, T in trained(each, quick=quick):
            settings = each.settings(across, T)
            result[f"{name} {across:g} {T}"] = onset.locking_batch(settings, quick=quick)
    return result


def trained(each: Map, *, quick: bool) -> list[tuple[Any, Any]]:
    """Return the points that are trained, (across, T)."""
    wide, high = each.quick if quick else each.trained
    return [(across, T) for across in wide for T in high]


@dataclass(frozen=True)
class Point:
    """One training on a map.

    simulated: median over its seeds of the training time of the onset; inf if most never lock on.
    scatter: standard deviation over seeds, relative to it; nan if one never does.
    late: how much later each closure puts it, relative; meaningless if most never lock on.
    """

    name: str
    across: float
    T: int
    simulated: float
    scatter: float
    late: dict[str, float]


def point(name: str, run: Run) -> Point:
    """Return where a training stands on which map, and how late theory is."""
    which, across, T = name.split()
    p, epochs = run.parameters, np.nan_to_num(onset.measured(run), nan=np.inf)
    simulated = p.lr * float(np.median(epochs))
    predicted = {closure: p.lr * onset.predicted(p, closure) for closure in CLOSURES}
    late = {closure: time / simulated - 1 for closure, time in predicted.items()}
    all_lock = bool(np.all(np.isfinite(epochs)))
    scatter = p.lr * float(np.std(epochs, ddof=1)) / simulated if all_lock else np.nan
    return Point(which, float(across), int(T), simulated, scatter, late)


def theory(each: Map) -> Array:
    """Return the training time of the onset over a map's grid, (T, across)."""
    across, T = each.grid
    settings = each.settings(across, T[:, None])
    return predict_many(**settings, lr=1.0, closure=DRAWN).onset_epoch


def mistrust(each: Map) -> tuple[Array, Array, Array]:
    """Return a coarse grid of a map and how late the closure is there against the softmax."""
    across, T = (axis[:: max(1, len(axis) // 12)] for axis in each.grid)
    late = np.full((len(T), len(across)), np.nan)
    for row, column in np.ndindex(late.shape):
        settings = each.settings(float(across[column]), int(T[row]))
        parameters = Parameters(**settings)
        late[row, column] = trust.lateness(parameters, closures.named(DRAWN))[0]
    return across, T, late


def draw(runs: Mapping[str, Run]) -> Drawn:
    """The maps side by side, one scale of colours for theory and simulation."""
    points = [point(name, run) for name, run in runs.items()]
    grids = {name: theory(each) for name, each in MAPS.items()}
    values = np.concatenate([grid.ravel() for grid in grids.values()])
    colors = {"norm": LogNorm(values.min(), values.max()), "cmap": "viridis"}
    with style.drawing(7.0, 3.0) as canvas:
        panels = canvas.subplots(1, 3, sharey=True)
        for axes, (name, each) in zip(panels, MAPS.items(), strict=True):
            image = axes.pcolormesh(
                *each.grid, grids[name], shading="gouraud", rasterized=True, **colors
            )
            lines = axes.contour(
                *each.grid, grids[name], levels(values), colors="white", linewidths=0.6
            )
            axes.clabel(
                lines, fmt="%g", fontsize=7, manual=free_places(each, grids[name], lines.levels)
            )
            for here in points:
                if here.name == name:
                    _mark(axes, here, colors)
            axes.set(xscale="log", yscale="log", xlabel=each.label)
            axes.xaxis.set_major_locator(FixedLocator(each.ticks))
            axes.yaxis.set_major_locator(FixedLocator(TICKS))
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter("{x:g}")
                axis.set_minor_locator(NullLocator())
        late = panels[-1].contour(
            *mistrust(MAPS["rope_theta"]), [trust.TOLERANCE], colors="black", linewidths=1.1,
            linestyles=[style.DASHED],
        )  # fmt: skip
        panels[-1].clabel(late, fmt="10 %% late", fontsize=7)
        panels[0].set_ylabel("actions $T$")
        bar = canvas.colorbar(image, ax=panels, pad=0.01, aspect=30, ticks=levels(values))
        bar.ax.yaxis.set_major_formatter("{x:g}")
        bar.minorticks_off()
        bar.set_label("onset of attention, lr $\\times$ epoch")
    return Drawn(
        canvas=canvas,
        caption=_caption(points, runs),
        closures=CLOSURES,
        numbers={
            "late": {
                name: here.late if np.isfinite(here.simulated) else None
                for name, here in zip(runs, points, strict=True)
            }
        },
    )


def levels(values: Array) -> list[float]:
    """Return 1, 2, 5, 10, ... within the values."""
    decades = range(int(np.floor(np.log10(values.min()))), int(np.ceil(np.log10(values.max()))) + 1)
    steps = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
    return [step for step in steps if values.min() < step < values.max()]


def free_places(each: Map, grid: Array, wanted: Sequence[float]) -> list[tuple[float, float]]:
    """Return a place on the contour of each level, between the rows of circles; none outside."""
    across, T = each.grid
    places = []
    for level in wanted:
        for row in np.searchsorted(T, FREE_ROWS):
            above = np.flatnonzero(grid[row] >= level)
            inside = above[(above > 0.1 * len(across)) & (above < 0.9 * len(across))]
            if above.size and inside.size and above[0] == inside[0]:
                places.append((float(across[above[0]]), float(T[row])))
                break
    return places


def _mark(axes: Axes, here: Point, colors: Mapping[str, Any]) -> None:
    """Draw a training as a circle, filled as the map would be, and its lateness in per cent."""
    if not np.isfinite(here.simulated):
        axes.plot(here.across, here.T, "x", color="white", ms=7, mew=1.5)
        return
    axes.scatter(
        here.across,
        here.T,
        c=[here.simulated],
        s=110,
        lw=0.6,
        edgecolors="white",
        zorder=3,
        **colors,
    )
    axes.annotate(
        f"{100 * here.late[DRAWN]:+.0f}".replace("-", "−"),
        (here.across, here.T), xytext=(0, 7.5), ha="center",
        textcoords="offset points", fontsize=7, color="white", zorder=4,
        path_effects=[withStroke(linewidth=1.5, foreground=style.BLACK, alpha=0.4)],
    )  # fmt: skip


def _caption(points: Sequence[Point], runs: Mapping[str, Run]) -> str:
    first = next(iter(runs.values()))
    rates = [run.parameters.lr for run in runs.values()]
    scatter = np.nanmean([each.scatter for each in points])
    told = []
    for name, each in MAPS.items():
        here = [point for point in points if point.name == name and np.isfinite(point.simulated)]
        means = {c: average(np.array([100 * each.late[c] for each in here])) for c in CLOSURES}
        worst = max((each.late[DRAWN] for each in here), key=abs)
        told.append(
            f"over {each.words} "
            + " and ".join(f"{concise(means[c], sign=True)} % ({c})" for c in CLOSURES)
            + f", at worst {100 * worst:+.0f} % ({DRAWN})"
        )
    return (
        "When attention locks on ($R=1/2$), in training time, lr times epoch, which the mean-field "
        f"equations see alone. Maps and white lines: {DRAWN} closure, at head dimension 64 and, "
        "where nothing else is said, RoPE base 10. Circles: median of "
        f"{len(first.seeds)} seeds, filled in the same colours, so that a circle vanishes where "
        "theory is right; above them how late theory is, in per cent, where single seeds scatter "
        f"by {100 * scatter:.0f} %. Each model has the learning rate "
        f"({min(rates):g} to {max(rates):g}) that puts the predicted onset at epoch {onset.ONSET}. "
        "Mean lateness of the closures, with its standard error over the circles: "
        + "; ".join(told)
        + f". Dashed: up and right of it the {DRAWN} closure is more than "
        f"{100 * trust.TOLERANCE:.0f} % late against softmax attention from its mean start."
    )


FIGURE = Figure(
    name="phase_diagram",
    title="when attention locks on, over N, K, T and the RoPE base",
    source="beyond the paper",
    batches=batches,
    draw=draw,
)
