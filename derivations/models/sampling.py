"""How a seeded Monte Carlo average is held against a claim."""

from __future__ import annotations

import math
from collections.abc import Iterable

from derivations.statement import require


def agreement(sample: Iterable[float], claimed: float, *, precision: float = 0.02) -> str:
    """Hold the mean of ``sample`` against ``claimed``: within 4 standard errors, on both sides.

    precision: largest standard error allowed, relative to ``claimed``, so that a lost factor shows.
    """
    values = list(sample)
    mean = math.fsum(values) / len(values)
    square = math.fsum((value - mean) ** 2 for value in values)
    error = math.sqrt(square / (len(values) - 1) / len(values))
    require(error < precision * abs(claimed), f"standard error {error} too large for {claimed}")
    require(abs(mean - claimed) < 4 * error, f"{mean} +- {error} but {claimed} claimed")
    return f"{mean:.4f} +- {error:.4f} for {claimed:.4f}"
