"""Numbers in words, for tables and captions."""

from __future__ import annotations

import math

from meanfield.compare.comparison import Estimate


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


def late(estimate: Estimate | None) -> str:
    """Return a relative lateness in words: "2.1(12) % late"."""
    if estimate is None:
        return "beyond the run"
    percent = Estimate(100 * abs(estimate.value), 100 * estimate.error, estimate.seeds)
    return f"{concise(percent)} % {'late' if estimate.value > 0 else 'early'}"
