"""Early training and the onset of attention: closed forms beside training (beyond the paper).

The paper derives (78)-(81) in Appendices G and H, but shows no figure of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from figures.batches import main_batch
from figures.drawing import Drawn, Figure, with_errors
from figures.measurements.early_growth import (
    NAMES,
    TOLERANCE,
    Departure,
    EarlyTraining,
    early_training,
)
from figures.panels import legend
from figures.training_curves import POINTS, draw_simulation, panel_pairs, simulation_sentences
from meanfield import style
from meanfield.compare.statistics import concise, relative_delay
from meanfield.predict.prediction import predict
from meanfield.predict.trajectory import Trajectory
from meanfield.runs.run import Run

PANELS = {"logic overlaps": ("Q", "S"), "attention retrieval": ("R",)}
EQUATIONS = {"Q": "78a", "S": "78b", "R": "81b"}


def draw(runs: Mapping[str, Run]) -> Drawn:
    """Q and S on the left, R on the right, up to the onset; below, errors of the closed forms."""
    early = early_training(runs["run"])
    departures = {name: early.departure(name) for name in NAMES}
    theory = predict(early.measured.parameters, "linear", epochs=early.epoch)
    return Drawn(
        canvas=_picture(early, theory),
        caveats=theory.caveats,
        caption=_caption(early, departures),
        closures=("linear",),
        numbers=with_errors(
            {
                "time_scale_epochs": early.time_scale,
                "tolerance": TOLERANCE,
                "departure": {name: each and each.numbers for name, each in departures.items()},
                "onset_late": early.onset_delay,
            }
        ),
    )


def _picture(early: EarlyTraining, theory: Trajectory) -> Canvas:
    with style.drawing(7.0, 3.8) as canvas:
        pairs = panel_pairs(canvas, theory, ratio=2.2)
        for (upper, lower), (label, names) in zip(pairs, PANELS.items(), strict=True):
            for name in names:
                _draw_quantity(upper, lower, early, name)
            for edge in (-TOLERANCE, TOLERANCE):
                lower.axhline(100 * edge, color=style.GREY, lw=0.7, ls=":", zorder=0.5)
            for axes in (upper, lower):
                axes.axvline(early.time_scale, color=style.GREY, lw=0.9, ls=":", zorder=0.5)
            upper.annotate(
                r"$\tau$",
                (early.time_scale, 0.97),
                xycoords=upper.get_xaxis_transform(),
                xytext=(-3, 0),
                textcoords="offset points",
                ha="right",
                va="top",
            )
            upper.set_ylabel(label)
        pairs[0][1].set_ylabel("closed form\noff by / %")
        points = {f"${name}$": {**POINTS, "color": style.COLORS[name]} for name in ("Q", "S", "R")}
        lines = {
            "closed forms (78), (81b)": {"color": style.GREY, "lw": 1.4},
            "equations (15), linear closure": {"color": style.GREY, "lw": 1.2, "ls": style.DASHED},
        }
        legend(canvas, {**points, **lines}, columnspacing=1.4)
    return canvas


def _draw_quantity(upper: Axes, lower: Axes, early: EarlyTraining, name: str) -> None:
    epoch, color = early.epoch, style.COLORS[name]
    draw_simulation(upper, epoch, early.simulated[name], color=color)
    upper.plot(epoch, early.closed[name].mean(0), color=color, lw=1.4)
    upper.plot(epoch, early.equations[name].mean(0), color=color, lw=1.2, ls=style.DASHED)
    style.residual(lower, epoch[1:], 100 * early.error(name), color=color)


def _caption(early: EarlyTraining, departures: Mapping[str, Departure | None]) -> str:
    measured = early.measured
    return (
        "Early training and the onset of attention at "
        f"{style.parameters_line(measured.parameters.items())}. The panels end where the mean $R$ "
        f"reaches 1/2. {simulation_sentences(len(measured.seeds))} Solid: the closed forms (78a) "
        "of $Q$, (78b) of $S$ and (81b) of $R$, which is (81) with saturation kept. Dashed: the "
        "equations (15) with the linear closure, which they approximate. Both start from each "
        "seed's own $Q$, $S$ and $R$ and are averaged over seeds; nothing is fitted. Grey: after "
        "the end of the heuristic phase, in theory. Dotted: the time scale (81c) of the onset, "
        rf"$\tau$ at epoch {early.time_scale:.0f}. Below: closed form over simulation less one, of "
        "what $Q$ and $S$ have gained since the start and of $R$ itself, with its standard error. "
        + " ".join(_sentence(name, each) for name, each in departures.items())
        + _cause(departures)
        + f" (81b) puts the onset {relative_delay(early.onset_delay)}."
    )


def _sentence(name: str, departure: Departure | None) -> str:
    """Say up to where a closed form holds."""
    form = f"({EQUATIONS[name]}) of ${name}$"
    if departure is None:
        return f"{form} is right to {100 * TOLERANCE:.0f} % up to the onset."
    if departure.from_the_start:
        return f"{form} is off by more than {100 * TOLERANCE:.0f} % from the start."
    return (
        f"{form} is right to {100 * TOLERANCE:.0f} % up to epoch {concise(departure.epoch)}, where "
        f"$R={departure.R:.2f}$ and the margin is {departure.margin:.2g}; there (15) is off by "
        f"{100 * departure.equations_error:+.1f} %."
    )


def _cause(departures: Mapping[str, Departure | None]) -> str:
    """Say which assumption of the closed forms fails where the first of them departs."""
    known = [each for each in departures.values() if each and not each.from_the_start]
    if not known:
        return ""
    first = min(known, key=lambda each: each.epoch.value)
    cause = "the plateau" if first.plateau_fails_first else "the small margin"
    return (
        f" At the first of these epochs $R$ has left its plateau by {100 * first.growth_of_R:.0f} "
        f"%, while the error signal $g$ is {100 * first.fall_of_error_signal:.1f} % below that of "
        f"guessing. So {cause} is the assumption that fails."
    )


FIGURE = Figure(
    name="early_training",
    title="Q, S and R early in training, the closed forms (78)-(81) against training",
    source="beyond the paper",
    batches=lambda *, quick: {"run": main_batch(quick=quick)},
    draw=draw,
)
