"""Curves that follow the linear closure exactly, each seed from a start of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from meanfield import Parameters, Start, predict
from meanfield.runs.measured import CURVES, Measured

P = Parameters(N=8, T=4)
EPOCH = np.arange(0.0, 160.0, 4.0)
STARTS = (Start(Q=0.01, S=0.0, C=0.05), Start(R=0.3, C=-0.04), Start(R=0.2, Q=0.02))


def measured_like(starts: Sequence[Start] = STARTS, **changed: Any) -> Measured:
    """Return what would be measured if training were the theory."""
    runs = [predict(P, "linear", start=start, epochs=EPOCH) for start in starts]
    values = {
        "source": "made up",
        "parameters": P,
        "training": {},
        "seeds": np.arange(len(runs)),
        "epoch": EPOCH,
        "curves": {name: np.array([getattr(run, name) for run in runs]) for name in CURVES},
        "C": np.array([run.start.C for run in runs]),
    }
    return Measured(**{**values, **changed})


def foreign_file(path: Path, starts: Sequence[Start] = STARTS) -> Path:
    """Write them as some other program would; return the path."""
    measured = measured_like(starts)
    np.savez(path, N=P.N, T=P.T, epoch=EPOCH, C=measured.C, **measured.curves)
    return path
