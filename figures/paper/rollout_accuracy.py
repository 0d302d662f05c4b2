"""Rollout accuracy over training: simulation against (18), two choices of variances (Figure 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from figures.drawing import Drawn, values
from figures.measurements.onset_epochs import first_passage
from figures.panels import legend
from figures.training_curves import (
    PHASES,
    POINTS,
    RESIDUALS,
    draw_simulation,
    figures_of_both_sets,
    panel_pairs,
    simulation_sentences,
)
from meanfield import style
from meanfield.compare.statistics import (
    Deviation,
    Estimate,
    average,
    concise,
    deviation,
    lateness,
    relative_delay,
)
from meanfield.predict.prediction import predict
from meanfield.predict.trajectory import Trajectory
from meanfield.runs.measured import Measured, of_run
from meanfield.runs.run import Run
from meanfield.theory import Theory

Array = NDArray[np.float64]

PANELS = {"rollout_accuracy": "rollout accuracy", "next_token_accuracy": "next-token accuracy"}
# The logit variances of the theory: its own, or as the paper has them.
THEORIES = {"theory": Theory.parse("linear"), "constant": Theory.parse("linear", logits="constant")}
LINES: dict[str, tuple[str, Any]] = {
    "theory": ("(17), (18), linear closure", style.SOLID),
    "constant": ("with constant variances", style.DASHED),
}
RISE = (0.25, 0.75)


def draw(runs: Mapping[str, Run]) -> Drawn:
    """Rollout accuracy on the left, next-token accuracy on the right; below, theory - simulation.

    Solid: variances of the mean-field solution. Dashed: those of the initialisation all along.
    """
    measured = of_run(runs["run"], "the run")
    parameters, epoch = measured.parameters, measured.epoch
    theory = {name: predict(parameters, each, epochs=epoch) for name, each in THEORIES.items()}
    half = {kind: half_delay(measured, each) for kind, each in theory.items()}
    errors = {
        name: {
            kind: deviation(getattr(each, name) - measured.curves[name])
            for kind, each in theory.items()
        }
        for name in PANELS
    }
    rises = {
        "simulation": mean_rise(measured),
        **{kind: rise(epoch, each.rollout_accuracy) for kind, each in theory.items()},
    }
    rollout, next_token = errors["rollout_accuracy"], errors["next_token_accuracy"]
    return Drawn(
        canvas=_picture(measured, theory),
        caption=_caption(measured, theory["constant"], half, errors, rises),
        closures=("linear",),
        caveats=[said for each in theory.values() for said in each.caveats],
        numbers=values(
            {
                "sigma_c": float(theory["constant"].sigma_c[0]),
                "sigma_o": float(theory["constant"].sigma_o[0]),
                "rollout_half_late": half,
                "rollout_rms": {kind: each.rms_mean for kind, each in rollout.items()},
                "next_token_largest": {k: each.largest_mean for k, each in next_token.items()},
                "rise_epochs": rises,
            }
        ),
    )


def half_delay(measured: Measured, theory: Trajectory) -> Estimate | None:
    """Return how late theory's rollout accuracy passes 1/2, relative, of the mean over seeds."""
    epoch, rollout = measured.epoch, measured.curves["rollout_accuracy"]
    predicted = np.broadcast_to(theory.rollout_accuracy, rollout.shape)
    return lateness(epoch, predicted, epoch, rollout).mean


def rise(epoch: Array, accuracy: Array) -> float | None:
    """Return how many epochs an accuracy (E,) takes from 1/4 to 3/4; None if it does not."""
    first, last = (first_passage(epoch, accuracy, level) for level in RISE)
    return last - first if np.isfinite(last) else None


def mean_rise(measured: Measured) -> Estimate | None:
    """Return the mean rise of the seeds whose rollout accuracy rises; None if none does."""
    each = [rise(measured.epoch, curve) for curve in measured.curves["rollout_accuracy"]]
    known = np.array([epochs for epochs in each if epochs])
    return average(known) if known.size else None


def _picture(measured: Measured, theory: Mapping[str, Trajectory]) -> Canvas:
    epoch = measured.epoch
    with style.drawing(7.0, 3.8) as canvas:
        pairs = panel_pairs(canvas, theory["theory"])
        for (upper, lower), (name, label) in zip(pairs, PANELS.items(), strict=True):
            seeds, color = measured.curves[name], style.COLORS[name]
            draw_simulation(upper, epoch, seeds, color=color)
            for kind, (_, dashes) in LINES.items():
                curve = getattr(theory[kind], name)
                upper.plot(epoch, curve, color=color, ls=dashes, lw=1.4)
                style.residual(lower, epoch, curve - seeds, color=color, dashes=dashes)
            chance = 1 / measured.parameters.N
            upper.axhline(chance, color=style.GREY, lw=0.7, ls=":", zorder=0.5)
            upper.set_ylabel(label)
            upper.set_ylim(-0.02, 1.03)
        pairs[0][1].set_ylabel("theory $-$\nsimulation")
        lines = {
            label: {"color": style.GREY, "ls": dashes, "lw": 1.4}
            for label, dashes in LINES.values()
        }
        legend(canvas, {"simulation": POINTS, **lines})
    return canvas


def _caption(
    measured: Measured,
    constant: Trajectory,
    half: Mapping[str, Estimate | None],
    errors: Mapping[str, Mapping[str, Deviation]],
    rises: Mapping[str, Estimate | float | None],
) -> str:
    rollout, next_token = errors["rollout_accuracy"], errors["next_token_accuracy"]
    return (
        f"Accuracies over training at {style.parameters_line(measured.parameters.items())}. "
        f"{simulation_sentences(len(measured.seeds))} Lines: (17) and (18) on the mean-field "
        "equations with the linear closure, from the nominal start. Solid: with the logit "
        "variances of the mean-field solution. Dashed: with the variances of the initialisation "
        rf"throughout, $\sigma_c={constant.sigma_c[0]:.3g}$ and $\sigma_o={constant.sigma_o[0]:.3g}"
        f"$. Dotted: chance. {PHASES} {RESIDUALS} The rollout accuracy passes 1/2 "
        f"{relative_delay(half['theory'])} in theory and {relative_delay(half['constant'])} with "
        "constant variances. Its root mean square error is "
        f"{concise(rollout['theory'].rms_mean)} and {concise(rollout['constant'].rms_mean)}. The "
        f"next-token accuracy is off by up to {concise(next_token['theory'].largest_mean)} and "
        f"{concise(next_token['constant'].largest_mean)}. From 1/4 to 3/4 the rollout accuracy of "
        f"a single seed takes {_epochs(rises['simulation'])}, that of the theory "
        f"{_epochs(rises['theory'])}, with constant variances {_epochs(rises['constant'])}."
    )


def _epochs(count: Estimate | float | None) -> str:
    if count is None:
        return "more epochs than were trained"
    return f"{concise(count) if isinstance(count, Estimate) else round(count)} epochs"


FIGURE, ROBUST = figures_of_both_sets(
    name="rollout_accuracy",
    title="accuracy of the final token over training, simulation against (18)",
    subject="rollout accuracy",
    source="Figure 3",
    draw=draw,
)
