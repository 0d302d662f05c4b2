"""Trained ensembles, and the equations followed with the attention gradient that each seed had."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit

from meanfield import generated
from meanfield.runs.run import Run
from simulate.settings import Experiment
from simulate.train import train

Array = NDArray[np.float64]
SEEDS = 16


@cache
def trained(N: int, epochs: int) -> Run:
    """An ensemble at K = N and T = N/2, to full retrieval."""
    torch.set_num_threads(1)
    schedule = {"train_epochs": epochs, "eval_every": 5, "n_test": 1024}
    return train(Experiment.of(range(SEEDS), N=N, T=N // 2, **schedule))


def closed_rates(
    logit_R: Any, Q: Any, S: Any, C: Any, N: int, K: int, rate: Any
) -> tuple[Any, Any, Any]:
    """Return the time derivatives of logit R, Q and S under the linear closure."""
    F, dQ, dS = generated.driven_rates(expit(logit_R), expit(-logit_R), Q, S, C, N, K)
    return F * generated.growth_linear(logit_R, rate), dQ, dS


def with_own_gradient(run: Run, rhs: Callable[..., Any] = closed_rates) -> dict[str, Array]:
    """R, Q, S and the loss of each seed, (B, E): (15) with G as that seed's network had it.

    G, a function of R, stands where the closure does, so that all the rest of the equations is put
    to the test. They take the steps of training, not the flow.
    """
    p, lr = run.parameters, run.parameters.lr
    every, states = int(run.epoch[1]), []
    for R, Q, S, C, G in zip(run.R, run.Q, run.S, run.C[:, 0], run.grad_R_squared, strict=True):
        logit_R = logit(R)
        rising = logit_R > np.maximum.accumulate(np.concatenate([[-np.inf], logit_R]))[:-1]
        at, rate = logit_R[rising], (G / (R * (1 - R)))[rising]  # of the linear closure's form
        state = np.array([logit_R[0], Q[0], S[0]])
        course = [state]
        for epoch in range(1, run.epoch[-1] + 1):
            here = np.interp(state[0], at, rate)
            state = state + lr * np.array(rhs(*state, C, p.N, p.K, here))
            if epoch % every == 0:
                course.append(state)
        states.append(course)
    logit_R, Q, S = np.moveaxis(np.array(states), 2, 0)
    margin = generated.margin(expit(logit_R), Q, S, run.C[:, :1], p.N, p.K)
    return {"R": expit(logit_R), "Q": Q, "S": S, "loss": np.asarray(generated.loss(margin, p.N))}


def excess(difference: Array, allowance: float) -> float:
    """By how much the mean over seeds leaves three standard errors and the allowance, at its worst.

    difference: theory minus training, (B, E). Negative where they agree at all epochs.
    """
    error = np.std(difference, axis=0, ddof=1) / np.sqrt(len(difference))
    return float(np.max(np.abs(np.mean(difference, axis=0)) - 3 * error - allowance))
