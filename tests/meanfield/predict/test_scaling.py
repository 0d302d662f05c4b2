"""Exponents with honest errors, and the closed form of the onset where the margin is small."""

from __future__ import annotations

import math

import numpy as np
import pytest

from meanfield import Parameters, generated
from meanfield.errors import ParameterError
from meanfield.predict import scaling
from meanfield.predict.many import predict_many


def test_a_power_law_is_found_exactly() -> None:
    x = np.array([1.0, 3.0, 10.0, 50.0])
    for error in (None, 0.1 * x):
        found = scaling.fit(x, 7 * x**-1.25, error)
        assert found.value == pytest.approx(-1.25, abs=1e-12)
    assert scaling.fit(x, 7 * x**-1.25).error < 1e-12


@pytest.mark.parametrize("points", [12, 4])
@pytest.mark.parametrize("given", [True, False])
def test_the_error_is_that_of_the_exponent(given: bool, points: int) -> None:
    rng, x = np.random.default_rng(3), np.geomspace(1, 100, points)
    noise = 0.05 * np.ones_like(x)
    drawn = [x**0.5 * np.exp(noise * rng.standard_normal(len(x))) for _ in range(2000)]
    fits = [scaling.fit(x, y, noise * y if given else None) for y in drawn]
    spread = np.std([each.value for each in fits])
    told = np.sqrt(np.mean([each.error**2 for each in fits]))
    # given errors are kept where the scatter happens to be smaller: told too large by a little
    kept = {12: 1.12, 4: 1.17}[points]
    assert told / spread == pytest.approx(kept if given else 1.0, abs=0.06)


def test_the_error_of_three_points_by_hand() -> None:
    """One degree of freedom is left of three points: the scatter itself."""
    x, y = np.exp([-1.0, 0.0, 1.0]), np.exp([0.0, 0.3, 0.0])
    found = scaling.fit(x, y)
    assert found.value == pytest.approx(0.0, abs=1e-15)
    squares = 0.1**2 + 0.2**2 + 0.1**2
    assert found.error == pytest.approx(math.sqrt(squares / 1 / 2), rel=1e-12)


def test_precise_points_weigh_more() -> None:
    x = np.array([1.0, 2.0, 4.0, 8.0])
    y = x.copy()
    y[-1] *= 2
    errors = np.array([0.01, 0.01, 0.01, 100.0]) * y
    assert scaling.fit(x, y, errors).value == pytest.approx(1, abs=1e-4)
    assert scaling.fit(x, y).value > 1.1


@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        ([1, 2], [1, 2], "three points"),
        ([1, 1, 1], [1, 2, 3], "three points"),
        ([1, 2, 3], [1, 0, 3], "y must be greater than 0"),
        ([1, 2, 3], [1, math.inf, 3], "y must be greater than 0 and finite"),
    ],
)
def test_what_has_no_exponent_is_told(x: list[float], y: list[float], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        scaling.fit(x, y)


def test_the_closed_form_is_the_exact_onset_while_the_margin_is_small() -> None:
    """A large key-query variance makes attention fast, so that no margin builds up."""
    for N, K, T, lr in ((20, 20, 10, 2.0), (7, 40, 5, 0.3), (50, 3, 30, 9.0)):
        gaps = []
        for variance in (1e4, 1e6):
            p = Parameters(N=N, K=K, T=T, lr=lr, qk_variance=variance)
            exact = float(predict_many(N=N, K=K, T=T, lr=lr, qk_variance=variance).onset_epoch)
            gaps.append(exact / scaling.small_margin_onset(p) - 1)
        assert abs(gaps[1]) < 2e-3
        assert gaps[1] / gaps[0] == pytest.approx(0.1, abs=0.03)  # like the margin, 1/sqrt(kappa)


@pytest.mark.parametrize(("N", "K"), [(5, 5), (20, 7), (80, 3), (6, 300)])
def test_local_exponents_are_the_slopes_of_the_closed_form(N: int, K: int) -> None:
    found = scaling.exponents(Parameters(N=N, K=K, T=10))

    def slope(by_N: float, by_K: float) -> float:
        """The exponent when N and K grow with these powers."""
        times = [
            generated.small_margin_onset(1.0, N * by**by_N, K * by**by_K, 1.0)
            for by in (1 / 1.0001, 1.0001)
        ]
        return math.log(times[1] / times[0]) / (2 * math.log(1.0001))

    assert found["N"] == pytest.approx(slope(1, 0), abs=1e-7)
    assert found["K"] == pytest.approx(slope(0, 1), abs=1e-7)
    if N == K:
        assert found["N = K"] == pytest.approx(slope(1, 1), abs=1e-7)
    assert found["lr"] == -1.0


def test_many_actions_make_it_grow_like_their_root() -> None:
    assert scaling.onset_total(10**6) == pytest.approx(math.pi * math.sqrt(10**6 / 2), rel=2e-3)
    assert scaling.onset_total(10) == pytest.approx(4.9, abs=1)
