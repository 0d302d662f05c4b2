"""The machine that a training runs on, as it is found: device, kernel, threads and versions."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from meanfield.attention import planes
from meanfield.errors import ParameterError
from simulate.gradient import fused
from simulate.settings import Experiment, Machine


def resolve(machine: Machine, experiment: Experiment) -> Machine:
    """Return the machine with "auto" found out; ParameterError if it cannot train this."""
    p = experiment.parameters
    if p.T * (p.d_head // 2) > planes.MOST:
        raise ParameterError(
            f"T * d_head/2 must be at most {planes.MOST}, not {p.T} * {p.d_head // 2}: a smaller "
            "T or d_head can be trained"
        )
    gpu = torch.cuda.is_available()
    if machine.device == "cuda" and not gpu:
        raise ParameterError("device must be auto or cpu here: torch finds no GPU for 'cuda'")
    if machine.device == "auto":
        machine = replace(machine, device="cuda" if gpu else "cpu")
    if machine.kernel == "torch":
        return machine
    obstacle = _obstacle_to_fused(machine, experiment)
    if machine.kernel == "fused" and obstacle:
        raise ParameterError(f"kernel must be auto or torch here, not 'fused': {obstacle}")
    return replace(machine, kernel="torch" if obstacle else "fused")


@contextmanager
def side_by_side(threads: int) -> Iterator[fused.Each]:
    """Yield what the fused kernel goes through seeds by: map, or that of a pool of threads."""
    if threads == 1:
        yield map
    else:
        with ThreadPoolExecutor(threads) as pool:
            yield pool.map


def one_thread() -> None:
    """Keep torch itself to one thread: more only wait for each other on sizes like these."""
    torch.set_num_threads(1)


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the CPU or the GPU."""
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or (
        "can't allocate memory" in str(error)
    )


def dtype_of(machine: Machine) -> torch.dtype:
    """Return the machine's precision."""
    return {"float32": torch.float32, "float64": torch.float64}[machine.dtype]


def made_with(machine: Machine) -> dict[str, Any]:
    """Return the machine, versions and commit that a run was made with, as far as is known."""
    gpu = machine.device == "cuda"
    return {
        **machine.arithmetic,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "processor": torch.cuda.get_device_name() if gpu else platform.machine(),
        "commit": _commit(),
    }


def _obstacle_to_fused(machine: Machine, experiment: Experiment) -> str | None:
    p = experiment.parameters
    if machine.device != "cpu":
        return "it runs on a CPU only"
    if not experiment.training.fix_embedding:
        return "it needs fixed embeddings"
    if max(p.N, p.K) > fused.MOST_TOKENS:
        return f"it takes at most {fused.MOST_TOKENS} states and actions"
    if fused.library(p.N, p.K, p.T, dtype_of(machine)) is None:
        return "there is no C compiler that can build it"
    return None


def _commit() -> str | None:
    command = ["git", "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    except OSError:  # no git here
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
