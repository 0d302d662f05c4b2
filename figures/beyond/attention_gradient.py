"""The attention gradient along training, which both closures stand for (beyond the paper)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from scipy.special import expit, logit

from figures.batches import QUICK, Batch, batch, main_batch
from figures.drawing import Drawn, Figure, values
from figures.measurements.squared_gradient import (
    STEPS,
    common_range,
    gradients_of_theories,
    log_ratios,
    mean_ratios,
)
from figures.panels import fix_ticks, legend
from figures.theory_lines import LABELS, LINES, R_TICKS, sizes_line
from meanfield import style
from meanfield.compare.statistics import Estimate, concise
from meanfield.runs.run import Run
from meanfield.theory import CLOSURES

BASES = {10.0: 700, 100.0: 900, 1e4: 1200}  # epochs by RoPE base
QUICK_BASES = {10.0: 300, 100.0: 400, 1e4: 500}
MIDDLE, END = (0.4, 0.8), (0.95, 0.98)  # of R: what is quantified
WINDOW = (0.04, 0.997)  # of R: what is drawn


def batches(*, quick: bool) -> dict[str, Batch]:
    """The main training, and two with other RoPE bases, by the base."""
    sizes, bases = (QUICK["main"], QUICK_BASES) if quick else ({}, BASES)
    result = {}
    for base, epochs in bases.items():
        other = batch(seeds=4 if quick else 8, epochs=epochs, every=10, **sizes, rope_theta=base)
        result[f"{base:g}"] = main_batch(quick=quick) if base == 10 else other
    return result


def draw(runs: Mapping[str, Run]) -> Drawn:
    """G against R, a panel for each base; below, theory over simulation."""
    middle = {base: mean_ratios(run, *MIDDLE) for base, run in runs.items()}
    end = {base: mean_ratios(run, *END) for base, run in runs.items()}
    return Drawn(
        canvas=_picture(runs),
        caption=_caption(runs, middle, end),
        closures=tuple(CLOSURES),
        numbers=values({"middle": middle, "end": end}),
    )


def _picture(runs: Mapping[str, Run]) -> Canvas:
    with style.drawing(7.0, 3.8) as canvas:
        above, below = canvas.subplots(
            2, len(runs), sharex=True, sharey="row", height_ratios=(2, 1)
        )
        above[0].set_xscale("logit")
        lowest = []
        for upper, lower, (base, run) in zip(above, below, runs.items(), strict=True):
            upper.set_title(f"RoPE base {base}", size=9)
            lowest.append(_draw_gradients(upper, run))
            _draw_ratios(lower, run)
            lower.set_xlabel("attention retrieval $R$")
        fix_ticks(above[0].xaxis, R_TICKS)
        above[0].set(xlim=WINDOW, yscale="log")
        above[0].set_ylim(bottom=0.7 * min(lowest))
        above[0].set_ylabel(r"$G=|\nabla_q R|^2+|\nabla_k R|^2$")
        below[0].set_ylabel("theory /\nsimulation")
        below[0].set_yticks((-2, 0, 2), ["1/4", "1", "4"])
        below[0].set_ylim(-3.5, 3.5)
        points = {"marker": ".", "ls": "", "color": style.BLUE}
        lines = {LABELS[name]: {"lw": 1.4, **look} for name, look in LINES.items()}
        legend(canvas, {"simulation": points, **lines})
    return canvas


def _draw_gradients(axes: Axes, run: Run) -> float:
    """Draw G of every seed and of the theories against R; return the theories' least."""
    axes.plot(run.R.T, run.grad_R_squared.T, ".", ms=3, mew=0, color=style.BLUE, alpha=0.45)
    low, high = max(WINDOW[0], np.nanmin(run.R[:, 0])), min(WINDOW[1], np.nanmax(run.R))
    logit_R = np.linspace(logit(low), logit(high), STEPS)
    theories = gradients_of_theories(run.parameters, logit_R)
    for name, G in theories.items():
        axes.plot(expit(logit_R), G, lw=1.4, **LINES[name])
    return float(min(np.nanmin(G) for G in theories.values()))


def _draw_ratios(axes: Axes, run: Run) -> None:
    """Draw theory over simulation against R, in factors of 2, where all seeds have been."""
    logit_R = common_range(run, MIDDLE[1])
    for name, ratios in log_ratios(run, logit_R).items():
        look = LINES[name]
        style.residual(
            axes,
            expit(logit_R),
            ratios / math.log(2),
            color=look["color"],
            dashes=look["ls"],
        )


def _caption(
    runs: Mapping[str, Run],
    middle: Mapping[str, Mapping[str, Estimate]],
    end: Mapping[str, Mapping[str, Estimate]],
) -> str:
    first = next(iter(runs.values()))
    counts = ", ".join(str(len(run.seeds)) for run in runs.values())
    return (
        "Squared gradient of $R$ by queries and keys along training, per unit of query and key "
        f"squared, at {sizes_line(first)}, lr {first.parameters.lr:g}, for three RoPE bases. "
        f"Points: every seed at every evaluation, {counts} seeds. Lines: the two closures, and the "
        "softmax attention followed from its mean start. Nothing is fitted. Below: theory over "
        "simulation, averaged over seeds in logarithms, with its standard error. "
        f"Averaged over $R$ from {MIDDLE[0]} to {MIDDLE[1]} theory over simulation is "
        f"{_ratios_in_words(middle)}. From {END[0]} to {END[1]} it is {_ratios_in_words(end)}."
    )


def _ratios_in_words(ratios: Mapping[str, Mapping[str, Estimate]]) -> str:
    return "; ".join(
        ", ".join(f"{concise(estimate)} ({name})" for name, estimate in row.items())
        + f" at base {base}"
        for base, row in ratios.items()
    )


FIGURE = Figure(
    name="attention_gradient",
    title="the gradient that drives attention, against both closures and the softmax itself",
    source="beyond the paper",
    batches=batches,
    draw=draw,
)
