"""Theory against training: how far the curves are apart, with standard errors over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from meanfield.attention import closures
from meanfield.errors import ParameterError
from meanfield.predict.prediction import predict
from meanfield.predict.trajectory import Trajectory
from meanfield.runs.measured import CURVES, Measured

Array = NDArray[np.float64]

STARTS = ("measured", "nominal")
FLUCTUATIONS = "+fluctuations"
# What can be held against training: the closures, and what does without one, this also with the
# fluctuations of the logits in the loss and sampled logits for the accuracies.
THEORIES = (
    *closures.CLOSURES,
    *(f"{name}{more}" for name in closures.ATTENTION for more in ("", FLUCTUATIONS)),
)
# An event is a curve's first passage through 1/2, found between two epochs on a scale on which the
# curve is almost straight there.
EVENTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "onset_epoch": ("R", logit),
    "rollout_half_epoch": ("rollout_accuracy", np.asarray),
}
BEYOND = 2  # runs' lengths in which theory may reach what training has reached within one


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error over seeds (nan for a single one), and how many count."""

    value: float
    error: float
    seeds: int


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """Theory minus training of one quantity, over all epochs.

    rms, largest: root mean square and largest size. seed: of a seed's own curve, averaged over
    seeds; mean: of the curve averaged over seeds.
    """

    rms_seed: Estimate
    rms_mean: Estimate
    largest_seed: Estimate
    largest_mean: Estimate


@dataclass(frozen=True, kw_only=True)
class Lateness:
    """How much later an event comes in theory than in training, relative: 0.1 is 10 % late.

    seed: of each seed's own event, averaged over the seeds whose event falls within both curves;
    spread: its standard deviation over them; mean: of the event of the curve averaged over seeds.
    None where no event can be compared.
    """

    seed: Estimate | None
    spread: float
    mean: Estimate | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """One theory, from one kind of start, against the measured curves.

    theory: one of THEORIES. start: "measured", of each seed from its own R, Q, S and C, or
    "nominal". lr_correction: whether the theory followed gradient steps, or gradient flow.
    curves: of the theory at the measured epochs, (B, E) each, by name.
    """

    theory: str
    start: str
    lr_correction: bool
    curves: dict[str, Array]
    deviations: dict[str, Deviation]
    lateness: dict[str, Lateness]


def compare(
    measured: Measured,
    *,
    theory: str = "linear",
    start: str = "measured",
    lr_correction: bool = False,
) -> Comparison:
    """Hold a theory against what was measured.

    theory: one of THEORIES. start: "measured", or "nominal" where the theory has a nominal start.
    lr_correction: follow gradient steps instead of gradient flow. Raises ParameterError on another
    theory or start, or if a file does not hold what the theory starts from; and what ``predict``
    raises.
    """
    runs = predictions(measured, theory=theory, start=start, lr_correction=lr_correction)
    E, B = len(measured.epoch), len(measured.seeds)
    whole = {
        name: np.broadcast_to([getattr(run, name) for run in runs], (B, len(runs[0].epoch)))
        for name in measured.curves
    }
    curves = {name: curve[:, :E] for name, curve in whole.items()}
    return Comparison(
        theory=theory,
        start=start,
        lr_correction=lr_correction,
        curves=curves,
        deviations={
            name: deviation(curves[name] - measured.curves[name]) for name in measured.curves
        },
        lateness={
            event: lateness(
                runs[0].epoch, whole[name], measured.epoch, measured.curves[name], scale
            )
            for event, (name, scale) in EVENTS.items()
            if name in measured.curves
        },
    )


def starts_of(theory: str) -> tuple[str, ...]:
    """Return the starts a theory can have; ParameterError if there is no such theory."""
    if theory not in THEORIES:
        raise ParameterError(f"the theory must be one of {', '.join(THEORIES)}, not {theory!r}")
    return STARTS[:1] if theory.startswith(closures.PER_SEED) else STARTS


def predictions(
    measured: Measured, *, theory: str, start: str, lr_correction: bool
) -> list[Trajectory]:
    """Return the theory of each seed, or the one of all from the nominal start.

    The epochs are the measured ones, and go on beyond them at the same distance, so that an event
    which training reaches earlier is not lost.
    """
    if start not in starts_of(theory):
        raise ParameterError(
            f"start must be {' or '.join(starts_of(theory))} with {theory}, not {start!r}"
        )
    last, step = measured.epoch[-1], np.diff(measured.epoch).max(initial=1.0)
    further = np.arange(last + step, BEYOND * last, step)
    epochs = np.concatenate([measured.epoch, further])
    closure = theory.removesuffix(FLUCTUATIONS)
    fluctuations = closure != theory
    options: dict[str, Any] = {"epochs": epochs, "lr_correction": lr_correction}
    options |= {"fluctuations": fluctuations, "variances": "sampled" if fluctuations else "theory"}
    starts: list[dict[str, Any]] = [{}]
    if start == "measured":
        starts = [measured.start(seed, closure, fluctuations) for seed in range(measured.count)]
    return [predict(measured.parameters, closure=closure, **options, **each) for each in starts]


def deviation(difference: Array) -> Deviation:
    """Return how far curves are apart; difference: theory minus training, (B, E)."""

    def rms(curves: Array) -> Array:
        return np.asarray(np.sqrt(np.mean(curves**2, axis=-1)))

    def largest(curves: Array) -> Array:
        return np.asarray(np.max(np.abs(curves), axis=-1))

    return Deviation(
        rms_seed=average(rms(difference)),
        rms_mean=jackknife(rms, difference),
        largest_seed=average(largest(difference)),
        largest_mean=jackknife(largest, difference),
    )


def lateness(
    theory_epoch: Array,
    predicted: Array,
    measured_epoch: Array,
    measured: Array,
    scale: Callable[[Any], Any] = np.asarray,
) -> Lateness:
    """Return how late theory is; predicted, measured: the curve of each seed, (B, epochs)."""

    def late(predicted: Array, measured: Array) -> float:
        theirs = first_half(measured_epoch, measured, scale)
        ours = first_half(theory_epoch, predicted, scale)
        return ours / theirs - 1 if theirs > 0 and ours > 0 else math.nan

    each = np.array([late(*pair) for pair in zip(predicted, measured, strict=True)])
    each = each[np.isfinite(each)]
    both = np.concatenate([predicted, measured], axis=1)
    split = predicted.shape[1]
    mean = jackknife(lambda curves: late(curves[:split], curves[split:]), both)
    return Lateness(
        seed=average(each) if each.size else None,
        spread=float(np.std(each, ddof=1)) if each.size > 1 else math.nan,
        mean=mean if math.isfinite(mean.value) else None,
    )


def first_half(epoch: Array, curve: Array, scale: Callable[[Any], Any] = np.asarray) -> float:
    """Return where a curve first passes 1/2, straight between epochs on ``scale``; nan if nowhere.

    0 if it begins there.
    """
    above = np.flatnonzero(curve >= 0.5)
    if not above.size:
        return math.nan
    right = int(above[0])
    if right == 0:
        return 0.0
    low, high = scale(curve[right - 1]), scale(curve[right])
    share = (scale(0.5) - low) / (high - low)
    return float(epoch[right - 1] + share * (epoch[right] - epoch[right - 1]))


def average(values: Array) -> Estimate:
    """Return the mean over seeds with its standard error."""
    count = len(values)
    error = np.std(values, ddof=1) / math.sqrt(count) if count > 1 else math.nan
    return Estimate(float(np.mean(values)), float(error), count)


def jackknife(statistic: Callable[[Array], Any], curves: Array) -> Estimate:
    """Return a statistic of the curve averaged over seeds, its standard error by the jackknife.

    curves: (B, ...). The error is nan for one seed, or if the statistic is without one of them.
    """
    count, total = len(curves), np.sum(curves, axis=0)
    value = float(statistic(total / count))
    if count == 1:
        return Estimate(value, math.nan, 1)
    without = np.array([float(statistic((total - curve) / (count - 1))) for curve in curves])
    variance = (count - 1) * np.var(without)
    return Estimate(value, math.sqrt(variance) if np.isfinite(variance) else math.nan, count)


def quantities(comparisons: Iterable[Comparison]) -> list[str]:
    """Return the names of the curves that any comparison has, in their usual order."""
    known = {name for comparison in comparisons for name in comparison.deviations}
    return [name for name in CURVES if name in known]
