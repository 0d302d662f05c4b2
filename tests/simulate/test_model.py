"""The model and its order parameters, against the literal transformer and their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.plain import PlainTransformer
from meanfield.parameters import Parameters
from simulate.model import Transformer, attention_of, overlaps, products
from tests.simulate.literal import EmbeddingTransformer, attention, tokens, with_weights
from tests.simulate.small import SIZES, experiment, half_train, task_of, trainer_of


@pytest.mark.parametrize("p", SIZES)
def test_attention_is_the_rows_and_columns_of_the_full_matrix(p: Parameters) -> None:
    task = task_of(p)
    model = Transformer(p, task)
    literal = with_weights(PlainTransformer, model, 1, p)
    full = literal.attention(tokens(task.train, 1, p.K))
    torch.testing.assert_close(
        model.attention()[1], full[0, p.T : 2 * p.T, : p.T].detach(), rtol=0, atol=1e-13
    )
    assert full[:, :, p.T :].abs().max().item() == 0


def test_a_model_starts_from_its_task_with_embeddings_of_1() -> None:
    task = task_of(SIZES[0], d_embed=3)
    model = Transformer(SIZES[0], task, dtype=torch.float32)
    assert (model.W.dtype, model.query.dtype, model.key.dtype) == (
        torch.float32, torch.float64, torch.float64
    )  # fmt: skip
    torch.testing.assert_close(model.W.double(), torch.as_tensor(task.W), rtol=1e-7, atol=0)
    q, k = model.vectors
    np.testing.assert_allclose(q.numpy(), task.query.sum(-1), rtol=1e-14)
    np.testing.assert_allclose(k.numpy(), task.key.sum(-1), rtol=1e-14)
    assert model.embedding.shape == (3, 5 + 7, 3)
    assert bool((model.embedding == 1).all())
    assert not model.embedding.requires_grad
    assert Transformer(SIZES[0], task, fix_embedding=False).embedding.requires_grad
    with torch.no_grad():
        model.query += 1
    assert np.array_equal(task.query, task_of(SIZES[0], d_embed=3).query)  # its own copy


@pytest.mark.parametrize("p", SIZES)
def test_attention_of_learned_embeddings_is_the_literal_models(p: Parameters) -> None:
    trainer = half_train(trainer_of(experiment(p=p, d_embed=2, fix_embedding=False)))
    found = attention_of(trainer.model, trainer.task.train).detach()
    for seed in range(3):
        literal = with_weights(EmbeddingTransformer, trainer.model, seed, p, d_embed=2)
        wanted = attention(literal, tokens(trainer.task.train, seed, p.K))
        torch.testing.assert_close(found[seed], wanted.detach(), rtol=0, atol=1e-12)
    assert float((found[:, 0] - found[:, 1]).abs().max()) > 0.01  # each sequence has its own


def test_the_attention_gradient_is_autograds() -> None:
    p = SIZES[2]
    model = Transformer(p, task_of(p))
    A = model.attention()
    by_A = torch.randn(A.shape, generator=torch.manual_seed(0), dtype=torch.float64)
    by_q, by_k = model.attention_gradient(A, by_A)
    q, k = (vector.requires_grad_() for vector in model.vectors)
    u = products(q, k) @ model.waves.T
    wanted = torch.autograd.grad((torch.softmax(u[:, model.offset], -1) * by_A).sum(), [q, k])
    for one, other in zip((by_q, by_k), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_overlaps_follow_their_definitions() -> None:
    p = SIZES[1]
    task = task_of(p)
    permutations = torch.as_tensor(task.permutations.astype(np.int64))
    Q, S, C = overlaps(torch.as_tensor(task.W, dtype=torch.float32), permutations)
    assert Q.dtype == torch.float64
    for seed in range(3):
        P = np.zeros((p.K, p.N, p.N))
        for k in range(p.K):
            P[k, task.permutations[seed, k], np.arange(p.N)] = 1
        overlap = np.einsum("knm,lnm->kl", task.W[seed], P)
        off = overlap.sum() - np.trace(overlap)
        assert float(Q[seed]) == pytest.approx(np.trace(overlap) / (p.K * p.N), rel=1e-6)
        assert float(S[seed]) == pytest.approx(off / (p.K * (p.K - 1) * p.N), rel=1e-5)
        assert float(C[seed]) == pytest.approx(task.W[seed].sum() / (p.K * p.N), rel=1e-5)


def test_overlaps_of_the_teacher() -> None:
    permutations = torch.tensor([[[1, 2, 0], [0, 1, 2]]])
    W = torch.nn.functional.one_hot(permutations, 3).transpose(2, 3).double()
    Q, S, C = overlaps(W, permutations)
    assert (float(Q), float(S), float(C)) == (1.0, 0.0, 1.0)
