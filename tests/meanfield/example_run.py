"""A run file's content, of random numbers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from meanfield.parameters import Parameters
from meanfield.runs.run import MEASURED, Run
from meanfield.training import Training

PARAMETERS = Parameters(N=4, K=3, T=2, d_head=6)


def training(**changes: Any) -> dict[str, Any]:
    """Return hyperparameters as a run file keeps them."""
    schedule = {"n_test": 4, "train_epochs": 15, "eval_every": 10}
    return {**asdict(Training(n_train=8)), **schedule, **changes}


def a_run(**changes: Any) -> Run:
    rng = np.random.default_rng(0)
    B, E, p = 2, 3, PARAMETERS
    values: dict[str, Any] = {
        "parameters": p,
        "training": training(),
        "seeds": np.array([4, 7]),
        "epoch": np.array([0, 10, 15]),
        **{name: rng.uniform(size=(B, E)) for name in MEASURED},
        "attention": rng.uniform(size=(B, E, p.T, p.T)),
        "permutations": rng.permuted(np.tile(np.arange(4, dtype=np.uint16), (B, 3, 1)), axis=2),
        **{name: rng.normal(size=(B, 6)) for name in ("q_start", "k_start", "q_end", "k_end")},
        "W_end": rng.normal(size=(B, 3, 4, 4)).astype(np.float32),
        "made_with": {"device": "cpu", "commit": None},
    }
    right = np.take_along_axis(values["W_end"], values["permutations"][:, :, None].astype(int), 2)
    values["Q"][:, -1] = right.mean((1, 2, 3), dtype=float)  # (9)
    return Run(**{**values, **changes})
