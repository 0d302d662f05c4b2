"""Trainings with one hyperparameter changed, and a fate for every seed, made up."""

from __future__ import annotations

import numpy as np

from meanfield.parameters import Parameters
from meanfield.runs.run import Run
from tests.figures.synthetic_runs import locking, synthetic

MAIN = "main"
SIZES = {"N": 5, "T": 4, "K": 6, "d_head": 8}
EPOCH = np.arange(0, 400, 4)


def a_run(
    *,
    onsets: tuple[float, ...],
    rollout: tuple[float, ...],
    loss: tuple[float, ...] = (),
    **changed: float,
) -> Run:
    """Seeds that lock on there, with that rollout accuracy and loss at the end; loss from 1.6."""
    B, n_train = len(onsets), int(changed.pop("n_train", 64))
    last = np.arange(len(EPOCH)) == len(EPOCH) - 1
    ends = np.array(loss or B * (0.1,))[:, None]
    return synthetic(
        Parameters(**{**SIZES, **changed}),  # type: ignore[arg-type]
        EPOCH,
        n_train=n_train,
        R=locking(EPOCH, onsets),
        loss=np.where(last, ends, 1.6),
        rollout_accuracy=np.where(last, np.array(rollout)[:, None], 0.2),
    )


def with_attention_lost(run: Run) -> Run:
    """Let R of the first seed end below its start."""
    run.R[0, -1] = run.R[0, 0] / 2
    return run


def changed_runs() -> dict[str, Run]:
    """Return the main training and six others, by series and value."""
    good = {"onsets": (50.0, 60.0), "rollout": (1.0, 0.995)}
    return {
        MAIN: a_run(onsets=(80.0, 90.0, 100.0, 5.0), rollout=(1.0, 1.0, 0.99, 0.0)),
        "N 10": a_run(**good, N=10),  # type: ignore[arg-type]
        "d_head 2": a_run(**good, d_head=2),  # type: ignore[arg-type]
        "d_head faster 2": a_run(onsets=(np.inf, 70.0), rollout=(0.2, 1.0), d_head=2, T=8, lr=9.0),
        "linear 10": a_run(onsets=(50.0, 50.0), rollout=(0.989, 1.0)),
        "lr 200": with_attention_lost(
            a_run(onsets=(np.inf, 20.0), rollout=(0.25, 0.6), loss=(1.7, 0.3), lr=200.0)
        ),
        "n_train 16": with_attention_lost(
            a_run(onsets=(40.0, 41.0), rollout=(0.3, 0.4), loss=(0.5, 1.59), n_train=16)
        ),
    }
