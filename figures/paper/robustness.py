"""How far from the main hyperparameters training still learns fully (Appendices B and J)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from figures.drawing import Drawn, Figure
from figures.measurements.hyperparameter_changes import (
    LENGTH,
    MAIN,
    SERIES,
    SHORTEST,
    Outcome,
    batches,
    outcomes,
)
from figures.panels import fix_ticks, legend
from figures.theory_lines import DASHES
from meanfield import style
from meanfield.compare.statistics import average, concise
from meanfield.parameters import Parameters
from meanfield.predict.horizon import SATURATED
from meanfield.runs.run import Run
from meanfield.theory import CLOSURES

# Panels by their series, with label and ticks; another series may be shown beside it.
PANELS: dict[str, tuple[str, tuple[float, ...]]] = {
    "N": ("states $N$", (5, 10, 20, 40)),
    "K": ("permutations $K$", (5, 10, 20, 40)),
    "T": ("actions $T$", (3, 5, 10, 15)),
    "d_head": ("head dimension $d$", (2, 4, 8, 16, 64)),
    "power": ("RoPE base", (2, 10, 100, 1e4)),
    "linear": ("base, linear frequencies", (2, 10, 1e4)),
    "lr": ("learning rate", (1, 5, 20, 100, 500)),
    "n_train": ("training sequences", (16, 256, 4096)),
}
BESIDE = {"d_head": "d_head faster"}
# What is changed, for the caption.
CHANGED = {
    "N": "$N$",
    "K": "$K$",
    "T": "$T$",
    "d_head": "$d$",
    "d_head faster": "squares at $d$",
    "power": "RoPE base",
    "linear": "linear frequencies to base",
    "lr": "lr",
    "n_train": "training sequences",
}
MARKS: dict[str, dict[str, Any]] = {
    "learned": {"color": style.BLUE, "ms": 4, "mew": 0},
    "not": {"mfc": "white", "mec": style.VERMILION, "ms": 4, "mew": 1},
    "lost": {"mfc": "white", "mec": style.BLACK, "ms": 4.5, "mew": 0.8},
    "diverged": {"mfc": "white", "mec": style.PURPLE, "ms": 4.5, "mew": 0.8},
}
CROSSED: dict[str, dict[str, Any]] = {  # what a mark has over it, so that its shape stays
    "lost": {"marker": "x", "color": style.BLACK, "ms": 6, "mew": 0.8},
    "diverged": {"marker": "+", "color": style.PURPLE, "ms": 7, "mew": 0.8},
}
FATES = {
    "learned": "learned fully",
    "not": "not fully",
    "lost": "attention lost",
    "diverged": "diverged",
}
SIDEWAYS, MARGIN = 0.035, 0.09  # seed to seed, and beyond the ends, in the width of a panel
BESIDE_BY = {"o": 0, "s": 3.0}  # seeds, of a series to the right of its values


def draw(runs: Mapping[str, Run]) -> Drawn:
    """A panel for each value changed: rollout accuracy above, the onset of attention below."""
    series = outcomes(runs)
    return Drawn(
        canvas=_picture(runs, series),
        caption=_caption(runs, series),
        closures=tuple(CLOSURES),
        numbers={
            name: {f"{each.value:g}": _numbers(each) for each in row}
            for name, row in series.items()
        },
    )


def _numbers(each: Outcome) -> dict[str, Any]:
    return {
        "rollout_accuracy": each.rollout.tolist(),
        "learned": int(each.learned.sum()),
        "lost": int(each.lost.sum()),
        "diverged": int(each.diverged.sum()),
        "onset_over_theory": [onset if np.isfinite(onset) else None for onset in each.onset],
    }


def _picture(runs: Mapping[str, Run], series: Mapping[str, Sequence[Outcome]]) -> Canvas:
    with style.drawing(7.0, 5.4) as canvas:
        rows = canvas.subplots(4, 4, sharey="row", height_ratios=(2, 1.2, 2, 1.2))
        uppers, lowers = [*rows[0], *rows[2]], [*rows[1], *rows[3]]
        for upper, lower, name in zip(uppers, lowers, PANELS, strict=True):
            main = None if SERIES[name].others else SERIES[name].value_in(runs[MAIN])
            _draw_panel(upper, lower, name, series, main)
        for upper, lower in zip(rows[::2, 0], rows[1::2, 0], strict=True):
            upper.set(ylabel="rollout accuracy", ylim=(-0.06, 1.08), yticks=(0, 0.5, 1))
            lower.set(ylabel="onset\n/ theory", yscale="log", ylim=(0.36, 2.6))
            fix_ticks(lower.yaxis, (0.5, 1, 2))
        fates = {fate for row in series.values() for each in row for fate in each.fates}
        legend(canvas, _legend(fates, _beside(runs)), columns=4, columnspacing=1.2)
    return canvas


def _draw_panel(
    upper: Axes, lower: Axes, name: str, series: Mapping[str, Sequence[Outcome]], main: float | None
) -> None:
    """Draw one series, and the one beside it; main: value of the main training, if it is there."""
    label, ticks = PANELS[name]
    values = [each.value for each in series[name]]
    width = max(values[-1] / values[0], 2)
    narrow = 0.65 if name in BESIDE else 1.0
    apart, margin = width ** (narrow * SIDEWAYS), width**MARGIN
    _draw_seeds(upper, lower, series[name], mark="o", apart=apart)
    if name in BESIDE:
        _draw_seeds(upper, lower, series[BESIDE[name]], mark="s", apart=apart)
    quadratic = [each.quadratic for each in series[name]]
    lower.plot(values, quadratic, color=style.BLACK, ls=DASHES["quadratic"], lw=1.2)
    lower.axhline(1, color=style.BLACK, lw=1.2, zorder=1)
    for axes in (upper, lower):
        axes.set_xscale("log")
        if main is not None:
            axes.axvline(main, color=style.BAND, lw=4, zorder=0)
        axes.set_xlim(values[0] / margin, values[-1] * margin)
        fix_ticks(axes.xaxis, ticks)
    upper.tick_params(labelbottom=False)
    lower.set_xlabel(label)


def _draw_seeds(
    upper: Axes, lower: Axes, row: Sequence[Outcome], *, mark: str, apart: float
) -> None:
    """Draw the outcomes of a series: one mark a seed, side by side, a factor apart."""
    for each in row:
        beside = np.arange(len(each.fates)) - (len(each.fates) - 1) / 2 + BESIDE_BY[mark]
        places = each.value * apart**beside
        for fate, x, accuracy, onset in zip(
            each.fates, places, each.rollout, each.onset, strict=True
        ):
            looks = [{"marker": mark, **MARKS[fate]}]
            for look in [*looks, CROSSED[fate]] if fate in CROSSED else looks:
                upper.plot(x, accuracy, ls="", clip_on=False, **look)
                lower.plot(x, onset, ls="", **look)


def _legend(fates: set[str], beside: Parameters) -> dict[str, dict[str, Any]]:
    points = {
        FATES[fate]: {"ls": "", "marker": "o", **CROSSED.get(fate, look)}
        for fate, look in MARKS.items()
        if fate in fates
    }
    squares = f"squares: $T={beside.T}$, lr {beside.lr:g}"
    plain = {"ls": "", "marker": "s", "mfc": "none", "mec": style.GREY, "ms": 4, "mew": 0.8}
    lines = {
        f"{name} closure": {"color": style.BLACK, "lw": 1.2, "ls": dashes}
        for name, dashes in DASHES.items()
    }
    return {**points, squares: plain, **lines}


def _caption(runs: Mapping[str, Run], series: Mapping[str, Sequence[Outcome]]) -> str:
    main, beside = runs[MAIN], _beside(runs)
    changes = {
        f"{CHANGED[name]} {each.value:g}": each
        for name, row in series.items()
        for each in row
        if SERIES[name].others or each.value != SERIES[name].value_in(main)
    }
    failures = {name: each for name, each in changes.items() if not each.learned.all()}
    successes = [each for name, each in changes.items() if name not in failures]
    onset = average(np.array([np.mean(each.onset) for each in successes]))
    return (
        "What is learned when one value is changed from the main set, "
        f"{style.parameters_line(main.parameters.items())}, {main.training['n_train']} training "
        "sequences (grey bar). Each mark is one seed, after "
        f"{LENGTH:g} times the epochs that the slower closure needs to saturate, but at least "
        f"{SHORTEST} epochs. Learned fully: rollout accuracy of {1 - SATURATED:g} or more. "
        "Attention lost: $R$ ends below its start. Diverged: the loss ends above its start. A seed "
        f"that has not learned fully may merely be late. Squares: at $T={beside.T}$ and lr "
        f"{beside.lr:g}. Below: epoch of the onset of attention ($R=1/2$), over that of the linear "
        f"closure. Dashed: the quadratic closure. Every seed learns fully under {len(successes)} "
        f"of {len(changes)} changes, with the onset at {concise(onset)} times the linear closure's "
        f"epoch on average.{_failures(failures)}"
    )


def _failures(failures: Mapping[str, Outcome]) -> str:
    """Say under which changes how many seeds learn fully, and what becomes of the others."""
    sentences = []
    for name, each in failures.items():
        parts = [f"{each.learned.sum()} of {len(each.learned)} seeds"]
        for fate in ("lost", "diverged"):
            if fate in each.fates:
                parts.append(f"{each.fates.count(fate)} {fate}")
        sentences.append(f"{name} ({', '.join(parts)})")
    return f" The others: {', '.join(sentences)}." if sentences else ""


def _beside(runs: Mapping[str, Run]) -> Parameters:
    """Return the parameters of the first training that is shown beside others."""
    shown = tuple(BESIDE.values())
    return next(run.parameters for name, run in runs.items() if name.startswith(shown))


FIGURE = Figure(
    name="robustness",
    title="what is learned when one hyperparameter is changed from the main set",
    source="Appendices B and J",
    batches=batches,
    draw=draw,
)
