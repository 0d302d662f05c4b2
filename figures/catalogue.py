"""All figures, in the order of the paper, then ours."""

from __future__ import annotations

from figures import (
    attention_gradient,
    exact_solution,
    order_parameters,
    phase_diagram,
    robustness,
)
from figures.drawing import Figure
from meanfield.parameters import ParameterError

FIGURES: tuple[Figure, ...] = (
    order_parameters.FIGURE,
    order_parameters.ROBUST,
    robustness.FIGURE,
    attention_gradient.FIGURE,
    exact_solution.FIGURE,
    phase_diagram.FIGURE,
)


def named(names: list[str]) -> list[Figure]:
    """Return the figures of these names, all if there are none; ParameterError for another name."""
    known = {figure.name: figure for figure in FIGURES}
    for name in names:
        if name not in known:
            raise ParameterError(f"there is no figure {name!r}; there are {', '.join(known)}")
    return [known[name] for name in names] or list(FIGURES)
