"""How the theories of the attention gradient are drawn, and what a caption calls the models."""

from __future__ import annotations

from typing import Any

from figures.measurements.squared_gradient import SOFTMAX
from meanfield import style
from meanfield.runs.run import Run

DASHES: dict[str, Any] = {"linear": style.SOLID, "quadratic": style.DASHED}  # of a closure
LABELS = {
    "linear": "linear closure",
    "quadratic": "quadratic closure",
    SOFTMAX: "softmax, mean start",
}
LINES: dict[str, dict[str, Any]] = {
    "linear": {"color": style.BLACK, "ls": DASHES["linear"]},
    "quadratic": {"color": style.VERMILION, "ls": DASHES["quadratic"]},
    SOFTMAX: {"color": style.GREEN, "ls": style.DASHDOT},
}
R_TICKS = (0.1, 0.5, 0.9, 0.99)  # on a logit scale


def sizes_line(run: Run) -> str:
    """Return the sizes of a training in the paper's letters, for a caption."""
    p = run.parameters
    return f"$N={p.N}$, $K={p.K}$, $T={p.T}$, $d={p.d_head}$"
