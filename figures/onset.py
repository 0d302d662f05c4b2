"""When attention locks on, R = 1/2, in training and in theory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from meanfield.comparison import first_half
from meanfield.parameters import Parameters
from meanfield.quadrature import predict_many
from meanfield.runs import Run


def measured(run: Run) -> NDArray[np.float64]:
    """Return the epoch at which each seed locks on, nan if it never does, (B,)."""
    return np.array([first_half(run.epoch.astype(float), R, logit) for R in run.R])


def predicted(parameters: Parameters, closure: str) -> float:
    """Return the epoch at which a closure locks on, from the nominal start."""
    given = {name: value for name, value in parameters.items() if name != "w_init"}
    return float(predict_many(**given, closure=closure).onset_epoch)
