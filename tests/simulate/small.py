"""Small experiments for tests: K is not N, C is not 0, and the sizes differ from each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch

from meanfield.parameters import Parameters
from simulate.gradient import fused
from simulate.settings import Experiment, Machine
from simulate.task import Task, draw_task
from simulate.trainer import Trainer

CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(fused.compiler() is None, reason="no C compiler")
KERNELS = ("torch", pytest.param("fused", marks=needs_compiler))
SIZES = (
    Parameters(N=7, K=5, T=4, d_head=6, rope_theta=10.0),
    Parameters(N=4, K=9, T=3, d_head=8, rope_spacing="linear", w_init=2.0),
    Parameters(N=17, K=3, T=6, d_head=2, rope_theta=100.0, qk_variance=4.0),
)
P = Parameters(N=6, K=5, T=4, d_head=8, lr=4.0)
SHORT = {"n_train": 100, "n_test": 50, "train_epochs": 23, "eval_every": 5}


def experiment(seeds: Iterable[int] = range(3), *, p: Parameters = P, **changed: Any) -> Experiment:
    """Return a short training, with some values changed."""
    return Experiment.of(seeds, **{**dict(p.items()), **SHORT, **changed})


def task_of(p: Parameters, **changed: Any) -> Task:
    """Return the task of three seeds."""
    return draw_task(experiment(p=p, **{"n_train": 60, "n_test": 40, **changed}))


def trainer_of(of: Experiment, kernel: str = "torch", dtype: str = "float64") -> Trainer:
    """Return a trainer on the CPU."""
    return Trainer.set_up(of, Machine(device="cpu", kernel=kernel, dtype=dtype))


def half_train(trainer: Trainer) -> Trainer:
    """Put the model between guessing and knowing, so that it goes wrong here and there."""
    model, task = trainer.model, trainer.task
    generator = torch.manual_seed(5)
    with torch.no_grad():
        for vector in (model.query, model.key):
            vector += 2 * torch.randn(vector.shape, generator=generator)
        if not model.fix_embedding:
            model.embedding += 0.5 * torch.randn(model.embedding.shape, generator=generator)
        _, K, N, _ = model.W.shape
        for seed, permutations in enumerate(task.permutations.astype(int)):
            for k in range(K):
                model.W[seed, k, permutations[k], range(N)] += 1.0
    return trainer
