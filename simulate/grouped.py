"""Loss, exact gradient and rollouts in plain torch, any device: rows grouped by current state.

A row is one sequence at one prediction position. Its current state x selects the column x of every
logic matrix, so the logits of all rows at x are one product z @ W_x, with z_k the attention on
action k. Rows are padded to equally many a state; a padded row has weight 0. The backward pass is
written out and reuses its buffers: on a CPU the time goes into memory, not arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from simulate.measures import Statistics
from simulate.task import Sequences

# Rows are convex combinations of W, so |logit| <= max|W|, and exp needs no max subtracted below:
SAFE = {torch.float32: 80.0, torch.float64: 700.0}
CACHE = 8e6  # bytes of one buffer worked on at a time on a CPU


@dataclass(frozen=True, eq=False)
class Chunk:
    """Sequences of one or more seeds, with b seeds, n sequences, N states, ``most`` rows a state.

    onehot: (b, T, n K), the actions: z = A @ onehot.
    row: (b N most,), where each grouped row is among the b T n rows in order (t, sequence).
    place: (b T n,), where each of those rows is among the grouped ones.
    label: (b N, most, 1), the right next state. weight: (b N, most, 1), 1, or 0 for padding.
    """

    seeds: slice
    onehot: Tensor
    row: Tensor
    place: Tensor
    label: Tensor
    weight: Tensor


class Grouped:
    """The sequences of B seeds, ready for gradients."""

    def __init__(
        self, data: Sequences, *, N: int, K: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        """Sort the rows, in chunks: on a CPU a seed and as many sequences as its cache holds."""
        self.N, self.K, self.dtype, self.device = N, K, dtype, device
        B, n, T = data.actions.shape
        self.rows = n * T
        self.first = torch.as_tensor(data.states[:, :, 0].astype(np.int64), device=device)
        self.last = torch.as_tensor(data.states[:, :, -1].astype(np.int64), device=device)
        if device.type == "cpu":
            bytes_each = T * max(N, K) * dtype.itemsize
            pieces = max(1, round(n * bytes_each / CACHE))
            seeds = [slice(s, s + 1) for s in range(B)]
        else:
            pieces, seeds = 1, [slice(0, B)]
        cuts = np.linspace(0, n, pieces + 1).astype(int)
        self.chunks = [
            self._chunk(which, data.actions[which, i:j], data.states[which, i:j])
            for which in seeds
            for i, j in zip(cuts[:-1], cuts[1:], strict=True)
        ]
        size = max(max(chunk.row.numel(), chunk.place.numel()) for chunk in self.chunks)
        self.buffers = [
            torch.empty(size * width, dtype=dtype, device=device) for width in (K, K, N)
        ]

    def _chunk(self, seeds: slice, actions: np.ndarray, states: np.ndarray) -> Chunk:
        b, n, T = actions.shape
        N, K = self.N, self.K

        def tensor(values: np.ndarray) -> Tensor:
            return torch.as_tensor(values.astype(np.int64), device=self.device)

        by_step = one_hot(tensor(actions).transpose(1, 2), K).to(self.dtype)  # (b, T, n, K)
        own = tensor(states).transpose(1, 2)  # (b, T + 1, n)
        group = own[:, :T].reshape(b, T * n) + N * torch.arange(b, device=self.device)[:, None]
        group = group.flatten()  # (b T n,), which of the b N groups
        order = torch.argsort(group, stable=True)
        counts = torch.bincount(group, minlength=b * N)
        most = int(counts.max())
        start = torch.cumsum(counts, 0) - counts
        place_in_order = most * group[order] + torch.arange(len(order), device=self.device)
        place_in_order -= start[group[order]]
        row = torch.zeros(b * N * most, dtype=torch.int64, device=self.device)
        row[place_in_order] = order
        place = torch.empty_like(order)
        place[order] = place_in_order
        weight = torch.zeros(b * N * most, dtype=self.dtype, device=self.device)
        weight[place] = 1
        label = own[:, 1:].reshape(-1)[row]
        return Chunk(
            seeds, by_step.reshape(b, T, n * K), row, place,
            label.view(b * N, most, 1), weight.view(b * N, most, 1),
        )  # fmt: skip

    def gradient(self, A: Tensor, W: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient of the loss (7) by A and by W.

        A: (B, T, T), any float dtype. W: (B, K, N, N).
        """
        by_A, by_W = torch.zeros_like(A), torch.zeros_like(W)
        bounded = W.device.type == "cpu" and float(W.abs().max()) < SAFE[W.dtype]
        for chunk in self.chunks:
            b, T, nK = chunk.onehot.shape
            columns = self._columns(W[chunk.seeds])
            z = self._z(chunk, A[chunk.seeds])
            y = self._logits(chunk, z, columns)
            if bounded:
                total = y.exp_().sum(-1, keepdim=True)
                y.mul_(chunk.weight / self.rows / total)
            else:
                y = torch.softmax(y, -1).mul_(chunk.weight / self.rows)
            y.scatter_add_(-1, chunk.label, chunk.weight / -self.rows)  # y is dL/dy now
            by_W[chunk.seeds] += self._matrices(torch.bmm(z.transpose(1, 2), y), b)
            torch.bmm(y, columns.transpose(1, 2), out=z)  # z is dL/dz now
            by_z = self.buffers[0][: b * T * nK].view(-1, self.K)
            torch.index_select(z.view(-1, self.K), 0, chunk.place, out=by_z)
            by_A[chunk.seeds] += by_z.view(b, T, nK) @ chunk.onehot.transpose(1, 2)
        return by_A, by_W

    def statistics(self, A: Tensor, W: Tensor) -> Statistics:
        """Return loss, next-token accuracy and moments of the logits of each seed."""
        sums = torch.zeros(6, len(A), dtype=torch.float64, device=self.device)
        for chunk in self.chunks:
            y = self._logits(chunk, self._z(chunk, A[chunk.seeds]), self._columns(W[chunk.seeds]))
            right = y.gather(-1, chunk.label)[..., 0].double()
            loss = torch.logsumexp(y, -1).double() - right
            hit = (y.argmax(-1) == chunk.label[..., 0]).double()
            y_sum, y_square = y.sum(-1).double() - right, y.square().sum(-1).double() - right**2
            weight = chunk.weight[..., 0].double()
            measured = torch.stack([loss, hit, right, right**2, y_sum, y_square]) * weight
            b = len(chunk.onehot)
            sums[:, chunk.seeds] += measured.view(6, b, -1).sum(-1)
        return Statistics.from_sums(sums.cpu().numpy(), rows=self.rows, N=self.N)

    def rollout(self, A: Tensor, W: Tensor) -> Tensor:
        """Return the accuracy of the last state of greedy rollouts of each seed, (B,)."""
        accuracy = torch.empty(len(A), dtype=torch.float64, device=self.device)
        for which in sorted({(chunk.seeds.start, chunk.seeds.stop) for chunk in self.chunks}):
            seeds = slice(*which)
            columns = self._columns(W[seeds])
            of_seed = self.N * torch.arange(seeds.stop - seeds.start, device=self.device)[:, None]
            parts = [
                (A[seeds].to(self.dtype) @ chunk.onehot).view(*A[seeds].shape[:2], -1, self.K)
                for chunk in self.chunks
                if chunk.seeds == seeds
            ]
            z = torch.cat(parts, 2)  # (b, T, n, K)
            state = self.first[seeds]
            for t in range(A.shape[1]):
                at_state = columns[(of_seed + state).flatten()]  # (b n, K, N)
                y = z[:, t].reshape(-1, 1, self.K) @ at_state
                state = y.argmax(-1).view_as(state)
            accuracy[seeds] = (state == self.last[seeds]).double().mean(-1)
        return accuracy

    def _columns(self, W: Tensor) -> Tensor:
        """Return W as (b N, K, N): for each current state, the logits each action gives."""
        return W.permute(0, 3, 1, 2).reshape(-1, self.K, self.N)

    def _matrices(self, columns: Tensor, b: int) -> Tensor:
        """Undo _columns."""
        return columns.view(b, self.N, self.K, self.N).permute(0, 2, 3, 1)

    def _z(self, chunk: Chunk, A: Tensor) -> Tensor:
        """Return the attention on each action, grouped: (b N, most, K)."""
        in_order = self.buffers[0][: chunk.onehot.numel()].view(chunk.onehot.shape)
        torch.bmm(A.to(self.dtype), chunk.onehot, out=in_order)
        z = self.buffers[1][: chunk.row.numel() * self.K].view(-1, self.K)
        torch.index_select(in_order.view(-1, self.K), 0, chunk.row, out=z)
        return z.view(*chunk.weight.shape[:2], self.K)

    def _logits(self, chunk: Chunk, z: Tensor, columns: Tensor) -> Tensor:
        """Return the logits, grouped: (b N, most, N)."""
        y = self.buffers[2][: chunk.row.numel() * self.N].view(*z.shape[:2], self.N)
        return torch.bmm(z, columns, out=y)
