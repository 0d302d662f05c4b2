"""Initialisations of query and key: many drawn, and the one that locks on when a typical one does.

A seed is a query and a key of independent uniform entries.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from meanfield import generated
from meanfield.attention.onset import PANELS, onset_of_heads
from meanfield.attention.planes import (
    LARGEST_LOGIT,
    FlowError,
    Heads,
    Planes,
    mean_heads,
    pair,
    planes,
)
from meanfield.errors import ParameterError
from meanfield.parameters import Parameters

Array = NDArray[np.float64]

RNG_SEED = 20260618  # unless told otherwise
SHARES = (0.7, 0.8, 0.9, 1.0)  # of the mean size, between which the typical one is looked for
MOST_FINE = 2**14  # actions times d_head: beyond, that in small steps would take too long
LEAST_SHARE = 0.5  # below, an expansion to second order says nothing


def followable_planes(parameters: Parameters) -> Planes:
    """Return the RoPE planes; ParameterError if they are too many to follow."""
    try:
        return planes(parameters)
    except FlowError as error:
        raise ParameterError(f"attention cannot be solved without a closure: {error}") from None


def draw(parameters: Parameters, count: int, *, rng_seed: int = RNG_SEED) -> tuple[Array, Array]:
    """Return queries and keys of ``count`` initialisations, each (count, d_head)."""
    width = float(generated.uniform_width(parameters.qk_variance))
    rng = np.random.default_rng(rng_seed)
    q, k = rng.uniform(-width, width, (2, count, parameters.d_head))
    return q, k


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
        f"{variance:g}: too far from the mean start; follow the attention of one seed, or a closure"
    )
    if not size < LARGEST_LOGIT * math.sqrt(parameters.d_head):
        raise untypical
    by_product = math.sqrt(generated.product_spread(variance))
    by_size = math.sqrt(generated.size_spread(variance))
    one_product, one_size = np.eye(2 * half) * by_product, np.eye(half) * by_size
    p = np.concatenate([one_product, -one_product, np.zeros((2 * half + len(SHARES), 2 * half))])
    sizes = np.full((len(p), half), float(size))
    sizes[4 * half : 6 * half] += np.concatenate([one_size, -one_size])
    sizes[6 * half :] *= np.array(SHARES)[:, None]
    re, im = pair(p)
    imbalance = np.sqrt(sizes**2 - 4 * (re**2 + im**2))  # what leaves the size as it is (X5i)
    around = Heads(p, imbalance)  # one deviation either way, then the mean start and its shares
    log_V = np.log(onset_of_heads(rope, around, parameters, count=1).V)
    finer = np.log(onset_of_heads(rope, Heads(p[-1:], imbalance[-1:]), parameters).V)
    even = np.all(np.isfinite(log_V)) and abs(finer[0] - log_V[-1]) < 0.02
    if not even and parameters.T * parameters.d_head <= MOST_FINE:
        log_V = np.log(onset_of_heads(rope, around, parameters, count=4 * PANELS).V)
    wanted = log_V[-1] + np.sum(log_V[: 6 * half] - log_V[-1]) / 2
    # larger sizes lock on earlier; close to a power law
    slope, at_one = np.polyfit(np.log(SHARES), log_V[6 * half :], 1)
    share = float(np.exp((wanted - at_one) / slope))
    if not LEAST_SHARE < share < 1.05:  # nan included
        raise untypical
    return mean_heads(parameters, share), share
