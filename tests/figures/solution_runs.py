"""Seeds that follow exact solutions R(Q - S), made up rather than trained."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import expit, logit

from meanfield.parameters import Parameters
from meanfield.runs.run import Run
from tests.figures.synthetic_runs import Array, slow_gamma, synthetic

PARAMETERS = Parameters(N=8, T=5, K=6, d_head=16)
GAMMA = slow_gamma(PARAMETERS)
KAPPA = 8**2 * 5 / 7 * GAMMA  # N^2 (K - 1)/(N - 1) times the rate
KAPPA_QUADRATIC = KAPPA * 25 / 4  # times T^2/(T - 1)
START = 0.03  # Q - S at the start
END = float(np.sqrt(START**2 + 2 / KAPPA * np.log(0.8 / 0.02)))  # where R = 0.98


def a_run(R_of: Array | None, gap: Array, *, shift: float = 0.0) -> Run:
    """Two seeds that follow one curve R(Q - S), the second shifted in logit R."""
    R = linear_solution(gap) if R_of is None else R_of
    both = np.stack([R, expit(logit(R) + shift)])
    S = np.broadcast_to(0.1 * gap, both.shape)
    return synthetic(PARAMETERS, np.arange(len(gap)), R=both, Q=gap + S, S=S)


def linear_solution(gap: Array) -> Array:
    """Return R that starts at 1/T with the gap START, closure gamma R (1 - R)."""
    return np.asarray(1 - 0.8 * np.exp(-KAPPA * (gap**2 - START**2) / 2))


def quadratic_solution(gap: Array) -> Array:
    """Return the same of g_0 R^2 (1 - R)^2, by an ODE solver: dR/dU = kappa U R (1 - R)^2."""
    solved = solve_ivp(
        lambda U, R: KAPPA_QUADRATIC * U * R * (1 - R) ** 2, (gap[0], gap[-1]), [0.2], t_eval=gap,
        rtol=1e-10, atol=1e-12,
    )  # fmt: skip
    return np.asarray(solved.y[0])
