"""Hyperparameters and the task drawn from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from meanfield.errors import ParameterError
from meanfield.parameters import Parameters
from simulate.optimizer import Optimizer
from simulate.settings import SETS, Training, named
from simulate.task import batches, make


def test_named_sets() -> None:
    p, training = named("main")
    assert (p.N, p.K, p.T, p.d_head, p.rope_theta, p.lr) == (20, 20, 10, 64, 10.0, 2.0)
    assert (training.n_train, training.n_test, training.full_batch) == (4096, 2048, True)
    assert training.optimizer == "sgd"
    assert set(SETS) == {"main", "robust"}
    assert named("robust")[0] != p


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"n_train": 0}, "n_train must be an integer from 1"),
        ({"eval_every": 2.5}, "eval_every must be an integer from 1 to 1000000000, not 2.5"),
        ({"train_epochs": True}, "train_epochs must be an integer"),
        ({"batch_size": 5000}, "batch_size must be at most n_train = 4096, not 5000"),
        ({"weight_decay": -1}, "weight_decay must be at least 0, not -1"),
        ({"optimizer": "adam"}, "optimizer must be \"sgd\" or \"adamw\", not 'adam'"),
        ({"integrator": "rk4"}, "integrator must be \"sgd\" or \"ssprk3\", not 'rk4'"),
        ({"fix_embedding": 1}, "fix_embedding must be True or False, not 1"),
        ({"integrator": "ssprk3", "optimizer": "adamw"}, "needs optimizer \"sgd\""),
        ({"integrator": "ssprk3", "batch_size": 10}, "with batch_size 10"),
        ({"d_embed": "x"}, "d_embed must be an integer"),
        ({"weight_decay": float("nan")}, "weight_decay must be a finite number, not nan"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_sentence(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError) as raised:
        Training(**values)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_task_follows_the_paper() -> None:
    p = Parameters(N=6, K=4, T=5, d_head=8, qk_variance=0.5)
    training = Training(n_train=300, n_test=200)
    task = make(p, training, [3, 11])
    for index, seed in enumerate((3, 11)):
        rng = np.random.default_rng(seed)  # the generator's first draws are the vocabulary
        for k in range(p.K):
            np.testing.assert_array_equal(task.permutations[index, k], rng.permutation(p.N))
        for data, n in ((task.train, 300), (task.test, 200)):
            actions, states = data.actions[index], data.states[index]
            assert actions.shape == (n, 5)
            assert states.shape == (n, 6)
            assert set(actions.ravel()) == set(range(4))
            assert set(states[:, 0]) == set(range(6))
            for t in range(5):  # (1)
                np.testing.assert_array_equal(
                    states[:, t + 1], task.permutations[index, actions[:, t], states[:, t]]
                )
    assert not np.array_equal(task.train.actions[0][:200], task.test.actions[0])
    alone = make(p, training, [11])
    np.testing.assert_array_equal(alone.W[0], task.W[1])
    np.testing.assert_array_equal(alone.query[0], task.query[1])
    np.testing.assert_array_equal(alone.test.states[0], task.test.states[1])


@pytest.mark.parametrize("d_embed", [1, 4])
def test_the_start_is_uniform_with_the_stated_variances(d_embed: int) -> None:
    p = Parameters(N=30, K=30, T=2, d_head=4000, w_init=0.2, qk_variance=0.5)
    task = make(p, Training(n_train=1, n_test=1, d_embed=d_embed), [0])
    for vector in (task.query.sum(-1), task.key.sum(-1)):
        assert vector.var() == pytest.approx(0.5, rel=0.1)  # standard error below 2.3 %
    half_width = np.sqrt(1.5 / d_embed)
    for array, bound in ((task.query, half_width), (task.W, 0.2)):
        assert 0.99 * bound < np.abs(array).max() <= bound
        assert array.mean() == pytest.approx(0, abs=0.05 * bound)
        assert array.var() == pytest.approx(bound**2 / 3, rel=0.05)


def test_batches_are_every_sequence_once_and_depend_on_seed_and_epoch_alone() -> None:
    training = Training(n_train=10, batch_size=4)
    parts = batches(training, [5, 6], 3)
    assert [part.shape for part in parts] == [(2, 4), (2, 4), (2, 2)]
    whole = np.concatenate(parts, 1)
    np.testing.assert_array_equal(np.sort(whole), [range(10)] * 2)
    np.testing.assert_array_equal(np.concatenate(batches(training, [6], 3), 1)[0], whole[1])
    assert not np.array_equal(np.concatenate(batches(training, [5], 4), 1)[0], whole[0])


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_optimizers_are_torchs(name: str, weight_decay: float) -> None:
    generator = torch.manual_seed(0)
    mine = torch.nn.Parameter(torch.randn(5, generator=generator, dtype=torch.float64))
    theirs = torch.nn.Parameter(mine.detach().clone())
    kind = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[name]
    reference = kind([theirs], lr=0.3, weight_decay=weight_decay)
    optimizer = Optimizer(name, 0.3, weight_decay)
    for _ in range(20):
        slope = torch.randn(5, generator=generator, dtype=torch.float64)
        theirs.grad = slope
        reference.step()
        optimizer.step({"x": mine}, {"x": slope})
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-14)
