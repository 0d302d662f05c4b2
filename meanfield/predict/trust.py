"""What to trust: when each closure locks on, against the softmax attention it stands for.

Both are a gradient G(R) in the same equations (15), so both give an epoch at which R = 1/2. The
epochs are compared, not the internal time V: once the margin is no longer small the epoch grows
like exp(margin), and a few per cent of V are many of the epoch.
"""

from __future__ import annotations

import math

import numpy as np

from meanfield.attention.closures import Closure
from meanfield.attention.onset import onset_of_closure, onset_of_softmax, onset_retrieval
from meanfield.attention.planes import FlowError
from meanfield.parameters import Parameters
from meanfield.predict.seeds import onset_spread
from meanfield.predict.trajectory import Trajectory
from meanfield.start import Start
from meanfield.theory import CLOSURES

TOLERANCE = 0.1  # a closure is trusted when its onset lies within a tenth of the attention's own


def relative_delays(parameters: Parameters, *candidates: Closure) -> tuple[float, ...]:
    """Return how much later each closure comes to R = 1/2 than the softmax attention: 0.1 is 10 %.

    In epochs from the nominal start. For T = 2, where R starts at 1/2, the goal is R = 3/4. Raises
    FlowError if the attention cannot be followed there in reasonable time, as with very few
    frequencies or with very many actions.
    """
    own, R_end = onset_of_softmax(parameters).log_t, onset_retrieval(parameters.T)
    logarithms = [
        onset_of_closure(each, parameters, R_end=R_end).log_t - own for each in candidates
    ]
    with np.errstate(over="ignore"):  # later by more than float64 can say: inf
        return tuple(float(each) for each in np.expm1(logarithms))


def trust(run: Trajectory, *, samples: int) -> tuple[str, ...]:
    """Return lines that say how far the theory of a prediction is to be trusted for its parameters.

    samples: seeds to draw for the spread of the onset, where a typical seed was followed.
    """
    theory = run.theory
    if theory.part.closure is not None:
        return of_closure(theory.part.closure, run.parameters, measured=_is_measured(run))
    if theory.closed:
        return ("a closure of your own: nothing is known of when it holds",)
    if theory.of_one_seed:
        return ("softmax attention of the query and key given, no closure",)
    return of_typical_seed(run, samples=samples)


def of_closure(
    closure: Closure, parameters: Parameters, *, measured: bool = False
) -> tuple[str, ...]:
    """Say whether to trust a closure, how the others do, and how that was judged.

    measured: whether the prediction is from another start than the nominal one.
    """
    others = {name: other for name, other in CLOSURES.items() if other is not closure}
    try:
        own, *delays = relative_delays(parameters, closure, *others.values())
    except FlowError as error:
        return (f"trust cannot be judged: {error}",)
    verdict = "trusted only" if abs(own) <= TOLERANCE else "not trusted"
    what = "the onset epoch" if parameters.T > 2 else "the epoch of R = 3/4, as R starts at 1/2"
    pairs = zip(others, delays, strict=True)
    listed = ", ".join(f"{name}: {percent(by)}" for name, by in pairs)
    start = "the nominal start, not the one given," if measured else "the nominal start"
    return (
        f"{verdict} for {what}: {percent(own)} ({listed})",
        f"judged from {start} against softmax attention from its mean start",
    )


def of_typical_seed(run: Trajectory, *, samples: int) -> tuple[str, ...]:
    """Say how the onset spreads over seeds, which a typical one leaves out."""
    parameters = run.parameters
    spread = onset_spread(parameters, run.theory, samples=samples, overlap=run.start.overlap)
    what = "the onset" if parameters.T > 2 else "R = 3/4"
    if math.isfinite(spread.high):
        where = (
            f"80 % of seeds between epoch {spread.low:.0f} and {spread.high:.0f}, "
            f"median {spread.median:.0f}"
        )
    else:
        where = "a tenth of the seeds or more never get there, or cannot be followed"
    return (
        "softmax attention of a typical seed, no closure; its onset stands for the median seed's",
        f"{what}: {where} ({spread.count} drawn, from the nominal start)",
    )


def percent(delay: float) -> str:
    """Return a relative delay in words: "7% late"."""
    if delay > 9:
        return "more than ten times as late"
    return f"{abs(delay):.0%} {'late' if delay > 0 else 'early'}"


def _is_measured(run: Trajectory) -> bool:
    nominal = Start().resolved(run.parameters)
    return any(getattr(run.start, name) != getattr(nominal, name) for name in "RQSC")
