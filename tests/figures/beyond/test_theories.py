"""How right each theory is: the marks are the scores, and the caption counts them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from figures.beyond import theories
from figures.beyond.theories import COLUMNS
from figures.drawing import Drawn
from figures.measurements.score_points import QUANTITIES
from figures.measurements.theory_scores import MAIN, batches
from meanfield.theory import LADDER
from tests.figures.made_up_scores import NEVER, delayed, estimate, made_up
from tests.figures.small_runs import assert_no_words_overlap, trained


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return theories.draw({MAIN: trained()})


def test_numbers_are_the_scores_delays_in_per_cent() -> None:
    each = made_up()
    numbers = theories.drawn_of({MAIN: each}).numbers[MAIN]
    for theory, score in each.scores.items():
        table = numbers["theories"][theory]
        assert table["rms_R"]["value"] == score.rms.value
        assert table["S_end"]["value"] == pytest.approx(100 * score.end.value)
        assert table["next_token"]["high"] == score.next_largest.value
        late = table["onset_late"]
        assert (late["value"], late["low"], late["high"]) == pytest.approx((-0.5, -1.5, 0.5))
    assert numbers["spectral_onset_against_median"]["value"] == pytest.approx(2.5)
    assert numbers["closure_onset_late_expected"] == {"linear": 2.0, "quadratic": -3.0}


def test_a_mark_a_theory_in_every_row(drawn: Drawn) -> None:
    table = drawn.numbers[MAIN]["theories"]
    for axes, quantity in zip(drawn.canvas.axes, QUANTITIES, strict=True):
        marks = {}
        for line in axes.lines:
            x, y = line.get_xdata(), line.get_ydata()
            if line.get_marker() in "sDo^" and len(x) == 1:
                marks[float(x[0])] = (float(y[0]), line)
        assert len(marks) == len(LADDER)
        order = [column for column in COLUMNS if column in LADDER]
        for theory, (_, (y, line)) in zip(order, sorted(marks.items()), strict=True):
            assert y == pytest.approx(table[theory][quantity]["value"])
            filled = line.get_markerfacecolor() != "white"
            assert filled == theory.endswith("+fluctuations")
            low, high = axes.get_ylim()
            assert low < y < high
        thin = [line.get_ydata() for line in axes.lines if line.get_linewidth() == 0.8]
        ends = [[table[t][quantity][end] for end in ("low", "high")] for t in LADDER]
        np.testing.assert_allclose([each for each in thin if len(each) == 2], ends)


def test_the_numbers_said() -> None:
    caption = theories.drawn_of({MAIN: made_up(), "other": made_up(onset=NEVER)}).caption
    # measured less expected: linear -0.5 - 2 once, quadratic -0.5 + 3 twice
    off = np.array([-2.5, 2.5, 2.5])
    assert f"with a root mean square of {np.sqrt(np.mean(off**2)):.2g}." in caption
    assert f"Measured minus expected delay is +{off.mean():.1f}(17) points" in caption
    assert "from -3 to +2 %" in caption
    assert "+2.5 to +2.5 %" in caption
    assert "row by row: linear 2, 1, 2, 2, 2; quadratic 2, 2, 2, 2, 2; spectral 2" in caption
    assert "per-seed with fluctuations 2, 2, 2, 2, 2." in caption
    assert "onset 0.5 % and 0.5 %, rollouts 0.9 % and" in caption
    assert "$S$ 4 % and 4 %, next token 0.019 and 0.019." in caption
    assert "on the main model and on 1 models that no theory was tuned on (4 seeds each)" in caption


def test_what_is_never_reached_is_not_drawn() -> None:
    drawn = theories.drawn_of({MAIN: made_up(rollout=NEVER)})
    rows = drawn.canvas.axes
    marks = [sum(line.get_marker() in "sDo^" for line in axes.lines) for axes in rows]
    assert marks == [6, 6, 5, 6, 6]
    assert drawn.numbers[MAIN]["theories"]["linear"]["rollout_late"] is None
    json.dumps(drawn.numbers, allow_nan=False)


def test_nothing_overlaps() -> None:
    far = made_up(
        rms=estimate(0.3),
        onset=delayed(0.6, 0.2),
        end=estimate(1.8, 0.2),
        next_largest=estimate(0.4),
    )
    names = batches(quick=False)
    assert_no_words_overlap(theories.drawn_of(dict.fromkeys(names, far)).canvas)
