"""How the onset of attention scales with the sizes: exponents of training, theory, closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from figures import onset
from figures.batches import Batch
from figures.drawing import Drawn, Figure, with_error
from meanfield import scaling, style
from meanfield.comparison import Estimate, average
from meanfield.parameters import ParameterError, Parameters
from meanfield.prediction import predict
from meanfield.runs import Run
from meanfield.scaling import Exponent
from meanfield.words import concise

Array = NDArray[np.float64]

APART = 0.1  # from here on theory and training part
SEEDS, LASTING = 8, 4.0  # a late seed may need several times the predicted onset


@dataclass(frozen=True, kw_only=True)
class Series:
    """What changes, at which values; the rest is N = K = 20, T = 10, d = 64, base 10."""

    label: str
    values: tuple[Any, ...]
    quick: tuple[Any, ...]
    ticks: tuple[float, ...]

    def settings(self, name: str, value: Any) -> dict[str, Any]:
        """Return the settings of one point; "N = K" changes both."""
        changed = {"N": value, "K": value} if name == "N = K" else {name: value}
        return {"N": 20, "K": 20, "T": 10, **changed}


SERIES = {
    "N = K": Series(
        label="$N=K$", values=(8, 12, 20, 32, 50), quick=(5, 8, 12), ticks=(10, 20, 50)
    ),
    "N": Series(
        label="$N$, $K=20$", values=(8, 12, 20, 32, 50), quick=(5, 8, 12), ticks=(10, 20, 50)
    ),
    "K": Series(
        label="$K$, $N=20$", values=(8, 12, 20, 32, 50), quick=(5, 8, 12), ticks=(10, 20, 50)
    ),
    "T": Series(label="$T$", values=(4, 6, 10, 14, 20), quick=(3, 4, 6), ticks=(4, 10, 20)),
    "d_head": Series(
        label="$d$", values=(4, 8, 16, 64, 256), quick=(4, 16, 64), ticks=(4, 16, 64, 256)
    ),
    "lr": Series(label="learning rate", values=(1.0, 2.0, 4.0, 8.0, 16.0), quick=(4.0, 8.0, 16.0),
                 ticks=(1, 2, 5, 10)),
}  # fmt: skip


def batches(*, quick: bool) -> dict[str, Batch]:
    """One training for each value of each series, named "series value"."""
    result = {}
    for name, series in SERIES.items():
        for value in series.quick if quick else series.values:
            settings = series.settings(name, value)
            if quick:
                settings |= {"N": min(settings["N"], 12), "K": min(settings["K"], 12)}
                settings["T"] = min(settings["T"], 6)
            result[f"{name} {value:g}"] = onset.locking_batch(
                settings, quick=quick, seeds=SEEDS, beyond=LASTING
            )
    return result


@dataclass(frozen=True)
class Law:
    """One series measured: values (P,), and onsets in training time, or in epochs for lr.

    seeds: that of each seed, (B, P), of those that lock on at every value; lost: how many do not.
    linear, closed: theory's. spectral: that of a typical seed in gradient steps, nan where there
        is none.
    """

    values: Array
    seeds: Array
    lost: int
    linear: Array
    spectral: Array
    closed: Array

    @property
    def trained(self) -> Array:
        """Geometric mean over seeds, (P,)."""
        return np.asarray(np.exp(np.mean(np.log(self.seeds), axis=0)))

    @property
    def error(self) -> Array:
        """Its standard error, (P,)."""
        spread = np.std(np.log(self.seeds), axis=0, ddof=1) / np.sqrt(len(self.seeds))
        return self.trained * spread

    def exponents(self) -> dict[str, Exponent]:
        """Return the exponents over these very values.

        Training's is the mean over seeds of each seed's own, as the points share their seeds; its
        error is the standard error of that mean. Theory's errors are scatter about a power law.
        """
        each = average(np.array([scaling.fit(self.values, seed).value for seed in self.seeds]))
        found = {"training": Exponent(each.value, each.error)}
        for name in ("linear", "spectral", "closed"):
            onsets = getattr(self, name)
            known = np.isfinite(onsets)
            if known.sum() >= 3:
                found[name] = scaling.fit(self.values[known], onsets[known])
        return found

    def parts(self) -> list[float]:
        """Return the values at which the linear closure is off by more than APART, and noise."""
        off = np.abs(self.linear - self.trained)
        apart = (off > APART * self.trained) & (off > 2 * self.error)
        return list(self.values[apart].tolist())


def laws(runs: Mapping[str, Run]) -> dict[str, Law]:
    """Return each series, from its run files."""
    result = {}
    for name in SERIES:
        rows, of_seeds = [], []
        for key, run in runs.items():
            which, value = key.rsplit(" ", 1)
            if which != name:
                continue
            p = run.parameters
            unit = 1.0 if name == "lr" else p.lr
            of_seeds.append(unit * onset.measured(run))
            theory = (onset.predicted(p, "linear"), _spectral(p), scaling.small_margin_onset(p))
            rows.append((float(value), *(unit * each for each in theory)))
        values, linear, spectral, closed = np.array(rows).T
        onsets = np.transpose(of_seeds)
        kept = np.all(onsets > 0, axis=1)  # nan never is
        result[name] = Law(values, onsets[kept], int(np.sum(~kept)), linear, spectral, closed)
    return result


def _spectral(parameters: Parameters) -> float:
    """Return the epoch at which a typical seed locks on in gradient steps of this size."""
    try:
        found = predict(parameters, points=2, lr_correction=True).onset_epoch
    except ParameterError:
        return np.nan
    return np.nan if found is None else found


def draw(runs: Mapping[str, Run]) -> Drawn:
    """A panel a series: points for training, lines for theory, exponents in words."""
    found = laws(runs)
    exponents = {name: law.exponents() for name, law in found.items()}
    with style.drawing(7.0, 5.0) as canvas:
        for axes, (name, law) in zip(canvas.subplots(2, 3).ravel(), found.items(), strict=True):
            _panel(axes, SERIES[name], law, exponents[name], name)
        lines, labels = canvas.axes[0].get_legend_handles_labels()
        canvas.legend(lines, labels, loc="outside upper center", ncols=4, fontsize=8)
    return Drawn(
        canvas=canvas,
        caption=_caption(found, exponents, runs),
        closures=("linear", "spectral"),
        numbers={
            "exponents": {
                name: {by: with_error(_estimate(each)) for by, each in laws_.items()}
                for name, laws_ in exponents.items()
            },
            "late": {
                name: dict(
                    zip(map(str, law.values), (law.linear / law.trained - 1).tolist(), strict=True)
                )
                for name, law in found.items()
            },
        },
    )


def _panel(
    axes: Axes, series: Series, law: Law, exponents: Mapping[str, Exponent], name: str
) -> None:
    axes.errorbar(law.values, law.trained, law.error, fmt="o", ms=4, color=style.BLUE, zorder=4,
                  label="training")  # fmt: skip
    axes.plot(law.values, law.linear, color=style.BLACK, lw=1.4, label="linear closure")
    axes.plot(law.values, law.spectral, color=style.VERMILION, lw=1.4, ls=style.DASHED,
              label="spectral")  # fmt: skip
    axes.plot(law.values, law.closed, color=style.GREY, lw=1.0, ls=style.DOTTED,
              label="closed form, small margin")  # fmt: skip
    told = [f"{_words(each)}  {by}" for by, each in exponents.items()]
    falling = law.trained[-1] < law.trained[0]
    axes.text(0.97 if falling else 0.03, 0.97, "\n".join(told), transform=axes.transAxes, va="top",
              ha="right" if falling else "left", fontsize=7)  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel=series.label)
    lowest = np.nanmin([law.trained, law.linear, law.closed])
    highest = np.nanmax([law.trained, law.linear, law.spectral])
    axes.set_ylim(lowest / 1.2, highest * (highest / lowest) ** 0.5 * 1.6)
    axes.xaxis.set_major_locator(FixedLocator(series.ticks))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    ticks = [s * 10.0**p for p in range(-2, 6) for s in (1, 2, 5)]
    axes.yaxis.set_major_locator(FixedLocator([t for t in ticks if lowest / 1.2 < t]))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("onset, epochs" if name == "lr" else "onset, lr $\\times$ epoch")


def _estimate(exponent: Exponent) -> Estimate:
    return Estimate(exponent.value, exponent.error, 0)


def _words(exponent: Exponent) -> str:
    estimate = _estimate(exponent)
    if exponent.error < 5e-4:
        return f"{exponent.value:.3f}"
    return concise(estimate)


def _caption(
    found: Mapping[str, Law],
    exponents: Mapping[str, Mapping[str, Exponent]],
    runs: Mapping[str, Run],
) -> str:
    seeds = len(next(iter(runs.values())).seeds)
    told, parting = [], []
    left_out = [f"{law.lost} ({name})" for name, law in found.items() if law.lost]
    lost = f"Left out as not locking on everywhere: {', '.join(left_out)}. " if left_out else ""
    for name, by in exponents.items():
        told.append(f"{name}: " + ", ".join(f"{_words(each)} ({who})" for who, each in by.items()))
        if values := found[name].parts():
            parting.append(f"{name} = {', '.join(f'{value:g}' for value in values)}")
    return (
        "How the onset of attention ($R=1/2$) scales with one size, the others at $N=K=20$, "
        f"$T=10$, head dimension 64, RoPE base 10. Points: geometric mean over {seeds} seeds with "
        "its standard error; lines: theory, nothing fitted, the spectral one in gradient steps, "
        "the linear one as a flow; dotted: (X9b), which leaves the margin out. Exponents over the "
        "values shown: for training the mean of each seed's own, for theory with the scatter "
        "about a power law as error: "
        + "; ".join(told)
        + ". "
        + lost
        + (
            f"The linear closure is off by more than {100 * APART:.0f} % and two standard errors "
            f"at {'; '.join(parting)}."
            if parting
            else f"The linear closure is nowhere off by more than {100 * APART:.0f} %."
        )
    )


FIGURE = Figure(
    name="scaling_laws",
    title="exponents of the onset in N, K, T, d_head and the learning rate",
    source="beyond the paper",
    batches=batches,
    draw=draw,
)
