"""Order parameters over training: simulation against the mean-field equations (Figure 2)."""

from __future__ import annotations

from collections.abc import Mapping

from figures.batches import Batch, main_batch, robust_batch
from figures.drawing import Drawn, Figure
from meanfield import plot, style
from meanfield.comparison import compare
from meanfield.measured import of_run
from meanfield.prediction import predict
from meanfield.runs import Run
from meanfield.words import concise, late

PANELS = {
    "attention retrieval": {"R": "$R$"},
    "logic overlaps": {"Q": "$Q$  right permutation", "S": "$S$  the others"},
}


def batches(*, quick: bool) -> dict[str, Batch]:
    """The main training."""
    return {"run": main_batch(quick=quick)}


def robust_batches(*, quick: bool) -> dict[str, Batch]:
    """The training of the second set."""
    return {"run": robust_batch(quick=quick)}


def draw(runs: Mapping[str, Run]) -> Drawn:
    """R on the left, Q and S on the right; below, theory minus simulation."""
    measured = of_run(runs["run"], "the run")
    parameters, epoch = measured.parameters, measured.epoch
    theory = predict(parameters, epochs=epoch)
    against = compare(measured, closure="linear", start="nominal")
    with style.drawing(7.0, 3.6) as canvas:
        above, below = canvas.subplots(2, 2, sharex=True, height_ratios=(3, 1))
        for upper, lower, (words, names) in zip(above, below, PANELS.items(), strict=True):
            for name, label in names.items():
                seeds, color = measured.curves[name], style.COLORS[name]
                upper.plot(epoch, seeds.T, color=color, lw=0.5, alpha=0.3, zorder=1)
                style.band(upper, epoch, seeds, color=color, label=label)
                upper.plot(epoch, getattr(theory, name), color=color, lw=1.4)
                style.residual(lower, epoch, against.curves[name] - seeds, color=color)
            ends = plot.phases(upper, theory, width=2.7)
            for axes in (upper, lower):
                axes.axvspan(*ends, color=style.BAND, lw=0, zorder=0)
            upper.set_ylabel(words)
            upper.set_xlim(0, epoch[-1])
            upper.legend(loc="upper left")
            lower.set_xlabel("epoch")
        below[0].set_ylabel("theory $-$\nsimulation")
    onset = against.lateness["onset_epoch"]
    rms = {name: against.deviations[name].rms_mean for name in "RQS"}
    count = len(measured.seeds)
    caption = (
        f"Order parameters over training at {style.parameters_line(parameters.items())}. Points: "
        f"mean of {count} seeds; band: two thirds of them; thin lines: single seeds. Lines: the "
        "mean-field equations (15), linear closure, from the nominal start. Grey: from the end of "
        "the heuristic phase to saturation, in theory. Below: theory minus simulation, averaged "
        f"over seeds, with its standard error. Attention locks on {late(onset.mean)} in theory; "
        "the root mean square of the difference is "
        + ", ".join(f"{concise(estimate)} for ${name}$" for name, estimate in rms.items())
        + "."
    )
    return Drawn(
        canvas=canvas,
        caption=caption,
        closures=("linear",),
        numbers={
            "onset_epoch_theory": theory.onset_epoch,
            "onset_late": onset.mean and onset.mean.value,
            "rms": {name: estimate.value for name, estimate in rms.items()},
        },
    )


FIGURE = Figure(
    name="order_parameters",
    title="R, Q and S over training, simulation against the mean-field equations",
    source="Figure 2",
    batches=batches,
    draw=draw,
)
ROBUST = Figure(
    name="robust_order_parameters",
    title="the same for the second set of hyperparameters",
    source="Appendix J",
    batches=robust_batches,
    draw=draw,
)
