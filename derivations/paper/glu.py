"""(19)-(24): the logic module as a GLU, and the head with matrix-shaped queries and keys.

Vectors are indexed from 1. The GLU reads h = (z; x) of K + N entries; its hidden layer has K N
units in K blocks of N: unit (k - 1) N + n is entry n of block k.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import sympy as sp

from derivations.models.sums import contract, expand_sums, k_prime, m_prime, numbers, over
from derivations.paper.definitions import logits, values
from derivations.statement import Kind, Status, Step, check, equation, require
from derivations.symbols import K, N, T, W, a, i, j, k, m, n, r, x, y, z

delta = sp.KroneckerDelta
unit = sp.Symbol("rho", integer=True, positive=True)  # hidden unit, 1..KN
entry = sp.Symbol("kappa", integer=True, positive=True)  # entry of the GLU's input, 1..K+N
h = sp.IndexedBase("h", real=True)  # h[kappa]: the GLU's input (z; x)
W_down = sp.IndexedBase(r"W_{\mathrm{down}}", real=True)
W_up = sp.IndexedBase(r"W_{\mathrm{up}}", real=True)
W_gate = sp.IndexedBase(r"W_{\mathrm{gate}}", real=True)
activation = sp.Function("phi")
glu_output = sp.IndexedBase(r"\mathrm{GLU}", real=True)
product = sp.IndexedBase(r"(z \otimes x)", real=True)  # the stacked vector (z_1 x; ...; z_K x)
query_matrix = sp.IndexedBase("W_Q", real=True)  # query_matrix[r, kappa], d x (K + N)
query = sp.IndexedBase("q", real=True)  # query[r]: the one learnable vector; keys in the same way
value_matrix = sp.IndexedBase("W_V", real=True)  # value_matrix[k, kappa], K x (K + N)
one_hot = sp.IndexedBase("x", integer=True)  # one_hot[kappa]: a token among K actions, N states
token = sp.Symbol("tau", integer=True, positive=True)  # which token it is, 1..K+N


def unit_of(state: sp.Symbol) -> sp.Expr:
    """The hidden unit that is entry ``state`` of block k."""
    return (k - 1) * N + state


@equation("19a", "Down-projection", follows_from=(logits,))
def down_projection(logits: sp.Eq) -> Iterator[Step]:
    weight = sp.diff(logits.rhs.function, z[i, k], x[i, m])
    yield "The weight in logit n of the product of z_k and x_m", weight
    yield "The blocks W_1 | ... | W_K side by side", sp.Eq(W_down[n, unit_of(m)], weight)


@equation("19b", "Stacked vector", follows_from=(logits, down_projection))
def stacked_vector(logits: sp.Eq, down_projection: sp.Eq) -> Iterator[Step]:
    yield (
        "What the blocks are to act on: K copies of x, copy k scaled by z_k",
        sp.Eq(product[unit_of(m)], logits.rhs.function / down_projection.rhs),
    )


@equation("19", "Logic module, one matrix", follows_from=(logits, down_projection, stacked_vector))
def one_matrix(logits: sp.Eq, down_projection: sp.Eq, stacked_vector: sp.Eq) -> Iterator[Step]:
    by_block = over(down_projection.lhs * stacked_vector.lhs, k, m)
    written_out = by_block.xreplace(dict([down_projection.args, stacked_vector.args]))
    require(expand_sums(written_out) == expand_sums(logits.rhs), "the blocks do not give (6)")
    yield "Block by block", sp.Eq(y[i, n], by_block)
    summand = by_block.function.xreplace({unit_of(m): unit})
    yield (
        "Blocks and entries run through all K N units once",
        sp.Eq(y[i, n], sp.Sum(summand, (unit, 1, K * N))),
    )


@equation("20", "GLU without biases", status=Status.DEFINITION)
def glu() -> Iterator[Step]:
    gate = sp.Sum(W_gate[unit, entry] * h[entry], (entry, 1, K + N))
    up = sp.Sum(W_up[unit, entry] * h[entry], (entry, 1, K + N))
    yield "The gate, one number for each hidden unit", gate
    yield "The up-projection, one number for each hidden unit", up
    hidden = activation(gate) * up
    yield (
        "Multiply entry by entry and project down",
        sp.Eq(glu_output[n], sp.Sum(W_down[n, unit] * hidden, (unit, 1, K * N))),
    )


def projection(target: sp.Expr) -> sp.Piecewise:
    """The row of weights on h = (z; x) that yields ``target``, linear in z and x.

    Column kappa = 1..K multiplies z_kappa, column K + m multiplies x_m.
    """
    on_z = sp.diff(target, z[i, entry])
    on_x = sp.diff(target, x[i, m]).xreplace({m: entry - K})
    return sp.Piecewise((on_z, entry <= K), (on_x, True))


def applied(layer: sp.Sum, weights: dict[sp.Expr, sp.Piecewise]) -> sp.Expr:
    """A layer of the GLU on h = (z; x): its sum over 1..K + N split into the part on z and on x."""
    require(layer.limits == (sp.Tuple(entry, 1, K + N),), "the layer does not read all of h")
    (row,) = (row for weight, row in weights.items() if layer.has(weight))
    (on_z, _), (on_x, _) = row.args
    by_z, by_x = (
        layer.function.xreplace({**dict.fromkeys(weights, part), h[entry]: read})
        for part, read in ((on_z, z[i, entry]), (on_x, x[i, entry - K]))
    )
    return contract(
        over(by_z.xreplace({entry: k_prime}), k_prime)
        + over(by_x.xreplace({entry: K + m_prime}), m_prime)
    )


@equation("21", "Up-projection", follows_from=(stacked_vector,))
def up_projection(stacked_vector: sp.Eq) -> Iterator[Step]:
    copy = sp.diff(stacked_vector.rhs, z[i, k]).xreplace({m: n})
    yield "The factor of x: every block holds a copy", copy
    yield (
        "Its slopes in h are the weights: nothing from z, the identity on x",
        sp.Eq(W_up[unit_of(n), entry], projection(copy)),
    )


@equation("22", "Gate projection", follows_from=(stacked_vector,))
def gate_projection(stacked_vector: sp.Eq) -> Iterator[Step]:
    scale = sp.diff(stacked_vector.rhs, x[i, m])
    yield "The factor of z: the same for every entry of block k", scale
    yield (
        "Its slopes in h are the weights: ones in column k of block k, nothing from x",
        sp.Eq(W_gate[unit_of(n), entry], projection(scale)),
    )


@equation(
    "22b",
    "The GLU is the logic module",
    follows_from=(glu, down_projection, up_projection, gate_projection),
)
def glu_is_logic_module(
    glu: sp.Eq, down_projection: sp.Eq, up_projection: sp.Eq, gate_projection: sp.Eq
) -> Iterator[Step]:
    rows = {W_up[unit, entry]: up_projection.rhs, W_gate[unit, entry]: gate_projection.rhs}
    sums = sorted(glu.rhs.function.atoms(sp.Sum), key=str)
    layers = {layer: applied(layer, rows).xreplace({n: m}) for layer in sums}
    for layer, written_out in layers.items():
        yield "Unit (k, m) of one layer", sp.Eq(layer.xreplace({unit: unit_of(m)}), written_out)
    by_block = glu.rhs.function.xreplace(layers).xreplace({unit: unit_of(m)})
    inserted = over(by_block.xreplace(dict([down_projection.args])), k, m)
    yield "Sum over the units block by block", sp.Eq(glu_output[n], inserted)
    yield (
        "With the identity as activation this is (6)",
        sp.Eq(glu_output[n], inserted.replace(activation, lambda number: number)),
    )


@equation(
    "23",
    "Bundled query matrix",
    status=Status.DEFINITION,
    note="The key matrix in the same way.",
)
def bundled_queries() -> Iterator[Step]:
    yield (
        "The one learnable column, once for each of the K + N tokens",
        sp.Eq(query_matrix[r, entry], query[r]),
    )


@equation("24", "Every token has the same query", follows_from=(bundled_queries,))
def same_query(bundled_queries: sp.Eq) -> Iterator[Step]:
    tokens = (entry, 1, K + N)
    embedded = sp.Sum(bundled_queries.lhs * one_hot[entry], tokens)
    yield "The query of an embedded token", embedded
    picked = sp.Sum(bundled_queries.rhs * delta(entry, token), tokens)
    yield "The token is one-hot, whichever it is", picked
    yield "One column is left, and all are q", sp.Eq(embedded, contract(picked))


@equation("23b", "Value map", follows_from=(values,))
def value_map(values: sp.Eq) -> Iterator[Step]:
    (of_action, is_action), (of_state, _) = values.rhs.args
    require(is_action.canonical == (j <= T).canonical, "not the actions alone carry a value")
    yield "The value of an action, and of a state", sp.Tuple(of_action, of_state)
    column = sp.Piecewise((of_action.xreplace({a[j]: entry}), entry <= K), (of_state, True))
    yield (
        "One column for each token, actions first: the identity on actions, zero on states",
        sp.Eq(value_matrix[k, entry], column),
    )


@equation("24b", "Values of the tokens", follows_from=(value_map,))
def token_values(value_map: sp.Eq) -> Iterator[Step]:
    embedded = sp.Sum(value_map.lhs * one_hot[entry], (entry, 1, K + N))
    yield "The value of an embedded token", embedded
    picked = contract(embedded.xreplace({one_hot[entry]: delta(entry, token)}))
    yield "The token is one-hot: one column is left", picked
    value = value_map.rhs.xreplace({entry: token})
    yield "as (27) has it", sp.Eq(embedded, value)


# --- checks --------------------------------------------------------------------------------------

SHAPES = ((1, 1), (1, 3), (2, 2), (2, 3), (3, 2), (3, 4))  # (K, N)

Entries = dict[tuple[int, ...], sp.Expr]


def entries(statement: sp.Eq, sizes: dict[sp.Symbol, int]) -> Entries:
    """All entries that a statement about one entry gives, its free indices run through."""
    K_value, N_value = sizes[K], sizes[N]
    last = {k: K_value, n: N_value, m: N_value, entry: K_value + N_value, r: 2}
    at_sizes = statement.xreplace({symbol: sp.Integer(size) for symbol, size in sizes.items()})
    letters = sorted(at_sizes.lhs.free_symbols & set(last), key=str)
    given: Entries = {}
    for place in itertools.product(*(range(1, last[letter] + 1) for letter in letters)):
        at = at_sizes.subs(dict(zip(letters, place, strict=True)))
        index = tuple(map(int, at.lhs.indices))
        require(index not in given, f"entry {index} is given twice")
        given[index] = at.rhs
    return given


def as_matrix(given: Entries, rows: int, columns: int) -> sp.Matrix:
    """The same as a matrix, which must be full."""
    require(len(given) == rows * columns, f"{len(given)} of {rows * columns} entries are given")
    return sp.Matrix(rows, columns, lambda row, column: given[row + 1, column + 1])


def drawn(rng: random.Random, rows: int, columns: int) -> sp.Matrix:
    """A matrix of random rationals."""
    return sp.Matrix(rows, columns, lambda *_: sp.Rational(rng.randint(-9, 9), rng.randint(1, 5)))


def small_layer(K_value: int, N_value: int) -> tuple[dict[sp.IndexedBase, Entries], list[sp.Expr]]:
    """Random rational z, x and W, and the logits by (6): the sum of z_k W_k x, in matrices."""
    rng = random.Random(f"{K_value} {N_value}")
    head, current = drawn(rng, 1, K_value), drawn(rng, N_value, 1)
    logic = [drawn(rng, N_value, N_value) for _ in range(K_value)]
    mixed = sum((head[q] * logic[q] for q in range(K_value)), sp.zeros(N_value))
    arrays: dict[sp.IndexedBase, Entries] = {
        z: {(1, q + 1): head[q] for q in range(K_value)},
        x: {(1, q + 1): current[q] for q in range(N_value)},
        W: {
            (q + 1, row + 1, column + 1): logic[q][row, column]
            for q in range(K_value)
            for row, column in itertools.product(range(N_value), repeat=2)
        },
    }
    return arrays, list(mixed * current)


@check(
    down_projection,
    stacked_vector,
    one_matrix,
    kind=Kind.NUMERIC,
    says="z, x and W_k in random rationals: the one wide matrix against the sum of z_k W_k x",
)
def wide_matrix(down_projection: sp.Eq, stacked_vector: sp.Eq, one_matrix: sp.Eq) -> str:
    for K_value, N_value in SHAPES:
        sizes = {K: K_value, N: N_value, i: 1}
        arrays, exact = small_layer(K_value, N_value)
        arrays[W_down] = entries(down_projection, sizes)
        arrays[product] = entries(stacked_vector, sizes)
        for state, logit in enumerate(exact, start=1):
            claimed = numbers(one_matrix.rhs, {**sizes, n: state}, arrays)
            require(claimed == logit, f"logit {claimed} instead of {logit}")
    return "every logit at six (K, N), residual 0"


@check(
    up_projection,
    gate_projection,
    kind=Kind.IDENTITY,
    says="the explicit matrices are 1_K (x) [0 | I_N] and [I_K (x) 1_N | 0]",
)
def block_structure(up_projection: sp.Eq, gate_projection: sp.Eq) -> str:
    for K_value, N_value in SHAPES:
        sizes = {K: K_value, N: N_value}
        shape = (K_value * N_value, K_value + N_value)
        copy = sp.Matrix.hstack(sp.zeros(N_value, K_value), sp.eye(N_value))
        up = sp.Matrix.vstack(*[copy] * K_value)
        spread = sp.Matrix.diag(*[sp.ones(N_value, 1)] * K_value)
        gate = sp.Matrix.hstack(spread, sp.zeros(K_value * N_value, N_value))
        for statement, blocks in ((up_projection, up), (gate_projection, gate)):
            claimed = as_matrix(entries(statement, sizes), *shape)
            require(claimed == blocks, f"{claimed} instead of {blocks}")
    return "six (K, N), residual 0"


@check(
    glu,
    kind=Kind.NUMERIC,
    says="three random matrices multiplied, the activation a square",
)
def glu_of_random_matrices(glu: sp.Eq) -> str:
    for K_value, N_value in SHAPES:
        units, width = K_value * N_value, K_value + N_value
        rng = random.Random(f"{K_value} {N_value}")
        down, up, gate, vector = (
            drawn(rng, *shape)
            for shape in ((N_value, units), (units, width), (units, width), (width, 1))
        )
        gates = (gate * vector).applyfunc(square)
        exact = down * sp.matrix_multiply_elementwise(gates, up * vector)
        arrays: dict[sp.IndexedBase, Entries] = {
            base: {(row + 1, column + 1): matrix[row, column] for row, column in positions(matrix)}
            for base, matrix in ((W_down, down), (W_up, up), (W_gate, gate))
        }
        arrays[h] = {(row + 1,): vector[row] for row in range(width)}
        for state in range(N_value):
            at = {K: K_value, N: N_value, n: state + 1}
            claimed = numbers(glu.rhs.replace(activation, square), at, arrays)
            require(claimed == exact[state], f"the GLU gives {claimed}, not {exact[state]}")
    return "every output at six (K, N), residual 0"


def square(number: sp.Expr) -> sp.Expr:
    """An activation that is not the identity."""
    return number**2


def positions(matrix: sp.Matrix) -> Iterator[tuple[int, int]]:
    """All (row, column) of ``matrix``."""
    return itertools.product(range(matrix.rows), range(matrix.cols))


@check(
    glu,
    glu_is_logic_module,
    up_projection,
    gate_projection,
    kind=Kind.NUMERIC,
    says="the GLU run on h = (z; x) in random rationals against the sum of z_k W_k x",
)
def glu_at_work(
    glu: sp.Eq, glu_is_logic_module: sp.Eq, up_projection: sp.Eq, gate_projection: sp.Eq
) -> str:
    for K_value, N_value in SHAPES[:5]:
        sizes = {K: K_value, N: N_value, i: 1}
        arrays, exact = small_layer(K_value, N_value)
        z_and_x = [*arrays[z].values(), *arrays[x].values()]
        arrays[h] = {(q,): value for q, value in enumerate(z_and_x, start=1)}
        arrays[W_up] = entries(up_projection, sizes)
        arrays[W_gate] = entries(gate_projection, sizes)
        arrays[W_down] = {
            (row, (block - 1) * N_value + column): value
            for (block, row, column), value in arrays[W].items()
        }
        for state, logit in enumerate(exact, start=1):
            at = {**sizes, n: state}
            through_layers = numbers(glu.rhs.replace(activation, lambda number: number), at, arrays)
            claimed = numbers(glu_is_logic_module.rhs, at, arrays)
            require(through_layers == logit, f"the GLU gives {through_layers}, (6) gives {logit}")
            require(claimed == logit, f"(22b) gives {claimed}, (6) gives {logit}")
    return "every logit at five (K, N), residual 0"


@check(
    value_map,
    token_values,
    kind=Kind.IDENTITY,
    says="the explicit matrix is [I_K | 0]; every action gets its one-hot, every state nothing",
)
def every_value(value_map: sp.Eq, token_values: sp.Eq) -> str:
    for K_value, N_value in SHAPES:
        sizes = {K: K_value, N: N_value}
        blocks = sp.Matrix.hstack(sp.eye(K_value), sp.zeros(K_value, N_value))
        claimed = as_matrix(entries(value_map, sizes), *blocks.shape)
        require(claimed == blocks, f"{claimed} instead of {blocks}")
        for row, column in positions(blocks):
            value = token_values.rhs.subs({**sizes, k: row + 1, token: column + 1})
            require(value == blocks[row, column], f"value {value} of token {column + 1}")
    return "six (K, N), residual 0"


@check(
    bundled_queries,
    same_query,
    kind=Kind.IDENTITY,
    says="the explicit matrix on every one-hot token",
)
def every_token(bundled_queries: sp.Eq, same_query: sp.Eq) -> str:
    vector = sp.Matrix([query[1], query[2]])
    for K_value, N_value in SHAPES:
        tokens = K_value + N_value
        bundled = as_matrix(entries(bundled_queries, {K: K_value, N: N_value}), 2, tokens)
        claimed = sp.Matrix([same_query.rhs.subs(r, row) for row in (1, 2)])
        for index in range(tokens):
            embedded = bundled * sp.eye(tokens)[:, index]
            require(embedded == vector, f"token {index + 1} has query {list(embedded)}")
            require(embedded == claimed, f"(24) claims {list(claimed)}")
    return "every token at six (K, N), d = 2, residual 0"
