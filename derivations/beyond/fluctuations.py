"""X8: what the mean-field loss leaves out: the loss to second order in the logits' fluctuations.

The logits of one prediction differ from their means, as the other actions of the sequence send the
current state here or there and W starts at random. The mean of cross-entropy is then the loss of
the mean logits and half their covariance, weighed by the curvature of log-sum-exp; the covariance
is that of the matrices along the flow (X6). Q and S fall down the slope of this loss instead.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

import sympy as sp

from derivations.beyond.matrices import (
    column_sums,
    heuristic_rate,
    micro_solution,
    u,
    u_dot,
    v,
    v_dot,
)
from derivations.beyond.solution import margin_by_gap
from derivations.beyond.variances import (
    DEVIATION,
    STRENGTHS,
    W_0,
    Row,
    attention_row,
    current,
    head,
    logit_along_flow,
    row_values,
    sigma_W2,
    spread,
    variance,
)
from derivations.models.enumeration import SmallModel, small_model
from derivations.models.rotary_head import STEP, Head, Real, entries, exact, mp, random_heads
from derivations.models.sums import contract, expand_sums, numbers, over
from derivations.paper.attention import (
    ENTRIES,
    R_dot,
    attention_gradient,
    close,
    key,
    query,
    weight,
    weight_flow,
)
from derivations.paper.definitions import (
    expectation,
    logsumexp,
    permutation_matrices,
    training_loss,
    y_right,
)
from derivations.paper.dynamics import U, V
from derivations.paper.logic import SMALL, alignment_slope, mean_permutation, off_target_slope
from derivations.paper.loss import error_signal, mean_field_loss
from derivations.paper.rollout import sigma_c, sigma_o
from derivations.statement import Kind, Status, Step, check, equation, require, shown
from derivations.symbols import (
    Delta,
    F,
    G,
    K,
    L,
    N,
    P,
    Q,
    R,
    S,
    T,
    g,
    i,
    k,
    m,
    n,
    r,
    y_c,
    y_o,
    z,
)

BEYOND = Status.BEYOND

epsilon = sp.Symbol("epsilon", real=True)  # switches the fluctuations on
delta_c = sp.Symbol(r"\delta_c", real=True)  # fluctuation of the right logit about its mean
delta = sp.IndexedBase(r"\delta", real=True)  # delta[n]: of the other logits, n = 1..N-1
trained = sp.IndexedBase(r"\tau", real=True)  # trained[n]: what training has added to logit n
trained_c = sp.Symbol(r"\tau_c", real=True)  # fluctuation of that in the right logit
start_c = sp.Symbol(r"\nu_c", real=True)  # fluctuation of the right logit from W(0)
w_0 = sp.Symbol("w_0", nonnegative=True)  # variance of any logit from W(0)
curvature = sp.Symbol("c", real=True)  # second derivative of a loss in epsilon
L_2 = sp.Symbol("L_2", real=True)  # the loss to second order in the fluctuations
W_dot = sp.IndexedBase(r"\dot{W}", real=True)
others = (n, 1, N - 1)


# --- the loss ------------------------------------------------------------------------------------


@shown(
    "(1 - g)*delta_c**2 + g/(N - 1)*Sum(delta[m]**2, (m, 1, N - 1)) - ((1 - g)*delta_c "
    "+ g/(N - 1)*Sum(delta[m], (m, 1, N - 1)))**2"
)
@equation(
    "X8a",
    "Curvature of cross-entropy",
    status=BEYOND,
    follows_from=(training_loss, mean_field_loss, error_signal),
)
def loss_curvature(
    training_loss: sp.Eq, mean_field_loss: sp.Eq, error_signal: sp.Eq
) -> Iterator[Step]:
    (average,) = training_loss.rhs.atoms(expectation)
    right, log_Z, one = y_c + epsilon * delta_c, sp.Function("F")(epsilon), sp.Symbol("one")
    alike = contract(training_loss.rhs.xreplace({average: one}))
    yield "The T predictions have the same curvature: their mean is that of one", alike
    in_one = average.args[0].subs({logsumexp: log_Z, y_right(i): right})
    fluctuating = alike.subs(one, in_one)
    partition = sp.exp(right) + sp.Sum(sp.exp(y_o + epsilon * delta[n]), others)
    yield "Its logits off their means", fluctuating.subs(log_Z, sp.log(partition))
    Z = expand_sums(partition.subs(epsilon, 0))
    at_means = fluctuating.subs(log_Z, sp.log(Z)).subs(epsilon, 0)
    plain = mean_field_loss.rhs.subs(Delta, y_c - y_o)
    require(sp.simplify(sp.exp(at_means) - sp.exp(plain)) == 0, "without them it is not (10)")
    yield "Without fluctuations it is (10)", sp.Eq(L, plain)
    first, second = (
        expand_sums(sp.diff(partition, epsilon, order).subs(epsilon, 0)) for order in (1, 2)
    )
    bent = sp.diff(fluctuating, epsilon, 2)
    in_logits = bent.subs(sp.diff(log_Z, epsilon, 2), second / Z - (first / Z) ** 2)
    require(not in_logits.has(epsilon), "more than log Z is bent")
    yield "The second derivative of log Z is Z''/Z - (Z'/Z)^2", sp.Eq(curvature, in_logits)
    wrong = error_signal.rhs.subs(Delta, y_c - y_o)
    weights = {sp.exp(y_c): 1 - g, sp.exp(y_o): g / (N - 1)}
    for exponential, share in weights.items():
        gap = sp.simplify(exponential / Z - share.subs(g, wrong))
        require(gap == 0, f"{share} is not the softmax weight {exponential}/Z")
    in_g = second.subs(weights) - first.subs(weights) ** 2
    yield (
        "The softmax weights are 1 - g and g/(N - 1)",
        sp.Eq(curvature, bent.subs(sp.diff(log_Z, epsilon, 2), in_g)),
    )


@equation(
    "X8b",
    "What training adds to the logits cancels",
    status=BEYOND,
    follows_from=(logit_along_flow, permutation_matrices),
)
def trained_parts_cancel(logit_along_flow: sp.Eq, permutation_matrices: sp.Eq) -> Iterator[Step]:
    by_start = over(z[i, k] * W_0[k, n, current], k)
    added = logit_along_flow.rhs - by_start
    require(not added.has(W_0), "(X6h) holds W(0) in another place")
    yield "Logit n but for W(0)", sp.Eq(trained[n], added)
    total = contract(over(added, n))
    matrix = permutation_matrices.rhs.subs(m, current)
    column = contract(over(matrix, n))
    ones = {
        contract(over(P[k, n, current] * share, k, n)): contract(over(matrix * share, k, n))
        for share in (z[i, k], sp.S.One)
    }
    yield (
        "A permutation matrix has one 1 in each column, by (1b)",
        sp.Eq(over(P[k, n, current], n), column, evaluate=False),
    )
    in_heads = total.xreplace(ones)
    yield "Sum over the states", in_heads
    yield (
        "The head output adds up to one",
        sp.Eq(over(trained[n], n), sp.simplify(in_heads.xreplace({contract(over(z[i, k], k)): 1}))),
    )


@shown("sigma_W2*(1/K + (1 - 1/K)*(R**2 + I_2))")
@equation("X8c", "Variance from W(0)", status=BEYOND, follows_from=(variance,))
def variance_from_start(variance: sp.Eq) -> Iterator[Step]:
    untrained = variance.rhs.subs({u: 0, v: 0})
    yield "Of any logit, right or not: (X6i) before training", sp.Eq(w_0, untrained)


@shown(
    "log(1 + (N - 1)*exp(-Delta)) + g*(N**2*(1 - g) - 1)/(2*(N - 1)**2)*sigma_c**2 "
    "+ g/2*sigma_o**2 - g*(2*(N - 1) - N*g)/(2*(N - 1)**2)*w_0"
)
@equation(
    "X8d",
    "Loss to second order in the fluctuations",
    status=BEYOND,
    follows_from=(loss_curvature, trained_parts_cancel, mean_field_loss),
    note="The fluctuations from W(0) are independent of all else and have the same variance w_0.",
)
def second_order_loss(
    loss_curvature: sp.Eq, trained_parts_cancel: sp.Eq, mean_field_loss: sp.Eq
) -> Iterator[Step]:
    of_others, squares = sp.Sum(delta[m], (m, 1, N - 1)), sp.Sum(delta[m] ** 2, (m, 1, N - 1))
    mean_fluctuation = sp.Symbol("m_delta")
    curve = loss_curvature.rhs
    weighted = (1 - g) * delta_c + g / (N - 1) * of_others
    apart = sp.expand(curve + weighted**2)
    require(not apart.has(of_others), "(X8a) is not squares less one squared mean")
    yield "Squares, less the square of the softmax mean", sp.Eq(mean_fluctuation, weighted)
    by_start = sp.Symbol("sum_nu", real=True)  # the sum of start[n] over the others
    cancelled = trained_parts_cancel.rhs - trained_c  # of the trained parts of the others
    split = weighted.xreplace({of_others: cancelled + by_start}).subs(delta_c, trained_c + start_c)
    ordered = sp.collect(sp.expand(split), [trained_c, start_c, by_start], sp.factor)
    at_means = ordered.subs({trained_c: 0, start_c: 0, by_start: 0})
    require(at_means == 0, f"without fluctuations the softmax mean is off by {at_means}")
    yield "The trained parts of the others are minus that of the right one", ordered
    variances = {
        trained_c: sigma_c**2 - w_0,  # what of the variance is not from W(0)
        start_c: w_0,
        by_start: (N - 1) * w_0,  # N - 1 independent ones
    }
    of_mean = sp.Add(*(ordered.coeff(part) ** 2 * var for part, var in variances.items()))
    yield "Its variance: three independent parts", of_mean
    of_squares = apart.xreplace({squares: (N - 1) * sigma_o**2}).subs(delta_c, sigma_c)
    yield "The squares have the variances of the right logit and of any other", of_squares
    whole = sp.expand(of_squares - of_mean)
    parts = [sp.factor(whole.coeff(var)) * var for var in (sigma_c**2, sigma_o**2, w_0)]
    require(sp.simplify(whole - sp.Add(*parts)) == 0, "something beside the three variances")
    yield (
        "Half the mean curvature is what fluctuations add to (10)",
        sp.Eq(L_2, mean_field_loss.rhs + sp.Add(*parts) / 2),
    )


# --- the flow ------------------------------------------------------------------------------------


@shown(
    "-1/(N*K)*(P[k, n, m] - 1/N)*Derivative(L, Q) - 1/(N*K*(K - 1))*(K*(barP[n, m] - 1/N) "
    "- (P[k, n, m] - 1/N))*Derivative(L, S)"
)
@equation(
    "X8e",
    "Logic matrices under any loss of R, Q, S",
    status=BEYOND,
    follows_from=(alignment_slope, off_target_slope, column_sums),
)
def matrix_flow(
    alignment_slope: sp.Eq, off_target_slope: sp.Eq, column_sums: sp.Eq
) -> Iterator[Step]:
    by_Q, by_S, constant = sp.Derivative(L, Q), sp.Derivative(L, S), sp.Symbol("constant")
    downhill = -(by_Q * alignment_slope.rhs + by_S * off_target_slope.rhs)
    yield "Downhill, by the chain rule", downhill
    own, mean = P[k, n, m], mean_permutation[n, m]
    weights = [sp.expand(downhill).coeff(matrix) for matrix in (own, mean)]
    column = weights[0] + weights[1] + N * constant
    yield "C adds a constant to every entry, and a column must add up as in (X0)", column
    centre = (column_sums.rhs - weights[0] - weights[1]) / N
    yield "So the constant is", centre
    whole = sp.expand(downhill + centre)
    by_slope = sp.Add(*(sp.factor(whole.coeff(slope)) * slope for slope in (by_Q, by_S)))
    beside = whole.subs({by_Q: 0, by_S: 0})
    yield "In all", sp.Eq(W_dot[k, n, m], by_slope + beside)


def by_gap_and_total(expr: sp.Expr) -> sp.Expr:
    """Slopes in Q and S by those in U = Q - S and V = Q + (K - 1) S."""
    chain = {
        sp.Derivative(L, overlap): sp.Add(
            *(
                sp.Derivative(L, letter) * sp.diff(combined, overlap)
                for letter, combined in ((U, Q - S), (V, Q + (K - 1) * S))
            )
        )
        for overlap in (Q, S)
    }
    return expr.xreplace(chain)


@shown("-1/(N*(K - 1))*Derivative(L, U)")
@equation("X8f", "Retrieval part under any loss", status=BEYOND, follows_from=(matrix_flow,))
def retrieval_part_flow(matrix_flow: sp.Eq) -> Iterator[Step]:
    in_gap = sp.expand(by_gap_and_total(matrix_flow.rhs))
    yield "In the slopes by U and V", in_gap
    own = sp.factor(in_gap.coeff(P[k, n, m]))
    yield "u is the weight of P_k: the total does not move it", sp.Eq(u_dot, own)


@shown("-1/N*Derivative(L, V)")
@equation(
    "X8g",
    "Heuristic under any loss",
    status=BEYOND,
    follows_from=(matrix_flow, retrieval_part_flow),
)
def heuristic_flow(matrix_flow: sp.Eq, retrieval_part_flow: sp.Eq) -> Iterator[Step]:
    in_gap = sp.expand(by_gap_and_total(matrix_flow.rhs))
    mean = sp.factor(in_gap.coeff(mean_permutation[n, m]))
    yield "The mean matrix has the weight v - u", sp.Eq(v_dot - u_dot, mean)
    yield "So", sp.Eq(v_dot, sp.factor(mean + retrieval_part_flow.rhs))


@equation(
    "X8h",
    "R under any loss",
    status=BEYOND,
    follows_from=(weight_flow, attention_gradient),
    note="Any loss that sees the attention through R alone.",
)
def retrieval_under_any_loss(weight_flow: sp.Eq, attention_gradient: sp.Eq) -> Iterator[Step]:
    by_weight = sp.Derivative(R, weight) * weight_flow.rhs
    yield "One weight moves R by its own slope times its velocity", by_weight
    both = sp.Add(*(by_weight.subs(weight, vector[r]) for vector in (query, key)))
    total = sp.Sum(sp.factor(both / F), ENTRIES)
    require(total == attention_gradient.rhs, "the squares do not add up to (63)")
    yield "Sum over the queries and the keys", F * total
    yield "The squares are G", sp.Eq(R_dot, F * G)


# --- checks --------------------------------------------------------------------------------------


@check(loss_curvature, kind=Kind.NUMERIC, says="second differences of log-sum-exp, 40 digits")
def curvature_by_differences(loss_curvature: sp.Eq) -> str:
    rng, worst = random.Random(8), mp.mpf(0)
    for size in (2, 3, 6):
        margin = mp.mpf(rng.uniform(-2, 2))
        deltas = [mp.mpf(rng.uniform(-1, 1)) for _ in range(size)]  # the right logit's first

        def loss(at: Real, margin: Real = margin, deltas: list = deltas) -> Real:
            logits = [margin + at * deltas[0], *(at * each for each in deltas[1:])]
            return mp.log(sum(mp.exp(each) for each in logits)) - logits[0]

        ends = loss(STEP) - 2 * loss(mp.mpf(0)) + loss(-STEP)
        given = {N: size, g: exact(1 - mp.exp(-loss(mp.mpf(0)))), delta_c: exact(deltas[0])}
        arrays = {delta: entries(tuple(deltas[1:]), first=1)}
        claimed = numbers(loss_curvature.rhs, given, arrays)
        worst = max(worst, close(claimed, ends / STEP**2, "curvature"))
    return f"largest deviation {sp.N(worst, 1)}"


def weighted_sum(weights: Iterable[Fraction], values: Iterable[Fraction]) -> Fraction:
    """Sum of products."""
    return sum((x * y for x, y in zip(weights, values, strict=True)), Fraction(0))


def trained_logits(
    sizes: tuple[int, int, int], row: Row
) -> Iterator[tuple[int, list[Fraction], list[Fraction]]]:
    """The right state, z and what training adds to the logits on state 0: actions, vocabularies."""
    N_value, K_value, T_value = sizes
    vocabularies = list(itertools.product(itertools.permutations(range(N_value)), repeat=K_value))
    for actions in itertools.product(range(K_value), repeat=T_value):
        z_value = head(row, actions, K_value)
        for vocabulary in vocabularies:
            images = [sigma[0] for sigma in vocabulary]
            added = []
            for state in range(N_value):
                mean = Fraction(images.count(state), K_value)
                entries_at_0 = (
                    STRENGTHS[u] * ((image == state) - mean)
                    + STRENGTHS[v] * (mean - Fraction(1, N_value))
                    for image in images
                )
                added.append(weighted_sum(z_value, entries_at_0))
            yield images[actions[0]], z_value, added


def all_logits(sizes: tuple[int, int, int], row: Row) -> Iterator[tuple[int, list[Fraction]]]:
    """The right state and all logits on state 0: actions, vocabularies, signs of W(0).

    An entry of W(0) is plus or minus its deviation; the N K of them on state 0 matter.
    """
    N_value, K_value, _ = sizes
    for right, z_value, added in trained_logits(sizes, row):
        for signs in itertools.product((-DEVIATION, DEVIATION), repeat=N_value * K_value):
            noise = [
                sum(share * signs[state * K_value + q] for q, share in enumerate(z_value))
                for state in range(N_value)
            ]
            yield right, [signal + off for signal, off in zip(added, noise, strict=True)]


@check(trained_parts_cancel, kind=Kind.ENUMERATION, says="all actions and vocabularies")
def sums_of_trained_logits(trained_parts_cancel: sp.Eq) -> str:
    for sizes in ((2, 2, 2), (3, 2, 2), (3, 3, 2)):
        for _, _, added in trained_logits(sizes, attention_row(sizes[2], even=False)):
            require(sum(added) == trained_parts_cancel.rhs, f"they add up to {sum(added)}")
    return "three (N, K, T), residual 0"


@check(
    variance_from_start,
    second_order_loss,
    kind=Kind.ENUMERATION,
    says="the covariance of all logits over all actions, vocabularies and signs of W(0)",
)
def covariance_by_enumeration(variance_from_start: sp.Eq, second_order_loss: sp.Eq) -> str:
    wrong = Fraction(2, 7)
    for sizes in ((2, 2, 2), (3, 2, 2), (2, 3, 2)):
        N_value = sizes[0]
        row = attention_row(sizes[2], even=True)
        found = list(all_logits(sizes, row))
        rights = [logits[right] for right, logits in found]
        rest = [x for right, logits in found for s, x in enumerate(logits) if s != right]
        means = [sum(kind, Fraction(0)) / len(kind) for kind in (rights, rest)]
        total = Fraction(0)
        for right, logits in found:
            shares = [1 - wrong if s == right else wrong / (N_value - 1) for s in range(N_value)]
            off = [x - means[s != right] for s, x in enumerate(logits)]
            squares = (each * each for each in off)
            total += weighted_sum(shares, squares) - weighted_sum(shares, off) ** 2
        given = dict(zip((N, K, T), sizes, strict=True)) | row_values(row)
        given |= {sigma_W2: sp.Rational(STRENGTHS[sigma_W2]), g: sp.Rational(wrong)}
        variances = {sigma_c**2: spread(rights), sigma_o**2: spread(rest)}
        variances[w_0] = variance_from_start.rhs.subs(given)
        added = second_order_loss.rhs - mean_field_loss.statement.rhs
        claimed = 2 * sp.expand(added).subs(variances).subs(given)
        exact_value = sp.Rational(total / len(found))
        require(claimed == exact_value, f"{claimed} instead of {exact_value} at {sizes}")
    return "three (N, K, T), residual 0"


@check(
    matrix_flow,
    retrieval_part_flow,
    heuristic_flow,
    kind=Kind.ENUMERATION,
    says="minus the slope of 3 Q S + S^2 in every entry, each column's mean taken off",
)
def flow_of_another_loss(
    matrix_flow: sp.Eq, retrieval_part_flow: sp.Eq, heuristic_flow: sp.Eq
) -> str:
    for sizes in SMALL:
        model = small_model(*sizes)
        N0, K0 = model.N, model.K
        here = model.order_parameters()
        loss = 3 * Q * S + S**2
        slopes = {each: sp.diff(loss, each).subs(here) for each in (Q, S)}
        in_U_V = loss.subs({Q: V / K + U * (K - 1) / K, S: (V - U) / K}).subs(K, K0)
        now = {U: here[Q] - here[S], V: here[Q] + (K0 - 1) * here[S]}
        given = {sp.Derivative(L, each): slope for each, slope in slopes.items()}
        given |= {sp.Derivative(L, each): sp.diff(in_U_V, each).subs(now) for each in (U, V)}
        given |= {N: N0, K: K0}
        moved = {}
        for k0, n0, m0 in itertools.product(range(K0), range(N0), range(N0)):
            overlaps = _moved(model, k0, n0, m0).order_parameters()
            # Q and S are linear in W, so a whole step gives the slope
            moved[k0, n0, m0] = -sum(slopes[x] * (overlaps[x] - here[x]) for x in (Q, S))
        for (k0, n0, m0), entry in moved.items():
            exact_value = entry - sp.Add(*(moved[k0, row, m0] for row in range(N0))) / N0
            own = model.P(k0, n0, m0)
            mean = sp.Rational(sum(model.P(q, n0, m0) for q in range(K0)), K0)
            claimed = matrix_flow.rhs.xreplace({P[k, n, m]: own, mean_permutation[n, m]: mean})
            for rate in (
                claimed.xreplace(given),
                retrieval_part_flow.rhs.xreplace(given) * (own - mean)
                + heuristic_flow.rhs.xreplace(given) * (mean - sp.Rational(1, N0)),
            ):
                require(rate == exact_value, f"{rate} instead of {exact_value}")
    return "every entry at three (N, K, T), residual 0"


def _moved(model: SmallModel, k0: int, n0: int, m0: int) -> SmallModel:
    """The model with 1 added to one entry of W."""
    W_new = [[list(line) for line in matrix] for matrix in model.W]
    W_new[k0][n0][m0] += 1
    return replace(model, W=tuple(tuple(map(tuple, matrix)) for matrix in W_new))


@check(
    retrieval_part_flow,
    heuristic_flow,
    kind=Kind.IDENTITY,
    says="with the mean-field loss they are (X4a), (X4b)",
)
def mean_field_limit(retrieval_part_flow: sp.Eq, heuristic_flow: sp.Eq) -> str:
    for flow, known in (
        (retrieval_part_flow, micro_solution.statement),
        (heuristic_flow, heuristic_rate.statement),
    ):
        slopes = {
            sp.Derivative(L, each): -g * sp.diff(margin_by_gap.statement.rhs, each)
            for each in (U, V)
        }
        gap = sp.simplify(flow.rhs.xreplace(slopes) - known.rhs)
        require(gap == 0, f"{flow.lhs} differs by {gap}")
    return "residual 0"


@check(
    retrieval_under_any_loss,
    kind=Kind.NUMERIC,
    says="a short step of all weights down the loss exp(R) - 3 R, 40 digits",
)
def step_down_another_loss(retrieval_under_any_loss: sp.Eq) -> str:
    def loss(moved: Head) -> Real:
        return mp.exp(moved.retrieval()) - 3 * moved.retrieval()

    worst = sp.Float(0)
    for each in random_heads():
        slopes = each.gradient(loss)

        def at(time: Real, each: Head = each, slopes: tuple[Row, Row] = slopes) -> Real:
            q_moved, k_moved = (
                tuple(x - time * y for x, y in zip(vector, slope, strict=True))
                for vector, slope in zip((each.q, each.k), slopes, strict=True)
            )
            return replace(each, q=q_moved, k=k_moved).retrieval()

        squares = sum(x**2 for slope in each.gradient(Head.retrieval) for x in slope)
        drive = 3 - mp.exp(each.retrieval())
        claimed = retrieval_under_any_loss.rhs.subs({F: exact(drive), G: exact(squares)})
        measured = (at(STEP) - at(-STEP)) / (2 * STEP)
        worst = max(worst, close(claimed, measured, "dR/dt"))
    return f"largest deviation {sp.N(worst, 1)}"
