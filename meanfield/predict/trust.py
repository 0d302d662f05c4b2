"""What to trust: when each closure locks on, against the softmax attention it stands for.

Both are a gradient G(R) in the same equations (15), so both give an epoch at which R = 1/2. The
epochs are compared, not the internal time V: once the margin is no longer small the epoch grows
like exp(margin), and a few per cent of V are many of the epoch.
"""

from __future__ import annotations

import math

import numpy as np

from meanfield.attention import closures
from meanfield.attention.closures import Closure
from meanfield.attention.onset import closure_lock, goal, softmax_lock
from meanfield.attention.planes import FlowError
from meanfield.parameters import Parameters
from meanfield.predict import seeds

TOLERANCE = 0.1  # a closure is trusted when its onset lies within a tenth of the attention's own


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


def attention_words(
    closure: str, parameters: Parameters, *, samples: int, overlap: float | None
) -> tuple[str, ...]:
    """Say what a prediction without a closure leaves out, a line each.

    samples: seeds to draw for the spread of the onset, told of a typical seed ("spectral").
    overlap: as in ``Trajectory``.
    """
    if closure == closures.PER_SEED:
        return ("softmax attention of the query and key given, no closure",)
    spread = seeds.onset_spread(parameters, samples=samples, overlap=overlap)
    what = "the onset" if parameters.T > 2 else "R = 3/4"
    if math.isfinite(spread.high):
        told = (
            f"80 % of seeds between epoch {spread.low:.0f} and {spread.high:.0f}, "
            f"median {spread.median:.0f}"
        )
    else:
        told = "a tenth of the seeds or more never get there, or cannot be followed"
    return (
        "softmax attention of a typical seed, no closure; its onset stands for the median seed's",
        f"{what}: {told} ({spread.count} drawn, from the nominal start)",
    )


def _percent(late: float) -> str:
    if late > 9:
        return "more than ten times as late"
    return f"{abs(late):.0%} {'late' if late > 0 else 'early'}"
