"""Accuracies from the margin: next token (17), its variances, and rollout (18).

Everything is carried as an error, 1 - accuracy, so that it keeps its digits when almost nothing
goes wrong any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import generated
from meanfield.logic.family import Family
from meanfield.numerics.normal import normal_mean
from meanfield.parameters import Parameters
from meanfield.start import Start

Array = NDArray[np.float64]
Rows = Callable[[], Array]

SURE = 1e6  # deviations: a chance is 0 or 1 in float64 long before


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """Gaussian logits with the variances of the mean-field solution, from theory, no fit.

    The spread (X6a), (X6b) is over seeds and data alike; the T - 1 attention weights beside the
    right one are taken as equal. logic: what stands for the logic matrices. C: the conserved sum of
    the mean logits. T: actions. w_variance: of the entries of W at the start. Numbers, or arrays
    that broadcast with R, Q and S.
    """

    logic: Family
    C: Any
    T: Any
    w_variance: Any

    rtol = 1e-12  # relative error of the time at which an accuracy comes to a value

    @classmethod
    def of(cls, p: Parameters, start: Start, logic: Family) -> Gaussian:
        """Return those of a model from a resolved start."""
        return Gaussian(logic=logic, C=start.C, T=p.T, w_variance=p.w_variance)

    def deviations(self, R: Any, Q: Any, S: Any) -> tuple[Array, Array]:
        """Return (sigma_c, sigma_o): spread of the right and of any other logit."""
        u, v = self.logic.weights(Q, S)
        variances = generated.logit_variances(
            u, v, R, self.w_variance, self.logic.N, self.logic.K, self.T
        )
        sigma_c, sigma_o = (np.sqrt(variance) for variance in variances)
        return sigma_c, sigma_o

    def margin(self, R: Any, Q: Any, S: Any) -> Array:
        """Return the lead of the right state's mean logit (12b)."""
        return np.asarray(generated.margin(R, Q, S, self.C, self.logic.N, self.logic.K))

    def next_token_error(self, R: Any, Q: Any, S: Any, attention: Rows) -> Array:
        """Return how often the next state is wrong, given that the current one is right (17).

        attention: gives the attention matrices, R's shape + (T, T), to who asks.
        """
        return next_token_error(self.margin(R, Q, S), *self.deviations(R, Q, S), self.logic.N)


@dataclass(frozen=True, kw_only=True)
class Constant(Gaussian):
    """Gaussian logits with the same deviations all along, as the paper has them."""

    sigma_c: float
    sigma_o: float

    @classmethod
    def at(
        cls, moving: Gaussian, start: Start, sigma_c: float | None, sigma_o: float | None
    ) -> Constant:
        """Return the logits with these deviations; those of the start where there is none."""
        right, other = moving.deviations(start.R, start.Q, start.S)
        return cls(
            **vars(moving),
            sigma_c=float(right) if sigma_c is None else sigma_c,
            sigma_o=float(other) if sigma_o is None else sigma_o,
        )

    def deviations(self, R: Any, Q: Any, S: Any) -> tuple[Array, Array]:
        """Return the constants, of R's shape."""
        return np.full(np.shape(R), self.sigma_c), np.full(np.shape(R), self.sigma_o)


def next_token_error(margin: Any, sigma_c: Any, sigma_o: Any, N: Any) -> Array:
    """Return 1 - a (17): how often the largest of N Gaussian logits is not the right one.

    The right logit has mean ``margin`` and deviation sigma_c, every other mean 0 and deviation
    sigma_o. The arguments broadcast. The relative accuracy is 1e-10 or better down to 1e-300.
    """
    margin, sigma_c, sigma_o, N = np.broadcast_arrays(
        *(np.asarray(value, float) for value in (margin, sigma_c, sigma_o, N))
    )
    error = 0.5 * (1 - np.sign(margin))  # no noise: right, wrong, or a tie of N
    error = np.where(margin == 0, 1 - 1 / N, error)
    narrow = (sigma_o > 0) & (sigma_c <= sigma_o)
    wide = sigma_c > sigma_o
    if np.any(narrow):
        error[narrow] = _over_right(
            _leads(margin[narrow], sigma_o[narrow]), sigma_c[narrow] / sigma_o[narrow], N[narrow]
        )
    if np.any(wide):
        error[wide] = _over_others(
            _leads(margin[wide], sigma_c[wide]), sigma_o[wide] / sigma_c[wide], N[wide]
        )
    return np.minimum(error, 1.0)  # a sum of weights is 1 but for its rounding


def _leads(margin: Array, sigma: Array) -> Array:
    """Return the margin in deviations, as far as it makes a difference to any chance."""
    with np.errstate(over="ignore"):
        return np.asarray(np.clip(margin / sigma, -SURE, SURE))


def _over_right(x: Array, ratio: Array, N: Array) -> Array:
    """Integrate (17) over the right logit, x + ratio * z in units of sigma_o; ratio <= 1."""

    def log_f(z: Array, x: Array, ratio: Array, N: Array) -> Array:
        return np.asarray(generated.log_any_above(x + ratio * z, N))

    def slope(z: Array, x: Array, ratio: Array, N: Array) -> Array:
        return np.asarray(ratio * generated.log_any_above_slope(x + ratio * z, N))

    # the hazard rate of the largest of several normals is below that of one, max(y, 0) + 1
    low = -ratio * (np.maximum(x, 0) + 1)
    return normal_mean(log_f, slope, low, np.zeros_like(x), (x, ratio, N))


def _over_others(x: Array, ratio: Array, N: Array) -> Array:
    """Integrate (17) by parts, over the largest other logit; units of sigma_c, ratio < 1."""

    def log_f(z: Array, x: Array, ratio: Array, N: Array) -> Array:
        return np.asarray(generated.log_right_below(z, x, 1.0, ratio, N))

    def slope(z: Array, x: Array, ratio: Array, N: Array) -> Array:
        return np.asarray(generated.log_right_below_slope(z, x, 1.0, ratio, N))

    high = np.sqrt(2 * np.log(N)) + 1 + ratio * (np.maximum(x, 0) + 1)
    return normal_mean(log_f, slope, np.zeros_like(x), high, (x, ratio, N))
