"""The torch simulator on a device that is not the CPU, pretended by PyTorch's fake tensors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from meanfield.runs.run import checkpoint_of, read_run
from simulate import checkpoint
from simulate.gradient import grouped
from simulate.settings import Machine
from simulate.train import train
from tests.simulate.small import experiment

TORCH = tuple(int(number) for number in torch.__version__.split(".")[:2])
pytestmark = pytest.mark.skipif(TORCH < (2, 13), reason="fake tensors of torch 2.2 ask for values")
DEVICE = "lazy:0"  # of those that torch knows, one that it takes without its library
VARIANTS: list[dict[str, Any]] = [
    {},
    {"integrator": "ssprk3"},
    {"optimizer": "adamw", "batch_size": 40, "lr": 0.01},
    {"fix_embedding": False, "d_embed": 2},
]
ROWS = 10**4  # more than the small experiments have


def numpy_of(tensor: Tensor) -> np.ndarray:
    """Return zeros for a fake tensor; like torch itself, of the CPU's only."""
    if tensor.device.type != "cpu":
        raise TypeError(f"can't convert {tensor.device} device type tensor to numpy")
    return np.zeros(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))


@contextmanager
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Let no tensor have values, and yield a machine whose device is not the CPU.

    A fake tensor has device, type and shape alone. Where the simulator asks for values it is given
    zeros, or for how many rows a state has at most, many.
    """
    machine = Machine(device="cpu", kernel="torch", threads=1)
    object.__setattr__(machine, "device", DEVICE)
    with monkeypatch.context() as patch, FakeTensorMode():
        patch.setattr(FakeTensor, "numpy", numpy_of)
        patch.setattr(FakeTensor, "tolist", lambda tensor: numpy_of(tensor.cpu()).tolist())
        patch.setattr(FakeTensor, "__int__", lambda tensor: ROWS)
        patch.setattr(checkpoint, "_check_start", lambda *_: None)  # zeros are no query and key
        yield machine


def interrupt(epoch: int, measured: object) -> None:
    if epoch == 5:
        raise KeyboardInterrupt


@pytest.mark.parametrize("variant", VARIANTS)
def test_training_measuring_and_resuming_mix_no_devices(
    variant: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Devices, types and shapes alone are held; the numbers are those of the CPU's tests."""
    of, path = experiment([0, 1], train_epochs=8, **variant), tmp_path / "run.npz"
    with pretended(monkeypatch) as machine:
        with pytest.raises(KeyboardInterrupt):
            train(of, machine=machine, path=path, report=interrupt)
        assert checkpoint_of(path).exists()
        run = train(of, machine=machine, path=path, resume=True)
    wanted = train(of, machine=Machine(device="cpu", kernel="torch"))
    for name, value in vars(wanted).items():
        if isinstance(value, np.ndarray):
            assert getattr(run, name).shape == value.shape, name
            assert getattr(run, name).dtype == value.dtype, name
    assert read_run(path).made_with["device"] == DEVICE


@pytest.mark.parametrize("variant", VARIANTS)
def test_devices_that_mix_are_found(
    variant: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def left_behind(tokens: Any, device: Any) -> Tensor:
        return torch.as_tensor(tokens.astype(np.int64))

    monkeypatch.setattr(grouped, "indices", left_behind)
    with pretended(monkeypatch) as machine, pytest.raises(RuntimeError, match="same device"):
        train(experiment([0, 1], train_epochs=8, **variant), machine=machine)
