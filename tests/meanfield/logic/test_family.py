"""The family of logic matrices against matrices themselves, at K other than N and an uneven start.

W_k = W_k(0) + u (P_k - P) + v (P - J/N), P the mean permutation matrix and J all ones.
"""

from __future__ import annotations

import numpy as np
import pytest

from meanfield import Parameters, Start
from meanfield.logic.family import Family
from meanfield.start import vocabulary_overlap

N, K = 6, 4
RNG = np.random.default_rng(5)
PERMUTATIONS = RNG.permuted(np.tile(np.arange(N), (K, 1)), axis=1)
MATRICES = np.eye(N)[PERMUTATIONS].transpose(0, 2, 1)  # (K, n, x)


def overlaps(W: np.ndarray) -> tuple[float, float]:
    """Q and S by their definitions (9)."""
    all_pairs = np.einsum("knx,lnx->kl", W, MATRICES) / N
    Q = float(np.mean(np.diagonal(all_pairs)))
    return Q, float((np.sum(all_pairs) - K * Q) / (K * (K - 1)))


W_0 = RNG.uniform(-0.3, 0.3, (K, N, N)) + 0.2 * MATRICES
Q_0, S_0 = overlaps(W_0)
FAMILY = Family(N=N, K=K, Q=Q_0, S=S_0, overlap=float(vocabulary_overlap(PERMUTATIONS)))


@pytest.mark.parametrize(("u", "v"), [(0.0, 0.0), (1.7, 0.0), (0.0, 2.3), (1.1, -0.6)])
def test_weights_are_those_of_the_matrices(u: float, v: float) -> None:
    mean = MATRICES.mean(0)
    W = W_0 + u * (MATRICES - mean) + v * (mean - 1 / N)
    assert FAMILY.weights(*overlaps(W)) == pytest.approx((u, v), abs=1e-13)


def test_overlaps_from_what_was_gained() -> None:
    Q, S = FAMILY.overlaps(0.3, -0.02)
    assert pytest.approx(S_0 - 0.02, abs=1e-15) == S
    assert pytest.approx(Q_0 - S_0 + 0.3, abs=1e-15) == Q - S


def test_Q_keeps_the_digits_of_what_was_gained() -> None:
    """From 1e9 to where U is 1/3 and S is 2: Q has all its digits, whatever it started from."""
    family = Family(N=N, K=K, Q=1e9, S=1e9, overlap=0.2)
    Q, S = family.overlaps(1 / 3, 2.0 - 1e9)
    assert (Q, S) == (1 / 3 + 2, 2.0)


def test_it_is_that_of_a_model_from_a_start() -> None:
    p, start = Parameters(N=N, K=K, T=5), Start(Q=Q_0, S=S_0, permutations=PERMUTATIONS)
    assert Family.of(p, start.resolved(p)) == FAMILY


def test_many_seeds_side_by_side() -> None:
    starts = np.array([[0.1, 0.0], [0.4, -0.2], [0.0, 0.3]])
    overlap = np.array([0.1, 0.2, 0.3])
    together = Family(N=N, K=K, Q=starts[:, :1], S=starts[:, 1:], overlap=overlap[:, None])
    Q, S = RNG.normal(size=(2, 3, 5))
    u, v = together.weights(Q, S)
    for row, (Q0, S0) in enumerate(starts):
        one = Family(N=N, K=K, Q=Q0, S=S0, overlap=overlap[row])
        np.testing.assert_allclose(one.weights(Q[row], S[row]), (u[row], v[row]), rtol=1e-14)
