"""The paper's loss: that of the mean logits (10), and what follows from it (61b), (15b), (15c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import generated
from meanfield.parameters import Parameters
from meanfield.start import Start


@dataclass(frozen=True, kw_only=True)
class MeanField:
    """The mean-field loss. N, K: sizes. C: the conserved sum of the mean logits, or (B,)."""

    N: float
    K: float
    C: Any

    remedies = ()

    @classmethod
    def of(cls, parameters: Parameters, start: Start) -> MeanField:
        """Return that of a model from a resolved start."""
        return cls(N=float(parameters.N), K=float(parameters.K), C=start.C)

    def rates(self, R: Any, missing: Any, Q: Any, S: Any) -> tuple[Any, Any, Any]:
        """Return the drive F = -dL/dR on attention, and the time derivatives of Q and S.

        missing: 1 - R, with all its digits.
        """
        F, dQ, dS = generated.driven_rates(R, missing, Q, S, self.C, self.N, self.K)
        return F, dQ, dS

    def jacobian(self, R: Any, missing: Any, Q: Any, S: Any) -> Any:
        """Return the derivatives of these rates (rows) in (logit R, Q, S) (columns), 3 x 3."""
        return generated.driven_jacobian(R, missing, Q, S, self.C, self.N, self.K)

    def value(self, R: Any, Q: Any, S: Any) -> NDArray[np.float64]:
        """Return the loss in nats."""
        margin = generated.margin(R, Q, S, self.C, self.N, self.K)
        return np.asarray(generated.loss(margin, self.N))
