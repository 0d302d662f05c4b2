"""A tiny training that the figures are drawn from in tests, and looks at what was drawn."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from meanfield.parameters import Parameters
from meanfield.runs.run import Run
from simulate.settings import Experiment, Machine
from simulate.train import train

P = Parameters(N=6, K=5, T=4, d_head=16, lr=12.0)


@cache
def trained(epochs: int = 40) -> Run:
    """Return three seeds of a small model, trained until rollouts are right."""
    sizes = {"n_train": 150, "n_test": 100}
    schedule = {"train_epochs": epochs, "eval_every": min(epochs, 2)}
    experiment = Experiment.of(range(3), **{**dict(P.items()), **sizes, **schedule})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more only wait for each other on sizes like these
    try:
        return train(experiment, machine=Machine(kernel="torch"))
    finally:
        torch.set_num_threads(threads)


def line_like(axes: Axes, curve: np.ndarray) -> Line2D:
    """Return the one line of the axes that runs through the curve."""
    found = [
        line
        for line in axes.get_lines()
        if np.shape(line.get_ydata()) == np.shape(curve) and np.allclose(line.get_ydata(), curve)
    ]
    assert len(found) == 1, f"{len(found)} lines run through the curve"
    return found[0]


def assert_no_words_overlap(figure: Figure) -> None:
    """Fail if two of the texts that are drawn cover each other, or one leaves the figure."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    outside = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low - 1e-9 <= tick.get_loc() <= high + 1e-9 or not tick.get_visible():
                    outside |= {tick.label1, tick.label2}
    boxes = {}
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text not in outside:
            box = text.get_window_extent()
            boxes[text] = box.padded(-1)
            x, y = figure.bbox.width, figure.bbox.height
            inside = box.x0 > -2 and box.y0 > -2 and box.x1 < x + 2 and box.y1 < y + 2
            assert inside, f"{text.get_text()!r} leaves the figure"
    for (one, a), (other, b) in combinations(boxes.items(), 2):
        assert not a.overlaps(b), f"{one.get_text()!r} and {other.get_text()!r} overlap"
