"""Everything that is measured, from the literal transformer and the definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from meanfield import generated
from meanfield.parameters import Parameters
from meanfield.runs.run import MEASURED
from simulate.measure import learned_rollout, measure
from simulate.model import overlaps
from simulate.settings import Experiment
from simulate.task import Sequences
from simulate.trainer import Trainer
from tests.simulate.literal import (
    EmbeddingTransformer,
    attention,
    rollout_accuracy,
    tokens,
    with_weights,
)
from tests.simulate.small import experiment, half_train, needs_compiler, trainer_of

P = Parameters(N=5, K=3, T=3, d_head=8, w_init=0.7)
SIZES = {"p": P, "n_train": 90, "n_test": 70}


def literal_of(trainer: Trainer, seed: int) -> EmbeddingTransformer:
    d_embed = trainer.model.query.shape[2]
    return with_weights(EmbeddingTransformer, trainer.model, seed, P, d_embed=d_embed)


def logits_of(trainer: Trainer, seed: int, data: Sequences) -> dict[str, Any]:
    """The fields that are means over the rows of a data set, of one seed."""
    sequence = tokens(data, seed, P.K)
    y = literal_of(trainer, seed)(sequence).detach().numpy()
    label = sequence[:, P.T + 1 :].numpy() - P.K
    right = np.take_along_axis(y, label[..., None], -1)
    other = y[np.arange(P.N) != label[..., None]]
    return {
        "loss": np.mean(np.log(np.exp(y).sum(-1, keepdims=True)) - right),
        "accuracy": np.mean(y.argmax(-1) == label),
        "correct_logit": right.mean(),
        "correct_logit_std": right.std(),
        "other_logit": other.mean(),
        "other_logit_std": other.std(),
    }


def expected(trainer: Trainer, seed: int) -> dict[str, Any]:
    """Every measured field of one seed."""
    task, literal = trainer.task, literal_of(trainer, seed)
    A = attention(literal, tokens(task.train, seed, P.K)).mean(0)
    R = A.diagonal().mean()
    R.backward()
    slopes = (literal.W_Q.weight.grad, literal.W_K.weight.grad)
    W, permutations = trainer.model.W.detach(), torch.as_tensor(task.permutations.astype(np.int64))
    Q, S, C = (float(value[seed]) for value in overlaps(W, permutations))
    on_train, on_test = (logits_of(trainer, seed, data) for data in (task.train, task.test))
    accuracies = {"train": on_train.pop("accuracy"), "test": on_test["accuracy"]}
    margin = generated.margin(float(R.detach()), Q, S, C, P.N, P.K)
    return {
        **on_train,
        "R": float(R.detach()), "Q": Q, "S": S, "C": C,
        "mean_field_loss": float(generated.loss(margin, P.N)),
        "train_accuracy": accuracies["train"], "test_accuracy": accuracies["test"],
        "rollout_accuracy": rollout_accuracy(literal, tokens(task.test, seed, P.K)),
        "grad_R_squared": sum(float(slope.square().sum()) for slope in slopes),
        "attention": A.detach().numpy(),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("of", "kernel"),
    [
        (experiment(**SIZES), "torch"),
        pytest.param(experiment(**SIZES), "fused", marks=needs_compiler),
        (experiment(**SIZES, d_embed=2), "torch"),
        (experiment(**SIZES, d_embed=2, fix_embedding=False), "torch"),
    ],
    ids=["fixed, torch", "fixed, fused", "fixed, two dimensions", "learned"],
)
def test_every_field_is_what_it_says(of: Experiment, kernel: str) -> None:
    trainer = half_train(trainer_of(of, kernel))
    found = measure(trainer.model, trainer.task, trainer.train, trainer.test)
    assert set(found) == {*MEASURED, "attention"}
    for seed in range(3):
        wanted = expected(trainer, seed)
        assert wanted["train_accuracy"] != wanted["test_accuracy"] != wanted["rollout_accuracy"]
        assert 0.2 < wanted["test_accuracy"] < 1
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name][seed], value, rtol=1e-10, err_msg=name)


def test_learned_embeddings_of_1_measure_as_fixed_ones() -> None:
    trainer = half_train(trainer_of(experiment(**SIZES, d_embed=2)))
    fixed = measure(trainer.model, trainer.task, trainer.train, trainer.test)
    trainer.model.fix_embedding = False
    learned = measure(trainer.model, trainer.task, trainer.train, trainer.test)
    for name, value in fixed.items():
        np.testing.assert_allclose(learned[name], value, rtol=1e-11, atol=1e-15, err_msg=name)


def test_rollouts_with_learned_embeddings_generate_token_by_token() -> None:
    trainer = half_train(trainer_of(experiment(p=P, n_train=400, fix_embedding=False)))
    found = learned_rollout(trainer.model, trainer.task.train)
    for seed in range(3):
        wanted = rollout_accuracy(literal_of(trainer, seed), tokens(trainer.task.train, seed, P.K))
        assert 0.1 < wanted < 0.999
        assert float(found[seed]) == wanted


def test_a_seed_that_has_diverged_is_measured_without_a_warning() -> None:
    for value in (torch.inf, -torch.inf, torch.nan, 1e308):
        trainer = trainer_of(experiment(**SIZES))
        with torch.no_grad():
            trainer.model.W[1] = value
        found = measure(trainer.model, trainer.task, trainer.train, trainer.test)
        assert not np.isfinite(found["mean_field_loss"][1])
        assert np.isfinite(found["mean_field_loss"][[0, 2]]).all()
