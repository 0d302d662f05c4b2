"""Run files that no one trained, with the curves a test wants."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from meanfield.parameters import Parameters
from meanfield.predict.prediction import predict
from meanfield.runs.run import MEASURED, Run
from meanfield.start import Start

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


def mean_field_run(parameters: Parameters, epoch: Any) -> Run:
    """Return three seeds that obey (15) with the linear closure, each from its own start."""
    T, starts = parameters.T, ((0.9, 0.02, -0.01), (1.0, 0.0, 0.01), (1.15, -0.01, 0.0))
    seeds = [
        predict(parameters, "linear", start=Start(R=R / T, Q=Q, S=S, C=0.03), epochs=epoch)
        for R, Q, S in starts
    ]
    curves = {name: np.array([getattr(seed, name) for seed in seeds]) for name in "RQS"}
    return synthetic(parameters, epoch, **curves, C=np.full_like(curves["R"], 0.03))


def slow_gamma(p: Parameters) -> float:
    """Return gamma (14) by its plain sum over frequencies and lags."""
    m = np.arange(1, p.T)
    total = 0.0
    for r in range(p.d_head // 2):
        omega = p.rope_theta ** (-2 * r / p.d_head)
        phi = 4 / p.T**2 * np.sum((p.T - m) * np.sin(m * omega / 2) ** 2)
        total += phi**2
    return float(4 * p.qk_variance * total / (p.d_head * (p.T - 1)))


PARAMETERS = Parameters(N=6, T=8, d_head=16, rope_theta=30.0)
FACTORS = np.array([0.5, 1.0, 1.6])  # of the linear closure, by seed


def run_of_factors() -> Run:
    """Seeds whose G is the linear closure's times a factor, their R moving at their own pace."""
    epoch = np.arange(0, 2000, 10)
    R = expit(logit(1 / 8) + 0.005 * np.outer([1.0, 1.1, 1.2], epoch))
    G = FACTORS[:, None] * slow_gamma(PARAMETERS) * R * (1 - R)
    return synthetic(PARAMETERS, epoch, R=R, grad_R_squared=G)


ONSETS = {  # epoch of each seed, by the training's place on a map
    "N 8 4": (100.0, 120.0, 130.0),
    "N 20 10": (140.0, 150.0, np.inf),
    "K 8 10": (90.0, 95.0, 101.0),
    "rope_theta 100 4": (60.0, 61.0, 62.0),
    "rope_theta 10000 4": (np.inf, np.inf, 62.0),
}
LR = 5.0


def map_parameters(name: str) -> Parameters:
    """Return the parameters of a training by its place, "map across T"."""
    which, across, T = name.split()
    changed: dict[str, Any] = {"N": 20, "T": int(T), "lr": LR, which: float(across)}
    return Parameters(
        **{key: int(value) if key in "NKT" else value for key, value in changed.items()}
    )


def map_runs() -> dict[str, Run]:
    """Return trainings with the onsets ONSETS."""
    epoch = np.arange(0, 300, 2)
    return {
        name: synthetic(map_parameters(name), epoch, R=locking(epoch, at), Q=np.zeros((3, 150)))
        for name, at in ONSETS.items()
    }
