"""R against Q - S: the figure draws the seeds, and its numbers are how they differ."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from figures.beyond import exact_solution
from tests.figures.solution_runs import END, KAPPA, START, a_run, linear_solution


def test_figure_and_numbers_tell_what_differs() -> None:
    coarse, fine = np.linspace(START, END, 40), np.linspace(START, END, 90)
    runs = {
        "1": a_run(None, fine, shift=0.3),
        "2": a_run(expit(logit(linear_solution(coarse)) - 0.05), coarse, shift=0.3),
        "5": a_run(expit(logit(linear_solution(fine)) + 0.1), fine, shift=0.3),
    }
    drawn = exact_solution.draw(runs)
    U = np.linspace(START, END, 4001)
    first = logit(linear_solution(U))
    for rate, shifted in (("2", -0.05), ("5", 0.1)):
        both = [expit(first + seed + shifted) - expit(first + seed) for seed in (0, 0.3)]
        apart = np.mean([np.sqrt(np.mean(each**2)) for each in both])
        assert drawn.numbers["apart_from_first_rate"][rate] == pytest.approx(apart, rel=1e-2)
        assert f"{apart:.1g} at lr {rate}" in drawn.caption
    numbers = drawn.numbers
    spread = np.std([expit(first), expit(first + 0.3)], axis=0, ddof=1)
    assert numbers["spread_of_seeds"]["largest"] == pytest.approx(spread.max(), rel=1e-3)
    assert numbers["conserved"]["linear"][0] == pytest.approx(
        np.mean([1, np.log(expit(-(logit(0.2) + 0.3)) / 0.5) / (KAPPA / 2 * gained(0.3))]), rel=1e-2
    )
    left, middle, right = drawn.canvas.axes
    np.testing.assert_array_equal(left.lines[1].get_ydata(), runs["1"].R[1])
    np.testing.assert_allclose(left.lines[1].get_xdata(), fine)
    np.testing.assert_allclose(middle.lines[0].get_xdata(), KAPPA * (fine**2 - START**2) / 2)
    np.testing.assert_allclose(middle.lines[0].get_ydata(), 1 - runs["1"].R[0])
    black = [line for line in right.lines if line.get_color() == "#000000"]
    shown = np.asarray(black[0].get_ydata())
    np.testing.assert_allclose(shown[np.isfinite(shown)], 1, rtol=1e-9)


def gained(shift: float) -> float:
    """Return U^2 - U0^2 where the seed shifted in logit R comes to R = 1/2."""
    return float(-2 / KAPPA * np.log((1 - expit(-shift)) / 0.8))


def test_the_same_seeds_train_for_the_same_time_at_every_rate() -> None:
    found = exact_solution.batches(quick=False).values()
    assert {each.seeds for each in found} == {(0, 1, 2, 3)}
    times = {each.parameters.lr * each.schedule.train_epochs for each in found}
    assert times == {exact_solution.LENGTH}
    assert len({each.parameters.lr for each in found}) == 5
