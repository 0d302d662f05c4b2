"""Order parameters over training: simulation against the mean-field equations (Figure 2)."""

from __future__ import annotations

from collections.abc import Mapping

from figures import over_training
from figures.batches import Batch, main_batch, robust_batch
from figures.drawing import Drawn, Figure
from meanfield import style
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
    theory = predict(parameters, closure="linear", epochs=epoch)
    against = compare(measured, theory="linear", start="nominal")
    with style.drawing(7.0, 3.6) as canvas:
        above, below = canvas.subplots(2, 2, sharex=True, height_ratios=(3, 1))
        for upper, lower, (words, names) in zip(above, below, PANELS.items(), strict=True):
            for name, label in names.items():
                seeds, color = measured.curves[name], style.COLORS[name]
                over_training.simulation(upper, epoch, seeds, color=color, label=label)
                upper.plot(epoch, getattr(theory, name), color=color, lw=1.4)
                style.residual(lower, epoch, against.curves[name] - seeds, color=color)
            over_training.phases(upper, lower, theory, width=2.7)
            upper.set_ylabel(words)
            upper.set_xlim(0, epoch[-1])
            upper.legend(loc="upper left")
            lower.set_xlabel("epoch")
        below[0].set_ylabel("theory $-$\nsimulation")
    onset = against.lateness["onset_epoch"]
    rms = {name: against.deviations[name].rms_mean for name in "RQS"}
    count = len(measured.seeds)
    caption = (
        f"Order parameters over training at {style.parameters_line(parameters.items())}. "
        f"{over_training.simulation_in_words(count)} Lines: the mean-field equations (15), linear "
        f"closure, from the nominal start. {over_training.PHASES_IN_WORDS} "
        f"{over_training.RESIDUAL_IN_WORDS} Attention locks on {late(onset.mean)} in theory; the "
        "root mean square of the difference is "
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
    title="R, Q and S for the second set of hyperparameters",
    source="Appendix J",
    batches=robust_batches,
    draw=draw,
)
