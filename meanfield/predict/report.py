"""A prediction in words: parameters, phases, a table, and what to trust."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.special import logit

from meanfield import generated
from meanfield.attention import closures
from meanfield.predict.spread import Spread
from meanfield.predict.trajectory import Trajectory
from meanfield.quantities import QUANTITIES

COLUMNS = ("epoch", "R", "Q", "S", "loss", "next_token_accuracy", "rollout_accuracy")


def report(run: Trajectory) -> str:
    """Return the parameters, what follows from them, the phases and a table."""
    p, theory = run.parameters, run.theory
    constants = {
        "gamma": closures.rate(closures.LINEAR, p),
        "g_0": closures.rate(closures.QUADRATIC, p),
    }
    start = {f"{name}0": getattr(run.start, name) for name in "RQS"}
    lines = [
        "parameters",
        f"  {listed(p.items())}",
        f"  {listed(constants.items())}",
        "start",
        f"  {listed({**start, 'C': run.start.C}.items())}",
        f"theory {theory}" + (", gradient steps of size lr" if theory.steps else ""),
        "phases",
        *(f"  {line}" for line in phases(run)),
        "",
        table(run),
    ]
    return "\n".join(lines)


def trusted(run: Trajectory, spread: Spread | None) -> str:
    """Return how far to trust it, how seeds spread about it if that is known, and the caveats."""
    lines = [line for line in run.trust if not any(line in caveat for caveat in run.caveats)]
    lines += [] if spread is None else [spread.in_words(run.parameters.T)]
    told = ["caveats", *(f"  {line}" for line in run.caveats)] if run.caveats else []
    return "\n".join(["trust", *(f"  {line}" for line in lines), *told])


def phases(run: Trajectory) -> list[str]:
    """Say in plain words what happens when, one sentence a phase."""
    last = f"not within {number(run.epoch[-1])} epochs"

    def at(epoch: float | None, what: str) -> str:
        if epoch is None:
            return f"{last} ({what})"
        when = f"epoch {number(epoch)}" if epoch > 0 else "already so at the start"
        return f"{when} ({what})"

    attention = at(run.onset_epoch, "R = 1/2")
    if run.R[-1] < min(run.start.R, 0.5) / 2:
        attention = (
            f"{last}: R falls from {number(run.start.R)} to {number(run.R[-1])}, as Q "
            f"starts below S{_comeback(run)}"
        )
    half = "rollout accuracy 1/2" + (", chance for N = 2" if run.parameters.N == 2 else "")
    end = run.heuristic_end_epoch
    until = "all along" if end is None else f"to epoch {number(end)}"
    return [
        f"heuristic        {until} (R near its start, the average action is learned)",
        f"attention onset  {attention}",
        f"rollouts         {at(run.rollout_half_epoch, half)}",
        f"saturation       {at(run.saturation_epoch, 'rollout accuracy 0.99')}",
    ]


def _comeback(run: Trajectory) -> str:
    """Say whether R returns after its fall, where the closure has a statement on it."""
    closure, p = run.theory.part.closure, run.parameters
    if closure is None or closure.solution is None:
        return ""
    kappa = generated.rate_constant(p.N, p.K, closures.rate(closure, p) * run.theory.pace(p))
    least = closure.solution.basin_gap(logit(run.start.R), kappa)
    if least == -np.inf:  # (X3j)
        return f" (in the {run.theory} closure it returns, however late)"
    if least >= run.start.Q - run.start.S:  # (X3i)
        return f" (in the {run.theory} closure it never returns: outside its basin of attraction)"
    return ""


def table(run: Trajectory, *, rows: int = 11) -> str:
    """Return a compact table of about ``rows`` lines, evenly spread over the epochs."""
    chosen = np.unique(np.linspace(0, len(run.epoch) - 1, rows).round().astype(int))
    curves = [getattr(run, name) for name in COLUMNS]
    lines = ["".join(f"{QUANTITIES[name].head:>12}" for name in COLUMNS)]
    for index in chosen:
        cells = [number(curves[0][index]), *(small(curve[index]) for curve in curves[1:])]
        lines.append("".join(f" {cell:>11}" for cell in cells))
    return "\n".join(lines)


def number(value: float) -> str:
    """Format a number to four digits or so, without a tail of noughts."""
    return f"{value:.4g}" if abs(value) < 1000 or abs(value) >= 1e7 else f"{value:.0f}"


def small(value: float) -> str:
    """Format a number of order 1: four decimals, unless they show a small one as nought."""
    if abs(value) >= 1e4:
        return f"{value:.5g}"
    return f"{value:.4f}" if abs(value) >= 1e-3 or value == 0 else f"{value:.2e}"


def listed(items: Iterable[tuple[str, Any]]) -> str:
    """Return names and values in one line."""
    return "  ".join(
        f"{name} = {value:.6g}" if isinstance(value, float) else f"{name} = {value}"
        for name, value in items
    )
