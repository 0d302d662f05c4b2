"""Mean-field loss (10) from the measured order parameters against the true loss (Figure 4)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.lines import Line2D

from figures import over_training
from figures.batches import main_batch, robust_batch
from figures.drawing import Drawn, Figure
from meanfield import generated, style
from meanfield.comparison import average, deviation
from meanfield.measured import of_run
from meanfield.prediction import predict
from meanfield.runs import Run
from meanfield.words import concise

COLOR, TRUE, OWN = style.COLORS["loss"], style.BLUE, style.VERMILION


def draw(runs: Mapping[str, Run]) -> Drawn:
    """One seed on the left, all on the right; below, what (10) differs by.

    Dashed below: the same loss from the mean logits that the training sequences themselves have.
    """
    run = runs["run"]
    measured = of_run(run, "the run")
    parameters, epoch = measured.parameters, measured.epoch
    kept = np.isin(run.seeds, measured.seeds)
    true, mean_field = measured.curves["loss"], run.mean_field_loss[kept]
    own_margin = (run.correct_logit - run.other_logit)[kept]
    own = np.asarray(generated.loss(own_margin, parameters.N))
    theory = predict(parameters, closure="linear", epochs=epoch)
    panels = {f"seed {measured.seeds[0]}": slice(1), f"mean of {len(true)} seeds": slice(None)}
    with style.drawing(7.0, 3.8) as canvas:
        above, below = canvas.subplots(2, 2, sharex=True, sharey="row", height_ratios=(3, 1.4))
        for upper, lower, (words, shown) in zip(above, below, panels.items(), strict=True):
            over_training.simulation(upper, epoch, true[shown], color=TRUE)
            upper.plot(epoch, mean_field[shown].mean(0), color=COLOR, lw=1.2)
            style.residual(lower, epoch, (mean_field - true)[shown], color=COLOR)
            style.residual(lower, epoch, (own - true)[shown], color=OWN, dashes=style.DASHED)
            over_training.phases(upper, lower, theory, width=2.7)
            upper.axhline(np.log(parameters.N), color=style.GREY, lw=0.7, ls=":", zorder=0.5)
            upper.set_xlim(0, epoch[-1])
            upper.annotate(words, (0.98, 0.88), xycoords="axes fraction", ha="right")
            lower.set_xlabel("epoch")
        handles = [
            Line2D([], [], color=TRUE, ls="", marker="o", ms=2.6, label="true loss"),
            Line2D([], [], color=COLOR, lw=1.2, label="mean-field loss (10)"),
            Line2D(
                [], [], color=OWN, ls=style.DASHED, lw=1.2, label="(10), mean logits of the data"
            ),
        ]
        canvas.legend(handles=handles, loc="outside upper center", ncols=3)
        above[0].set_ylabel("loss (nats)")
        below[0].set_ylabel("(10) $-$ true\nloss (nats)")
    errors = {"(10)": deviation(mean_field - true), "own": deviation(own - true)}
    end = average((mean_field - true)[:, -1])
    caption = (
        f"Loss over training at {style.parameters_line(parameters.items())}. Points: the true "
        f"loss, on the left of seed {measured.seeds[0]}, on the right averaged over {len(true)} "
        "seeds; band: two thirds of them; thin lines: single seeds. Lines: the mean-field loss "
        "(10) from the $R$, $Q$, $S$ and $C$ measured at the same epochs; no equation of motion "
        f"is solved. Dotted: ln N, of guessing. {over_training.PHASES_IN_WORDS} Below: mean-field "
        "minus true loss, with its standard error over seeds: at most "
        f"{concise(errors['(10)'].largest_seed)} nats along a seed, "
        f"{concise(errors['(10)'].largest_mean)} in the mean over seeds, "
        f"{concise(end, sign=True)} at the end. Dashed: the same with the mean logits of the "
        "training sequences themselves, by Jensen's inequality never above the true loss. Over "
        "all sequences, which (11) and (12) average, the right logit is lower: the network has "
        "learned the training sequences a little better than others, so (10) lies above the "
        "dashed line and may pass the true loss."
    )
    return Drawn(
        canvas=canvas,
        caption=caption,
        numbers={
            "largest_seed": errors["(10)"].largest_seed.value,
            "largest_mean": errors["(10)"].largest_mean.value,
            "largest_own": errors["own"].largest_mean.value,
            "end": end.value,
        },
    )


FIGURE = Figure(
    name="loss",
    title="mean-field loss from the measured order parameters against the true loss",
    source="Figure 4",
    batches=lambda *, quick: {"run": main_batch(quick=quick)},
    draw=draw,
)
ROBUST = Figure(
    name="robust_loss",
    title="mean-field loss for the second set of hyperparameters",
    source="Appendix J",
    batches=lambda *, quick: {"run": robust_batch(quick=quick)},
    draw=draw,
)
