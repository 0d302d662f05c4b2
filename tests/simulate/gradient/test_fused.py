"""The exponential of the fused kernel, and the compiler it needs; the rest is in test_data.py."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from meanfield.errors import ParameterError
from meanfield.parameters import Parameters
from simulate.gradient import fused
from tests.simulate.small import needs_compiler, task_of

WRAPPED = """
#include "{source}"
void exponentials(real *y, int64_t count) {{
    for (int64_t i = 0; i < count; i += LANES) *(vec *)(y + i) = exp_of(*(vec *)(y + i));
}}
"""


@needs_compiler
@pytest.mark.parametrize("real", ["float", "double"])
def test_the_exponential_is_right_to_rounding(real: str, tmp_path: Path) -> None:
    source, built = tmp_path / "wrapped.c", tmp_path / "wrapped.so"
    source.write_text(WRAPPED.format(source=fused.SOURCE), encoding="utf-8")
    types = [f"-DREAL={real}", "-DN=4", "-DK=4", "-DT=3"]
    compiler = fused.compiler() or []
    subprocess.run([*compiler, *fused.FLAGS, *types, source, "-o", built, "-lm"], check=True)
    exponentials = ctypes.CDLL(str(built)).exponentials

    def exp(y: np.ndarray) -> np.ndarray:
        y = y.copy()
        exponentials(ctypes.c_void_p(y.ctypes.data), ctypes.c_int64(y.size))
        return y

    dtype, largest = {"float": (np.float32, 87), "double": (np.float64, 707)}[real]
    y = np.concatenate([np.linspace(-largest, largest, 2**16), np.linspace(-1, 1, 2**16)])
    y = y.astype(dtype)
    exact = np.exp(y.astype(np.longdouble))
    # longdouble is no longer than double on some machines, and its exp then rounds as well
    allowed = 1.0 if np.finfo(np.longdouble).eps < np.finfo(dtype).eps else 2.0
    assert np.max(np.abs(exp(y) / exact - 1)) < allowed * np.finfo(dtype).eps
    far = -np.geomspace(1.001 * largest, 1e30, 64).astype(dtype)
    assert not exp(far).any()
    assert exp(np.zeros(8, dtype)).tolist() == [1.0] * 8


def test_the_compiler_is_ccs_choice_else_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"gcc": "/bin/gcc", "clang": "/bin/clang", "mine": "/opt/mine"}
    monkeypatch.setattr(fused.shutil, "which", there.get)
    monkeypatch.setenv("CC", "mine")
    assert fused.compiler() == ["/opt/mine"]
    monkeypatch.setenv("CC", "mine -O1 '-D X'")
    assert fused.compiler() == ["/opt/mine", "-O1", "-D X"]
    for asked, words in (("nowhere", "CC = 'nowhere' is not there"), ("'", "is no command")):
        monkeypatch.setenv("CC", asked)
        with pytest.raises(ParameterError, match=words):
            fused.compiler()
    for unset in ("", " "):
        monkeypatch.setenv("CC", unset)
        assert fused.compiler() == ["/bin/gcc"]
    monkeypatch.delenv("CC")
    there.pop("gcc")
    assert fused.compiler() == ["/bin/clang"]
    there.clear()
    assert fused.compiler() is None


def test_without_a_working_compiler_there_is_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    p = Parameters(N=3, K=4, T=2)
    monkeypatch.delenv("CC", raising=False)
    for command in (None, ["false"]):  # none, and one that compiles nothing
        monkeypatch.setattr(fused, "compiler", lambda command=command: command)
        fused.library.cache_clear()
        assert fused.library(p.N, p.K, p.T, torch.float32) is None
        with pytest.raises(RuntimeError, match="needs a C compiler: use Grouped"):
            fused.Fused(task_of(p).train, N=p.N, K=p.K, dtype=torch.float32)
    fused.library.cache_clear()
    monkeypatch.setenv("CC", "false")  # asked for, so it is no reason to be silent
    with pytest.raises(ParameterError, match="CC = 'false' cannot compile the fused kernel: name"):
        fused.library(p.N, p.K, p.T, torch.float32)
    fused.library.cache_clear()
