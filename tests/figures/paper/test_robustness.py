"""What is learned off the main set: every seed's fate is shown and counted as it was."""

from __future__ import annotations

import numpy as np
import pytest

from figures.drawing import Drawn
from figures.paper import robustness
from figures.paper.robustness import PANELS
from meanfield import style
from meanfield.compare.statistics import Estimate, concise
from meanfield.predict.prediction import predict
from tests.figures.changed_runs import changed_runs
from tests.figures.small_runs import assert_no_words_overlap

RUNS = changed_runs()


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return robustness.draw(RUNS)


def test_marks_say_what_became_of_the_seeds(drawn: Drawn) -> None:
    axes = drawn.canvas.axes
    uppers, lowers = [*axes[0:4], *axes[8:12]], [*axes[4:8], *axes[12:16]]

    def marks(of: list, series: str) -> list[tuple[str, str, float]]:  # type: ignore[type-arg]
        place = of[list(PANELS).index(series)]
        return [
            (line.get_marker(), line.get_markerfacecolor(), float(line.get_ydata()[0]))
            for line in place.lines
            if line.get_marker() != "None"
        ]

    full, part = ("o", style.BLUE), ("o", "white")
    main = [(*full, 1.0), (*full, 1.0), (*full, 0.99)]
    assert marks(uppers, "N") == [*main, (*full, 1.0), (*full, 0.995)]
    assert marks(uppers, "T") == main
    assert marks(uppers, "d_head") == [
        (*full, 1.0), (*full, 0.995), *main, ("s", "white", 0.2), ("s", style.BLUE, 1.0),
    ]  # fmt: skip
    assert marks(uppers, "linear") == [(*part, 0.989), (*full, 1.0)]
    # crossed where training failed: the shape, which says of what series a seed is, stays
    diverged, lost = ("+", style.PURPLE, 0.25), ("x", style.BLACK, 0.3)
    assert marks(uppers, "lr") == [*main, (*part, 0.25), diverged, (*part, 0.6)]
    assert marks(uppers, "n_train") == [(*part, 0.3), lost, (*part, 0.4), *main]
    onset = predict(RUNS["N 10"].parameters, "linear").onset_epoch
    assert onset is not None
    assert [y for *_, y in marks(lowers, "N")[3:]] == pytest.approx([50 / onset, 60 / onset])


def test_caption_counts_changes_and_names_those_that_fail(drawn: Drawn) -> None:
    assert "Every seed learns fully under 2 of 6 changes" in drawn.caption
    assert "The others: squares at $d$ 2 (1 of 2 seeds)" in drawn.caption
    assert "linear frequencies to base 10 (1 of 2 seeds)" in drawn.caption
    assert "Squares: at $T=8$ and lr 9" in drawn.caption
    assert "lr 200 (0 of 2 seeds, 1 diverged)" in drawn.caption
    assert "training sequences 16 (0 of 2 seeds, 1 lost)" in drawn.caption
    late = [
        np.mean([50, 60]) / (predict(RUNS[name].parameters, "linear").onset_epoch or np.nan)
        for name in ("N 10", "d_head 2")
    ]
    mean = Estimate(float(np.mean(late)), float(np.std(late, ddof=1)) / np.sqrt(2), 2)
    assert f"with the onset at {concise(mean)} times" in drawn.caption
    assert drawn.numbers["lr"]["200"]["onset_over_theory"][0] is None


def test_squares_are_named_above_the_panels(drawn: Drawn) -> None:
    (legend,) = drawn.canvas.legends
    entries = [text.get_text() for text in legend.get_texts()]
    assert "squares: $T=8$, lr 9" in entries
    assert {"learned fully", "not fully", "attention lost", "diverged"} < set(entries)


def test_a_caption_without_failures_names_none() -> None:
    kept = {name: run for name, run in RUNS.items() if name in ("main", "N 10", "d_head 2")}
    others = dict.fromkeys(("d_head faster 2", "linear 10"), RUNS["d_head 2"])
    caption = robustness.draw({**kept, **others}).caption
    assert "Every seed learns fully under 4 of 4 changes" in caption
    assert "The others" not in caption


def test_nothing_overlaps(drawn: Drawn) -> None:
    assert_no_words_overlap(drawn.canvas)
