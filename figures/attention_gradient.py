"""The attention gradient along training, which both closures stand for (beyond the paper)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray
from scipy.special import expit, logit

from figures.batches import QUICK, Batch, batch, main_batch
from figures.drawing import Drawn, Figure
from meanfield import attention, closures, generated, style
from meanfield.comparison import Estimate, average
from meanfield.parameters import Parameters
from meanfield.runs import Run
from meanfield.words import concise

Array = NDArray[np.float64]

BASES = {10.0: 700, 100.0: 900, 1e4: 1200}  # epochs by RoPE base
QUICK_BASES = {10.0: 300, 100.0: 400, 1e4: 500}
CLOSURES = {
    "linear": (closures.LINEAR, generated.gradient_linear),
    "quadratic": (closures.QUADRATIC, generated.gradient_quadratic),
}
SOFTMAX = "softmax"
WORDS = {
    "linear": "linear closure",
    "quadratic": "quadratic closure",
    SOFTMAX: "softmax, mean start",
}
DRAWN: dict[str, dict[str, Any]] = {
    "linear": {"color": style.BLACK, "ls": style.DASHES["linear"]},
    "quadratic": {"color": style.VERMILION, "ls": style.DASHES["quadratic"]},
    SOFTMAX: {"color": style.GREEN, "ls": style.DASHDOT},
}
MIDDLE, END = (0.4, 0.8), (0.95, 0.98)  # of R: what is quantified
WINDOW = (0.04, 0.997)  # of R: what is drawn
TICKS = (0.1, 0.5, 0.9, 0.99)
STEPS = 250  # of the softmax attention, and of what is averaged over R


def batches(*, quick: bool) -> dict[str, Batch]:
    """The main training, and two with other RoPE bases, by the base."""
    sizes, bases = (QUICK["main"], QUICK_BASES) if quick else ({}, BASES)
    result = {}
    for base, epochs in bases.items():
        other = batch(seeds=4 if quick else 8, epochs=epochs, every=10, **sizes, rope_theta=base)
        result[f"{base:g}"] = main_batch(quick=quick) if base == 10 else other
    return result


def theories(parameters: Parameters, logit_R: Array) -> dict[str, Array]:
    """Return G at each ascending logit R, by the name of its theory; the softmax from R > 1/T."""
    R = expit(logit_R)
    found = {
        name: np.asarray(gradient(R, closures.rate(closure, parameters)))
        for name, (closure, gradient) in CLOSURES.items()
    }
    planes, heads = attention.planes(parameters), attention.mean_heads(parameters, np.ones(1))
    above = logit_R > -math.log(parameters.T - 1)
    steps = np.linspace(-math.log(parameters.T - 1), logit_R[-1], STEPS + 1)[1:]
    (G,) = attention.gradients(planes, heads, steps[None])
    found[SOFTMAX] = np.full_like(logit_R, np.nan)
    found[SOFTMAX][above] = np.exp(np.interp(logit_R[above], steps, np.log(G)))
    return found


def measured(run: Run, logit_R: Array) -> Array:
    """Return log G of each seed where its R first comes to these values, (B, ...); nan elsewhere.

    Straight between epochs in log G against logit R.
    """
    found = []
    for R, G in zip(run.R, run.grad_R_squared, strict=True):
        own = logit(R)
        higher = np.append(True, own[1:] > np.maximum.accumulate(own)[:-1])  # not in a set-back
        own, G = own[higher], np.log(G[higher])
        found.append(np.interp(logit_R, own, G, left=np.nan, right=np.nan))
    return np.array(found)


def factor(run: Run, low: float, high: float) -> dict[str, Estimate]:
    """Return theory over simulation between two values of R, averaged in logarithms, by theory."""
    grid = np.linspace(logit(low), logit(high), STEPS)
    own = measured(run, grid)
    own = own[np.all(np.isfinite(own), axis=1)]
    result = {}
    for name, G in theories(run.parameters, grid).items():
        log = average(np.mean(np.log(G) - own, axis=1))
        value = math.exp(log.value)
        result[name] = Estimate(value, value * log.error, log.seeds)
    return result


def draw(runs: Mapping[str, Run]) -> Drawn:
    """G against R, a panel for each base; below, theory over simulation."""
    lowest = []
    with style.drawing(7.0, 3.8) as canvas:
        above, below = canvas.subplots(
            2, len(runs), sharex=True, sharey="row", height_ratios=(2, 1)
        )
        for upper, lower, (base, run) in zip(above, below, runs.items(), strict=True):
            upper.set_title(f"RoPE base {base}", size=9)
            upper.plot(
                run.R.T, run.grad_R_squared.T, ".", ms=3, mew=0, color=style.BLUE, alpha=0.45
            )
            low, high = max(WINDOW[0], np.nanmin(run.R[:, 0])), min(WINDOW[1], np.nanmax(run.R))
            grid = np.linspace(logit(low), logit(high), STEPS)
            found = theories(run.parameters, grid)
            lowest.append(min(np.nanmin(G) for G in found.values()))
            for name, G in found.items():
                upper.plot(expit(grid), G, lw=1.4, **DRAWN[name])
            _ratio(lower, run)
            lower.set_xlabel("attention retrieval $R$")
        above[0].set_xscale("logit")
        above[0].set_xticks(TICKS, [f"{R:g}" for R in TICKS])
        above[0].xaxis.set_minor_locator(NullLocator())
        above[0].set_xlim(WINDOW)
        above[0].set_yscale("log")
        above[0].set_ylim(bottom=0.7 * min(lowest))
        above[0].set_ylabel(r"$G=|\nabla_q R|^2+|\nabla_k R|^2$")
        below[0].set_ylabel("theory /\nsimulation")
        below[0].set_yticks((-2, 0, 2), ["1/4", "1", "4"])
        below[0].set_ylim(-3.5, 3.5)
        handles = [
            Line2D([], [], marker=".", ls="", color=style.BLUE, label="simulation"),
            *(Line2D([], [], lw=1.4, label=WORDS[name], **how) for name, how in DRAWN.items()),
        ]
        canvas.legend(handles=handles, loc="outside upper center", ncols=4)
    middle = {base: factor(run, *MIDDLE) for base, run in runs.items()}
    end = {base: factor(run, *END) for base, run in runs.items()}
    first = next(iter(runs.values()))
    caption = (
        "Squared gradient of $R$ by queries and keys along training, per unit of query and key "
        f"squared, at {common(first)}, lr {first.parameters.lr:g}, for three RoPE bases. Points: "
        f"every seed at every evaluation, {_counts(runs)}. Lines: the two closures, and the "
        "softmax attention followed from its mean start; nothing is fitted. Below: theory over "
        "simulation, averaged over seeds in logarithms, with its standard error. "
        f"Averaged over $R$ from {MIDDLE[0]} to {MIDDLE[1]} theory over simulation is "
        + "; ".join(_told(base, found) for base, found in middle.items())
        + f". From {END[0]} to {END[1]} it is "
        + "; ".join(_told(base, found) for base, found in end.items())
        + "."
    )
    return Drawn(
        canvas=canvas,
        caption=caption,
        closures=tuple(CLOSURES),
        numbers={"middle": _plain(middle), "end": _plain(end)},
    )


def _ratio(axes: Axes, run: Run) -> None:
    """Draw theory over simulation against R, in factors of 2, where all seeds have been."""
    locked = run.R[np.nanmax(run.R, axis=1) > MIDDLE[1]]
    low, high = logit(np.max(locked[:, 0])), logit(np.min(np.nanmax(locked, axis=1)))
    grid = np.linspace(low, high, STEPS)
    own = measured(run, grid)
    own = own[np.all(np.isfinite(own), axis=1)]
    for name, G in theories(run.parameters, grid).items():
        drawn = DRAWN[name]
        style.residual(
            axes,
            expit(grid),
            (np.log(G) - own) / math.log(2),
            color=drawn["color"],
            dashes=drawn["ls"],
        )


def common(run: Run) -> str:
    """Return what all runs of the figure have in common, for a caption."""
    p = run.parameters
    return f"$N={p.N}$, $K={p.K}$, $T={p.T}$, $d={p.d_head}$"


def _counts(runs: Mapping[str, Run]) -> str:
    return ", ".join(str(len(run.seeds)) for run in runs.values()) + " seeds"


def _told(base: str, found: Mapping[str, Estimate]) -> str:
    told = ", ".join(f"{concise(estimate)} ({name})" for name, estimate in found.items())
    return f"{told} at base {base}"


def _plain(found: Mapping[str, Mapping[str, Estimate]]) -> dict[str, dict[str, float]]:
    return {base: {name: each.value for name, each in row.items()} for base, row in found.items()}


FIGURE = Figure(
    name="attention_gradient",
    title="the gradient that drives attention, against both closures and the softmax itself",
    source="beyond the paper",
    batches=batches,
    draw=draw,
)
