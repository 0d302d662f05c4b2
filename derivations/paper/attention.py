"""(5), (60)-(69): rotary attention and the gradient of the retrieval R, nothing approximated.

RoPE plane r consists of the entries r and r + d/2 of a query or key; a block of four numbers
[[c, -s], [s, c]] acts on it. Training time is eta * epoch, so a weight moves by -dL/dw per unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import sympy as sp
from sympy.simplify.fu import TR8

from derivations.models.rotary_head import (
    STEP,
    Head,
    Real,
    by_position,
    entries,
    exact,
    mp,
    random_heads,
)  # fmt: skip
from derivations.models.sums import contract, expand_sums, numbers
from derivations.paper.definitions import attention, retrieval
from derivations.paper.loss import attention_drive
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
    A,
    F,
    G,
    K,
    L,
    N,
    Q,
    R,
    S,
    T,
    d,
    eta,
    g,
    i,
    j,
    l,
    omega,
    p,
    r,
    t,
    u,
)  # fmt: skip

delta = sp.KroneckerDelta
TORCH = "tests/derivations/test_attention_autograd.py"

query = sp.IndexedBase("q", real=True)  # query[r], r = 0..d-1: the query weights
key = sp.IndexedBase("k", real=True)  # key[r]: the key weights
turned_query = sp.IndexedBase(r"\tilde{q}", real=True)  # turned_query[p, r]: after RoPE at p
turned_key = sp.IndexedBase(r"\tilde{k}", real=True)
rope_base = sp.Symbol("b", positive=True)  # RoPE base, called rope_theta in code
other_row = sp.Symbol("i'", integer=True, positive=True)  # a second prediction position
lag = sp.Symbol("m", integer=True, positive=True)  # distance of two positions, 1..T-1
M_cos = sp.IndexedBase(r"M^{\cos}", real=True)  # block r of M is [[M_cos, -M_sin], [M_sin, M_cos]]
M_sin = sp.IndexedBase(r"M^{\sin}", real=True)
R_dot = sp.Symbol(r"\dot{R}", real=True)  # dR/dt
weight = sp.Symbol("w", real=True)  # any one entry of query or key
weight_change = sp.Symbol(r"\Delta w", real=True)  # its change in one step
weight_dot = sp.Symbol(r"\dot{w}", real=True)  # dw/dt
grad_R = sp.Symbol(r"\nabla R", real=True)  # derivative of R in any one weight
grad_u = sp.IndexedBase(r"\nabla u", real=True)  # grad_u[i, j]: derivative of u_ij in that weight

M_block = sp.ImmutableMatrix([[M_cos[r], -M_sin[r]], [M_sin[r], M_cos[r]]])
PLANES = (r, 0, d / 2 - 1)
PREDICTORS = (i, T + 1, 2 * T)
ENTRIES = (r, 0, d - 1)


def rotation(angle: sp.Expr) -> sp.ImmutableMatrix:
    """The turn of one plane by ``angle``."""
    return sp.ImmutableMatrix([[sp.cos(angle), -sp.sin(angle)], [sp.sin(angle), sp.cos(angle)]])


def plane(vector: sp.IndexedBase, *position: sp.Expr) -> sp.ImmutableMatrix:
    """The two entries of ``vector`` in plane r, a column."""
    first, second = (*position, r), (*position, r + d / 2)
    return sp.ImmutableMatrix([vector[first], vector[second]])


def at_offset(expr: sp.Basic) -> sp.Basic:
    """``expr`` at the lag j - i."""
    return expr.subs(lag, j - i)


# --- rotary attention logits ---------------------------------------------------------------------


@equation("5a", "Rotary position encoding", status=Status.DEFINITION)
def rope() -> Iterator[Step]:
    yield (
        "At position p plane r of a query turns by the angle omega_r p; keys alike",
        sp.Eq(plane(turned_query, p), rotation(omega[r] * p) * plane(query)),
    )


@shown("b**(-2*r/d)")
@equation(
    "5b",
    "RoPE frequencies",
    status=Status.DEFINITION,
    note="The power law; the paper's alternative is the linear grid (5f). Nothing below depends on "
    "the law.",
)
def frequencies() -> Iterator[Step]:
    yield "From 1 down to nearly 1/b", sp.Eq(omega[r], rope_base ** (-2 * r / d))


@shown("1 - (1 - 1/b)*(2*r/d)")
@equation("5f", "RoPE frequencies on a linear grid", status=Status.DEFINITION)
def linear_frequencies() -> Iterator[Step]:
    share = r / (d / 2)
    yield "Plane r of d/2 has gone this share of the way", share
    yield (
        "From 1 down to nearly 1/b in even steps",
        sp.Eq(omega[r], 1 - (1 - 1 / rope_base) * share),
    )


@check(
    frequencies,
    linear_frequencies,
    kind=Kind.IDENTITY,
    says="from 1 to 1/b at r = d/2, by a constant ratio or by a constant difference",
)
def grids_of_frequencies(power: sp.Eq, linear: sp.Eq) -> str:
    for law in (power.rhs, linear.rhs):
        ends = [sp.simplify(law.subs(r, end)) for end in (0, d / 2)]
        require(ends == [1, 1 / rope_base], f"{law} runs from {ends[0]} to {ends[1]}")
    ratio = sp.simplify(power.rhs.subs(r, r + 1) / power.rhs)
    difference = sp.simplify(linear.rhs.subs(r, r + 1) - linear.rhs)
    require(not ratio.has(r) and not difference.has(r), "the steps are not even")
    return "ends exact, steps even"


@equation("4d", "Attention logit", status=Status.DEFINITION)
def attention_logit_by_position() -> Iterator[Step]:
    product = sp.Sum(turned_query[i, r] * turned_key[j, r], ENTRIES)
    yield "Product of the turned query and key, over sqrt(d)", sp.Eq(u[i, j], product / sp.sqrt(d))


@equation("5", "RoPE identity", follows_from=(rope,))
def rope_identity(rope: sp.Eq) -> Iterator[Step]:
    turn = rope.rhs.jacobian(plane(query))
    relative = (turn.subs(p, i).T * turn.subs(p, i + lag)).applyfunc(TR8)
    both = sp.MatMul(turn.subs(p, i).T, turn.subs(p, j), evaluate=False)
    yield (
        "Turning back at i and forth at j is one turn, by the offset",
        sp.Eq(both, at_offset(relative)),
    )
    product = sp.expand((plane(query).T * relative * plane(key))[0])
    waves = [function(omega[r] * lag) for function in (sp.cos, sp.sin)]
    ordered = at_offset(sp.collect(product, waves))
    yield "Between a query and a key, in plane r", ordered
    yield (
        "Sum over planes: positions enter by the offset alone",
        sp.Eq(
            sp.Sum(turned_query[i, r] * turned_key[j, r], ENTRIES),
            sp.Sum(ordered, PLANES),
        ),
    )


@equation(
    "5c", "Attention logit by offset", follows_from=(attention_logit_by_position, rope_identity)
)
def attention_logit(attention_logit_by_position: sp.Eq, rope_identity: sp.Eq) -> Iterator[Step]:
    yield (
        "Insert (5) into (4d)",
        attention_logit_by_position.xreplace({rope_identity.lhs: rope_identity.rhs}),
    )


@equation(
    "5d",
    "Teacher's attention logit",
    follows_from=(attention_logit,),
    note="In complex numbers the product of query and key in plane r is q_r k_r^*, with a phase "
    "of -omega_r T: the key is the query turned by T positions.",
)
def teacher_attention_logit(attention_logit: sp.Eq) -> Iterator[Step]:
    keys = rotation(omega[r] * T) * plane(query)
    yield "Let the key be the query turned by T positions", sp.Eq(plane(key), keys)
    (total,) = attention_logit.rhs.atoms(sp.Sum)
    turned = total.function.xreplace(dict(zip(plane(key), keys, strict=True)))
    summand = sp.factor(sp.expand(TR8(sp.expand(turned))))
    yield (
        "Every plane is largest at j = i - T",
        sp.Eq(u[i, j], attention_logit.rhs / total * sp.Sum(summand, PLANES)),
    )


@equation(
    "5e",
    "Lead of the right action in the teacher's attention",
    follows_from=(teacher_attention_logit,),
    note="It grows with the square of the query, so that the attention comes as near to one-hot, "
    "and R to 1, as one likes, unless a lag turns every plane by whole turns.",
)
def teacher_lead(teacher_attention_logit: sp.Eq) -> Iterator[Step]:
    logit = teacher_attention_logit.rhs
    (total,) = logit.atoms(sp.Sum)
    summand = total.function.subs(j, i - T) - total.function
    half = sp.factor(summand.replace(sp.cos, lambda angle: 1 - 2 * sp.sin(angle / 2) ** 2))
    yield "No plane contributes less than 0", half
    yield (
        "In all",
        sp.Eq(u[i, i - T] - u[i, j], logit / total * sp.Sum(half, *total.limits), evaluate=False),
    )


# --- gradient of R -------------------------------------------------------------------------------


@shown("A[i, j]*KroneckerDelta(i, i_prime)*(KroneckerDelta(j, l) - A[i, l])")
@equation("67", "Softmax derivative", follows_from=(attention,))
def softmax_slope(attention: sp.Eq) -> Iterator[Step]:
    normaliser = sp.Sum(sp.exp(u[i, l]), (l, 1, T))
    Z = sp.Symbol("Z", positive=True)
    partner = sp.Symbol("l'", integer=True, positive=True)
    slope = contract_each_sum(sp.diff(attention.rhs, u[other_row, partner]).subs(normaliser, Z))
    yield "Differentiate (4a), Z the normaliser", slope.xreplace({partner: l})
    own_row = sp.expand(slope.xreplace({u[other_row, partner]: u[i, partner]}))
    in_attention = sp.expand(
        own_row.xreplace({sp.exp(u[i, q]): A[i, q] * Z for q in (j, partner)})
    ).xreplace({partner: l})
    yield (
        "In terms of the attention itself; a logit acts on its own row alone",
        sp.Eq(sp.Derivative(A[i, j], u[other_row, l]), sp.factor(in_attention)),
    )


def contract_each_sum(expr: sp.Expr) -> sp.Expr:
    """Carry out the summed deltas of every sum in ``expr`` on its own."""
    return expr.xreplace({total: contract(total) for total in expr.atoms(sp.Sum)})


@shown("1/T*A[i, i - T]*(KroneckerDelta(j, i - T) - A[i, j])")
@equation("68", "Retrieval by attention logit", follows_from=(retrieval, softmax_slope))
def retrieval_slope(retrieval: sp.Eq, softmax_slope: sp.Eq) -> Iterator[Step]:
    column = sp.Symbol("j'", integer=True, positive=True)
    letters = {i: other_row, other_row: i, j: other_row - T, l: column}
    slope = softmax_slope.rhs.subs(letters, simultaneous=True).xreplace({column: j})
    by_row = retrieval.rhs.xreplace({i: other_row}).xreplace({A[other_row, other_row - T]: slope})
    yield "By (67) the slope of (8) in one logit is", by_row
    yield "One row is left", sp.Eq(sp.Derivative(R, u[i, j]), sp.factor(contract(by_row)))


@shown(
    "1/T*Sum(A[i, i - T]*(nabla_u[i, i - T] - Sum(A[i, j]*nabla_u[i, j], (j, 1, T))), (i, T "
    "+ 1, 2*T))"
)
@equation("62", "Gradient of the retrieval", follows_from=(retrieval_slope,))
def retrieval_gradient(retrieval_slope: sp.Eq) -> Iterator[Step]:
    chain = sp.Sum(retrieval_slope.rhs * grad_u[i, j], (j, 1, T), PREDICTORS)
    yield "A weight acts through every logit", chain
    own = A[i, i - T] / T
    bracket = sp.expand(contract(sp.Sum(retrieval_slope.rhs * grad_u[i, j], (j, 1, T))) / own)
    by_row = sp.Sum(A[i, i - T] * bracket, PREDICTORS) / T
    require(expand_sums(by_row) == contract(chain), "the rows do not add up")
    yield "Row by row", sp.Eq(grad_R, by_row)


def slope_in_plane(quantity: sp.Expr, vector: sp.IndexedBase) -> sp.ImmutableMatrix:
    """The derivatives of ``quantity`` in the two entries of plane r, unevaluated."""
    return plane(vector).applyfunc(lambda entry: sp.Derivative(quantity, entry))


@equation(
    "65",
    "Attention logit by query",
    follows_from=(attention_logit,),
    note="Which of the four slopes the paper numbers (65), (66), (67) and (68) is a reading.",
)
def logit_by_query(attention_logit: sp.Eq) -> Iterator[Step]:
    yield from _logit_slope(attention_logit, query)


@equation("66", "Attention logit by key", follows_from=(attention_logit,))
def logit_by_key(attention_logit: sp.Eq) -> Iterator[Step]:
    yield from _logit_slope(attention_logit, key)


def _logit_slope(attention_logit: sp.Eq, vector: sp.IndexedBase) -> Iterator[Step]:
    (total,) = attention_logit.rhs.atoms(sp.Sum)
    own_plane = attention_logit.rhs / total * total.function
    yield "The one plane the entry is in", own_plane
    slope = plane(vector).applyfunc(lambda entry: sp.diff(own_plane, entry))
    yield "Differentiate in both entries", sp.Eq(slope_in_plane(u[i, j], vector), slope)


def insert_logit_slope(retrieval_gradient: sp.Eq, slope: sp.Expr) -> sp.Expr:
    """(62) with ``slope``, an expression in i and j, for the gradient of u_ij."""

    def at(entry: sp.Indexed) -> sp.Expr:
        return slope.subs(dict(zip((i, j), entry.indices, strict=True)), simultaneous=True)

    return retrieval_gradient.rhs.replace(
        lambda e: isinstance(e, sp.Indexed) and e.base == grad_u, at
    )


# --- R in training time --------------------------------------------------------------------------


@equation("13b", "Gradient step on a query or key weight", status=Status.DEFINITION)
def weight_step() -> Iterator[Step]:
    yield "Downhill on the mean-field loss", sp.Eq(weight_change, -eta * sp.Derivative(L, weight))


@shown(
    "Sum(-Derivative(L, q[r])*Derivative(R, q[r]) - Derivative(L, k[r])"
    "*Derivative(R, k[r]), (r, 0, d - 1))"
)
@equation("60", "Retrieval under gradient flow", follows_from=(weight_step,))
def retrieval_flow(weight_step: sp.Eq) -> Iterator[Step]:
    def chain_rule(entries: Iterable[sp.Expr]) -> sp.Expr:
        weights = [(vector, e) for vector in (query, key) for e in entries]
        moving = [sp.Function(vector.name)(e, t) for vector, e in weights]
        R_t, parts = sp.Function("R")(*moving), {}
        for (vector, e), function in zip(weights, moving, strict=True):
            per_time = weight_step.rhs.xreplace({weight: vector[e]}) / eta
            parts[sp.Derivative(function, t)] = per_time
            parts[sp.Derivative(R_t, function)] = sp.Derivative(R, vector[e])
        return sp.diff(R_t, t).xreplace(parts)

    yield "One epoch takes eta of training time and moves a weight by", weight_step
    summand = chain_rule([r])
    yield "Chain rule for the two weights of entry r", summand
    two_entries = sp.Add(*(summand.xreplace({r: e}) for e in (sp.Integer(0), sp.Integer(1))))
    require(sp.expand(chain_rule([0, 1]) - two_entries) == 0, "the entries do not add up")
    yield "Every entry adds its own", sp.Eq(R_dot, sp.Sum(summand, ENTRIES))


@shown("-Derivative(L, R)*Sum(Derivative(R, q[r])**2 + Derivative(R, k[r])**2, (r, 0, d - 1))")
@equation(
    "61",
    "Retrieval driven by the loss",
    follows_from=(retrieval_flow,),
    note="Time is eta * epoch. The paper's unit is a reading: in units of NK eta epochs, the "
    "likeliest, the right side gets a factor NK.",
)
def retrieval_drive(retrieval_flow: sp.Eq) -> Iterator[Step]:
    R_w = sp.Function("R")(weight)
    chain = sp.diff(sp.Function("L")(R_w), weight)
    yield "Queries and keys enter the mean-field loss through R alone", chain
    through_R = {
        sp.Derivative(L, vector[r]): chain.subs(
            sp.Derivative(R_w, weight), sp.Derivative(R, vector[r])
        ).subs(sp.Derivative(sp.Function("L")(R_w), R_w), sp.Derivative(L, R))
        for vector in (query, key)
    }
    summand = retrieval_flow.rhs.function.xreplace(through_R)
    slope, squares = sp.factor(summand).as_independent(query, key, as_Add=False)
    yield (
        "The slope of the loss is common to all entries",
        sp.Eq(R_dot, slope * sp.Sum(squares, ENTRIES)),
    )


@equation("61c", "Flow of one weight", follows_from=(weight_step,))
def weight_flow(weight_step: sp.Eq) -> Iterator[Step]:
    R_w = sp.Function("R")(weight)
    L_w = sp.Function("L")(R_w)
    slope = {sp.Derivative(L, weight): sp.diff(L_w, weight)}
    velocity = weight_step.rhs.xreplace(slope) / eta
    yield "Minus the gradient of the loss, which sees the weight through R alone", velocity
    named = ((sp.Derivative(L_w, R_w), -F), (sp.Derivative(R_w, weight), sp.Derivative(R, weight)))
    yield "With the drive F = -dL/dR", sp.Eq(weight_dot, velocity.subs(named))


@shown("Sum(Derivative(R, q[r])**2 + Derivative(R, k[r])**2, (r, 0, d - 1))")
@equation("63", "Attention gradient G", status=Status.DEFINITION)
def attention_gradient() -> Iterator[Step]:
    squares = sum(sp.Derivative(R, vector[r]) ** 2 for vector in (query, key))
    yield "Squared length of the gradient of R in all weights", sp.Eq(G, sp.Sum(squares, ENTRIES))


@shown("g*(N/(N - 1))*((K - 1)/K)*(Q - S)*G")
@equation(
    "64", "Retrieval dynamics", follows_from=(retrieval_drive, attention_gradient, attention_drive)
)
def retrieval_growth(
    retrieval_drive: sp.Eq, attention_gradient: sp.Eq, attention_drive: sp.Eq
) -> Iterator[Step]:
    in_G = retrieval_drive.rhs.xreplace({attention_gradient.rhs: G})
    yield "Name the squared gradient", sp.Eq(R_dot, in_G)
    in_F = in_G.xreplace({sp.Derivative(L, R): -F})
    yield "Name the drive F = -dL/dR", sp.Eq(R_dot, in_F)
    yield "Insert it", sp.Eq(R_dot, in_F.xreplace({F: attention_drive.rhs}))


# --- G as a quadratic form -----------------------------------------------------------------------


@equation("69a", "The matrix M", follows_from=(retrieval_gradient, logit_by_query))
def matrix_M(retrieval_gradient: sp.Eq, logit_by_query: sp.Eq) -> Iterator[Step]:
    gradient = logit_by_query.rhs.applyfunc(lambda s: insert_logit_slope(retrieval_gradient, s))
    yield "Insert (65) into (62)", sp.Eq(slope_in_plane(R, query), gradient)
    yield (
        "M is what acts on k / sqrt(d): one block for each plane",
        sp.Eq(M_block, _acting_on(key, retrieval_gradient, logit_by_query)),
    )


def _acting_on(
    vector: sp.IndexedBase, retrieval_gradient: sp.Eq, slope: sp.Eq
) -> sp.ImmutableMatrix:
    """The 2 x 2 matrix in front of ``vector``/sqrt(d) in the gradient of R, plane r."""
    turn = (sp.sqrt(d) * slope.rhs).jacobian(plane(vector))
    return turn.applyfunc(lambda entry: insert_logit_slope(retrieval_gradient, entry))


@shown(
    "1/d*Sum((q[r]**2 + q[r + d/2]**2 + k[r]**2 + k[r + d/2]**2)*(Mcos[r]**2 "
    "+ Msin[r]**2), (r, 0, d/2 - 1))"
)
@equation(
    "69",
    "G as a quadratic form",
    follows_from=(attention_gradient, matrix_M, retrieval_gradient, logit_by_key),
)
def quadratic_form(
    attention_gradient: sp.Eq, matrix_M: sp.Eq, retrieval_gradient: sp.Eq, logit_by_key: sp.Eq
) -> Iterator[Step]:
    for_key = _acting_on(query, retrieval_gradient, logit_by_key)
    require(for_key == matrix_M.rhs.T, "the gradient in k is not the transpose of that in q")
    of_query, of_key = M_block * plane(key) / sp.sqrt(d), M_block.T * plane(query) / sp.sqrt(d)
    yield "Gradient in the query, by (69a)", sp.Eq(slope_in_plane(R, query), of_query)
    yield "In the key it is the transpose that acts", sp.Eq(slope_in_plane(R, key), of_key)
    by_plane = sum(plane_sum(square) for square in attention_gradient.rhs.function.args)
    inserted = by_plane.xreplace(
        dict(
            zip(
                [*slope_in_plane(R, query), *slope_in_plane(R, key)],
                [*of_query, *of_key],
                strict=True,
            )
        )
    )
    yield "Summand of (63), plane by plane", inserted
    yield (
        "k M^T M k + q M M^T q, and every block of M is a turn times a length",
        sp.Eq(G, sp.Sum(sp.factor(sp.expand(d * inserted)), PLANES) / d),
    )


def plane_sum(summand: sp.Expr) -> sp.Expr:
    """A summand over all d entries as one over the d/2 planes."""
    return summand + summand.subs({query[r]: query[r + d / 2], key[r]: key[r + d / 2]})


# --- checks --------------------------------------------------------------------------------------


def close(claimed: sp.Expr, measured: sp.Expr | Real, what: str) -> sp.Float:
    """Relative deviation of two numbers; refuses more than central differences explain."""
    measured = measured if isinstance(measured, sp.Expr) else exact(measured)
    gap = abs(sp.N(claimed, 30) - measured)
    require(
        bool(gap < abs(measured) * sp.Float(10) ** -15),
        f"{what}: {claimed} but measured {measured}",
    )
    return gap / abs(measured)


def weights_of(head: Head) -> dict[sp.IndexedBase, dict]:
    """Queries, keys, frequencies and attention of ``head`` as ``sums.numbers`` takes them."""
    return {
        query: entries(head.q),
        key: entries(head.k),
        omega: entries(head.omega),
        A: by_position(head.attention()),
    }


def positions(head: Head) -> list[tuple[int, int]]:
    """Every prediction position with every action position."""
    return [
        (row, column)
        for row in range(head.T + 1, 2 * head.T + 1)
        for column in range(1, head.T + 1)
    ]


def logit_at(row: int, column: int) -> Callable[[Head], Real]:
    """The attention logit at a pair of positions, as a function of the head."""
    return lambda head: head.logits()[row - head.T - 1][column - 1]


@check(
    rope_identity,
    attention_logit,
    kind=Kind.NUMERIC,
    says="each vector turned at its own position, 40 digits",
)
def turned_one_by_one(rope_identity: sp.Eq, attention_logit: sp.Eq) -> str:
    worst = sp.Float(0)
    for head in random_heads():
        for statement, scale in ((rope_identity, sp.sqrt(head.d)), (attention_logit, 1)):
            planes = statement.rhs.subs(head.sizes()).doit()
            for row, column in positions(head):
                measured = exact(logit_at(row, column)(head)) * scale
                claimed = numbers(planes, {i: row, j: column}, weights_of(head))
                worst = max(worst, close(claimed, measured, "logit"))
    return f"every pair of positions at two (T, d), largest deviation {sp.N(worst, 1)}"


@check(
    teacher_attention_logit,
    teacher_lead,
    kind=Kind.NUMERIC,
    says="every key its query turned by T: logits one by one, and R as the weights grow",
)
def teacher_realised(teacher_attention_logit: sp.Eq, teacher_lead: sp.Eq) -> str:
    worst, missed = sp.Float(0), 0.0
    for head in random_heads():
        pairs = zip(head.q[: head.d // 2], head.q[head.d // 2 :], head.omega, strict=True)
        keys = [mp.mpc(*pair) * mp.expj(w * head.T) for *pair, w in pairs]
        key_weights = tuple(x.real for x in keys) + tuple(x.imag for x in keys)
        teacher = replace(head, k=key_weights)
        for row, column in positions(teacher):
            sizes = {**teacher.sizes(), i: row, j: column}
            measured = logit_at(row, column)(teacher)
            claimed = numbers(teacher_attention_logit.rhs, sizes, weights_of(teacher))
            worst = max(worst, close(claimed, measured, "logit"))
            if column != row - head.T:
                ahead = logit_at(row, row - head.T)(teacher) - measured
                lead = numbers(teacher_lead.rhs, sizes, weights_of(teacher))
                worst = max(worst, close(lead, ahead, "lead"))
        q, k = (tuple(5 * x for x in weights) for weights in (teacher.q, teacher.k))
        missed = max(missed, float(1 - replace(teacher, q=q, k=k).retrieval()))
    require(missed < 1e-4, f"R comes to 1 - {missed} only")
    return f"largest deviation {sp.N(worst, 1)}; weights 5 times as large: 1 - R < {missed:.0e}"


@check(
    logit_by_query,
    logit_by_key,
    kind=Kind.NUMERIC,
    says="central differences of the attention logits",
)
def logit_differences(logit_by_query: sp.Eq, logit_by_key: sp.Eq) -> str:
    worst = sp.Float(0)
    for head in random_heads():
        for row, column in positions(head):
            for plane_index in range(head.d // 2):
                sizes = {**head.sizes(), i: row, j: column, r: plane_index}
                for statement, vector in ((logit_by_query, "q"), (logit_by_key, "k")):
                    claimed = numbers(statement.rhs, sizes, weights_of(head))
                    for half, index in enumerate((plane_index, plane_index + head.d // 2)):
                        measured = head.slope(vector, index, logit_at(row, column))
                        worst = max(worst, close(claimed[half], measured, f"du/d{vector}"))
    return f"every logit and weight at two (T, d), largest deviation {sp.N(worst, 1)}"


@check(
    softmax_slope,
    retrieval_slope,
    kind=Kind.NUMERIC,
    says="central differences of softmax rows in each logit",
)
def softmax_differences(softmax_slope: sp.Eq, retrieval_slope: sp.Eq) -> str:
    worst = sp.Float(0)
    for head in random_heads():
        for row, moved in positions(head):
            ahead, behind = (_with_logit_moved(head, row, moved, step) for step in (STEP, -STEP))
            sizes = {**head.sizes(), i: row, j: moved}
            claimed = numbers(retrieval_slope.rhs, sizes, weights_of(head))
            measured = (ahead.retrieval() - behind.retrieval()) / (2 * STEP)
            worst = max(worst, close(claimed, measured, "dR/du"))
            for other, column in positions(head):
                sizes = {**head.sizes(), i: other, j: column, other_row: row, l: moved}
                claimed = numbers(softmax_slope.rhs, sizes, weights_of(head))
                above, below = (
                    side.attention()[other - head.T - 1][column - 1] for side in (ahead, behind)
                )
                measured = (above - below) / (2 * STEP)
                if other == row:
                    worst = max(worst, close(claimed, measured, "dA/du"))
                else:
                    require(claimed == measured == 0, f"row {other} feels row {row}: {claimed}")
    return f"every attention entry at two (T, d), largest deviation {sp.N(worst, 1)}"


def _with_logit_moved(head: Head, row: int, column: int, by: Real) -> Head:
    bias = [list(biases) for biases in head.bias]
    bias[row - head.T - 1][column - 1] += by
    return replace(head, bias=tuple(map(tuple, bias)))


@check(
    retrieval_gradient,
    matrix_M,
    quadratic_form,
    kind=Kind.NUMERIC,
    says="central differences of R in every weight",
)
def retrieval_differences(retrieval_gradient: sp.Eq, matrix_M: sp.Eq, quadratic_form: sp.Eq) -> str:
    worst = sp.Float(0)
    for head in random_heads():
        by_q, by_k = head.gradient(Head.retrieval)
        arrays, half = weights_of(head) | {M_cos: {}, M_sin: {}}, head.d // 2
        slopes = {at: exact(head.slope("q", 0, logit_at(*at))) for at in positions(head)}
        claimed = numbers(retrieval_gradient.rhs, head.sizes(), arrays | {grad_u: slopes})
        worst = max(worst, close(claimed, by_q[0], "dR/dq"))
        for plane_index in range(half):
            pair = (plane_index, plane_index + half)
            M = numbers(matrix_M.rhs, {**head.sizes(), r: plane_index}, arrays)
            for block, other, measured in ((M, head.k, by_q), (M.T, head.q, by_k)):
                claimed = block * sp.Matrix([exact(other[index]) for index in pair])
                for value, index in zip(claimed / sp.sqrt(head.d), pair, strict=True):
                    worst = max(worst, close(value, measured[index], "M"))
            arrays[M_cos][plane_index,], arrays[M_sin][plane_index,] = M[0, 0], M[1, 0]
        claimed = numbers(quadratic_form.rhs, head.sizes(), arrays)
        worst = max(worst, close(claimed, sum(x**2 for x in by_q + by_k), "G"))
    return f"every weight at two (T, d), largest deviation {sp.N(worst, 1)}"


@check(
    retrieval_flow,
    retrieval_drive,
    weight_flow,
    attention_gradient,
    retrieval_growth,
    kind=Kind.NUMERIC,
    says="one short step down the gradient of the mean-field loss itself, forth and back",
)
def one_step_down(
    retrieval_flow: sp.Eq,
    retrieval_drive: sp.Eq,
    weight_flow: sp.Eq,
    attention_gradient: sp.Eq,
    retrieval_growth: sp.Eq,
) -> str:
    worst = sp.Float(0)
    states, actions, own, off, total = 7, 4, mp.mpf("2.5"), mp.mpf("0.3"), mp.mpf("0.6")

    def lead(R: Real) -> Real:
        right = R * own + (1 - R) / actions * (own + (actions - 1) * off)
        return right - (total - right) / (states - 1)

    def loss(R: Real) -> Real:
        return mp.log(1 + (states - 1) * mp.exp(-lead(R)))

    slope_names = [sp.IndexedBase(name, real=True) for name in ("R_q", "R_k", "L_q", "L_k")]
    named = {
        sp.Derivative(quantity, vector[r]): name[r]
        for (quantity, vector), name in zip(
            ((R, query), (R, key), (L, query), (L, key)), slope_names, strict=True
        )
    }
    for head in random_heads():
        slopes = head.gradient(Head.retrieval) + head.gradient(
            lambda moved: loss(moved.retrieval())
        )
        arrays = {name: entries(slope) for name, slope in zip(slope_names, slopes, strict=True)}

        def at(time: Real, head: Head = head, slopes: tuple = slopes) -> Real:
            q, k = (
                tuple(x - time * s for x, s in zip(vector, slope, strict=True))
                for vector, slope in zip((head.q, head.k), slopes[2:], strict=True)
            )
            return replace(head, q=q, k=k).retrieval()

        measured = (at(STEP) - at(-STEP)) / (2 * STEP)
        here = head.retrieval()
        loss_slope = exact((loss(here + STEP) - loss(here - STEP)) / (2 * STEP))
        for R_slope, L_slope in zip(sum(slopes[:2], ()), sum(slopes[2:], ()), strict=True):
            given = {sp.Derivative(R, weight): exact(R_slope), F: -loss_slope}
            worst = max(worst, close(weight_flow.rhs.xreplace(given), -L_slope, "dw/dt"))
        squared = numbers(attention_gradient.rhs.xreplace(named), head.sizes(), arrays)
        given = {
            sp.Derivative(L, R): loss_slope,
            G: squared,
            g: exact(1 - mp.exp(-loss(here))),
            N: states,
            K: actions,
            Q: exact(own),
            S: exact(off),
        }
        for statement in (retrieval_flow, retrieval_drive, retrieval_growth):
            rate = statement.rhs.xreplace(named).xreplace(given)
            worst = max(worst, close(numbers(rate, head.sizes(), arrays), measured, "dR/dt"))
    return f"two (T, d), largest deviation {sp.N(worst, 1)}"


by_autograd = tested_with_torch(
    logit_by_query,
    logit_by_key,
    softmax_slope,
    retrieval_slope,
    retrieval_gradient,
    matrix_M,
    quadratic_form,
    says="autograd of the softmax attention in torch, double precision",
    test=f"{TORCH}::test_gradient_of_retrieval",
)
flow_by_autograd = tested_with_torch(
    retrieval_flow,
    retrieval_drive,
    weight_flow,
    retrieval_growth,
    says="autograd of the mean-field loss in the key and query weights, torch double precision",
    test=f"{TORCH}::test_retrieval_growth",
)
