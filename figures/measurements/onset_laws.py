"""How the onset of attention scales with one size: exponents of training, theory, closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from figures.batches import Batch
from figures.measurements import onset_epochs
from meanfield.compare.statistics import average
from meanfield.errors import ParameterError
from meanfield.parameters import Parameters
from meanfield.predict import scaling
from meanfield.predict.prediction import predict
from meanfield.predict.scaling import Exponent
from meanfield.runs.run import Run
from meanfield.theory import DEFAULT, Theory

Array = NDArray[np.float64]

TOLERANCE = 0.1  # beyond it the linear closure and training disagree
SEEDS, LASTING = 8, 4.0  # a late seed may need several times the predicted onset
QUICK_MOST = {"N": 12, "K": 12, "T": 6}  # sizes of small models at most


@dataclass(frozen=True, kw_only=True)
class Series:
    """The values of one size; the rest is N = K = 20, T = 10, d = 64, base 10.

    quick: values of small models. ticks: of the axis.
    """

    values: tuple[Any, ...]
    quick: tuple[Any, ...]
    ticks: tuple[float, ...]

    def settings(self, name: str, value: Any) -> dict[str, Any]:
        """Return the settings of one point; "N = K" changes both."""
        changed = {"N": value, "K": value} if name == "N = K" else {name: value}
        return {"N": 20, "K": 20, "T": 10, **changed}


SERIES = {
    "N = K": Series(values=(8, 12, 20, 32, 50), quick=(5, 8, 12), ticks=(5, 10, 20, 50)),
    "N": Series(values=(8, 12, 20, 32, 50), quick=(5, 8, 12), ticks=(5, 10, 20, 50)),
    "K": Series(values=(8, 12, 20, 32, 50), quick=(5, 8, 12), ticks=(5, 10, 20, 50)),
    "T": Series(values=(4, 6, 10, 14, 20), quick=(3, 4, 6), ticks=(3, 4, 6, 10, 20)),
    "d_head": Series(values=(4, 8, 16, 64, 256), quick=(4, 16, 64), ticks=(4, 16, 64, 256)),
    "lr": Series(values=(1.0, 2.0, 4.0, 8.0, 16.0), quick=(4.0, 8.0, 16.0), ticks=(1, 2, 5, 10)),
}


def batches(*, quick: bool) -> dict[str, Batch]:
    """One training for each value of each series, named "series value"."""
    result = {}
    for name, series in SERIES.items():
        for value in series.quick if quick else series.values:
            settings = series.settings(name, value)
            if quick:
                settings |= {size: min(settings[size], most) for size, most in QUICK_MOST.items()}
            result[f"{name} {value:g}"] = onset_epochs.batch_past_onset(
                settings, quick=quick, seeds=SEEDS, beyond=LASTING
            )
    return result


@dataclass(frozen=True)
class Law:
    """One series measured: values (P,), and onsets in training time, or in epochs for lr.

    seeds: onset of each seed, (B, P), of those that have one at every value.
    left_out: how many seeds have not.
    linear, closed: theory's. spectral: that of a typical seed in gradient steps, nan where there
        is none.
    """

    values: Array
    seeds: Array
    left_out: int
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

    @property
    def delay(self) -> Array:
        """How much later the linear closure puts the onset, relative, (P,)."""
        return np.asarray(self.linear / self.trained - 1)

    def exponents(self) -> dict[str, Exponent]:
        """Return the exponents over these very values.

        Training's is the mean over seeds of each seed's own, as the points share their seeds; its
        error is the standard error of that mean. Theory's errors are scatter about a power law.
        """
        each = average(np.array([scaling.fit(self.values, seed).value for seed in self.seeds]))
        result = {"training": Exponent(each.value, each.error)}
        for name in ("linear", "spectral", "closed"):
            onsets = getattr(self, name)
            known = np.isfinite(onsets)
            if known.sum() >= 3:
                result[name] = scaling.fit(self.values[known], onsets[known])
        return result

    def disagreements(self) -> list[float]:
        """Return the values where the linear closure is off by more than TOLERANCE, and noise."""
        off = np.abs(self.linear - self.trained)
        apart = (off > TOLERANCE * self.trained) & (off > 2 * self.error)
        return list(self.values[apart].tolist())


def laws(runs: Mapping[str, Run]) -> dict[str, Law]:
    """Return each series, from its run files."""
    return {name: law(runs_of(runs, name), in_epochs=name == "lr") for name in SERIES}


def runs_of(runs: Mapping[str, Run], name: str) -> dict[float, Run]:
    """Return the trainings of one series, by the value changed."""
    keys = {key: key.rsplit(" ", 1) for key in runs}
    return {float(value): runs[key] for key, (which, value) in keys.items() if which == name}


def law(runs: Mapping[float, Run], *, in_epochs: bool = False) -> Law:
    """Return one series measured; runs: by the value changed. Onsets are in training time."""
    rows, of_seeds = [], []
    for value, run in runs.items():
        p = run.parameters
        unit = 1.0 if in_epochs else p.lr
        of_seeds.append(unit * onset_epochs.measured_epochs(run))
        theory = (
            onset_epochs.predicted_epoch(p, "linear"),
            spectral_epoch(p),
            scaling.small_margin_onset(p),
        )
        rows.append((value, *(unit * each for each in theory)))
    values, linear, spectral, closed = np.array(rows).T
    onsets = np.transpose(of_seeds)
    kept = np.all(onsets > 0, axis=1)  # nan never is
    return Law(values, onsets[kept], int(np.sum(~kept)), linear, spectral, closed)


def spectral_epoch(parameters: Parameters) -> float:
    """Return the epoch of a typical seed's onset in gradient steps of this size; nan if none."""
    try:
        epoch = predict(parameters, Theory.parse(DEFAULT, steps=True), points=2).onset_epoch
    except ParameterError:
        return np.nan
    return np.nan if epoch is None else epoch
