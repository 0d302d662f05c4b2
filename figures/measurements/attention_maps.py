"""Attention step by step at given values of R, from the maps that a training has measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from figures.measurements.onset_epochs import first_passage
from meanfield.compare.statistics import Estimate, average

Array = NDArray[np.float64]


def right_entries(attention: Array) -> Array:
    """Return A_{i,i-T}, the diagonal (..., T) of maps (..., T, T)."""
    return np.diagonal(attention, axis1=-2, axis2=-1)


def maps_at_R(level: float, epoch: Array, R: Array, attention: Array) -> Array:
    """Return the map of each seed, (seeds, T, T), when its R (B, E) first passes a level.

    The map is interpolated between epochs. A seed that begins above the level gives its first map;
    a seed that never reaches it is left out. attention: (B, E, T, T).
    """
    passage = np.array([first_passage(epoch, curve, level) for curve in R])
    kept = np.flatnonzero(np.isfinite(passage))
    after = np.clip(np.searchsorted(epoch, passage[kept]), 1, len(epoch) - 1)
    share = (passage[kept] - epoch[after - 1]) / (epoch[after] - epoch[after - 1])
    low, high = attention[kept, after - 1], attention[kept, after]
    return np.asarray(low + share[:, None, None] * (high - low))


def excess(maps: Array) -> Array:
    """Return A_{i,i-T}/R - 1 of each step, (seeds, T); maps: (seeds, T, T)."""
    entries = right_entries(maps)
    return np.asarray(entries / entries.mean(-1, keepdims=True) - 1)


def step_statistics(maps: Array) -> dict[str, Estimate]:
    """Return how the steps differ in maps (seeds, T, T) taken at one moment, averaged over seeds.

    In per cent of the mean step: ends, the excess of the first and last step; between, that of the
    others; between_range, from the least to the greatest of these; spread, the standard deviation
    over all steps. neighbour: attention of a step in between on the action before or after the
    right one. exchangeable: the same if all wrong actions got alike.
    """
    T = maps.shape[-1]
    percent = 100 * excess(maps)
    inner = np.arange(1, T - 1)
    neighbours = (maps[:, inner, inner - 1] + maps[:, inner, inner + 1]) / 2
    wrong = 1 - right_entries(maps).mean(-1)
    return {
        "ends": average(percent[:, [0, -1]].mean(1)),
        "between": average(percent[:, inner].mean(1)),
        "between_range": average(np.ptp(percent[:, inner], axis=1)),
        "spread": average(percent.std(1)),
        "neighbour": average(neighbours.mean(1)),
        "exchangeable": average(wrong / (T - 1)),
    }
