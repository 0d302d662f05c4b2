"""The logic matrices along the flow: W_k = W_k(0) + u (P_k - P) + v (P - J/N) (X4a).

P is the mean of the K permutation matrices, J all ones. Two numbers, u (retrieval) and v
(heuristic), stand for K matrices; training moves U = Q - S and V = Q + (K - 1) S with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import generated
from meanfield.parameters import Parameters
from meanfield.start import Start

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Family:
    """The matrices of one model, of one seed or of many side by side: numbers, or arrays (B,).

    N, K: sizes. Q, S: overlaps (9) at the start. overlap: of the vocabulary (58).
    """

    N: Any
    K: Any
    Q: Any
    S: Any
    overlap: Any

    @classmethod
    def of(cls, parameters: Parameters, start: Start) -> Family:
        """Return that of a model from a resolved start."""
        N, K = float(parameters.N), float(parameters.K)
        return cls(N=N, K=K, Q=start.Q, S=start.S, overlap=start.overlap)

    def overlaps(self, U_gained: Any, S_gained: Any) -> tuple[Any, Any]:
        """Return Q and S from what U = Q - S and S have gained.

        As a sum: with these two as state Q keeps its digits, whatever it started from.
        """
        S = self.S + S_gained
        return self.Q - self.S + U_gained + S, S

    def weights(self, Q: Any, S: Any) -> tuple[Array, Array]:
        """Return u and v (X4c), (X4d)."""
        S_gained = np.asarray(S) - self.S
        U_gained = np.asarray(Q) - self.Q - S_gained
        u = generated.retrieval_part(U_gained, 0.0, self.overlap)
        V_gained = generated.total(U_gained, S_gained, self.K)
        v = generated.heuristic_part(V_gained, 0.0, self.overlap, self.N, self.K)
        return np.asarray(u), np.asarray(v)
