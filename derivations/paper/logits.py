"""(25)-(41), (11), (12): the mean logits of the right state and of the others."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import sympy as sp

from derivations.models.enumeration import Arrays, Entries, SmallModel, small_models
from derivations.models.sums import (
    average_over_state,
    contract,
    expand_sums,
    j_prime,
    k_prime,
    l_prime,
    m_prime,
    numbers,
    over,
    swap,
)
from derivations.paper.definitions import (
    alignment,
    expectation,
    head_output,
    independent_actions,
    logits,
    off_target,
    one_to_one,
    overlap_sums,
    permutation_matrices,
    retrieval,
    row_sum,
    state,
    state_chain,
    token_sequence,
    values,
)
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
    W,
    a,
    i,
    j,
    k,
    l,
    m,
    n,
    p,
    step,
    x,
    y,
    y_c,
    y_o,
    y_teacher,
    z,
)

delta = sp.KroneckerDelta
right_logit = sp.Function("y_c")(i)  # the logit of the right next state at prediction position i
other_logit = sp.Function("y_o")(i)  # mean of the N - 1 other logits there
mean_right_logit = sp.Symbol(r"\langle y_{c,i} \rangle", real=True)
mean_logit = sp.IndexedBase(r"\langle y \rangle", real=True)  # mean_logit[i, n]
right_action = a[i - T]
retrieved = A[i, i - T]  # the attention of predictor i on the right action


# --- the right logit of one sequence -------------------------------------------------------------


def over_action_positions(summed: sp.Sum, values: sp.Eq) -> sp.Sum:
    """Insert (27) into a sum over positions: zero for states, so the sum ends at T."""
    (one_hot, is_action), (nothing, _) = values.rhs.args
    actions_only = is_action.canonical == (j <= T).canonical
    require(nothing == 0 and actions_only, "state positions carry a value")
    ((index, first, last),) = summed.limits
    return sp.Sum(summed.function.xreplace({values.lhs: one_hot}), (index, first, sp.Min(last, T)))


@equation("25a", "Teacher's logits", follows_from=(logits, head_output, values))
def teacher_logits(logits: sp.Eq, head_output: sp.Eq, values: sp.Eq) -> Iterator[Step]:
    output = over_action_positions(head_output.rhs, values)
    named = contract(output.xreplace({A[i, j]: delta(j, i - T)}))
    yield "The teacher attends to the right action alone: its head names it", sp.Eq(z[i, k], named)
    teacher = swap(logits.rhs, W, P).xreplace({z[i, k]: named})
    yield "and its W_k are the permutation matrices", teacher
    yield "The right one acts on the state", sp.Eq(y_teacher[i, n], contract(teacher))


@equation(
    "25",
    "Right logit",
    follows_from=(state_chain, token_sequence, permutation_matrices, teacher_logits),
)
def right_logit_by_teacher(
    state_chain: sp.Eq, token_sequence: sp.Eq, permutation_matrices: sp.Eq, teacher_logits: sp.Eq
) -> Iterator[Step]:
    _, (state_token, _) = token_sequence.rhs.args
    here, after = (state_token.subs(p, position) for position in (i, i + 1))
    reached = state_chain.subs(step, i - T)
    require(reached.lhs == after, "the token after position i is not the state of step i - T")
    yield "The right token after position i, by (1)", reached
    images = {P[right_action, n, m]: permutation_matrices.rhs.subs(k, right_action)}
    one_hot = contract(teacher_logits.rhs.xreplace({**images, x[i, m]: delta(m, here)}))
    require(one_hot == delta(n, reached.rhs), "the teacher's logits are not one-hot there")
    yield "The teacher's logits are one-hot there", sp.Eq(teacher_logits.lhs, one_hot)
    yield (
        "So they pick the right entry out of the student's logits",
        sp.Eq(right_logit, over(teacher_logits.lhs * y[i, n], n)),
    )


@equation(
    "26", "Right logit, written out", follows_from=(right_logit_by_teacher, teacher_logits, logits)
)
def right_logit_written_out(
    right_logit_by_teacher: sp.Eq, teacher_logits: sp.Eq, logits: sp.Eq
) -> Iterator[Step]:
    applied = teacher_logits.rhs.xreplace({m: m_prime})
    yield (
        "Teacher's and student's logits inserted",
        sp.Eq(
            right_logit,
            right_logit_by_teacher.rhs.xreplace({teacher_logits.lhs: applied, y[i, n]: logits.rhs}),
        ),
    )


@equation("41a", "Other logits", status=Status.DEFINITION)
def other_logits() -> Iterator[Step]:
    others = over((1 - y_teacher[i, n]) * y[i, n], n)
    yield "Mean of the N - 1 logits that are not right", sp.Eq(other_logit, others / (N - 1))


@equation("28", "Mixture of logic matrices", follows_from=(head_output, values))
def mixture(head_output: sp.Eq, values: sp.Eq) -> Iterator[Step]:
    output = over_action_positions(head_output.rhs, values)
    yield "State positions carry no value: the sum over positions ends at T", sp.Eq(z[i, k], output)
    mixed = over(z[i, k] * W[k, n, m], k)
    yield (
        "The one-hot value selects the matrix of the action",
        sp.Eq(mixed, contract(mixed.xreplace({z[i, k]: output}))),
    )


@equation("29", "Right logit, a sum over actions", follows_from=(right_logit_written_out, mixture))
def right_logit_by_action(right_logit_written_out: sp.Eq, mixture: sp.Eq) -> Iterator[Step]:
    teacher, student = right_logit_written_out.rhs.function.args
    yield "The student's factor, summed over states last", student
    grouped = over(mixture.lhs * x[i, m], m)
    require(expand_sums(grouped) == expand_sums(student), "(26) does not contain the mixture (28)")
    inserted = over(mixture.rhs * x[i, m], m)
    yield (
        "Insert (28)",
        sp.Eq(right_logit, expand_sums(over(teacher * inserted, n))),
    )


# --- averages over state and actions -------------------------------------------------------------

matrix = sp.IndexedBase("M", real=True)
quadratic_form = over(x[i, m] * matrix[m, m_prime] * x[i, m_prime], m, m_prime)


@equation("30", "Average over the current state", follows_from=(state_chain, one_to_one))
def state_average(state_chain: sp.Eq, one_to_one: sp.Eq) -> Iterator[Step]:
    reached = delta(n, state_chain.rhs.xreplace({state(step - 1): m}))
    chance = expand_sums(over(reached / N, m))
    yield "If the state before is uniform, then the state is n with probability", chance
    preimages, number = (side.subs(k, a[step]) for side in one_to_one.args)
    uniform = chance.xreplace({preimages: number})
    require(uniform == 1 / N, f"the state is n with probability {uniform}")
    yield "By (1c) it is uniform too, whatever the actions: by induction from s(0)", uniform
    on_basis = over(delta(m, n) * matrix[m, m_prime] * delta(m_prime, n), m, m_prime)
    yield (
        "A mean over the basis vectors",
        sp.Eq(expectation(quadratic_form), over(on_basis, n) * uniform),
    )


@equation("31", "The average is a trace", follows_from=(state_average,))
def state_average_is_trace(state_average: sp.Eq) -> Iterator[Step]:
    yield "Carry out the deltas", sp.Eq(state_average.lhs, contract(state_average.rhs))


@check(
    state_average,
    state_average_is_trace,
    kind=Kind.ENUMERATION,
    says="the state is uniform given the actions, at every step",
)
def state_is_uniform(state_average: sp.Eq, state_average_is_trace: sp.Eq) -> str:
    for model in small_models():
        form = {(p, q): sp.Integer(2**p * 3**q) for p in range(1, 6) for q in range(1, 6)}
        for t in range(model.T):
            by_actions: dict[tuple[int, ...], list[sp.Expr]] = {}
            for actions, states in model.words():
                by_actions.setdefault(actions, []).append(form[states[t] + 1, states[t] + 1])
            for seen in by_actions.values():
                mean = sp.Add(*seen) / len(seen)
                for statement in (state_average, state_average_is_trace):
                    claimed = numbers(statement.rhs, {N: model.N}, {matrix: form})
                    require(mean == claimed, f"mean {mean} but ({claimed}) claimed at step {t}")
    return "every action sequence at five (N, K, T), residual 0"


def second_moment(state_average: sp.Eq) -> sp.Expr:
    """The mean of x_m x_m': the factor of M_mm' in (30)."""
    entry = matrix[k_prime, l_prime]  # letters that (30) does not sum over
    return contract(sp.diff(state_average.rhs, entry)).subs({k_prime: m, l_prime: m_prime})


@equation(
    "32",
    "Right logit, averaged over the state",
    follows_from=(right_logit_by_action, state_average),
)
def averaged_over_state(right_logit_by_action: sp.Eq, state_average: sp.Eq) -> Iterator[Step]:
    moment = second_moment(state_average)
    yield "By (30) the mean of x_m x_m' is", moment
    averaged = average_over_state(right_logit_by_action.rhs, x, moment)
    yield "Insert it", averaged
    yield (
        "A trace is left, to be averaged over the actions",
        sp.Eq(mean_right_logit, expectation(contract(averaged))),
    )


@equation(
    "33",
    "Right logit, averaged over the actions",
    follows_from=(averaged_over_state, independent_actions),
)
def averaged_over_actions(averaged_over_state: sp.Eq, independent_actions: sp.Eq) -> Iterator[Step]:
    total = averaged_over_state.rhs.args[0]
    constant, summed = total.as_independent(sp.Sum, as_Add=False)
    pair = (summed.function / A[i, j]).xreplace({a[j]: k, right_action: l})
    same = delta(j, i - T)
    chance = independent_actions.rhs.subs(j_prime, i - T)
    yield "The actions at j and at i - T are k and l with probability", chance
    retrieved_term, other_term = (
        contract(over(chance.subs(same, value) * pair, k, l, m, n)) for value in (1, 0)
    )
    yield "The term j = i - T: one action, used by teacher and student", retrieved_term
    yield "Any other term: two independent actions, the same for every j", other_term
    others = sp.Sum((1 - same) * A[i, j], (j, 1, T))
    yield (
        "Attention on the right action times the one, the rest of the row times the other",
        sp.Eq(mean_right_logit, constant * (retrieved * retrieved_term + others * other_term)),
    )


@shown("S + (Q - S)/K + (1 - 1/K)*(Q - S)*A[i, i - T]")
@equation(
    "34",
    "Right logit in Q and S",
    follows_from=(averaged_over_actions, alignment, off_target, row_sum),
)
def right_logit_in_overlaps(
    averaged_over_actions: sp.Eq, alignment: sp.Eq, off_target: sp.Eq, row_sum: sp.Eq
) -> Iterator[Step]:
    sums = overlap_sums(alignment, off_target)
    for total, value in sums.items():
        yield "By (9a), (9b)", sp.Eq(total, value)
    rest = row_sum.rhs - retrieved
    others = sp.Sum((1 - delta(j, i - T)) * A[i, j], (j, 1, T))
    yield "A row sums to 1, so the others get", sp.Eq(others, rest)
    inserted = averaged_over_actions.rhs.xreplace({others: rest, **sums})
    yield (
        "Insert both",
        sp.Eq(mean_right_logit, sp.collect(sp.expand(inserted), retrieved, sp.factor)),
    )


@shown("(A[i, i - T] + (1 - A[i, i - T])/K)*Q + (1 - A[i, i - T])*(1 - 1/K)*S")
@equation("35", "Right logit, ordered by Q and S", follows_from=(right_logit_in_overlaps,))
def right_logit_ordered(right_logit_in_overlaps: sp.Eq) -> Iterator[Step]:
    yield (
        "Collect Q and S",
        sp.Eq(mean_right_logit, by_overlap(right_logit_in_overlaps.rhs, retrieved)),
    )


def by_overlap(logit: sp.Expr, retrieval: sp.Expr) -> sp.Expr:
    """Order a mean logit by Q and S, the weights by what attention retrieves and misses."""
    weight_Q, weight_S = (sp.expand(logit).coeff(overlap) for overlap in (Q, S))
    missed = 1 - retrieval
    share_Q, share_S = (sp.factor(w / missed) for w in (weight_Q - retrieval, weight_S))
    return (retrieval + missed * share_Q) * Q + missed * share_S * S


@shown("(R + (1 - R)/K)*Q + (1 - R)*(1 - 1/K)*S")
@equation(
    "36",
    "Mean right logit",
    follows_from=(right_logit_ordered, retrieval),
    note="The paper sets every retrieved attention entry to R. The average over positions needs no "
    "such ansatz, because (35) is linear in A.",
)
def right_logit_in_R(right_logit_ordered: sp.Eq, retrieval: sp.Eq) -> Iterator[Step]:
    predictors = (i, T + 1, 2 * T)
    averaged = contract(sp.Sum(right_logit_ordered.rhs, predictors) / T)
    yield "Average (35) over the T predictions", averaged
    mass = sp.Sum(retrieved, predictors)
    in_R = sp.expand(averaged).xreplace({mass: sp.solve(retrieval, mass)[0]})
    yield "By (8) the retrieved attention adds up to T R", in_R
    yield "Collect Q and S", sp.Eq(y_c, by_overlap(in_R, R))


@shown("(R + (1 - R)/K)*Q + (1 - R)*(1 - 1/K)*S")
@equation("11", "Mean right logit", follows_from=(right_logit_in_R,))
def mean_correct_logit(right_logit_in_R: sp.Eq) -> Iterator[Step]:
    yield "The main text quotes (36)", right_logit_in_R


def arrays_of(
    model: SmallModel, actions: tuple[int, ...], states: tuple[int, ...], t: int
) -> Arrays:
    """Every array of one sequence as seen from prediction t: W, P, A, a, x, z, y, teacher's y."""
    position, letters = model.T + 1 + t, range(model.N)
    z_values: Entries = {
        (position, q + 1): sum(
            (sp.Rational(model.A[t][p]) for p in range(model.T) if actions[p] == q), sp.Integer(0)
        )
        for q in range(model.K)
    }
    logit_values: Entries = {
        (position, q + 1): sp.Rational(model.logit(actions, t, states[t], q)) for q in letters
    }
    return {
        **model.arrays(),
        a: {(q + 1,): sp.Integer(action + 1) for q, action in enumerate(actions)},
        x: {(position, q + 1): sp.Integer(states[t] == q) for q in letters},
        z: z_values,
        y: logit_values,
        y_teacher: {(position, q + 1): sp.Integer(states[t + 1] == q) for q in letters},
    }


def sequences() -> Iterator[tuple[SmallModel, tuple[int, ...], tuple[int, ...], int, dict]]:
    """A few words of every small model, at every prediction t, with the sizes and the position."""
    for model in small_models():
        for actions, states in itertools.islice(model.words(), 0, None, 5):
            for t in range(model.T):
                yield (
                    model,
                    actions,
                    states,
                    t,
                    {N: model.N, K: model.K, T: model.T, i: model.T + 1 + t},
                )


@check(
    teacher_logits,
    right_logit_by_teacher,
    right_logit_written_out,
    right_logit_by_action,
    other_logits,
    mixture,
    kind=Kind.ENUMERATION,
    says="one sequence at a time: right and other logits, mixed matrix by (1), (4), (6)",
)
def each_sequence(
    teacher: sp.Eq,
    by_teacher: sp.Eq,
    written_out: sp.Eq,
    by_action: sp.Eq,
    others: sp.Eq,
    mixture: sp.Eq,
) -> str:
    count = 0
    for model, actions, states, t, sizes in sequences():
        arrays = arrays_of(model, actions, states, t)
        exact = sp.Rational(model.logit(actions, t, states[t], states[t + 1]))
        for statement in (by_teacher, written_out, by_action):
            claimed = numbers(statement.rhs, sizes, arrays)
            require(claimed == exact, f"{claimed} instead of {exact}")
        wrong = [model.logit(actions, t, states[t], q) for q in range(model.N)]
        del wrong[states[t + 1]]
        claimed, exact = numbers(others.rhs, sizes, arrays), sp.Rational(sum(wrong)) / len(wrong)
        require(claimed == exact, f"other logits {claimed} instead of {exact}")
        for (_, letter), exact in arrays[y_teacher].items():
            claimed = numbers(teacher.rhs, {**sizes, n: letter}, arrays)
            require(claimed == exact, f"teacher's logit {claimed} instead of {exact}")
        corner = {**sizes, n: 1, m: 2}
        mixed = sum(model.A[t][p] * model.W[actions[p]][0][1] for p in range(model.T))
        claimed = numbers(mixture.rhs, corner, arrays)
        require(claimed == sp.Rational(mixed), f"mixture {claimed} instead of {mixed}")
        count += 1
    return f"{count} predictions, residual 0"


@check(
    averaged_over_state,
    kind=Kind.ENUMERATION,
    says="one action sequence at a time: the right logit averaged over the initial state",
)
def each_action_sequence(averaged_over_state: sp.Eq) -> str:
    count = 0
    for model in small_models():
        by_actions: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        for actions, states in model.words():
            by_actions.setdefault(actions, []).append(states)
        for (actions, chains), t in itertools.product(
            list(by_actions.items())[::3], range(model.T)
        ):
            logit_values = [model.logit(actions, t, chain[t], chain[t + 1]) for chain in chains]
            exact = sp.Rational(sum(logit_values)) / model.N
            sizes = {N: model.N, K: model.K, T: model.T, i: model.T + 1 + t}
            (inside,) = averaged_over_state.rhs.atoms(expectation)
            outside = averaged_over_state.rhs / inside
            claimed = outside * numbers(
                inside.args[0], sizes, arrays_of(model, actions, chains[0], t)
            )
            require(claimed == exact, f"{claimed} instead of {exact}")
            count += 1
    return f"{count} averages, residual 0"


@check(
    averaged_over_actions,
    right_logit_in_overlaps,
    right_logit_ordered,
    kind=Kind.ENUMERATION,
    says="the average over all K^T N words, position by position",
)
def average_by_position(*statements: sp.Eq) -> str:
    for model in small_models():
        order_parameters = model.order_parameters()
        for t in range(model.T):
            exact = sp.Rational(model.mean_correct_logit(t))
            for statement in statements:
                at_position = {**order_parameters, i: model.T + 1 + t}
                claimed = numbers(statement.rhs, at_position, model.arrays())
                require(claimed == exact, f"position {t}: {claimed} instead of {exact}")
    return "every position at five (N, K, T), residual 0"


@check(
    right_logit_in_R,
    mean_correct_logit,
    kind=Kind.ENUMERATION,
    says="the average over all K^T N words and positions, attention rows all different",
)
def average_over_all(right_logit_in_R: sp.Eq, mean_correct_logit: sp.Eq) -> str:
    for model in small_models():
        exact = sum(sp.Rational(model.mean_correct_logit(t)) for t in range(model.T)) / model.T
        for statement in (right_logit_in_R, mean_correct_logit):
            claimed = statement.rhs.subs(model.order_parameters())
            require(claimed == exact, f"{claimed} instead of {exact}")
    return "five (N, K, T), residual 0"


# --- the other logits ----------------------------------------------------------------------------


@equation("37", "Any logit, a sum over actions", follows_from=(logits, mixture))
def any_logit(logits: sp.Eq, mixture: sp.Eq) -> Iterator[Step]:
    grouped = over(mixture.lhs * x[i, m], m)
    require(expand_sums(grouped) == expand_sums(logits.rhs), "(6) does not contain (28)")
    yield "Insert (28) into (6)", sp.Eq(y[i, n], expand_sums(over(mixture.rhs * x[i, m], m)))


@equation("38", "Any logit, averaged", follows_from=(any_logit, state_average, independent_actions))
def any_logit_averaged(
    any_logit: sp.Eq, state_average: sp.Eq, independent_actions: sp.Eq
) -> Iterator[Step]:
    moment = contract(over(second_moment(state_average), m_prime))
    yield "The entries of x add up to 1, so by (30) the mean of x_m is", moment
    over_state = any_logit.rhs.xreplace({x[i, m]: moment})
    yield "Average over the state", over_state
    chance = contract(over(independent_actions.rhs, l))
    yield "One action alone, by (1d), is k with probability", chance
    over_action = expand_sums(over(over_state.xreplace({a[j]: k}) * chance, k))
    yield "Average over it", sp.Eq(mean_logit[i, n], over_action)


@equation(
    "39",
    "Any logit, averaged: no trace of the attention",
    follows_from=(any_logit_averaged, row_sum),
)
def any_logit_without_attention(any_logit_averaged: sp.Eq, row_sum: sp.Eq) -> Iterator[Step]:
    row = sp.Sum(A[i, j], (j, 1, T))
    weighted = any_logit_averaged.rhs
    (total,) = weighted.atoms(sp.Sum)
    limits = [limit for limit in total.limits if limit[0] != j]
    factored = weighted.xreplace({total: row * sp.Sum(total.function / A[i, j], *limits)})
    yield "The attention row factors out", factored
    yield "and sums to 1", sp.Eq(mean_logit[i, n], factored.xreplace({row_sum.lhs: row_sum.rhs}))


@shown("1/(N*K)*Sum(W[k, m, n], (k, 1, K), (m, 1, N), (n, 1, N))")
@equation(
    "40",
    "Sum of the mean logits",
    follows_from=(any_logit_without_attention,),
    note="A conserved constant of training, see (X0) and (X0b).",
)
def sum_of_logits(any_logit_without_attention: sp.Eq) -> Iterator[Step]:
    yield (
        "Sum (39) over the N logits",
        sp.Eq(C, expand_sums(over(any_logit_without_attention.rhs, n))),
    )


@equation(
    "41",
    "Mean other logit",
    follows_from=(
        right_logit_by_teacher,
        other_logits,
        any_logit_without_attention,
        sum_of_logits,
    ),
)
def other_logit_by_sum(
    right_logit_by_teacher: sp.Eq,
    other_logits: sp.Eq,
    any_logit_without_attention: sp.Eq,
    sum_of_logits: sp.Eq,
) -> Iterator[Step]:
    all_logits = over(y[i, n], n)
    by_kind = right_logit_by_teacher.rhs + (N - 1) * other_logits.rhs
    left_over = expand_sums(by_kind - all_logits)
    require(left_over == 0, f"right and other logits are all logits but for {left_over}")
    yield "The N logits: the right one and N - 1 others", sp.Eq(all_logits, by_kind)
    mean = expand_sums(over(any_logit_without_attention.rhs, n))
    require(mean == sum_of_logits.rhs, "C is not the sum of the mean logits")
    total = sp.Eq(sum_of_logits.lhs, y_c + (N - 1) * y_o)
    yield "On average they add up to C, by (39), (40)", total
    yield "Solve for the others", sp.Eq(y_o, sp.factor(sp.solve(total, y_o)[0]))


@equation("12", "Mean other logit", follows_from=(other_logit_by_sum,))
def mean_other_logit(other_logit_by_sum: sp.Eq) -> Iterator[Step]:
    yield "The main text quotes (41)", other_logit_by_sum


@shown("(N*y_c - C)/(N - 1)")
@equation("12b", "Margin", follows_from=(mean_other_logit,))
def margin(mean_other_logit: sp.Eq) -> Iterator[Step]:
    yield (
        "The right logit's lead over the others",
        sp.Eq(Delta, sp.factor(y_c - mean_other_logit.rhs)),
    )


@check(
    any_logit, kind=Kind.ENUMERATION, says="one sequence at a time: every logit by (1), (4), (6)"
)
def each_logit(any_logit: sp.Eq) -> str:
    count = 0
    for model, actions, states, t, sizes in sequences():
        arrays = arrays_of(model, actions, states, t)
        for index in range(model.N):
            claimed = numbers(any_logit.rhs, {**sizes, n: index + 1}, arrays)
            exact = sp.Rational(model.logit(actions, t, states[t], index))
            require(claimed == exact, f"logit {index}: {claimed} instead of {exact}")
            count += 1
    return f"{count} logits, residual 0"


@check(
    any_logit_averaged,
    any_logit_without_attention,
    kind=Kind.ENUMERATION,
    says="each of the N logits, averaged over all K^T N words, position by position",
)
def any_logit_by_position(*statements: sp.Eq) -> str:
    for model in small_models():
        for t, index in itertools.product(range(model.T), range(model.N)):
            exact = sp.Rational(model.mean_logit(t, index))
            for statement in statements:
                sizes = {N: model.N, K: model.K, T: model.T, i: model.T + 1 + t, n: index + 1}
                claimed = numbers(statement.rhs, sizes, model.arrays())
                require(claimed == exact, f"logit {index}: {claimed} instead of {exact}")
    return "every logit and position at five (N, K, T), residual 0"


@check(
    sum_of_logits,
    other_logit_by_sum,
    mean_other_logit,
    margin,
    kind=Kind.ENUMERATION,
    says="C, the other logits and the margin, averaged over all K^T N words and positions",
)
def others_over_all(
    sum_of_logits: sp.Eq, other_logit_by_sum: sp.Eq, mean_other_logit: sp.Eq, margin: sp.Eq
) -> str:
    for model in small_models():
        steps = range(model.T)
        right = sum(sp.Rational(model.mean_correct_logit(t)) for t in steps) / model.T
        other = sum(sp.Rational(model.mean_other_logit(t)) for t in steps) / model.T
        sizes = {N: model.N, K: model.K, T: model.T}
        total = numbers(sum_of_logits.rhs, sizes, model.arrays())
        require(total == right + (model.N - 1) * other, f"C = {total}")
        given = {**sizes, C: total, y_c: right}
        for statement in (other_logit_by_sum, mean_other_logit):
            claimed = statement.rhs.subs(given)
            require(claimed == other, f"other logit {claimed} instead of {other}")
        require(margin.rhs.subs(given) == right - other, "margin")
    return "five (N, K, T), residual 0"
