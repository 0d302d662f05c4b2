"""Figure 1: what the schematic shows is a true prediction of the model."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyArrowPatch, Rectangle

from figures.drawing import Drawn
from figures.paper import setup_schematic as schematic
from tests.figures.small_runs import assert_no_words_overlap


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return schematic.draw({})


def test_the_example_is_a_chain_of_permutations() -> None:
    assert all(sorted(permutation) == [0, 1, 2, 3] for permutation in schematic.PERMUTATIONS)
    states = schematic.chain()
    assert len(states) == len(schematic.ACTIONS) + 1
    for t, action in enumerate(schematic.ACTIONS):
        assert states[t + 1] == schematic.PERMUTATIONS[action][states[t]]


def test_both_models_predict_the_next_state() -> None:
    right, before = schematic.chain()[schematic.STEP], schematic.chain()[schematic.STEP - 1]
    teacher, student = schematic.teacher(), schematic.student()
    np.testing.assert_array_equal(teacher.y, np.eye(4)[right])
    assert np.argmax(student.y) == right
    for model in (teacher, student):
        by_hand = sum(
            model.A[j] * model.W[action][:, before] for j, action in enumerate(schematic.ACTIONS)
        )
        np.testing.assert_allclose(model.y, by_hand)
        np.testing.assert_allclose(model.A.sum(), 1)


def test_the_cells_are_the_models(drawn: Drawn) -> None:
    (axes,) = drawn.canvas.axes
    cells = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    shown = [to_rgba(cell.get_facecolor())[3] for cell in cells]
    wanted: list[float] = []
    for model in (schematic.student(), schematic.teacher()):
        for values in (model.A, model.z, *model.W, model.M, model.x, model.y):
            wanted += np.ravel(values).tolist()
    np.testing.assert_allclose(shown, wanted)


def test_the_strongest_arrow_goes_back_by_the_lag(drawn: Drawn) -> None:
    (axes,) = drawn.canvas.axes
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    back = [each for each in arrows if each._posA_posB[1][0] < each._posA_posB[0][0]]
    strongest = max(back, key=lambda each: each.get_linewidth())
    (start, _), (end, _) = strongest._posA_posB
    np.testing.assert_allclose(start - end, len(schematic.ACTIONS) * schematic.PITCH)
    np.testing.assert_allclose(end, schematic.LEFT + schematic.BOX / 2 + schematic.PITCH)  # a_2


def test_nothing_overlaps(drawn: Drawn) -> None:
    assert_no_words_overlap(drawn.canvas)
