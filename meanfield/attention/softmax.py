"""The softmax attention in training, no closure: the flow of the RoPE planes under a drive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import generated
from meanfield.attention import planes
from meanfield.attention.closures import LINEAR, rate
from meanfield.attention.planes import Heads, Planes, pair
from meanfield.attention.typical import followable_planes, typical_heads
from meanfield.parameters import Parameters

Array = NDArray[np.float64]
Descent = Any  # what attention feels, see meanfield.dynamics

RTOL = 1e-7  # keeps logit R within 1e-6 of what tighter steps give


@dataclass(frozen=True)
class SoftmaxAttention:
    """The softmax attention of one head, or of many side by side: p and imbalance are its state.

    rate: gamma (14) of the linear closure, which says on what scale things change.
    """

    planes: Planes
    heads: Heads
    qk_variance: float
    rate: float

    rtol = RTOL
    closure = LINEAR

    @classmethod
    def of_typical_seed(cls, parameters: Parameters) -> SoftmaxAttention:
        """Return that of a seed that locks on when a typical one does; see ``typical_heads``."""
        rope = followable_planes(parameters)
        return cls._of(rope, typical_heads(rope, parameters)[0], parameters)

    @classmethod
    def of_seeds(cls, parameters: Parameters, q: Array, k: Array) -> SoftmaxAttention:
        """Return that of one query and key, (d_head,), or of many, (B, d_head)."""
        return cls._of(followable_planes(parameters), planes.heads(q, k), parameters)

    @classmethod
    def _of(cls, rope: Planes, heads: Heads, p: Parameters) -> SoftmaxAttention:
        return cls(rope, heads, p.qk_variance, rate(LINEAR, p))

    @property
    def start(self) -> Array:
        """The state at epoch 0, (..., d + d/2)."""
        return np.concatenate([self.heads.p, self.heads.imbalance], axis=-1)

    @property
    def scale(self) -> Array:
        """The size of each entry of the state that matters."""
        size = float(generated.mean_size(self.qk_variance))
        return np.full(self.start.shape[-1], size * 1e-2)

    def motion(self, y: Array, descent: Descent) -> Array:
        """Return the time derivative of y = (p, imbalance, what U gained, what S gained) (X5f)."""
        p, imbalance, U_gained, S_gained = self._parts(y)
        R, missing, H = planes.retrieval(self.planes, p)
        F, dU, dS = descent(R, missing, U_gained, S_gained)
        size = generated.plane_size(*pair(p), imbalance)
        dp = generated.product_rates(*pair(H), size, F[..., None])
        still = np.zeros_like(imbalance)  # conserved (X5h)
        return np.concatenate([*dp, still, dU[..., None], dS[..., None]], axis=-1)

    def motion_in_steps(self, y: Array, descent: Descent, lr: float) -> Array:
        """Return the same in gradient steps of size lr, to first order (X7b), (X7d)-(X7f)."""
        p, imbalance, U_gained, S_gained = self._parts(y)
        R, missing, H = planes.retrieval(self.planes, p)
        F, dU, dS = descent(R, missing, U_gained, S_gained)
        F, size = F[..., None], generated.plane_size(*pair(p), imbalance)
        back = np.concatenate(generated.product_back(*pair(p), *pair(H), size, F, lr), axis=-1)
        R, missing, H_back = planes.retrieval(self.planes, back)
        F_back, dU, dS = descent(R, missing, U_gained - lr / 2 * dU, S_gained - lr / 2 * dS)
        slopes, drives = (*pair(H), *pair(H_back)), (F, F_back[..., None])
        dp = generated.product_rates_in_steps(*pair(p), *slopes, size, *drives, lr)
        change = generated.imbalance_rate_in_steps(imbalance, *slopes, *drives, lr)
        return np.concatenate([*dp, change, dU[..., None], dS[..., None]], axis=-1)

    def logit_R(self, states: Array) -> Array:
        """Return logit R of states (..., d + d/2)."""
        return planes.logit_R(self.planes, states[..., : self.heads.p.shape[-1]])

    def rows(self, states: Array) -> Array:
        """Return the attention matrices (times, T, T) of one head's states (times, d + d/2)."""
        return planes.rows(self.planes, states[:, : self.heads.p.shape[-1]])

    def _parts(self, y: Array) -> tuple[Array, Array, Array, Array]:
        d = self.heads.p.shape[-1]
        return y[..., :d], y[..., d:-2], y[..., -2], y[..., -1]
