"""R as a function of the gap Q - S: exact solutions of the theories, and what a closure conserves.

The gap U = Q - S grows, and R with it, along one curve whatever the learning rate (X2), (X3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid
from scipy.interpolate import PchipInterpolator
from scipy.special import expit, logit

from figures.measurements.squared_gradient import SOFTMAX, STEPS, gradients_of_theories
from meanfield import generated
from meanfield.attention import closures
from meanfield.compare.statistics import Estimate, average, jackknife
from meanfield.parameters import Parameters
from meanfield.runs.run import Run
from meanfield.theory import CLOSURES

Array = NDArray[np.float64]

STARTED = 0.03  # of R, above its start: before that the conserved quantity is 0 / 0


def exact_solutions(parameters: Parameters, R_end: float) -> dict[str, tuple[Array, Array]]:
    """Return U and logit R along the exact solutions from the nominal start, by theory.

    (X2): R' = kappa U G and U' = R in internal time, so U^2 / 2 is an integral over R.
    """
    N, K, T = parameters.N, parameters.K, parameters.T
    logit_R = np.linspace(logit(generated.nominal_retrieval(T)), logit(R_end), STEPS + 1)
    G = gradients_of_theories(parameters, logit_R)
    G[SOFTMAX][0] = G["linear"][0]  # all theories start from it
    slope = generated.gap_square_slope(logit_R, G[SOFTMAX], generated.rate_constant(N, K, 1.0))
    U = np.sqrt(2 * cumulative_trapezoid(slope, logit_R, initial=0.0))
    solutions = {SOFTMAX: (U, logit_R)}
    for name, closure in CLOSURES.items():
        assert closure.solution is not None
        own = closure.solution.logit_R(U, 0.0, logit_R[0], kappa(name, parameters))
        solutions[name] = (U, own)
    return solutions


def kappa(closure: str, parameters: Parameters) -> float:
    """Return the one constant of a closure's solutions."""
    rate = closures.rate(CLOSURES[closure], parameters)
    return float(generated.rate_constant(parameters.N, parameters.K, rate))


def gain(run: Run, closure: str) -> Array:
    """Return kappa (U^2 - U0^2) / 2 with U = Q - S, (B, E)."""
    U = run.Q - run.S
    return np.asarray(kappa(closure, run.parameters) * (U**2 - U[:, :1] ** 2) / 2)


def conserved(run: Run, closure: str) -> Array:
    """Return what R has gained over what Q - S has: 1 where the closure conserves, (B, E).

    nan until R has left its start.
    """
    solution = CLOSURES[closure].solution
    assert solution is not None
    logit_R, U = logit(run.R), run.Q - run.S
    gained = solution.squared_gap(logit_R, logit_R[:, :1], kappa(closure, run.parameters))
    started = run.R - run.R[:, :1] > STARTED
    ratio = np.full_like(run.R, np.nan)
    np.divide(gained, U**2 - U[:, :1] ** 2, out=ratio, where=started)
    return ratio


def conserved_at(run: Run, closure: str, level: float) -> Estimate:
    """Return ``conserved`` where R passes a level, averaged over the seeds that come there."""
    ratios = []
    for R, ratio in zip(run.R, conserved(run, closure), strict=True):
        known = np.isfinite(ratio)
        ratios.append(np.interp(logit(level), logit(R[known]), ratio[known], right=np.nan))
    values = np.array(ratios)
    return average(values[np.isfinite(values)])


def R_at_gaps(run: Run, U: Array) -> Array:
    """Return R of each seed at these values of Q - S, (B, len(U))."""
    pairs = zip(run.Q - run.S, logit(run.R), strict=True)
    return np.array([expit(PchipInterpolator(own, level)(U)) for own, level in pairs])


def common_gaps(runs: Mapping[str, Run]) -> Array:
    """Return values of Q - S that every seed of every run has passed."""
    gaps = [run.Q - run.S for run in runs.values()]
    low, high = max(gap[:, 0].max() for gap in gaps), min(gap[:, -1].min() for gap in gaps)
    return np.linspace(low, high, STEPS)


def difference_from_first(runs: Mapping[str, Run]) -> dict[str, Estimate]:
    """Return the rms difference in R of each seed from the same seed of the first run, by run."""
    U = common_gaps(runs)
    first, *others = (R_at_gaps(run, U) for run in runs.values())
    return {
        name: average(root_mean_square(R - first))
        for name, R in zip(list(runs)[1:], others, strict=True)
    }


def spread_over_seeds(run: Run, U: Array) -> Array:
    """Return the standard deviation of R over seeds at these values of Q - S, (len(U),)."""
    return np.asarray(np.std(R_at_gaps(run, U), axis=0, ddof=1))


def error_of_solutions(run: Run, U: Array) -> dict[str, Estimate]:
    """Return the rms error in R of each exact solution against the mean over seeds, by theory."""
    R = R_at_gaps(run, U)
    return {
        name: jackknife(root_mean_square, np.interp(U, gap, expit(logit_R)) - R)
        for name, (gap, logit_R) in exact_solutions(run.parameters, float(R.max())).items()
    }


def root_mean_square(curves: Array) -> Any:
    """Return the root mean square along the last axis."""
    return np.sqrt(np.mean(curves**2, axis=-1))
