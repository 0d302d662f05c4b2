"""The softmax attention in training, no closure: (15b), (15c) beside the flow of the RoPE planes.

The state of one head is (p, I, U - U0, S - S0): the products p_r of query and key by plane, the
imbalances I_r (X5f), (X5i) and what the logic has gained. Many heads are solved side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import generated
from meanfield.attention import closures
from meanfield.attention import planes as attention
from meanfield.attention.planes import Heads, Planes, pair
from meanfield.dynamics import System, gap_scale
from meanfield.errors import ParameterError
from meanfield.parameters import Parameters

Array = NDArray[np.float64]

RTOL = 1e-7  # keeps logit R within 1e-6 of what tighter steps give


def logit_R(planes: Planes, p: Array) -> Array:
    """Return log R - log(1 - R), exact when either is almost 0; p: (..., d)."""
    R, missing, _ = attention.retrieval(planes, p)
    return np.asarray(np.log(R) - np.log(missing))


def checked_overlap(parameters: Parameters, overlap: Any) -> Array:
    """Return overlaps (58) as an array; ParameterError unless both u and v have a direction.

    At 1 all permutations are equal, at the least they hit every state equally often.
    """
    N, K = parameters.N, parameters.K
    found = np.asarray(overlap, float)
    least = (K / N - 1) / (K - 1)
    if not np.all((found > least + 1e-12) & (found >= 0) & (found < 1 - 1e-12)):
        bad = found[~((found > least + 1e-12) & (found >= 0) & (found < 1 - 1e-12))].flat[0]
        above = f"above {least:.6g}" if least >= 0 else "at least 0"
        raise ParameterError(
            f"overlap must be {above} and below 1 for N = {N}, K = {K}, not {bad:g}: these "
            "permutations leave no room for fluctuations; follow the mean-field loss instead"
        )
    return found


def system(
    parameters: Parameters,
    planes: Planes,
    heads: Heads,
    *,
    Q0: Any,
    S0: Any,
    C: Any,
    overlap: Any = None,
    pace: float = 1.0,
    step: float = 0.0,
) -> System:
    """Return the flow of one head, p of shape (d,), or of many side by side, (B, d).

    Q0, S0, C: the start of the logic, numbers, or arrays (B,).
    overlap: of the vocabulary (58), a number or (B,): the loss then has the fluctuations of the
        logits to second order (X8). None: the mean-field loss.
    Raises ParameterError for an overlap without fluctuations.
    pace: what the thermodynamic limit makes of the drive on attention.
    step: the learning rate of the gradient steps to follow (X7b); 0 for gradient flow.
    """
    if overlap is not None:
        overlap = checked_overlap(parameters, overlap)
    N, K = float(parameters.N), float(parameters.K)
    lead, d, half = heads.p.shape[:-1], parameters.d_head, parameters.d_head // 2
    U0 = Q0 - S0

    def rates(p: Array, U: Array, S: Array) -> tuple[Array, Array, Array, Array]:
        """Return the gradient of R in p, the drive on every plane, and the rates of U and S."""
        R, missing, H = attention.retrieval(planes, p)
        if overlap is None:
            drive, dQ, dS = generated.driven_rates(R, missing, U + S, S, C, N, K)
        else:
            drive, dQ, dS = generated.corrected_rates(
                R, U + S, S, Q0, S0, C, overlap, parameters.w_variance, N, K, parameters.T
            )
        return H, pace * drive[..., None], dQ - dS, dS

    def rhs(_t: float, y: Array) -> Array:
        rows = y.reshape(*lead, -1)
        p, imbalance = rows[..., :d], rows[..., d : d + half]
        U, S = U0 + rows[..., -2], S0 + rows[..., -1]
        size = generated.plane_size(*pair(p), imbalance)
        H, F, dU, dS = rates(p, U, S)
        change = np.zeros_like(rows)
        if step:
            back = generated.product_back(*pair(p), *pair(H), size, F, step)
            there = np.concatenate(back, axis=-1), U - step / 2 * dU, S - step / 2 * dS
            H_back, F_back, dU, dS = rates(*there)
            slopes = (*pair(H), *pair(H_back))
            dp = generated.product_rates_in_steps(*pair(p), *slopes, size, F, F_back, step)
            change[..., d : d + half] = generated.imbalance_rate_in_steps(
                imbalance, *slopes, F, F_back, step
            )
        else:
            dp = generated.product_rates(*pair(H), size, F)
        change[..., :half], change[..., half:d] = dp
        change[..., -2], change[..., -1] = dU, dS
        return change.ravel()

    def read(y: Array) -> tuple[Array, Array, Array]:
        rows = np.moveaxis(y.reshape(*lead, -1, y.shape[-1]), -1, 0)
        S = S0 + rows[..., -1]
        values = logit_R(planes, rows[..., :d]), U0 + rows[..., -2] + S, S
        at_R, at_Q, at_S = (np.moveaxis(value, 0, -1) for value in values)
        return at_R, at_Q, at_S

    gap = gap_scale(parameters, closures.rate(closures.LINEAR, parameters))
    size = float(generated.mean_size(parameters.qk_variance))
    scale = np.array([*[size * 1e-2] * (d + half), gap * 1e-3, gap / K * 1e-3])
    at_start = np.concatenate([heads.p, heads.imbalance, np.zeros((*lead, 2))], axis=-1)
    return System(
        y0=at_start.ravel(),
        rhs=rhs,
        jacobian=None,
        scale=np.resize(scale, at_start.size),
        first_step=0.1 * N * K * gap,
        read=read,
        attention=lambda y: attention.rows(planes, y[:d].T),
    )
