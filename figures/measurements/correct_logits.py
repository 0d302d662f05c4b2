"""The correct logit of trained models over sequences drawn as the task has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.compare.statistics import Estimate, average
from meanfield.runs.run import Run

Array = NDArray[np.float64]
Tokens = NDArray[np.int64]


def correct_logits(run: Run, *, most: int, count: int) -> Array:
    """Return y_c of the trained models of up to ``most`` seeds, (seeds, count, T).

    Each model sees sequences of its own. Seeds that diverged are left out.
    """
    alive = [index for index, seed in enumerate(run.seeds) if int(seed) not in run.diverged]
    logits = []
    for index in alive[:most]:
        permutations = run.permutations[index].astype(np.int64)
        actions, states = sequences(permutations, run.parameters.T, count=count, seed=index)
        logits.append(logits_of(run.W_end[index], run.attention[index, -1], actions, states))
    return np.stack(logits)


def sequences(permutations: Tokens, T: int, *, count: int, seed: int) -> tuple[Tokens, Tokens]:
    """Draw actions (count, T) and states s_0..s_T (count, T + 1), uniform as in (1).

    permutations: (K, N), action k takes state x to permutations[k, x].
    """
    K, N = permutations.shape
    rng = np.random.default_rng(seed)
    actions = rng.integers(K, size=(count, T))
    states = np.empty((count, T + 1), np.int64)
    states[:, 0] = rng.integers(N, size=count)
    for t in range(T):
        states[:, t + 1] = permutations[actions[:, t], states[:, t]]
    return actions, states


def logits_of(W: NDArray[Any], A: Array, actions: Tokens, states: Tokens) -> Array:
    """Return y_c = sum_j A_tj (W_{a_j})[s_t, s_{t-1}] of every step, (count, T).

    W: (K, N, N). A: (T, T). actions: (count, T). states: (count, T + 1).
    """
    steps = [
        W[actions, states[:, t + 1, None], states[:, t, None]].astype(float) @ weights
        for t, weights in enumerate(A)
    ]
    return np.stack(steps, axis=1)


def shape(logits: Array) -> dict[str, Estimate]:
    """Return skewness and excess kurtosis of each step, averaged over steps and then seeds.

    logits: (seeds, count, T).
    """
    z = logits - logits.mean(1, keepdims=True)
    z /= z.std(1, keepdims=True)
    return {
        "skewness": average((z**3).mean((1, 2))),
        "kurtosis": average((z**4).mean((1, 2)) - 3),
    }
