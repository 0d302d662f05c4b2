"""G = |grad_q R|^2 + |grad_k R|^2, which drives attention: both closures, the softmax, training."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from meanfield import generated
from meanfield.attention import closures
from meanfield.attention import planes as attention
from meanfield.compare.statistics import Estimate, average
from meanfield.parameters import Parameters
from meanfield.runs.run import Run
from meanfield.theory import CLOSURES

Array = NDArray[np.float64]

GRADIENTS = {"linear": generated.gradient_linear, "quadratic": generated.gradient_quadratic}
SOFTMAX = "softmax"
STEPS = 250  # of the softmax attention, and of what is averaged over R


def gradients_of_theories(parameters: Parameters, logit_R: Array) -> dict[str, Array]:
    """Return G at each ascending logit R, by the name of its theory.

    The softmax attention is followed from its mean start, R = 1/T; below that its G is nan.
    """
    R = expit(logit_R)
    result = {
        name: np.asarray(GRADIENTS[name](R, closures.rate(closure, parameters)))
        for name, closure in CLOSURES.items()
    }
    planes, heads = attention.planes(parameters), attention.mean_heads(parameters, np.ones(1))
    start = logit(generated.nominal_retrieval(parameters.T))
    above, steps = logit_R > start, np.linspace(start, logit_R[-1], STEPS + 1)[1:]
    (G,) = attention.gradients(planes, heads, steps[None])
    result[SOFTMAX] = np.full_like(logit_R, np.nan)
    result[SOFTMAX][above] = np.exp(np.interp(logit_R[above], steps, np.log(G)))
    return result


def measured_log_gradients(run: Run, logit_R: Array) -> Array:
    """Return log G of each seed where its R first comes to these values, (B, ...); nan elsewhere.

    Between epochs log G is interpolated against logit R. Where R falls back, it is left out.
    """
    rows = []
    for R, G in zip(run.R, run.grad_R_squared, strict=True):
        own = logit(R)
        rising = np.append(True, own[1:] > np.maximum.accumulate(own)[:-1])
        own, log_G = own[rising], np.log(G[rising])
        rows.append(np.interp(logit_R, own, log_G, left=np.nan, right=np.nan))
    return np.array(rows)


def log_ratios(run: Run, logit_R: Array) -> dict[str, Array]:
    """Return log of theory over simulation of the seeds that come to all of these logit R.

    By the name of the theory, (seeds, len(logit_R)).
    """
    own = measured_log_gradients(run, logit_R)
    own = own[np.all(np.isfinite(own), axis=1)]
    return {
        name: np.log(G) - own for name, G in gradients_of_theories(run.parameters, logit_R).items()
    }


def mean_ratios(run: Run, low: float, high: float) -> dict[str, Estimate]:
    """Return theory over simulation between two values of R, averaged in logarithms, by theory."""
    result = {}
    for name, ratios in log_ratios(run, np.linspace(logit(low), logit(high), STEPS)).items():
        log = average(np.mean(ratios, axis=1))
        value = math.exp(log.value)
        result[name] = Estimate(value, value * log.error, log.seeds)
    return result


def common_range(run: Run, least: float) -> Array:
    """Return logit R from where all seeds have begun to where the first of them ends.

    Only the seeds whose R exceeds ``least`` at some time count.
    """
    learned = run.R[np.nanmax(run.R, axis=1) > least]
    low, high = logit(np.max(learned[:, 0])), logit(np.min(np.nanmax(learned, axis=1)))
    return np.linspace(low, high, STEPS)
