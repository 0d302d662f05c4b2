"""Loss, exact gradient and rollouts as one fused kernel in C, where a C compiler is at hand.

The same numbers as grouped.py to rounding, several times faster on a CPU: rows never leave the
cache. The kernel is compiled for this machine when it is first needed, which takes a fraction of a
second.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulate.grouped import SAFE
from simulate.measures import Statistics
from simulate.task import Sequences

SOURCE = Path(__file__).with_name("fused.c")
VECTOR = 32  # bytes
# no -ffast-math: with it gcc makes the whole process flush denormal numbers to zero
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")


class _Rows(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("N", "K", "T")),
        *((name, ctypes.c_void_p) for name in ("actions", "states", "order", "start")),
    )  # fmt: skip


def compiler() -> str | None:
    """Return the C compiler: $CC, else cc, gcc or clang; None if there is none."""
    names = (os.environ.get("CC"), "cc", "gcc", "clang")
    return next((path for name in names if name and (path := shutil.which(name))), None)


@cache
def library(dtype: torch.dtype, vectors: int) -> ctypes.CDLL | None:
    """Compile and load the kernel for rows of so many vectors; None if that cannot be done."""
    cc = compiler()
    if cc is None:
        return None
    real = {torch.float32: "float", torch.float64: "double"}[dtype]
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "fused.so"
        sizes = (f"-DREAL={real}", f"-DV={vectors}")
        try:
            subprocess.run(
                [cc, *FLAGS, *sizes, str(SOURCE), "-o", str(built), "-lm"],
                check=True, capture_output=True,
            )  # fmt: skip
            result = ctypes.CDLL(str(built))
        except (OSError, subprocess.CalledProcessError):
            return None
    pointer, real_type = ctypes.c_void_p, getattr(ctypes, f"c_{real}")
    result.gradient.argtypes = [*[pointer] * 3, real_type, ctypes.c_int, *[pointer] * 4]
    result.statistics.argtypes = [pointer] * 4
    result.rollout.argtypes = [*[pointer] * 3, ctypes.c_int64]
    result.gradient.restype = result.statistics.restype = None
    result.rollout.restype = ctypes.c_int64
    return result


def vectors(N: int, dtype: torch.dtype) -> int:
    """Return how many vectors a row of N logits takes."""
    return -(-N * dtype.itemsize // VECTOR)


class Fused:
    """The sequences of B seeds, ready for gradients; the interface of Grouped."""

    def __init__(self, data: Sequences, *, N: int, K: int, dtype: torch.dtype) -> None:
        """Sort the rows of every seed by current state and step."""
        found = library(dtype, vectors(N, dtype))
        if found is None:
            raise RuntimeError("the fused kernel needs a C compiler: use Grouped")
        self.library, self.N, self.K, self.dtype = found, N, K, dtype
        self.sequences, self.T = data.actions.shape[1:]
        self.data = [
            _sorted(actions, states, N)
            for actions, states in zip(data.actions, data.states, strict=True)
        ]
        most = max(int(np.diff(start).max()) for *_, start in self.data)
        real = {torch.float32: np.float32, torch.float64: np.float64}[dtype]
        width = vectors(N, dtype) * VECTOR // dtype.itemsize
        self.columns = np.zeros((N, K, width), real)
        self.by_columns = np.zeros((N, K, width), real)
        self.y = np.empty((most, width), real)
        self.h = np.empty((self.T, K, width), real)
        self.rows = [
            _Rows(N, K, self.T, *(array.ctypes.data for array in arrays)) for arrays in self.data
        ]

    def gradient(self, A: Tensor, W: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient of the loss (7) by A and by W.

        A: (B, T, T). W: (B, K, N, N). A seed whose W is not finite gets gradient 0.
        """
        by_A = torch.zeros_like(A, dtype=self.dtype)
        by_W = torch.zeros_like(W)
        A = A.to(self.dtype).contiguous()
        for s, rows in enumerate(self.rows):
            largest = float(W[s].abs().max())
            if not largest < float("inf"):
                continue
            self._load(W[s])
            self.by_columns[:] = 0
            self.library.gradient(
                ctypes.byref(rows), A[s].data_ptr(), self.columns.ctypes.data,
                1 / (self.sequences * self.T), largest >= SAFE[self.dtype], by_A[s].data_ptr(),
                self.by_columns.ctypes.data, self.y.ctypes.data, self.h.ctypes.data,
            )  # fmt: skip
            by_W[s] = torch.from_numpy(self.by_columns[..., : self.N]).permute(1, 2, 0)
        return by_A.double(), by_W

    def statistics(self, A: Tensor, W: Tensor) -> Statistics:
        """Return loss, next-token accuracy and moments of the logits of each seed."""
        sums = np.zeros((len(self.rows), 6))
        A = A.to(self.dtype).contiguous()
        for s, rows in enumerate(self.rows):
            self._load(W[s])
            self.library.statistics(
                ctypes.byref(rows), A[s].data_ptr(), self.columns.ctypes.data, sums[s].ctypes.data
            )
        return Statistics.from_means(sums.T / (self.sequences * self.T), N=self.N)

    def rollout(self, A: Tensor, W: Tensor) -> Tensor:
        """Return the share of sequences of each seed whose last state is generated right, (B,)."""
        right = []
        A = A.to(self.dtype).contiguous()
        for s, rows in enumerate(self.rows):
            self._load(W[s])
            arguments = (ctypes.byref(rows), A[s].data_ptr(), self.columns.ctypes.data)
            right.append(self.library.rollout(*arguments, self.sequences))
        return torch.tensor(right, dtype=torch.float64) / self.sequences

    def _load(self, W: Tensor) -> None:
        self.columns[..., : self.N] = W.permute(2, 0, 1).numpy()


def _sorted(
    actions: NDArray[np.uint16], states: NDArray[np.uint16], N: int
) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint32], NDArray[np.int64]]:
    """Return actions and states as they are, rows in order of (state, step), where each begins."""
    T = actions.shape[1]
    group = states[:, :T].astype(np.int64) * T + np.arange(T)
    order = np.argsort(group, axis=None, kind="stable") // T
    start = np.concatenate([[0], np.cumsum(np.bincount(group.ravel(), minlength=N * T))])
    contiguous = np.ascontiguousarray
    return contiguous(actions), contiguous(states), order.astype(np.uint32), start
