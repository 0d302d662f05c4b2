"""The mean-field loss from logits put down one by one, and its slopes by differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit

from meanfield import Parameters, Start, generated
from meanfield.loss.mean_field import MeanField

N, K, C = 7, 5, 0.9
LOSS = MeanField(N=N, K=K, C=C)
STATES = [(0.3, 0.4, 0.1), (0.9, 2.0, -0.3), (0.1, -0.2, 0.5)]  # R, Q, S


def by_hand(R: float, Q: float, S: float) -> float:
    """The cross-entropy (10) of the mean logits (11), (12)."""
    right = R * Q + (1 - R) * (Q + (K - 1) * S) / K
    other = (C - right) / (N - 1)
    return math.log(math.exp(right) + (N - 1) * math.exp(other)) - right


@pytest.mark.parametrize(("R", "Q", "S"), STATES)
def test_value_and_rates_against_the_logits(R: float, Q: float, S: float) -> None:
    assert float(LOSS.value(R, Q, S)) == pytest.approx(by_hand(R, Q, S), rel=1e-14)
    F, dQ, dS = LOSS.rates(R, 1 - R, Q, S)
    slope = (by_hand(R + 1e-6, Q, S) - by_hand(R - 1e-6, Q, S)) / 2e-6
    assert pytest.approx(-slope, rel=1e-7) == F
    margin = generated.margin(R, Q, S, C, N, K)
    g = (N - 1) / (N - 1 + math.exp(margin))
    assert dQ == pytest.approx(g * (R + (1 - R) / K) / (K * N), rel=1e-13)
    assert dS == pytest.approx(g * (1 - R) / (K * K * N), rel=1e-13)


def test_the_flow_goes_down() -> None:
    for R, Q, S in STATES:
        F, dQ, dS = LOSS.rates(R, 1 - R, Q, S)
        step = 1e-6
        after = LOSS.value(R + step * F, Q + step * dQ, S + step * dS)
        assert after < LOSS.value(R, Q, S)


def test_what_is_missing_of_R_is_used_as_given() -> None:
    """At R = 1 to all digits of float64 S still creeps on."""
    _, _, dS = LOSS.rates(1.0, 1e-30, 2.0, 0.1)
    g = float(generated.error_signal(generated.margin(1.0, 2.0, 0.1, C, N, K), N))
    assert dS == pytest.approx(g * 1e-30 / (K * K * N), rel=1e-13, abs=0)


@pytest.mark.parametrize(("R", "Q", "S"), STATES)
def test_the_jacobian_is_that_of_the_rates(R: float, Q: float, S: float) -> None:
    logit_R, step = math.log(R / (1 - R)), 1e-6

    def rates(x: np.ndarray) -> np.ndarray:
        return np.array(LOSS.rates(expit(x[0]), expit(-x[0]), x[1], x[2]))

    x = np.array([logit_R, Q, S])
    columns = [(rates(x + by) - rates(x - by)) / (2 * step) for by in step * np.eye(3)]
    found = np.array(LOSS.jacobian(R, 1 - R, Q, S))
    assert np.all(np.abs(found) > 0)
    np.testing.assert_allclose(found, np.column_stack(columns), rtol=1e-6, atol=1e-11)


def test_seeds_of_another_C_side_by_side() -> None:
    together = MeanField(N=N, K=K, C=np.array([0.0, 0.9]))
    for value in (together.value(0.3, 0.4, 0.1), together.rates(0.3, 0.7, 0.4, 0.1)[0]):
        assert value[1] != value[0]
    assert together.value(0.3, 0.4, 0.1)[1] == LOSS.value(0.3, 0.4, 0.1)
    assert together.rates(0.3, 0.7, 0.4, 0.1)[1][1] == LOSS.rates(0.3, 0.7, 0.4, 0.1)[1]


def test_it_is_that_of_a_model_from_a_start() -> None:
    assert MeanField.of(Parameters(N=N, K=K, T=4), Start(C=C)) == LOSS
