"""Many initialisations: how they are drawn, when each locks on, and the one that is typical.

A seed is a query and a key of independent uniform entries; attention is then followed without a
closure (see flow). Everything here starts at Q = S = C/N unless it is given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import logit

from meanfield import dynamics, flow, generated
from meanfield.attention import closures
from meanfield.attention import onset as lock
from meanfield.attention import planes as attention
from meanfield.attention.planes import FlowError, Heads, Planes
from meanfield.dynamics import Curve, System
from meanfield.errors import ParameterError
from meanfield.parameters import Parameters
from meanfield.predict.quadrature import Batch

Array = NDArray[np.float64]

SAMPLES, RNG_SEED = 400, 20260618  # of the spread over seeds, unless told otherwise
CHUNK = 32  # seeds solved as one system
PANEL_COUNTS = (2, 3, 6)  # on the way to the onset, finer and finer
PROBED, SAME_FACTOR = 16, 0.02  # seeds that tell whether fluctuations shift all onsets alike
SHARES = (0.7, 0.8, 0.9, 1.0)  # of the mean size, between which the typical one is looked for
MOST_FINE = 2**14  # actions times d_head: beyond, that in small steps would take too long
LEAST_SHARE = 0.5  # below, an expansion to second order says nothing


def planes(parameters: Parameters) -> Planes:
    """Return the RoPE planes; ParameterError if they are too many to follow."""
    try:
        return attention.planes(parameters)
    except FlowError as error:
        raise ParameterError(f"attention cannot be solved without a closure: {error}") from None


def draw(parameters: Parameters, count: int, *, rng_seed: int = RNG_SEED) -> tuple[Array, Array]:
    """Return queries and keys of ``count`` initialisations, each (count, d_head)."""
    width = math.sqrt(3 * parameters.qk_variance)
    rng = np.random.default_rng(rng_seed)
    q, k = rng.uniform(-width, width, (2, count, parameters.d_head))
    return q, k


def onset_epochs(
    parameters: Parameters, q: Array, k: Array, *, overlap: float | None = None
) -> Array:
    """Return the epoch of R = 1/2 (T = 2: R = 3/4) of each seed from Q = S = C/N; q, k: (B, d).

    By quadrature along the flow, finer and finer until it changes by less than a thousandth; where
    it does not settle the equations are solved, as they are with an overlap, for the loss with
    fluctuations. 0 where a seed starts beyond, inf where it does not come there in a hundred times
    the linear closure's time. Raises ParameterError for too many actions and planes.
    """
    rope, heads = planes(parameters), attention.heads(q, k)
    R_end = lock.goal(parameters.T)
    R, _, _ = attention.retrieval(rope, heads.p)
    slow = lock.closure_lock(closures.LINEAR, parameters, R_end=R_end).log_t
    with np.errstate(over="ignore"):  # later than float64 can say: inf
        longest = min(100 * float(np.exp(slow)), dynamics.LONGEST)
    found, again = np.zeros(len(R)), np.flatnonzero(R_end > R)
    if overlap is None:
        log_t = np.full(len(R), np.nan)
        for count in PANEL_COUNTS:
            before = log_t[again]
            some = Heads(heads.p[again], heads.imbalance[again])
            log_t[again] = lock.heads_lock(rope, some, parameters, count=count).log_t
            again = again[~(np.abs(log_t[again] - before) < 1e-3)]
        with np.errstate(over="ignore"):
            found = np.where(R_end > R, np.exp(log_t) / parameters.lr, 0.0)
    for chunk in np.array_split(again, 1 + again.size // CHUNK):
        if chunk.size:
            some = Heads(heads.p[chunk], heads.imbalance[chunk])
            system = flow.system(parameters, rope, some, Q0=0.0, S0=0.0, C=0.0, overlap=overlap)
            found[chunk] = _locks_on(system, parameters, R_end, longest) / parameters.lr
    return found


def _locks_on(system: System, parameters: Parameters, R_end: float, longest: float) -> Array:
    """Return the training time at which R of each head is R_end, inf if not before ``longest``."""
    curve, t_end = None, longest / 50
    while curve is None or curve.end < longest:
        curve = dynamics.integrate(
            system, lr=parameters.lr, t_end=t_end, after=curve, rtol=flow.RTOL
        )
        times = _times(curve, R_end)
        if np.all(np.isfinite(times)):
            break
        t_end = min(4 * t_end, longest)
    return times


def predict_seeds(
    parameters: Parameters,
    *,
    q: ArrayLike,
    k: ArrayLike,
    epochs: ArrayLike,
    Q0: ArrayLike | None = None,
    S0: ArrayLike | None = None,
    C: ArrayLike = 0.0,
    overlap: ArrayLike | None = None,
    lr_correction: bool = False,
) -> Batch:
    """Return the curves of many seeds of one model, each from its own query and key.

    q, k: (B, d_head), RoPE plane r the entries r and r + d_head/2. epochs: (E,), ascending from 0
    or later. Q0, S0, C: numbers or (B,); Q0 = S0 = C/N unless given. overlap: a number or (B,), for
    the loss with fluctuations; None for the mean-field loss. lr_correction: as in predict.
    onset_epoch is inf where R = 1/2 is not reached within the epochs. Raises ParameterError on what
    cannot be, SolverError if the equations cannot be solved.
    """
    queries, keys = (np.asarray(each, float) for each in (q, k))
    B = len(queries)
    for name, each in (("q", queries), ("k", keys)):
        if each.shape != (B, parameters.d_head) or not B or not np.all(np.isfinite(each)):
            raise ParameterError(
                f"{name} must be finite numbers of one shape (seeds, d_head = {parameters.d_head}),"
                f" not of shape {each.shape}"
            )
    epoch = dynamics.ascending(epochs)
    nominal = np.asarray(C, float) / parameters.N
    Qs, Ss, Cs = (
        np.broadcast_to(np.asarray(each, float), (B,))
        for each in (nominal if Q0 is None else Q0, nominal if S0 is None else S0, C)
    )
    rope, lr = planes(parameters), parameters.lr
    curves, onsets = np.empty((3, B, len(epoch))), np.empty(B)
    for first in range(0, B, CHUNK):
        rows = slice(first, first + CHUNK)
        system = flow.system(
            parameters,
            rope,
            attention.heads(queries[rows], keys[rows]),
            Q0=Qs[rows],
            S0=Ss[rows],
            C=Cs[rows],
            overlap=None if overlap is None else np.broadcast_to(overlap, (B,))[rows],
            step=lr if lr_correction else 0.0,
        )
        curve = dynamics.integrate(system, lr=lr, t_end=epoch[-1] * lr, rtol=flow.RTOL / 10)
        curves[:, rows] = curve(epoch * lr)
        onsets[rows] = _times(curve, 0.5) / lr
    logit_R, Q, S = curves
    return Batch(
        epoch=np.broadcast_to(epoch, logit_R.shape), logit_R=logit_R, Q=Q, S=S, onset_epoch=onsets
    )


def _times(curve: Curve, goal: float) -> Array:
    """Return the training time at which R of each head reaches a goal, inf where it does not."""
    steps = np.concatenate([piece.ts for piece in curve.pieces])
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
    *,
    samples: int = SAMPLES,
    rng_seed: int = RNG_SEED,
    overlap: float | None = None,
) -> Spread:
    """Return how the onset epoch spreads over seeds drawn from the initialisation.

    overlap: of the vocabulary, for the loss with fluctuations; None for the mean-field loss.
    """
    q, k = draw(parameters, samples, rng_seed=rng_seed)
    onsets = onset_epochs(parameters, q, k)
    if overlap is not None:
        # as a rule fluctuations shift the onset of all seeds by one factor: found from a few
        with_them = onset_epochs(parameters, q[:PROBED], k[:PROBED], overlap=overlap)
        with np.errstate(divide="ignore", invalid="ignore"):
            factors = np.log(with_them / onsets[:PROBED])
        if np.std(factors) < SAME_FACTOR:
            onsets = onsets * np.exp(np.mean(factors))
        else:
            onsets = onset_epochs(parameters, q, k, overlap=overlap)
    low, median, high = np.quantile(onsets, (0.1, 0.5, 0.9), method="nearest")
    return Spread(samples, float(low), float(median), float(high))


def typical_heads(rope: Planes, parameters: Parameters) -> tuple[Heads, float]:
    """Return one head that locks on when a typical seed does, and its share of the mean size.

    It starts from the mean p = 0, where R = 1/T, with its sizes n_r lowered by a common share: such
    that log V at its onset is the mean of that over seeds, to second order in their spread about
    the mean start (X5m), (X5o). V = Q + (K - 1) S runs like internal time: N, K and the mean-field
    loss do not enter, which make time grow like exp(margin) and skew its distribution. Raises
    ParameterError if the spread is too wide.
    """
    half, variance = parameters.d_head // 2, parameters.qk_variance
    size = generated.mean_size(variance)
    untypical = ParameterError(
        f"no seed is typical with {half} RoPE planes, T = {parameters.T} and qk_variance = "
        f'{variance:g}: too far from the mean start; try closure="per-seed" or "linear"'
    )
    if not size < attention.LARGEST_LOGIT * math.sqrt(parameters.d_head):
        raise untypical
    by_product = math.sqrt(generated.product_spread(variance))
    by_size = math.sqrt(generated.size_spread(variance))
    one_product, one_size = np.eye(2 * half) * by_product, np.eye(half) * by_size
    p = np.concatenate([one_product, -one_product, np.zeros((2 * half + len(SHARES), 2 * half))])
    sizes = np.full((len(p), half), float(size))
    sizes[4 * half : 6 * half] += np.concatenate([one_size, -one_size])
    sizes[6 * half :] *= np.array(SHARES)[:, None]
    re, im = attention.pair(p)
    imbalance = np.sqrt(sizes**2 - 4 * (re**2 + im**2))  # what leaves the size as it is (X5i)
    around = Heads(p, imbalance)  # one deviation either way, then the mean start and its shares
    log_V = np.log(lock.heads_lock(rope, around, parameters, count=1).V)
    finer = np.log(lock.heads_lock(rope, Heads(p[-1:], imbalance[-1:]), parameters).V)
    even = np.all(np.isfinite(log_V)) and abs(finer[0] - log_V[-1]) < 0.02
    if not even and parameters.T * parameters.d_head <= MOST_FINE:
        log_V = np.log(lock.heads_lock(rope, around, parameters, count=4 * lock.PANELS).V)
    wanted = log_V[-1] + np.sum(log_V[: 6 * half] - log_V[-1]) / 2
    # larger sizes lock on earlier; close to a power law
    slope, at_one = np.polyfit(np.log(SHARES), log_V[6 * half :], 1)
    share = float(np.exp((wanted - at_one) / slope))
    if not LEAST_SHARE < share < 1.05:  # nan included
        raise untypical
    return attention.mean_heads(parameters, share), share
