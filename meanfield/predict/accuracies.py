"""Accuracies along a solved curve, each as an error: next token (17) and rollout (18)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from meanfield import generated
from meanfield.dynamics import Curve
from meanfield.logits.gaussian import Gaussian
from meanfield.parameters import Parameters

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Accuracies:
    """How the logits of a model are read."""

    logits: Gaussian
    parameters: Parameters

    def next_token_error(self, curve: Curve, t: Any) -> Array:
        """Return one minus the next-token accuracy at the training times t."""
        logit_R, Q, S = curve(t)
        return self.logits.next_token_error(expit(logit_R), Q, S, lambda: curve.attention(t))

    def rollout_error(self, curve: Curve, t: Any) -> Array:
        """Return one minus the accuracy of a rollout of T steps at the training times t."""
        error = self.next_token_error(curve, t)
        return np.asarray(generated.rollout_error(error, self.parameters.N, self.parameters.T))
