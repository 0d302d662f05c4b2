"""What every drawing needs: a legend outside the panels, and axes with a few chosen ticks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axis import Axis
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

MINUS = "−"


def legend(
    canvas: Canvas,
    entries: Mapping[str, Mapping[str, Any]],
    *,
    place: str = "upper",
    columns: int | None = None,
    **options: Any,
) -> None:
    """Put a legend outside all panels, so that it covers no data.

    entries: how each line or mark looks, by its label. place: "upper" or "lower". columns: all
    entries stand in one row unless given.
    """
    handles = [Line2D([], [], label=label, **look) for label, look in entries.items()]
    canvas.legend(
        handles=handles, loc=f"outside {place} center", ncols=columns or len(handles), **options
    )


def round_steps(low: float, high: float) -> list[float]:
    """Return 1, 2, 5, 10, ... between the two, for an axis in logarithms."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (step * 10.0**decade for decade in decades for step in (1, 2, 5))
    return [step for step in steps if low < step < high]


def fix_ticks(axis: Axis, ticks: Sequence[float]) -> None:
    """Show these ticks alone, as plain numbers."""
    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", MINUS))
