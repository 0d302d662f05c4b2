"""What of a prediction is not to be trusted, a sentence each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meanfield.predict.trajectory import Trajectory

COARSE = 15  # epochs to the onset below which training lags gradient flow by a tenth or more


def of(run: Trajectory) -> list[str]:
    """Return what is not to be trusted of a prediction."""
    onset = math.inf if run.onset_epoch is None else run.onset_epoch
    learned = [each for each in (run.rollout_half_epoch, run.saturation_epoch) if each]
    messages = []
    if learned and min(learned) < onset and run.theory.early_accuracies:
        messages.append(
            "accuracies before the attention onset are not to be trusted "
            f"({run.theory.early_accuracies})"
        )
    if 0 < onset < COARSE:
        coarse = f"with the onset at epoch {onset:.4g} the steps are too coarse for"
        messages.append(
            f"{coarse} a correction of first order in the learning rate"
            if run.theory.steps
            else f"{coarse} gradient flow: training lags it by about 1.5 epochs, whatever the "
            "learning rate"
        )
    return messages
