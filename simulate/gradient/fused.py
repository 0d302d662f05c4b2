"""Loss, exact gradient and rollouts as one fused kernel in C, where a C compiler is at hand.

The same numbers as grouped.py to rounding, several times faster on a CPU: rows never leave the
cache. The kernel is compiled for this machine when it is first needed, which takes a fraction of a
second.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meanfield.errors import ParameterError
from simulate.gradient.data import SAFE, Statistics
from simulate.task import Sequences, Tokens

SOURCE = Path(__file__).with_name("fused.c")
VECTOR = 32  # bytes
MOST_TOKENS = 2**16  # actions and states are uint16 to the kernel
ARRAYS = ("actions", "states", "order", "start")
# no -ffast-math: with it gcc makes the whole process flush denormal numbers to zero
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")

Each = Callable[..., Any]  # as map: (function, iterable) to an iterable of results, in order


class _Rows(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_void_p) for name in ARRAYS)


def compiler() -> list[str] | None:
    """Return the C compiler with its options: $CC, else cc, gcc or clang; None if there is none.

    Raises ParameterError if CC names none.
    """
    asked = os.environ.get("CC", "").strip()
    try:
        names = [shlex.split(asked)] if asked else [["cc"], ["gcc"], ["clang"]]
    except ValueError as error:
        raise ParameterError(f"CC = {asked!r} is no command: {error}") from None
    found = ([path, *options] for name, *options in names if (path := shutil.which(name)))
    command = next(found, None)
    if asked and command is None:
        raise ParameterError(f"CC = {asked!r} is not there: name a C compiler, or unset CC")
    return command


@cache
def library(N: int, K: int, T: int, dtype: torch.dtype) -> ctypes.CDLL | None:
    """Compile and load the kernel for these sizes; None if that cannot be done.

    Raises ParameterError if it is CC that cannot.
    """
    cc = compiler()
    if cc is None or max(N, K) > MOST_TOKENS:
        return None
    real = {torch.float32: "float", torch.float64: "double"}[dtype]
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "fused.so"
        sizes = (f"-DREAL={real}", f"-DN={N}", f"-DK={K}", f"-DT={T}")
        try:
            subprocess.run(
                [*cc, *FLAGS, *sizes, str(SOURCE), "-o", str(built), "-lm"],
                check=True,
                capture_output=True,
            )
            result = ctypes.CDLL(str(built))
        except (OSError, subprocess.CalledProcessError):
            if os.environ.get("CC", "").strip():
                raise ParameterError(
                    f"CC = {os.environ['CC']!r} cannot compile the fused kernel: name another "
                    'compiler, unset CC, or choose kernel "torch"'
                ) from None
            return None
    pointer, real_type = ctypes.c_void_p, getattr(ctypes, f"c_{real}")
    result.gradient.argtypes = [*[pointer] * 3, real_type, ctypes.c_int, *[pointer] * 2]
    result.statistics.argtypes = [pointer] * 4
    result.rollout.argtypes = [*[pointer] * 3, ctypes.c_int64]
    result.sort.argtypes = [pointer, ctypes.c_int64]
    result.gradient.restype = result.statistics.restype = result.sort.restype = None
    result.rollout.restype = ctypes.c_int64
    return result


class Fused:
    """The sequences of B seeds, ready for gradients: ``Data`` on a CPU."""

    def __init__(
        self, data: Sequences, *, N: int, K: int, dtype: torch.dtype, each: Each = map
    ) -> None:
        """Sort the rows of every seed by current state and step.

        each: how seeds are gone through: map, or that of a thread pool for seeds side by side.
        """
        self.sequences, self.T = data.actions.shape[1:]
        found = library(N, K, self.T, dtype)
        if found is None:
            raise RuntimeError("the fused kernel needs a C compiler: use Grouped")
        self.library, self.N, self.K, self.dtype, self.each = found, N, K, dtype, each
        self.data = [
            self._sorted(actions, states)
            for actions, states in zip(data.actions, data.states, strict=True)
        ]

    def gradient(self, A: Tensor, W: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient of the loss (7) by A and by W, 0 for a seed whose W is not finite."""
        by_A = torch.zeros_like(A, dtype=self.dtype)
        by_W = torch.zeros_like(W)
        A = A.to(self.dtype).contiguous()

        def one(s: int) -> None:
            largest = float(W[s].abs().max())
            if not largest < float("inf"):
                return
            columns = self._columns(W[s])
            by_columns = torch.zeros_like(columns)
            self.library.gradient(
                ctypes.byref(self.data[s][0]),
                A[s].data_ptr(),
                columns.data_ptr(),
                1 / (self.sequences * self.T),
                largest >= SAFE[self.dtype],
                by_A[s].data_ptr(),
                by_columns.data_ptr(),
            )
            by_W[s] = by_columns[..., : self.N].permute(1, 2, 0)

        list(self.each(one, range(len(self.data))))
        return by_A.double(), by_W

    def statistics(self, A: Tensor, W: Tensor) -> Statistics:
        """Return loss, next-token accuracy and moments of the logits of each seed."""
        A = A.to(self.dtype).contiguous()

        def one(s: int) -> NDArray[np.float64]:
            columns, sums = self._columns(W[s]), np.zeros(6)
            self.library.statistics(
                ctypes.byref(self.data[s][0]), A[s].data_ptr(), columns.data_ptr(), sums.ctypes.data
            )
            return sums

        sums = np.array(list(self.each(one, range(len(self.data)))))
        return Statistics.from_means(sums.T / (self.sequences * self.T), N=self.N)

    def rollout(self, A: Tensor, W: Tensor) -> Tensor:
        """Return the share of sequences of each seed whose last state is generated right, (B,)."""
        A = A.to(self.dtype).contiguous()

        def one(s: int) -> int:
            columns = self._columns(W[s])
            arguments = (ctypes.byref(self.data[s][0]), A[s].data_ptr(), columns.data_ptr())
            return int(self.library.rollout(*arguments, self.sequences))

        right = list(self.each(one, range(len(self.data))))
        return torch.tensor(right, dtype=torch.float64) / self.sequences

    def _sorted(self, actions: Tokens, states: Tokens) -> tuple[_Rows, dict[str, NDArray[Any]]]:
        """Return a seed's rows for the kernel, and the arrays they point to."""
        n, T = actions.shape
        arrays = {
            "actions": np.ascontiguousarray(actions),
            "states": np.ascontiguousarray(states),
            "order": np.empty(n * T, np.uint32),
            "start": np.zeros(self.N * T + 1, np.int64),
        }
        rows = _Rows(*(arrays[name].ctypes.data for name in ARRAYS))
        self.library.sort(ctypes.byref(rows), n)
        return rows, arrays

    def _columns(self, W: Tensor) -> Tensor:
        """Return W (K, N, N) as the kernel takes it; at a cache line, as torch's tensors are."""
        lanes = VECTOR // self.dtype.itemsize
        columns = torch.zeros(self.N, self.K, -(-self.N // lanes) * lanes, dtype=self.dtype)
        columns[..., : self.N] = W.permute(2, 0, 1)
        return columns
