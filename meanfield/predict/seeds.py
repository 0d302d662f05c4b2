"""Many seeds side by side: their curves, when each locks on, and how that spreads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import logit

from meanfield.attention import closures, planes
from meanfield.attention.onset import onset_of_closure, onset_of_heads, onset_retrieval
from meanfield.attention.planes import Heads
from meanfield.attention.typical import RNG_SEED, draw, followable_planes
from meanfield.dynamics import Curve, Model
from meanfield.errors import ParameterError
from meanfield.logic.family import Family
from meanfield.logits.gaussian import Gaussian
from meanfield.numerics.integrate import LONGEST
from meanfield.parameters import Parameters
from meanfield.predict.many import Batch
from meanfield.predict.prediction import ascending
from meanfield.start import Start, stacked
from meanfield.theory import BEST, Theory

Array = NDArray[np.float64]

PLAIN = Theory()  # down the mean-field loss
SAMPLES = 400  # of the spread over seeds, unless told otherwise
CHUNK = 32  # seeds solved as one model
PANEL_COUNTS = (2, 3, 6)  # on the way to the onset, finer and finer
PROBED, SAME_LAW = 16, 0.005  # seeds that tell how fluctuations shift the onsets, and how closely


def onset_epochs(
    parameters: Parameters,
    q: Array,
    k: Array,
    *,
    theory: Theory = PLAIN,
    overlap: float | None = None,
) -> Array:
    """Return the epoch of R = 1/2 (T = 2: R = 3/4) of each seed from Q = S = C/N; q, k: (B, d).

    theory: its loss is gone down. By quadrature along the flow, finer and finer until it changes by
    less than a thousandth; where it does not settle the equations are solved, as they are for a
    loss with the fluctuations of a vocabulary of this ``overlap``, 1/N unless given. 0 where a seed
    starts beyond, inf where it does not come there in a hundred times the linear closure's time.
    Raises ParameterError for too many actions and planes.
    """
    rope, heads = followable_planes(parameters), planes.heads(q, k)
    R_end = onset_retrieval(parameters.T)
    R, _, _ = planes.retrieval(rope, heads.p)
    found, again = np.zeros(len(R)), np.flatnonzero(R_end > R)
    if not theory.fluctuating:
        log_t = np.full(len(R), np.nan)
        for count in PANEL_COUNTS:
            before = log_t[again]
            some = Heads(heads.p[again], heads.imbalance[again])
            log_t[again] = onset_of_heads(rope, some, parameters, count=count).log_t
            again = again[~(np.abs(log_t[again] - before) < 1e-3)]
        with np.errstate(over="ignore"):
            found = np.where(R_end > R, np.exp(log_t) / parameters.lr, 0.0)
    slow = onset_of_closure(closures.LINEAR, parameters, R_end=R_end).log_t
    with np.errstate(over="ignore"):  # later than float64 can say: inf
        longest = min(100 * float(np.exp(slow)), LONGEST)
    known: dict[str, Any] = {} if overlap is None else {"overlap": overlap}
    each = theory.of_each_seed()
    for chunk in np.array_split(again, 1 + again.size // CHUNK):
        if chunk.size:
            starts = [Start(q=q[row], k=k[row], **known).resolved(parameters) for row in chunk]
            model = each.model(parameters, stacked(starts))
            found[chunk] = _attends(model, R_end, longest) / parameters.lr
    return found


def _attends(model: Model, R_end: float, longest: float) -> Array:
    """Return the training time at which R of each head is R_end, inf if not before ``longest``."""
    curve, t_end = None, longest / 50
    while curve is None or curve.end < longest:
        curve = model.solve(t_end, after=curve)
        times = _times(curve, R_end)
        if np.all(np.isfinite(times)):
            break
        t_end = min(4 * t_end, longest)
    return times


def predict_seeds(
    parameters: Parameters,
    theory: str | Theory = BEST,
    *,
    starts: Sequence[Start],
    epochs: ArrayLike,
) -> Batch:
    """Return the curves of many seeds of one model, each from its own start.

    theory: one of a single seed. starts: of the seeds. epochs: (E,), ascending from 0 or later.
    onset_epoch is inf where R = 1/2 is not reached within the epochs. Raises ParameterError on what
    cannot be, SolverError if the equations cannot be solved.
    """
    theory, epoch, lr = Theory.parse(theory), ascending(epochs), parameters.lr
    if not theory.of_one_seed or not starts:
        raise ParameterError(
            "predict_seeds follows one seed or more by a theory that starts from the query and key "
            f"of each, not {len(starts)} by {theory}"
        )
    if theory.logits != Theory.logits:
        raise ParameterError(
            f"the logits of many seeds at once are {Theory.logits}, not {theory.logits}: predict "
            "them one by one"
        )
    for start in starts:
        theory.check(start)
    resolved = [start.resolved(parameters) for start in starts]
    curves, onsets = np.empty((3, len(starts), len(epoch))), np.empty(len(starts))
    for first in range(0, len(starts), CHUNK):
        rows = slice(first, first + CHUNK)
        model = theory.model(parameters, stacked(resolved[rows]))
        curve = model.solve(epoch[-1] * lr, rtol=model.attention.rtol / 10)
        curves[:, rows] = curve(epoch * lr)
        onsets[rows] = _times(curve, 0.5) / lr
    logit_R, Q, S = curves
    return Batch(
        epoch=np.broadcast_to(epoch, logit_R.shape),
        logit_R=logit_R,
        Q=Q,
        S=S,
        onset_epoch=onsets,
        logits=_gaussian(parameters, stacked(resolved)),
    )


def _gaussian(p: Parameters, start: Start) -> Gaussian:
    """Return how the logits of many seeds are read, the seeds in front of the epochs."""
    by_seed = {name: getattr(start, name)[:, None] for name in ("Q", "S", "overlap")}
    logic = Family(N=float(p.N), K=float(p.K), **by_seed)
    return Gaussian(logic=logic, C=np.asarray(start.C)[:, None], T=p.T, w_variance=p.w_variance)


def _times(curve: Curve, goal: float) -> Array:
    """Return the training time at which R of each head reaches a goal, inf where it does not."""
    steps = curve.solution.steps
    rise = logit(goal)
    found = []
    for head, along in enumerate(curve(steps)[0] >= rise):
        first = int(np.argmax(along)) if np.any(along) else len(steps)

        def lead(t: float, head: int = head) -> float:
            return float(curve(t)[0][head] - rise)

        if 0 < first < len(steps):
            found.append(brentq(lead, steps[first - 1], steps[first], rtol=1e-9))
        else:
            found.append(0.0 if first == 0 else math.inf)
    return np.array(found)


@dataclass(frozen=True)
class Spread:
    """Quantiles of the onset epoch over ``count`` drawn seeds: 10 %, the median, 90 %."""

    count: int
    low: float
    median: float
    high: float


def onset_spread(
    parameters: Parameters,
    theory: Theory = PLAIN,
    *,
    samples: int = SAMPLES,
    rng_seed: int = RNG_SEED,
    overlap: float | None = None,
) -> Spread:
    """Return how the onset epoch spreads over seeds drawn from the initialisation.

    theory, overlap: as in ``onset_epochs``.
    """
    q, k = draw(parameters, samples, rng_seed=rng_seed)
    onsets = onset_epochs(parameters, q, k)
    if theory.fluctuating:
        onsets = _with_fluctuations(parameters, q, k, onsets, theory, overlap)
    low, median, high = np.quantile(onsets, (0.1, 0.5, 0.9), method="nearest")
    return Spread(samples, float(low), float(median), float(high))


def _with_fluctuations(
    parameters: Parameters,
    q: Array,
    k: Array,
    onsets: Array,
    theory: Theory,
    overlap: float | None,
) -> Array:
    """Return what the loss with fluctuations makes of the onset of each seed.

    As a rule it is a power law of the onset itself, which a few seeds tell; else all are solved.
    """
    few = onset_epochs(parameters, q[:PROBED], k[:PROBED], theory=theory, overlap=overlap)
    if len(onsets) <= PROBED:
        return few
    with np.errstate(divide="ignore"):
        before, after = np.log(onsets), np.log(few)
    if np.all(np.isfinite(before[:PROBED])) and np.all(np.isfinite(after)):
        law = np.polyfit(before[:PROBED], after, 1)
        if np.std(after - np.polyval(law, before[:PROBED])) < SAME_LAW:
            return np.asarray(np.exp(np.polyval(law, before)))
    return onset_epochs(parameters, q, k, theory=theory, overlap=overlap)
