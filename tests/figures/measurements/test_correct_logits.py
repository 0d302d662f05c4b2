"""The correct logit of trained models: that of the model, over uniform sequences."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from figures.measurements.correct_logits import correct_logits, logits_of, sequences, shape
from tests.figures.small_runs import P, trained

RNG = np.random.default_rng(5)
N, K, T = 3, 4, 3
SIGMA = np.array([RNG.permutation(N) for _ in range(K)])
W = RNG.normal(size=(K, N, N))
A = RNG.dirichlet(np.ones(T), T)


def every_sequence() -> tuple[np.ndarray, np.ndarray]:
    """Return all actions and their states, (N K^T, T) and (N K^T, T + 1)."""
    actions, states = [], []
    for first, *chosen in product(range(N), *[range(K)] * T):
        chain = [first]
        for action in chosen:
            chain.append(int(SIGMA[action][chain[-1]]))
        actions.append(chosen)
        states.append(chain)
    return np.array(actions), np.array(states)


def test_the_logit_is_that_of_the_model() -> None:
    actions, states = every_sequence()
    logits = logits_of(W, A, actions, states)
    for row in RNG.integers(len(actions), size=20):
        for t in range(T):
            z = sum(A[t, j] * np.eye(K)[actions[row, j]] for j in range(T))
            M = sum(z[k] * W[k] for k in range(K))
            y = M @ np.eye(N)[states[row, t]]
            assert logits[row, t] == pytest.approx(y[states[row, t + 1]])


def test_the_mean_over_all_sequences_is_eq_11_step_by_step() -> None:
    own = [W[k][SIGMA[k], range(N)].sum() for k in range(K)]
    every = [W[k][SIGMA[l], range(N)].sum() for k in range(K) for l in range(K)]
    Q = sum(own) / (K * N)
    S = (sum(every) - sum(own)) / (K * (K - 1) * N)
    R = np.diagonal(A)
    wanted = Q * (R + (1 - R) / K) + S * (1 - R) * (K - 1) / K
    exact = logits_of(W, A, *every_sequence())
    np.testing.assert_allclose(exact.mean(0), wanted)
    sampled = logits_of(W, A, *sequences(SIGMA, T, count=20_000, seed=1))
    error = exact.std(0) / np.sqrt(len(sampled))
    assert np.all(np.abs(sampled.mean(0) - wanted) < 4 * error)
    np.testing.assert_allclose(sampled.std(0), exact.std(0), rtol=0.03)


def test_sequences_are_uniform_chains() -> None:
    actions, states = sequences(SIGMA, T, count=3000, seed=0)
    np.testing.assert_array_equal(states[:, 1:], SIGMA[actions, states[:, :-1]])
    for t in range(T):
        np.testing.assert_allclose(np.bincount(actions[:, t]) / 3000, 1 / K, atol=0.04)
        np.testing.assert_allclose(np.bincount(states[:, t]) / 3000, 1 / N, atol=0.04)


def test_shape() -> None:
    # 1 with probability p, else 0: skewness (1 - 2p)/sqrt(pq), excess kurtosis (1 - 6pq)/(pq)
    values = np.zeros((1, 10, 2))
    values[:, :2] = 1
    found = shape(5 * values - 3)
    assert found["skewness"].value == pytest.approx(0.6 / 0.4)
    assert found["kurtosis"].value == pytest.approx((1 - 6 * 0.16) / 0.16)


def test_logits_of_a_run_are_those_of_its_end() -> None:
    run = trained()
    logits = correct_logits(run, most=2, count=20_000)
    assert logits.shape == (2, 20_000, P.T)
    R = np.diagonal(run.attention[:2, -1], axis1=1, axis2=2)
    Q, S = run.Q[:2, -1:], run.S[:2, -1:]
    wanted = Q * (R + (1 - R) / P.K) + S * (1 - R) * (P.K - 1) / P.K
    error = logits.std(1) / np.sqrt(20_000)
    assert np.all(np.abs(logits.mean(1) - wanted) < 4 * error)
    without = correct_logits(replace(run, diverged={0: 20}), most=8, count=100)
    assert len(without) == 2
