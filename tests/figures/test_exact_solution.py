"""R against Q - S: a closure's own solution conserves, and what differs is told."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import expit, logit

from figures import exact_solution
from meanfield import closures
from meanfield.parameters import Parameters
from meanfield.runs import Run
from tests.figures.synthetic_runs import Array, slow_gamma, synthetic

PARAMETERS = Parameters(N=8, T=5, K=6, d_head=16)
GAMMA = slow_gamma(PARAMETERS)
KAPPA = 8**2 * 5 / 7 * GAMMA  # N^2 (K - 1)/(N - 1) times the rate
KAPPA_QUADRATIC = KAPPA * 25 / 4  # times T^2/(T - 1)
START = 0.03  # Q - S at the start
END = float(np.sqrt(START**2 + 2 / KAPPA * np.log(0.8 / 0.02)))  # where R = 0.98


def a_run(R_of: Array | None, gap: Array, *, shift: float = 0.0) -> Run:
    """Two seeds that follow one curve R(Q - S), the second shifted in logit R."""
    R = linear_solution(gap) if R_of is None else R_of
    both = np.stack([R, expit(logit(R) + shift)])
    S = np.broadcast_to(0.1 * gap, both.shape)
    return synthetic(PARAMETERS, np.arange(len(gap)), R=both, Q=gap + S, S=S)


def linear_solution(gap: Array) -> Array:
    """Return R that starts at 1/T with the gap START, closure gamma R (1 - R)."""
    return np.asarray(1 - 0.8 * np.exp(-KAPPA * (gap**2 - START**2) / 2))


def quadratic_solution(gap: Array) -> Array:
    """Return the same of g_0 R^2 (1 - R)^2, by an ODE solver: dR/dU = kappa U R (1 - R)^2."""
    solved = solve_ivp(
        lambda U, R: KAPPA_QUADRATIC * U * R * (1 - R) ** 2, (gap[0], gap[-1]), [0.2], t_eval=gap,
        rtol=1e-10, atol=1e-12,
    )  # fmt: skip
    return np.asarray(solved.y[0])


@pytest.mark.parametrize("name", ["linear", "quadratic"])
def test_a_closure_conserves_along_its_own_solution_only(name: str) -> None:
    gap = np.linspace(START, 2.0, 80)
    run = a_run({"linear": linear_solution, "quadratic": quadratic_solution}[name](gap), gap)
    for closure in closures.CLOSURES.values():
        ratio = exact_solution.conserved(run, closure)[0]
        assert np.isnan(ratio[0])
        ratio = ratio[np.isfinite(ratio)]
        assert ratio.size > 40
        if closure.name == name:
            np.testing.assert_allclose(ratio, 1, rtol=1e-6)
        else:
            assert np.ptp(ratio) > 0.2


def test_lines_are_the_solutions_from_the_nominal_start() -> None:
    lines = exact_solution.growth(PARAMETERS, 0.99)
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
    R, G = expit(logit_R[1:]), exact_solution.theories(PARAMETERS, logit_R[1:])["softmax"]
    slope = np.gradient(R, U[1:])  # dR/dU = kappa U G / R
    expected = KAPPA / GAMMA * U[1:] * G / R
    np.testing.assert_allclose(slope[5:-5], expected[5:-5], rtol=2e-3)


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
    times = {each.parameters.lr * each.training.train_epochs for each in found}
    assert times == {exact_solution.LENGTH}
    assert len({each.parameters.lr for each in found}) == 5
