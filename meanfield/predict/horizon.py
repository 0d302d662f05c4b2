"""How far a prediction goes, and the epochs at which something happens on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import logit

from meanfield import generated
from meanfield.attention.onset import onset_of_closure, onset_retrieval
from meanfield.dynamics import Curve
from meanfield.predict.accuracies import Accuracies
from meanfield.start import Start
from meanfield.theory import Prepared

Array = NDArray[np.float64]

SATURATED = 0.01  # rollout error at which training is called saturated
LEFT = 0.1  # of the way from where R starts to 1: the end of the heuristic phase
ALMOST = 0.9995  # R that is as good as 1: a closure may take for ever beyond it
LONGEST = 4**10  # times the estimated onset: no horizon is chosen beyond it


def solve(prepared: Prepared, read: Accuracies, epochs: float | None) -> tuple[Curve, float]:
    """Return the curve and the epoch where it ends; without ``epochs``, until it has saturated."""
    model, p = prepared.model, prepared.model.parameters
    if epochs is not None:
        return model.solve(epochs * p.lr), epochs
    onset = estimated_onset(prepared)
    curve = model.solve(2 * onset)

    def learned(t: Any) -> Any:
        return (curve(t)[0] >= 0) & (read.rollout_error(curve, t) <= SATURATED)

    while not learned(curve.end) and curve.end < LONGEST * onset:
        curve = model.solve(4 * curve.end, after=curve)
    steps = steps_to(curve, curve.end)
    done, attends = np.flatnonzero(learned(steps)), np.flatnonzero(curve(steps)[0] >= 0)
    if done.size:
        t_end = 1.3 * max(steps[done[0]], onset)
    else:
        t_end = 4 * max(steps[attends[0]] if attends.size else 0.0, onset)
    epochs = round_up(t_end / p.lr)
    missing = epochs * p.lr > curve.end
    return (model.solve(epochs * p.lr, after=curve) if missing else curve), epochs


def estimated_onset(prepared: Prepared) -> float:
    """Return about when attention locks on, in training time: its closure's, or the linear one's.

    From the nominal start, by the law of a small margin (X3g).
    """
    p = prepared.model.parameters
    closure = prepared.model.attention.closure
    R_end = max(onset_retrieval(p.T), min((1 + prepared.start.R) / 2, ALMOST))
    gained = onset_of_closure(closure, p, R_end=R_end).V
    return float(generated.early_time(gained, 0.0, p.N, p.K))


def events(curve: Curve, read: Accuracies, end: float, start: Start) -> dict[str, Any]:
    """Return the epochs of what happens up to the epoch ``end``, None for what does not."""
    lr = curve.model.parameters.lr
    steps = steps_to(curve, end * lr)
    logit_R_at_steps, wrong_at_steps = curve(steps)[0], read.rollout_error(curve, steps)

    def logit_R_reaches(goal: float) -> float | None:
        t = first_zero(lambda t: curve(t)[0] - goal, steps, logit_R_at_steps - goal)
        return None if t is None else t / lr

    def rollout_error_falls_to(goal: float) -> float | None:
        def above(t: float) -> Array:  # in logarithms, as the error falls like an exponential
            return math.log(goal) - np.log(read.rollout_error(curve, t))

        with np.errstate(divide="ignore"):  # no error left at all
            at_steps = math.log(goal) - np.log(wrong_at_steps)
            t = first_zero(above, steps, at_steps, rtol=read.logits.rtol)
        return None if t is None else t / lr

    return {
        "heuristic_end_epoch": logit_R_reaches(float(logit(start.R + LEFT * (1 - start.R)))),
        "onset_epoch": logit_R_reaches(0.0),
        "rollout_half_epoch": rollout_error_falls_to(0.5),
        "saturation_epoch": rollout_error_falls_to(SATURATED),
    }


def round_up(value: float) -> float:
    """Return the next number with two digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit) * unit


def steps_to(curve: Curve, t_end: float) -> Array:
    """Return the solver's own steps up to t_end, t_end the last."""
    steps, t_end = curve.solution.steps, min(t_end, curve.end)
    return np.append(steps[steps < t_end], t_end)


def first_zero(
    f: Callable[[float], Any], steps: Array, at_steps: Array, *, rtol: float = 1e-12
) -> float | None:
    """Return the first time at which f is no longer negative, None if there is none.

    steps: times close enough for f not to change sign twice in between; at_steps: f there.
    rtol: relative error of that time.
    """
    reached = np.flatnonzero(at_steps >= 0)
    if not reached.size:
        return None
    right = int(reached[0])
    if right == 0 or at_steps[right] == 0:
        return float(steps[right])
    return float(brentq(lambda t: float(f(t)), steps[right - 1], steps[right], rtol=rtol))
