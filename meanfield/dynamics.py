"""From a start to a curve: the mean-field equations (15) solved by SciPy.

The state is (logit R, U - U0, S - S0) with U = Q - S: so the tolerance is relative to what training
has changed, Q = U + S is a sum without cancellation, and 1 - R stays exact when R is almost 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.special import expit, logit

from meanfield import generated
from meanfield.attention.closures import Closure
from meanfield.checks import real
from meanfield.errors import ParameterError, SolverError
from meanfield.parameters import Parameters

Array = NDArray[np.float64]

RTOL = 1e-12  # keeps the curve within 1e-8 of the exact quadrature, 1 - R included
LONGEST = 1e100  # training time; the equations creep logarithmically long before
MOST_CALLS = 20_000  # of a right-hand side in one solution: many times what any model needs
FROM_QS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -1.0], [0.0, 0.0, 1.0]])  # (., Q, S) -> (., U, S)
TO_QS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])  # and back


@dataclass(frozen=True, kw_only=True)
class Start:
    """The state at epoch 0: R, Q, S (8), (9) and the conserved sum of mean logits C (40)."""

    R: float
    Q: float
    S: float
    C: float


def start(
    parameters: Parameters,
    *,
    R0: float | None = None,
    Q0: float | None = None,
    S0: float | None = None,
    C: float | None = None,
) -> Start:
    """Return the start: what is given, the nominal R0 = 1/T, C = 0, Q0 = S0 = C/N otherwise."""
    R0 = 1 / parameters.T if R0 is None else real("R0", R0)
    if not 0 < R0 < 1:
        raise ParameterError(f"R0 must lie strictly between 0 and 1, not {R0!r}")
    C = 0.0 if C is None else real("C", C)
    Q0 = C / parameters.N if Q0 is None else real("Q0", Q0)
    S0 = C / parameters.N if S0 is None else real("S0", S0)
    return Start(R=R0, Q=Q0, S=S0, C=C)


def ascending(epochs: Any) -> Array:
    """Return epochs as an array; ParameterError unless they ascend from 0 or later."""
    wanted = np.asarray(epochs, float)
    if wanted.ndim != 1 or not wanted.size or not np.all(np.isfinite(wanted)):
        raise ParameterError(f"epochs must be a number or a list of finite numbers, not {epochs!r}")
    if wanted[0] < 0 or np.any(np.diff(wanted) <= 0):
        raise ParameterError(f"a list of epochs must ascend from 0 or later, not {epochs!r}")
    return wanted


@dataclass(frozen=True)
class System:
    """An initial value problem in training time.

    y0: the state at t = 0. rhs(t, y): its rate. jacobian(t, y): that rate's derivatives, or None.
    scale: size of each entry that matters, times rtol the absolute tolerance.
    first_step: of the solver. read(y): (logit_R, Q, S) from states, time the last axis of all.
    attention(y): of one head from states (entries, times), shape (times, T, T), the right action on
        the diagonal.
    """

    y0: Array
    rhs: Callable[[float, Array], Any]
    jacobian: Callable[[float, Array], Array] | None
    scale: Array
    first_step: float
    read: Callable[[Array], tuple[Array, Array, Array]]
    attention: Callable[[Array], Array]


@dataclass(frozen=True)
class Curve:
    """A solution: call it with training times t, in 0..end, for the arrays (logit_R, Q, S).

    Their last axes are those of t; a system of several heads puts its own in front.
    """

    system: System
    pieces: tuple[Any, ...]  # SciPy's OdeSolution, one after the other in t
    nfev: int

    @property
    def end(self) -> float:
        """The last training time."""
        return float(self.pieces[-1].t_max)

    def __call__(self, t: Any) -> tuple[Array, Array, Array]:
        """Return (logit_R, Q, S) at the training times t."""
        t = np.asarray(t, float)
        read = self.system.read(self._states(t.ravel()))
        logit_R, Q, S = (np.reshape(part, (*part.shape[:-1], *t.shape)) for part in read)
        return logit_R, Q, S

    def attention(self, t: Any) -> Array:
        """Return the attention of the one head at the training times t, shape t.shape + (T, T)."""
        t = np.asarray(t, float)
        rows = self.system.attention(self._states(t.ravel()))
        return rows.reshape(*t.shape, *rows.shape[1:])

    def _states(self, flat: Array) -> Array:
        """Return the states at these times, (entries, times)."""
        if np.any(flat < 0) or np.any(flat > self.end):
            raise ValueError(f"the curve runs from t = 0 to {self.end!r}")
        state = np.empty((len(self.system.y0), flat.size))
        piece = np.searchsorted([part.t_max for part in self.pieces[:-1]], flat)
        for number in np.unique(piece):
            state[:, piece == number] = self.pieces[number](flat[piece == number])
        return state


def system(
    parameters: Parameters, closure: Closure, start: Start, rate: float, *, step: float = 0.0
) -> System:
    """Return (15) under a closure; its state is what a curve gives, so Jacobian and all.

    step: the learning rate of the gradient steps to follow (X7a), (X7c); 0 for gradient flow.
    """
    N, K = float(parameters.N), float(parameters.K)
    U0, S0, C = start.Q - start.S, start.S, start.C

    def read(y: Any) -> tuple[Any, Any, Any]:
        logit_R, gained_U, gained_S = y
        S = S0 + gained_S
        return logit_R, U0 + gained_U + S, S

    def rhs(_t: float, y: Array) -> tuple[float, float, float]:
        logit_R, Q, S = closure.rhs(*read(y.tolist()), C, N, K, rate)
        return logit_R, Q - S, S

    def jacobian(_t: float, y: Array) -> Array:
        return FROM_QS @ np.array(closure.jacobian(*read(y.tolist()), C, N, K, rate)) @ TO_QS

    def rhs_in_steps(t: float, y: Array) -> Array:
        flow = np.array(rhs(t, y))
        change = jacobian(t, y) @ flow
        change[0] += closure.bend(y[0]) * flow[0] ** 2
        return flow - step / 2 * change

    scale = gap_scale(parameters, rate)
    return System(
        y0=np.array([logit(start.R), 0.0, 0.0]),
        rhs=rhs_in_steps if step else rhs,
        jacobian=None if step else jacobian,
        scale=np.array([1.0, scale * 1e-3, scale / K * 1e-3]),
        first_step=0.1 * N * K * scale,
        read=read,
        attention=lambda y: exchangeable(expit(y[0]), parameters.T),
    )


def exchangeable(R: Array, T: int) -> Array:
    """Return attention with R on each right action, the diagonal, and the rest spread evenly.

    R: (times,). Shape (times, T, T).
    """
    rest = ((1 - R) / (T - 1))[:, None, None]
    return np.asarray(rest + (R[:, None, None] - rest) * np.eye(T))


def gap_scale(parameters: Parameters, rate: float) -> float:
    """Return the size of U = Q - S while attention locks on, for a closure of this rate."""
    return 1 / math.sqrt(generated.kappa(parameters.N, parameters.K, rate))


def solve(
    parameters: Parameters,
    closure: Closure,
    start: Start,
    *,
    rate: float,
    t_end: float,
    after: Curve | None = None,
    method: str = "DOP853",
    rtol: float = RTOL,
) -> Curve:
    """Integrate (15) under a closure, from the start or on from the end of ``after``, to t_end.

    method: one of SciPy's; "Radau", "BDF" and "LSODA" are given the generated Jacobian. Raises as
    ``integrate``.
    """
    own = system(parameters, closure, start, rate)
    return integrate(own, lr=parameters.lr, t_end=t_end, after=after, method=method, rtol=rtol)


def integrate(
    system: System,
    *,
    lr: float,
    t_end: float,
    after: Curve | None = None,
    method: str = "DOP853",
    rtol: float = RTOL,
) -> Curve:
    """Integrate from the start, or on from the end of ``after``, to training time t_end.

    In the variables of this package the equations are not stiff, so an explicit method of high
    order does best. Raises SolverError if the integrator gives up or takes too many steps,
    ParameterError if t_end is beyond reason.
    """
    if not 0 < t_end <= LONGEST:
        raise ParameterError(
            f"the training time lr * epochs must be above 0 and at most {LONGEST:g}, not {t_end:g}"
        )
    if after is None:
        t, y, first_step = 0.0, system.y0, system.first_step
    else:
        t, y, first_step = after.end, after.pieces[-1](after.end), after.pieces[-1].ts[-1] * 0.01
    calls = 0

    def rhs(t: float, y: Array) -> Any:
        nonlocal calls
        calls += 1
        if calls > MOST_CALLS:
            raise SolverError(
                f"the equations are too stiff to be solved beyond epoch {t / lr:.6g}: a smaller "
                "w_init or fewer epochs may help, or leaving the fluctuations out"
            )
        return system.rhs(t, y)

    implicit = method in ("Radau", "BDF", "LSODA") and system.jacobian is not None
    with np.errstate(invalid="ignore"):  # 0/0 in the error of a step on which nothing changes
        solution = solve_ivp(
            rhs,
            (t, t_end),
            y,
            method=method,
            rtol=rtol,
            atol=rtol * system.scale,
            first_step=min(first_step, t_end - t),
            dense_output=True,
            **({"jac": system.jacobian} if implicit else {}),
        )
    if not solution.success or not np.all(np.isfinite(solution.y[:, -1])):
        raise SolverError(
            f"the equations could not be solved beyond epoch {solution.t[-1] / lr:.6g} "
            f"({solution.message}); try fewer epochs or a start closer to R0 = 1/T"
        )
    earlier = () if after is None else after.pieces
    nfev = solution.nfev + (0 if after is None else after.nfev)
    return Curve(system, (*earlier, solution.sol), nfev)
