"""Initial value problems solved by SciPy, piece by piece, with one sentence when it gives up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from meanfield.errors import SolverError

Array = NDArray[np.float64]

LONGEST = 1e100  # time; what is solved here creeps logarithmically long before
MOST_CALLS = 20_000  # of a right-hand side in one piece: many times what any model needs


@dataclass(frozen=True)
class Problem:
    """An initial value problem.

    y0: the state at t = 0, (n,). rhs(t, y): its rate. scale: size of each entry that matters, times
    rtol the absolute tolerance. first_step: of the solver.
    clock(t): a time in the user's words, for messages. remedy: what may help if it fails.
    """

    y0: Array
    rhs: Callable[[float, Array], Any]
    scale: Array
    first_step: float
    clock: Callable[[float], str]
    remedy: str


@dataclass(frozen=True)
class Solution:
    """A solution: call it with times in 0..end for the states, (n, times)."""

    pieces: tuple[Any, ...]  # SciPy's OdeSolution, one after the other in t
    calls: int  # of the right-hand side

    @property
    def end(self) -> float:
        """The last time."""
        return float(self.pieces[-1].t_max)

    @property
    def steps(self) -> Array:
        """The times between which the solver took one step each; where pieces meet, twice."""
        return np.concatenate([piece.ts for piece in self.pieces])

    def __call__(self, t: Array) -> Array:
        """Return the states at times t, (times,)."""
        if np.any(t < 0) or np.any(t > self.end):
            raise ValueError(f"the solution runs from t = 0 to {self.end!r}")
        states = np.empty((len(self.pieces[0](0.0)), t.size))
        piece = np.searchsorted([part.t_max for part in self.pieces[:-1]], t)
        for number in np.unique(piece):
            states[:, piece == number] = self.pieces[number](t[piece == number])
        return states


def integrate(
    problem: Problem, *, t_end: float, rtol: float, after: Solution | None = None
) -> Solution:
    """Integrate from the start, or on from the end of ``after``, to time t_end.

    By an explicit method of high order: the problems here are not stiff in their variables. Raises
    SolverError if it gives up or takes too many steps.
    """
    if after is None:
        t, y, first_step = 0.0, problem.y0, problem.first_step
    else:
        t, y, first_step = after.end, after.pieces[-1](after.end), after.pieces[-1].ts[-1] * 0.01
    calls = 0

    def rhs(t: float, y: Array) -> Any:
        nonlocal calls
        calls += 1
        if calls > MOST_CALLS:
            raise SolverError(
                f"the equations are too stiff to be solved beyond {problem.clock(t)}: "
                f"{problem.remedy}"
            )
        return problem.rhs(t, y)

    with np.errstate(invalid="ignore"):  # 0/0 in the error of a step on which nothing changes
        found = solve_ivp(
            rhs,
            (t, t_end),
            y,
            method="DOP853",
            rtol=rtol,
            atol=rtol * problem.scale,
            first_step=min(first_step, t_end - t),
            dense_output=True,
        )
    if not found.success or not np.all(np.isfinite(found.y[:, -1])):
        raise SolverError(
            f"the equations could not be solved beyond {problem.clock(found.t[-1])} "
            f"({found.message}): {problem.remedy}"
        )
    earlier, so_far = ((), 0) if after is None else (after.pieces, after.calls)
    return Solution((*earlier, found.sol), so_far + found.nfev)
