"""The squared gradient of R: closures by their formulas, the softmax followed, seeds in order."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from figures.measurements.squared_gradient import (
    gradients_of_theories,
    mean_ratios,
    measured_log_gradients,
)
from meanfield.attention import planes as attention
from tests.figures.synthetic_runs import FACTORS, PARAMETERS, run_of_factors, slow_gamma, synthetic


def test_closures_are_their_formulas() -> None:
    R = np.array([0.15, 0.5, 0.99])
    found = gradients_of_theories(PARAMETERS, logit(R))
    gamma = slow_gamma(PARAMETERS)
    np.testing.assert_allclose(found["linear"], gamma * R * (1 - R), rtol=1e-12)
    ansatz = gamma * 64 / 7 * R**2 * (1 - R) ** 2  # the same at R = 1/T
    np.testing.assert_allclose(found["quadratic"], ansatz, rtol=1e-12)


def test_softmax_is_followed_from_its_mean_start_and_from_there_only() -> None:
    R = np.array([0.1, 0.2, 0.5, 0.95])
    found = gradients_of_theories(PARAMETERS, logit(R))["softmax"]
    assert np.isnan(found[0])  # below 1/T
    planes, heads = attention.planes(PARAMETERS), attention.mean_heads(PARAMETERS, np.ones(1))
    steps = np.sort([*np.linspace(logit(1 / 8), logit(0.95), 999)[1:-1], *logit(R[1:])])
    (G,) = attention.gradients(planes, heads, steps[None])
    expected = G[np.searchsorted(steps, logit(R[1:]))]
    np.testing.assert_allclose(found[1:], expected, rtol=2e-4)


def test_a_set_back_of_R_is_left_out() -> None:
    R = np.array([[0.2, 0.4, 0.3, 0.6]])
    run = synthetic(PARAMETERS, [0, 1, 2, 3], R=R, grad_R_squared=np.array([[1.0, 2.0, 9.0, 4.0]]))
    found = measured_log_gradients(run, logit(np.array([0.2, 0.4, 0.6, 0.7])))
    np.testing.assert_allclose(np.exp(found[0, :3]), [1, 2, 4])
    assert np.isnan(found[0, 3])


def test_mean_ratio_is_theory_over_simulation_in_logarithms() -> None:
    found = mean_ratios(run_of_factors(), 0.4, 0.8)
    logs = -np.log(FACTORS)
    expected = np.exp(logs.mean())
    assert found["linear"].value == pytest.approx(expected, rel=1e-3)
    assert found["linear"].error == pytest.approx(
        expected * logs.std(ddof=1) / np.sqrt(3), rel=1e-3
    )
    R = expit(np.linspace(logit(0.4), logit(0.8), 2001))
    quadratic = expected * np.exp(np.mean(np.log(64 / 7 * R * (1 - R))))
    assert found["quadratic"].value == pytest.approx(quadratic, rel=1e-3)
