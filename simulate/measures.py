"""What is measured on the rows of a data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


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

        def deviation(mean: Array, square: Array) -> Array:
            # rounding may leave a variance of equal logits a little below 0; nan has diverged
            with np.errstate(invalid="ignore", over="ignore"):
                return np.asarray(np.sqrt(np.maximum(square - mean**2, 0)))

        return cls(
            loss, accuracy, right, deviation(right, right_square), other,
            deviation(other, other_square),
        )  # fmt: skip
