"""Rollout accuracy over training: simulation against (18), two choices of variances (Figure 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from figures import over_training
from figures.batches import main_batch, robust_batch
from figures.drawing import Drawn, Figure
from meanfield import style
from meanfield.comparison import Estimate, average, deviation, lateness
from meanfield.measured import of_run
from meanfield.prediction import predict
from meanfield.runs import Run
from meanfield.words import concise, late

Array = NDArray[np.float64]

PANELS = {"rollout_accuracy": "rollout accuracy", "next_token_accuracy": "next-token accuracy"}
# The logit variances of the theory: its own, or as the paper has them.
VARIANCES: dict[str, tuple[str, Any]] = {
    "theory": ("theory, its own variances", style.SOLID),
    "constant": ("theory, constant variances", style.DASHED),
}
RISE = (0.25, 0.75)


def draw(runs: Mapping[str, Run]) -> Drawn:
    """Rollout accuracy on the left, next-token accuracy on the right; below, theory - simulation.

    Solid: variances of the mean-field solution. Dashed: those of the initialisation all along.
    """
    measured = of_run(runs["run"], "the run")
    parameters, epoch = measured.parameters, measured.epoch
    theory = {
        name: predict(parameters, closure="linear", epochs=epoch, variances=name)
        for name in VARIANCES
    }
    with style.drawing(7.0, 3.8) as canvas:
        above, below = canvas.subplots(2, 2, sharex=True, height_ratios=(3, 1))
        for upper, lower, (name, words) in zip(above, below, PANELS.items(), strict=True):
            seeds, color = measured.curves[name], style.COLORS[name]
            over_training.simulation(upper, epoch, seeds, color=color)
            for kind, (_, dashes) in VARIANCES.items():
                curve = getattr(theory[kind], name)
                upper.plot(epoch, curve, color=color, ls=dashes, lw=1.4)
                style.residual(lower, epoch, curve - seeds, color=color, dashes=dashes)
            over_training.phases(upper, lower, theory["theory"], width=2.7)
            upper.axhline(1 / parameters.N, color=style.GREY, lw=0.7, ls=":", zorder=0.5)
            upper.set_ylabel(words)
            upper.set_xlim(0, epoch[-1])
            upper.set_ylim(-0.02, 1.03)
            lower.set_xlabel("epoch")
        handles = [Line2D([], [], color=style.GREY, ls="", marker="o", ms=2.6, label="simulation")]
        handles += [
            Line2D([], [], color=style.GREY, ls=dashes, lw=1.4, label=label)
            for label, dashes in VARIANCES.values()
        ]
        canvas.legend(handles=handles, loc="outside upper center", ncols=3)
        below[0].set_ylabel("theory $-$\nsimulation")
    rollout = measured.curves["rollout_accuracy"]
    half = {
        kind: lateness(
            epoch, np.broadcast_to(each.rollout_accuracy, rollout.shape), epoch, rollout
        ).mean
        for kind, each in theory.items()
    }
    excess = {
        kind: deviation(each.next_token_accuracy - measured.curves["next_token_accuracy"])
        for kind, each in theory.items()
    }
    rms = {kind: deviation(each.rollout_accuracy - rollout) for kind, each in theory.items()}
    rises = {kind: rise(epoch, each.rollout_accuracy) for kind, each in theory.items()}
    risen = np.array([each for each in (rise(epoch, curve) for curve in rollout) if each])
    single = average(risen) if risen.size else None
    sigma_c, sigma_o = theory["constant"].sigma_c[0], theory["constant"].sigma_o[0]
    caption = (
        f"Accuracies over training at {style.parameters_line(parameters.items())}. "
        f"{over_training.simulation_in_words(len(measured.seeds))} Lines: (17) and (18) on the "
        "mean-field equations, linear closure, from the nominal start; solid with the logit "
        "variances of the mean-field solution, dashed with constant ones, those of the "
        rf"initialisation, $\sigma_c={sigma_c:.3g}$ and $\sigma_o={sigma_o:.3g}$. Dotted: chance. "
        f"{over_training.PHASES_IN_WORDS} {over_training.RESIDUAL_IN_WORDS} The rollout accuracy "
        f"passes 1/2 {late(half['theory'])} in theory, {late(half['constant'])} with constant "
        "variances (root mean square of the difference "
        f"{concise(rms['theory'].rms_mean)} and {concise(rms['constant'].rms_mean)}); the "
        f"next-token accuracy is off by up to {concise(excess['theory'].largest_mean)} and "
        f"{concise(excess['constant'].largest_mean)}. From 1/4 to 3/4 it takes a single seed "
        f"{_epochs(single)}, the theory {_epochs(rises['theory'])}, with constant variances "
        f"{_epochs(rises['constant'])}."
    )
    return Drawn(
        canvas=canvas,
        caption=caption,
        closures=("linear",),
        numbers={
            "sigma_c": float(sigma_c),
            "sigma_o": float(sigma_o),
            "rollout_half_late": {kind: _value(each) for kind, each in half.items()},
            "rollout_rms": {kind: each.rms_mean.value for kind, each in rms.items()},
            "next_token_largest": {kind: each.largest_mean.value for kind, each in excess.items()},
            "rise_epochs": {"simulation": _value(single), **rises},
        },
    )


def rise(epoch: Array, accuracy: Array) -> float | None:
    """Return how many epochs an accuracy (E,) takes from 1/4 to 3/4; None if it does not."""
    first, last = (over_training.reaches(epoch, accuracy, level) for level in RISE)
    return last - first if np.isfinite(last) else None


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


def _epochs(count: Estimate | float | None) -> str:
    if count is None:
        return "more than there were"
    return f"{concise(count) if isinstance(count, Estimate) else round(count)} epochs"


FIGURE = Figure(
    name="rollout_accuracy",
    title="accuracy of the final token over training, simulation against (18)",
    source="Figure 3",
    batches=lambda *, quick: {"run": main_batch(quick=quick)},
    draw=draw,
)
ROBUST = Figure(
    name="robust_rollout_accuracy",
    title="rollout accuracy for the second set of hyperparameters",
    source="Appendix J",
    batches=lambda *, quick: {"run": robust_batch(quick=quick)},
    draw=draw,
)
