"""The task drawn from a seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from meanfield.errors import ParameterError
from meanfield.parameters import Parameters
from meanfield.training import Training
from simulate.machine import resolve
from simulate.settings import Machine
from simulate.task import batches, draw_task, indices, token_type
from tests.simulate.small import experiment, task_of


def test_the_task_follows_the_paper() -> None:
    p = Parameters(N=6, K=4, T=5, d_head=8, qk_variance=0.5)
    both = draw_task(experiment([3, 11], p=p, n_train=300, n_test=200))
    assert both.seeds == (3, 11)
    for index, seed in enumerate((3, 11)):
        rng = np.random.default_rng(seed)  # the generator's first draws are the vocabulary
        for k in range(p.K):
            np.testing.assert_array_equal(both.permutations[index, k], rng.permutation(p.N))
        for data, n in ((both.train, 300), (both.test, 200)):
            actions, states = data.actions[index], data.states[index]
            assert actions.shape == (n, 5)
            assert states.shape == (n, 6)
            assert set(actions.ravel()) == set(range(4))
            assert set(states[:, 0]) == set(range(6))
            for t in range(5):  # (1)
                np.testing.assert_array_equal(
                    states[:, t + 1], both.permutations[index, actions[:, t], states[:, t]]
                )
    assert not np.array_equal(both.train.actions[0][:200], both.test.actions[0])
    alone = draw_task(experiment([11], p=p, n_train=300, n_test=200))
    np.testing.assert_array_equal(alone.W[0], both.W[1])
    np.testing.assert_array_equal(alone.query[0], both.query[1])
    np.testing.assert_array_equal(alone.key[0], both.key[1])
    np.testing.assert_array_equal(alone.test.states[0], both.test.states[1])
    assert not np.array_equal(alone.query, alone.key)


@pytest.mark.parametrize("d_embed", [1, 4])
def test_the_start_is_uniform_with_the_stated_variances(d_embed: int) -> None:
    p = Parameters(N=30, K=20, T=2, d_head=4000, w_init=0.2, qk_variance=0.5)
    task = draw_task(experiment([0], p=p, n_train=1, n_test=1, d_embed=d_embed))
    assert task.query.shape == task.key.shape == (1, 4000, d_embed)
    assert task.W.shape == (1, 20, 30, 30)
    for vector in (task.query.sum(-1), task.key.sum(-1)):
        assert vector.var() == pytest.approx(0.5, rel=0.1)  # standard error below 2.3 %
    half_width = np.sqrt(1.5 / d_embed)
    for array, bound in ((task.query, half_width), (task.key, half_width), (task.W, 0.2)):
        assert -bound <= array.min() < -0.99 * bound
        assert 0.99 * bound < array.max() <= bound
        assert array.mean() == pytest.approx(0, abs=0.05 * bound)
        assert array.var() == pytest.approx(bound**2 / 3, rel=0.05)


def test_batches_are_every_sequence_once_and_depend_on_seed_and_epoch_alone() -> None:
    training = Training(n_train=10, batch_size=4)
    parts = batches(training, [5, 6], 3)
    assert [part.shape for part in parts] == [(2, 4), (2, 4), (2, 2)]
    whole = np.concatenate(parts, 1)
    np.testing.assert_array_equal(np.sort(whole), [range(10)] * 2)
    np.testing.assert_array_equal(np.concatenate(batches(training, [6], 3), 1)[0], whole[1])
    assert not np.array_equal(whole[0], whole[1])
    assert not np.array_equal(np.concatenate(batches(training, [5], 4), 1)[0], whole[0])


def test_each_seed_takes_its_own_sequences() -> None:
    task = task_of(Parameters(N=6, K=4, T=5))
    chosen = np.array([[3, 0], [7, 7], [1, 59]])
    batch = task.train.take(chosen)
    for seed, rows in enumerate(chosen):
        np.testing.assert_array_equal(batch.actions[seed], task.train.actions[seed, rows])
        np.testing.assert_array_equal(batch.states[seed], task.train.states[seed, rows])


def test_tokens_as_indices() -> None:
    found = indices(np.array([65535, 0], np.uint16), torch.device("cpu"))
    assert (found.dtype, found.tolist()) == (torch.int64, [65535, 0])


def test_more_actions_than_two_bytes_hold_do_not_wrap() -> None:
    assert token_type(2**16, 2**16) == np.uint16
    task = task_of(Parameters(N=9, K=70_000, T=2, d_head=2))
    assert task.permutations.dtype == task.train.actions.dtype == np.uint32
    assert task.train.actions.max() > 2**16
    np.testing.assert_array_equal(np.sort(task.permutations[0])[-1], np.arange(9))
    machine = resolve(Machine(device="cpu"), experiment(N=9, K=70_000))
    assert machine.kernel == "torch"
    with pytest.raises(ParameterError, match="it takes at most 65536 states and actions"):
        resolve(Machine(device="cpu", kernel="fused"), experiment(N=9, K=70_000))
