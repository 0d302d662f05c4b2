"""How the onset scales: exponents fitted with errors, and the law while the margin is small."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import quad

from meanfield import generated
from meanfield.attention import closures
from meanfield.checks import shortened
from meanfield.errors import ParameterError
from meanfield.parameters import Parameters


@dataclass(frozen=True)
class Exponent:
    """The exponent a of y ~ x^a, and its standard error."""

    value: float
    error: float


def fit(x: ArrayLike, y: ArrayLike, error: ArrayLike | None = None) -> Exponent:
    """Return the exponent of a power law through points (x, y), by least squares in logarithms.

    error: standard errors of y, for the weights; equal relative ones unless given. The error of the
    exponent is from how the points scatter about the line, so it tells of curvature too; with given
    errors it is at least what they alone would make. Raises ParameterError for fewer than three
    points, or a value that has no logarithm.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    relative = np.ones_like(y) if error is None else np.asarray(error, float) / y
    if x.shape != y.shape or x.ndim != 1 or len(x) < 3 or len(np.unique(x)) < 2:
        raise ParameterError("an exponent needs three points (x, y) or more, at different x")
    for name, values in (("x", x), ("y", y), ("the errors of y", relative)):
        if not np.all((values > 0) & np.isfinite(values)):
            raise ParameterError(
                f"{name} must be greater than 0 and finite, not {shortened(values.tolist())}"
            )
    weights = 1 / relative**2
    log_x = np.log(x) - np.average(np.log(x), weights=weights)
    log_y = np.log(y) - np.average(np.log(y), weights=weights)
    spread = np.sum(weights * log_x**2)
    value = float(np.sum(weights * log_x * log_y) / spread)
    scatter = np.sum(weights * (log_y - value * log_x) ** 2) / (len(x) - 2)
    if error is not None:
        scatter = max(scatter, 1.0)
    return Exponent(value, float(np.sqrt(scatter / spread)))


def onset_total(T: int) -> float:
    """Return sqrt(kappa) V at the onset, from the nominal start, linear closure (X9a)."""
    end = float(generated.onset_total_end(T))
    if end == 0:
        return 0.0  # T = 2 starts there
    peak = math.sqrt(2 / T)  # the width of 1/R around x = 0
    places = [place for place in peak * 10.0 ** np.arange(12) if place < end]
    total, _ = quad(generated.onset_total_slope, 0, end, args=(T,), points=places, limit=200)
    return float(total)


def small_margin_onset(parameters: Parameters) -> float:
    """Return the epoch of R = 1/2 by the closed form for a small margin, linear closure (X9b)."""
    rate = closures.rate(closures.LINEAR, parameters)
    total = onset_total(parameters.T)
    t = generated.small_margin_onset(total, parameters.N, parameters.K, rate)
    return float(t) / parameters.lr


def exponents(parameters: Parameters) -> dict[str, Any]:
    """Return the closed form's local exponents of the onset epoch, by the size that changes."""
    N, K = parameters.N, parameters.K
    return {
        "N": float(generated.onset_exponent_N(N)),
        "K": float(generated.onset_exponent_K(K)),
        "N = K": float(generated.onset_exponent_both(N)),
        "lr": -1.0,
    }
