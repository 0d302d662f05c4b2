"""The loss with the fluctuations of the logits about their means, to second order (X8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import generated
from meanfield.errors import ParameterError
from meanfield.parameters import Parameters
from meanfield.start import Start

CLOSE = 1e-12  # to an overlap that leaves no room for u or v


@dataclass(frozen=True, kw_only=True)
class SecondOrder:
    """The loss to second order.

    N, K, T: sizes. w_variance: of the entries of W at the start. Q, S, C: the start, numbers or
    (B,). overlap: of the vocabulary (58), likewise. Raises ParameterError for a vocabulary without
    fluctuations: at overlap 1 all permutations are equal, at the least overlap they hit every state
    equally often, and u or v has no direction.
    """

    N: float
    K: float
    T: int
    w_variance: float
    Q: Any
    S: Any
    C: Any
    overlap: Any

    remedies = "a smaller w_init", "a theory without fluctuations"

    @classmethod
    def of(cls, parameters: Parameters, start: Start) -> SecondOrder:
        """Return that of a model from a resolved start."""
        p = parameters
        known = {"Q": start.Q, "S": start.S, "C": start.C, "overlap": start.overlap}
        return cls(N=float(p.N), K=float(p.K), T=p.T, w_variance=p.w_variance, **known)

    def __post_init__(self) -> None:
        """Refuse an overlap without fluctuations."""
        N, K, overlap = self.N, self.K, np.asarray(self.overlap, float)
        least = float(generated.least_overlap(N, K))
        good = (overlap > least + CLOSE) & (overlap >= 0) & (overlap < 1 - CLOSE)
        if not np.all(good):
            above = f"above {least:.6g}" if least >= 0 else "at least 0"
            raise ParameterError(
                f"overlap must be {above} and below 1 for N = {N:g}, K = {K:g}, not "
                f"{overlap[~good].flat[0]:g}: these permutations leave no room for fluctuations; "
                "follow the mean-field loss instead"
            )

    def rates(self, R: Any, missing: Any, Q: Any, S: Any) -> tuple[Any, Any, Any]:
        """Return the drive F = -dL/dR on attention, and the time derivatives of Q and S."""
        F, dQ, dS = generated.corrected_rates(R, Q, S, *self._known)
        return F, dQ, dS

    def value(self, R: Any, Q: Any, S: Any) -> NDArray[np.float64]:
        """Return the loss in nats (X8d)."""
        return np.asarray(generated.corrected_loss(R, Q, S, *self._known))

    @property
    def _known(self) -> tuple[Any, ...]:
        sizes = self.N, self.K, self.T
        return (self.Q, self.S, self.C, self.overlap, self.w_variance, *sizes)
