"""Which device and kernel a training gets, and what is refused."""

from __future__ import annotations

import platform
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from meanfield.errors import ParameterError
from simulate import machine as machines
from simulate.gradient import fused
from simulate.machine import dtype_of, made_with, one_thread, out_of_memory, resolve, side_by_side
from simulate.settings import Machine
from tests.simulate.small import experiment, needs_compiler

LEARNED = experiment(fix_embedding=False)


def found(**machine: Any) -> tuple[str, str]:
    result = resolve(Machine(**machine), experiment())
    return result.device, result.kernel


def gpu(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)


def test_the_device_is_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, True)
    assert found() == ("cuda", "torch")
    assert found(device="cpu", kernel="torch") == ("cpu", "torch")
    assert found(device="cuda") == ("cuda", "torch")
    with pytest.raises(ParameterError, match="not 'fused': it runs on a CPU only"):
        found(kernel="fused")
    gpu(monkeypatch, False)
    assert found(kernel="torch") == ("cpu", "torch")
    with pytest.raises(ParameterError, match="device must be auto or cpu here: torch finds no GPU"):
        found(device="cuda")


@needs_compiler
def test_the_fused_kernel_is_used_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, False)
    assert found() == found(kernel="fused") == ("cpu", "fused")
    assert resolve(Machine(), LEARNED).kernel == "torch"
    with pytest.raises(ParameterError, match="not 'fused': it needs fixed embeddings"):
        resolve(Machine(kernel="fused"), LEARNED)
    asked = []
    monkeypatch.setattr(fused, "library", lambda *sizes: asked.append(sizes))
    assert found(dtype="float64") == ("cpu", "torch")
    assert asked == [(6, 5, 4, torch.float64)]
    with pytest.raises(ParameterError, match=r"kernel must be .* here, .* no C compiler that can"):
        found(kernel="fused")
    asked.clear()
    assert found(kernel="torch") == ("cpu", "torch")
    assert not asked  # nothing is compiled in vain


def test_what_was_asked_for_otherwise_stays() -> None:
    asked = Machine(device="cpu", dtype="float64", kernel="torch", threads=3)
    assert resolve(asked, experiment()) == asked
    assert dtype_of(asked) == torch.float64
    assert dtype_of(Machine()) == torch.float32


def test_seeds_go_side_by_side_only_in_threads() -> None:
    with side_by_side(1) as each:
        assert each is map
    barrier = threading.Barrier(3, timeout=10)  # broken unless three wait at once
    with side_by_side(3) as each:
        assert sorted(each(lambda _: barrier.wait(), range(3))) == [0, 1, 2]


def test_torch_is_kept_to_one_thread() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        one_thread()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_out_of_memory_is_told_from_other_errors() -> None:
    assert out_of_memory(MemoryError())
    assert out_of_memory(torch.cuda.OutOfMemoryError())
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."))
    assert not out_of_memory(RuntimeError("shapes do not match"))


def test_what_a_run_was_made_with(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(device="cpu", dtype="float64", kernel="torch")
    monkeypatch.chdir("/")  # wherever it is called from
    about = made_with(machine)
    root = Path(__file__).parents[2]
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False
    ).stdout.strip()
    assert about == {
        "dtype": "float64",
        "device": "cpu",
        "kernel": "torch",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "processor": platform.machine(),
        "commit": commit or None,
    }

    def missing(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr(machines.subprocess, "run", missing)
    assert made_with(machine)["commit"] is None
    failed = subprocess.CompletedProcess([], 128, stdout="fatal")
    monkeypatch.setattr(machines.subprocess, "run", lambda *_, **__: failed)
    assert made_with(machine)["commit"] is None
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H200")
    assert made_with(Machine(device="cuda"))["processor"] == "H200"
