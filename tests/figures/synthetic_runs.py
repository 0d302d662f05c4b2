"""Run files that no one trained, with the curves a test wants."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from meanfield.parameters import Parameters
from meanfield.runs import MEASURED, Run

Array = NDArray[np.float64]


def synthetic(
    parameters: Parameters, epoch: Any, *, diverged: Any = (), n_train: int = 64, **curves: Array
) -> Run:
    """Return a run of these curves, (B, E) each, and zeros for what is not given."""
    p, B, E = parameters, len(next(iter(curves.values()))), len(epoch)
    vectors = ("q_start", "k_start", "q_end", "k_end")
    return Run(
        parameters=p,
        training={"n_train": n_train},
        seeds=np.arange(B),
        epoch=np.asarray(epoch),
        **{name: curves.get(name, np.zeros((B, E))) for name in MEASURED},
        attention=np.zeros((B, E, p.T, p.T)),
        permutations=np.zeros((B, p.K, p.N), np.uint16),
        **{name: np.zeros((B, p.d_head)) for name in vectors},
        W_end=np.zeros((B, p.K, p.N, p.N), np.float32),
        diverged=dict(diverged),
    )


def locking(epoch: Any, at: Any, *, width: float = 5.0) -> Array:
    """Return R of seeds that come to 1/2 at the epochs ``at``, (B, E); never where that is inf."""
    at = np.asarray(at, float)[:, None]
    return np.where(np.isfinite(at), expit((np.asarray(epoch) - at) / width), 0.1)


def slow_gamma(p: Parameters) -> float:
    """Return gamma (14) by its plain sum over frequencies and lags."""
    m = np.arange(1, p.T)
    total = 0.0
    for r in range(p.d_head // 2):
        omega = p.rope_theta ** (-2 * r / p.d_head)
        phi = 4 / p.T**2 * np.sum((p.T - m) * np.sin(m * omega / 2) ** 2)
        total += phi**2
    return float(4 * p.qk_variance * total / (p.d_head * (p.T - 1)))
