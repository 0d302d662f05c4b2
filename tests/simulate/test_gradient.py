"""Loss, gradients, statistics and rollouts against the literal transformers of Appendix B and C."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.plain import PlainTransformer, loss
from meanfield.parameters import Parameters
from simulate import fused, grouped
from simulate.fused import Fused
from simulate.grouped import Grouped
from simulate.model import Transformer, overlaps
from simulate.observe import measure
from simulate.settings import Training
from simulate.task import Task, make
from simulate.train import gradient
from tests.simulate.literal import EmbeddingTransformer, GLUTransformer, tokens, with_weights

CPU = torch.device("cpu")
KERNELS = ("torch", "fused")
needs_compiler = pytest.mark.skipif(fused.compiler() is None, reason="no C compiler")
SIZES = (
    Parameters(N=7, K=5, T=4, d_head=6, rope_theta=10.0),
    Parameters(N=4, K=9, T=3, d_head=8, rope_spacing="linear", w_init=2.0),
    Parameters(N=17, K=3, T=6, d_head=2, rope_theta=100.0, qk_variance=4.0),
)


def task_of(p: Parameters, *, seeds: int = 3, **training: Any) -> tuple[Training, Task]:
    settings = Training(**{"n_train": 60, "n_test": 40, **training})
    return settings, make(p, settings, range(seeds))


def data(kernel: str, task: Task, p: Parameters, dtype: torch.dtype = torch.float64) -> Any:
    if kernel == "fused":
        if fused.compiler() is None:
            pytest.skip("no C compiler")
        return Fused(task.train, N=p.N, K=p.K, dtype=dtype)
    return Grouped(task.train, N=p.N, K=p.K, dtype=dtype, device=CPU)


def assert_near(found: Tensor, wanted: Tensor, *, tolerance: float = 1e-12) -> None:
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max().item() <= tolerance * wanted.abs().max().item()


@pytest.mark.parametrize("p", SIZES)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", [PlainTransformer, GLUTransformer])
def test_loss_and_every_gradient_are_those_of_the_literal_transformer(
    kind: type, kernel: str, p: Parameters
) -> None:
    _, task = task_of(p)
    model = Transformer(p, task)
    train = data(kernel, task, p)
    found = gradient(model, train, task.train)
    found_loss = train.statistics(model.attention(), model.W.detach()).loss
    for seed in range(3):
        literal = with_weights(kind, model, seed, p)
        value = loss(literal, tokens(task.train, seed, p.K))
        value.backward()
        assert found_loss[seed] == pytest.approx(value.item(), rel=1e-12)
        assert_near(found["W"][seed], literal.W.grad)
        glu = kind is GLUTransformer
        by_query = literal.q.grad[:, None] if glu else literal.W_Q.weight.grad
        by_key = literal.k.grad[:, None] if glu else literal.W_K.weight.grad
        assert_near(found["query"][seed], by_query)
        assert_near(found["key"][seed], by_key)


@pytest.mark.parametrize("fix_embedding", [True, False])
@pytest.mark.parametrize("d_embed", [1, 3])
def test_embeddings_of_any_dimension_fixed_or_learned(d_embed: int, fix_embedding: bool) -> None:
    p = SIZES[0]
    _, task = task_of(p, d_embed=d_embed)
    model = Transformer(p, task, fix_embedding=fix_embedding)
    if not fix_embedding:
        with torch.no_grad():
            model.embedding += torch.randn(model.embedding.shape, generator=torch.manual_seed(0))
    found = gradient(model, data("torch", task, p), task.train)
    for seed in range(3):
        literal = with_weights(EmbeddingTransformer, model, seed, p, d_embed=d_embed)
        loss(literal, tokens(task.train, seed, p.K)).backward()
        assert_near(found["query"][seed], literal.W_Q.weight.grad)
        assert_near(found["key"][seed], literal.W_K.weight.grad)
        assert_near(found["W"][seed], literal.W.grad)
        if not fix_embedding:
            assert_near(found["embedding"][seed], literal.embedding.weight.grad)
    assert ("embedding" in found) == (not fix_embedding)


def test_attention_matches_the_rows_and_columns_of_the_full_matrix() -> None:
    p = SIZES[0]
    _, task = task_of(p)
    model = Transformer(p, task)
    full = with_weights(PlainTransformer, model, 1, p).attention(tokens(task.train, 1, p.K))
    assert_near(full[0, p.T : 2 * p.T, : p.T], model.attention()[1])
    assert full[:, :, p.T :].abs().max().item() == 0


@pytest.mark.parametrize("kernel", KERNELS)
def test_statistics_are_those_of_the_literal_logits(kernel: str) -> None:
    p = SIZES[1]
    _, task = task_of(p)
    model = Transformer(p, task)
    found = data(kernel, task, p).statistics(model.attention(), model.W.detach())
    for seed in range(3):
        sequence = tokens(task.train, seed, p.K)
        y = with_weights(PlainTransformer, model, seed, p)(sequence).detach().numpy()
        label = sequence[:, p.T + 1 :].numpy() - p.K
        right = np.take_along_axis(y, label[..., None], -1)
        other = y[np.arange(p.N) != label[..., None]]
        assert found.accuracy[seed] == np.mean(y.argmax(-1) == label)
        assert found.correct_logit[seed] == pytest.approx(right.mean(), rel=1e-12)
        assert found.correct_logit_std[seed] == pytest.approx(right.std(), rel=1e-12)
        assert found.other_logit[seed] == pytest.approx(other.mean(), rel=1e-11)
        assert found.other_logit_std[seed] == pytest.approx(other.std(), rel=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_of_equal_logits_the_first_state_is_predicted(kernel: str) -> None:
    p = SIZES[1]
    _, task = task_of(p)
    A, W = Transformer(p, task).attention(), torch.zeros(3, p.K, p.N, p.N, dtype=torch.float64)
    found = data(kernel, task, p)
    first = task.train.states == 0
    assert found.statistics(A, W).accuracy.tolist() == first[..., 1:].mean((1, 2)).tolist()
    assert found.rollout(A, W).tolist() == first[..., -1].mean(1).tolist()


def half_trained(p: Parameters, task: Task) -> Transformer:
    """A model between guessing and knowing, so that its rollouts go wrong here and there."""
    model = Transformer(p, task)
    rng = np.random.default_rng(5)
    with torch.no_grad():
        model.query += 2 * torch.as_tensor(rng.normal(size=model.query.shape))
        model.key += 2 * torch.as_tensor(rng.normal(size=model.key.shape))
        for seed in range(len(task.seeds)):
            for k in range(p.K):
                model.W[seed, k, task.permutations[seed, k].astype(int), range(p.N)] += 1.0
    return model


@pytest.mark.parametrize("kernel", [*KERNELS, "learned"])
def test_rollouts_generate_token_by_token(kernel: str) -> None:
    p = Parameters(N=5, K=3, T=3, d_head=8)
    _, task = task_of(p, n_train=400)
    model = half_trained(p, task)
    if kernel == "learned":
        from simulate.observe import learned_rollout

        with torch.no_grad():
            model.embedding += 0.5 * torch.randn(
                model.embedding.shape, generator=torch.manual_seed(1)
            )
            found = learned_rollout(model, task.train)
    else:
        found = data(kernel, task, p).rollout(model.attention(), model.W.detach())
    for seed in range(3):
        literal = with_weights(EmbeddingTransformer, model, seed, p, d_embed=1)
        sequence = tokens(task.train, seed, p.K)
        generated = sequence.clone()
        generated[:, p.T + 1 :] = p.K  # nothing of the answer is there to be seen
        for t in range(p.T):
            generated[:, p.T + 1 + t] = p.K + literal(generated)[:, t].argmax(-1)
        wanted = float((generated[:, -1] == sequence[:, -1]).double().mean())
        assert 0.21 < wanted < 0.999
        assert float(found[seed]) == wanted


@pytest.mark.parametrize("d_embed", [1, 2])
def test_order_parameters_and_gradient_of_R_from_their_definitions(d_embed: int) -> None:
    p = SIZES[1]
    settings, task = task_of(p, d_embed=d_embed)
    model = half_trained(p, task)
    train, test = data("torch", task, p), Grouped(task.test, N=p.N, K=p.K, dtype=torch.float64,
                                                  device=CPU)  # fmt: skip
    found = measure(model, task, train, test)
    W = model.W.detach().numpy()
    for seed in range(3):
        P = np.zeros((p.K, p.N, p.N))
        for k in range(p.K):
            P[k, task.permutations[seed, k], np.arange(p.N)] = 1
        overlap = np.einsum("knm,lnm->kl", W[seed], P)
        assert found["Q"][seed] == pytest.approx(np.trace(overlap) / (p.K * p.N), rel=1e-12)
        off = overlap.sum() - np.trace(overlap)
        assert found["S"][seed] == pytest.approx(off / (p.K * (p.K - 1) * p.N), rel=1e-11)
        assert found["C"][seed] == pytest.approx(W[seed].sum() / (p.K * p.N), rel=1e-11)
        literal = with_weights(EmbeddingTransformer, model, seed, p, d_embed=d_embed)
        A = literal.attention(tokens(task.train, seed, p.K))[0, p.T : 2 * p.T, : p.T]
        R = A.diagonal().mean()
        R.backward()
        gradients = (literal.W_Q.weight.grad, literal.W_K.weight.grad)
        assert found["R"][seed] == pytest.approx(float(R.detach()), rel=1e-12)
        assert found["grad_R_squared"][seed] == pytest.approx(
            sum(float(g.square().sum()) for g in gradients), rel=1e-11
        )
    learned = Transformer(p, task, fix_embedding=False)
    learned.load_state_dict(model.state_dict())
    again = measure(learned, task, train, test)
    for name, value in found.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-11, atol=1e-15, err_msg=name)
    assert settings.full_batch


@pytest.mark.parametrize("kernel", KERNELS)
def test_logits_too_large_for_exp_are_not(kernel: str) -> None:
    p = SIZES[0]
    _, task = task_of(p)
    W = 100 * torch.randn(3, p.K, p.N, p.N, generator=torch.manual_seed(0), dtype=torch.float64)
    A = Transformer(p, task).attention()
    wanted = data("torch", task, p).gradient(A, W)
    found = data(kernel, task, p, torch.float32).gradient(A, W.float())
    for one, other in zip(found, wanted, strict=True):
        assert_near(one.double(), other, tolerance=1e-4)
    lower = data(kernel, task, p, torch.float32).gradient(A, W.float() - 2000)  # changes nothing
    for one, other in zip(lower, wanted, strict=True):
        assert_near(one.double(), other, tolerance=2e-3)
    W[1, 0, 0, 0] = np.inf
    by_A, by_W = data(kernel, task, p, torch.float32).gradient(A, W.float())
    assert torch.equal(by_W[1], torch.zeros_like(by_W[1]))
    assert torch.equal(by_A[[0, 2]], found[0][[0, 2]])
    assert torch.equal(by_W[[0, 2]], found[1][[0, 2]])


@pytest.mark.parametrize("kernel", KERNELS)
def test_float32_agrees_to_its_rounding(kernel: str) -> None:
    p = Parameters(N=20, T=10)
    _, task = task_of(p, seeds=1, n_train=512)
    model = Transformer(p, task)
    A, W = model.attention(), model.W.detach()
    wanted = data("torch", task, p).gradient(A, W)
    found = data(kernel, task, p, torch.float32).gradient(A, W.float())
    for one, other in zip(found, wanted, strict=True):
        assert_near(one.double(), other, tolerance=3e-6)


def test_chunks_of_sequences_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    p = SIZES[2]
    _, task = task_of(p)
    model = Transformer(p, task)
    A, W = model.attention(), model.W.detach()
    whole = data("torch", task, p)
    monkeypatch.setattr(grouped, "CACHE", 5000)
    pieces = data("torch", task, p)
    assert len(pieces.chunks) > 3 * len(whole.chunks)
    for one, other in zip(pieces.gradient(A, W), whole.gradient(A, W), strict=True):
        assert_near(one, other)
    for f in fields(whole.statistics(A, W)):
        one, other = (getattr(d.statistics(A, W), f.name) for d in (pieces, whole))
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert torch.equal(pieces.rollout(A, W), whole.rollout(A, W))


def test_all_seeds_in_one_chunk_as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    p = SIZES[0]
    _, task = task_of(p)
    model = Transformer(p, task)
    A, W = model.attention(), model.W.detach()
    single = data("torch", task, p)
    monkeypatch.setattr(grouped, "one_seed_a_chunk", lambda device: False)
    together = data("torch", task, p)
    assert len(together.chunks) == 1
    for one, other in zip(together.gradient(A, W), single.gradient(A, W), strict=True):
        assert_near(one, other)
    np.testing.assert_allclose(together.statistics(A, W).loss, single.statistics(A, W).loss)
    assert torch.equal(together.rollout(A, W), single.rollout(A, W))


def test_overlaps_of_the_teacher() -> None:
    permutations = torch.tensor([[[1, 2, 0], [0, 1, 2]]])
    W = torch.nn.functional.one_hot(permutations, 3).transpose(2, 3).double()
    Q, S, C = overlaps(W, permutations)
    assert (float(Q), float(S), float(C)) == (1.0, 0.0, 1.0)
