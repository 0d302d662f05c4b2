"""All figures, in the order of the paper, then ours."""

from __future__ import annotations

from figures.beyond import (
    attention_gradient,
    early_training,
    exact_solution,
    phase_diagram,
    scaling_laws,
    theories,
)
from figures.drawing import Figure
from figures.paper import (
    attention,
    logit_histograms,
    loss,
    order_parameters,
    robustness,
    rollout_accuracy,
    setup_schematic,
)
from meanfield.errors import ParameterError

FIGURES: tuple[Figure, ...] = (
    setup_schematic.FIGURE,
    order_parameters.FIGURE,
    rollout_accuracy.FIGURE,
    loss.FIGURE,
    attention.FIGURE,
    logit_histograms.FIGURE,
    order_parameters.ROBUST,
    rollout_accuracy.ROBUST,
    loss.ROBUST,
    robustness.FIGURE,
    early_training.FIGURE,
    attention_gradient.FIGURE,
    exact_solution.FIGURE,
    phase_diagram.FIGURE,
    scaling_laws.FIGURE,
    theories.FIGURE,
)


def named(names: list[str]) -> list[Figure]:
    """Return the figures of these names, all if there are none; ParameterError for another name."""
    known = {figure.name: figure for figure in FIGURES}
    for name in names:
        if name not in known:
            raise ParameterError(f"there is no figure {name!r}; there are {', '.join(known)}")
    return [known[name] for name in names] or list(FIGURES)
