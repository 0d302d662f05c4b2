"""Early training in closed form, (78)-(81), held against trained seeds from their own starts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from figures.measurements.onset_epochs import first_passage
from meanfield import generated
from meanfield.attention import closures
from meanfield.compare.comparison import compare
from meanfield.compare.statistics import Estimate, jackknife, lateness
from meanfield.parameters import Parameters
from meanfield.runs.measured import Measured, of_run
from meanfield.runs.run import Run

Array = NDArray[np.float64]

TOLERANCE = 0.1  # a closed form holds as long as it is off by less
NAMES = ("Q", "S", "R")


@dataclass(frozen=True, kw_only=True, eq=False)
class EarlyTraining:
    """Curves of each seed from the start to the onset of the mean, (B, E) each, by Q, S and R.

    epoch: (E,). time_scale: tau of (81c), in epochs.
    simulated: as trained. closed: (78a), (78b) and (81b). equations: (15), linear closure, solved
        from the same starts.
    margin: (11) minus (12) at the measured order parameters, averaged over seeds, (E,).
    onset_delay: how much later (81b) puts the onset, relative, of the mean; None if never.
    """

    measured: Measured
    epoch: Array
    time_scale: float
    simulated: Mapping[str, Array]
    closed: Mapping[str, Array]
    equations: Mapping[str, Array]
    margin: Array
    onset_delay: Estimate | None

    def error(self, name: str) -> Array:
        """Return closed form over simulation less one, (B, E - 1), from the second epoch on.

        Of what Q and S have gained since the start, and of R itself. The mean over seeds is that of
        the curves averaged over seeds, and its standard error is that of this ratio.
        """
        ours, theirs = _gained(name, self.closed[name]), _gained(name, self.simulated[name])
        ratio = ours.mean(0) / theirs.mean(0)
        return np.asarray(ratio - 1 + (ours - ratio * theirs) / theirs.mean(0))

    def departure(self, name: str) -> Departure | None:
        """Return where a closed form is first off by TOLERANCE; None if not before the onset."""
        epoch = self.epoch[1:]
        closed, simulated, equations = (
            _gained(name, curves[name]) for curves in (self.closed, self.simulated, self.equations)
        )

        def first(means: Array) -> float:
            off = np.abs(means[0] / means[1] - 1)
            return float(np.maximum(first_passage(epoch, off, TOLERANCE), epoch[0]))

        when = jackknife(first, np.stack([closed, simulated], axis=1))
        if math.isnan(when.value):
            return None
        R, N = self.simulated["R"].mean(0), self.measured.parameters.N
        R_there, margin = (
            float(np.interp(when.value, self.epoch, curve)) for curve in (R, self.margin)
        )
        g, guessing = (float(generated.error_signal(each, N)) for each in (margin, 0.0))
        error = equations.mean(0) / simulated.mean(0) - 1
        return Departure(
            epoch=when,
            from_the_start=when.value == epoch[0],
            R=R_there,
            margin=margin,
            growth_of_R=R_there / float(R[0]) - 1,
            fall_of_error_signal=1 - g / guessing,
            equations_error=float(np.interp(when.value, epoch, error)),
        )


@dataclass(frozen=True, kw_only=True)
class Departure:
    """Where a closed form is first off by TOLERANCE, with the mean over seeds there.

    epoch: with its standard error over seeds. from_the_start: whether it is the first one measured
    after the start. R, margin: there. growth_of_R: relative to the start. fall_of_error_signal: of
    g = 1 - p_correct, relative to guessing. equations_error: of (15).
    """

    epoch: Estimate
    from_the_start: bool
    R: float
    margin: float
    growth_of_R: float
    fall_of_error_signal: float
    equations_error: float

    @property
    def numbers(self) -> dict[str, Any]:
        """Everything but whether it is from the start."""
        return {name: each for name, each in vars(self).items() if name != "from_the_start"}

    @property
    def plateau_fails_first(self) -> bool:
        """Whether R has moved further from its plateau than g from guessing."""
        return self.growth_of_R > self.fall_of_error_signal


def early_training(run: Run) -> EarlyTraining:
    """Return a training up to the onset of its mean, with the closed forms from each seed's start.

    Seeds that diverged are left out.
    """
    measured = of_run(run, "the run")
    p, epoch = measured.parameters, measured.epoch
    simulated = {name: measured.curves[name] for name in NAMES}
    starts = {name: curve[:, :1] for name, curve in simulated.items()}
    closed = closed_forms(p, epoch, starts)
    equations = compare(measured, "linear", flow=True).curves
    C = measured.C[:, None]
    margin = generated.margin(simulated["R"], simulated["Q"], simulated["S"], C, p.N, p.K)
    last = before_onset(simulated["R"].mean(0))
    return EarlyTraining(
        measured=measured,
        epoch=epoch[:last],
        time_scale=time_scale(p),
        simulated={name: curve[:, :last] for name, curve in simulated.items()},
        closed={name: curve[:, :last] for name, curve in closed.items()},
        equations={name: equations[name][:, :last] for name in NAMES},
        margin=np.asarray(margin).mean(0)[:last],
        onset_delay=lateness(epoch, closed["R"], epoch, simulated["R"], logit).mean,
    )


def time_scale(parameters: Parameters) -> float:
    """Return tau (81c) in epochs, with the linear closure's gamma."""
    p = parameters
    rate = closures.rate(closures.LINEAR, p)
    return float(generated.onset_time_scale(p.N, p.K, p.T, rate)) / p.lr


def closed_forms(
    parameters: Parameters, epoch: Array, starts: Mapping[str, Array]
) -> dict[str, Array]:
    """Return (78a), (78b) and (81b) of each seed, (B, E); starts: Q, S and R at epoch 0, (B, 1).

    (81b) begins at 1/T, so a seed that begins at R has 1/R in the place of T. The time scale has
    the mean start 1/T, with which (79) has the gap Q - S grow.
    """
    p, t = parameters, parameters.lr * epoch
    tau = p.lr * time_scale(p)
    return {
        "Q": np.asarray(generated.early_Q(t, starts["Q"], p.N, p.K, p.T)),
        "S": np.asarray(generated.early_S(t, starts["S"], p.N, p.K, p.T)),
        "R": np.asarray(generated.early_R(t, tau, 1 / starts["R"])),
    }


def before_onset(R: Array) -> int:
    """Return how many values of R (E,) come up to and with the first of 1/2 or more; else all."""
    above = np.flatnonzero(R >= 0.5)
    return int(above[0]) + 1 if above.size else len(R)


def _gained(name: str, curves: Array) -> Array:
    """Return what Q or S has gained since the start, or R itself, from the second epoch on."""
    return (curves if name == "R" else curves - curves[:, :1])[:, 1:]
