"""What may stand for the attention gradient G = |grad_q R|^2 + |grad_k R|^2: a function of R."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from meanfield import generated
from meanfield.errors import ParameterError
from meanfield.parameters import Parameters, rope_frequency

Array = NDArray[np.float64]
Descent = Any  # what attention feels, see meanfield.dynamics

CHUNK = 2**17  # numbers in one array at most: what a cache holds
RTOL = 1e-12  # keeps the curve within 1e-8 of the exact quadrature, 1 - R included


@dataclass(frozen=True)
class ClosedForm:
    """What is known in closed form along a solution, as R and U = Q - S conserve a function.

    logit_R(U, U0, logit_R0, kappa): logit R as a function of U.
    onset_gap(U0, logit_R0, kappa): U where R = 1/2.
    basin_gap(logit_R0, kappa): the smallest U at the start from which R grows to 1.
    squared_gap(logit_R, logit_R0, kappa): U^2 - U0^2.
    """

    logit_R: Callable[..., Any]
    onset_gap: Callable[..., Any]
    basin_gap: Callable[..., Any]
    squared_gap: Callable[..., Any]


@dataclass(frozen=True)
class Closure:
    """A closure G(R) of the mean-field equations (15).

    growth(logit_R, rate): growth rate of logit R per unit of drive, G / (R (1 - R)).
    growth_slope(logit_R, rate): its derivative in logit R.
    bend(logit_R): what gradient steps change in the growth of logit R (X7c).
    rate(phi, qk_variance, d, T): the prefactor of G, from the form factors of the RoPE planes.
    solution: its solutions in closed form; None where there are none.
    """

    growth: Callable[..., Any] = field(repr=False)
    growth_slope: Callable[..., Any] = field(repr=False)
    bend: Callable[..., Any] = field(repr=False)
    rate: Callable[..., Any] = field(repr=False)
    solution: ClosedForm | None = field(repr=False, default=None)


LINEAR = Closure(
    generated.growth_linear,
    generated.growth_slope_linear,
    generated.bend_linear,
    generated.closure_rate_linear,
    ClosedForm(
        generated.logit_R_linear,
        generated.onset_gap_linear,
        generated.basin_gap_linear,
        generated.squared_gap_linear,
    ),
)
QUADRATIC = Closure(
    generated.growth_quadratic,
    generated.growth_slope_quadratic,
    generated.bend_quadratic,
    generated.closure_rate_quadratic,
    ClosedForm(
        generated.logit_R_quadratic,
        generated.onset_gap_quadratic,
        lambda logit_R0, kappa: -np.inf,  # from anywhere, however late (X3j)
        generated.squared_gap_quadratic,
    ),
)


def rate(closure: Closure, parameters: Parameters) -> float:
    """Return the prefactor of a closure: gamma (14) if it is linear, g_0 (70b) if quadratic."""
    p = parameters
    phi = generated.form_factor(np.array(p.frequencies), p.T)
    return float(closure.rate(phi, p.qk_variance, p.d_head, p.T))


def rates(closure: Closure, models: Mapping[str, Array], rope_spacing: str) -> Array:
    """Return the prefactor of a closure for many models.

    models: d_head, rope_theta, T and qk_variance, (rows,) each.
    """
    d = models["d_head"]
    planes = np.arange(int(d.max(initial=0)) // 2)
    found = np.empty_like(d)
    for rows in np.array_split(np.arange(len(d)), 1 + len(d) * len(planes) // CHUNK):
        of = {name: values[rows, None] for name, values in models.items()}
        omega = rope_frequency(
            planes,
            d_head=of["d_head"],
            rope_theta=of["rope_theta"],
            rope_spacing=rope_spacing,
        )
        phi = generated.form_factor(omega, of["T"])
        phi = np.where(planes < of["d_head"] / 2, phi, 0.0)
        known = models["qk_variance"][rows], d[rows], models["T"][rows]
        found[rows] = closure.rate(phi, *known)
    return found


def from_expression(expression: Any, parameters: Parameters) -> Closure:
    """Return the closure of a SymPy expression G(R, ...).

    It may use the symbols R, N, K, T, d, gamma and g_0 of derivations.symbols, by name; the values
    of all but R are taken from the parameters. Any other symbol is the caller's to substitute.
    Raises ParameterError for other symbols, or a G that is negative or not finite.
    """
    from derivations.functions.own_closure import compiled_closure  # SymPy only when asked for

    values = {
        "N": parameters.N,
        "K": parameters.K,
        "T": parameters.T,
        "d": parameters.d_head,
        "gamma": rate(LINEAR, parameters),
        "g_0": rate(QUADRATIC, parameters),
    }
    try:
        growth, growth_slope, bend = compiled_closure(expression, values)
    except ValueError as error:
        raise ParameterError(str(error)) from None
    return Closure(growth, growth_slope, bend, lambda *_: 1.0)


@dataclass(frozen=True)
class ClosedAttention:
    """Attention under a closure: logit R is its whole state. rate: the prefactor of its G."""

    closure: Closure
    rate: float
    logit_R0: float
    T: int

    rtol = RTOL

    @classmethod
    def of(cls, closure: Closure, parameters: Parameters, R: float) -> ClosedAttention:
        """Return it with R at the start."""
        return cls(closure, rate(closure, parameters), float(logit(R)), parameters.T)

    @property
    def start(self) -> Array:
        """The state at epoch 0, (1,)."""
        return np.array([self.logit_R0])

    @property
    def scale(self) -> Array:
        """The size of the state that matters."""
        return np.ones(1)

    def motion(self, y: Array, descent: Descent) -> Array:
        """Return the time derivative of y = (logit R, what U gained, what S gained) (15)."""
        logit_R, U_gained, S_gained = y.tolist()
        F, dU, dS = descent(expit(logit_R), expit(-logit_R), U_gained, S_gained)
        return np.array([F * self.closure.growth(logit_R, self.rate), dU, dS])

    def motion_in_steps(self, y: Array, descent: Descent, lr: float) -> Array:
        """Return the same in gradient steps of size lr, to first order (X7a), (X7c)."""
        logit_R, U_gained, S_gained = y.tolist()
        R, missing = expit(logit_R), expit(-logit_R)
        F, _, _ = descent(R, missing, U_gained, S_gained)
        flow = self.motion(y, descent)
        slopes = descent.jacobian(R, missing, U_gained, S_gained)
        slopes[0] *= self.closure.growth(logit_R, self.rate)
        slopes[0, 0] += F * self.closure.growth_slope(logit_R, self.rate)
        change = slopes @ flow
        change[0] += self.closure.bend(logit_R) * flow[0] ** 2
        return np.asarray(flow - lr / 2 * change)

    def logit_R(self, states: Array) -> Array:
        """Return logit R of states (..., 1)."""
        return states[..., 0]

    def rows(self, states: Array) -> Array:
        """Return the attention matrices (times, T, T) of states (times, 1); see exchangeable."""
        return exchangeable(expit(states[:, 0]), expit(-states[:, 0]), self.T)


def exchangeable(R: Array, missing: Array, T: int) -> Array:
    """Return attention with R on each right action, the diagonal, and the rest spread evenly (70a).

    R, missing = 1 - R: (times,). Shape (times, T, T).
    """
    rest = np.asarray(generated.wrong_attention(missing, T))[:, None, None]
    return np.asarray(rest + (R[:, None, None] - rest) * np.eye(T))
