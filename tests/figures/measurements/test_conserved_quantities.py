"""R against Q - S: solutions are those of the equations, and each closure conserves its own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from figures.measurements.conserved_quantities import (
    R_at_gaps,
    common_gaps,
    conserved,
    conserved_at,
    difference_from_first,
    exact_solutions,
    spread_over_seeds,
)
from figures.measurements.squared_gradient import gradients_of_theories
from tests.figures.solution_runs import (
    GAMMA,
    KAPPA,
    KAPPA_QUADRATIC,
    PARAMETERS,
    START,
    a_run,
    linear_solution,
    quadratic_solution,
)


@pytest.mark.parametrize("name", ["linear", "quadratic"])
def test_a_closure_conserves_along_its_own_solution_only(name: str) -> None:
    gap = np.linspace(START, 2.0, 80)
    run = a_run({"linear": linear_solution, "quadratic": quadratic_solution}[name](gap), gap)
    for closure in ("linear", "quadratic"):
        ratio = conserved(run, closure)[0]
        assert np.isnan(ratio[0])
        ratio = ratio[np.isfinite(ratio)]
        assert ratio.size > 40
        if closure == name:
            np.testing.assert_allclose(ratio, 1, rtol=1e-6)
        else:
            assert np.ptp(ratio) > 0.2


def test_lines_are_the_solutions_from_the_nominal_start() -> None:
    lines = exact_solutions(PARAMETERS, 0.99)
    U, logit_R = lines["linear"]
    np.testing.assert_allclose(expit(-logit_R), 0.8 * np.exp(-KAPPA * U**2 / 2), rtol=1e-8)
    U, logit_R = lines["quadratic"]
    odds = np.exp(logit_R)
    np.testing.assert_allclose(
        logit_R + odds, np.log(1 / 4) + 1 / 4 + KAPPA_QUADRATIC * U**2 / 2, rtol=1e-8
    )
    U, logit_R = lines["softmax"]
    assert (U[0], expit(logit_R[0])) == pytest.approx((0, 0.2))
    assert expit(logit_R[-1]) == pytest.approx(0.99)
    R, G = expit(logit_R[1:]), gradients_of_theories(PARAMETERS, logit_R[1:])["softmax"]
    slope = np.gradient(R, U[1:])  # dR/dU = kappa U G / R
    expected = KAPPA / GAMMA * U[1:] * G / R
    np.testing.assert_allclose(slope[5:-5], expected[5:-5], rtol=2e-3)


def test_seeds_are_compared_where_all_have_been() -> None:
    fine, short = np.linspace(START, 2.0, 90), np.linspace(2 * START, 1.5, 60)
    runs = {"1": a_run(None, fine), "2": a_run(expit(logit(linear_solution(short)) + 0.1), short)}
    U = common_gaps(runs)
    assert (U[0], U[-1]) == pytest.approx((2 * START, 1.5))
    np.testing.assert_allclose(R_at_gaps(runs["1"], U), 2 * [linear_solution(U)], atol=1e-4)
    shifted = expit(logit(linear_solution(U)) + 0.1)
    expected = np.sqrt(np.mean((shifted - linear_solution(U)) ** 2))
    found = difference_from_first(runs)
    assert set(found) == {"2"}
    assert found["2"].value == pytest.approx(expected, rel=1e-2)
    np.testing.assert_allclose(spread_over_seeds(runs["1"], U), 0, atol=1e-12)


def test_what_is_conserved_at_a_level_leaves_out_who_does_not_come_there() -> None:
    gap = np.linspace(START, 2.0, 400)
    run = a_run(linear_solution(gap), gap)
    run.R[1] = np.minimum(run.R[1], 0.6)
    found = conserved_at(run, "linear", 0.9)
    assert (found.seeds, found.value) == (1, pytest.approx(1, rel=1e-4))
