"""Plot theory against training: curves above, their difference below, a row a training."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from meanfield import style
from meanfield.compare.comparison import Comparison
from meanfield.errors import ParameterError
from meanfield.quantities import QUANTITIES
from meanfield.runs.measured import Measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

PANELS = {
    "order parameters": ("R", "Q", "S"),
    "loss (nats)": ("loss",),
    "accuracy": ("next_token_accuracy", "rollout_accuracy"),
}
MOST_ROWS = 12
DASHES = (  # of the theories shown
    style.SOLID, style.DASHED, style.DASHDOT, style.DOTTED, (0, (10, 3)), (0, (8, 2, 1, 2, 1, 2)),
)  # fmt: skip


def check(trainings: int, theories: int) -> None:
    """Raise ParameterError for more than a plot can show."""
    if trainings > MOST_ROWS:
        raise ParameterError(
            f"a plot has room for {MOST_ROWS} trainings, not {trainings}: name fewer files"
        )
    if theories > len(DASHES):
        raise ParameterError(
            f"a plot tells {len(DASHES)} theories apart, not {theories}: name fewer with --theory"
        )


def plot(
    groups: Sequence[tuple[Measured, Sequence[Comparison]]], path: str | os.PathLike[str]
) -> None:
    """Write the plot to ``path``, whole or not at all; its suffix chooses the format.

    Points are the mean over seeds, bands hold two thirds of them, lines are the theory averaged
    over them, from the first of the starts; below, theory minus training with its standard error.
    Raises ParameterError for more trainings or theories than fit.
    """
    style.check(path)
    check(
        len(groups),
        max(len({str(each.theory) for each in comparisons}) for _, comparisons in groups),
    )
    with style.drawing(8.2, 3.6 * len(groups)) as figure:
        rows = figure.subfigures(len(groups), 1, squeeze=False)[:, 0]
        for row, (measured, comparisons) in zip(rows, groups, strict=True):
            row.suptitle(_title(measured), size=9, x=0.99, ha="right")
            _row(row, measured, comparisons)
        style.save(figure, path)


def _title(measured: Measured) -> str:
    """Return what was trained, and what a reader must know of it, for the top of its row."""
    count, training = len(measured.seeds), measured.training
    rows = [f"{training['n_train']} sequences"] if "n_train" in training else []
    line = [style.parameters_line(measured.parameters.items()), *rows]
    first = ", ".join([*line, f"{count} seed{'s' * (count > 1)}"])
    notes = textwrap.wrap("; ".join(measured.notes), 130)
    return "\n".join([first, *(each.replace("$", r"\$") for each in notes)])


def _row(row: SubFigure, measured: Measured, comparisons: Sequence[Comparison]) -> None:
    start = comparisons[0].start
    shown = [each for each in comparisons if each.start == start]
    above, below = row.subplots(2, len(PANELS), sharex=True, height_ratios=(3, 1))
    for upper, lower, (words, names) in zip(above, below, PANELS.items(), strict=True):
        for name in names:
            if name not in measured.curves:
                continue
            color, seeds = style.COLORS[name], measured.curves[name]
            style.band(upper, measured.epoch, seeds, color=color, label=QUANTITIES[name].symbol)
            for each, dashes in zip(shown, DASHES, strict=False):
                predicted = np.mean(each.curves[name], axis=0)
                upper.plot(measured.epoch, predicted, color=color, ls=dashes, lw=1.2)
                difference = each.curves[name] - seeds
                style.residual(lower, measured.epoch, difference, color=color, dashes=dashes)
        upper.set_title(words, size=9, loc="left")
        lower.set_xlabel("epoch")
    below[0].set_ylabel("theory $-$\ntraining")
    _legend(row, above, shown)


def _legend(row: SubFigure, panels: Sequence[Axes], shown: Sequence[Comparison]) -> None:
    """Say below the panels, where it covers no data, which mark is what and which line who's."""
    from matplotlib.lines import Line2D

    pairs = [axes.get_legend_handles_labels() for axes in panels]
    handles = [handle for some, _ in pairs for handle in some]
    names = [f"training, {label}" for _, labels in pairs for label in labels]
    for each, dashes in zip(shown, DASHES, strict=False):
        handles.append(Line2D([], [], color=style.GREY, ls=dashes, lw=1.2))
        names.append(f"{each.theory}, {each.start} start")
    row.legend(handles, names, loc="outside lower center", ncols=4, fontsize=8)
