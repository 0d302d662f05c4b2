"""Attention x logic x loss: the equations of motion of a run, and their solution as curves.

The state of one model is (attention's own state, what U = Q - S gained, what S gained). A loss says
how it falls with R, Q and S; attention and logic turn that into motion. Time is lr * epoch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from meanfield import generated
from meanfield.attention.closures import Closure
from meanfield.errors import ParameterError
from meanfield.logic.family import Family
from meanfield.numerics.integrate import LONGEST, Problem, Solution, integrate
from meanfield.parameters import Parameters

Array = NDArray[np.float64]

# (., Q, S) -> (., U, S), and back
FROM_QS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -1.0], [0.0, 0.0, 1.0]])
TO_QS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
REMEDIES = "fewer epochs", "a start closer to R = 1/T"  # of every theory; a loss has its own


class Loss(Protocol):
    """What every loss offers (see ``meanfield.loss``); one with a ``jacobian`` can go in steps."""

    @property
    def remedies(self) -> tuple[str, ...]:
        """What may help if its equations cannot be solved."""

    def rates(self, R: Any, missing: Any, Q: Any, S: Any) -> tuple[Any, Any, Any]:
        """Return the drive F = -dL/dR on attention, and the time derivatives of Q and S."""

    def value(self, R: Any, Q: Any, S: Any) -> Array:
        """Return the loss in nats."""


class Attention(Protocol):
    """What attention offers (see ``meanfield.attention``): a state, and how it moves.

    closure: the closure G(R) that it is, or that says on what scale things change; rate: the
    prefactor of that. rtol: of the solution. y: (..., n + 2), the whole state of the model.
    """

    rtol: float

    @property
    def closure(self) -> Closure:
        """The closure that it is, or is close to."""

    @property
    def rate(self) -> float:
        """The prefactor of its closure."""

    @property
    def start(self) -> Array:
        """The state at epoch 0, (..., n)."""

    @property
    def scale(self) -> Array:
        """The size of each entry that matters, (n,)."""

    def motion(self, y: Array, descent: Descent) -> Array:
        """Return the time derivative of the whole state, along the gradient flow."""

    def motion_in_steps(self, y: Array, descent: Descent, lr: float) -> Array:
        """Return the same for gradient steps of size lr, to first order."""

    def logit_R(self, states: Array) -> Array:
        """Return logit R of states (..., n)."""

    def rows(self, states: Array) -> Array:
        """Return the attention matrices (times, T, T) of states (times, n) of one head."""


@dataclass(frozen=True)
class Descent:
    """What attention feels: the loss as the logic goes down it, in the variables of the state.

    pace: factor on the drive on attention, 1 but for the thermodynamic limit.
    """

    loss: Any  # a Loss, with a jacobian where a closure takes steps
    logic: Family
    pace: float = 1.0

    def __call__(self, R: Any, missing: Any, U_gained: Any, S_gained: Any) -> tuple[Any, Any, Any]:
        """Return the drive F on attention, and the rates of U and S."""
        Q, S = self.logic.overlaps(U_gained, S_gained)
        F, dQ, dS = self.loss.rates(R, missing, Q, S)
        return self.pace * F, dQ - dS, dS

    def jacobian(self, R: Any, missing: Any, U_gained: Any, S_gained: Any) -> Array:
        """Return the derivatives of (F, dU, dS) (rows) in (logit R, U, S) (columns), 3 x 3."""
        Q, S = self.logic.overlaps(U_gained, S_gained)
        found = FROM_QS @ np.array(self.loss.jacobian(R, missing, Q, S)) @ TO_QS
        found[0] *= self.pace
        return found


@dataclass(frozen=True)
class Model:
    """One model, or many heads side by side, ready to be solved.

    steps: follow gradient steps of size lr, else the gradient flow.
    """

    parameters: Parameters
    attention: Attention
    descent: Descent
    steps: bool = False

    @property
    def loss(self) -> Loss:
        """The loss that is gone down."""
        loss: Loss = self.descent.loss
        return loss

    @property
    def logic(self) -> Family:
        """What stands for the logic matrices."""
        return self.descent.logic

    def problem(self) -> Problem:
        """Return the initial value problem in training time."""
        attention, p = self.attention, self.parameters
        lead = attention.start.shape[:-1]
        y0 = np.concatenate([attention.start, np.zeros((*lead, 2))], axis=-1)
        # the size of U while attention locks on
        gap = 1 / math.sqrt(generated.rate_constant(p.N, p.K, attention.rate * self.descent.pace))
        scale = np.array([*attention.scale, gap * 1e-3, gap / p.K * 1e-3])

        own = [] if attention.closure.solution else ["a closure with 1 - R as a factor"]
        *others, last = [*REMEDIES, *own, *self.loss.remedies]

        def rhs(_t: float, y: Array) -> Array:
            rows = y.reshape(y0.shape)
            if self.steps:
                return attention.motion_in_steps(rows, self.descent, p.lr).ravel()
            return attention.motion(rows, self.descent).ravel()

        return Problem(
            y0=y0.ravel(),
            rhs=rhs,
            scale=np.resize(scale, y0.size),
            first_step=0.1 * p.N * p.K * gap,
            clock=lambda t: f"epoch {t / p.lr:.6g}",
            remedy=f"{', '.join(others)} or {last} may help",
        )

    def solve(
        self, t_end: float, *, after: Curve | None = None, rtol: float | None = None
    ) -> Curve:
        """Solve from the start, or on from the end of ``after``, to training time t_end.

        Raises SolverError if that fails, ParameterError if t_end is beyond reason.
        """
        if not 0 < t_end <= LONGEST:
            raise ParameterError(
                f"the training time lr * epochs must be above 0 and at most {LONGEST:g}, "
                f"not {t_end:g}"
            )
        solution = integrate(
            self.problem(),
            t_end=t_end,
            rtol=self.attention.rtol if rtol is None else rtol,
            after=None if after is None else after.solution,
        )
        return Curve(self, solution)


@dataclass(frozen=True)
class Curve:
    """A solved model: call it with training times t, in 0..end, for the arrays (logit_R, Q, S).

    Their last axes are those of t; a model of several heads puts its own in front.
    """

    model: Model
    solution: Solution

    @property
    def end(self) -> float:
        """The last training time."""
        return self.solution.end

    def __call__(self, t: Any) -> tuple[Array, Array, Array]:
        """Return (logit_R, Q, S) at the training times t."""
        t = np.asarray(t, float)
        rows = self._rows(t)  # (times, ..., n + 2)
        Q, S = self.model.logic.overlaps(rows[..., -2], rows[..., -1])
        values = self.model.attention.logit_R(rows[..., :-2]), Q, S
        logit_R, Q, S = (
            np.moveaxis(value, 0, -1).reshape((*value.shape[1:], *t.shape)) for value in values
        )
        return logit_R, Q, S

    def attention(self, t: Any) -> Array:
        """Return the attention of the one head at the training times t, shape t.shape + (T, T)."""
        t = np.asarray(t, float)
        rows = self.model.attention.rows(self._rows(t)[..., :-2])
        return rows.reshape((*t.shape, *rows.shape[1:]))

    def _rows(self, t: Array) -> Array:
        states = self.solution(t.ravel())
        lead = self.model.attention.start.shape[:-1]
        return np.moveaxis(states.reshape(*lead, -1, t.size), -1, 0)
