"""Whole runs: batches of seeds, checkpoints, divergence."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from meanfield.errors import FileError, ParameterError
from meanfield.parameters import Parameters
from meanfield.runs.run import ARRAYS, MEASURED, Run, checkpoint_of, read_run
from simulate import fused, grouped
from simulate import train as training_module
from simulate.settings import Training
from simulate.task import batches
from simulate.train import train

P = Parameters(N=6, K=5, T=4, d_head=8, lr=4.0)
SHORT = {"n_train": 100, "n_test": 50, "train_epochs": 23, "eval_every": 5}
KERNELS = [
    "torch",
    pytest.param(
        "fused", marks=pytest.mark.skipif(fused.compiler() is None, reason="no C compiler")
    ),
]


def assert_equal(one: Run, other: Run) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_seeds_in_a_batch_are_the_seeds_alone(kernel: str, dtype: str) -> None:
    training = Training(**{**SHORT, "train_epochs": 100})
    options: dict[str, Any] = {"kernel": kernel, "dtype": dtype}
    together = train(P, training, [2, 0, 5], **options)
    assert together.R[:, -1].max() > 0.5
    assert together.W_end.dtype == np.dtype(dtype)
    for index, seed in enumerate((2, 0, 5)):
        alone = train(P, training, [seed], **options)
        for name in (*MEASURED, "attention", "q_end", "k_end", "W_end"):
            np.testing.assert_allclose(
                getattr(together, name)[index], getattr(alone, name)[0], rtol=1e-9, atol=1e-12,
                err_msg=name,
            )  # fmt: skip


@pytest.mark.skipif(fused.compiler() is None, reason="no C compiler")
@pytest.mark.parametrize("batch_size", [100, 30])
def test_seeds_side_by_side_give_the_same_numbers(batch_size: int) -> None:
    training = Training(**SHORT, batch_size=batch_size)
    seeds, at_once = range(6), []

    def together(function: Callable[[int], Any], which: Iterable[int]) -> Any:
        at_once.append(threading.active_count())
        return pool.map(function, which)

    with ThreadPoolExecutor(4) as pool:
        side_by_side = train(P, training, seeds, kernel="fused", each=together)
    assert max(at_once) > 2
    assert_equal(side_by_side, train(P, training, seeds, kernel="fused"))


def test_seeds_worked_on_all_at_once_are_the_seeds_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(**{**SHORT, "train_epochs": 100})
    single = train(P, training, [2, 0], kernel="torch", dtype="float64")
    monkeypatch.setattr(grouped, "one_seed_a_chunk", lambda device: False)
    together = train(P, training, [2, 0], kernel="torch", dtype="float64")
    for name in (*MEASURED, "attention", "q_end", "k_end", "W_end"):
        np.testing.assert_allclose(
            getattr(together, name), getattr(single, name), rtol=1e-9, atol=1e-11, err_msg=name
        )


def test_what_is_measured_and_when() -> None:
    seen: list[int] = []
    run = train(P, Training(**SHORT), [0, 1], report=lambda epoch, measured: seen.append(epoch))
    assert run.epoch.tolist() == seen == [0, 5, 10, 15, 20, 23]
    assert run.complete
    assert not run.state
    np.testing.assert_allclose(run.attention.sum(-1), 1, rtol=1e-12)
    np.testing.assert_allclose(run.R, run.attention.diagonal(axis1=2, axis2=3).mean(-1), rtol=1e-9)
    assert run.made_with["torch"] == torch.__version__
    assert np.all(run.loss[:, 0] > run.loss[:, -1])


def test_the_default_model_learns_the_task() -> None:
    run = train(P, Training(**{**SHORT, "train_epochs": 120, "n_train": 400}), range(3))
    np.testing.assert_array_equal(run.rollout_accuracy[:, -1], 1)
    np.testing.assert_array_equal(run.test_accuracy[:, -1], 1)
    assert np.all(run.rollout_accuracy[:, 0] < 0.5)


VARIANTS: list[dict[str, Any]] = [
    {},
    {"optimizer": "adamw", "batch_size": 30, "weight_decay": 0.01},
    {"integrator": "ssprk3"},
    {"fix_embedding": False, "d_embed": 2},
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_resumed_run_is_bit_identical(variant: dict[str, Any], tmp_path: Path) -> None:
    p = Parameters(**{**dict(P.items()), "lr": 0.05 if "optimizer" in variant else 4.0})
    training = Training(**SHORT, **variant)
    wanted = train(p, training, [0, 1])
    path = tmp_path / "run.npz"

    def stop_at(stop: int) -> Any:
        def report(epoch: int, measured: dict[str, Any]) -> None:
            if epoch == stop:
                raise KeyboardInterrupt

        return report

    for stop in (0, 15):
        with pytest.raises(KeyboardInterrupt):
            train(p, training, [0, 1], path=path, resume=True, report=stop_at(stop))
        assert read_run(checkpoint_of(path), unfinished=True).epoch[-1] == stop
        assert not path.exists()
    assert_equal(train(p, training, [0, 1], path=path, resume=True), wanted)
    assert_equal(read_run(path), wanted)
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"

    def stop(epoch: int, measured: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(P, Training(**SHORT), [0], path=path, report=stop)
    with pytest.raises(FileError, match="was begun with seeds = \\[0\\], not \\[1\\]"):
        train(P, Training(**SHORT), [1], path=path, resume=True)
    with pytest.raises(FileError, match="was begun with dtype = 'float32', not 'float64'"):
        train(P, Training(**SHORT), [0], path=path, resume=True, dtype="float64")
    other = Training(**{**SHORT, "weight_decay": 0.5})
    with pytest.raises(FileError, match=r"was begun with weight_decay = 0.0, not 0.5"):
        train(P, other, [0], path=path, resume=True)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_diverging_seed_is_stopped_and_the_others_go_on(
    kernel: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Weight decay times lr above 2 lets weights grow threefold a step: seed 1 overflows first."""
    original = training_module.make

    def huge_seed_1(*args: Any) -> Any:
        task = original(*args)
        task.W[1] *= 1e22
        return task

    training = Training(**{**SHORT, "weight_decay": 1.0, "train_epochs": 40, "eval_every": 10})
    wanted = train(P, training, [0, 2], kernel=kernel)
    monkeypatch.setattr(training_module, "make", huge_seed_1)
    said: list[str] = []
    path = tmp_path / "run.npz"
    run = train(P, training, [0, 1, 2], kernel=kernel, path=path, say=said.append)
    (epoch,) = run.diverged.values()
    assert run.diverged == {1: epoch}
    assert 30 < epoch < 40  # 1e22 * 3^36 is beyond float32
    assert len(said) == 1
    assert f"seed 1 diverged at epoch {epoch}" in said[0]
    assert "smaller lr such as 1" in said[0]
    late = run.epoch >= epoch
    assert np.any(late)
    assert np.all(np.isfinite(run.R[1, ~late]))
    for name in MEASURED:
        assert np.all(np.isnan(getattr(run, name)[1, late])), name
        np.testing.assert_allclose(getattr(run, name)[[0, 2]], getattr(wanted, name), rtol=1e-6)
    assert read_run(path).diverged == run.diverged
    often = train(P, replace(training, eval_every=1), [0, 1, 2], kernel=kernel)
    assert often.diverged == run.diverged
    assert np.isfinite(often.R[1, epoch - 1])
    assert np.isnan(often.R[1, epoch])


def test_every_epoch_has_its_own_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def recorded(training: Training, seeds: Any, epoch: int) -> Any:
        asked.append(epoch)
        return batches(training, seeds, epoch)

    monkeypatch.setattr(training_module, "batches", recorded)
    train(P, Training(**{**SHORT, "train_epochs": 3}, batch_size=40), [0])
    assert asked == [0, 1, 2]


def test_training_ends_when_every_seed_has_diverged() -> None:
    p = Parameters(**{**dict(P.items()), "lr": 1e6})
    training = Training(**{**SHORT, "weight_decay": 1.0})
    run = train(p, training, [0, 1])
    assert set(run.diverged) == {0, 1}
    assert run.epoch[-1] == 10


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "float16"}, "dtype must be \"float32\" or \"float64\", not 'float16'"),
        ({"device": "tpu"}, "device must be auto, cpu or cuda, not 'tpu'"),
        ({"kernel": "fast"}, "kernel must be auto, torch or fused, not 'fast'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(ParameterError) as raised:
        train(P, Training(**SHORT), [0], **options)  # type: ignore[arg-type]
    assert words in str(raised.value)


def test_the_fused_kernel_is_used_only_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    learned = Training(**SHORT, fix_embedding=False)
    with pytest.raises(ParameterError, match="it needs fixed embeddings"):
        train(P, learned, [0], kernel="fused")
    monkeypatch.setattr(fused, "library", lambda *sizes: None)
    with pytest.raises(ParameterError, match="no C compiler"):
        train(P, Training(**SHORT), [0], kernel="fused")
    assert train(P, Training(**SHORT), [0]).made_with["kernel"] == "torch"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said() -> None:
    with pytest.raises(ParameterError, match="torch finds no GPU"):
        train(P, Training(**SHORT), [0], device="cuda")
