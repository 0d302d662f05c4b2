"""Curves held against curves: deviations and delays, with standard errors over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


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


def concise(estimate: Estimate, *, sign: bool = False) -> str:
    """Return a value with its error in the last digits: 0.037(4); two digits where there is none.

    The error has one digit, or two if the first is a 1.
    """
    value, error = estimate.value, estimate.error
    plus = "+" if sign else ""
    if not (math.isfinite(error) and error > 0):
        return f"{float(f'{value:.2g}'):{plus}g}"
    power = math.floor(math.log10(error))
    if float(f"{error:.1e}") < 2 * 10.0**power:
        power -= 1
    digits = round(error / 10.0**power)
    if power >= 0:
        return f"{round(value, -power):{plus}.0f}({digits * 10**power})"
    return f"{value:{plus}.{-power}f}({digits})"


def relative_delay(estimate: Estimate | None) -> str:
    """Return a relative delay in words: "2.1(12) % late"."""
    if estimate is None:
        return "beyond the run"
    percent = Estimate(100 * abs(estimate.value), 100 * estimate.error, estimate.seeds)
    return f"{concise(percent)} % {'late' if estimate.value > 0 else 'early'}"
