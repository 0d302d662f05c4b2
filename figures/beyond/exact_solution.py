"""R as a function of Q - S, whatever the learning rate: the exact solution (beyond the paper)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from scipy.special import expit, logit

from figures.batches import QUICK, Batch, batch, lasting
from figures.drawing import Drawn, Figure, values
from figures.measurements.conserved_quantities import (
    common_gaps,
    conserved,
    conserved_at,
    difference_from_first,
    error_of_solutions,
    exact_solutions,
    gain,
    kappa,
    root_mean_square,
    spread_over_seeds,
)
from figures.measurements.squared_gradient import SOFTMAX
from figures.panels import fix_ticks, legend
from figures.theory_lines import LABELS, LINES, R_TICKS, sizes_line
from meanfield import style
from meanfield.compare.statistics import concise
from meanfield.runs.run import Run
from meanfield.theory import CLOSURES

RATES = (1.0, 2.0, 5.0, 10.0, 20.0)
LENGTH, QUICK_LENGTH = 2000, 600  # training time, lr times epoch
MARKS = ("o", "s", "^", "D", "v")
SHADES = ("#08306B", "#2171B5", "#6BAED6", "#CC79A7", "#7A3E9D")
QUANTIFIED = (0.5, 0.95)  # R at which the caption says what is conserved
SHOWN = 0.985  # R up to which it is drawn against the gap


def batches(*, quick: bool) -> dict[str, Batch]:
    """The same seeds at every learning rate, for the same training time."""
    sizes, length = (QUICK["main"], QUICK_LENGTH) if quick else ({}, LENGTH)
    seeds = 2 if quick else 4
    return {
        f"{lr:g}": lasting(batch(seeds=seeds, epochs=1, lr=lr, **sizes), length / lr)
        for lr in RATES
    }


def draw(runs: Mapping[str, Run]) -> Drawn:
    """R against Q - S; 1 - R against what the linear closure conserves; what each conserves."""
    numbers = measure(runs)
    return Drawn(
        canvas=_picture(runs),
        caption=_caption(runs, numbers),
        closures=tuple(CLOSURES),
        numbers=values(numbers),
    )


def measure(runs: Mapping[str, Run]) -> dict[str, Any]:
    """Return what the caption says; all but the first are of the first run.

    The difference in R of a seed from the first learning rate, by the others; the spread of R over
    seeds at the same Q - S; the error of each exact solution; what is conserved, by closure, at the
    R of QUANTIFIED.
    """
    first, U = next(iter(runs.values())), common_gaps(runs)
    spread = spread_over_seeds(first, U)
    return {
        "apart_from_first_rate": difference_from_first(runs),
        "spread_of_seeds": {
            "rms": float(root_mean_square(spread)),
            "largest": float(spread.max()),
        },
        "theory_rms": error_of_solutions(first, U),
        "conserved": {
            name: [conserved_at(first, name, level) for level in QUANTIFIED] for name in CLOSURES
        },
    }


def _picture(runs: Mapping[str, Run]) -> Canvas:
    first = next(iter(runs.values()))
    lines = exact_solutions(first.parameters, max(float(run.R.max()) for run in runs.values()))
    points: dict[str, dict[str, Any]] = {
        name: {"marker": mark, "color": color, "ls": "", "mew": 0}
        for name, mark, color in zip(runs, MARKS, SHADES, strict=False)
    }
    with style.drawing(7.0, 3.3) as canvas:
        left, middle, right = canvas.subplots(1, 3)
        for name, run in runs.items():
            look = {**points[name], "ms": 2, "alpha": 0.8}
            left.plot((run.Q - run.S).T, run.R.T, **look)
            middle.plot(gain(run, "linear").T, 1 - run.R.T, **look)
        for name, (U, logit_R) in lines.items():
            left.plot(U, expit(logit_R), lw=1.4, zorder=3, **LINES[name])
            gained = kappa("linear", first.parameters) * U**2 / 2
            middle.plot(gained, expit(-logit_R), lw=1.4, zorder=3, **LINES[name])
        left.set(xlabel="gap $U=Q-S$", ylabel="attention retrieval $R$", ylim=(0, 1.02))
        gap, level = lines[SOFTMAX]
        left.set_xlim(0, float(np.interp(logit(SHOWN), level, gap)))
        middle.set(xlabel=r"$\kappa\,(U^2-U_0^2)/2$", ylabel="$1-R$", yscale="log")
        lowest = min(float((1 - run.R).min()) for run in runs.values())
        middle.set(xlim=(0, None), ylim=(lowest / 3, 1.5))
        _draw_conserved(right, runs)
        legend(canvas, {LABELS[name]: {"lw": 1.4, **LINES[name]} for name in lines})
        rates = {f"lr {name}": {**look, "ms": 3.5} for name, look in points.items()}
        legend(canvas, rates, place="lower")
    return canvas


def _draw_conserved(axes: Axes, runs: Mapping[str, Run]) -> None:
    for closure in CLOSURES:
        color = LINES[closure]["color"]
        for run in runs.values():
            ratio = conserved(run, closure)
            axes.plot(run.R.T, ratio.T, ".", ms=2.5, mew=0, alpha=0.4, color=color)
    axes.axhline(1, color=style.GREY, lw=0.7, zorder=0)
    axes.set(xscale="logit", xlabel="attention retrieval $R$")
    axes.set_ylabel("conserved: gained by $R$\nover gained by $Q-S$")
    axes.set(xlim=(0.08, 0.9995), ylim=(0, None))
    fix_ticks(axes.xaxis, R_TICKS)


def _caption(runs: Mapping[str, Run], numbers: Mapping[str, Any]) -> str:
    reference, first = next(iter(runs.items()))
    apart, spread = numbers["apart_from_first_rate"], numbers["spread_of_seeds"]
    one_seed = ", ".join(f"{each.value:.1g} at lr {name}" for name, each in apart.items())
    errors = ", ".join(f"{concise(each)} ({name})" for name, each in numbers["theory_rms"].items())
    held = "; ".join(
        f"{' and '.join(concise(each) for each in row)} ({name})"
        for name, row in numbers["conserved"].items()
    )
    return (
        f"One curve for every learning rate at {sizes_line(first)}, RoPE base "
        f"{first.parameters.rope_theta:g}, for {len(first.seeds)} seeds. Left: attention against "
        "the gap between the overlaps. Lines: the exact solutions of the two closures and of the "
        "softmax attention, from the nominal start. A seed keeps to its own curve at every "
        "learning rate: the root mean square of the difference in $R$ from lr "
        f"{reference} is {one_seed}. Seeds differ by their queries and keys at the start, with a "
        f"standard deviation of {spread['rms']:.2g} ({spread['largest']:.2g} at most). The "
        f"root mean square error of the theory, against the mean over seeds, is {errors}. Middle: "
        "the late tail of $1-R$, with the constant $\\kappa$ of the linear closure, which predicts "
        "a straight line. Right: what $R$ has gained over what the gap has gained, in the quantity "
        "that the closure of this colour conserves, a point for every evaluation. The ratio is 1 "
        f"as long as the closure holds. At $R={'$ and $'.join(f'{at:g}' for at in QUANTIFIED)}$ it "
        f"is {held}."
    )


FIGURE = Figure(
    name="exact_solution",
    title="R as a function of Q - S at five learning rates, and what is conserved on the way",
    source="beyond the paper",
    batches=batches,
    draw=draw,
)
