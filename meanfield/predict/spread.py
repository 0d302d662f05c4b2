"""When each of many seeds locks on, and how that spreads about a typical one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import logit

from meanfield.attention import closures, planes
from meanfield.attention.onset import onset_of_closure, onset_of_heads, onset_retrieval
from meanfield.attention.planes import Heads
from meanfield.attention.typical import RNG_SEED, draw, followable_planes
from meanfield.checks import MOST, fits, integer
from meanfield.dynamics import Curve, Model
from meanfield.numerics.integrate import LONGEST
from meanfield.parameters import Parameters
from meanfield.start import Start, stacked
from meanfield.theory import Theory

Array = NDArray[np.float64]
Bar = Callable[[list[Any]], Iterable[Any]]

PLAIN = Theory()  # down the mean-field loss
SAMPLES = 400  # of the spread over seeds, unless told otherwise
FOLLOWED = 2**22  # samples times actions times d_head, unless told otherwise: some seconds
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
    bar: Bar = list,
) -> Array:
    """Return the epoch of R = 1/2 (T = 2: R = 3/4) of each seed from Q = S = C/N; q, k: (B, d).

    theory: its loss is gone down. By quadrature along the flow, finer and finer until it changes by
    less than a thousandth; where it does not settle the equations are solved, as they are for a
    loss with the fluctuations of a vocabulary of this ``overlap``, 1/N unless given. 0 where a seed
    starts beyond, inf where it does not come there in a hundred times the linear closure's time.
    bar: what the chunks of seeds to be solved are gone through by, such as tqdm.
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
    for chunk in bar(np.array_split(again, 1 + again.size // CHUNK)):
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
        times = times_of(curve, R_end)
        if np.all(np.isfinite(times)):
            break
        t_end = min(4 * t_end, longest)
    return times


def times_of(curve: Curve, goal: float) -> Array:
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

    def in_words(self, T: int) -> str:
        """Return it as a sentence; T: actions, which say what R is judged."""
        what = "the onset" if T > 2 else "R = 3/4"
        where = "a tenth of the seeds or more never get there, or cannot be followed"
        if math.isfinite(self.high):
            where = (
                f"80 % of seeds between epoch {self.low:.0f} and {self.high:.0f}, "
                f"median {self.median:.0f}"
            )
        return f"{what}: {where} ({self.count} drawn, from the nominal start)"


def check_samples(samples: Any, parameters: Parameters) -> int:
    """Return samples, at least 2; ParameterError for none that can be, or that fits into memory."""
    samples = integer("samples", samples, 2, MOST)
    return fits("samples", samples, 2 * 8 * parameters.d_head)


def onset_spread(
    parameters: Parameters,
    theory: Theory = PLAIN,
    *,
    samples: int | None = None,
    rng_seed: int = RNG_SEED,
    overlap: float | None = None,
    bar: Bar = list,
) -> Spread:
    """Return how the onset epoch spreads over seeds drawn from the initialisation.

    theory, overlap, bar: as in ``onset_epochs``. samples: seeds to draw, unless given SAMPLES, or
    fewer where each takes long. Raises ParameterError for more than fit into memory.
    """
    p = parameters
    if samples is None:
        samples = max(PROBED, min(SAMPLES, FOLLOWED // (p.T * p.d_head)))
    samples = check_samples(samples, p)
    q, k = draw(parameters, samples, rng_seed=rng_seed)
    onsets = onset_epochs(parameters, q, k)
    if theory.fluctuating:
        onsets = _with_fluctuations(parameters, q, k, onsets, theory, overlap, bar)
    low, median, high = np.quantile(onsets, (0.1, 0.5, 0.9), method="nearest")
    return Spread(samples, float(low), float(median), float(high))


def _with_fluctuations(
    parameters: Parameters,
    q: Array,
    k: Array,
    onsets: Array,
    theory: Theory,
    overlap: float | None,
    bar: Bar,
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
    return onset_epochs(parameters, q, k, theory=theory, overlap=overlap, bar=bar)
