"""What both engines must do: agree with the literal transformers of Appendix B and C."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.plain import PlainTransformer
from meanfield.parameters import Parameters
from simulate.gradient.data import SAFE, Data, Statistics
from simulate.gradient.fused import Fused
from simulate.gradient.grouped import Grouped
from simulate.model import Transformer
from simulate.task import Task
from tests.simulate.literal import rollout_accuracy, tokens, with_weights
from tests.simulate.small import CPU, KERNELS, SIZES, experiment, half_train, task_of, trainer_of

FLOAT64 = torch.float64


def ready(kernel: str, task: Task, p: Parameters, dtype: torch.dtype = FLOAT64) -> Data:
    if kernel == "fused":
        return Fused(task.train, N=p.N, K=p.K, dtype=dtype)
    return Grouped(task.train, N=p.N, K=p.K, dtype=dtype, device=CPU)


def start(task: Task, p: Parameters) -> tuple[Tensor, Tensor]:
    model = Transformer(p, task)
    return model.attention(), model.W.detach()


def assert_near(found: Tensor, wanted: Tensor, *, tolerance: float) -> None:
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max().item() <= tolerance * wanted.abs().max().item()


@pytest.mark.parametrize("p", SIZES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_statistics_are_those_of_the_literal_logits(kernel: str, p: Parameters) -> None:
    task = task_of(p)
    found = ready(kernel, task, p).statistics(*start(task, p))
    for seed in range(3):
        sequence = tokens(task.train, seed, p.K)
        y = with_weights(PlainTransformer, Transformer(p, task), seed, p)(sequence).detach().numpy()
        label = sequence[:, p.T + 1 :].numpy() - p.K
        right = np.take_along_axis(y, label[..., None], -1)
        other = y[np.arange(p.N) != label[..., None]]
        loss = np.log(np.exp(y).sum(-1, keepdims=True)) - right
        assert found.loss[seed] == pytest.approx(loss.mean(), rel=1e-12)
        assert found.accuracy[seed] == np.mean(y.argmax(-1) == label)
        assert found.correct_logit[seed] == pytest.approx(right.mean(), rel=1e-11)
        assert found.correct_logit_std[seed] == pytest.approx(right.std(), rel=1e-12)
        assert found.other_logit[seed] == pytest.approx(other.mean(), rel=1e-11)
        assert found.other_logit_std[seed] == pytest.approx(other.std(), rel=1e-12)


def test_equal_logits_deviate_by_0_whatever_rounding_leaves() -> None:
    value = np.array([0.1])
    mean = np.stack([value, value, value, value**2 * (1 - 1e-15), 3 * value, 3 * value**2])
    found = Statistics.from_means(mean, N=4)
    assert found.correct_logit_std.tolist() == [0]
    assert found.other_logit_std == pytest.approx(0, abs=1e-8)


def test_a_diverged_seed_has_no_deviation_and_no_warning() -> None:
    mean = np.array([[np.nan, np.inf, 1e200, 1.0]] * 6)
    found = Statistics.from_means(mean, N=3)
    assert np.isnan(found.correct_logit_std).tolist() == [True, True, False, False]
    assert found.correct_logit_std[3] == 0


@pytest.mark.parametrize("kernel", KERNELS)
def test_of_equal_logits_the_first_state_is_predicted(kernel: str) -> None:
    p = SIZES[1]
    task = task_of(p)
    A, W = start(task, p)[0], torch.zeros(3, p.K, p.N, p.N, dtype=FLOAT64)
    found = ready(kernel, task, p)
    first = task.train.states == 0
    assert found.statistics(A, W).accuracy.tolist() == first[..., 1:].mean((1, 2)).tolist()
    assert found.rollout(A, W).tolist() == first[..., -1].mean(1).tolist()


@pytest.mark.parametrize("kernel", KERNELS)
def test_rollouts_generate_token_by_token(kernel: str) -> None:
    p = Parameters(N=5, K=3, T=3, d_head=8)
    trainer = half_train(trainer_of(experiment(p=p, n_train=400), kernel))
    found = trainer.train.rollout(trainer.model.attention(), trainer.model.W.detach())
    for seed in range(3):
        literal = with_weights(PlainTransformer, trainer.model, seed, p)
        wanted = rollout_accuracy(literal, tokens(trainer.task.train, seed, p.K))
        assert 0.21 < wanted < 0.999
        assert float(found[seed]) == wanted


@pytest.mark.parametrize("kernel", KERNELS)
def test_logits_too_large_for_exp_are_not(kernel: str) -> None:
    p = SIZES[0]
    task = task_of(p)
    W = 100 * torch.randn(3, p.K, p.N, p.N, generator=torch.manual_seed(0), dtype=FLOAT64)
    A, _ = start(task, p)
    wanted = ready("torch", task, p).gradient(A, W)
    single = ready(kernel, task, p, torch.float32)
    found = single.gradient(A, W.float())
    for one, other in zip(found, wanted, strict=True):
        assert_near(one.double(), other, tolerance=1e-4)
    lower = single.gradient(A, W.float() - 2000)  # changes nothing
    for one, other in zip(lower, wanted, strict=True):
        assert_near(one.double(), other, tolerance=2e-3)
    W[1, 0, 0, 0] = np.inf
    by_A, by_W = single.gradient(A, W.float())
    assert torch.equal(by_W[1], torch.zeros_like(by_W[1]))
    assert torch.equal(by_A[1], torch.zeros_like(by_A[1]))
    assert torch.equal(by_A[[0, 2]], found[0][[0, 2]])
    assert torch.equal(by_W[[0, 2]], found[1][[0, 2]])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_up_to_the_safe_bound_exp_does_not_overflow(kernel: str, dtype: torch.dtype) -> None:
    """All N logits just below the bound, and the same shifted to 0: one gradient."""
    p = SIZES[1]
    task = task_of(p)
    A, W = start(task, p)
    W = W.to(dtype)
    high = W + (0.999 * SAFE[dtype] - W.abs().max())
    found = ready(kernel, task, p, dtype)
    for one, other in zip(found.gradient(A, high), found.gradient(A, W), strict=True):
        assert_near(one, other, tolerance=2e3 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("kernel", KERNELS)
def test_float32_agrees_to_its_rounding(kernel: str) -> None:
    p = Parameters(N=20, T=10)
    task = task_of(p, n_train=512)
    A, W = start(task, p)
    wanted = ready("torch", task, p).gradient(A, W)
    found = ready(kernel, task, p, torch.float32).gradient(A, W.float())
    for one, other in zip(found, wanted, strict=True):
        assert_near(one.double(), other, tolerance=3e-6)
