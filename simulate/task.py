"""The task: permutations, sequences of actions and states, and the random start, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meanfield import generated
from meanfield.training import Training
from simulate.settings import Experiment

Tokens = NDArray[np.unsignedinteger[Any]]
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences of B seeds, n each.

    actions: (B, n, T), a_1..a_T, each 0..K-1. states: (B, n, T + 1), s_0..s_T, each 0..N-1 (1).
    """

    actions: Tokens
    states: Tokens

    def take(self, chosen: NDArray[np.int64]) -> Sequences:
        """Return the chosen sequences, (B, m) indices, of each seed."""
        rows = chosen[:, :, None]
        return Sequences(
            np.take_along_axis(self.actions, rows, 1), np.take_along_axis(self.states, rows, 1)
        )


@dataclass(frozen=True, eq=False)
class Task:
    """Everything the seeds decide, B of them in the leading dimension.

    permutations: (B, K, N), action k takes state x to permutations[k, x].
    query, key: (B, d_head, d_embed), uniform as nn.Linear(d_embed, d_head) has them.
    W: (B, K, N, N), uniform.
    """

    seeds: tuple[int, ...]
    permutations: Tokens
    train: Sequences
    test: Sequences
    query: Array
    key: Array
    W: Array


def draw_task(experiment: Experiment) -> Task:
    """Draw the task of each seed from NumPy's default generator of that seed (Appendix B)."""
    p, training, n_test = experiment.parameters, experiment.training, experiment.schedule.n_test
    # nn.Linear's start: variance 1/(3 d_embed) an entry, so that the product with ones has 1/3
    half_width = float(generated.uniform_width(p.qk_variance / training.d_embed))
    drawn = []
    for seed in experiment.seeds:
        rng = np.random.default_rng(seed)
        orders = [rng.permutation(p.N) for _ in range(p.K)]
        permutations = np.stack(orders).astype(token_type(p.N, p.K))
        train = _sequences(rng, permutations, training.n_train, p.T)
        test = _sequences(rng, permutations, n_test, p.T)
        query, key = rng.uniform(-half_width, half_width, (2, p.d_head, training.d_embed))
        W = rng.uniform(-p.w_init, p.w_init, (p.K, p.N, p.N))
        drawn.append((permutations, *train, *test, query, key, W))
    permutations, *sequences, query, key, W = map(np.stack, zip(*drawn, strict=True))
    return Task(
        seeds=experiment.seeds,
        permutations=permutations,
        train=Sequences(*sequences[:2]),
        test=Sequences(*sequences[2:]),
        query=query,
        key=key,
        W=W,
    )


def token_type(N: int, K: int) -> type[np.unsignedinteger[Any]]:
    """Return the type of actions and states: the smaller one that holds K and N of them."""
    return np.uint16 if max(N, K) <= 2**16 else np.uint32


def batches(training: Training, seeds: Sequence[int], epoch: int) -> list[NDArray[np.int64]]:
    """Return the (B, m) indices of each batch of an epoch: a function of seed and epoch alone."""
    orders = [np.random.default_rng((seed, epoch)).permutation(training.n_train) for seed in seeds]
    every = np.stack(orders)
    size = training.batch_size
    return [every[:, i : i + size] for i in range(0, training.n_train, size)]


def indices(tokens: Tokens, device: torch.device) -> Tensor:
    """Return tokens as torch indexes by them: int64, on the device."""
    return torch.as_tensor(tokens.astype(np.int64), device=device)


def _sequences(
    rng: np.random.Generator, permutations: Tokens, n: int, T: int
) -> tuple[Tokens, Tokens]:
    K, N = permutations.shape
    actions = rng.integers(K, size=(n, T), dtype=permutations.dtype)
    states = np.empty((n, T + 1), permutations.dtype)
    states[:, 0] = rng.integers(N, size=n)
    for t in range(T):
        states[:, t + 1] = permutations[actions[:, t], states[:, t]]
    return actions, states
