"""(13), (42)-(59): one gradient step on the logic matrices, and what it does to Q and S."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache

import sympy as sp

from derivations.models.enumeration import SmallModel, small_model
from derivations.models.sums import (
    contract,
    expand_sums,
    k_prime,
    m_prime,
    n_prime,
    numbers,
    over,
    rename,
    swap,
    trace_product,
)
from derivations.paper.definitions import alignment, off_target, permutation_matrices
from derivations.paper.logits import mean_correct_logit, other_logit_by_sum, sum_of_logits
from derivations.paper.loss import error_signal, mean_field_loss
from derivations.paper.overlaps import overlap_of_independent
from derivations.statement import (
    Kind,
    Status,
    Step,
    check,
    equation,
    require,
    shown,
    tested_with_torch,
)
from derivations.symbols import (
    C,
    Delta,
    K,
    L,
    N,
    P,
    Q,
    R,
    S,
    W,
    alpha,
    beta,
    eta,
    g,
    k,
    l,
    m,
    n,
    y_c,
    y_o,
)

entry = W[k, n, m]  # a representative entry of a representative logic matrix
update = sp.IndexedBase(r"\Delta W", real=True)  # update[k, n, m]: its change in one step
mean_permutation = sp.IndexedBase(r"\bar{P}", real=True)  # mean of the K permutation matrices
Q_change, S_change = sp.Symbol(r"\Delta Q", real=True), sp.Symbol(r"\Delta S", real=True)
Q_dot, S_dot = sp.Symbol(r"\dot{Q}", real=True), sp.Symbol(r"\dot{S}", real=True)
c_1, c_2 = sp.symbols("c_1 c_2", real=True)  # mean overlaps of the vocabulary (57), (58)
least_c_2 = sp.Symbol(r"\min c_2", real=True)  # the least that K permutations of N states can have

TIME_UNIT = (
    "Time is eta * epoch. The paper's unit is a reading: in units of NK eta epochs, the likeliest, "
    "the factor 1/(KN) drops out."
)
_MEAN = over(P[k, n, m], k) / K  # what mean_permutation[n, m] stands for


def slope_in_entry(quantity: sp.Expr) -> sp.Derivative:
    """d quantity / d (W_k)_{nm}, unevaluated."""
    return sp.Derivative(quantity, entry)


def derivative_in_entry(expr: sp.Expr) -> sp.Expr:
    """d expr / d (W_k)_{nm} of sums over entries of W."""
    fresh = {k: k_prime, n: n_prime, m: m_prime}
    slope = contract(sp.diff(expr, W[k_prime, n_prime, m_prime]))
    return rename(slope, {new: old for old, new in fresh.items()})


def by_chain_rule(expr: sp.Expr, *moving: sp.Symbol) -> sp.Expr:
    """d expr / d (W_k)_{nm} through the quantities ``moving``, their slopes unevaluated."""
    weight = sp.Symbol("w", real=True)
    functions = {quantity: sp.Function(quantity.name)(weight) for quantity in moving}
    total = sp.diff(expr.xreplace(functions), weight)
    slopes = {sp.diff(f, weight): slope_in_entry(quantity) for quantity, f in functions.items()}
    return total.xreplace(slopes).xreplace({f: quantity for quantity, f in functions.items()})


# --- the micro update ----------------------------------------------------------------------------


@equation("13", "Gradient step", status=Status.DEFINITION)
def gradient_step() -> Iterator[Step]:
    yield "Downhill on the mean-field loss", sp.Eq(update[k, n, m], -eta * slope_in_entry(L))


@equation("42", "Gradient step by the chain rule", follows_from=(gradient_step,))
def chain_rule(gradient_step: sp.Eq) -> Iterator[Step]:
    loss = sp.Function("L")(y_c, y_o)
    total = by_chain_rule(loss, y_c, y_o)
    yield "The mean-field loss depends on W through the two mean logits alone", total
    slope = total.xreplace({loss.diff(logit): sp.Derivative(L, logit) for logit in (y_c, y_o)})
    yield (
        "Insert",
        sp.Eq(gradient_step.lhs, gradient_step.rhs.xreplace({slope_in_entry(L): slope})),
    )


@shown("(R + (1 - R)/K)*Derivative(Q, W[k, n, m]) + (1 - R)*(1 - 1/K)*Derivative(S, W[k, n, m])")
@equation("44", "Slope of the right logit", follows_from=(mean_correct_logit,))
def right_logit_slope(mean_correct_logit: sp.Eq) -> Iterator[Step]:
    yield (
        "R does not depend on W: only Q and S contribute",
        sp.Eq(slope_in_entry(y_c), by_chain_rule(mean_correct_logit.rhs, Q, S)),
    )


@equation("46a", "Weight of the right overlap", follows_from=(right_logit_slope,))
def weight_right(right_logit_slope: sp.Eq) -> Iterator[Step]:
    weight = sp.expand(right_logit_slope.rhs).coeff(slope_in_entry(Q))
    yield "The factor of dQ in (44)", sp.Eq(alpha, R + (1 - R) * sp.factor((weight - R) / (1 - R)))


@equation(
    "46b", "Weight of each off-target overlap", follows_from=(right_logit_slope, weight_right)
)
def weight_off_target(right_logit_slope: sp.Eq, weight_right: sp.Eq) -> Iterator[Step]:
    weight = sp.expand(right_logit_slope.rhs).coeff(slope_in_entry(S))
    each = (1 - R) * sp.factor(weight / ((K - 1) * (1 - R)))
    yield "The factor of dS in (44), shared by K - 1 overlaps", each
    total = sp.simplify(weight_right.rhs + (K - 1) * each)
    require(total == 1, f"the weights add up to {total}")
    yield "The weights add up to one", sp.Eq(alpha + (K - 1) * beta, total)
    yield "Each", sp.Eq(beta, each)


@shown("alpha*Derivative(Q, W[k, n, m]) + (K - 1)*beta*Derivative(S, W[k, n, m])")
@equation(
    "45",
    "Slope of the right logit",
    follows_from=(right_logit_slope, weight_right, weight_off_target),
    note="Which of these formulas the paper numbers (45), (46), (47) and (48) is a reading.",
)
def right_logit_slope_by_weights(
    right_logit_slope: sp.Eq, weight_right: sp.Eq, weight_off_target: sp.Eq
) -> Iterator[Step]:
    short = alpha * slope_in_entry(Q) + (K - 1) * beta * slope_in_entry(S)
    weights = {alpha: weight_right.rhs, beta: weight_off_target.rhs}
    off = sp.expand(short.xreplace(weights) - right_logit_slope.rhs)
    for slope in (slope_in_entry(Q), slope_in_entry(S)):
        require(sp.simplify(off.coeff(slope)) == 0, f"the weights do not fit (44) in {slope}")
    yield "(44) with the weights (46)", sp.Eq(right_logit_slope.lhs, short)


@equation("47a", "Slope of Q", follows_from=(alignment,))
def alignment_slope(alignment: sp.Eq) -> Iterator[Step]:
    yield "Q is linear in W", sp.Eq(slope_in_entry(Q), derivative_in_entry(alignment.rhs))


@shown("(K*barP[n, m] - P[k, n, m])/(N*K*(K - 1))")
@equation("47b", "Slope of S", follows_from=(off_target,))
def off_target_slope(off_target: sp.Eq) -> Iterator[Step]:
    slope = sp.collect(derivative_in_entry(expand_sums(off_target.rhs)), P[k, n, m])
    yield "S is linear in W", slope
    in_mean = sp.factor(slope.xreplace({expand_sums(K * _MEAN): K * mean_permutation[n, m]}))
    yield "With the mean permutation matrix", sp.Eq(slope_in_entry(S), in_mean)


@shown("1/(N*K)*(R*P[k, n, m] + (1 - R)*barP[n, m])")
@equation(
    "48",
    "Slope of the right logit in W",
    follows_from=(
        right_logit_slope_by_weights,
        alignment_slope,
        off_target_slope,
        weight_right,
        weight_off_target,
    ),
)
def right_logit_slope_in_permutations(
    by_weights: sp.Eq,
    alignment_slope: sp.Eq,
    off_target_slope: sp.Eq,
    weight_right: sp.Eq,
    weight_off_target: sp.Eq,
) -> Iterator[Step]:
    inserted = by_weights.rhs.xreplace(
        {
            alignment_slope.lhs: alignment_slope.rhs,
            off_target_slope.lhs: off_target_slope.rhs,
            alpha: weight_right.rhs,
            beta: weight_off_target.rhs,
        }
    )
    yield "Insert (46), (47) into (45)", inserted
    by_matrix = sp.collect(
        sp.expand(inserted * N * K), [P[k, n, m], mean_permutation[n, m]], sp.factor
    )
    yield (
        "The right matrix with weight R, the mean matrix with the rest",
        sp.Eq(by_weights.lhs, by_matrix / (N * K)),
    )


@shown("1/(N - 1)*(1/(N*K) - Derivative(y_c, W[k, n, m]))")
@equation(
    "49",
    "Slope of the other logit",
    follows_from=(other_logit_by_sum, sum_of_logits),
    note="With the slope of C kept: dropping it, C would drift and S would grow on at R = 1.",
)
def other_logit_slope(other_logit_by_sum: sp.Eq, sum_of_logits: sp.Eq) -> Iterator[Step]:
    slope = by_chain_rule(other_logit_by_sum.rhs, C, y_c)
    yield "Differentiate (41)", slope
    in_C = derivative_in_entry(sum_of_logits.rhs)
    yield "The slope of C, by (40)", sp.Eq(slope_in_entry(C), in_C)
    yield "Insert", sp.Eq(slope_in_entry(y_o), slope.xreplace({slope_in_entry(C): in_C}))


@shown("eta*g*(Derivative(y_c, W[k, n, m]) - Derivative(y_o, W[k, n, m]))")
@equation(
    "50",
    "Update by the logits' difference",
    follows_from=(chain_rule, mean_field_loss, error_signal),
)
def update_by_difference(
    chain_rule: sp.Eq, mean_field_loss: sp.Eq, error_signal: sp.Eq
) -> Iterator[Step]:
    slope = sp.diff(mean_field_loss.rhs, Delta)
    require(sp.simplify(slope + error_signal.rhs) == 0, "the loss does not fall at the rate g")
    slopes = {sp.Derivative(L, y_c): -g, sp.Derivative(L, y_o): g}
    yield (
        "By (43) the slopes in the two logits are -g and g",
        sp.Eq(chain_rule.lhs, sp.factor(chain_rule.rhs.xreplace(slopes))),
    )


@shown("eta*g/(N - 1)*(N*Derivative(y_c, W[k, n, m]) - 1/(N*K))")
@equation("51", "Update by the right logit", follows_from=(update_by_difference, other_logit_slope))
def update_by_right_logit(update_by_difference: sp.Eq, other_logit_slope: sp.Eq) -> Iterator[Step]:
    inserted = update_by_difference.rhs.xreplace({other_logit_slope.lhs: other_logit_slope.rhs})
    rate = eta * g / (N - 1)
    yield "Insert (49)", inserted
    bracket = sp.expand(inserted / rate)
    slope = slope_in_entry(y_c)
    ordered = sp.factor(bracket.coeff(slope)) * slope + sp.factor(bracket.subs(slope, 0))
    yield "Order", sp.Eq(update_by_difference.lhs, rate * ordered)


@shown("eta*g/(K*(N - 1))*(R*P[k, n, m] + (1 - R)*barP[n, m] - 1/N)")
@equation(
    "52",
    "Update of the logic matrices",
    follows_from=(update_by_right_logit, right_logit_slope_in_permutations),
)
def logic_update(update_by_right_logit: sp.Eq, right_slope: sp.Eq) -> Iterator[Step]:
    inserted = update_by_right_logit.rhs.xreplace({right_slope.lhs: right_slope.rhs})
    rate = eta * g / (K * (N - 1))
    by_matrix = sp.collect(
        sp.expand(sp.simplify(inserted / rate)), [P[k, n, m], mean_permutation[n, m]], sp.factor
    )
    yield "Insert (48)", inserted
    yield "Towards the right matrix and the mean matrix", sp.Eq(update[k, n, m], rate * by_matrix)


# --- projected on the order parameters -----------------------------------------------------------


@equation(
    "57",
    "Mean overlap with all permutations",
    status=Status.DEFINITION,
    note="The prose leaves the normalisation open, and which of the two constants is (57) and "
    "which (58); this reading makes c_1 = 1 + (K - 1) c_2.",
)
def overlap_with_all() -> Iterator[Step]:
    yield "Averaged over all pairs", sp.Eq(c_1, over(trace_product(P, k, P, l), k, l) / (N * K))


@equation("58", "Mean overlap with the others", status=Status.DEFINITION)
def overlap_with_others() -> Iterator[Step]:
    different = (1 - sp.KroneckerDelta(k, l)) * trace_product(P, k, P, l)
    yield "Averaged over different pairs", sp.Eq(c_2, over(different, k, l) / (N * K * (K - 1)))


def permutation_sums(
    overlap_with_all: sp.Eq, permutation_matrices: sp.Eq
) -> dict[sp.Expr, sp.Expr]:
    """Sums over entries of permutation matrices: one 1 a column by (1b), pairs of them by (57)."""
    ones = contract(over(permutation_matrices.rhs, k, m, n))
    squares = contract(over(permutation_matrices.rhs**2, k, m, n))
    pairs = contract(over(trace_product(P, k, P, l), k, l))
    total = sp.Symbol("pairs")
    in_pairs = overlap_with_all.lhs - contract(overlap_with_all.rhs).xreplace({pairs: total})
    return {
        contract(over(P[k, m, n], k, m, n)): ones,
        contract(over(P[k, m, n] ** 2, k, m, n)): squares,
        pairs: sp.solve(in_pairs, total)[0],
    }


@shown("1 + (K - 1)*c_2")
@equation(
    "58b",
    "The two mean overlaps",
    follows_from=(overlap_with_all, overlap_with_others, permutation_matrices),
)
def overlap_relation(
    overlap_with_all: sp.Eq, overlap_with_others: sp.Eq, permutation_matrices: sp.Eq
) -> Iterator[Step]:
    split = contract(overlap_with_others.rhs)
    yield "All pairs less the equal ones", split
    inserted = split.xreplace(permutation_sums(overlap_with_all, permutation_matrices))
    yield "A permutation matrix overlaps with itself N times", sp.Eq(c_2, sp.factor(inserted))
    solved = sp.solve(sp.Eq(c_2, inserted), c_1)[0]
    yield "Solve", sp.Eq(c_1, 1 + sp.factor(solved - 1))


@shown("(K/N - 1)/(K - 1)")
@equation(
    "58d",
    "Least mean overlap",
    status=Status.BEYOND,
    follows_from=(overlap_with_all, overlap_relation),
    note="Reached where the K permutations take every state to every other equally often.",
)
def least_overlap(overlap_with_all: sp.Eq, overlap_relation: sp.Eq) -> Iterator[Step]:
    count = sp.Symbol("k_{nm}", nonnegative=True)  # permutations that take m to n
    pairs = over(P[k, m, n] * P[l, m, n], k, l, m, n)
    per_square = contract(overlap_with_all.rhs) / contract(pairs)
    yield (
        "The sum over pairs adds up squares of how many permutations take m to n",
        sp.Eq(c_1, per_square * sp.Sum(count**2, (m, 1, N), (n, 1, N))),
    )
    even = K * N / N**2
    yield "These are K N in all, so their squares are least when all are equal, to", even
    least = per_square * N**2 * even**2
    yield "Then c_1 is", least
    (solved,) = sp.solve(overlap_relation.rhs - least, c_2)
    yield "By (58b)", sp.Eq(least_c_2, sp.factor(solved))


@equation(
    "58c",
    "Overlap of the vocabulary at its mean",
    status=Status.CLOSURE,
    follows_from=(overlap_of_independent,),
    note="The average over vocabularies: <g c_2> is replaced by <g> <c_2>. The c_2 of one "
    "vocabulary is off its mean by a fraction sqrt(2/(K(K - 1))), 7 % at N = K = 20.",
)
def overlap_at_mean(overlap_of_independent: sp.Eq) -> Iterator[Step]:
    yield (
        "Every vocabulary has its own c_2: put the mean overlap for it",
        sp.Eq(c_2, overlap_of_independent.rhs / N),
    )


def change_of(overlap: sp.Eq) -> sp.Expr:
    """What an overlap with the fixed permutations gains when W becomes W plus the update."""
    by_update = swap(overlap.rhs, W, update)
    stepped = overlap.rhs.replace(
        lambda e: isinstance(e, sp.Indexed) and e.base == W, lambda e: e + update[e.indices]
    )
    gained = contract(stepped) - contract(overlap.rhs)
    require(sp.expand(gained - contract(by_update)) == 0, "the overlap is not linear in W")
    return by_update


@equation("53", "Change of Q", follows_from=(alignment,))
def alignment_change(alignment: sp.Eq) -> Iterator[Step]:
    yield "Q is linear in W and the teacher is fixed", sp.Eq(Q_change, change_of(alignment))


@shown("eta*g/(K*(N - 1))*(R + (1 - R)*c_1/K - 1/N)")
@equation(
    "54",
    "Change of Q by overlaps",
    follows_from=(alignment_change, logic_update, overlap_with_all, permutation_matrices),
)
def alignment_change_by_overlaps(
    alignment_change: sp.Eq, logic_update: sp.Eq, *vocabulary: sp.Eq
) -> Iterator[Step]:
    projected = project(alignment_change.rhs, logic_update)
    yield "Insert the update (52)", sp.factor(projected)
    inserted = projected.xreplace(permutation_sums(*vocabulary))
    yield "Overlaps of permutation matrices by (57)", sp.Eq(Q_change, tidy_rate(inserted))


@equation("55", "Change of S", follows_from=(off_target,))
def off_target_change(off_target: sp.Eq) -> Iterator[Step]:
    yield "S is linear in W too", sp.Eq(S_change, change_of(off_target))


@shown("eta*g/(K*(N - 1))*(R*c_2 + (1 - R)*c_1/K - 1/N)")
@equation(
    "56",
    "Change of S by overlaps",
    follows_from=(
        off_target_change,
        logic_update,
        overlap_relation,
        overlap_with_all,
        permutation_matrices,
    ),
)
def off_target_change_by_overlaps(
    off_target_change: sp.Eq, logic_update: sp.Eq, overlap_relation: sp.Eq, *vocabulary: sp.Eq
) -> Iterator[Step]:
    projected = project(off_target_change.rhs, logic_update)
    yield "Insert the update (52)", sp.factor(projected)
    inserted = sp.factor(projected.xreplace(permutation_sums(*vocabulary)))
    yield "Overlaps of permutation matrices by (57)", inserted
    bracket = sp.expand(sp.simplify(inserted / (eta * g / (K * (N - 1)))))
    off_target_part = sp.factor(bracket.coeff(R) + c_1 / K)
    yield "Beside the share (1 - R) c_1/K of the mean matrix, R comes with", off_target_part
    in_c_2 = sp.simplify(off_target_part.subs(c_1, overlap_relation.rhs))
    rest = sp.simplify(bracket.subs(R, 0) - c_1 / K)
    ordered = R * in_c_2 + (1 - R) * c_1 / K + rest
    yield "which is c_2 by (58)", sp.Eq(S_change, eta * g / (K * (N - 1)) * ordered)


def project(change: sp.Expr, logic_update: sp.Eq) -> sp.Expr:
    """Insert the update (52) into a sum over its entries, with the mean matrix written out."""
    written_out = logic_update.rhs.xreplace({mean_permutation[n, m]: _MEAN})
    return contract(
        change.replace(
            lambda e: isinstance(e, sp.Indexed) and e.base == update,
            lambda e: rename(written_out, dict(zip((k, n, m), e.indices, strict=True))),
        )
    )


def tidy_rate(change: sp.Expr) -> sp.Expr:
    """Pull the common rate eta g / (K (N - 1)) to the front."""
    rate = eta * g / (K * (N - 1))
    return rate * sp.collect(sp.expand(sp.simplify(change / rate)), c_1 / K)


# --- averaged over vocabularies ------------------------------------------------------------------


@shown("g/(N*K)*alpha")
@equation(
    "59a",
    "Growth of Q",
    follows_from=(
        alignment_change_by_overlaps,
        overlap_relation,
        overlap_at_mean,
        weight_right,
    ),
    note=TIME_UNIT,
)
def alignment_growth(
    change: sp.Eq, overlap_relation: sp.Eq, overlap_at_mean: sp.Eq, weight_right: sp.Eq
) -> Iterator[Step]:
    yield from growth(change, overlap_relation, overlap_at_mean, Q_dot, weight_right)


@shown("g/(N*K)*beta")
@equation(
    "59b",
    "Growth of S",
    follows_from=(
        off_target_change_by_overlaps,
        overlap_relation,
        overlap_at_mean,
        weight_off_target,
    ),
    note=TIME_UNIT,
)
def off_target_growth(
    change: sp.Eq, overlap_relation: sp.Eq, overlap_at_mean: sp.Eq, weight_off_target: sp.Eq
) -> Iterator[Step]:
    yield from growth(change, overlap_relation, overlap_at_mean, S_dot, weight_off_target)


def growth(
    change: sp.Eq,
    overlap_relation: sp.Eq,
    overlap_at_mean: sp.Eq,
    rate: sp.Symbol,
    weight: sp.Eq,
) -> Iterator[Step]:
    """The change at the mean overlap, divided by the time step eta."""
    in_c_2 = change.rhs.subs(c_1, overlap_relation.rhs)
    yield "Eliminate c_1 by (58)", in_c_2
    averaged = sp.factor(in_c_2.subs(c_2, overlap_at_mean.rhs))
    yield "Two independent permutations overlap once on average: c_2 becomes 1/N", averaged
    short = g * weight.lhs / (K * N)
    require(
        sp.simplify(averaged / eta - short.subs(weight.lhs, weight.rhs)) == 0,
        f"the growth of {change.lhs} is not g {weight.lhs}/(KN)",
    )
    yield (
        "Exact at finite N and K: the corrections cancel; one step takes the time eta",
        sp.Eq(rate, short),
    )


# --- checks: mean logits of the small model, differentiated by moving one entry of W -------------


SMALL = ((2, 2, 2), (3, 2, 2), (3, 3, 2))  # (N, K, T)
VOCABULARIES = ((3, 2, 2), (2, 3, 2))  # few enough permutations to go through every vocabulary


def moved(model: SmallModel, position: tuple[int, int, int], by: Fraction) -> SmallModel:
    """The same model with ``by`` added to one entry (k, n, m) of W."""
    k0, n0, m0 = position
    W_moved = tuple(
        tuple(
            tuple(value + by * ((a, b, c) == (k0, n0, m0)) for c, value in enumerate(row))
            for b, row in enumerate(matrix)
        )
        for a, matrix in enumerate(model.W)
    )
    return replace(model, W=W_moved)


@cache
def mean_logits(model: SmallModel) -> tuple[sp.Rational, sp.Rational]:
    """y_c and y_o of the small model, averaged over all words and positions."""
    steps = range(model.T)
    right = sum((model.mean_correct_logit(step) for step in steps), Fraction(0)) / model.T
    other = sum((model.mean_other_logit(step) for step in steps), Fraction(0)) / model.T
    return sp.Rational(right), sp.Rational(other)


@cache
def exact_slopes(model: SmallModel) -> dict[tuple[int, int, int], tuple[sp.Expr, sp.Expr]]:
    """(dy_c, dy_o) / d(W_k)_{nm} of every entry: exact differences, the logits are linear in W."""
    here = mean_logits(model)
    entries = itertools.product(range(model.K), range(model.N), range(model.N))
    return {
        position: tuple(
            after - before
            for before, after in zip(
                here, mean_logits(moved(model, position, Fraction(1))), strict=True
            )
        )
        for position in entries
    }


def vocabulary_overlaps(model: SmallModel) -> tuple[sp.Rational, sp.Rational]:
    """c_1 and c_2 of the model's permutations, counted."""
    pairs = [
        sum(a == b for a, b in zip(p, q, strict=True))
        for p, q in itertools.product(model.permutations, repeat=2)
    ]
    N0, K0 = model.N, model.K
    return sp.Rational(sum(pairs), N0 * K0), sp.Rational(sum(pairs) - N0 * K0, N0 * K0 * (K0 - 1))


@check(
    right_logit_slope,
    right_logit_slope_by_weights,
    weight_right,
    weight_off_target,
    alignment_slope,
    off_target_slope,
    right_logit_slope_in_permutations,
    other_logit_slope,
    kind=Kind.ENUMERATION,
    says="the mean logits over all K^T N words and Q, S, C move so when one entry of W does",
)
def slopes_by_moving_entries(
    slope: sp.Eq,
    slope_by_weights: sp.Eq,
    weight_right: sp.Eq,
    weight_off_target: sp.Eq,
    alignment_slope: sp.Eq,
    off_target_slope: sp.Eq,
    in_permutations: sp.Eq,
    other_slope: sp.Eq,
) -> str:
    count = 0
    for sizes in SMALL:
        model = small_model(*sizes)
        before = model.order_parameters()
        sizes_and_R = {symbol: before[symbol] for symbol in (N, K, R)}
        weights = {
            weight.lhs: weight.rhs.subs(sizes_and_R) for weight in (weight_right, weight_off_target)
        }
        for position, (right, other) in exact_slopes(model).items():
            after = moved(model, position, Fraction(1)).order_parameters()
            moves = {slope_in_entry(o): after[o] - before[o] for o in (Q, S)}
            at = dict(zip((k, n, m), (index + 1 for index in position), strict=True))
            given = {**moves, slope_in_entry(y_c): right, mean_permutation[n, m]: _MEAN}
            exact = {
                slope: right,
                slope_by_weights: right,
                in_permutations: right,
                other_slope: other,
                alignment_slope: moves[slope_in_entry(Q)],
                off_target_slope: moves[slope_in_entry(S)],
            }
            for statement, expected in exact.items():
                filled = statement.rhs.xreplace(given).subs(weights).subs(at)
                claimed = numbers(filled, sizes_and_R, model.arrays())
                require(claimed == expected, f"{statement.lhs}: {claimed} instead of {expected}")
                count += 1
    return f"{count} slopes at three (N, K, T), residual 0"


@check(
    chain_rule,
    update_by_difference,
    update_by_right_logit,
    logic_update,
    kind=Kind.NUMERIC,
    says="gradient of the explicit cross-entropy at the enumerated mean logits, 30 digits",
)
def update_of_explicit_loss(*statements: sp.Eq) -> str:
    worst, rate = sp.Float(0), sp.Rational(1, 7)
    for sizes in SMALL:
        model = small_model(*sizes)
        before = model.order_parameters()
        right, other = mean_logits(model)
        wrong = 1 - sp.exp(right) / (sp.exp(right) + (model.N - 1) * sp.exp(other))
        slopes = exact_slopes(model)
        for position in list(slopes)[:: max(1, len(slopes) // 4)]:
            by_right, by_other = slopes[position]
            descent = -rate * (-wrong * by_right + wrong * by_other)
            at = dict(zip((k, n, m), (index + 1 for index in position), strict=True))
            given = {
                slope_in_entry(y_c): by_right,
                slope_in_entry(y_o): by_other,
                sp.Derivative(L, y_c): -wrong,
                sp.Derivative(L, y_o): wrong,
                mean_permutation[n, m]: _MEAN,
            }
            sizes_and_R = {symbol: before[symbol] for symbol in (N, K, R)} | {g: wrong, eta: rate}
            for statement in statements:
                filled = statement.rhs.xreplace(given).subs(at)
                gap = sp.N(numbers(filled, sizes_and_R, model.arrays()) - descent, 30)
                worst = max(worst, abs(gap))
    require(worst < sp.Float(10) ** -25, f"deviation {worst}")
    return f"largest deviation {sp.N(worst, 1)}"


@check(
    overlap_with_all,
    overlap_with_others,
    overlap_relation,
    alignment_change,
    off_target_change,
    alignment_change_by_overlaps,
    off_target_change_by_overlaps,
    kind=Kind.ENUMERATION,
    says="Q and S of the updated matrices, every entry moved along the enumerated gradient",
)
def changes_by_enumeration(
    all_overlaps: sp.Eq,
    other_overlaps: sp.Eq,
    relation: sp.Eq,
    alignment_change: sp.Eq,
    off_target_change: sp.Eq,
    by_overlaps_Q: sp.Eq,
    by_overlaps_S: sp.Eq,
) -> str:
    signal, rate = Fraction(3, 7), Fraction(1, 5)
    for sizes in SMALL:
        model = small_model(*sizes)
        steps = {
            position: rate * signal * Fraction(str(right - other))
            for position, (right, other) in exact_slopes(model).items()
        }
        stepped = model
        for position, step in steps.items():
            stepped = moved(stepped, position, step)
        before, after = model.order_parameters(), stepped.order_parameters()
        first, second = vocabulary_overlaps(model)
        arrays = model.arrays() | {
            update: {tuple(q + 1 for q in key): sp.Rational(step) for key, step in steps.items()}
        }
        given = {symbol: before[symbol] for symbol in (N, K, R)}
        given |= {g: sp.Rational(signal), eta: sp.Rational(rate), c_1: first, c_2: second}
        exact = {
            all_overlaps: first,
            other_overlaps: second,
            relation: first,
            alignment_change: after[Q] - before[Q],
            by_overlaps_Q: after[Q] - before[Q],
            off_target_change: after[S] - before[S],
            by_overlaps_S: after[S] - before[S],
        }
        for statement, expected in exact.items():
            claimed = numbers(statement.rhs, given, arrays)
            require(claimed == expected, f"{statement.lhs}: {claimed} instead of {expected}")
    return "three (N, K, T), residual 0"


@check(
    least_overlap,
    kind=Kind.ENUMERATION,
    says="every vocabulary of K permutations: never below, reached where N divides K",
)
def least_over_vocabularies(least_overlap: sp.Eq) -> str:
    for N0, K0 in ((2, 2), (2, 3), (2, 4), (3, 2), (3, 3), (3, 4), (3, 6)):
        listed = list(itertools.permutations(range(N0)))
        found = min(
            Fraction(sum(sum(map(int.__eq__, *pair)) for pair in pairs), N0 * len(pairs))
            for words in itertools.combinations_with_replacement(listed, K0)
            for pairs in [list(itertools.combinations(words, 2))]
        )
        claimed = least_overlap.rhs.subs({N: N0, K: K0})
        require(claimed <= found, f"{found} is below {claimed} at N = {N0}, K = {K0}")
        require(K0 % N0 > 0 or claimed == found, f"not reached at N = {N0}, K = {K0}")
    return "N = 2, 3, K = 2..6, residual 0"


@check(
    alignment_growth,
    off_target_growth,
    kind=Kind.ENUMERATION,
    says="the change of Q and S averaged over every vocabulary of K permutations",
)
def growth_over_vocabularies(alignment_growth: sp.Eq, off_target_growth: sp.Eq) -> str:
    for sizes in VOCABULARIES:
        changes, given = changes_over_vocabularies(*sizes)
        for statement, overlap in ((alignment_growth, Q), (off_target_growth, S)):
            claimed = given[eta] * statement.rhs.subs(given)
            require(claimed == changes[overlap], f"{claimed} instead of {changes[overlap]}")
    return "36 + 8 vocabularies, residual 0"


@cache
def changes_over_vocabularies(
    N0: int, K0: int, T0: int
) -> tuple[dict[sp.Symbol, sp.Expr], dict[sp.Symbol, sp.Expr]]:
    """Mean change of Q and S in one step over every vocabulary, and the parameters of the step."""
    signal, rate = Fraction(3, 7), Fraction(1, 5)
    changes = {Q: sp.Integer(0), S: sp.Integer(0)}
    vocabularies = every_vocabulary(N0, K0)
    for vocabulary in vocabularies:
        model = replace(small_model(N0, K0, T0), permutations=vocabulary)
        before = model.order_parameters()
        stepped = model
        for position, (right, other) in exact_slopes(model).items():
            stepped = moved(stepped, position, rate * signal * Fraction(str(right - other)))
        after = stepped.order_parameters()
        for overlap in changes:
            changes[overlap] += (after[overlap] - before[overlap]) / len(vocabularies)
    retrieval = before[R]
    given = {N: N0, K: K0, g: sp.Rational(signal), eta: sp.Rational(rate)}
    given |= {alpha: retrieval + (1 - retrieval) / K0, beta: (1 - retrieval) / K0}
    return changes, given


def every_vocabulary(N0: int, K0: int) -> list[tuple[tuple[int, ...], ...]]:
    """Every vocabulary of K permutations of N states, repeats allowed."""
    return list(itertools.product(itertools.permutations(range(N0)), repeat=K0))


@check(
    overlap_at_mean,
    kind=Kind.ENUMERATION,
    says="c_2 of every vocabulary: its mean, and its spread by the note's formula",
)
def overlap_of_every_vocabulary(overlap_at_mean: sp.Eq) -> str:
    for N0, K0 in ((2, 3), (3, 2), (3, 3), (4, 2)):
        model = small_model(N0, K0, 2)
        overlaps = [
            vocabulary_overlaps(replace(model, permutations=vocabulary))[1]
            for vocabulary in every_vocabulary(N0, K0)
        ]
        mean = sum(overlaps) / len(overlaps)
        require(overlap_at_mean.rhs.subs(N, N0) == mean, f"c_2 is {mean} on average")
        spread = sum((overlap / mean - 1) ** 2 for overlap in overlaps) / len(overlaps)
        require(spread == sp.Rational(2, K0 * (K0 - 1)), f"relative variance {spread}")
    return f"four (N, K), residual 0; {(2 / (20 * 19)) ** 0.5:.1%} at K = 20"


_TORCH = "tests/derivations/test_logic_autograd.py"
update_by_autograd = tested_with_torch(
    right_logit_slope_in_permutations,
    other_logit_slope,
    logic_update,
    says="gradient of the mean-field loss over random W, P, A at N = 7, K = 4, T = 5",
    test=f"{_TORCH}::test_logic_update",
)
changes_by_autograd = tested_with_torch(
    alignment_change_by_overlaps,
    off_target_change_by_overlaps,
    says="Q and S of matrices moved along that gradient",
    test=f"{_TORCH}::test_overlap_changes",
)
