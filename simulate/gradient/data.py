"""What both engines are: sequences made ready for gradients, and the statistics of their logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

# A logit is a convex combination of entries of W: below this bound on them exp cannot overflow.
SAFE = {torch.float32: 80.0, torch.float64: 700.0}


@dataclass(frozen=True, eq=False)
class Statistics:
    """Means over sequences and prediction positions, each (B,).

    loss: cross-entropy (7) in nats. accuracy: share of right next tokens. The logits' means and
    standard deviations, of the right state and of all other states.
    """

    loss: Array
    accuracy: Array
    correct_logit: Array
    correct_logit_std: Array
    other_logit: Array
    other_logit_std: Array

    @classmethod
    def from_means(cls, means: Array, *, N: int) -> Statistics:
        """From means over rows, (6, B): loss, hit, right logit, its square, sums over the others.

        The last two are the sum of the N - 1 other logits and the sum of their squares.
        """
        loss, accuracy, right, right_square = means[:4]
        other, other_square = means[4:] / (N - 1)
        return cls(
            loss=loss,
            accuracy=accuracy,
            correct_logit=right,
            correct_logit_std=_deviation(right, right_square),
            other_logit=other,
            other_logit_std=_deviation(other, other_square),
        )


class Data(Protocol):
    """The sequences of B seeds, ready for gradients.

    A: attention (B, T, T); Grouped also takes (B, n, T, T), one for each sequence.
    W: logic matrices (B, K, N, N).
    """

    def gradient(self, A: Tensor, W: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient of the loss (7) by A and by W.

        On a CPU a seed whose W is not finite gets gradient 0.
        """

    def statistics(self, A: Tensor, W: Tensor) -> Statistics:
        """Return loss, next-token accuracy and moments of the logits of each seed."""

    def rollout(self, A: Tensor, W: Tensor) -> Tensor:
        """Return the share of sequences of each seed whose last state is generated right, (B,)."""


def _deviation(mean: Array, square: Array) -> Array:
    """Return the standard deviation from means of values and squares; nan if seed has diverged."""
    with np.errstate(invalid="ignore", over="ignore"):
        # rounding may leave a variance of equal logits a little below 0
        return np.asarray(np.sqrt(np.maximum(square - mean**2, 0)))
