"""Mean-field loss (10) from the measured order parameters against the true loss (Figure 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from figures.drawing import Drawn
from figures.panels import legend
from figures.training_curves import (
    PHASES,
    POINTS,
    draw_simulation,
    figures_of_both_sets,
    panel_pairs,
)
from meanfield import generated, style
from meanfield.compare.statistics import Estimate, average, concise, deviation
from meanfield.predict.prediction import predict
from meanfield.predict.trajectory import Trajectory
from meanfield.runs.measured import Measured, of_run
from meanfield.runs.run import Run

Array = NDArray[np.float64]

COLOR, TRUE, OF_DATA = style.COLORS["loss"], style.BLUE, style.VERMILION


@dataclass(frozen=True, kw_only=True)
class Losses:
    """The losses of all seeds that did not diverge, (B, E) each, in nats.

    true: cross-entropy on the training data. mean_field: (10) from the measured order parameters.
    of_data: (10) from the mean logits of the training sequences themselves.
    """

    measured: Measured
    true: Array
    mean_field: Array
    of_data: Array

    @property
    def error(self) -> Array:
        """Mean-field minus true loss."""
        return self.mean_field - self.true

    @property
    def error_of_data(self) -> Array:
        """The same with the mean logits of the training sequences."""
        return self.of_data - self.true

    @property
    def final_error(self) -> Estimate:
        """Mean-field minus true loss at the last epoch."""
        return average(self.error[:, -1])


def measure(run: Run) -> Losses:
    """Return the true and the mean-field losses of a training."""
    measured = of_run(run, "the run")
    kept = np.isin(run.seeds, measured.seeds)
    margin = (run.correct_logit - run.other_logit)[kept]
    return Losses(
        measured=measured,
        true=measured.curves["loss"],
        mean_field=run.mean_field_loss[kept],
        of_data=np.asarray(generated.loss(margin, run.parameters.N)),
    )


def draw(runs: Mapping[str, Run]) -> Drawn:
    """One seed on the left, all on the right; below, mean-field minus true loss."""
    losses = measure(runs["run"])
    error = deviation(losses.error)
    theory = predict(losses.measured.parameters, "linear", epochs=losses.measured.epoch)
    return Drawn(
        canvas=_picture(losses, theory),
        caption=_caption(losses),
        caveats=theory.caveats,  # of the phases
        numbers={
            "largest_seed": error.largest_seed.value,
            "largest_mean": error.largest_mean.value,
            "largest_own": deviation(losses.error_of_data).largest_mean.value,
            "end": losses.final_error.value,
        },
    )


def _picture(losses: Losses, theory: Trajectory) -> Canvas:
    measured = losses.measured
    parameters, epoch = measured.parameters, measured.epoch
    panels = {
        f"seed {measured.seeds[0]}": slice(1),
        f"mean of {len(measured.seeds)} seeds": slice(None),
    }
    with style.drawing(7.0, 3.8) as canvas:
        pairs = panel_pairs(canvas, theory, ratio=3 / 1.4, sharey=True)
        for (upper, lower), (label, shown) in zip(pairs, panels.items(), strict=True):
            draw_simulation(upper, epoch, losses.true[shown], color=TRUE)
            upper.plot(epoch, losses.mean_field[shown].mean(0), color=COLOR, lw=1.2)
            style.residual(lower, epoch, losses.error[shown], color=COLOR)
            style.residual(
                lower, epoch, losses.error_of_data[shown], color=OF_DATA, dashes=style.DASHED
            )
            upper.axhline(np.log(parameters.N), color=style.GREY, lw=0.7, ls=":", zorder=0.5)
            upper.annotate(label, (0.98, 0.88), xycoords="axes fraction", ha="right")
        upper, lower = pairs[0]
        upper.set_ylabel("loss (nats)")
        lower.set_ylabel("(10) $-$ true\nloss (nats)")
        legend(
            canvas,
            {
                "true loss": {**POINTS, "color": TRUE},
                "mean-field loss (10)": {"color": COLOR, "lw": 1.2},
                "(10), mean logits of the data": {"color": OF_DATA, "ls": style.DASHED, "lw": 1.2},
            },
        )
    return canvas


def _caption(losses: Losses) -> str:
    measured, error = losses.measured, deviation(losses.error)
    return (
        f"Loss over training at {style.parameters_line(measured.parameters.items())}. Points: the "
        f"true loss, on the left of seed {measured.seeds[0]}, on the right averaged over "
        f"{len(measured.seeds)} seeds. Band: two thirds of them. Thin lines: single seeds. Lines: "
        "the mean-field loss (10) from the $R$, $Q$, $S$ and $C$ measured at the same epochs; no "
        f"equation of motion is solved. Dotted: ln N, the loss of guessing. {PHASES} Below: "
        "mean-field minus true loss, with its standard error over seeds. It is at most "
        f"{concise(error.largest_seed)} nats along a seed and {concise(error.largest_mean)} in the "
        f"mean over seeds, and {concise(losses.final_error, sign=True)} at the end. Dashed: the "
        "same with the mean logits of the training sequences themselves. By Jensen's inequality "
        "this loss never exceeds the true one. Over all sequences, which (11) and (12) average, "
        "the right logit is lower, because the network knows the training sequences a little "
        "better than others. So (10) lies above the dashed line and may exceed the true loss."
    )


FIGURE, ROBUST = figures_of_both_sets(
    name="loss",
    title="mean-field loss from the measured order parameters against the true loss",
    subject="mean-field loss",
    source="Figure 4",
    draw=draw,
)
