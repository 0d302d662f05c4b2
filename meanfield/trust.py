"""Which closure to trust: where each locks on, against the softmax attention it stands for.

While attention locks on, the clock is the internal time V, which the loss does not enter; so the
comparison depends on T, the RoPE frequencies and the start of query and key alone.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit

from meanfield import attention, closures, generated, panels
from meanfield.attention import FlowError, Lock
from meanfield.closures import Closure
from meanfield.parameters import Parameters

TOLERANCE = 0.1  # a closure is trusted when its onset lies within a tenth of the attention's own


def lateness(parameters: Parameters, *candidates: Closure) -> tuple[float, ...]:
    """Return how much later each closure comes to R = 1/2 than the softmax attention: 0.1 is 10 %.

    All start at R = 1/T, in internal time, which is the epoch as long as the margin is small. For
    T = 2, where R starts at 1/2, the goal is R = 3/4. Raises FlowError if the attention cannot be
    followed there in reasonable time, as with very few frequencies or with very many actions.
    """
    R_end = 0.5 if parameters.T > 2 else 0.75
    planes = attention.planes(parameters.frequencies, parameters.T)
    lock = attention.lock(planes, qk_variance=parameters.qk_variance, R_end=R_end)
    return tuple(closure_lock(each, parameters, R_end=R_end).V / lock.V - 1 for each in candidates)


def closure_lock(closure: Closure, parameters: Parameters, *, R_end: float = 0.5) -> Lock:
    """Return how a closure locks on, from its own G(R), in internal time with N K F = 1."""
    rate, T = closures.rate(closure, parameters), parameters.T
    rise = math.log(R_end / (1 - R_end)) + math.log(T - 1)
    x, half = panels.at_points(np.linspace(0.0, 1.0, 9)[None], 12)
    logit_R = rise * x**2 - math.log(T - 1)
    R, rest, d_logit_R = expit(logit_R), expit(-logit_R), 2 * rise * x
    sizes = (0.0, parameters.N, parameters.K)  # C, N, K
    drive = generated.attention_drive(R, 1.0, 0.0, *sizes)
    G = closure.rhs(logit_R, 1.0, 0.0, *sizes, rate)[0] * R * rest / drive
    by_x = R**2 * rest / G * d_logit_R  # of U^2 / 2
    squares = panels.at_edges(by_x, half)
    U, U_end = np.sqrt(2 * panels.between_edges(by_x, half, squares)), math.sqrt(2 * squares[0, -1])
    # V = int dU / R = U/R + int U dR / R^2
    V = U_end / R_end + panels.at_edges(U * rest / R * d_logit_R, half)[0, -1]
    return Lock(U_end, float(V))


def words(closure: Closure, parameters: Parameters) -> str:
    """Say in one line whether to trust the closure, and how the others do."""
    others = [other for other in closures.CLOSURES.values() if other.name != closure.name]
    try:
        own, *late = lateness(parameters, closure, *others)
    except FlowError as error:
        return f"trust cannot be judged: {error}"
    verdict = "trusted" if abs(own) <= TOLERANCE else "not trusted"
    pairs = zip(others, late, strict=True)
    told = ", ".join(f"{other.name}: {_percent(by)}" for other, by in pairs)
    return f"{verdict}: attention onset {_percent(own)} against the exact softmax ({told})"


def _percent(late: float) -> str:
    return f"{abs(late):.0%} {'late' if late > 0 else 'early'}"
