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
from derivations.models.enumeration import small_model
from derivations.models.sampling import agreement
from derivations.models.sums import contract, l_prime, numbers
from derivations.paper.attention_course import attention_at_start
from derivations.paper.definitions import alignment, off_target, retrieval, row_sum
from derivations.paper.dynamics import (
    R_dot,
    alignment_dynamics,
    linear_growth,
    off_target_dynamics,
)
from derivations.paper.logits import margin, mean_correct_logit, sum_of_logits
from derivations.paper.loss import error_signal
from derivations.paper.overlaps import mean_permutation
from derivations.statement import Kind, Status, Step, check, equation, require, shown
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
    y_c,
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


@shown("1 - 1/N")
@equation(
    "78c",
    "Error signal without a margin",
    status=Status.CLOSURE,
    follows_from=(error_signal,),
    note="The loss to first order in the logits. Good while exp(Delta) - 1 is small against N; see "
    "(78e) for the margin.",
)
def guessing(error_signal: sp.Eq) -> Iterator[Step]:
    yield (
        "The model guesses: every state is as likely as any other",
        sp.Eq(g, sp.simplify(error_signal.rhs.subs(Delta, 0))),
    )


@equation(
    "78d",
    "Plateau of R",
    status=Status.CLOSURE,
    follows_from=(start_of_retrieval,),
    note="Before the onset: R has not moved yet.",
)
def plateau(start_of_retrieval: sp.Eq) -> Iterator[Step]:
    yield "R stays where it starts", start_of_retrieval


@shown("Q_0 + (N - 1)/(N**2*K)*(1/T + (1 - 1/T)/K)*t")
@equation(
    "78a",
    "Early growth of Q",
    follows_from=(alignment_dynamics, guessing, plateau),
    note="Within 10 % of (15) until R = 0.16 at N = K = 20, T = 10, d = 64, base 10.",
)
def early_alignment(growth: sp.Eq, guessing: sp.Eq, plateau: sp.Eq) -> Iterator[Step]:
    yield from early_overlap(growth, guessing, plateau, Q, Q_0)


@shown("S_0 + (N - 1)/(N**2*K)*((1 - 1/T)/K)*t")
@equation(
    "78b",
    "Early growth of S",
    follows_from=(off_target_dynamics, guessing, plateau),
    note="Within 10 % of (15) until R = 0.44 at N = K = 20, T = 10, d = 64, base 10.",
)
def early_off_target(growth: sp.Eq, guessing: sp.Eq, plateau: sp.Eq) -> Iterator[Step]:
    yield from early_overlap(growth, guessing, plateau, S, S_0)


def early_overlap(
    growth: sp.Eq, guessing: sp.Eq, plateau: sp.Eq, overlap: sp.Symbol, start: sp.Symbol
) -> Iterator[Step]:
    """Integrate the growth of one overlap on the plateau of R."""
    rate = growth.rhs.subs({g: guessing.rhs, R: plateau.rhs})
    yield "No margin, and attention on its plateau: a constant rate", rate
    yield "Integrate", sp.Eq(overlap, start + sp.factor(sp.integrate(rate, (t, 0, t))))


@shown("(T**2 + K - 1)/(N*K**2*T**2)*t")
@equation(
    "78e",
    "Early margin",
    status=Status.BEYOND,
    follows_from=(
        margin,
        mean_correct_logit,
        early_alignment,
        early_off_target,
        start_of_alignment,
        start_of_off_target,
        plateau,
    ),
    note="What (78c) neglects. At the onset, t = tau, it is 0.075 at N = K = 20, T = 10, d = 64, "
    "base 10, and 1.3 at K = 3.",
)
def early_margin(margin: sp.Eq, mean_correct_logit: sp.Eq, *early: sp.Eq) -> Iterator[Step]:
    Q_growth, S_growth, Q_start, S_start, plateau = early
    lead = margin.rhs.subs(y_c, mean_correct_logit.rhs)
    grown = lead.subs({Q: Q_growth.rhs, S: S_growth.rhs}).subs(R, plateau.rhs)
    yield "The margin of (78a), (78b)", grown
    from_start = grown.subs({Q_0: Q_start.rhs, S_0: S_start.rhs})
    yield "From equal overlaps C/N: it starts at 0", sp.Eq(Delta, sp.factor(from_start))


@shown("(N - 1)/(N**2*K*T)*t")
@equation(
    "79",
    "Early gap",
    follows_from=(early_alignment, early_off_target),
    note="Within 10 % of (15) until R = 0.14, t = 0.58 tau at N = K = 20, T = 10, d = 64, base 10: "
    "then the gap grows faster, with R.",
)
def early_gap(early_alignment: sp.Eq, early_off_target: sp.Eq) -> Iterator[Step]:
    difference = early_alignment.rhs - early_off_target.rhs
    yield "Subtract (78b) from (78a)", difference
    gained = sp.factor(sp.simplify(difference - Q_0 + S_0))
    yield "From equal overlaps the gap grows linearly", sp.Eq(Q - S, gained)


@shown("t/(N*K*T)")
@equation(
    "79b",
    "Early gap, many states",
    follows_from=(early_gap,),
    note="The paper's form of (79), its t being t/(NK) here.",
)
def early_gap_of_many(early_gap: sp.Eq) -> Iterator[Step]:
    in_units = sp.limit(early_gap.rhs * N * K, N, sp.oo)
    yield "Times N K, for N to infinity", in_units
    yield "So", sp.Eq(early_gap.lhs, in_units / (N * K))


@shown("N*K*sqrt(2*T/(gamma*(N - 1)*(K - 1)))")
@equation(
    "81c",
    "Time scale of the onset",
    follows_from=(linear_growth, early_gap, guessing),
)
def onset_time_scale(linear_growth: sp.Eq, early_gap: sp.Eq, guessing: sp.Eq) -> Iterator[Step]:
    driven = linear_growth.rhs.subs(Q, S + early_gap.rhs).subs(g, guessing.rhs)
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
    follows_from=(linear_growth, early_gap, guessing, onset_time_scale),
    note="The saturation 1 - R is dropped; (81b) keeps it.",
)
def onset_growth(
    linear_growth: sp.Eq, early_gap: sp.Eq, guessing: sp.Eq, onset_time_scale: sp.Eq
) -> Iterator[Step]:
    driven = linear_growth.rhs.subs(Q, S + early_gap.rhs).subs(g, guessing.rhs)
    leading = R * sp.diff(driven, R).subs(R, 0)
    yield "Linear in R", sp.factor(leading)
    ratio = sp.simplify(leading * onset_time_scale.rhs**2 / (R * t))
    yield "In units of the time scale (81c)", sp.Eq(R_dot, ratio * R * t / tau**2)


@shown("1/T*exp(t**2/tau**2)")
@equation(
    "81",
    "Onset of attention learning",
    follows_from=(onset_growth, start_of_retrieval),
    note="Within 10 % of (15) until R = 0.72 at N = K = 20, T = 10, d = 64, base 10: that the gap "
    "outgrows (79) and that R saturates make up for each other. At T = 100 until R = 0.026.",
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
    note="Exact for the gap (79), which (15) outgrows: within 10 % of (15) until R = 0.23 at "
    "N = K = 20, T = 10, d = 64, base 10.",
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


@shown("1/T*exp(gamma*t**2/(2*N*K*T))")
@equation(
    "81d",
    "Onset, many states and permutations",
    follows_from=(onset, onset_time_scale),
    note="The paper's form of (81), its t being t/(NK) here: it takes sqrt(2 T/(N K gamma)).",
)
def onset_of_many(onset: sp.Eq, onset_time_scale: sp.Eq) -> Iterator[Step]:
    square = onset_time_scale.rhs**2 / (N * K)
    in_units = sp.limit(sp.limit(square, N, sp.oo), K, sp.oo)
    yield "The squared time scale over N K, for N and K to infinity", in_units
    yield "Insert into (81)", sp.Eq(R, onset.rhs.subs(tau, sp.sqrt(in_units * N * K)))


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
        for row in range(length):
            logits = [
                (query * key.conjugate() * cmath.exp(1j * angle * (length + row - x))).real / 2**0.5
                for x in range(length)
            ]
            for sign in (1, -1):
                weights = [math.exp(sign * logit) for logit in logits]
                for x, weight in enumerate(weights):
                    rows[row][x] += weight / sum(weights) / 2
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
    attention_at_start,
    start_of_retrieval,
    kind=Kind.MONTE_CARLO,
    says="2000 heads drawn from U(-1, 1) at T = 10, d = 64, base 10: mean and scatter of R, "
    "22 %; by (15j) the first column has 1.5 % more than 1/T, the middle 0.8 % less",
)
def default_starts(attention_at_start: sp.Eq, start_of_retrieval: sp.Eq) -> str:
    rng, length, planes = random.Random(8), 10, 32
    angles = [10 ** (-plane / planes) for plane in range(planes)]
    waves = [
        [cmath.exp(1j * angle * offset) / 8 for angle in angles] for offset in range(1, 2 * length)
    ]
    drawn = []
    for _ in range(2000):
        q, k = ([complex(rng.uniform(-1, 1), rng.uniform(-1, 1)) for _ in angles] for _ in "qk")
        products = [x * y.conjugate() for x, y in zip(q, k, strict=True)]
        weights = [
            math.exp(sum((a * b).real for a, b in zip(products, wave, strict=True)))
            for wave in waves
        ]
        rows = (weights[first : first + length] for first in range(length))
        drawn.append(weights[length - 1] * sum(1 / sum(row) for row in rows) / length)
    claimed = float(start_of_retrieval.rhs.subs(T, length))
    said = agreement(drawn, claimed)
    scatter = math.sqrt(math.fsum((x / claimed - 1) ** 2 for x in drawn) / len(drawn))
    require(abs(scatter - 0.22) < 0.01, f"R scatters by {scatter:.3f} of its mean")
    sizes = {T: length, d: 2 * planes, sigma2: sp.Rational(1, 3)}
    arrays = {omega: {(plane,): sp.Float(angle) for plane, angle in enumerate(angles)}}
    for column, stated in ((1, 0.015), (5, -0.008)):
        uneven = length * float(numbers(attention_at_start.rhs, {**sizes, j: column}, arrays)) - 1
        require(abs(uneven - stated) < 0.0005, f"column {column} has {uneven:.4f} over 1/T")
    return f"R {said}, scatter {scatter:.3f} of it"


DEFAULT = {N: 20, K: 20, T: 10, gamma: 0.0348689}  # the rate (14) at d = 64, base 10


def trained(sizes: dict, end: float, steps: int) -> list[dict]:
    """(15) solved by Runge-Kutta from R = 1/T, equal overlaps and no margin."""
    growth = linear_growth.statement, alignment_dynamics.statement, off_target_dynamics.statement
    start = {R: 1 / sizes[T], **EQUAL, C: EQUAL[Q] * sizes[N]}
    return solved(growth, sizes, start, end=end, steps=steps)


EQUAL = {Q: 0.08, S: 0.08}


@check(
    guessing,
    plateau,
    early_alignment,
    early_off_target,
    early_margin,
    early_gap,
    onset_time_scale,
    onset_growth,
    onset,
    logistic_onset,
    kind=Kind.NUMERIC,
    says="(15) solved by Runge-Kutta from nothing known, until R has grown by 1 %",
)
def early_training_by_flow(
    guess: sp.Eq,
    flat: sp.Eq,
    early_Q: sp.Eq,
    early_S: sp.Eq,
    margin_then: sp.Eq,
    gap: sp.Eq,
    scale: sp.Eq,
    growth: sp.Eq,
    rise: sp.Eq,
    logistic: sp.Eq,
) -> str:
    short = {N: 5, K: 3, T: 4, gamma: 1}
    start, here = (trained(short, 1e-3, 10)[place] for place in (0, -1))
    at = {**short, Q_0: start[Q], S_0: start[S], t: here[t]}
    pairs = [
        (guess.rhs.subs(at), 1 - 1 / sum([1] * short[N])),
        (flat.rhs.subs(at), here[R]),
        (early_Q.rhs.subs(at) - start[Q], here[Q] - start[Q]),
        (early_S.rhs.subs(at) - start[S], here[S] - start[S]),
        (margin_then.rhs.subs(at), margin_of(short, here)),
        (gap.rhs.subs(at), here[Q] - here[S]),
        ((t / scale.rhs).subs(at) ** 2, math.log(here[R] / 0.25 * 0.75 / (1 - here[R]))),
    ]
    long = {N: 5, K: 3, T: 1000, gamma: 10**6}
    time_scale = scale.rhs.subs(long)
    require(time_scale > 0, f"tau = {time_scale}")
    end = 0.1 * float(time_scale)  # R has grown by 1 %
    before, here, after = trained(long, end, 200)[-3:]
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
    return f"ten quantities, largest relative deviation {worst:.1e}"


def margin_of(sizes: dict, point: dict) -> float:
    """Lead of the mean right logit over the others, the overlaps having started as EQUAL."""
    weight = point[R] + (1 - point[R]) / sizes[K]
    right = weight * point[Q] + (1 - weight) * point[S]
    return right - (EQUAL[Q] * sizes[N] - right) / (sizes[N] - 1)


@check(
    onset,
    logistic_onset,
    kind=Kind.NUMERIC,
    says="the linear and the logistic equation solved by Runge-Kutta, until R = 0.99",
)
def rises_to_saturation(onset: sp.Eq, logistic_onset: sp.Eq) -> str:
    worst, steps, scale = 0.0, 400, 3.0
    for length in (2, 7):
        for statement, room in ((onset, lambda _: 1.0), (logistic_onset, lambda R: 1 - R)):

            def slope(time: float, R: float, room: Callable[[float], float] = room) -> float:
                return 2 * time / scale**2 * R * room(R)

            here, end = 1 / length, 2.6 * scale
            for time, after in by_runge_kutta(slope, here, end=end, steps=steps):
                claimed = float(statement.rhs.subs({T: length, tau: scale, t: time}))
                worst = max(worst, abs(claimed / after - 1))
    require(worst < 1e-6, f"off by {worst}")
    require(after > 0.99, f"R has only come to {after}")
    return f"T = 2, 7, largest relative deviation {worst:.1e}"


def by_runge_kutta(
    slope: Callable[[float, float], float], value: float, *, end: float, steps: int
) -> Iterator[tuple[float, float]]:
    """Every twentieth point of the solution of value' = slope(time, value)."""
    h = end / steps
    for count in range(steps):
        time = h * count
        k1 = slope(time, value)
        k2 = slope(time + h / 2, value + h / 2 * k1)
        k3 = slope(time + h / 2, value + h / 2 * k2)
        k4 = slope(time + h, value + h * k3)
        value += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        if count % 20 == 19:
            yield time + h, value


@check(
    early_gap_of_many,
    onset_of_many,
    kind=Kind.NUMERIC,
    says="(15) solved by Runge-Kutta at N = 3 10^4, K = 10^4; sizes enter as N K T alone",
)
def many_states(early_gap_of_many: sp.Eq, onset_of_many: sp.Eq) -> str:
    sizes = {N: 3 * 10**4, K: 10**4, T: 1000, gamma: 10**6}
    end = 0.1 * math.sqrt(2 * sizes[T] * sizes[N] * sizes[K] / sizes[gamma])
    here = trained(sizes, end, 200)[-1]
    at = {**sizes, t: here[t]}
    in_units = (
        (early_gap_of_many.rhs * N * K, early_gap_of_many, here[Q] - here[S]),
        (sp.log(onset_of_many.rhs * T) * N * K, onset_of_many, here[R]),
    )
    worst = 0.0
    for product, statement, found in in_units:
        left = sp.simplify(product * T).free_symbols & {N, K, T}
        require(not left, f"times N K T it still depends on {left}")
        worst = max(worst, abs(float(statement.rhs.subs(at)) / found - 1))
    require(worst < 0.005, f"off by {worst}")
    return f"largest relative deviation {worst:.1e}"


@check(
    early_alignment,
    early_off_target,
    early_gap,
    onset,
    logistic_onset,
    early_margin,
    onset_time_scale,
    kind=Kind.NUMERIC,
    says="how far the early laws reach: R where each is 10 % off (15), as their notes say",
)
def reach_of_early_laws(
    early_Q: sp.Eq,
    early_S: sp.Eq,
    gap: sp.Eq,
    rise: sp.Eq,
    logistic: sp.Eq,
    margin_then: sp.Eq,
    scale: sp.Eq,
) -> str:
    reached = []
    for sizes, laws in (
        (DEFAULT, {early_Q: 0.16, early_S: 0.44, gap: 0.14, rise: 0.72, logistic: 0.23}),
        (DEFAULT | {T: 100, gamma: 0.00668698}, {rise: 0.026}),
    ):
        time_scale = float(scale.rhs.subs(sizes))
        curve = trained(sizes, 1.5 * time_scale, 300)
        for statement, noted in laws.items():
            at = {**sizes, tau: time_scale, Q_0: EQUAL[Q], S_0: EQUAL[S]}
            claim = sp.lambdify(t, statement.rhs.subs(at), "math")
            quantity = sp.lambdify((R, Q, S), statement.lhs)
            start = EQUAL.get(statement.lhs, 0)
            for point in curve[1:]:
                gained = quantity(point[R], point[Q], point[S]) - start
                if abs((claim(point[t]) - start) / gained - 1) > 0.1:
                    break
            require(abs(point[R] / noted - 1) < 0.05, f"{statement.lhs} reaches to {point[R]}")
            reached.append(f"{statement.lhs} {point[R]:.2g}")
    for sizes, noted in ((DEFAULT, 0.075), (DEFAULT | {K: 3}, 1.3)):
        margin_there = float(margin_then.rhs.subs(t, scale.rhs).subs(sizes))
        require(abs(margin_there / noted - 1) < 0.03, f"the margin at the onset is {margin_there}")
    return ", ".join(reached)
