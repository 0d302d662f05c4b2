"""(1)-(9) but (5): the task, the model, the loss, the order parameters. All else follows.

RoPE (5) is a result, not a choice: it is derived in ``attention``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import sympy as sp

from derivations.models.enumeration import small_models
from derivations.models.sums import contract, j_prime, over, trace_product
from derivations.statement import Kind, Status, Step, check, equation, require, shown
from derivations.symbols import (
    A,
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
    u,
    v,
    x,
    y,
    z,
)

delta = sp.KroneckerDelta
DEFINITION = Status.DEFINITION

state = sp.Function("s")  # s(t): the state after t steps, s(0) is given
permutation = sp.Function("sigma")  # sigma(k, x): the image of state x under permutation k
token = sp.Function("x")  # x(p): the token at position p = 1..2T+1
query, key = sp.Function("q"), sp.Function("k")  # q(p), k(p): query and key at position p
embedding = sp.Function("e")  # e(p): embedding of the token at p
W_Q, W_K = sp.Symbol("W_Q"), sp.Symbol("W_K")
half_width = sp.Symbol("w_init", positive=True)  # of the interval of a uniform start
start_variance = sp.Symbol("v_0", positive=True)  # of an entry drawn from it
true_loss = sp.Symbol(r"\mathcal{L}")
expectation = sp.Function(r"\mathbb{E}")  # over the actions and the initial state, all uniform
logsumexp = sp.log(sp.Sum(sp.exp(y[i, n]), (n, 1, N)))
y_right = sp.Function("y_c")  # y_c(i): the logit of the right state at position i


@equation("1", "State chain", status=DEFINITION)
def state_chain() -> Iterator[Step]:
    yield (
        "Each action permutes the state; actions and s(0) are independent and uniform",
        sp.Eq(state(step), permutation(a[step], state(step - 1))),
    )


@equation("1b", "Permutation matrices", status=DEFINITION)
def permutation_matrices() -> Iterator[Step]:
    yield (
        "Column m has a single 1, in the row of the image of m",
        sp.Eq(P[k, n, m], delta(n, permutation(k, m))),
    )


@equation("1c", "Permutations are one to one", status=DEFINITION)
def one_to_one() -> Iterator[Step]:
    preimages = over(delta(n, permutation(k, m)), m)
    yield "Every state is the image of exactly one", sp.Eq(preimages, 1, evaluate=False)


@equation("1d", "Actions are independent and uniform", status=DEFINITION)
def independent_actions() -> Iterator[Step]:
    named = delta(k, a[j]) * delta(l, a[j_prime])
    one, two = delta(k, l) / K, 1 / K**2
    yield "Two positions: one action, if they are the same", one
    yield "and else any two, whatever they are", two
    same = delta(j, j_prime)
    yield "How often they are k and l", sp.Eq(expectation(named), same * one + (1 - same) * two)


@check(
    permutation_matrices,
    one_to_one,
    independent_actions,
    kind=Kind.ENUMERATION,
    says="the matrices of small models, and any two actions of all their K^T N words",
)
def models_as_defined(permutation_matrices: sp.Eq, one_to_one: sp.Eq, pairs: sp.Eq) -> str:
    for model in small_models():
        images = {
            permutation(k_value + 1, m_value + 1): image + 1
            for k_value, images_of in enumerate(model.permutations)
            for m_value, image in enumerate(images_of)
        }
        for (k_value, n_value, m_value), exact in model.arrays()[P].items():
            at = {k: k_value, n: n_value, m: m_value}
            claimed = permutation_matrices.rhs.subs(at).xreplace(images)
            require(claimed == exact, f"entry {claimed} instead of {exact}")
            row = one_to_one.subs({k: k_value, n: n_value, N: model.N}).doit().xreplace(images)
            require(row, f"row {n_value} of matrix {k_value}: {row}")
        words = [actions for actions, _ in model.words()]
        for first, second in itertools.product(range(model.T), repeat=2):
            for one, other in itertools.product(range(model.K), repeat=2):
                hits = sum(word[first] == one and word[second] == other for word in words)
                at = {j: first + 1, j_prime: second + 1, k: one + 1, l: other + 1, K: model.K}
                claimed, exact = pairs.rhs.subs(at), sp.Rational(hits, len(words))
                require(claimed == exact, f"actions {at}: {claimed} instead of {exact}")
    return "five (N, K, T), residual 0"


@equation("2", "Token sequence", status=DEFINITION)
def token_sequence() -> Iterator[Step]:
    length = sp.Symbol("length", integer=True)
    yield "T actions, the initial state, T further states", sp.Eq(length, T + (1 + T))
    yield (
        "Actions first, then states: the state after t steps sits at T + 1 + t",
        sp.Eq(token(p), sp.Piecewise((a[p], p <= T), (state(p - T - 1), p <= 2 * T + 1))),
    )


@check(
    token_sequence,
    kind=Kind.IDENTITY,
    says="T actions, T + 1 states, no more; what leads from token i to i + 1 sits at i - T",
)
def fixed_lag(token_sequence: sp.Eq) -> str:
    for T_value in range(1, 8):
        tokens = [token_sequence.rhs.subs({p: q, T: T_value}) for q in range(1, 2 * T_value + 3)]
        expected = [a[q] for q in range(1, T_value + 1)] + [state(q) for q in range(T_value + 1)]
        require(tokens[:-1] == expected, f"the tokens are {tokens[:-1]}")
        require(tokens[-1] is sp.nan, f"after the last state comes {tokens[-1]}")
        for i_value in range(T_value + 1, 2 * T_value + 1):
            at = [token_sequence.rhs.subs({p: q, T: T_value}) for q in (i_value, i_value + 1)]
            reached = at[1].args[0]
            action = token_sequence.rhs.subs({p: i_value - T_value, T: T_value})
            require(at[0] == state(reached - 1), f"token {i_value} is not the state before {at[1]}")
            require(action == a[reached], f"the action at lag T of {i_value} is {action}")
    return "every predictor position, T = 1..7"


@equation(
    "3",
    "Queries and keys",
    status=DEFINITION,
    note="nn.Linear without bias: the variance of its default initialisation is then 1/3.",
)
def queries_and_keys() -> Iterator[Step]:
    yield "Keys in the same way", sp.Eq(key(p), W_K * embedding(p), evaluate=False)
    yield "With every embedding fixed at 1", sp.Eq(query(p).subs(embedding(p), 1), W_Q)
    yield (
        "A query is linear in the embedding; fixed at 1 it is one learnable vector of d entries",
        sp.Eq(query(p), W_Q * embedding(p), evaluate=False),
    )


@shown("w_init**2/3")
@equation("3b", "Variance of a uniform start")
def uniform_variance() -> Iterator[Step]:
    entry = sp.Symbol("x", real=True)
    density = 1 / (2 * half_width)
    yield "An entry is drawn uniformly from -w_init to w_init: the density", density
    square = sp.Integral(density * entry**2, (entry, -half_width, half_width))
    yield "Its mean is 0; the mean of its square", sp.Eq(start_variance, square)
    yield "Integrate", sp.Eq(start_variance, square.doit())


@check(uniform_variance, kind=Kind.IDENTITY, says="n entries evenly spaced, then n to infinity")
def evenly_spaced_entries(uniform_variance: sp.Eq) -> str:
    count, place = sp.symbols("n q", integer=True, positive=True)
    entry = half_width * (2 * place - 1 - count) / count
    mean_square = sp.summation(sp.expand(entry**2), (place, 1, count)) / count
    exact = sp.limit(sp.simplify(mean_square), count, sp.oo)
    require(sp.simplify(uniform_variance.rhs - exact) == 0, f"{exact} in the limit")
    return "residual 0"


@equation("27", "Value vectors", status=DEFINITION)
def values() -> Iterator[Step]:
    yield (
        "One-hot in the action for actions, zero for states",
        sp.Eq(v[j, k], sp.Piecewise((delta(k, a[j]), j <= T), (0, True))),
    )


@equation(
    "4a",
    "Attention",
    status=DEFINITION,
    note="Restricted to the action positions, so that each row of prediction positions sums to 1.",
)
def attention() -> Iterator[Step]:
    yield (
        "Softmax over the action positions",
        sp.Eq(A[i, j], sp.exp(u[i, j]) / sp.Sum(sp.exp(u[i, l]), (l, 1, T))),
    )


@equation("4b", "Head output", status=DEFINITION)
def head_output() -> Iterator[Step]:
    yield (
        "Attention-weighted values",
        sp.Eq(z[i, k], sp.Sum(A[i, j] * v[j, k], (j, 1, 2 * T + 1))),
    )


@equation("4c", "Rows of attention sum to 1", follows_from=(attention,))
def row_sum(attention: sp.Eq) -> Iterator[Step]:
    normaliser = sp.Sum(sp.exp(u[i, l]), (l, 1, T))
    row = sp.Sum(attention.rhs, (j, 1, T))
    yield "Sum (4a) over the action positions", row
    pulled_out = sp.Sum(attention.rhs * normaliser, (j, 1, T)) / normaliser
    yield "The normaliser does not depend on j", pulled_out
    yield (
        "What is left is the normaliser itself",
        sp.Eq(
            sp.Sum(A[i, j], (j, 1, T)),
            (pulled_out * normaliser).replace(j, l) / normaliser,
            evaluate=False,
        ),
    )


@check(row_sum, kind=Kind.IDENTITY, says="explicit softmax rows of length 1..6")
def explicit_rows(row_sum: sp.Eq) -> str:
    for length in range(1, 7):
        row = row_sum.lhs.subs(T, length).doit()
        weights = [sp.exp(u[i, q]) for q in range(1, length + 1)]
        filled = row.subs({A[i, q + 1]: w / sum(weights) for q, w in enumerate(weights)})
        require(
            sp.simplify(filled - row_sum.rhs) == 0, f"a row of length {length} sums to {filled}"
        )
    return "sum - 1 = 0, T = 1..6"


@equation("6", "Logits", status=DEFINITION, follows_from=())
def logits() -> Iterator[Step]:
    yield (
        "The head output mixes the logic matrices; the mixture acts on the current state",
        sp.Eq(y[i, n], sp.Sum(z[i, k] * W[k, n, m] * x[i, m], (k, 1, K), (m, 1, N))),
    )


@equation(
    "7",
    "Training loss",
    status=DEFINITION,
    note="A mean over the T predictions: a sum would multiply every rate by T.",
)
def training_loss() -> Iterator[Step]:
    per_token = expectation(logsumexp - y_right(i))
    yield (
        "Cross-entropy of the next state, averaged over predictions, actions and states",
        sp.Eq(true_loss, sp.Sum(per_token, (i, T + 1, 2 * T)) / T),
    )


@equation("8", "Attention retrieval R", status=DEFINITION)
def retrieval() -> Iterator[Step]:
    yield (
        "Mean attention on the right action, which sits T positions back",
        sp.Eq(R, sp.Sum(A[i, i - T], (i, T + 1, 2 * T)) / T),
    )


@equation("9a", "Teacher alignment Q", status=DEFINITION)
def alignment() -> Iterator[Step]:
    yield (
        "Mean overlap of each logic matrix with its own permutation; 1 for W = P",
        sp.Eq(Q, sp.Sum(trace_product(W, k, P, k), (k, 1, K)) / (N * K)),
    )


@equation("9b", "Off-target overlap S", status=DEFINITION)
def off_target() -> Iterator[Step]:
    different = (1 - delta(k, l)) * trace_product(W, k, P, l)
    yield (
        "Mean overlap of each logic matrix with the other permutations",
        sp.Eq(S, over(different, k, l) / (N * K * (K - 1))),
    )


def overlap_sums(alignment: sp.Eq, off_target: sp.Eq) -> dict[sp.Expr, sp.Expr]:
    """The sums over equal and over all pairs of actions of Tr(W_k^T P_l), in terms of Q and S."""
    equal = contract(sp.Sum(trace_product(W, k, P, k), (k, 1, K)))
    pairs = contract(over(trace_product(W, k, P, l), k, l))
    same, everything = sp.symbols("same everything")
    named = {equal: same, pairs: everything}
    solution = sp.solve(
        [
            alignment.lhs - contract(alignment.rhs).xreplace(named),
            off_target.lhs - contract(off_target.rhs).xreplace(named),
        ],
        [same, everything],
        dict=True,
    )[0]
    return {equal: sp.factor(solution[same]), pairs: sp.factor(solution[everything])}
