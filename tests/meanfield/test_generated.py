"""The generated equations by hand, where the rest of the tests only uses them.

That each is the derived one is held in tests/derivations.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from meanfield import generated

N, K, T = 7, 5, 4  # every size another


def test_starts() -> None:
    assert generated.nominal_retrieval(T) == 1 / 4
    assert generated.nominal_overlap(0.9, N) == pytest.approx(0.9 / 7)
    assert generated.mean_overlap(N) == pytest.approx(1 / 7)
    assert generated.uniform_variance(0.6) == pytest.approx(0.12)
    assert generated.uniform_width(0.12) == pytest.approx(0.6)
    assert generated.mean_size(0.25) == 1.0


def test_spreads_of_the_start_are_those_of_drawn_entries() -> None:
    rng, width = np.random.default_rng(0), float(generated.uniform_width(0.4))
    q_re, q_im, k_re, k_im = rng.uniform(-width, width, (4, 400_000))
    p_re, _ = generated.plane_product(q_re, q_im, k_re, k_im)
    size = q_re**2 + q_im**2 + k_re**2 + k_im**2
    assert p_re.var() == pytest.approx(generated.product_spread(0.4), rel=0.01)
    assert size.var() == pytest.approx(generated.size_spread(0.4), rel=0.01)
    assert size.mean() == pytest.approx(generated.mean_size(0.4), rel=0.01)


def test_the_least_overlap_is_that_of_permutations_that_hit_every_state_equally_often() -> None:
    tiles = np.array([np.roll(np.arange(4), shift) for shift in range(4)])
    for permutations in (tiles, np.concatenate([tiles, tiles])):
        count, size = permutations.shape
        hits = np.eye(size)[permutations].sum(0)
        overlap = generated.measured_overlap(np.sum(hits**2), size, count)
        assert overlap == pytest.approx(generated.least_overlap(size, count), abs=1e-15)


def test_the_rollout_is_right_by_chance_too() -> None:
    a = 0.7
    right = a
    for _ in range(T - 1):  # kept right, or wrong and by chance right again
        right = right * a + (1 - right) * (1 - a) / (N - 1)
    assert generated.rollout_error(1 - a, N, T) == pytest.approx(1 - right, rel=1e-13)
    beyond = generated.rollout_error(np.array([0.9, 6 / 7]), N, T)
    assert beyond[1] == pytest.approx(6 / 7)
    assert 0 < beyond[0] < 1


def test_small_errors_add_up() -> None:
    assert generated.rollout_error(1e-200, N, T) == pytest.approx(T * 1e-200, rel=1e-13, abs=0)


def test_the_pace_of_the_thermodynamic_limit() -> None:
    assert generated.thermodynamic_pace(N, K) == pytest.approx(6 / 7 * 5 / 4)
    assert generated.rate_constant(20, 20, 1.0) == 400.0
    assert generated.rate_constant(N, K, 0.3) == pytest.approx(49 * 4 / 6 * 0.3)


def test_time_and_what_is_gained() -> None:
    margin = 0.8
    g = (N - 1) / (N - 1 + math.exp(margin))
    assert generated.error_signal(margin, N) == pytest.approx(g, rel=1e-14)
    assert generated.time_slope(margin, N, K) == pytest.approx(N * K / g, rel=1e-13)
    log_slope = generated.log_time_slope(-0.3, margin, N, K)  # dV = dU / R
    assert log_slope == pytest.approx(math.log(N * K / g * (1 + math.exp(0.3))), rel=1e-13)
    assert generated.off_target_slope(0.4, K) == pytest.approx(0.08)
    assert generated.early_time(0.5, 0.1, N, K) == pytest.approx(0.4 * N * K / (6 / 7))
