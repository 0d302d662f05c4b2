"""(78)-(81): early training, and the onset of attention learning."""

from __future__ import annotations

import cmath
import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import sympy as sp

from derivations.beyond.solution import solved
from derivations.equation import Kind, Status, Step, check, equation, require, shown
from derivations.models.enumeration import small_model
from derivations.models.sampling import agreement
from derivations.models.sums import contract, l_prime, numbers
from derivations.paper.attention_closures import attention_at_start
from derivations.paper.definitions import alignment, off_target, retrieval, row_sum
from derivations.paper.dynamics import (
    R_dot,
    alignment_dynamics,
    linear_growth,
    off_target_dynamics,
)
from derivations.paper.logits import sum_of_logits
from derivations.paper.loss import error_signal
from derivations.paper.overlaps import mean_permutation
from derivations.symbols import (
    A,
    C,
    Delta,
    K,
    N,
    P,
    Q,
    R,
    S,
    T,
    d,
    g,
    gamma,
    i,
    j,
    omega,
    sigma2,
    t,
)

Q_0, S_0 = sp.symbols("Q_0 S_0", real=True)  # overlaps at the start: C/N when nothing is known
tau = sp.Symbol("tau", positive=True)  # time scale of the onset


@equation(
    "15g",
    "Start of R",
    follows_from=(retrieval, row_sum, attention_at_start),
    note="On average over the start: to third order in the attention logits, and exactly if the "
    "weights are Gaussian. A single entry is not 1/T on average (15j), but the right action visits "
    "each column once. A seed's own R scatters about it, at the defaults by 22 %.",
)
def start_of_retrieval(
    retrieval: sp.Eq, row_sum: sp.Eq, attention_at_start: sp.Eq
) -> Iterator[Step]:
    by_column = attention_at_start.rhs
    require(not by_column.has(i), "the rows differ")
    row = contract(sp.Sum(by_column.subs(j, l_prime), (l_prime, 1, T)))
    require(row == row_sum.rhs, f"a mean row sums to {row}")
    yield "By (15j) all rows are alike on average; each sums to", row
    (total,) = retrieval.rhs.atoms(sp.Sum)
    once = total.change_index(i, i - T, j)
    require(once == sp.Sum(A[T + j, j], (j, 1, T)), "the right action does not visit each column")
    yield "The right action of row T + j stands in column j: each column once", once
    yield "So one row's worth of attention in T", sp.Eq(R, retrieval.rhs.xreplace({total: row}))


@equation("15h", "Start of Q", follows_from=(alignment, mean_permutation, sum_of_logits))
def start_of_alignment(
    alignment: sp.Eq, mean_permutation: sp.Eq, sum_of_logits: sp.Eq
) -> Iterator[Step]:
    yield from start_of_overlap(alignment, mean_permutation, sum_of_logits, Q_0)


@equation("15i", "Start of S", follows_from=(off_target, mean_permutation, sum_of_logits))
def start_of_off_target(
    off_target: sp.Eq, mean_permutation: sp.Eq, sum_of_logits: sp.Eq
) -> Iterator[Step]:
    yield from start_of_overlap(off_target, mean_permutation, sum_of_logits, S_0)


def start_of_overlap(
    overlap: sp.Eq, mean_permutation: sp.Eq, sum_of_logits: sp.Eq, start: sp.Symbol
) -> Iterator[Step]:
    """Average an overlap with W over permutations that W does not know yet."""
    blind = overlap.rhs.replace(
        lambda e: isinstance(e, sp.Indexed) and e.base == P, lambda e: mean_permutation.rhs
    )
    yield "W knows no permutation yet: put the mean permutation matrix (74a)", blind
    (weights,) = sum_of_logits.rhs.atoms(sp.Sum)
    total = sp.solve(sum_of_logits, weights)[0]
    yield "The entries of all W_k add up to", total
    yield "So", sp.Eq(start, sp.simplify(contract(blind).xreplace({weights: total})))


def guessing(error_signal: sp.Eq) -> sp.Expr:
    """The error signal without a margin."""
    return sp.simplify(error_signal.rhs.subs(Delta, 0))


@shown("Q_0 + (N - 1)/(N**2*K)*(1/T + (1 - 1/T)/K)*t")
@equation(
    "78a",
    "Early growth of Q",
    follows_from=(alignment_dynamics, error_signal, start_of_retrieval),
    note="While the margin is small and R on its plateau.",
)
def early_alignment(growth: sp.Eq, error_signal: sp.Eq, start: sp.Eq) -> Iterator[Step]:
    yield from early_overlap(growth, error_signal, start, Q, Q_0)


@shown("S_0 + (N - 1)/(N**2*K)*((1 - 1/T)/K)*t")
@equation(
    "78b",
    "Early growth of S",
    follows_from=(off_target_dynamics, error_signal, start_of_retrieval),
    note="While the margin is small and R on its plateau.",
)
def early_off_target(growth: sp.Eq, error_signal: sp.Eq, start: sp.Eq) -> Iterator[Step]:
    yield from early_overlap(growth, error_signal, start, S, S_0)


def early_overlap(
    growth: sp.Eq, error_signal: sp.Eq, plateau: sp.Eq, overlap: sp.Symbol, start: sp.Symbol
) -> Iterator[Step]:
    """Integrate the growth of one overlap on the plateau of R."""
    yield "While the margin is small the model guesses", sp.Eq(g, guessing(error_signal))
    rate = growth.rhs.subs({g: guessing(error_signal), R: plateau.rhs})
    yield "Attention is on its plateau 1/T: a constant rate", rate
    yield "Integrate", sp.Eq(overlap, start + sp.factor(sp.integrate(rate, (t, 0, t))))


@shown("(N - 1)/(N**2*K*T)*t")
@equation("79", "Early gap", follows_from=(early_alignment, early_off_target))
def early_gap(early_alignment: sp.Eq, early_off_target: sp.Eq) -> Iterator[Step]:
    difference = early_alignment.rhs - early_off_target.rhs
    yield "Subtract (78b) from (78a)", difference
    gained = sp.factor(sp.simplify(difference - Q_0 + S_0))
    yield "From equal overlaps the gap grows linearly", sp.Eq(Q - S, gained)


@shown("N*K*sqrt(2*T/(gamma*(N - 1)*(K - 1)))")
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


@shown("2*t/tau**2*R")
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


@shown("1/T*exp(t**2/tau**2)")
@equation(
    "81",
    "Onset of attention learning",
    follows_from=(onset_growth, start_of_retrieval),
)
def onset(onset_growth: sp.Eq, start: sp.Eq) -> Iterator[Step]:
    retrieval = sp.Function("R")
    flow = sp.Eq(retrieval(t).diff(t), onset_growth.rhs.subs(R, retrieval(t)))
    yield "Solve the linear equation from the plateau", flow
    yield "A Gaussian rise", sp.Eq(R, sp.dsolve(flow, ics={retrieval(0): start.rhs}).rhs)


@shown("1/(1 + (T - 1)*exp(-t**2/tau**2))")
@equation(
    "81b",
    "Onset, saturation kept",
    status=Status.BEYOND,
    follows_from=(linear_growth, onset_growth, start_of_retrieval),
)
def logistic_onset(linear_growth: sp.Eq, onset_growth: sp.Eq, start: sp.Eq) -> Iterator[Step]:
    shape = sp.simplify(linear_growth.rhs / sp.diff(linear_growth.rhs, R).subs(R, 0))
    yield "(15a) depends on R as", shape
    x = sp.Symbol("x", positive=True)
    logit = sp.log(R / (1 - R)).subs(R, x)
    require(sp.simplify(sp.diff(logit, x) - 1 / shape.subs(R, x)) == 0, "not logistic in R")
    passed = sp.integrate(onset_growth.rhs / R, (t, 0, t))
    yield "The logit of R gains what log R gains in (80)", passed
    odds = start.rhs / (1 - start.rhs) * sp.exp(passed)
    yield "Back from the logit", sp.Eq(R, sp.simplify(odds) / (1 + sp.simplify(odds)))


@check(
    start_of_alignment,
    start_of_off_target,
    kind=Kind.ENUMERATION,
    says="Q and S of given logic matrices, averaged over every vocabulary of K permutations",
)
def start_over_vocabularies(start_of_alignment: sp.Eq, start_of_off_target: sp.Eq) -> str:
    for N0, K0, T0 in ((3, 2, 2), (2, 3, 2)):
        model = small_model(N0, K0, T0)
        vocabularies = list(itertools.product(itertools.permutations(range(N0)), repeat=K0))
        drawn = [replace(model, permutations=v).order_parameters() for v in vocabularies]
        given = {N: N0, C: drawn[0][C]}
        for statement, overlap in ((start_of_alignment, Q), (start_of_off_target, S)):
            mean = sum(values[overlap] for values in drawn) / len(drawn)
            claimed = statement.rhs.subs(given)
            require(claimed == mean, f"{overlap} is {mean} on average, not {claimed}")
    return "36 + 8 vocabularies, residual 0"


def drawn_attention(
    length: int, angle: float, draw: Callable[[], float], *, count: int
) -> Iterator[list[list[float]]]:
    """T x T softmax rows of one RoPE plane, d = 2, each averaged with that of -q: odd orders go."""
    for _ in range(count):
        query, key = (complex(draw(), draw()) for _ in "qk")
        rows = [[0.0] * length for _ in range(length)]
        for t in range(length):
            logits = [
                (query * key.conjugate() * cmath.exp(1j * angle * (length + t - x))).real / 2**0.5
                for x in range(length)
            ]
            for sign in (1, -1):
                weights = [math.exp(sign * logit) for logit in logits]
                for x, weight in enumerate(weights):
                    rows[t][x] += weight / sum(weights) / 2
        yield rows


@check(
    attention_at_start,
    start_of_retrieval,
    kind=Kind.MONTE_CARLO,
    says="softmax of drawn queries and keys, d = 2: by column what it has over 1/T, uniform of "
    "variance 0.1; R of Gaussian ones of variance 3",
)
def drawn_starts(attention_at_start: sp.Eq, start_of_retrieval: sp.Eq) -> str:
    rng, length, angle, half = random.Random(15), 4, 0.7, 0.3**0.5
    drawn = list(drawn_attention(length, angle, lambda: rng.uniform(-half, half), count=8000))
    sizes = {T: length, d: 2, sigma2: sp.Rational(1, 10)}
    arrays = {omega: {(0,): sp.Float(angle)}}
    said = []
    for column in (0, 1, 2):
        claimed = float(numbers(attention_at_start.rhs, {**sizes, j: column + 1}, arrays))
        excess = length * claimed - 1
        require(excess != 0, f"column {column + 1} is even")
        found = [(math.fsum(row[column] for row in rows) - 1) / excess for rows in drawn]
        said.append(agreement(found, 1.0))
    wide = list(drawn_attention(length, angle, lambda: rng.gauss(0, 3**0.5), count=8000))
    claimed = float(start_of_retrieval.rhs.subs(T, length))
    for heads in (drawn, wide):
        mean = [math.fsum(rows[t][t] for t in range(length)) / length for rows in heads]
        said.append(agreement(mean, claimed))
    return "drawn over claimed " + "; ".join(said[:3]) + f"; R {said[3]}; {said[4]}"


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
