"""X0, X4: the logic matrices themselves along the mean-field flow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import sympy as sp

from derivations.beyond.solution import U_0, V_0
from derivations.models.enumeration import SmallModel, small_model
from derivations.models.sums import contract, n_prime, numbers, over
from derivations.paper.attention import contract_each_sum
from derivations.paper.definitions import (
    expectation,
    permutation_matrices,
    training_loss,
    y_right,
)
from derivations.paper.dynamics import BEYOND, U, V
from derivations.paper.logic import (
    SMALL,
    alignment_change,
    c_1,
    c_2,
    exact_slopes,
    logic_update,
    mean_permutation,
    off_target_change,
    overlap_relation,
    overlap_with_all,
    permutation_sums,
    project,
    vocabulary_overlaps,
)
from derivations.statement import Kind, Step, check, equation, require, shown
from derivations.symbols import K, N, P, Q, R, S, T, eta, g, i, k, m, n, y

right_state = sp.Symbol("c", integer=True, positive=True)  # the right state, one of the N


@equation(
    "X0b",
    "Cross-entropy moves no sum of logits",
    status=BEYOND,
    follows_from=(training_loss,),
    note="All rows of a column of W_k enter their logits alike, so the true loss conserves every "
    "column sum too, and with them C.",
)
def logit_slopes(training_loss: sp.Eq) -> Iterator[Step]:
    (average,) = training_loss.rhs.atoms(expectation)
    (positions,) = (part for part in training_loss.rhs.atoms(sp.Sum) if part.has(average))
    one_word = positions.function.xreplace({average: average.args[0]})
    own = training_loss.rhs.xreplace({positions: one_word})
    own = own.xreplace({y_right(i): y[i, right_state]})
    yield "What one prediction of one word adds to the loss", own
    (partition,) = own.atoms(sp.Sum)
    Z = sp.Symbol("Z", positive=True)
    slope = contract_each_sum(sp.diff(own, y[i, n_prime])).subs(contract(partition), Z)
    yield "Its slope in one logit, Z the partition sum: the softmax weight, less 1 if right", slope
    total = sp.simplify(contract(over(slope, n_prime)).subs(contract(partition), Z))
    yield (
        "Over all logits the weights add up to one, as do the others",
        sp.Eq(over(sp.Derivative(own, y[i, n_prime]), n_prime), total, evaluate=False),
    )


u, v = sp.symbols("u v", real=True)  # weights of the retrieval part P_k - mean and of the heuristic
u_dot, v_dot = sp.Symbol(r"\dot{u}", real=True), sp.Symbol(r"\dot{v}", real=True)
MOVED = u * (P[k, n, m] - mean_permutation[n, m]) + v * (mean_permutation[n, m] - 1 / N)


@equation(
    "X0",
    "Column sums are conserved",
    status=BEYOND,
    follows_from=(logic_update, permutation_matrices),
)
def column_sums(logic_update: sp.Eq, permutation_matrices: sp.Eq) -> Iterator[Step]:
    column = over(logic_update.rhs.xreplace({mean_permutation[n, m]: over(P[k, n, m], k) / K}), n)
    yield "Add up a column of (52)", column
    one = {
        contract(over(P[k, n, m], *indices)): contract(over(permutation_matrices.rhs, *indices))
        for indices in ((n,), (k, n))
    }
    yield (
        "A permutation matrix has one 1 in each column by (1b), the mean matrix too",
        sp.Eq(
            over(logic_update.lhs, n), sp.simplify(contract(column).xreplace(one)), evaluate=False
        ),
    )


@shown("g/(K*(N - 1))*R")
@equation(
    "X4a", "The heuristic and the retrieval part", status=BEYOND, follows_from=(logic_update,)
)
def micro_solution(logic_update: sp.Eq) -> Iterator[Step]:
    own, mean = P[k, n, m], mean_permutation[n, m]
    ansatz = u_dot * (own - mean) + v_dot * (mean - 1 / N)
    flow = logic_update.rhs / eta
    yield "Ansatz: W_k = W_k(0) + u (P_k - mean) + v (mean - J/N)", ansatz
    gap_matrix = sp.expand(ansatz - flow)
    solution = sp.solve([gap_matrix.coeff(own), gap_matrix.coeff(mean)], [u_dot, v_dot], dict=True)[
        0
    ]
    require(sp.simplify(gap_matrix.subs(solution)) == 0, "the ansatz does not solve (52)")
    yield "v follows the error signal alone", sp.Eq(v_dot, sp.factor(solution[v_dot]))
    yield "u needs attention", sp.Eq(u_dot, sp.factor(solution[u_dot]))


@equation("X4b", "The heuristic's rate", status=BEYOND, follows_from=(logic_update,))
def heuristic_rate(logic_update: sp.Eq) -> Iterator[Step]:
    both = logic_update.rhs / eta
    constant = sp.expand(both).subs({P[k, n, m]: 0, mean_permutation[n, m]: 0})
    yield "The part of the flow that no permutation carries: -v/N", constant
    yield "So", sp.Eq(v_dot, sp.simplify(-N * constant))


def projected_on(change: sp.Eq, matrix: sp.Expr, relation: sp.Eq, *vocabulary: sp.Eq) -> sp.Expr:
    """An overlap of the vocabulary with the matrices ``matrix`` (k, n, m), in c_2."""
    overlap = project(change.rhs, sp.Eq(sp.Symbol("unused"), matrix))
    return sp.simplify(overlap.xreplace(permutation_sums(*vocabulary)).subs(c_1, relation.rhs))


@shown("(1 - c_2)*u")
@equation(
    "X4c",
    "Gap by the retrieval part",
    status=BEYOND,
    follows_from=(
        alignment_change,
        off_target_change,
        overlap_relation,
        overlap_with_all,
        permutation_matrices,
    ),
)
def gap_by_retrieval_part(
    Q_change: sp.Eq, S_change: sp.Eq, relation: sp.Eq, *vocabulary: sp.Eq
) -> Iterator[Step]:
    overlaps = [
        projected_on(change, MOVED, relation, *vocabulary) for change in (Q_change, S_change)
    ]
    yield "Q gains", sp.factor(overlaps[0])
    yield "S gains", sp.factor(overlaps[1])
    yield (
        "The gap sees u only; c_2 is the vocabulary's own overlap, 1/N on average",
        sp.Eq(U - U_0, sp.factor(overlaps[0] - overlaps[1])),
    )


@shown("(1 + (K - 1)*c_2 - K/N)*v")
@equation(
    "X4d",
    "Total by the heuristic",
    status=BEYOND,
    follows_from=(
        alignment_change,
        off_target_change,
        overlap_relation,
        overlap_with_all,
        permutation_matrices,
    ),
)
def total_by_heuristic(
    Q_change: sp.Eq, S_change: sp.Eq, relation: sp.Eq, *vocabulary: sp.Eq
) -> Iterator[Step]:
    overlaps = [
        projected_on(change, MOVED, relation, *vocabulary) for change in (Q_change, S_change)
    ]
    combined = overlaps[0] + (K - 1) * overlaps[1]
    yield "Q + (K - 1) S gains", sp.expand(combined)
    yield "The total sees v only", sp.Eq(V - V_0, v * sp.expand(sp.simplify(combined / v)))


# --- checks --------------------------------------------------------------------------------------


@check(logit_slopes, kind=Kind.NUMERIC, says="central differences of cross-entropy, 40 digits")
def slopes_of_cross_entropy(logit_slopes: sp.Eq) -> str:
    at = [sp.Float(value, 60) for value in ("0.3", "-1.7", "2.2", "0.9")]
    sizes = {N: len(at), T: 3, i: 5, right_state: 2}

    def loss(logits: list[sp.Expr]) -> sp.Expr:
        placed = {y: {(sizes[i], place + 1): logit for place, logit in enumerate(logits)}}
        return numbers(logit_slopes.lhs.function.expr, sizes, placed)

    explicit = (sp.log(sp.Add(*map(sp.exp, at))) - at[1]) / sizes[T]
    require(abs(loss(at) - explicit) < sp.Float(10) ** -50, "it is not cross-entropy")
    h, total = sp.Rational(1, 10**15), sp.Integer(0)
    for moved in range(4):
        ends = [
            loss([value + sign * h * int(place == moved) for place, value in enumerate(at)])
            for sign in (1, -1)
        ]
        total += (ends[0] - ends[1]) / (2 * h)
    gap = abs(sp.N(total - logit_slopes.rhs, 40))
    require(gap < sp.Float(10) ** -25, f"the slopes add up to {total}")
    return f"sum of the slopes {sp.N(gap, 1)}"


@check(
    column_sums,
    micro_solution,
    heuristic_rate,
    kind=Kind.ENUMERATION,
    says="the enumerated gradient, entry by entry, and its column sums",
)
def enumerated_gradient(column_sums: sp.Eq, micro_solution: sp.Eq, heuristic_rate: sp.Eq) -> str:
    for sizes in SMALL:
        model = small_model(*sizes)
        N0, K0 = model.N, model.K
        given = {symbol: model.order_parameters()[symbol] for symbol in (N, K, R)}
        given[g] = signal = sp.Rational(3, 7)
        rates = micro_solution.rhs.subs(given), heuristic_rate.rhs.subs(given)
        slopes = exact_slopes(model).items()
        flow = {position: signal * (right - other) for position, (right, other) in slopes}
        for k0, n0, m0 in flow:
            column = sum(flow[k0, row, m0] for row in range(N0))
            require(column == column_sums.rhs, f"column sum {column}")
            own = model.P(k0, n0, m0)
            mean = sp.Rational(sum(model.P(q, n0, m0) for q in range(K0)), K0)
            claimed = rates[0] * (own - mean) + rates[1] * (mean - sp.Rational(1, N0))
            require(claimed == flow[k0, n0, m0], f"{claimed} instead of {flow[k0, n0, m0]}")
    return "every entry at three (N, K, T), residual 0"


@check(
    gap_by_retrieval_part,
    total_by_heuristic,
    kind=Kind.ENUMERATION,
    says="Q and S of explicit matrices u (P_k - mean) + v (mean - J/N)",
)
def explicit_matrices(gap_by_retrieval_part: sp.Eq, total_by_heuristic: sp.Eq) -> str:
    weight_u, weight_v = Fraction(5, 3), Fraction(2, 7)
    for sizes in ((3, 2, 2), (4, 3, 2), (5, 4, 2)):
        model = small_model(*sizes)
        N0, K0 = model.N, model.K

        def entry(
            k0: int, n0: int, m0: int, model: SmallModel = model, N0: int = N0, K0: int = K0
        ) -> Fraction:
            mean = Fraction(sum(model.P(q, n0, m0) for q in range(K0)), K0)
            return weight_u * (model.P(k0, n0, m0) - mean) + weight_v * (mean - Fraction(1, N0))

        states = range(N0)
        W = tuple(
            tuple(tuple(entry(k0, n0, m0) for m0 in states) for n0 in states) for k0 in range(K0)
        )
        overlaps = replace(model, W=W).order_parameters()
        given = {N: N0, K: K0, c_2: vocabulary_overlaps(model)[1]}
        given |= {u: sp.Rational(weight_u), v: sp.Rational(weight_v)}
        exact = overlaps[Q] - overlaps[S], overlaps[Q] + (K0 - 1) * overlaps[S]
        for statement, expected in zip(
            (gap_by_retrieval_part, total_by_heuristic), exact, strict=True
        ):
            claimed = statement.rhs.subs(given)
            require(claimed == expected, f"{claimed} instead of {expected}")
    return "three vocabularies, residual 0"
