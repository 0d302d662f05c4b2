"""(78)-(81): early training, and the onset of attention learning."""

from __future__ import annotations

import math
from collections.abc import Iterator

import sympy as sp

from derivations.dynamics import (
    R_dot,
    alignment_dynamics,
    linear_growth,
    off_target_dynamics,
)
from derivations.equation import Kind, Status, Step, check, equation, require
from derivations.loss import error_signal
from derivations.solution import solved
from derivations.symbols import C, Delta, K, N, Q, R, S, T, g, gamma, t

Q_0, S_0 = sp.symbols("Q_0 S_0", real=True)  # overlaps at the start: C/N when nothing is known
tau = sp.Symbol("tau", positive=True)  # time scale of the onset
plateau = 1 / T  # attention before it learns: every action position alike


def guessing(error_signal: sp.Eq) -> sp.Expr:
    """The error signal without a margin."""
    return sp.simplify(error_signal.rhs.subs(Delta, 0))


@equation("78a", "Early growth of Q", follows_from=(alignment_dynamics, error_signal))
def early_alignment(alignment_dynamics: sp.Eq, error_signal: sp.Eq) -> Iterator[Step]:
    yield from early_overlap(alignment_dynamics, error_signal, Q, Q_0)


@equation("78b", "Early growth of S", follows_from=(off_target_dynamics, error_signal))
def early_off_target(off_target_dynamics: sp.Eq, error_signal: sp.Eq) -> Iterator[Step]:
    yield from early_overlap(off_target_dynamics, error_signal, S, S_0)


def early_overlap(
    growth: sp.Eq, error_signal: sp.Eq, overlap: sp.Symbol, start: sp.Symbol
) -> Iterator[Step]:
    """Integrate the growth of one overlap on the plateau of R."""
    yield "While the margin is small the model guesses", sp.Eq(g, guessing(error_signal))
    rate = growth.rhs.subs({g: guessing(error_signal), R: plateau})
    yield "Attention is on its plateau 1/T: a constant rate", rate
    yield "Integrate", sp.Eq(overlap, start + sp.factor(sp.integrate(rate, (t, 0, t))))


@equation("79", "Early gap", follows_from=(early_alignment, early_off_target))
def early_gap(early_alignment: sp.Eq, early_off_target: sp.Eq) -> Iterator[Step]:
    difference = early_alignment.rhs - early_off_target.rhs
    yield "Subtract (78b) from (78a)", difference
    gained = sp.factor(sp.simplify(difference - Q_0 + S_0))
    yield "From equal overlaps the gap grows linearly", sp.Eq(Q - S, gained)


@equation(
    "81c",
    "Time scale of the onset",
    status=Status.CLOSURE,
    follows_from=(linear_growth, early_gap, error_signal),
)
def onset_time_scale(linear_growth: sp.Eq, early_gap: sp.Eq, error_signal: sp.Eq) -> Iterator[Step]:
    driven = linear_growth.rhs.subs(Q, S + early_gap.rhs).subs(g, guessing(error_signal))
    yield "(15a) with the early gap", sp.Eq(R_dot, sp.factor(driven))
    per_R = sp.factor(driven / (R * (1 - R)))
    yield "Its rate per R (1 - R) grows linearly in time", per_R
    (square,) = sp.solve(sp.Eq(per_R, 2 * t / sp.Symbol("x")), sp.Symbol("x"))
    yield "Written as 2 t/tau^2", sp.Eq(tau, sp.sqrt(sp.factor(square)))


@equation(
    "80",
    "Onset, leading order in R",
    status=Status.CLOSURE,
    follows_from=(linear_growth, early_gap, error_signal, onset_time_scale),
)
def onset_growth(
    linear_growth: sp.Eq, early_gap: sp.Eq, error_signal: sp.Eq, onset_time_scale: sp.Eq
) -> Iterator[Step]:
    driven = linear_growth.rhs.subs(Q, S + early_gap.rhs).subs(g, guessing(error_signal))
    leading = R * sp.diff(driven, R).subs(R, 0)
    yield "Linear in R", sp.factor(leading)
    ratio = sp.simplify(leading * onset_time_scale.rhs**2 / (R * t))
    yield "In units of the time scale (81c)", sp.Eq(R_dot, ratio * R * t / tau**2)


@equation("81", "Onset of attention learning", status=Status.CLOSURE, follows_from=(onset_growth,))
def onset(onset_growth: sp.Eq) -> Iterator[Step]:
    retrieval = sp.Function("R")
    flow = sp.Eq(retrieval(t).diff(t), onset_growth.rhs.subs(R, retrieval(t)))
    yield "Solve the linear equation from the plateau", flow
    yield "A Gaussian rise", sp.Eq(R, sp.dsolve(flow, ics={retrieval(0): plateau}).rhs)


@equation(
    "81b",
    "Onset, saturation kept",
    status=Status.BEYOND,
    follows_from=(linear_growth, onset_growth),
)
def logistic_onset(linear_growth: sp.Eq, onset_growth: sp.Eq) -> Iterator[Step]:
    shape = sp.simplify(linear_growth.rhs / sp.diff(linear_growth.rhs, R).subs(R, 0))
    yield "(15a) depends on R as", shape
    x = sp.Symbol("x", positive=True)
    logit = sp.log(R / (1 - R)).subs(R, x)
    require(sp.simplify(sp.diff(logit, x) - 1 / shape.subs(R, x)) == 0, "not logistic in R")
    passed = sp.integrate(onset_growth.rhs / R, (t, 0, t))
    yield "The logit of R gains what log R gains in (80)", passed
    odds = plateau / (1 - plateau) * sp.exp(passed)
    yield "Back from the logit", sp.Eq(R, sp.simplify(odds) / (1 + sp.simplify(odds)))


@check(
    early_alignment,
    early_off_target,
    early_gap,
    onset_time_scale,
    onset_growth,
    onset,
    logistic_onset,
    kind=Kind.NUMERIC,
    says="(15) solved by Runge-Kutta from nothing known, until R has grown by 1 %",
)
def early_training_by_flow(
    early_Q: sp.Eq,
    early_S: sp.Eq,
    gap: sp.Eq,
    scale: sp.Eq,
    growth: sp.Eq,
    rise: sp.Eq,
    logistic: sp.Eq,
) -> str:
    flow = linear_growth.statement, alignment_dynamics.statement, off_target_dynamics.statement
    start = {Q: 0.08, S: 0.08, C: 0.4}  # equal logits: no margin yet
    short = {N: 5, K: 3, T: 4, gamma: 1}
    here = solved(flow, short, {**start, R: 0.25}, end=1e-3, steps=10)[-1]
    at = {**short, Q_0: start[Q], S_0: start[S], t: here[t]}
    pairs = [
        (early_Q.rhs.subs(at) - start[Q], here[Q] - start[Q]),
        (early_S.rhs.subs(at) - start[S], here[S] - start[S]),
        (gap.rhs.subs(at), here[Q] - here[S]),
        ((t / scale.rhs).subs(at) ** 2, math.log(here[R] / 0.25 * 0.75 / (1 - here[R]))),
    ]
    long = {N: 5, K: 3, T: 1000, gamma: 10**6}
    time_scale = scale.rhs.subs(long)
    require(time_scale > 0, f"tau = {time_scale}")
    end = 0.1 * float(time_scale)  # R has grown by 1 %
    before, here, after = solved(flow, long, {**start, R: 0.001}, end=end, steps=200)[-3:]
    at = {**long, tau: time_scale, t: here[t], R: here[R]}
    pairs += [
        (growth.rhs.subs(at), (after[R] - before[R]) / (after[t] - before[t])),
        (sp.log((rise.rhs * T).subs(at)), math.log(here[R] / 0.001)),
        ((logistic.rhs * T - 1).subs(at), here[R] / 0.001 - 1),
    ]
    worst = 0.0
    for claimed, found in pairs:
        off = abs(float(claimed) / found - 1)
        require(off < 0.005, f"{found} instead of {claimed}")
        worst = max(worst, off)
    return f"seven quantities, largest relative deviation {worst:.1e}"
