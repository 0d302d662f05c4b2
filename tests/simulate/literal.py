"""The transformer of Appendix C, and a seed's weights put into a plain model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from benchmarks.plain import PlainTransformer
from meanfield.parameters import Parameters
from simulate.model import Transformer
from simulate.task import Sequences


class GLUTransformer(PlainTransformer):
    """Bundled one-hot embeddings, matrix-shaped keys and queries, a GLU block (19)-(24)."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        N, K = self.N, self.K
        del self.W_Q, self.W_K
        self.q = nn.Parameter(torch.zeros(self.d_head))
        self.k = nn.Parameter(torch.zeros(self.d_head))
        E = [torch.outer(torch.ones(N), one_hot(torch.tensor(k), K)) for k in range(K)]
        self.W_gate = torch.cat([torch.cat(E), torch.zeros(K * N, N)], 1)  # (22)
        self.W_up = torch.cat([torch.cat([torch.zeros(N, K), torch.eye(N)], 1)] * K)  # (21)

    def W_Q(self, e: Tensor) -> Tensor:
        return e @ torch.outer(self.q, torch.ones_like(e[0, 0])).T  # (23)

    def W_K(self, e: Tensor) -> Tensor:
        return e @ torch.outer(self.k, torch.ones_like(e[0, 0])).T

    def embed(self, tokens: Tensor) -> Tensor:
        return one_hot(tokens, self.K + self.N).to(self.W.dtype)

    def logic(self, z: Tensor, state: Tensor) -> Tensor:
        h = torch.cat([z, one_hot(state, self.N).to(self.W.dtype)], -1)
        W_down = torch.cat(list(self.W), 1)
        return ((h @ self.W_gate.T) * (h @ self.W_up.T)) @ W_down.T  # (20), phi the identity


class EmbeddingTransformer(PlainTransformer):
    """The plain model with an embedding table of any dimension."""

    def __init__(self, *, d_embed: int, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.W_Q = nn.Linear(d_embed, self.d_head, bias=False)
        self.W_K = nn.Linear(d_embed, self.d_head, bias=False)
        self.embedding = nn.Embedding(self.K + self.N, d_embed)

    def embed(self, tokens: Tensor) -> Tensor:
        return self.embedding(tokens)


def tokens(data: Sequences, seed: int, K: int) -> Tensor:
    """Return (2) for every sequence of one seed."""
    both = [data.actions[seed].astype(np.int64), K + data.states[seed].astype(np.int64)]
    return torch.as_tensor(np.concatenate(both, 1))


def with_weights(kind: type, model: Transformer, seed: int, p: Parameters, **more: Any) -> Any:
    """Return a plain model in float64 that has the weights of one seed."""
    torch.set_default_dtype(torch.float64)
    try:
        result = kind(N=p.N, K=p.K, T=p.T, d_head=p.d_head, frequencies=p.frequencies, **more)
    finally:
        torch.set_default_dtype(torch.float32)
    weights = {
        "W": model.W[seed],
        "W_Q.weight": model.query[seed],
        "W_K.weight": model.key[seed],
        "embedding.weight": model.embedding[seed],
        "q": model.query[seed, :, 0],
        "k": model.key[seed, :, 0],
    }
    result.load_state_dict({name: weights[name] for name in result.state_dict()})
    return result


def attention(literal: PlainTransformer, sequence: Tensor) -> Tensor:
    """Return the attention of the prediction positions on the actions, (n, T, T)."""
    return literal.attention(sequence)[:, literal.T : 2 * literal.T, : literal.T]


def rollout_accuracy(literal: PlainTransformer, sequence: Tensor) -> float:
    """Return the share of last states that are right, generated token by token."""
    T, K = literal.T, literal.K
    generated = sequence.clone()
    generated[:, T + 1 :] = K  # nothing of the answer is there to be seen
    for t in range(T):
        generated[:, T + 1 + t] = K + literal(generated)[:, t].argmax(-1)
    return float((generated[:, -1] == sequence[:, -1]).double().mean())
