"""Next-token accuracy from sampled sequences: no Gaussians, no independence of the logits.

Along the mean-field flow the logits (X6h) are known but for what chance decides: the vocabulary,
W(0), the actions and the state. These are drawn once and kept for all epochs, so that the curve is
smooth; which logit is largest is then counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import ParameterError
from meanfield.logic.family import Family
from meanfield.logits.gaussian import Gaussian, Rows
from meanfield.parameters import Parameters
from meanfield.start import Start

Array = NDArray[np.float64]

VOCABULARIES, SEQUENCES, RNG_SEED = 16, 512, 20260618


@dataclass(frozen=True)
class Estimate:
    """Accuracy at each epoch and its standard error over the vocabularies drawn, of u's shape."""

    accuracy: Array
    error: Array


@dataclass(frozen=True, kw_only=True)
class Sampled(Gaussian):
    """Logits drawn along the solution; their deviations and margin are those of the Gaussian ones.

    permutations: (K, N), of one seed; drawn anew for each vocabulary if there are none.
    """

    parameters: Parameters
    permutations: NDArray[np.integer] | None

    rtol = 1e-4  # no finer than shares are counted

    @classmethod
    def of(cls, p: Parameters, start: Start, logic: Family) -> Sampled:
        """Return those of a model from a resolved start, with its permutations if it has any."""
        moving = Gaussian.of(p, start, logic)
        return cls(**vars(moving), parameters=p, permutations=start.permutations)

    def next_token_error(self, R: Any, Q: Any, S: Any, attention: Rows) -> Array:
        """Return how often the largest logit is not the right one (17)."""
        u, v = self.logic.weights(Q, S)
        found = next_token_accuracy(
            self.parameters, u, v, attention(), permutations=self.permutations
        )
        return 1 - found.accuracy


def next_token_accuracy(
    parameters: Parameters,
    u: Array,
    v: Array,
    attention: Array,
    *,
    permutations: NDArray[np.integer] | None = None,
    vocabularies: int = VOCABULARIES,
    sequences: int = SEQUENCES,
    rng_seed: int = RNG_SEED,
) -> Estimate:
    """Return how often the largest logit is the right one, when the current state is right.

    u, v: any shape, the weights of the retrieval part and of the heuristic (X4). attention: that
    shape + (T, T), row t the prediction of step t + 1, the diagonal the right action.
    permutations: (K, N), of one seed, action k takes state x to permutations[k, x]; drawn anew for
    each of ``vocabularies`` (at least 2) if not given. W(0) is drawn anew each time in any case.
    sequences: drawn for each. Raises ParameterError for too few of either.
    """
    for name, value, least in (("vocabularies", vocabularies, 2), ("sequences", sequences, 1)):
        if value < least:
            raise ParameterError(f"{name} must be at least {least}, not {value}")
    rng = np.random.default_rng(rng_seed)
    N, K = parameters.N, parameters.K
    shape = np.shape(u)
    u, v, attention = np.ravel(u), np.ravel(v), np.reshape(attention, (-1, *attention.shape[-2:]))
    right = np.empty((vocabularies, len(u)))
    for row in right:
        drawn = permutations
        if drawn is None:
            drawn = rng.permuted(np.tile(np.arange(N), (K, 1)), axis=1)
        row[:] = _right(parameters, u, v, attention, drawn, sequences, rng)
    error = np.std(right, axis=0, ddof=1) / np.sqrt(vocabularies)
    return Estimate(np.mean(right, axis=0).reshape(shape), error.reshape(shape))


def _right(
    parameters: Parameters,
    u: Array,
    v: Array,
    attention: Array,
    permutations: NDArray[np.integer],
    sequences: int,
    rng: np.random.Generator,
) -> Array:
    """Return the share of right predictions at each epoch, for one vocabulary and one W(0)."""
    N, K, T, n = parameters.N, parameters.K, parameters.T, sequences
    each = np.arange(n)
    W_0 = rng.uniform(-parameters.w_init, parameters.w_init, (K, N, N))
    actions = rng.integers(K, size=(n, T))
    step, state = rng.integers(T, size=n), rng.integers(N, size=n)
    chosen = permutations[:, state].T  # (n, K), where each action would lead
    reached = np.take_along_axis(chosen, actions, 1)  # (n, T)
    mean = np.zeros((N, N))  # the mean permutation matrix, a row a state
    np.add.at(mean, (np.arange(N), permutations), 1 / K)
    hits = mean[state]
    rows = np.ascontiguousarray(W_0.swapaxes(1, 2)).reshape(K * N, N)  # a row an action and state
    start = np.take(rows, actions * N + state[:, None], axis=0)  # (n, T, N)
    place = (each[:, None] * N + reached).ravel()  # where each action of a sequence adds its weight
    answer = reached[each, step]
    shares = np.empty(len(u))
    for e, A in enumerate(attention):
        weights = A[step]  # (n, T)
        onto = np.bincount(place, weights.ravel(), n * N).reshape(n, N)
        y = (weights[:, None] @ start)[:, 0] + u[e] * onto + (v[e] - u[e]) * hits  # less v/N
        shares[e] = np.mean(np.argmax(y, axis=1) == answer)
    return shares
