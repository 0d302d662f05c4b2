"""How right every theory is, measured on models that none of them was tuned on (ours)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from figures import onset
from figures.batches import Batch, batch, lasting, main_batch
from figures.drawing import Drawn, Figure, with_error
from meanfield import attention, closures, seeds, style
from meanfield.comparison import (
    FLUCTUATIONS,
    THEORIES,
    Comparison,
    Estimate,
    Lateness,
    average,
    compare,
    jackknife,
)
from meanfield.measured import Measured, of_run
from meanfield.parameters import Parameters
from meanfield.prediction import predict
from meanfield.quadrature import predict_many
from meanfield.runs import Run
from meanfield.words import concise

Array = NDArray[np.float64]

SEEDS, QUICK_SEEDS = 16, 4
LENGTH = 1.6  # epochs of training, in those to saturation of the spectral theory
MAIN = "main"

# Models beside the main one, N != K, from short sequences to long ones, every size and base moved;
# the learning rates put the onset at about epoch 150.
SETS: dict[str, dict[str, Any]] = {
    "T5": {"N": 16, "K": 30, "T": 5, "d_head": 16, "rope_theta": 10.0, "lr": 2.5},
    "T8": {"N": 12, "K": 20, "T": 8, "d_head": 32, "rope_theta": 100.0, "lr": 3.0},
    "T10": {"N": 24, "K": 16, "T": 10, "d_head": 64, "rope_theta": 30.0,
            "rope_spacing": "linear", "lr": 3.5},
    "T12": {"N": 25, "K": 12, "T": 12, "d_head": 128, "rope_theta": 1e3, "lr": 6.0},
    "T15": {"N": 30, "K": 24, "T": 15, "d_head": 64, "rope_theta": 10.0, "lr": 8.0},
    "T16": {"N": 14, "K": 6, "T": 16, "d_head": 24, "rope_theta": 300.0, "lr": 3.5},
    "T20": {"N": 10, "K": 15, "T": 20, "d_head": 256, "rope_theta": 1e4, "lr": 7.0},
}  # fmt: skip
QUICK_SETS: dict[str, dict[str, Any]] = {
    "T4": {"N": 8, "K": 12, "T": 4, "d_head": 16, "rope_theta": 10.0, "lr": 4.0},
    "T6": {"N": 10, "K": 5, "T": 6, "d_head": 8, "rope_theta": 30.0, "lr": 4.0},
    "T8": {"N": 7, "K": 9, "T": 8, "d_head": 32, "rope_theta": 1e4, "lr": 6.0},
}
QUICK_DATA: dict[str, Any] = {"n_train": 1024, "n_test": 512}

# Shape for the attention, colour for the theory; filled where the logits fluctuate.
MARKS: dict[str, tuple[str, str]] = {
    "linear": ("s", style.VERMILION),
    "quadratic": ("D", style.ORANGE),
    closures.SPECTRAL: ("o", style.GREEN),
    closures.PER_SEED: ("^", style.BLUE),
}
MEDIAN = "spectral against the median"  # stands between the two spectral theories
COLUMNS = (*THEORIES[:3], MEDIAN, *THEORIES[3:])
APART = 0.115  # of two columns, in models


@dataclass(frozen=True)
class Point:
    """What a panel shows of one theory and one model: a value, and a thin line from low to high."""

    estimate: Estimate
    low: float
    high: float


@dataclass(frozen=True)
class Score:
    """How right one theory is on one model.

    rms: of R over a seed's own curve, averaged. onset, rollout: how late, relative.
    end: S at the last epoch, theory over training less 1, of the curve averaged over seeds.
    next_rms, next_largest: of the next-token accuracy averaged over seeds.
    """

    rms: Estimate
    onset: Lateness
    rollout: Lateness
    end: Estimate
    next_rms: Estimate
    next_largest: Estimate


@dataclass(frozen=True)
class Panel:
    """A row of the figure.

    words: for captions. label: of its axis. aim: what was aimed at, in its unit. signed: whether
    its values can be negative: then per cent. of: what it shows of a score, None if not reached.
    """

    words: str
    label: str
    aim: float
    signed: bool
    of: Callable[[Score], Point | None]


def batches(*, quick: bool) -> dict[str, Batch]:
    """The main training, at full size only, and one of each other model."""
    result = {} if quick else {MAIN: main_batch(quick=False)}
    for name, changed in (QUICK_SETS if quick else SETS).items():
        data: dict[str, Any] = QUICK_DATA if quick else {}
        short = batch(seeds=QUICK_SEEDS if quick else SEEDS, epochs=1, **changed, **data)
        result[name] = lasting(short, horizon(short.parameters))
    return result


@cache
def horizon(parameters: Parameters) -> int:
    """Return how many epochs to train: some more than the typical seed needs to saturate."""
    typical = predict(parameters, closure=closures.SPECTRAL, fluctuations=False)
    return 10 * round(LENGTH * (typical.saturation_epoch or math.nan) / 10)


def score(measured: Measured, comparison: Comparison) -> Score:
    """Return how right a theory is where it was compared."""
    ends = np.stack([comparison.curves["S"][:, -1], measured.curves["S"][:, -1]], axis=1)
    next_token = comparison.deviations["next_token_accuracy"]
    return Score(
        rms=comparison.deviations["R"].rms_seed,
        onset=comparison.lateness["onset_epoch"],
        rollout=comparison.lateness["rollout_half_epoch"],
        end=jackknife(lambda pair: pair[0] / pair[1] - 1, ends),
        next_rms=next_token.rms_mean,
        next_largest=next_token.largest_mean,
    )


def scores(measured: Measured) -> dict[str, Score]:
    """Return the score of every theory, from the measured start, in gradient steps."""
    return {
        name: score(measured, compare(measured, theory=name, start="measured", lr_correction=True))
        for name in THEORIES
    }


def against_median(run: Run) -> Estimate:
    """Return how late the spectral theory, from its nominal start, is against the median seed.

    With fluctuations, in gradient steps. The standard error is that of a median of normal deviates.
    """
    theory = predict(
        run.parameters, closure=closures.SPECTRAL, fluctuations=True, lr_correction=True
    )
    late = (theory.onset_epoch or math.nan) / onset.measured(run) - 1
    mean = average(late)
    return Estimate(float(np.nanmedian(late)), math.sqrt(math.pi / 2) * mean.error, mean.seeds)


def expected(parameters: Parameters) -> dict[str, float]:
    """Return how late each closure is on average over drawn seeds of softmax attention.

    Each seed's R at the start is told to the closure; nothing is trained.
    """
    q, k = seeds.draw(parameters, seeds.SAMPLES)
    own = seeds.onset_epochs(parameters, q, k)
    R, _, _ = attention.retrieval(seeds.planes(parameters), attention.heads(q, k).p)
    fair = np.isfinite(own) & (own > 0)
    given = {name: value for name, value in parameters.items() if name != "w_init"}
    return {
        name: float(
            np.mean(predict_many(**given, closure=name, R0=R[fair]).onset_epoch / own[fair]) - 1
        )
        for name in closures.CLOSURES
    }


def per_cent(estimate: Estimate) -> Estimate:
    """Return the same in per cent."""
    return Estimate(100 * estimate.value, 100 * estimate.error, estimate.seeds)


def _late(lateness: Lateness) -> Point | None:
    """Return the mean over seeds in per cent, and a standard deviation over them on both sides."""
    if lateness.seed is None:
        return None
    late, spread = per_cent(lateness.seed), 100 * np.nan_to_num(lateness.spread)
    return Point(late, late.value - spread, late.value + spread)


def _alone(estimate: Estimate) -> Point:
    return Point(estimate, estimate.value, estimate.value)


PANELS: dict[str, Panel] = {
    "rms_R": Panel("$R$", "rms of $R$,\na single seed", 0.004, False, lambda s: _alone(s.rms)),
    "onset_late": Panel("onset", "onset\nlate by / %", 0.6, True, lambda s: _late(s.onset)),
    "rollout_late": Panel(
        "rollouts", "rollouts\nlate by / %", 1, True, lambda s: _late(s.rollout)
    ),
    "S_end": Panel(
        "$S$", "$S$ at the end,\nexcess / %", 5, True, lambda s: _alone(per_cent(s.end))
    ),
    "next_token": Panel(
        "next token", "next-token\naccuracy, error", 0.02, False,
        lambda s: Point(s.next_rms, s.next_rms.value, s.next_largest.value),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Model:
    """All that is shown of one model: the scores by theory, and what its onset is held against."""

    parameters: Parameters
    seeds: int
    scores: Mapping[str, Score]
    median: Estimate
    expected: Mapping[str, float]


def model(run: Run, name: str) -> Model:
    """Return what is shown of a training."""
    measured, p = of_run(run, name), run.parameters
    return Model(p, measured.count, scores(measured), against_median(run), expected(p))


def draw(runs: Mapping[str, Run]) -> Drawn:
    """A row for each quantity, a column for each model, in it a mark a theory."""
    return picture({name: model(run, name) for name, run in runs.items()})


def picture(models: Mapping[str, Model]) -> Drawn:
    """Draw what was found."""
    with style.drawing(7.0, 7.0) as canvas:
        rows = canvas.subplots(len(PANELS), 1, sharex=True)
        for axes, (quantity, panel) in zip(rows, PANELS.items(), strict=True):
            _frame(axes, panel, len(models))
            found = [
                (_at(place, theory), point, theory)
                for place, each in enumerate(models.values())
                for theory, score in each.scores.items()
                if (point := panel.of(score)) is not None
            ]
            for x, point, theory in found:
                _mark(axes, x, point, theory)
            if quantity == "onset_late":
                for place, each in enumerate(models.values()):
                    _beside(axes, place, each)
            if not panel.signed:
                shown = [end for _, point, _ in found for end in (point.low, point.high)]
                axes.set_ylim(0.6 * min(shown), 1.6 * max(shown))
        rows[-1].set_xticks(range(len(models)), map(_name, models, models.values()), size=8)
        canvas.legend(handles=_legend(), loc="outside upper center", ncols=4, columnspacing=1.2)
    return Drawn(
        canvas=canvas,
        caption=_caption(models),
        closures=THEORIES,
        numbers={name: _numbers(each) for name, each in models.items()},
    )


def _at(place: int, column: str) -> float:
    return place + APART * (COLUMNS.index(column) - (len(COLUMNS) - 1) / 2)


def _frame(axes: Axes, panel: Panel, count: int) -> None:
    """Set the scales of a panel, and grey what was aimed at."""
    axes.axhspan(-panel.aim if panel.signed else 1e-9, panel.aim, color=style.BAND, lw=0, zorder=0)
    if panel.signed:
        axes.set_yscale("symlog", linthresh=1, linscale=0.7)
        axes.yaxis.set_major_locator(FixedLocator((-10, 0, 10, 100)))
        axes.yaxis.set_minor_locator(FixedLocator((-1, 1)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
        axes.axhline(0, color=style.GREY, lw=0.7, zorder=0.5)
    else:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(FixedLocator((0.001, 0.003, 0.01, 0.03, 0.1, 0.3)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel(panel.label)
    axes.set_xlim(-0.5, count - 0.5)
    for place in range(1, count):
        axes.axvline(place - 0.5, color=style.GREY, lw=0.4, zorder=0.5)
    axes.tick_params(axis="x", length=0)


def _look(theory: str) -> dict[str, Any]:
    marker, color = MARKS[theory.removesuffix(FLUCTUATIONS)]
    filled = theory.endswith(FLUCTUATIONS)
    size = {"s": 4.0, "D": 3.6, "o": 4.4, "^": 4.8}[marker]
    return {
        "marker": marker, "color": color, "mfc": color if filled else "white", "ms": size,
        "mew": 1.0,
    }  # fmt: skip


def _mark(axes: Axes, x: float, point: Point, theory: str) -> None:
    look = _look(theory)
    axes.plot([x, x], [point.low, point.high], color=look["color"], lw=0.8, zorder=2)
    error = np.nan_to_num(point.estimate.error)
    axes.errorbar(x, point.estimate.value, error, elinewidth=2.2, zorder=3, **look)


def _beside(axes: Axes, place: int, each: Model) -> None:
    """Draw what a closure's onset should be late by, and the spectral one against the median."""
    for name, late in each.expected.items():
        x, half = _at(place, name), 0.45 * APART
        axes.plot([x - half, x + half], 2 * [100 * late], color=style.BLACK, lw=1.6, zorder=4)
    median = per_cent(each.median)
    axes.errorbar(_at(place, MEDIAN), median.value, np.nan_to_num(median.error), fmt="x", ms=4,
                  mew=1.2, color=style.BLACK, elinewidth=0.8)  # fmt: skip


def _legend() -> list[Line2D]:
    more = FLUCTUATIONS.replace("+", "+ ")
    black: dict[str, Any] = {"ls": "", "color": style.BLACK}
    return [
        *(
            Line2D([], [], ls="", label=name.replace(FLUCTUATIONS, f" {more}"), **_look(name))
            for name in THEORIES
        ),
        Line2D([], [], marker="x", ms=4, mew=1.2, label="spectral, median seed", **black),
        Line2D([], [], marker="_", ms=6, mew=1.6, label="expected of a closure", **black),
    ]


def _name(name: str, each: Model) -> str:
    p = each.parameters
    spaced = "linear" if p.rope_spacing == "linear" else "base"
    told = [f"${letter}={value}$" for letter, value in
            {"N": p.N, "K": p.K, "T": p.T, "d": p.d_head}.items()]  # fmt: skip
    return "\n".join([*told, f"{spaced} {p.rope_theta:g}", *([name] if name == MAIN else [])])


def met(models: Mapping[str, Model], theory: str, panel: Panel) -> int:
    """Return on how many models a theory comes within what was aimed at: of all that is drawn.

    For the next token that is the largest error, for the others the value.
    """
    points = [panel.of(each.scores[theory]) for each in models.values()]
    return sum(_size(point, panel) <= panel.aim for point in points)


def _size(point: Point | None, panel: Panel) -> float:
    if point is None:
        return math.inf
    return abs(point.estimate.value) if panel.signed else point.high


def _caption(models: Mapping[str, Model]) -> str:
    counts = {each.seeds for each in models.values()}
    told = "; ".join(
        f"{theory.replace('+', ' with ')} "
        + ", ".join(str(met(models, theory, panel)) for panel in PANELS.values())
        for theory in THEORIES
    )
    off = [
        100 * (found.seed.value - each.expected[name])
        for each in models.values()
        for name in closures.CLOSURES
        if (found := each.scores[name].onset).seed is not None
    ]
    by_closure = [100 * late for each in models.values() for late in each.expected.values()]
    medians = [100 * each.median.value for each in models.values()]
    aims = ", ".join(f"{panel.aim:g}{' %' * panel.signed}" for panel in PANELS.values())
    main = "the main model and on " if MAIN in models else ""
    return (
        f"How right each theory is, on {main}{len(models) - (MAIN in models)} models that no "
        f"theory was tuned on ({' or '.join(map(str, sorted(counts)))} seeds each), from each "
        "seed's measured start, in gradient steps. From the top: root mean square error of $R$ "
        "over the "
        "curve of a single seed; how late attention locks on ($R=1/2$) and rollouts come to "
        "accuracy 1/2, mean and standard error over seeds, thin lines: standard deviation over "
        "seeds; theory over simulation less one, of $S$ at the end, averaged over seeds; "
        "root mean square error of the next-token accuracy averaged over seeds, thin lines: up to "
        f"the largest. Grey: what was aimed at ({aims}, the last of the largest error). Open "
        "marks: mean-field loss and Gaussian logits; filled: with the fluctuations of the logits "
        f"in the loss, and sampled logits. On how many of the {len(models)} models the aim is met, "
        f"row by row: {told}. A closure's lateness is that of its $G(R)$: short bars, what is "
        f"expected from {seeds.SAMPLES} drawn seeds of softmax attention, none trained, from "
        f"{min(by_closure):+.0f} to {max(by_closure):+.0f} %; measured minus expected is "
        f"{concise(average(np.array(off)), sign=True)} points on average, "
        f"{np.sqrt(np.mean(np.square(off))):.2g} in the root mean square. "
        "Where query and key of the seed are known, fluctuations are what is left to know; size "
        f"of the error, averaged over models: {_gain(models)}. "
        "Crosses: the spectral theory with fluctuations, from its nominal start, against the "
        "median seed, "
        f"{min(medians):+.2g} to {max(medians):+.2g} %, {concise(average(np.array(medians)))} % on "
        "average."
    )


def _gain(models: Mapping[str, Model]) -> str:
    """Return the size of each row's value of one seed's theory, without and with fluctuations."""

    def size(panel: Panel, theory: str) -> str:
        mean = np.mean([_size(panel.of(each.scores[theory]), panel) for each in models.values()])
        return f"{mean:.2g}" + " %" * panel.signed

    own = closures.PER_SEED
    return ", ".join(
        f"{panel.words} {size(panel, own)} without and {size(panel, own + FLUCTUATIONS)} with"
        for panel in PANELS.values()
    )


def _numbers(each: Model) -> dict[str, Any]:
    table = {
        theory: {
            quantity: point and {**with_error(point.estimate), "low": point.low, "high": point.high}
            for quantity, panel in PANELS.items()
            for point in [panel.of(found)]
        }
        for theory, found in each.scores.items()
    }
    return {
        "theories": table,
        "spectral_onset_against_median": with_error(per_cent(each.median)),
        "closure_onset_late_expected": {n: 100 * late for n, late in each.expected.items()},
    }


FIGURE = Figure(
    name="theories",
    title="how right every theory is, on models that none was tuned on",
    source="beyond the paper",
    batches=batches,
    draw=draw,
)
