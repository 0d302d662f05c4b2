"""Order parameters over training: simulation against the mean-field equations (Figure 2)."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure as Canvas

from figures.drawing import Drawn
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
from meanfield.compare.comparison import Comparison, compare
from meanfield.compare.statistics import concise, relative_delay
from meanfield.predict.prediction import predict
from meanfield.predict.trajectory import Trajectory
from meanfield.runs.measured import Measured, of_run
from meanfield.runs.run import Run

PANELS = {"attention retrieval": ("R",), "logic overlaps": ("Q", "S")}
LABELS = {"R": "$R$", "Q": "$Q$, right permutation", "S": "$S$, others"}
THEORY = "equations (15), linear closure"


def draw(runs: Mapping[str, Run]) -> Drawn:
    """R on the left, Q and S on the right; below, theory minus simulation."""
    measured = of_run(runs["run"], "the run")
    parameters, epoch = measured.parameters, measured.epoch
    theory = predict(parameters, "linear", epochs=epoch)
    against = compare(measured, "linear", start="nominal", flow=True)
    onset = against.lateness["onset_epoch"].mean
    return Drawn(
        canvas=_picture(measured, theory, against),
        caption=_caption(measured, against),
        closures=("linear",),
        caveats=theory.caveats,
        numbers={
            "onset_epoch_theory": theory.onset_epoch,
            "onset_late": onset and onset.value,
            "rms": {name: against.deviations[name].rms_mean.value for name in "RQS"},
        },
    )


def _picture(measured: Measured, theory: Trajectory, against: Comparison) -> Canvas:
    with style.drawing(7.0, 3.8) as canvas:
        pairs = panel_pairs(canvas, theory)
        for (upper, lower), (title, names) in zip(pairs, PANELS.items(), strict=True):
            for name in names:
                seeds, color = measured.curves[name], style.COLORS[name]
                draw_simulation(upper, measured.epoch, seeds, color=color)
                upper.plot(measured.epoch, getattr(theory, name), color=color, lw=1.4)
                style.residual(lower, measured.epoch, against.curves[name] - seeds, color=color)
            upper.set_ylabel(title)
        pairs[0][1].set_ylabel("theory $-$\nsimulation")
        entries = {label: {**POINTS, "color": style.COLORS[name]} for name, label in LABELS.items()}
        legend(canvas, {**entries, THEORY: {"color": style.GREY, "lw": 1.4}})
    return canvas


def _caption(measured: Measured, against: Comparison) -> str:
    onset = against.lateness["onset_epoch"].mean
    errors = [f"{concise(against.deviations[name].rms_mean)} for ${name}$" for name in "RQS"]
    return (
        f"Order parameters over training at {style.parameters_line(measured.parameters.items())}. "
        f"{simulation_sentences(len(measured.seeds))} Lines: the mean-field equations (15) with "
        f"the linear closure, from the nominal start. {PHASES} {RESIDUALS} Theory puts the onset "
        f"of attention {relative_delay(onset)}. Its root mean square error is {', '.join(errors)}."
    )


FIGURE, ROBUST = figures_of_both_sets(
    name="order_parameters",
    title="R, Q and S over training, simulation against the mean-field equations",
    subject="R, Q and S",
    source="Figure 2",
    draw=draw,
)
