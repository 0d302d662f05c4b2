"""How right each theory is on models that none was tuned on (beyond the paper)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedLocator

from figures.drawing import Drawn, Figure, with_errors
from figures.measurements.score_points import (
    QUANTITIES,
    Point,
    Quantity,
    mean_size,
    models_within_aim,
    per_cent,
)
from figures.measurements.theory_scores import MAIN, Model, batches, excess_over_expected, model
from figures.panels import fix_ticks, legend
from meanfield import style
from meanfield.compare.statistics import average, concise
from meanfield.predict import spread
from meanfield.runs.run import Run
from meanfield.theory import BEST, LADDER, Theory

# Shape for the attention, colour for the theory; filled where the logits fluctuate.
MARKS: dict[str, tuple[str, str]] = {
    "linear": ("s", style.VERMILION),
    "quadratic": ("D", style.ORANGE),
    "spectral": ("o", style.GREEN),
    "per-seed": ("^", style.BLUE),
}
MEDIAN = "spectral against the median"  # stands between the two spectral theories
COLUMNS = (*LADDER[:3], MEDIAN, *LADDER[3:])
APART = 0.115  # of two columns, in models


def draw(runs: Mapping[str, Run]) -> Drawn:
    """A row for each quantity, a column for each model, in it a mark a theory."""
    return drawn_of({name: model(run, name) for name, run in runs.items()})


def drawn_of(models: Mapping[str, Model]) -> Drawn:
    """Return the figure of these models."""
    return Drawn(
        canvas=_picture(models),
        caption=_caption(models),
        closures=LADDER,
        numbers={name: _numbers(each) for name, each in models.items()},
    )


def _picture(models: Mapping[str, Model]) -> Canvas:
    with style.drawing(7.0, 7.0) as canvas:
        rows = canvas.subplots(len(QUANTITIES), 1, sharex=True)
        for axes, (name, quantity) in zip(rows, QUANTITIES.items(), strict=True):
            _frame(axes, quantity, len(models))
            _draw_quantity(axes, quantity, models)
            if name == "onset_late":
                for place, each in enumerate(models.values()):
                    _draw_expected(axes, place, each)
        rows[-1].set_xticks(range(len(models)), map(_sizes, models, models.values()), size=8)
        legend(canvas, _legend(), columns=4, columnspacing=1.2)
    return canvas


def _frame(axes: Axes, quantity: Quantity, count: int) -> None:
    """Set the scales of a panel, and grey what was aimed at."""
    low = -quantity.aim if quantity.signed else 1e-9
    axes.axhspan(low, quantity.aim, color=style.BAND, lw=0, zorder=0)
    if quantity.signed:
        axes.set_yscale("symlog", linthresh=1, linscale=0.7)
        fix_ticks(axes.yaxis, (-100, -10, 0, 10, 100))
        minor = [s * d * k for s in (-1, 1) for d in (1, 10, 100) for k in range(1, 10)]
        axes.yaxis.set_minor_locator(FixedLocator(minor))  # logarithmic, and seen to be
        axes.tick_params(axis="y", which="minor", length=2)
        axes.axhline(0, color=style.GREY, lw=0.7, zorder=0.5)
    else:
        axes.set_yscale("log")
        fix_ticks(axes.yaxis, (0.001, 0.003, 0.01, 0.03, 0.1, 0.3))
    axes.set_ylabel(quantity.label)
    axes.set_xlim(-0.5, count - 0.5)
    for place in range(1, count):
        axes.axvline(place - 0.5, color=style.GREY, lw=0.4, zorder=0.5)
    axes.tick_params(axis="x", length=0)


def _draw_quantity(axes: Axes, quantity: Quantity, models: Mapping[str, Model]) -> None:
    """Draw a mark for every theory on every model, where it is reached."""
    ends: list[float] = []
    for place, each in enumerate(models.values()):
        for theory, score in each.scores.items():
            point = quantity.of(score)
            if point is not None:
                _draw_point(axes, _position(place, theory), point, theory)
                ends += [point.low, point.high]
    if not quantity.signed:
        axes.set_ylim(0.6 * min(ends), 1.6 * max(ends))


def _position(place: int, column: str) -> float:
    return place + APART * (COLUMNS.index(column) - (len(COLUMNS) - 1) / 2)


def _look(theory: str) -> dict[str, Any]:
    parsed = Theory.parse(theory)
    marker, color = MARKS[parsed.attention]
    size = {"s": 4.0, "D": 3.6, "o": 4.4, "^": 4.8}[marker]
    return {
        "marker": marker,
        "color": color,
        "mfc": color if parsed.fluctuating else "white",
        "ms": size,
        "mew": 1.0,
    }


def _draw_point(axes: Axes, x: float, point: Point, theory: str) -> None:
    look = _look(theory)
    axes.plot([x, x], [point.low, point.high], color=look["color"], lw=0.8, zorder=2)
    error = np.nan_to_num(point.estimate.error)
    axes.errorbar(x, point.estimate.value, error, elinewidth=2.2, zorder=3, **look)


def _draw_expected(axes: Axes, place: int, each: Model) -> None:
    """Draw the delay that is expected of a closure, and of spectral against the median seed."""
    for name, expected in each.expected.items():
        x, half = _position(place, name), 0.45 * APART
        axes.plot([x - half, x + half], 2 * [100 * expected], color=style.BLACK, lw=1.6, zorder=4)
    median = per_cent(each.median)
    axes.errorbar(
        _position(place, MEDIAN),
        median.value,
        np.nan_to_num(median.error),
        fmt="x",
        ms=4,
        mew=1.2,
        color=style.BLACK,
        elinewidth=0.8,
    )


def _legend() -> dict[str, dict[str, Any]]:
    black: dict[str, Any] = {"ls": "", "color": style.BLACK}
    return {
        **{name.replace("+", " + "): {**_look(name), "ls": ""} for name in LADDER},
        "spectral, median seed": {"marker": "x", "ms": 4, "mew": 1.2, **black},
        "expected of a closure": {"marker": "_", "ms": 6, "mew": 1.6, **black},
    }


def _sizes(name: str, each: Model) -> str:
    p = each.parameters
    spacing = "linear" if p.rope_spacing == "linear" else "base"
    sizes = {"N": p.N, "K": p.K, "T": p.T, "d": p.d_head}
    lines = [f"${letter}={value}$" for letter, value in sizes.items()]
    return "\n".join([*lines, f"{spacing} {p.rope_theta:g}", *([name] if name == MAIN else [])])


def _caption(models: Mapping[str, Model]) -> str:
    counts = " or ".join(map(str, sorted({each.seeds for each in models.values()})))
    main = "the main model and on " if MAIN in models else ""
    others = len(models) - (MAIN in models)
    aims = ", ".join(f"{each.aim:g}{' %' * each.signed}" for each in QUANTITIES.values())
    return (
        f"How right each theory is, on {main}{others} models that no theory was tuned on "
        f"({counts} seeds each). Each theory follows gradient steps from the measured start of "
        "each seed. From the top: the root mean square error of $R$ over the curve of a single "
        "seed; how late theory puts the onset of attention ($R=1/2$) and rollout accuracy 1/2, "
        "with the standard error over seeds and, as thin lines, their standard deviation; $S$ at "
        "the end, theory over simulation less one, averaged over seeds; the root mean square error "
        "of the next-token accuracy averaged over seeds, with thin lines up to the largest error. "
        "The scales are logarithmic; of what may be negative, beyond 1 %, and linear in between. "
        f"Grey: what was aimed at ({aims}, the last of the largest error). Open marks: mean-field "
        "loss and Gaussian logits. Filled marks: with the fluctuations of the logits in the loss, "
        f"and sampled logits. On so many of the {len(models)} models the aim is met, row by row: "
        f"{_successes(models)}. {_closures_in_words(models)} Where the query and key of the seed "
        "are known, only the fluctuations are left to know. The size of the error, averaged over "
        f"models, without and with them: {_gains(models)}. {_medians(models)}"
    )


def _successes(models: Mapping[str, Model]) -> str:
    rows = {
        theory: [str(models_within_aim(models, theory, each)) for each in QUANTITIES.values()]
        for theory in LADDER
    }
    return "; ".join(
        f"{theory.replace('+', ' with ')} {', '.join(row)}" for theory, row in rows.items()
    )


def _closures_in_words(models: Mapping[str, Model]) -> str:
    excess = np.array(excess_over_expected(models))
    expected = [100 * delay for each in models.values() for delay in each.expected.values()]
    return (
        "The delay of a closure is that of its $G(R)$. Short bars: what is expected from "
        f"{spread.SAMPLES} drawn seeds of softmax attention, none trained, from "
        f"{min(expected):+.0f} to {max(expected):+.0f} %. Measured minus expected delay is "
        f"{concise(average(excess), sign=True)} points on average, with a root mean square of "
        f"{np.sqrt(np.mean(np.square(excess))):.2g}."
    )


def _gains(models: Mapping[str, Model]) -> str:
    """Return the size of each quantity for one seed's theory, without and with fluctuations."""

    def size(quantity: Quantity, theory: str) -> str:
        return f"{mean_size(models, theory, quantity):.2g}" + " %" * quantity.signed

    return ", ".join(
        f"{each.name} {size(each, 'per-seed')} and {size(each, BEST)}"
        for each in QUANTITIES.values()
    )


def _medians(models: Mapping[str, Model]) -> str:
    delays = [100 * each.median.value for each in models.values()]
    return (
        "Crosses: the delay of the spectral theory with fluctuations, from its nominal start, "
        f"against the median seed, {min(delays):+.2g} to {max(delays):+.2g} %, "
        f"{concise(average(np.array(delays)))} % on average."
    )


def _numbers(each: Model) -> dict[str, Any]:
    table = {
        theory: {
            name: point and {**with_errors(point.estimate), "low": point.low, "high": point.high}
            for name, quantity in QUANTITIES.items()
            for point in [quantity.of(score)]
        }
        for theory, score in each.scores.items()
    }
    return {
        "theories": table,
        "spectral_onset_against_median": with_errors(per_cent(each.median)),
        "closure_onset_late_expected": {n: 100 * delay for n, delay in each.expected.items()},
    }


FIGURE = Figure(
    name="theories",
    title="how right every theory is, on models that none was tuned on",
    source="beyond the paper",
    batches=batches,
    draw=draw,
)
