"""How the correct logit is distributed, at several times and steps (Figure 6, Appendix I)."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from figures.batches import QUICK, Batch, batch, main_batch
from figures.drawing import Drawn, Figure, with_error
from meanfield import style
from meanfield.comparison import Estimate, average
from meanfield.runs import Run
from meanfield.words import concise

Array = NDArray[np.float64]
Tokens = NDArray[np.int64]

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
    first = next(iter(runs.values()))
    T = first.parameters.T
    shown = sorted({1, (T + 1) // 2, T})
    looks = list(zip(shown, style.step_colors(T)[np.array(shown) - 1], MARKERS, strict=False))
    shapes: dict[str, dict[str, Estimate]] = {}
    with style.drawing(7.0, 3.7) as canvas:
        above, below = canvas.subplots(2, len(runs), squeeze=False)
        for upper, lower, run in zip(above, below, runs.values(), strict=True):
            logits = correct_logits(run, most=SEEDS, count=SEQUENCES)
            for step, color, marker in looks:
                histogram(upper, logits[0, :, step - 1], color=color)
                normal_plot(lower, logits[0, :, step - 1], color=color, marker=marker)
            normal_density(upper, logits[0, :, (T + 1) // 2 - 1])
            upper.set_title(f"epoch {run.epoch[-1]}\n$R={run.R[0, -1]:.3f}$", size=9)
            upper.xaxis.set_major_locator(MaxNLocator(2))
            upper.set_yticks([])
            upper.set_ylim(0, None)
            lower.axline((0, 0), slope=1, color=style.BLACK, lw=1)
            lower.set(xlim=(-3.6, 3.6), ylim=(-3.9, 3.9), xticks=[-3, 0, 3], yticks=[-3, 0, 3])
            shapes[str(run.epoch[-1])] = shape(logits)
        for lower in below[1:]:
            lower.set_yticklabels([])
        above[0].set_ylabel("density")
        below[0].set_ylabel("quantile of $y_c$,\nstandardised")
        above[len(runs) // 2].set_xlabel("correct logit $y_c$")
        below[len(runs) // 2].set_xlabel("quantile of a normal variable")
        handles = [
            Line2D(
                [], [], color=color, marker=marker, ms=3.2, mew=0, lw=1, label=f"step $t={step}$"
            )
            for step, color, marker in looks
        ]
        handles.append(Line2D([], [], color=style.BLACK, lw=1, label="normal"))
        canvas.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    each_time = "; ".join(
        f"epoch {epoch}: {concise(of['skewness'])} and {concise(of['kurtosis'])}"
        for epoch, of in shapes.items()
    )
    caption = (
        f"The correct logit at {style.parameters_line(first.parameters.items())}, seed "
        f"{first.seeds[0]}, at three steps $t$, over {SEQUENCES} sequences drawn uniformly. Above: "
        "histograms; line: the normal density of the same mean and variance as at the step in the "
        "middle. Below: quantiles, standardised, against those of a normal variable. Skewness and "
        "excess kurtosis, both 0 for a normal variable, averaged over steps and over "
        f"{len(logits)} seeds: {each_time}. Late in training the logit has few values, one for "
        "each action and state, as attention singles out one action."
    )
    return Drawn(
        canvas=canvas,
        caption=caption,
        numbers={
            epoch: {name: with_error(each) for name, each in of.items()}
            for epoch, of in shapes.items()
        },
    )


def correct_logits(run: Run, *, most: int, count: int) -> Array:
    """Return y_c of the trained models of up to ``most`` seeds, (seeds, count, T).

    Each model sees sequences of its own, drawn as the task has them.
    """
    alive = [index for index, seed in enumerate(run.seeds) if int(seed) not in run.diverged]
    logits = []
    for index in alive[:most]:
        permutations = run.permutations[index].astype(np.int64)
        actions, states = sequences(permutations, run.parameters.T, count=count, seed=index)
        logits.append(logits_of(run.W_end[index], run.attention[index, -1], actions, states))
    return np.stack(logits)


def sequences(permutations: Tokens, T: int, *, count: int, seed: int) -> tuple[Tokens, Tokens]:
    """Draw actions (count, T) and states s_0..s_T (count, T + 1), uniform as in (1).

    permutations: (K, N), action k takes state x to permutations[k, x].
    """
    K, N = permutations.shape
    rng = np.random.default_rng(seed)
    actions = rng.integers(K, size=(count, T))
    states = np.empty((count, T + 1), np.int64)
    states[:, 0] = rng.integers(N, size=count)
    for t in range(T):
        states[:, t + 1] = permutations[actions[:, t], states[:, t]]
    return actions, states


def logits_of(W: NDArray[Any], A: Array, actions: Tokens, states: Tokens) -> Array:
    """Return y_c = sum_j A_tj (W_{a_j})[s_t, s_{t-1}] of every step, (count, T).

    W: (K, N, N). A: (T, T). actions: (count, T). states: (count, T + 1).
    """
    steps = [
        W[actions, states[:, t + 1, None], states[:, t, None]].astype(float) @ weights
        for t, weights in enumerate(A)
    ]
    return np.stack(steps, axis=1)


def shape(logits: Array) -> dict[str, Estimate]:
    """Return skewness and excess kurtosis, of each step, averaged over steps and then seeds.

    logits: (seeds, count, T).
    """
    z = logits - logits.mean(1, keepdims=True)
    z /= z.std(1, keepdims=True)
    return {
        "skewness": average((z**3).mean((1, 2))),
        "kurtosis": average((z**4).mean((1, 2)) - 3),
    }


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


FIGURE = Figure(
    name="logit_histograms",
    title="the correct logit over sequences, against a normal variable",
    source="Figure 6, Appendix I",
    batches=batches,
    draw=draw,
)
