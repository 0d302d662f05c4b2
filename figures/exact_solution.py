"""R as a function of Q - S, whatever the learning rate: the exact solution (beyond the paper)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.special import expit, logit

from figures.attention_gradient import DRAWN, SOFTMAX, STEPS, TICKS, WORDS, common, theories
from figures.batches import QUICK, Batch, batch, lasting
from figures.drawing import Drawn, Figure
from meanfield import closures, generated, style
from meanfield.closures import Closure
from meanfield.comparison import Estimate, average, jackknife
from meanfield.parameters import Parameters
from meanfield.runs import Run
from meanfield.words import concise

Array = NDArray[np.float64]

RATES = (1.0, 2.0, 5.0, 10.0, 20.0)
LENGTH, QUICK_LENGTH = 2000, 600  # training time, lr times epoch
MARKS = ("o", "s", "^", "D", "v")
SHADES = ("#08306B", "#2171B5", "#6BAED6", "#CC79A7", "#7A3E9D")
QUANTIFIED = (0.5, 0.95)  # R at which what is conserved is told
SHOWN = 0.985  # R up to which it is drawn against the gap
STARTED = 0.03  # of R, above its start: before that the conserved quantity is 0 / 0


def batches(*, quick: bool) -> dict[str, Batch]:
    """The same seeds at every learning rate, for the same training time."""
    sizes, length = (QUICK["main"], QUICK_LENGTH) if quick else ({}, LENGTH)
    seeds = 2 if quick else 4
    return {
        f"{lr:g}": lasting(batch(seeds=seeds, epochs=1, lr=lr, **sizes), length / lr)
        for lr in RATES
    }


def growth(parameters: Parameters, R_end: float) -> dict[str, tuple[Array, Array]]:
    """Return U and logit R along the exact solutions from the nominal start, by theory.

    (X2): R' = kappa U G and U' = R in internal time, so U^2 / 2 is an integral over R.
    """
    N, K = parameters.N, parameters.K
    start = float(logit(1 / parameters.T))
    grid = np.linspace(start, logit(R_end), STEPS + 1)[1:]
    G = theories(parameters, grid)[SOFTMAX]
    G_start = generated.gradient_linear(
        1 / parameters.T, closures.rate(closures.LINEAR, parameters)
    )  # all theories start from it
    R = expit(np.append(start, grid))
    slope = R**2 * (1 - R) / (np.append(G_start, G) * generated.kappa(N, K, 1.0))
    pieces = np.diff(np.append(start, grid)) * (slope[1:] + slope[:-1]) / 2
    U = np.sqrt(2 * np.append(0.0, np.cumsum(pieces)))
    found = {SOFTMAX: (U, np.append(start, grid))}
    for closure in closures.CLOSURES.values():
        assert closure.logit_R is not None
        found[closure.name] = (U, closure.logit_R(U, 0.0, start, kappa(closure, parameters)))
    return found


def kappa(closure: Closure, parameters: Parameters) -> float:
    """Return the one constant of a closure's solutions."""
    rate = closures.rate(closure, parameters)
    return float(generated.kappa(parameters.N, parameters.K, rate))


def gain(run: Run, closure: Closure) -> Array:
    """Return kappa (U^2 - U0^2) / 2 with U = Q - S, (B, E)."""
    U = run.Q - run.S
    return np.asarray(kappa(closure, run.parameters) * (U**2 - U[:, :1] ** 2) / 2)


def conserved(run: Run, closure: Closure) -> Array:
    """Return what R has gained over what Q - S has: 1 where the closure conserves, (B, E).

    nan until R has left its start.
    """
    level = {
        "linear": lambda R: -np.log1p(-R),
        "quadratic": lambda R: logit(R) + R / (1 - R),
    }[closure.name]
    began = run.R - run.R[:, :1] > STARTED
    ratio = np.full_like(run.R, np.nan)
    np.divide(level(run.R) - level(run.R[:, :1]), gain(run, closure), out=ratio, where=began)
    return ratio


def on_grid(run: Run, U: Array) -> Array:
    """Return R of each seed at these values of Q - S, (B, len(U))."""
    pairs = zip(run.Q - run.S, logit(run.R), strict=True)
    return np.array([expit(PchipInterpolator(own, level)(U)) for own, level in pairs])


def common_gaps(runs: Mapping[str, Run]) -> Array:
    """Return values of Q - S that every seed of every run has passed."""
    gaps = [run.Q - run.S for run in runs.values()]
    low, high = max(gap[:, 0].max() for gap in gaps), min(gap[:, -1].min() for gap in gaps)
    return np.linspace(low, high, STEPS)


def draw(runs: Mapping[str, Run]) -> Drawn:
    """R against Q - S; 1 - R against what the linear closure conserves; what each conserves."""
    first = next(iter(runs.values()))
    linear = closures.LINEAR
    lines = growth(first.parameters, max(float(run.R.max()) for run in runs.values()))
    with style.drawing(7.0, 3.0) as canvas:
        left, middle, right = canvas.subplots(1, 3)
        for run, mark, color in zip(runs.values(), MARKS, SHADES, strict=False):
            how: dict[str, Any] = {"marker": mark, "color": color, "ls": "", "ms": 2.6, "mew": 0}
            how["alpha"] = 0.8
            left.plot((run.Q - run.S).T, run.R.T, **how)
            middle.plot(gain(run, linear).T, 1 - run.R.T, **how)
        for name, (U, logit_R) in lines.items():
            left.plot(U, expit(logit_R), lw=1.4, zorder=3, **DRAWN[name])
            gained = kappa(linear, first.parameters) * U**2 / 2
            middle.plot(gained, expit(-logit_R), lw=1.4, zorder=3, **DRAWN[name])
        for closure in closures.CLOSURES.values():
            for run in runs.values():
                drawn = DRAWN[closure.name]
                right.plot(run.R.T, conserved(run, closure).T, ".", ms=2.5, mew=0, alpha=0.4,
                           color=drawn["color"])  # fmt: skip
        right.axhline(1, color=style.GREY, lw=0.7, zorder=0)
        left.set(xlabel="gap $U=Q-S$", ylabel="attention retrieval $R$", ylim=(0, 1.02))
        gap, level = lines[SOFTMAX]
        left.set_xlim(0, float(np.interp(logit(SHOWN), level, gap)))
        middle.set(xlabel=r"$\kappa\,(U^2-U_0^2)/2$", ylabel="$1-R$", yscale="log")
        lowest = min(float((1 - run.R).min()) for run in runs.values())
        middle.set(xlim=(0, None), ylim=(lowest / 3, 1.5))
        right.set(xscale="logit", xlabel="attention retrieval $R$")
        right.set_ylabel("conserved: gained by $R$\nover gained by $Q-S$")
        right.set(xlim=(0.08, 0.9995), ylim=(0, None))
        right.set_xticks(TICKS, [f"{R:g}" for R in TICKS])
        right.xaxis.set_minor_locator(NullLocator())
        points = [
            Line2D([], [], marker=mark, color=color, ls="", ms=3.5, mew=0, label=f"lr {name}")
            for name, mark, color in zip(runs, MARKS, SHADES, strict=False)
        ]
        left.legend(handles=points, loc="lower right", handletextpad=0, borderaxespad=0)
        theory = [Line2D([], [], label=WORDS[name], **DRAWN[name], lw=1.4) for name in lines]
        canvas.legend(handles=theory, loc="outside upper center", ncols=3)
    return _drawn(canvas, runs)


def _drawn(canvas: Canvas, runs: Mapping[str, Run]) -> Drawn:
    """Return the canvas with its caption and numbers."""
    reference, *others = runs
    first = runs[reference]
    p, U = first.parameters, common_gaps(runs)
    R = {name: on_grid(run, U) for name, run in runs.items()}
    apart = {name: average(_rms(R[name] - R[reference])) for name in others}
    spread = np.std(R[reference], axis=0, ddof=1)
    off = {}
    for name, (gap, logit_R) in growth(p, float(R[reference].max())).items():
        theory = np.interp(U, gap, expit(logit_R))
        off[name] = jackknife(_rms, theory - R[reference])
    held = {
        closure.name: [_conserved_at(first, closure, at) for at in QUANTIFIED]
        for closure in closures.CLOSURES.values()
    }
    one_seed = ", ".join(f"{estimate.value:.1g} at lr {name}" for name, estimate in apart.items())
    caption = (
        f"One curve for every learning rate at {common(first)}, RoPE base "
        f"{p.rope_theta:g}, for {len(first.seeds)} seeds. "
        "Left: attention against the gap between the overlaps; lines: the exact solutions from the "
        "nominal start, of the two closures and of the softmax attention. A seed keeps to its own "
        f"curve at every learning rate: the root mean square of the difference in $R$ from lr "
        f"{reference} is {one_seed}. Seeds differ by their queries and keys at the start, with a "
        f"standard deviation of {_rms(spread):.2g} ({spread.max():.2g} at most). The mean over "
        "seeds is off the theory by "
        + ", ".join(f"{concise(estimate)} ({name})" for name, estimate in off.items())
        + ". Middle: the late tail of $1-R$, with the constant $\\kappa$ of the linear closure: a "
        "straight line if it held. Right, a point for every evaluation, in the colour of the "
        "closure: what $R$ has gained over what the gap has gained, in the quantity it conserves, "
        "so 1 all along where it does. At $R="
        + "$ and $".join(f"{at:g}" for at in QUANTIFIED)
        + "$ it is "
        + "; ".join(
            f"{' and '.join(concise(estimate) for estimate in row)} ({name})"
            for name, row in held.items()
        )
        + "."
    )
    return Drawn(
        canvas=canvas,
        caption=caption,
        closures=tuple(closures.CLOSURES),
        numbers={
            "apart_from_first_rate": {name: each.value for name, each in apart.items()},
            "spread_of_seeds": {"rms": float(_rms(spread)), "largest": float(spread.max())},
            "theory_rms": {name: each.value for name, each in off.items()},
            "conserved": {name: [each.value for each in row] for name, row in held.items()},
        },
    )


def _conserved_at(run: Run, closure: Closure, at: float) -> Estimate:
    """Return what ``conserved`` is where R is so large, averaged over the seeds that come there."""
    found = []
    for R, ratio in zip(run.R, conserved(run, closure), strict=True):
        began = np.isfinite(ratio)
        found.append(np.interp(logit(at), logit(R[began]), ratio[began], right=np.nan))
    values = np.array(found)
    return average(values[np.isfinite(values)])


def _rms(curves: Array) -> Any:
    return np.sqrt(np.mean(curves**2, axis=-1))


FIGURE = Figure(
    name="exact_solution",
    title="R as a function of Q - S at five learning rates, and what is conserved on the way",
    source="beyond the paper",
    batches=batches,
    draw=draw,
)
