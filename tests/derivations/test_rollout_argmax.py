"""(16)-(18) and (17) at work: a NumPy student with Gaussian logits, rolled out by argmax."""

from __future__ import annotations

import numpy as np
import pytest

from derivations.paper import rollout
from derivations.paper.rollout import accuracy, error, integrated, plain, sigma_c, sigma_o
from derivations.symbols import Delta, N, T


@pytest.mark.parametrize(
    ("states", "steps", "margin", "deviations"),
    [(2, 4, 0.5, (0.6, 0.9)), (6, 5, 2.0, (1.0, 0.5)), (20, 3, 3.5, (0.8, 0.9))],
)
def test_argmax_rollouts(
    states: int, steps: int, margin: float, deviations: tuple[float, float]
) -> None:
    """Next-token and rollout accuracy within 4 standard errors of 100 000 rollouts."""
    rng = np.random.default_rng(18)
    count = 100_000
    true = rng.integers(states, size=count)
    own = true.copy()
    hits = []
    for _ in range(steps):
        shift = rng.integers(states, size=count)  # cyclic permutations are enough
        logits = rng.normal(0, deviations[1], (count, states))
        image = (own + shift) % states
        logits[np.arange(count), image] = rng.normal(margin, deviations[0], count)
        true, own = (true + shift) % states, logits.argmax(1)
        hits.append(own == image)
    given = {N: states, T: steps, Delta: margin, sigma_c: deviations[0], sigma_o: deviations[1]}
    a = float(integrated(rollout.next_token_accuracy.statement, given))
    e = float(integrated(rollout.next_token_error.statement, given))
    final = float(rollout.rollout_accuracy.statement.rhs.subs(given).subs(accuracy, a))
    failed = float(plain(rollout.rollout_error.statement.rhs).subs(given).subs(error, e))
    assert a + e == pytest.approx(1, abs=1e-12)
    assert final + failed == pytest.approx(1, abs=1e-12)
    for claimed, sample in ((a, np.concatenate(hits)), (final, own == true)):
        standard_error = sample.std() / np.sqrt(sample.size)
        assert standard_error < 0.02 * min(claimed, 1 - claimed)
        assert abs(sample.mean() - claimed) < 4 * standard_error
