"""How every figure looks: colours, dashes, type, and how a file of one is written.

Theory is drawn as lines, simulation as points or bands. matplotlib is imported only when needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import ParameterError
from meanfield.files import writing
from meanfield.quantities import BLACK as BLACK
from meanfield.quantities import BLUE as BLUE
from meanfield.quantities import GREEN as GREEN
from meanfield.quantities import GREY as GREY
from meanfield.quantities import ORANGE as ORANGE
from meanfield.quantities import PURPLE as PURPLE
from meanfield.quantities import QUANTITIES
from meanfield.quantities import VERMILION as VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".pdf", ".svg")
DPI = 200
TWO_THIRDS = (1 / 6, 5 / 6)

BAND = "#ECECEC"
SEQUENTIAL, LIGHTEST = "viridis", 0.88  # beyond it, too light for a line on white
SOLID, DASHED, DOTTED, DASHDOT = "-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5))

# An order parameter or accuracy has one colour everywhere.
COLORS = {name: each.color for name, each in QUANTITIES.items()}

STYLE = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "cot-meanfield",  # else its ids are others each time
    "pdf.fonttype": 42,
}


def check(path: str | os.PathLike[str]) -> None:
    """Raise ParameterError unless the file is a .png, .pdf or .svg and matplotlib is installed."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ParameterError(
            f"the plot must be a {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file, "
            f"not {os.fspath(path)}"
        )
    if find_spec("matplotlib") is None:
        raise ParameterError("a plot needs matplotlib, which is not installed")


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """Give a figure of that size, in inches; what is drawn inside has the style."""
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(STYLE):
        yield Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: str | os.PathLike[str], *, dpi: float = DPI) -> None:
    """Write the figure to ``path``, whole or not at all; its suffix chooses the format."""
    import matplotlib.style

    suffix = Path(path).suffix[1:].lower()
    # without the time of writing the same figure is the same file
    undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(suffix, {})
    with matplotlib.style.context(STYLE), writing(path) as file:
        figure.savefig(file, format=suffix, dpi=dpi, metadata=undated)


def band(
    axes: Axes, x: NDArray[Any], curves: NDArray[np.float64], *, color: str, label: str = ""
) -> None:
    """Draw the mean of curves (B, E) as points, and a band that holds two thirds of the seeds."""
    if len(curves) > 1:
        axes.fill_between(x, *np.quantile(curves, TWO_THIRDS, axis=0), color=color, alpha=0.2, lw=0)
    every = max(1, len(x) // 30)
    mean = np.mean(curves, axis=0)
    axes.plot(x, mean, "o", ms=2.6, color=color, markevery=every, mew=0, label=label)


def parameters_line(items: Any) -> str:
    """Return parameters in the paper's letters, for a title; items: (name, value) pairs."""
    letters = {"N": "N", "K": "K", "T": "T", "d_head": "d"}
    values = dict(items)
    told = [f"${letter}={values[name]}$" for name, letter in letters.items()]
    spacing = "linear " if values["rope_spacing"] == "linear" else ""
    return ", ".join(
        [*told, f"{spacing}RoPE base {values['rope_theta']:g}", f"lr {values['lr']:g}"]
    )


def residual(
    axes: Axes,
    x: NDArray[Any],
    difference: NDArray[np.float64],
    *,
    color: str,
    dashes: Any = SOLID,
) -> None:
    """Draw theory minus simulation, (B, E), averaged over seeds, with its standard error."""
    mean = np.mean(difference, axis=0)
    if len(difference) > 1:
        error = np.std(difference, axis=0, ddof=1) / np.sqrt(len(difference))
        axes.fill_between(x, mean - error, mean + error, color=color, alpha=0.18, lw=0)
    axes.plot(x, mean, color=color, ls=dashes, lw=1.2)
    axes.axhline(0, color=GREY, lw=0.7, zorder=0.5)  # above a grey span


def step_colors(count: int) -> NDArray[np.float64]:
    """Return a colour for each of ``count`` steps, (count, 4), from dark to light in grey too."""
    import matplotlib

    colors = matplotlib.colormaps[SEQUENTIAL](np.linspace(0, LIGHTEST, count))
    return np.asarray(colors)
