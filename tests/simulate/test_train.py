"""Whole runs: seeds in a batch, checkpoints, divergence."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from meanfield.errors import FileError
from meanfield.runs.run import ARRAYS, MEASURED, Run, checkpoint_of, read_run
from simulate import train as training_module
from simulate import trainer as trainer_module
from simulate.gradient import grouped
from simulate.settings import Machine
from simulate.task import draw_task
from simulate.train import train
from tests.simulate.small import KERNELS, experiment, needs_compiler

SEEDED = (*MEASURED, "attention", "q_end", "k_end", "W_end")


def assert_equal(one: Run, other: Run) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_seeds_in_a_batch_are_the_seeds_alone(kernel: str, dtype: str) -> None:
    machine = Machine(kernel=kernel, dtype=dtype)
    together = train(experiment([2, 0, 5], train_epochs=100), machine=machine)
    assert together.R[:, -1].max() > 0.5
    assert together.W_end.dtype == np.dtype(dtype)
    for index, seed in enumerate((2, 0, 5)):
        alone = train(experiment([seed], train_epochs=100), machine=machine)
        for name in SEEDED:
            np.testing.assert_allclose(
                getattr(together, name)[index], getattr(alone, name)[0], rtol=1e-9, atol=1e-12,
                err_msg=name,
            )  # fmt: skip


@needs_compiler
@pytest.mark.parametrize("batch_size", [100, 30])
def test_seeds_side_by_side_give_the_same_numbers(
    batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, asked = [], []

    @contextmanager
    def noting(threads: int) -> Iterator[Callable[..., Any]]:
        asked.append(threads)
        with ThreadPoolExecutor(threads) as pool:

            def together(function: Callable[[int], Any], which: Iterable[int]) -> Any:
                at_once.append(threading.active_count())
                return pool.map(function, which)

            yield together

    of = experiment(range(6), batch_size=batch_size)
    wanted = train(of, machine=Machine(kernel="fused", threads=1))
    monkeypatch.setattr(training_module, "side_by_side", noting)
    assert_equal(train(of, machine=Machine(kernel="fused", threads=4)), wanted)
    assert max(at_once) > 2
    train(experiment([0], train_epochs=1), machine=Machine(threads=4))
    assert asked == [4, 1]


def test_seeds_worked_on_all_at_once_are_the_seeds_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    of, machine = experiment([2, 0], train_epochs=100), Machine(kernel="torch", dtype="float64")
    single = train(of, machine=machine)
    monkeypatch.setattr(grouped, "one_seed_a_chunk", lambda device: False)
    together = train(of, machine=machine)
    for name in SEEDED:
        np.testing.assert_allclose(
            getattr(together, name), getattr(single, name), rtol=1e-9, atol=1e-11, err_msg=name
        )


def test_what_is_measured_and_when() -> None:
    seen: list[int] = []
    run = train(experiment([0, 1]), report=lambda epoch, measured: seen.append(epoch))
    assert run.epoch.tolist() == seen == [0, 5, 10, 15, 20, 23]
    assert run.complete
    assert not run.state
    np.testing.assert_allclose(run.attention.sum(-1), 1, rtol=1e-12)
    np.testing.assert_allclose(run.R, run.attention.diagonal(axis1=2, axis2=3).mean(-1), rtol=1e-9)
    assert run.made_with["torch"] == torch.__version__
    assert np.all(run.loss[:, 0] > run.loss[:, -1])


def test_the_default_model_learns_the_task() -> None:
    run = train(experiment(range(3), train_epochs=120, n_train=400))
    np.testing.assert_array_equal(run.rollout_accuracy[:, -1], 1)
    np.testing.assert_array_equal(run.test_accuracy[:, -1], 1)
    assert np.all(run.rollout_accuracy[:, 0] < 0.5)


VARIANTS: list[dict[str, Any]] = [
    {},
    {"optimizer": "adamw", "batch_size": 30, "weight_decay": 0.01, "lr": 0.05},
    {"integrator": "ssprk3"},
    {"fix_embedding": False, "d_embed": 2},
]


def stop_at(stop: int) -> Callable[[int, Any], None]:
    def report(epoch: int, measured: dict[str, Any]) -> None:
        if epoch == stop:
            raise KeyboardInterrupt

    return report


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_resumed_run_is_bit_identical(variant: dict[str, Any], tmp_path: Path) -> None:
    of = experiment([0, 1], **variant)
    wanted = train(of)
    path = tmp_path / "run.npz"
    for stop in (0, 15):
        with pytest.raises(KeyboardInterrupt):
            train(of, path=path, resume=True, report=stop_at(stop))
        assert read_run(checkpoint_of(path), unfinished=True).epoch[-1] == stop
        assert not path.exists()
    assert_equal(train(of, path=path, resume=True), wanted)
    assert_equal(read_run(path), wanted)
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]


ADAMW_LATER = {"optimizer": "adamw", "lr": 0.05}
LONGER = [*VARIANTS, {"d_embed": 3}, ADAMW_LATER, {"lr": 1e6, "weight_decay": 1.0},
          {"lr": 300.0, "weight_decay": 1.0}]  # fmt: skip


@pytest.mark.parametrize(
    ("kernel", "end"), [("torch", 11), pytest.param("auto", 10, marks=needs_compiler)]
)
@pytest.mark.parametrize("variant", LONGER)
def test_a_finished_run_goes_on_to_more_epochs(
    variant: dict[str, Any], end: int, kernel: str, tmp_path: Path
) -> None:
    """To the same numbers as from the start, whether or not the longer run measures at its end."""
    of, machine = experiment([0, 1], **variant), Machine(kernel=kernel)
    wanted = train(of, machine=machine)
    short = replace(of, schedule=replace(of.schedule, train_epochs=end))
    path, longer = tmp_path / "short.npz", tmp_path / "long.npz"
    train(short, machine=machine, path=path)
    before = path.read_bytes()
    run = train(of, machine=machine, path=longer, resume=True, shorter=path)
    for each in (run, read_run(longer)):
        assert_equal(each, wanted)
        assert each.diverged == wanted.diverged
        assert each.made_with == wanted.made_with
        assert set(each.state) == set(wanted.state)
    assert path.read_bytes() == before
    train(of, machine=machine, path=path, resume=True, shorter=path)  # in its own place
    assert_equal(read_run(path), wanted)


def test_a_finished_run_that_kept_no_state_is_no_start(tmp_path: Path) -> None:
    of, path = experiment([0], **ADAMW_LATER), tmp_path / "run.npz"
    short = replace(of, schedule=replace(of.schedule, train_epochs=5))
    replace(train(short), state={}).save(path)
    with pytest.raises(FileError, match="was finished without what more epochs go on from: train"):
        train(of, path=tmp_path / "new" / "long.npz", resume=True, shorter=path)
    assert [each.name for each in tmp_path.iterdir()] == ["run.npz"]


def test_without_resume_it_starts_again(tmp_path: Path) -> None:
    path, seen = tmp_path / "run.npz", []
    with pytest.raises(KeyboardInterrupt):
        train(experiment([0]), path=path, report=stop_at(10))
    train(experiment([0]), path=path, report=lambda epoch, measured: seen.append(epoch))
    assert seen[0] == 0


def test_a_resumed_run_goes_on_with_all_seeds_diverged(tmp_path: Path) -> None:
    of, path = experiment([0, 1], lr=1e6, weight_decay=1.0), tmp_path / "run.npz"
    with pytest.raises(KeyboardInterrupt):
        train(of, path=path, report=stop_at(10))
    said: list[str] = []
    assert_equal(train(of, path=path, resume=True, say=said.append), train(of))
    assert not said


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_diverging_seed_is_stopped_and_the_others_go_on(
    kernel: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Weight decay times lr above 2 lets weights grow threefold a step: seed 1 overflows first."""

    def huge_seed_1(*args: Any) -> Any:
        task = draw_task(*args)
        task.W[1] *= 1e22
        return task

    changed = {"weight_decay": 1.0, "train_epochs": 40, "eval_every": 10}
    machine, of = Machine(kernel=kernel), experiment([0, 1, 2], **changed)
    wanted = train(experiment([0, 2], **changed), machine=machine)
    monkeypatch.setattr(trainer_module, "draw_task", huge_seed_1)
    said: list[str] = []
    path = tmp_path / "run.npz"
    run = train(of, machine=machine, path=path, say=said.append)
    (epoch,) = run.diverged.values()
    assert run.diverged == {1: epoch}
    assert 30 < epoch < 40  # 1e22 * 3^36 is beyond float32
    assert said == [
        f"seed 1 diverged at epoch {epoch}: its numbers are no longer finite; it is stopped, try a "
        "smaller lr such as 1"
    ]
    late = run.epoch >= epoch
    assert np.any(late)
    assert np.all(np.isfinite(run.R[1, ~late]))
    for name in MEASURED:
        assert np.all(np.isnan(getattr(run, name)[1, late])), name
        np.testing.assert_allclose(getattr(run, name)[[0, 2]], getattr(wanted, name), rtol=1e-6)
    assert read_run(path).diverged == run.diverged
    often = train(replace(of, schedule=replace(of.schedule, eval_every=1)), machine=machine)
    assert often.diverged == run.diverged
    assert np.isfinite(often.R[1, epoch - 1])
    assert np.isnan(often.R[1, epoch])


def test_every_epoch_has_its_own_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    batches = trainer_module.batches

    def recorded(training: Any, seeds: Any, epoch: int) -> Any:
        asked.append(epoch)
        return batches(training, seeds, epoch)

    monkeypatch.setattr(trainer_module, "batches", recorded)
    train(experiment([0], train_epochs=3, batch_size=40))
    assert asked == [0, 1, 2]


def test_training_ends_when_every_seed_has_diverged() -> None:
    run = train(experiment([0, 1], lr=1e6, weight_decay=1.0))
    assert set(run.diverged) == {0, 1}
    assert run.epoch[-1] == 10
