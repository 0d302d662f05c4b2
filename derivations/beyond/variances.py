"""X6: the variances of the logits, with nothing fitted.

The logic matrices are those of the mean-field flow (X4), W_k = W_k(0) + u (P_k - Pbar) + v (Pbar -
J/N); actions, permutations and W(0) are random and independent. The variances are those of one
logit over all three; correlations between the logits are left out.

Leaving out that actions repeat (K large) gives the simpler sigma_W^2 sum_j A_j^2 + (1/N)(1 - 1/N)
sum_l w_l^2 over l other than the right action, the same for all logits. It misses sigma_W^2 (1 -
sum_j A_j^2)/K and the variance of the right permutation's own weight, u^2 I_2 (1/K)(1 - 1/K) times
(1 - 1/N)^2 for the right logit and 1/N^2 for another.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from fractions import Fraction
from functools import cache

import sympy as sp

from derivations.beyond.matrices import (
    MOVED,
    gap_by_retrieval_part,
    heuristic_rate,
    micro_solution,
    total_by_heuristic,
    u,
    v,
)
from derivations.beyond.solution import U_0, V_0
from derivations.models.enumeration import small_model
from derivations.models.sampling import agreement
from derivations.models.sums import (
    average_over_action,
    contract,
    expand_sums,
    j_prime,
    k_prime,
    l_prime,
    numbers,
    over,
)
from derivations.paper.definitions import head_output, logits, row_sum, values
from derivations.paper.dynamics import U, V
from derivations.paper.logic import c_2, logic_update, mean_permutation, overlap_at_mean
from derivations.paper.logits import over_action_positions
from derivations.paper.overlaps import agreements
from derivations.paper.rollout import sigma_c, sigma_o
from derivations.statement import Kind, Status, Step, check, equation, require, shown
from derivations.symbols import A, K, N, P, R, T, W, a, eta, i, j, k, l, m, n, x, y, z

delta = sp.KroneckerDelta
BEYOND = Status.BEYOND

W_0 = sp.IndexedBase("W(0)", real=True)  # logic matrices before training, indexed like W
right_action = sp.Symbol("k_c", integer=True, positive=True)  # the action at position i - T
current = sp.Symbol("m_0", integer=True, positive=True)  # the current state
hit = sp.Symbol("h", real=True)  # 1 for the right logit, 0 for any other: (P_{k_c})_{n m_0}
sigma_n2 = sp.Symbol(r"\sigma_n^2", positive=True)  # variance of logit n
sigma_W2 = sp.Symbol(r"\sigma_W^2", positive=True)  # variance of the entries of W(0), of mean 0
I_2 = sp.Symbol("I_2", nonnegative=True)  # sum of the squared attention on the other T - 1 actions
mean_z = sp.IndexedBase(r"\langle z \rangle", real=True)  # mean_z[k], given the right action
mean_zz = sp.IndexedBase(r"\langle zz \rangle", real=True)  # mean_zz[k, l]: mean of z_k z_l
retrieved = A[i, i - T]
is_right = delta(j, i - T)


# --- u and v from the order parameters -----------------------------------------------------------


@shown("N/(N - 1)*(U - U_0)")
@equation(
    "X6c",
    "Retrieval part by the gap",
    status=BEYOND,
    follows_from=(gap_by_retrieval_part, overlap_at_mean),
)
def retrieval_part(gap_by_retrieval_part: sp.Eq, overlap_at_mean: sp.Eq) -> Iterator[Step]:
    averaged = gap_by_retrieval_part.subs(c_2, overlap_at_mean.rhs)
    yield "Independent permutations overlap in 1/N of the states", averaged
    yield "Solve", sp.Eq(u, sp.factor(sp.solve(averaged, u)[0]))


@shown("N/(N - 1)*(V - V_0)")
@equation(
    "X6d",
    "Heuristic by the total",
    status=BEYOND,
    follows_from=(total_by_heuristic, overlap_at_mean),
)
def heuristic(total_by_heuristic: sp.Eq, overlap_at_mean: sp.Eq) -> Iterator[Step]:
    averaged = total_by_heuristic.subs(c_2, overlap_at_mean.rhs)
    yield "Independent permutations overlap in 1/N of the states", averaged
    yield "Solve", sp.Eq(v, sp.factor(sp.solve(averaged, v)[0]))


@shown("W0[k, n, m] + u*(P[k, n, m] - barP[n, m]) + v*(barP[n, m] - 1/N)")
@equation(
    "X6",
    "Matrices along the flow",
    status=BEYOND,
    follows_from=(logic_update, micro_solution, heuristic_rate),
)
def micro_form(logic_update: sp.Eq, micro_solution: sp.Eq, heuristic_rate: sp.Eq) -> Iterator[Step]:
    form = W_0[k, n, m] + MOVED
    yield "With u and v from 0 on", form
    velocity = sp.diff(form, u) * micro_solution.rhs + sp.diff(form, v) * heuristic_rate.rhs
    yield "At the rates (X4a), (X4b) it moves at", velocity
    require(sp.simplify(velocity - logic_update.rhs / eta) == 0, "it does not follow (52)")
    yield "as (52) says: so the matrices are", sp.Eq(W[k, n, m], form)


# --- moments of the head output, given the right action ------------------------------------------


@shown("R*KroneckerDelta(k, k_c) + (1 - R)/K")
@equation("X6e", "Mean head output", status=BEYOND, follows_from=(head_output, values, row_sum))
def mean_head_output(head_output: sp.Eq, values: sp.Eq, row_sum: sp.Eq) -> Iterator[Step]:
    chosen = values.rhs.args[0][0]  # 1 if action k stands at j
    yield (
        "Attention on all positions of action k",
        sp.Eq(z[i, k], over_action_positions(head_output.rhs, values)),
    )
    mean_chosen = mean_of_choice(chosen)
    yield "Position i - T holds the right action, any other a random one", mean_chosen
    chosen_at = over_action_positions(head_output.rhs, values)
    summed = contract(chosen_at.xreplace({chosen: mean_chosen}))
    in_R = summed.xreplace({row_sum.lhs: row_sum.rhs, retrieved: R})
    yield (
        "Sum over the row",
        sp.Eq(mean_z[k], sp.collect(sp.expand(in_R), delta(k, right_action), sp.factor)),
    )


def mean_of_choice(chosen: sp.Expr) -> sp.Expr:
    """The mean of an expression in the action at j: the right one at i - T, else uniform."""
    elsewhere = contract(average_over_action(chosen, a[j], l_prime))
    return is_right * chosen.xreplace({a[j]: right_action}) + (1 - is_right) * elsewhere


@shown(
    "(R*KroneckerDelta(k, k_c) + (1 - R)/K)*(R*KroneckerDelta(l, k_c) + (1 - R)/K) "
    "+ I_2/K*(KroneckerDelta(k, l) - 1/K)"
)
@equation(
    "X6f",
    "Second moment of the head output",
    status=BEYOND,
    follows_from=(mean_head_output, values),
)
def second_moment_of_head(mean_head_output: sp.Eq, values: sp.Eq) -> Iterator[Step]:
    chosen = values.rhs.args[0][0]
    one = mean_of_choice(chosen)
    apart = one * one.xreplace({k: l, j: j_prime})
    together = mean_of_choice(chosen * chosen.xreplace({k: l}))
    excess = sp.expand(together - one * one.xreplace({k: l}))
    yield "Two positions choose independently", apart
    yield "One position chooses one action: in excess of that", excess
    independent = mean_head_output.rhs * mean_head_output.rhs.xreplace({k: l})
    summed = contract(sp.Sum(A[i, j] ** 2 * excess, (j, 1, T)))
    squares = sp.Sum(A[i, j] ** 2, (j, 1, T))
    in_I_2 = summed.xreplace({squares: R**2 + I_2, retrieved: R})
    spread = sp.factor(sp.expand(in_I_2))
    yield "Sum over the row, its squares R^2 + I_2: the covariance", spread
    yield "Add the product of the means", sp.Eq(mean_zz[k, l], independent + spread)


@shown("(1 - R)**2/(T - 1)")
@equation("X6g", "Squared attention on the others", status=BEYOND, follows_from=(row_sum,))
def squared_attention(row_sum: sp.Eq) -> Iterator[Step]:
    each = (row_sum.rhs - R) / (T - 1)
    yield "What the right action leaves, shared evenly", each
    yield (
        "T - 1 squares",
        sp.Eq(I_2, sp.factor(contract(sp.Sum((1 - is_right) * each**2, (j, 1, T))))),
    )


# --- the logit and its variance ------------------------------------------------------------------


@shown(
    "Sum(W0[k, n, m_0]*z[i, k], (k, 1, K)) + Sum((u*z[i, k] + (v - u)/K)"
    "*P[k, n, m_0], (k, 1, K)) - v/N"
)
@equation(
    "X6h", "Logit along the flow", status=BEYOND, follows_from=(logits, micro_form, values, row_sum)
)
def logit_along_flow(
    logits: sp.Eq, micro_form: sp.Eq, values: sp.Eq, row_sum: sp.Eq
) -> Iterator[Step]:
    at_state = logits.rhs.xreplace({micro_form.lhs: micro_form.rhs, x[i, m]: delta(m, current)})
    yield "Insert the matrices into (6), on the current state", at_state
    total = contract(over(values.rhs.args[0][0], k)) * row_sum.rhs
    yield "One action stands at each position, so the head output adds up to", total
    mean = over(P[k, n, current], k) / K
    summed = contract(at_state).xreplace(
        {contract(over(z[i, k], k)): total, mean_permutation[n, current]: mean}
    )
    start = over(z[i, k] * W_0[k, n, current], k)
    by_permutation = over((u * z[i, k] + (v - u) / K) * P[k, n, current], k)
    grouped = start + by_permutation - v / N
    require(expand_sums(grouped - summed) == 0, f"{summed} does not group like this")
    yield "Permutation k has the weight u z_k + (v - u)/K", sp.Eq(y[i, n], grouped)


def weight_of(entry: sp.Indexed, logit: sp.Expr) -> sp.Expr:
    """The factor of ``entry`` under the sum over actions k that a logit is."""
    whole = sp.S.Zero
    for part in sp.Add.make_args(sp.expand(logit)):
        if part.has(entry.base):
            (total,) = part.atoms(sp.Sum)
            whole += part / total * total.function / entry
    require(not whole.has(entry.base), f"the logit is not linear in {entry}")
    return sp.expand(whole)


@shown(
    "sigma_W2*(1/K + (1 - 1/K)*(R**2 + I_2)) + (K - 1)*(N - 1)/(N*K)**2*((v - u)**2 + 2*(1 "
    "- R)*u*(v - u) + (1 - R)**2*u**2) + (K - 1)/(N*K)**2*I_2*u**2*((N - 1)*(K - 1) + (N*h "
    "- 1)**2)"
)
@equation(
    "X6i",
    "Variance of a logit",
    status=BEYOND,
    follows_from=(logit_along_flow, mean_head_output, second_moment_of_head),
    note="h = 1: the right logit. h = 0: any other. Any attention row; I_2 is that of the row.",
)
def variance(
    logit_along_flow: sp.Eq, mean_head_output: sp.Eq, second_moment_of_head: sp.Eq
) -> Iterator[Step]:
    partner = {k: l}
    mean_of_z, mean_of_zz = mean_head_output.rhs, second_moment_of_head.rhs

    def mean_of_two(weight: sp.Expr) -> sp.Expr:
        """Mean of ``weight`` of action k times that of action l."""
        product = sp.expand(weight * weight.xreplace(partner)).subs(z[i, k] * z[i, l], mean_of_zz)
        return product.xreplace({z[i, k]: mean_of_z, z[i, l]: mean_of_z.xreplace(partner)})

    from_start = weight_of(W_0[k, n, current], logit_along_flow.rhs)
    noise = contract(over(sigma_W2 * delta(k, l) * mean_of_two(from_start), k, l))
    yield "From W(0), whose entries are independent", sp.collect(noise, sigma_W2, sp.factor)
    known = delta(k, right_action)
    mean_hit = known * hit + (1 - known) / N
    yield "The right permutation sends m_0 to n if h = 1, any other once in N", mean_hit
    spread_hit = (1 - known) * (1 / N - 1 / N**2)
    yield "with the variance, independent of all others", spread_hit
    weight = weight_of(P[k, n, current], logit_along_flow.rhs)
    mean = contract(over(weight.xreplace({z[i, k]: mean_of_z}) * mean_hit, k))
    yield "Mean of the permutations' part", sp.factor(mean)
    second_hit = mean_hit * mean_hit.xreplace(partner) + delta(k, l) * spread_hit
    second = contract(over(mean_of_two(weight) * second_hit, k, l))
    yield (
        "Second moment less squared mean, and the part from W(0)",
        sp.Eq(sigma_n2, ordered(noise + second - mean**2)),
    )


def ordered(total: sp.Expr) -> sp.Expr:
    """A variance as a polynomial in sigma_W^2, u and v - u, each coefficient factored."""
    lead = sp.Symbol("v - u")
    by_part = sp.expand(sp.expand(total).subs(v, u + lead))
    return sp.collect(by_part, [sigma_W2, u, lead], sp.factor).subs(lead, v - u)


@shown(
    "sigma_W2*(1/K + (1 - 1/K)*(R**2 + (1 - R)**2/(T - 1))) + (K - 1)*(N - 1)/(N*K)**2*((v "
    "- u)**2 + 2*(1 - R)*u*(v - u) + (1 + (N + K - 2)/(T - 1))*(1 - R)**2*u**2)"
)
@equation(
    "X6a",
    "Variance of the right logit",
    status=BEYOND,
    follows_from=(variance, squared_attention),
    note="Over seeds and data; correlations between the logits are left out.",
)
def variance_right(variance: sp.Eq, squared_attention: sp.Eq) -> Iterator[Step]:
    yield from exchangeable_variance(variance, squared_attention, sigma_c, 1)


@shown(
    "sigma_W2*(1/K + (1 - 1/K)*(R**2 + (1 - R)**2/(T - 1))) + (K - 1)*(N - 1)/(N*K)**2*((v "
    "- u)**2 + 2*(1 - R)*u*(v - u) + (1 + (K - 1 + 1/(N - 1))/(T - 1))*(1 - R)**2*u**2)"
)
@equation(
    "X6b",
    "Variance of another logit",
    status=BEYOND,
    follows_from=(variance, squared_attention),
    note="Over seeds and data; correlations between the logits are left out.",
)
def variance_other(variance: sp.Eq, squared_attention: sp.Eq) -> Iterator[Step]:
    yield from exchangeable_variance(variance, squared_attention, sigma_o, 0)


def exchangeable_variance(
    variance: sp.Eq, squared_attention: sp.Eq, deviation: sp.Symbol, is_hit: int
) -> Iterator[Step]:
    """Specialise (X6i) to the right logit or to another, under even attention on the others."""
    of_kind = ordered(variance.rhs.subs(hit, is_hit))
    yield f"(X6i) with h = {is_hit}", sp.Eq(deviation**2, of_kind)
    even = ordered(of_kind.subs(I_2, squared_attention.rhs))
    yield "The other actions share the attention evenly (X6g)", sp.Eq(deviation**2, even)


# --- checks --------------------------------------------------------------------------------------

SIZES = ((2, 2, 2), (3, 2, 2), (3, 2, 3), (2, 3, 3), (3, 3, 2))  # (N, K, T)
DEVIATION = Fraction(2, 3)  # of the entries of W(0)
STRENGTHS = {u: Fraction(5, 3), v: Fraction(7, 2), sigma_W2: DEVIATION**2}
EVEN, UNEVEN = True, False

Row = tuple[Fraction, ...]


def attention_row(T_value: int, even: bool) -> Row:
    """A row of attention, the right action first; the rest even, or all different."""
    R_value = Fraction(3, 7)
    shares = [Fraction(1 if even else 2**q) for q in range(T_value - 1)]
    return (R_value, *((1 - R_value) * share / sum(shares) for share in shares))


def row_values(row: Row) -> dict[sp.Symbol, sp.Rational]:
    """R and I_2 of a row, by definition."""
    squares = sum(share**2 for share in row[1:])
    return {R: sp.Rational(row[0]), I_2: sp.Rational(squares)}


def head(row: Row, actions: tuple[int, ...], K_value: int) -> list[Fraction]:
    """Z of one sequence."""
    return [
        sum((share for share, action in zip(row, actions, strict=True) if action == q), Fraction(0))
        for q in range(K_value)
    ]


@cache
def enumerated_variances(sizes: tuple[int, int, int], row: Row) -> tuple[sp.Rational, sp.Rational]:
    """Of the right logit and the others on state 0: all actions, vocabularies, signs of W(0).

    An entry of W(0) is plus or minus its deviation; only the K entries in the logit matter.
    """
    N_value, K_value, T_value = sizes
    right_logits: list[Fraction] = []
    other_logits: list[Fraction] = []
    for actions in itertools.product(range(K_value), repeat=T_value):
        z_value = head(row, actions, K_value)
        noises = [
            DEVIATION * sum(sign * share for sign, share in zip(signs, z_value, strict=True))
            for signs in itertools.product((-1, 1), repeat=K_value)
        ]
        permutations = itertools.permutations(range(N_value))
        for vocabulary in itertools.product(permutations, repeat=K_value):
            for state in range(N_value):
                hits = [int(sigma[0] == state) for sigma in vocabulary]
                mean = Fraction(sum(hits), K_value)
                entries = [
                    STRENGTHS[u] * (own - mean) + STRENGTHS[v] * (mean - Fraction(1, N_value))
                    for own in hits
                ]
                signal = sum(share * entry for share, entry in zip(z_value, entries, strict=True))
                kind = right_logits if hits[actions[0]] else other_logits
                kind.extend(signal + noise for noise in noises)
    return spread(right_logits), spread(other_logits)


def spread(sample: list[Fraction]) -> sp.Rational:
    """Mean square less squared mean, exact."""
    mean = sum(sample) / len(sample)
    return sp.Rational(sum(value**2 for value in sample) / len(sample) - mean**2)


def held_against_enumeration(
    right: sp.Eq, other: sp.Eq, sizes: tuple[int, int, int], even: bool
) -> None:
    """Compare the two claimed variances with all actions, vocabularies and signs."""
    row = attention_row(sizes[2], even)
    given = {symbol: sp.Rational(number) for symbol, number in STRENGTHS.items()}
    given |= dict(zip((N, K, T), sizes, strict=True)) | row_values(row)
    for statement, exact in zip((right, other), enumerated_variances(sizes, row), strict=True):
        claimed = statement.rhs.subs(given)
        require(claimed == exact, f"{claimed} instead of {exact} at (N, K, T) = {sizes}")


@check(
    variance_right,
    variance_other,
    kind=Kind.ENUMERATION,
    says="all actions, all vocabularies, all signs of W(0)",
)
def variances_by_enumeration(variance_right: sp.Eq, variance_other: sp.Eq) -> str:
    for sizes in SIZES:
        held_against_enumeration(variance_right, variance_other, sizes, EVEN)
    return f"{len(SIZES)} (N, K, T), residual 0"


@check(
    variance,
    kind=Kind.ENUMERATION,
    says="all actions, vocabularies and signs of W(0), the attention row uneven",
)
def variance_of_uneven_row(variance: sp.Eq) -> str:
    for sizes in ((3, 2, 3), (2, 3, 3)):
        held_against_enumeration(variance.subs(hit, 1), variance.subs(hit, 0), sizes, UNEVEN)
    return "two (N, K, T), residual 0"


@check(
    mean_head_output,
    second_moment_of_head,
    squared_attention,
    kind=Kind.ENUMERATION,
    says="all sequences with a given right action, the attention row even and uneven",
)
def head_by_enumeration(
    mean_head_output: sp.Eq, second_moment_of_head: sp.Eq, squared_attention: sp.Eq
) -> str:
    for (K_value, T_value), even in itertools.product(((2, 2), (3, 3), (2, 4)), (EVEN, UNEVEN)):
        row = attention_row(T_value, even)
        sizes = {K: K_value, T: T_value, **row_values(row)}
        if even:
            claimed = squared_attention.rhs.subs(sizes)
            require(claimed == sizes[I_2], f"I_2 = {sizes[I_2]} but {claimed} claimed")
        rest = itertools.product(range(K_value), repeat=T_value - 1)
        outputs = [head(row, (0, *actions), K_value) for actions in rest]
        for first, second in itertools.product(range(K_value), repeat=2):
            at = {k: first + 1, l: second + 1, right_action: 1, **sizes}
            exact_mean = sp.Rational(sum(output[first] for output in outputs) / len(outputs))
            products = sum(output[first] * output[second] for output in outputs)
            exact = sp.Rational(products / len(outputs))
            require(mean_head_output.rhs.subs(at) == exact_mean, f"mean of z_{first + 1}")
            claimed = second_moment_of_head.rhs.subs(at)
            require(claimed == exact, f"{claimed} instead of {exact} for {first + 1, second + 1}")
    return "three (K, T), two rows, residual 0"


@check(
    micro_form,
    logit_along_flow,
    kind=Kind.NUMERIC,
    says="steps of (52) added up in exact rationals, then the logit of one sequence by (6)",
)
def flow_added_up(micro_form: sp.Eq, logit_along_flow: sp.Eq) -> str:
    rng = random.Random(6)
    for sizes in ((3, 2, 3), (2, 3, 2)):
        model = small_model(*sizes)
        N_value, K_value, _ = sizes
        matrices = [[list(line) for line in matrix] for matrix in model.W]
        weights = {u: Fraction(0), v: Fraction(0)}
        for _ in range(3):
            g_value, R_value = Fraction(rng.randint(1, 9), 9), Fraction(rng.randint(1, 9), 9)
            scale = g_value / (K_value * (N_value - 1))
            weights[u] += scale * R_value
            weights[v] += scale
            for q, row, column in itertools.product(range(K_value), range(N_value), range(N_value)):
                mean = Fraction(sum(model.P(q2, row, column) for q2 in range(K_value)), K_value)
                pull = R_value * model.P(q, row, column) + (1 - R_value) * mean
                matrices[q][row][column] += scale * (pull - Fraction(1, N_value))
        arrays = model.arrays()
        arrays[W_0] = arrays[W]
        given = {N: N_value, K: K_value, i: 1} | {
            part: sp.Rational(gain) for part, gain in weights.items()
        }
        mean_written_out = {mean_permutation[n, m]: over(P[k_prime, n, m], k_prime) / K}
        form = micro_form.rhs.xreplace(mean_written_out)
        for q, row, column in itertools.product(range(K_value), range(N_value), range(N_value)):
            at = {**given, k: q + 1, n: row + 1, m: column + 1}
            claimed = numbers(form, at, arrays)
            exact = sp.Rational(matrices[q][row][column])
            require(claimed == exact, f"W is {exact} but {claimed} claimed")
        z_value = head(attention_row(3, UNEVEN), (0, 1, 0), K_value)
        arrays[z] = {(1, q + 1): sp.Rational(share) for q, share in enumerate(z_value)}
        for row, column in itertools.product(range(N_value), repeat=2):
            exact = sp.Rational(sum(z_value[q] * matrices[q][row][column] for q in range(K_value)))
            claimed = numbers(
                logit_along_flow.rhs, {**given, n: row + 1, current: column + 1}, arrays
            )
            require(claimed == exact, f"logit {exact} but {claimed} claimed")
    return "every entry and logit at two (N, K), residual 0"


@check(
    retrieval_part,
    heuristic,
    kind=Kind.ENUMERATION,
    says="Q and S gained, averaged over all vocabularies",
)
def parts_by_enumeration(retrieval_part: sp.Eq, heuristic: sp.Eq) -> str:
    u_value, v_value = STRENGTHS[u], STRENGTHS[v]
    start = {U_0: sp.Rational(3, 7), V_0: sp.Rational(5, 4)}
    for N_value, K_value in ((2, 2), (3, 2), (2, 3), (3, 3), (4, 2)):
        vocabularies = list(
            itertools.product(itertools.permutations(range(N_value)), repeat=K_value)
        )
        gained = {True: Fraction(0), False: Fraction(0)}  # same action or not: Q, S
        for vocabulary in vocabularies:
            shared = {
                (q, other): agreements(vocabulary[q], vocabulary[other])
                for q, other in itertools.product(range(K_value), repeat=2)
            }
            for q, other in shared:
                mean = Fraction(sum(shared[third, other] for third in range(K_value)), K_value)
                overlap = u_value * (shared[q, other] - mean) + v_value * (mean - 1)
                gained[q == other] += overlap / (N_value * K_value * len(vocabularies))
        Q_gain, S_gain = gained[True], gained[False] / (K_value - 1)
        given = {N: N_value, K: K_value, **start}
        given[U] = start[U_0] + sp.Rational(Q_gain - S_gain)
        given[V] = start[V_0] + sp.Rational(Q_gain + (K_value - 1) * S_gain)
        for statement, exact in ((retrieval_part, u_value), (heuristic, v_value)):
            claimed = statement.rhs.subs(given)
            require(
                claimed == sp.Rational(exact), f"{statement.lhs} = {exact} but {claimed} claimed"
            )
    return "five (N, K), residual 0"


@check(
    variance_right,
    variance_other,
    kind=Kind.MONTE_CARLO,
    says="random sequences, vocabularies and Gaussian W(0)",
)
def variances_by_sampling(variance_right: sp.Eq, variance_other: sp.Eq) -> str:
    rng = random.Random(6)
    N_value, K_value, T_value = 6, 4, 5
    given = {u: 2.0, v: 3.0, sigma_W2: 0.1, R: 0.4}
    rest = (1 - given[R]) / (T_value - 1)
    logits_drawn: tuple[list[float], list[float]] = ([], [])
    for _ in range(20000):
        z_value = [0.0] * K_value
        actions = rng.choices(range(K_value), k=T_value)
        for position, action in enumerate(actions):
            z_value[action] += rest if position else given[R]
        images = [rng.randrange(N_value) for _ in range(K_value)]  # of the current state
        right_state = images[actions[0]]
        other_state = (right_state + rng.randrange(1, N_value)) % N_value
        for sample, state in zip(logits_drawn, (right_state, other_state), strict=True):
            hits = [image == state for image in images]
            mean_hit = sum(hits) / K_value
            sample.append(
                sum(
                    z_value[q]
                    * (
                        rng.gauss(0, given[sigma_W2] ** 0.5)
                        + given[u] * (hits[q] - mean_hit)
                        + given[v] * (mean_hit - 1 / N_value)
                    )
                    for q in range(K_value)
                )
            )
    reports = []
    for statement, sample in zip((variance_right, variance_other), logits_drawn, strict=True):
        claimed = float(statement.rhs.subs({**given, N: N_value, K: K_value, T: T_value}))
        mean = sum(sample) / len(sample)
        reports.append(agreement(((logit - mean) ** 2 for logit in sample), claimed))
    return "; ".join(reports)
