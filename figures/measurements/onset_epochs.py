"""The onset of attention, R = 1/2: at which epoch it comes in training and in theory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from figures.batches import QUICK, Batch, batch, lasting
from meanfield.compare.statistics import first_half
from meanfield.parameters import Parameters
from meanfield.predict.many import predict_many
from meanfield.runs.run import Run

SEEDS, QUICK_SEEDS = 4, 2
ONSET = 150  # epoch of the predicted onset, set by the learning rate
BEYOND = 1.5  # length of a training, in predicted onsets


def batch_past_onset(
    settings: Mapping[str, Any], *, quick: bool, seeds: int = SEEDS, beyond: float = BEYOND
) -> Batch:
    """Return a training of ``beyond`` times the predicted onset; late seeds may need more.

    Unless a learning rate is given, the one that brings the predicted onset to about epoch ONSET.
    """
    sizes = {name: QUICK["main"][name] for name in ("n_train", "n_test")} if quick else {}
    known = {name: value for name, value in settings.items() if name != "lr"}
    onset_time = float(predict_many(**known, lr=1.0).onset_epoch)
    lr = settings.get("lr", float(f"{onset_time / ONSET:.2g}"))
    short = batch(seeds=QUICK_SEEDS if quick else seeds, epochs=1, lr=lr, **known, **sizes)
    return lasting(
        short, beyond * onset_time / lr, evaluations=round((20 if quick else 40) * beyond)
    )


def measured_epochs(run: Run) -> NDArray[np.float64]:
    """Return the epoch of each seed's onset, nan if it never comes, (B,)."""
    return np.array([first_half(run.epoch.astype(float), R, logit) for R in run.R])


def predicted_epoch(parameters: Parameters, closure: str) -> float:
    """Return the epoch of a closure's onset, from the nominal start."""
    return float(predict_many(closure, **dict(parameters.items())).onset_epoch)


def first_passage(epoch: Any, curve: Any, level: float) -> float:
    """Return where a curve (E,) first passes a level, straight between epochs; nan if nowhere."""
    return first_half(np.asarray(epoch), np.asarray(curve) + (0.5 - level))
