"""How far from the main hyperparameters training still learns fully (Appendices B and J)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from figures import onset
from figures.batches import QUICK, Batch, batch, lasting, main_batch
from figures.drawing import Drawn, Figure
from meanfield import style
from meanfield.closures import CLOSURES
from meanfield.comparison import average
from meanfield.parameters import Parameters
from meanfield.prediction import SATURATED, predict
from meanfield.runs import Run
from meanfield.words import concise

Array = NDArray[np.float64]

SEEDS = 3
LENGTH = 1.5  # epochs of training, in those to saturation by the slower closure
SHORTEST = 100  # epochs, however large the learning rate
MAIN = "main"

# One value is changed at a time, from the main set (N alone keeps K): for each series of trainings
# what changes, what else differs, and the values.
SERIES: dict[str, tuple[str, dict[str, Any], tuple[Any, ...]]] = {
    "N": ("N", {}, (5, 10, 40)),
    "K": ("K", {}, (5, 10, 40)),
    "T": ("T", {}, (3, 5, 15)),
    "d_head": ("d_head", {}, (2, 4, 8, 16)),
    "d_head faster": ("d_head", {"T": 20, "lr": 20.0}, (2, 4)),
    "power": ("rope_theta", {}, (2.0, 100.0, 1e4)),
    "linear": ("rope_theta", {"rope_spacing": "linear"}, (2.0, 10.0, 1e4)),
    "lr": ("lr", {}, (1.0, 5.0, 20.0, 50.0, 100.0, 200.0, 500.0)),
    "n_train": ("n_train", {}, (16, 64, 256, 1024, 8192)),
}
QUICK_VALUES: dict[str, tuple[Any, ...]] = {
    "N": (20,),
    "K": (20,),
    "T": (3, 8),
    "d_head": (2, 8),
    "d_head faster": (2,),
    "power": (100.0, 1e4),
    "linear": (10.0, 1e4),
    "lr": (20.0, 200.0),
    "n_train": (64, 256),
}

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
LETTERS = {
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
    "lost": {"marker": "x", "color": style.BLACK, "ms": 4.5, "mew": 1.2},
    "diverged": {"marker": "*", "color": style.PURPLE, "ms": 7, "mew": 0},
}
WORDS = {
    "learned": "learned fully",
    "not": "not fully",
    "lost": "attention lost",
    "diverged": "diverged",
}
SIDEWAYS, MARGIN = 0.035, 0.09  # seed to seed, and beyond the ends, in the width of a panel
BESIDE_BY = {"o": 0, "s": 3.0}  # seeds, of a series to the right of its values


def batches(*, quick: bool) -> dict[str, Batch]:
    """The main training, and one for each value of each series, named "series value"."""
    result = {MAIN: main_batch(quick=quick)}
    for series, (field, others, values) in SERIES.items():
        for value in QUICK_VALUES[series] if quick else values:
            changed = {**(QUICK[MAIN] if quick else {}), **others, field: value}
            if quick and "T" in others:
                changed["T"] = 2 * QUICK[MAIN]["T"]
            if field == "N":
                changed["K"] = result[MAIN].parameters.K
            short = batch(seeds=2 if quick else SEEDS, epochs=1, **changed)
            result[f"{series} {value:g}"] = lasting(
                short, horizon(short.parameters), evaluations=30 if quick else 60
            )
    return result


@cache
def horizon(parameters: Parameters) -> int:
    """Return how many epochs to train: some more than either closure needs to saturate."""
    saturated = (predict(parameters, closure=name).saturation_epoch for name in CLOSURES)
    needed = LENGTH * max(epoch for epoch in saturated if epoch is not None)
    return max(SHORTEST, 10 * round(needed / 10))


@dataclass(frozen=True)
class Outcome:
    """What became of one training.

    value: of what was changed. rollout: accuracy of each seed at the end. lost: whether its R ends
    below where it began. diverged: whether its loss ends above where it began, or is no number.
    late: how much later each seed locks on than the linear closure says, as a factor; nan if never.
    quadratic: the same of the quadratic closure.
    """

    value: float
    rollout: Array
    lost: NDArray[np.bool_]
    diverged: NDArray[np.bool_]
    late: Array
    quadratic: float

    @property
    def learned(self) -> NDArray[np.bool_]:
        """Which seeds have learned fully."""
        return np.asarray(self.rollout >= 1 - SATURATED)

    @property
    def kinds(self) -> list[str]:
        """What to call the fate of each seed."""
        fates = {"diverged": self.diverged, "lost": self.lost, "learned": self.learned}
        return np.select(list(fates.values()), list(fates), "not").tolist()


def outcome(run: Run, value: float) -> Outcome:
    """Return what became of the first seeds of a training."""
    p, loss, R = run.parameters, run.loss[:SEEDS], run.R[:SEEDS]
    linear, quadratic = (onset.predicted(p, name) for name in CLOSURES)
    return Outcome(
        value=value,
        rollout=np.nan_to_num(run.rollout_accuracy[:SEEDS, -1], nan=1 / p.N),
        lost=R[:, -1] < R[:, 0],
        diverged=~(loss[:, -1] <= loss[:, 0]),
        late=onset.measured(run)[:SEEDS] / linear,
        quadratic=quadratic / linear,
    )


def outcomes(runs: Mapping[str, Run]) -> dict[str, list[Outcome]]:
    """Return what became of the trainings of each series, in the order of the value changed.

    The main training is one of a series that changes nothing else.
    """
    main = runs[MAIN]
    result = {}
    for series, (field, others, _) in SERIES.items():
        found = [
            outcome(run, _value(run, field))
            for name, run in runs.items()
            if name.rpartition(" ")[0] == series
        ]
        if not others:
            found.append(outcome(main, _value(main, field)))
        result[series] = sorted(found, key=lambda each: each.value)
    return result


def _value(run: Run, field: str) -> float:
    return float({**dict(run.parameters.items()), **run.training}[field])


def draw(runs: Mapping[str, Run]) -> Drawn:
    """A panel for each value changed: rollout accuracy above, when attention locks on below."""
    found = outcomes(runs)
    with style.drawing(7.0, 5.2) as canvas:
        rows = canvas.subplots(4, 4, sharey="row", height_ratios=(2, 1.2, 2, 1.2))
        uppers, lowers = [*rows[0], *rows[2]], [*rows[1], *rows[3]]
        for upper, lower, (series, (label, ticks)) in zip(
            uppers, lowers, PANELS.items(), strict=True
        ):
            values = [each.value for each in found[series]]
            narrow = 0.65 if series in BESIDE else 1.0
            wide = max(values[-1] / values[0], 2)
            apart, margin = wide ** (narrow * SIDEWAYS), wide**MARGIN
            _panel(upper, lower, found[series], mark="o", apart=apart)
            if series in BESIDE:
                _panel(upper, lower, found[BESIDE[series]], mark="s", apart=apart)
                p = _beside(runs)
                upper.annotate(f"■ $T={p.T}$, lr {p.lr:g}", (0.98, 0.45), ha="right", size=8,
                               color=style.BLUE, xycoords="axes fraction")  # fmt: skip
            lower.axhline(1, color=style.BLACK, lw=1.2, zorder=1)
            for axes in (upper, lower):
                axes.set_xscale("log")
                if not SERIES[series][1]:
                    main = _value(runs[MAIN], SERIES[series][0])
                    axes.axvline(main, color=style.BAND, lw=4, zorder=0)
                axes.set_xlim(values[0] / margin, values[-1] * margin)
                axes.xaxis.set_major_locator(FixedLocator(ticks))
                axes.xaxis.set_minor_locator(NullLocator())
                axes.xaxis.set_major_formatter("{x:g}")
            upper.tick_params(labelbottom=False)
            lower.set_xlabel(label)
        for upper, lower in zip(rows[::2, 0], rows[1::2, 0], strict=True):
            upper.set(ylabel="rollout accuracy", ylim=(-0.06, 1.08), yticks=(0, 0.5, 1))
            lower.set(ylabel="onset\n/ theory", yscale="log", ylim=(0.36, 2.6))
            lower.yaxis.set_major_locator(FixedLocator((0.5, 1, 2)))
            lower.yaxis.set_major_formatter("{x:g}")
            lower.yaxis.set_minor_locator(NullLocator())
        present = {kind for row in found.values() for each in row for kind in each.kinds}
        canvas.legend(
            handles=_legend(present), loc="outside upper center", ncols=5, columnspacing=1.2
        )
    return Drawn(
        canvas=canvas,
        caption=_caption(runs, found),
        closures=tuple(CLOSURES),
        numbers={
            series: {
                f"{each.value:g}": {
                    "rollout_accuracy": each.rollout.tolist(),
                    "learned": int(each.learned.sum()),
                    "lost": int(each.lost.sum()),
                    "diverged": int(each.diverged.sum()),
                    "onset_over_theory": [
                        late if np.isfinite(late) else None for late in each.late
                    ],
                }
                for each in row
            }
            for series, row in found.items()
        },
    )


def _panel(upper: Axes, lower: Axes, found: Sequence[Outcome], *, mark: str, apart: float) -> None:
    """Draw the outcomes of a series: one mark a seed, side by side, a factor apart."""
    for each in found:
        beside = np.arange(len(each.kinds)) - (len(each.kinds) - 1) / 2 + BESIDE_BY[mark]
        places = each.value * apart**beside
        for kind, x, accuracy, late in zip(
            each.kinds, places, each.rollout, each.late, strict=True
        ):
            drawn = {"marker": mark, **MARKS[kind]}
            upper.plot(x, accuracy, ls="", clip_on=False, **drawn)
            lower.plot(x, late, ls="", **drawn)
    if mark == "o":
        values = [each.value for each in found]
        quadratic = [each.quadratic for each in found]
        lower.plot(values, quadratic, color=style.BLACK, ls=style.DASHES["quadratic"], lw=1.2)


def _legend(present: set[str]) -> list[Line2D]:
    points = [
        Line2D([], [], ls="", label=WORDS[kind], **{"marker": "o", **drawn})
        for kind, drawn in MARKS.items()
        if kind in present
    ]
    lines = [
        Line2D([], [], color=style.BLACK, lw=1.2, ls=dashes, label=f"{name} closure")
        for name, dashes in style.DASHES.items()
    ]
    return [*points, *lines]


def _caption(runs: Mapping[str, Run], found: Mapping[str, Sequence[Outcome]]) -> str:
    main = runs[MAIN]
    changed = {
        f"{LETTERS[series]} {each.value:g}": each
        for series, row in found.items()
        for each in row
        if SERIES[series][1] or each.value != _value(main, SERIES[series][0])
    }
    failing = {name: each for name, each in changed.items() if not each.learned.all()}
    told = ", ".join(
        f"{name} ({each.learned.sum()} of {len(each.learned)} seeds"
        + "".join(
            f", {each.kinds.count(kind)} {kind}"
            for kind in ("lost", "diverged")
            if kind in each.kinds
        )
        + ")"
        for name, each in failing.items()
    )
    beside = _beside(runs)
    late = np.array([np.mean(each.late) for name, each in changed.items() if name not in failing])
    return (
        "What is learned when one value is changed from the main set, "
        f"{style.parameters_line(main.parameters.items())}, {main.training['n_train']} training "
        f"sequences (grey bar). A mark a seed, at the end of {LENGTH:g} times the epochs that the "
        f"slower closure needs to saturate, but {SHORTEST} epochs at least. Learned fully: "
        f"rollout accuracy of {1 - SATURATED:g} or more; attention lost: $R$ ends below its "
        "start; diverged: the loss ends above its start; a seed not there may merely be late. "
        f"Squares: at $T={beside.T}$ and lr {beside.lr:g}. Below: epoch at which attention locks "
        "on ($R=1/2$), over that of the linear closure; dashed: the "
        f"quadratic closure. Of {len(changed)} changes {len(changed) - len(failing)} are learned "
        "fully by every seed, locking on at "
        f"{concise(average(late))} times the linear closure's epoch on average; not: {told}."
    )


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
