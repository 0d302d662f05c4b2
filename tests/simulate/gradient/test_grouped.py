"""Rows grouped by state: in pieces on a CPU, all seeds at once on a GPU."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch

from simulate.gradient import grouped
from simulate.gradient.grouped import Grouped
from simulate.model import Transformer
from tests.simulate.small import CPU, SIZES, task_of

P = SIZES[2]
TASK = task_of(P)


def ready() -> Grouped:
    return Grouped(TASK.train, N=P.N, K=P.K, dtype=torch.float64, device=CPU)


def assert_same(one: Grouped, other: Grouped) -> None:
    model = Transformer(P, TASK)
    A, W = model.attention(), model.W.detach()
    own = A[:, None].expand(-1, TASK.train.actions.shape[1], -1, -1)  # each sequence has its own
    for attention in (A, own):
        for a, b in zip(one.gradient(attention, W), other.gradient(attention, W), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12 * b.abs().max().item())
        for each in fields(one.statistics(attention, W)):
            a, b = (getattr(x.statistics(attention, W), each.name) for x in (one, other))
            np.testing.assert_allclose(a, b, rtol=1e-12, err_msg=each.name)
    assert torch.equal(one.rollout(A, W), other.rollout(A, W))


def test_chunks_of_sequences_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ready()
    monkeypatch.setattr(grouped, "CACHE", 5000)
    pieces = ready()
    assert len(whole.chunks) == 3
    # 60 sequences x 6 rows x 17 numbers of 8 bytes, in pieces of 5000 bytes
    assert len(pieces.chunks) == 3 * 10
    assert_same(pieces, whole)


def test_all_seeds_in_one_chunk_as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    single = ready()
    monkeypatch.setattr(grouped, "one_seed_a_chunk", lambda device: False)
    together = ready()
    assert len(together.chunks) == 1
    assert_same(together, single)


def test_seeds_are_batched_on_a_gpu_only() -> None:
    assert grouped.one_seed_a_chunk(torch.device("cpu"))
    assert not grouped.one_seed_a_chunk(torch.device("cuda"))
