"""Figure 2: order parameters, simulation and theory."""

from __future__ import annotations

import numpy as np
import pytest

from figures.drawing import Drawn
from figures.paper.order_parameters import ROBUST, draw
from meanfield import style
from meanfield.compare.statistics import concise, jackknife
from meanfield.predict.prediction import predict
from tests.figures.small_runs import P, assert_no_words_overlap, line_like, trained


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw({"run": trained()})


@pytest.mark.parametrize(("name", "column"), [("R", 0), ("Q", 1), ("S", 1)])
def test_points_lines_and_residuals(drawn: Drawn, name: str, column: int) -> None:
    run = trained()
    curve, mean = getattr(predict(P, "linear", epochs=run.epoch), name), getattr(run, name).mean(0)
    upper, lower = drawn.canvas.axes[column], drawn.canvas.axes[column + 2]
    points, line, residual = (
        line_like(upper, mean),
        line_like(upper, curve),
        line_like(lower, curve - mean),
    )
    assert (points.get_marker(), line.get_linestyle()) == ("o", "-")
    assert {each.get_color() for each in (points, line, residual)} == {style.COLORS[name]}


def test_the_numbers_said(drawn: Drawn) -> None:
    run = trained()
    theory = predict(P, "linear", epochs=run.epoch)
    assert drawn.numbers["onset_epoch_theory"] == theory.onset_epoch
    for name in "RQS":
        off = getattr(theory, name) - getattr(run, name)
        rms = jackknife(lambda mean: np.sqrt(np.mean(mean**2)), off)
        assert drawn.numbers["rms"][name] == pytest.approx(rms.value)
        assert f"{concise(rms)} for ${name}$" in drawn.caption
    late = drawn.numbers["onset_late"]
    assert f"% {'late' if late > 0 else 'early'}. Its root mean square error is" in drawn.caption
    right = int(np.argmax(run.R.mean(0) >= 0.5))
    measured = np.interp(
        0.5, run.R.mean(0)[right - 1 : right + 1], run.epoch[right - 1 : right + 1]
    )
    assert late == pytest.approx(theory.onset_epoch / measured - 1, abs=0.02)


def test_theory_is_named_in_the_picture(drawn: Drawn) -> None:
    (legend,) = drawn.canvas.legends
    assert "equations (15), linear closure" in [text.get_text() for text in legend.get_texts()]


def test_the_second_set_has_its_own_training() -> None:
    assert ROBUST.name == "robust_order_parameters"
    (batch,) = ROBUST.batches(quick=True).values()
    assert batch.parameters.rope_spacing == "linear"


def test_nothing_overlaps(drawn: Drawn) -> None:
    assert_no_words_overlap(drawn.canvas)
