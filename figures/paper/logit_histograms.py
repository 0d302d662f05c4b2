"""How the correct logit is distributed, at several times and steps (Figure 6, Appendix I)."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from figures.batches import QUICK, Batch, batch, main_batch
from figures.drawing import Drawn, Figure, with_errors
from figures.measurements.correct_logits import correct_logits, shape
from figures.panels import legend
from meanfield import style
from meanfield.compare.statistics import Estimate, concise
from meanfield.runs.run import Run

Array = NDArray[np.float64]

# Ends of trainings: the first epoch, the end of the heuristic phase, the onset, rollouts that
# succeed. The end of the main training is the last time shown.
EPOCHS = {False: (1, 200, 320, 450), True: (1, 65, 110, 160)}
SEEDS = 8
SEQUENCES = 20_000
BINS = 30
REACH = 4  # of a histogram, in standard deviations
MARKERS = ("o", "s", "^")
QUANTILES = np.linspace(-3, 3, 25)  # of a standard normal


def batches(*, quick: bool) -> dict[str, Batch]:
    """Trainings that end at the times shown, the main one last."""
    sizes = QUICK["main"] if quick else {}
    ends = {f"epoch {e}": batch(seeds=SEEDS, epochs=e, every=e, **sizes) for e in EPOCHS[quick]}
    return {**ends, "end": main_batch(quick=quick)}


def draw(runs: Mapping[str, Run]) -> Drawn:
    """Histograms of one seed above, a time a column; below, its quantiles against a normal's.

    runs: by name, in the order of their last epochs.
    """
    logits = [correct_logits(run, most=SEEDS, count=SEQUENCES) for run in runs.values()]
    shapes = {
        str(run.epoch[-1]): shape(each) for run, each in zip(runs.values(), logits, strict=True)
    }
    return Drawn(
        canvas=_picture(list(runs.values()), [each[0] for each in logits]),
        caption=_caption(next(iter(runs.values())), len(logits[-1]), shapes),
        numbers=with_errors(shapes),
    )


def _picture(runs: list[Run], logits: list[Array]) -> Canvas:
    """Draw the logits (SEQUENCES, T) of one seed at the end of each run."""
    T = runs[0].parameters.T
    steps = sorted({1, (T + 1) // 2, T})
    looks = list(zip(steps, style.step_colors(T)[np.array(steps) - 1], MARKERS, strict=False))
    with style.drawing(7.0, 3.7) as canvas:
        above, below = canvas.subplots(2, len(runs), squeeze=False)
        for upper, lower, run, values in zip(above, below, runs, logits, strict=True):
            for step, color, marker in looks:
                histogram(upper, values[:, step - 1], color=color)
                normal_plot(lower, values[:, step - 1], color=color, marker=marker)
            normal_density(upper, values[:, (T + 1) // 2 - 1])
            upper.set_title(f"epoch {run.epoch[-1]}\n$R={run.R[0, -1]:.3f}$", size=9)
            upper.xaxis.set_major_locator(MaxNLocator(2))
            upper.set_yticks([])
            upper.set_ylim(0, None)
            lower.axline((0, 0), slope=1, color=style.BLACK, lw=1)
            lower.set(xlim=(-3.6, 3.6), ylim=(-3.9, 3.9), xticks=[-3, 0, 3], yticks=[-3, 0, 3])
        for lower in below[1:]:
            lower.set_yticklabels([])
        above[0].set_ylabel("density")
        below[0].set_ylabel("quantile of $y_c$,\nstandardised")
        above[len(runs) // 2].set_xlabel("correct logit $y_c$")
        below[len(runs) // 2].set_xlabel("quantile of a normal variable")
        marks = {
            f"step $t={step}$": {"color": color, "marker": marker, "ms": 3.2, "mew": 0, "lw": 1}
            for step, color, marker in looks
        }
        legend(canvas, {**marks, "normal": {"color": style.BLACK, "lw": 1}})
    return canvas


def histogram(axes: Axes, values: Array, *, color: Any) -> None:
    """Draw the density of values, in bins that reach four deviations either side of their mean."""
    ends = values.mean() + REACH * values.std() * np.array([-1, 1])
    heights, edges = np.histogram(values, BINS, range=tuple(ends))
    axes.stairs(heights / (len(values) * np.diff(edges)), edges, color=color, lw=0.9)


def normal_density(axes: Axes, values: Array) -> None:
    """Draw the normal density of the same mean and variance as the values."""
    normal = NormalDist(values.mean(), values.std())
    y = normal.mean + normal.stdev * np.linspace(-REACH, REACH, 161)
    axes.plot(y, [normal.pdf(each) for each in y], color=style.BLACK, lw=1)


def normal_plot(axes: Axes, values: Array, *, color: Any, marker: str) -> None:
    """Draw the standardised quantiles of values against those of a normal variable."""
    shares = [NormalDist().cdf(z) for z in QUANTILES]
    standard = (np.quantile(values, shares) - values.mean()) / values.std()
    axes.plot(QUANTILES, standard, ls="", marker=marker, ms=2.8, mew=0, color=color)


def _caption(first: Run, seeds: int, shapes: Mapping[str, Mapping[str, Estimate]]) -> str:
    each_time = "; ".join(
        f"epoch {epoch}: {concise(of['skewness'])} and {concise(of['kurtosis'])}"
        for epoch, of in shapes.items()
    )
    return (
        f"The correct logit at {style.parameters_line(first.parameters.items())}, seed "
        f"{first.seeds[0]}, at three steps $t$, over {SEQUENCES} sequences drawn uniformly. Above: "
        "histograms, with the normal density of the same mean and variance as at the step in the "
        "middle. Below: quantiles, standardised, against those of a normal variable. Skewness and "
        "excess kurtosis, both 0 for a normal variable, averaged over steps and over "
        f"{seeds} seeds: {each_time}. Late in training attention singles out one action, so the "
        "logit has few values, one for each action and state."
    )


FIGURE = Figure(
    name="logit_histograms",
    title="the correct logit over sequences, against a normal variable",
    source="Figure 6, Appendix I",
    batches=batches,
    draw=draw,
)
