"""What of a prediction is not to be trusted, a sentence each."""

from __future__ import annotations

import math
from collections.abc import Iterable

from meanfield.theory import Theory

COARSE = 15  # epochs to the onset below which training lags gradient flow by a tenth or more


def caveats(
    theory: Theory, *, onset_epoch: float | None, accurate_epochs: Iterable[float | None]
) -> list[str]:
    """Return what is not to be trusted of a prediction.

    accurate_epochs: at which rollouts become right. None: not within the curve.
    """
    onset = math.inf if onset_epoch is None else onset_epoch
    learned = [each for each in accurate_epochs if each]
    messages = []
    if learned and min(learned) < onset and theory.early_accuracies:
        messages.append(
            "accuracies before the attention onset are not to be trusted "
            f"({theory.early_accuracies})"
        )
    if 0 < onset < COARSE:
        coarse = f"with the onset at epoch {onset:.4g} the steps are too coarse for"
        messages.append(
            f"{coarse} a correction of first order in the learning rate"
            if theory.steps
            else f"{coarse} gradient flow: training lags it by about 1.5 epochs, whatever the "
            "learning rate"
        )
    return messages
