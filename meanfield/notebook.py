"""How an object shows itself in a notebook: a small table of names and values."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np

SHOWN = 80  # characters of a value


def table(title: str, rows: Iterable[tuple[str, Any]], notes: Iterable[str] = ()) -> str:
    """Return HTML of a title, a row for each name and value, and notes; everything is escaped."""
    lines = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(short(value))}</td></tr>"
        for name, value in rows
    )
    remarks = "".join(f"<div>{escape(note)}</div>" for note in notes)
    return f"<div><b>{escape(title)}</b><table>{lines}</table>{remarks}</div>"


def short(value: Any) -> str:
    """Return a value in a few characters: an array by its shape, a number to six digits."""
    if isinstance(value, np.ndarray) and value.ndim:
        size = " × ".join(map(str, value.shape))
        if not value.size or value.dtype.kind not in "iuf":
            return f"array of {size}"
        with np.errstate(invalid="ignore"):
            return f"array of {size}, {np.min(value):.6g} to {np.max(value):.6g}"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
