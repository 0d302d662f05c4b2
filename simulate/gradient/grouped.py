"""Loss, exact gradient and rollouts in plain torch, any device: rows grouped by current state.

A row is one sequence at one prediction position. Its current state x selects the column x of every
logic matrix, so the logits of all rows at x are one product z @ W_x, with z_k the attention on
action k. Rows are padded to equally many a state; a padded row has weight 0. The backward pass is
written out and reuses its buffers: on a CPU the time goes into memory, not arithmetic.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from simulate.gradient.data import SAFE, Statistics
from simulate.task import Sequences, indices

CACHE = 8e6  # bytes of one buffer worked on at a time on a CPU


def one_seed_a_chunk(device: torch.device) -> bool:
    """Whether seeds are worked on one by one: on a CPU batching them gains nothing."""
    return device.type == "cpu"


@dataclass(frozen=True, eq=False)
class Chunk:
    """n sequences of b seeds; b N groups, one a seed and state, of ``most`` rows each.

    onehot: (b, T, n K), the actions, so that z = A @ onehot in the order (t, sequence).
    row: (b N most,), where a grouped row is in that order. place: (b T n,), the way back.
    label: (b N, most, 1), the right next state. weight: (b N, most, 1), 1/rows, or 0 for padding.
    """

    seeds: slice
    sequences: slice
    onehot: Tensor
    row: Tensor
    place: Tensor
    label: Tensor
    weight: Tensor


class Grouped:
    """The sequences of B seeds, ready for gradients: ``Data`` on any device."""

    def __init__(
        self, data: Sequences, *, N: int, K: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        """Sort the rows, in chunks: on a CPU a seed and as many sequences as its cache holds."""
        self.N, self.K, self.dtype, self.device = N, K, dtype, device
        B, n, T = data.actions.shape
        self.rows = n * T
        self.first, self.last = (indices(data.states[..., t], device) for t in (0, T))
        pieces, seeds = 1, [slice(0, B)]
        if one_seed_a_chunk(device):
            pieces = max(1, round(self.rows * max(N, K) * dtype.itemsize / CACHE))
            seeds = [slice(s, s + 1) for s in range(B)]
        cuts = np.linspace(0, n, pieces + 1).astype(int)
        pairs = list(itertools.pairwise(cuts))
        self.chunks = [self._chunk(data, s, slice(i, j)) for s in seeds for i, j in pairs]
        most = max(max(chunk.row.numel(), chunk.place.numel()) for chunk in self.chunks)
        self.in_order, self.z, self.y = (
            torch.empty(most * width, dtype=dtype, device=device) for width in (K, K, N)
        )

    def gradient(self, A: Tensor, W: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient of the loss (7) by A and by W.

        A: (B, T, T), or (B, n, T, T) if every sequence has its own. W: (B, K, N, N).
        On a CPU a seed whose W is not finite gets gradient 0.
        """
        by_A, by_W = torch.zeros_like(A), torch.zeros_like(W)
        for chunk in self.chunks:
            largest = float(W[chunk.seeds].abs().max()) if self.device.type == "cpu" else None
            if largest is not None and not math.isfinite(largest):
                continue
            columns = self._columns(W[chunk.seeds])
            z = self._z(chunk, A)
            y = self._logits(chunk, z, columns)
            if largest is not None and largest < SAFE[W.dtype]:
                y.exp_()
                y.mul_(chunk.weight / y.sum(-1, keepdim=True))
            else:
                y = torch.softmax(y, -1).mul_(chunk.weight)
            y.scatter_add_(-1, chunk.label, -chunk.weight)  # y is now dL/dy
            by_columns = torch.bmm(z.transpose(1, 2), y).view(-1, self.N, self.K, self.N)
            by_W[chunk.seeds] += by_columns.permute(0, 2, 3, 1)
            torch.bmm(y, columns.transpose(1, 2), out=z)  # z is now dL/dz
            self._add_by_A(chunk, z, by_A)
        return by_A, by_W

    def statistics(self, A: Tensor, W: Tensor) -> Statistics:
        """Return loss, next-token accuracy and moments of the logits of each seed."""
        sums = torch.zeros(6, len(W), dtype=torch.float64, device=self.device)
        for chunk in self.chunks:
            z = self._z(chunk, A)
            y = self._logits(chunk, z, self._columns(W[chunk.seeds])).double()
            right = y.gather(-1, chunk.label)[..., 0]
            loss = torch.logsumexp(y, -1) - right
            hit = y.argmax(-1) == chunk.label[..., 0]
            others, squares = y.sum(-1) - right, y.square().sum(-1) - right**2
            rows = torch.stack([loss, hit, right, right**2, others, squares])
            rows *= chunk.weight[..., 0] > 0
            sums[:, chunk.seeds] += rows.view(6, len(chunk.onehot), -1).sum(-1)
        return Statistics.from_means(sums.cpu().numpy() / self.rows, N=self.N)

    def rollout(self, A: Tensor, W: Tensor) -> Tensor:
        """Return the share of sequences of each seed whose last state is generated right, (B,)."""
        right = torch.zeros(len(W), dtype=torch.float64, device=self.device)
        for chunk in self.chunks:
            columns = self._columns(W[chunk.seeds])
            b, T, _ = chunk.onehot.shape
            z = (A[chunk.seeds].to(self.dtype) @ chunk.onehot).view(b, T, -1, self.K)
            group = self.N * torch.arange(b, device=self.device)[:, None]
            state = self.first[chunk.seeds, chunk.sequences]
            for t in range(T):
                y = z[:, t].reshape(-1, 1, self.K) @ columns[(group + state).flatten()]
                state = y.argmax(-1).view_as(state)
            right[chunk.seeds] += (state == self.last[chunk.seeds, chunk.sequences]).sum(-1)
        return right / self.first.shape[1]

    def _chunk(self, data: Sequences, seeds: slice, sequences: slice) -> Chunk:
        tokens = (data.actions, data.states)
        actions, states = (  # (b, T, n) and (b, T + 1, n)
            indices(each[seeds, sequences], self.device).transpose(1, 2) for each in tokens
        )
        b, T, n = actions.shape
        groups = b * self.N
        group = states[:, :T].reshape(b, -1)
        group = (group + self.N * torch.arange(b, device=self.device)[:, None]).flatten()
        order = torch.argsort(group, stable=True)
        counts = torch.zeros(groups, dtype=torch.int64, device=self.device)
        counts.index_add_(0, group, torch.ones_like(group))
        most = int(counts.max())
        first = torch.cumsum(counts, 0) - counts
        within = torch.arange(len(order), device=self.device) - first[group[order]]
        place = torch.empty_like(order)
        place[order] = most * group[order] + within
        row = torch.zeros(groups * most, dtype=torch.int64, device=self.device)
        row[place] = torch.arange(len(order), device=self.device)
        weight = torch.zeros(groups * most, dtype=self.dtype, device=self.device)
        weight[place] = 1 / self.rows
        return Chunk(
            seeds=seeds,
            sequences=sequences,
            onehot=one_hot(actions, self.K).to(self.dtype).reshape(b, T, n * self.K),
            row=row,
            place=place,
            label=states[:, 1:].reshape(-1)[row].view(groups, most, 1),
            weight=weight.view(groups, most, 1),
        )

    def _z(self, chunk: Chunk, A: Tensor) -> Tensor:
        """Return the attention on each action, grouped: (b N, most, K)."""
        b, T, nK = chunk.onehot.shape
        in_order = self.in_order[: b * T * nK].view(b, T, nK)
        if A.ndim == 3:
            torch.bmm(A[chunk.seeds].to(self.dtype), chunk.onehot, out=in_order)
        else:
            own = A[chunk.seeds, chunk.sequences].to(self.dtype)
            onehot = chunk.onehot.view(b, T, -1, self.K)
            in_order.view_as(onehot).copy_(torch.einsum("bntj,bjnk->btnk", own, onehot))
        z = self.z[: chunk.row.numel() * self.K].view(-1, self.K)
        torch.index_select(in_order.view(-1, self.K), 0, chunk.row, out=z)
        return z.view(*chunk.weight.shape[:2], self.K)

    def _add_by_A(self, chunk: Chunk, by_z: Tensor, by_A: Tensor) -> None:
        """Add to by_A what the gradient by z, grouped, gives; undoes _z."""
        b, T, nK = chunk.onehot.shape
        in_order = self.in_order[: b * T * nK].view(-1, self.K)
        torch.index_select(by_z.view(-1, self.K), 0, chunk.place, out=in_order)
        if by_A.ndim == 3:
            by_A[chunk.seeds] += in_order.view(b, T, nK) @ chunk.onehot.transpose(1, 2)
        else:
            shape = (b, T, -1, self.K)
            by_A[chunk.seeds, chunk.sequences] = torch.einsum(
                "btnk,bjnk->bntj", in_order.view(shape), chunk.onehot.view(shape)
            ).to(by_A.dtype)

    def _columns(self, W: Tensor) -> Tensor:
        """Return W as (b N, K, N): the logits that each action gives at each current state."""
        return W.permute(0, 3, 1, 2).reshape(-1, self.K, self.N)

    def _logits(self, chunk: Chunk, z: Tensor, columns: Tensor) -> Tensor:
        """Return the logits, grouped: (b N, most, N)."""
        y = self.y[: chunk.row.numel() * self.N].view(*z.shape[:2], self.N)
        return torch.bmm(z, columns, out=y)
