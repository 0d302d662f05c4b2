"""The model (3)-(6): one attention head over the actions, then the logic matrices.

The seed is the leading dimension of every tensor, B of them. Row t = 0..T-1 of an attention matrix
is the prediction position i = T+1+t, column j = 0..T-1 the action position j+1, so the diagonal is
the right action. A logit is y_n = sum_j A_tj (W_{a_j})_{n s_t}.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from meanfield.attention.planes import planes
from meanfield.parameters import Parameters
from simulate.task import Sequences, Task, indices


class Transformer(nn.Module):
    """B models.

    query, key: (B, d_head, d_embed), float64 whatever the dtype of W: they cost nothing, and most
        of float32's rounding error comes from them.
    W: (B, K, N, N), the learnable logic matrices.
    embedding: (B, K + N, d_embed), of the K actions, then of the N states; all 1 at the start.
    """

    waves: Tensor
    offset: Tensor

    def __init__(
        self,
        parameters: Parameters,
        task: Task,
        *,
        fix_embedding: bool = True,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        """Start from the task's query, key and W."""
        super().__init__()
        p = parameters
        self.fix_embedding = fix_embedding

        def parameter(value: object, dtype: torch.dtype = torch.float64) -> nn.Parameter:
            return nn.Parameter(torch.as_tensor(value, dtype=dtype, device=device).clone())

        self.query = parameter(task.query)
        self.key = parameter(task.key)
        self.W = parameter(task.W, dtype)
        d_embed = task.query.shape[2]
        self.embedding = parameter(np.ones((len(task.seeds), p.K + p.N, d_embed)))
        self.embedding.requires_grad = not fix_embedding
        waves = torch.as_tensor(planes(p).waves, device=device)
        step = torch.arange(p.T, device=device)
        self.register_buffer("waves", waves)  # (2T - 1, d_head)
        self.register_buffer("offset", p.T - 1 + step[:, None] - step)  # i - j - 1, (T, T)

    @property
    def vectors(self) -> tuple[Tensor, Tensor]:
        """q and k for unit embeddings, each (B, d_head)."""
        return self.query.detach().sum(-1), self.key.detach().sum(-1)

    def attention(self) -> Tensor:
        """Return the attention for unit embeddings, (B, T, T): it depends on positions only."""
        q, k = self.vectors
        return torch.softmax((products(q, k) @ self.waves.T)[:, self.offset], -1)

    def attention_gradient(self, A: Tensor, by_A: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient by q and k of what has the gradient ``by_A`` by the attention A."""
        by_u = A * (by_A - (A * by_A).sum(-1, keepdim=True))
        T = A.shape[-1]
        by_offset = A.new_zeros(len(A), 2 * T - 1)
        by_offset.index_add_(1, self.offset.flatten(), by_u.flatten(1))
        real, imaginary = (by_offset @ self.waves).chunk(2, -1)
        q, k = self.vectors
        (q1, q2), (k1, k2) = q.chunk(2, -1), k.chunk(2, -1)
        by_q = torch.cat([real * k1 - imaginary * k2, real * k2 + imaginary * k1], -1)
        by_k = torch.cat([real * q1 + imaginary * q2, real * q2 - imaginary * q1], -1)
        return by_q, by_k

    def attention_of(self, actions: Tensor, states: Tensor) -> Tensor:
        """Return the attention for learned embeddings, sequence by sequence: (B, n, T, T).

        actions: (B, n, T). states: (B, n, T), the current ones.
        """
        K = self.W.shape[1]
        seed = torch.arange(len(self.W), device=self.W.device)[:, None, None]
        own = self.embedding[seed, K + states]  # (B, n, T, d_embed)
        past = self.embedding[seed, actions]
        h = self.query.shape[1] // 2
        (q1, q2), (k1, k2) = (m.split(h, 1) for m in (self.query, self.key))

        def table(real: Tensor, imaginary: Tensor) -> Tensor:
            return torch.einsum("mr,brxy->bmxy", self.waves[:, :h], real) + torch.einsum(
                "mr,brxy->bmxy", self.waves[:, h:], imaginary
            )

        def outer(a: Tensor, b: Tensor) -> Tensor:
            return a[..., :, None] * b[..., None, :]

        by_offset = table(outer(q1, k1) + outer(q2, k2), outer(q2, k1) - outer(q1, k2))
        u = torch.einsum("bntx,btjxy,bnjy->bntj", own, by_offset[:, self.offset], past)
        return torch.softmax(u, -1)


def attention_of(model: Transformer, data: Sequences) -> Tensor:
    """Return the attention of every sequence under learned embeddings, (B, n, T, T)."""
    actions, states = (indices(each, model.W.device) for each in (data.actions, data.states))
    return model.attention_of(actions, states[..., :-1])


def products(q: Tensor, k: Tensor) -> Tensor:
    """Return (Re p_r, Im p_r) of p_r = q_r k_r*, (B, d): all of q and k that attention sees."""
    (q1, q2), (k1, k2) = q.chunk(2, -1), k.chunk(2, -1)
    return torch.cat([q1 * k1 + q2 * k2, q2 * k1 - q1 * k2], -1)


def overlaps(W: Tensor, permutations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return Q, S (9) and C (40), each (B,) in float64.

    W: (B, K, N, N). permutations: (B, K, N), int64.
    """
    _, K, N, _ = W.shape
    by_state = W.transpose(2, 3).double()
    P = nn.functional.one_hot(permutations, N).to(by_state)  # P[k, x, n]
    own = (by_state * P).sum((1, 2, 3))
    every = (by_state.sum(1) * P.sum(1)).sum((1, 2))
    return own / (N * K), (every - own) / (N * K * (K - 1)), by_state.sum((1, 2, 3)) / (N * K)
