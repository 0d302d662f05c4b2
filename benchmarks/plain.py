"""The transformer as Appendix B tells a student to write it: what the simulator is held against.

Nothing here is clever, and nothing is shared with simulate/: every token is embedded, every pair of
positions attended, every logic matrix formed, and autograd does the rest.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot


class PlainTransformer(nn.Module):
    """One model (3)-(6). Tokens are actions 0..K-1 and states K..K+N-1, 2T + 1 of them (2)."""

    def __init__(
        self, *, N: int, K: int, T: int, d_head: int, frequencies: tuple[float, ...]
    ) -> None:
        """Keys and queries by nn.Linear's own start, logic matrices uniform."""
        super().__init__()
        self.N, self.K, self.T, self.d_head = N, K, T, d_head
        self.W_Q = nn.Linear(1, d_head, bias=False)
        self.W_K = nn.Linear(1, d_head, bias=False)
        self.W = nn.Parameter(torch.empty(K, N, N).uniform_(-1 / math.sqrt(N), 1 / math.sqrt(N)))
        position = torch.arange(1, 2 * T + 2, dtype=torch.float64)
        angles = position[:, None] * torch.tensor(frequencies, dtype=torch.float64)
        self.cos, self.sin = angles.cos().to(self.W.dtype), angles.sin().to(self.W.dtype)
        index = torch.arange(2 * T + 1)
        self.allowed = (index <= index[:, None]) & (index < T)

    def rope(self, x: Tensor) -> Tensor:
        """Turn plane r, the entries r and r + d/2, by omega_r times the position."""
        first, second = x.chunk(2, dim=-1)
        return torch.cat(
            [first * self.cos - second * self.sin, first * self.sin + second * self.cos], dim=-1
        )

    def embed(self, tokens: Tensor) -> Tensor:
        """Every token's embedding is 1."""
        return torch.ones(*tokens.shape, 1, dtype=self.W.dtype)

    def attention(self, tokens: Tensor) -> Tensor:
        """Return (batch, 2T + 1, 2T + 1), causal and restricted to actions (4)."""
        e = self.embed(tokens)
        q, k = self.rope(self.W_Q(e)), self.rope(self.W_K(e))
        scores = torch.einsum("bid,bjd->bij", q, k) / math.sqrt(self.d_head)
        return torch.softmax(scores.masked_fill(~self.allowed, -math.inf), dim=-1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of the T prediction positions, (batch, T, N)."""
        action = tokens < self.K
        values = one_hot(tokens.where(action, 0), self.K).to(self.W.dtype) * action[..., None]
        z = torch.einsum("bij,bjk->bik", self.attention(tokens), values)
        predicting = slice(self.T, 2 * self.T)
        return self.logic(z[:, predicting], tokens[:, predicting] - self.K)

    def logic(self, z: Tensor, state: Tensor) -> Tensor:
        """Apply M(z) = sum_k z_k W_k to the one-hot state (6)."""
        M = torch.einsum("bik,knm->binm", z, self.W)
        return torch.einsum("binm,bim->bin", M, one_hot(state, self.N).to(self.W.dtype))


def loss(model: PlainTransformer, tokens: Tensor) -> Tensor:
    """Return the cross-entropy over the T predicted states (7)."""
    target = tokens[:, model.T + 1 :] - model.K
    return cross_entropy(model(tokens).flatten(0, 1), target.flatten())
