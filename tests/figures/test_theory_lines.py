"""Every theory of the attention gradient has a look and a label of its own."""

from __future__ import annotations

from scipy.special import logit

from figures.measurements.squared_gradient import gradients_of_theories
from figures.theory_lines import LABELS, LINES, sizes_line
from meanfield.parameters import Parameters
from tests.figures.synthetic_runs import synthetic

PARAMETERS = Parameters(N=6, K=9, T=8, d_head=16)


def test_every_theory_can_be_told_from_the_others() -> None:
    theories = set(gradients_of_theories(PARAMETERS, logit([0.2, 0.5])))
    assert theories == set(LABELS) == set(LINES)
    for distinct in ([look["color"] for look in LINES.values()], LABELS.values()):
        assert len(set(distinct)) == len(theories)


def test_sizes_in_the_letters_of_the_paper() -> None:
    run = synthetic(PARAMETERS, [0], R=logit([[0.6]]))
    assert sizes_line(run) == "$N=6$, $K=9$, $T=8$, $d=16$"
