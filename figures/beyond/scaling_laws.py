"""How the onset of attention scales with the sizes: exponents of training, theory, closed form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from figures.drawing import Drawn, Figure, with_errors
from figures.measurements.onset_laws import SERIES, TOLERANCE, Law, batches, laws
from figures.panels import MINUS, fix_ticks, legend, round_steps
from meanfield import style
from meanfield.compare.statistics import Estimate, concise
from meanfield.parameters import Parameters
from meanfield.predict.scaling import Exponent
from meanfield.runs.run import Run

LINES: dict[str, dict[str, Any]] = {
    "linear": {"color": style.BLACK, "lw": 1.4},
    "spectral": {"color": style.VERMILION, "lw": 1.4, "ls": style.DASHED},
    "closed": {"color": style.GREY, "lw": 1.0, "ls": style.DOTTED},
}
LABELS = {
    "linear": "linear closure",
    "spectral": "spectral",
    "closed": "closed form, small margin",
}
POINTS: dict[str, Any] = {"color": style.BLUE, "marker": "o", "ms": 4, "ls": ""}


def draw(runs: Mapping[str, Run]) -> Drawn:
    """A panel a series: points for training, lines for theory, exponents in words."""
    series = laws(runs)
    exponents = {name: law.exponents() for name, law in series.items()}
    return Drawn(
        canvas=_picture(series, exponents, _common(runs)),
        caption=_caption(series, exponents, runs),
        closures=("linear", "spectral"),
        numbers={
            "exponents": with_errors(exponents),
            "late": {
                name: dict(zip(map(str, law.values), law.delay.tolist(), strict=True))
                for name, law in series.items()
            },
        },
    )


def _common(runs: Mapping[str, Run]) -> Parameters:
    """Return the parameters from which every series changes one: those where lr is changed."""
    return next(run.parameters for name, run in runs.items() if name.startswith("lr "))


def _picture(
    series: Mapping[str, Law],
    exponents: Mapping[str, Mapping[str, Exponent]],
    common: Parameters,
) -> Canvas:
    labels = {
        "N = K": "$N=K$",
        "N": f"$N$, $K={common.K}$",
        "K": f"$K$, $N={common.N}$",
        "T": "$T$",
        "d_head": "$d$",
        "lr": "learning rate",
    }
    with style.drawing(7.0, 5.0) as canvas:
        for axes, (name, law) in zip(canvas.subplots(2, 3).ravel(), series.items(), strict=True):
            _draw_law(axes, law, exponents[name])
            fix_ticks(axes.xaxis, [tick for tick in SERIES[name].ticks if tick <= law.values[-1]])
            axes.set_xlabel(labels[name])
            axes.set_ylabel("onset, epochs" if name == "lr" else "onset, lr $\\times$ epoch")
        entries = {LABELS[name]: look for name, look in LINES.items()}
        legend(canvas, {"training": POINTS, **entries}, fontsize=8)
    return canvas


def _draw_law(axes: Axes, law: Law, exponents: Mapping[str, Exponent]) -> None:
    axes.errorbar(law.values, law.trained, law.error, zorder=4, **POINTS)
    for name, look in LINES.items():
        axes.plot(law.values, getattr(law, name), **look)
    falling = law.trained[-1] < law.trained[0]
    axes.text(
        0.97 if falling else 0.03,
        0.97,
        "\n".join(f"{_words(each)}  {by}" for by, each in exponents.items()).replace("-", MINUS),
        transform=axes.transAxes,
        va="top",
        ha="right" if falling else "left",
        fontsize=7,
    )
    lowest = np.nanmin([law.trained / (1 + law.error / law.trained), law.linear, law.closed])
    highest = np.nanmax([law.trained, law.linear, law.spectral])
    ends = lowest / 1.2, highest * (highest / lowest) ** 0.5 * 1.6
    axes.set(xscale="log", yscale="log", ylim=ends)
    fix_ticks(axes.yaxis, round_steps(*ends))


def _words(exponent: Exponent) -> str:
    if exponent.error < 5e-4:
        return f"{exponent.value:.3f}"
    return concise(Estimate(exponent.value, exponent.error, 0))


def _caption(
    series: Mapping[str, Law],
    exponents: Mapping[str, Mapping[str, Exponent]],
    runs: Mapping[str, Run],
) -> str:
    p, seeds = _common(runs), len(next(iter(runs.values())).seeds)
    table = "; ".join(
        f"{name}: " + ", ".join(f"{_words(each)} ({by})" for by, each in row.items())
        for name, row in exponents.items()
    )
    left_out = [f"{law.left_out} ({name})" for name, law in series.items() if law.left_out]
    sentence = f" Left out, without an onset at every value: {', '.join(left_out)}."
    return (
        "How the onset of attention ($R=1/2$) scales with one size, the others at "
        f"$N={p.N}$, $K={p.K}$, $T={p.T}$, head dimension {p.d_head}, RoPE base {p.rope_theta:g}. "
        f"Points: geometric mean over {seeds} seeds with its standard error. Lines: theory, "
        "nothing fitted, the spectral one in gradient steps, the linear one as a flow. Dotted: "
        "(X9b), which neglects the margin. The exponents are over the values shown. For training "
        "an exponent is the mean of each seed's own; for theory its error is the scatter about a "
        f"power law. {table}.{sentence if left_out else ''} {_disagreements(series)}"
    )


def _disagreements(series: Mapping[str, Law]) -> str:
    apart = {name: values for name, law in series.items() if (values := law.disagreements())}
    limit = f"off by more than {100 * TOLERANCE:.0f} %"
    if not apart:
        return f"The linear closure is nowhere {limit}."
    places = (f"{name} = {', '.join(f'{v:g}' for v in row)}" for name, row in apart.items())
    return f"The linear closure is {limit} and two standard errors at {'; '.join(places)}."


FIGURE = Figure(
    name="scaling_laws",
    title="exponents of the onset in N, K, T, d_head and the learning rate",
    source="beyond the paper",
    batches=batches,
    draw=draw,
)
