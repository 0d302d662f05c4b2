"""Which closure to trust: when each locks on, against the softmax attention it stands for.

Both are a gradient G(R) in the same equations (15), so both give an epoch at which R = 1/2. The
epochs are compared, not the internal time V: once the margin is no longer small the epoch grows
like exp(margin), and a few per cent of V are many of the epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from meanfield import attention, closures, generated, panels
from meanfield.attention import FlowError
from meanfield.closures import Closure
from meanfield.parameters import Parameters

Array = NDArray[np.float64]

TOLERANCE = 0.1  # a closure is trusted when its onset lies within a tenth of the attention's own
PANELS, NODES = 3, 12  # of the way to the onset


@dataclass(frozen=True)
class Lock:
    """What has been gained when R reaches its goal, from R = 1/T and U = V = C = 0.

    U = Q - S, V = Q + (K - 1) S, and the logarithm of the training time, which may leave float64.
    """

    U: float
    V: float
    log_t: float


def goal(T: int) -> float:
    """Return the R that is judged: the onset 1/2, or 3/4 for T = 2, where R starts at 1/2."""
    return 0.5 if T > 2 else 0.75


def lateness(parameters: Parameters, *candidates: Closure) -> tuple[float, ...]:
    """Return how much later each closure comes to R = 1/2 than the softmax attention: 0.1 is 10 %.

    In epochs from the nominal start. For T = 2, where R starts at 1/2, the goal is R = 3/4. Raises
    FlowError if the attention cannot be followed there in reasonable time, as with very few
    frequencies or with very many actions.
    """
    own = softmax_lock(parameters).log_t
    R_end = goal(parameters.T)
    logarithms = [closure_lock(each, parameters, R_end=R_end).log_t - own for each in candidates]
    with np.errstate(over="ignore"):  # later by more than float64 can say: inf
        return tuple(float(each) for each in np.expm1(logarithms))


def softmax_lock(parameters: Parameters) -> Lock:
    """Return how the softmax attention locks on from its mean start; FlowError as lateness."""
    planes = attention.planes(parameters.frequencies, parameters.T)

    def gradient(logit_R: Array) -> Array:
        steps = logit_R.ravel().tolist()
        found = attention.gradients(planes, steps, qk_variance=parameters.qk_variance)
        return found.reshape(logit_R.shape)

    return _lock(gradient, parameters, R_end=goal(parameters.T))


def closure_lock(closure: Closure, parameters: Parameters, *, R_end: float) -> Lock:
    """Return how a closure locks on, from its own G(R)."""
    rate, sizes = closures.rate(closure, parameters), (0.0, parameters.N, parameters.K)  # C, N, K

    def gradient(logit_R: Array) -> Array:
        R = expit(logit_R)
        d_logit_R = closure.rhs(logit_R, 1.0, 0.0, *sizes, rate)[0]
        drive = generated.attention_drive(R, 1.0, 0.0, *sizes)
        return np.asarray(d_logit_R * R * expit(-logit_R) / drive)

    return _lock(gradient, parameters, R_end=R_end)


def _lock(gradient: Callable[[Array], Array], parameters: Parameters, *, R_end: float) -> Lock:
    """Follow (15) with this G, by logit R, from the nominal start until R = R_end."""
    N, K, T = float(parameters.N), float(parameters.K), parameters.T
    rise = math.log(R_end / (1 - R_end)) + math.log(T - 1)
    x, half = panels.at_points(np.linspace(0.0, 1.0, PANELS + 1)[None], NODES)
    logit_R = rise * x**2 - math.log(T - 1)  # U starts in proportion to x, so all is smooth in x
    R, rest = expit(logit_R), expit(-logit_R)
    # in internal time U' = R, V' = 1 and R' = kappa U G with kappa at rate 1
    by_x = 2 * rise * x * R**2 * rest / (gradient(logit_R) * generated.kappa(N, K, 1.0))  # of U^2/2
    squares = panels.at_edges(by_x, half)
    U = np.sqrt(2 * panels.between_edges(by_x, half, squares))
    dU = by_x / U
    Vs = panels.at_edges(dU / R, half)
    V = panels.between_edges(dU / R, half, Vs)
    margin = generated.margin_by_gap(R, U, V, 0.0, N, K)
    log_dt = generated.log_time_slope(logit_R, margin, N, K) + np.log(dU)
    largest = float(np.max(log_dt))
    t = panels.at_edges(np.exp(log_dt - largest), half)[0, -1]
    return Lock(math.sqrt(2 * squares[0, -1]), float(Vs[0, -1]), largest + math.log(t))


def words(closure: Closure, parameters: Parameters, *, measured: bool = False) -> tuple[str, ...]:
    """Say whether to trust the closure, how the others do, and how that was judged, a line each.

    measured: whether the prediction is from another start than the nominal one.
    """
    others = [other for other in closures.CLOSURES.values() if other.name != closure.name]
    try:
        own, *late = lateness(parameters, closure, *others)
    except FlowError as error:
        return (f"trust cannot be judged: {error}",)
    verdict = "trusted only" if abs(own) <= TOLERANCE else "not trusted"
    what = "the onset epoch" if parameters.T > 2 else "the epoch of R = 3/4, as R starts at 1/2"
    pairs = zip(others, late, strict=True)
    told = ", ".join(f"{other.name}: {_percent(by)}" for other, by in pairs)
    start = "the nominal start, not the one given," if measured else "the nominal start"
    return (
        f"{verdict} for {what}: {_percent(own)} ({told})",
        f"judged from {start} against softmax attention from its mean start",
    )


def _percent(late: float) -> str:
    if late > 9:
        return "more than ten times as late"
    return f"{abs(late):.0%} {'late' if late > 0 else 'early'}"
