"""Beyond the paper (X5): attention without a closure, in one complex number for each RoPE plane.

With p_r = q_r k_r^* (plane r of a query and a key as complex numbers) R depends on q and k through
the p_r alone, and |q_r|^2 - |k_r|^2 is conserved: d real variables follow the flow of all 2d. And
as attention depends on the offset i - j alone, 2T - 1 logits make the whole of it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

import sympy as sp

from derivations.models.rotary_head import (
    STEP,
    Complex,
    Head,
    Real,
    Row,
    entries,
    exact,
    mp,
    random_heads,
    softmax,
)
from derivations.models.sampling import agreement
from derivations.models.sums import numbers
from derivations.paper.attention import (
    PLANES,
    TORCH,
    attention_gradient,
    attention_logit,
    close,
    insert_logit_slope,
    key,
    logit_at,
    plane,
    plane_sum,
    positions,
    query,
    retrieval_gradient,
    slope_in_plane,
    weight,
    weight_flow,
    weights_of,
)
from derivations.paper.attention_closures import (
    law_of_weights,
    power,
)
from derivations.paper.definitions import attention, retrieval
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
from derivations.symbols import A, F, G, R, T, i, j, l, r, sigma2, t, u

BEYOND = Status.BEYOND
Planes: TypeAlias = tuple[float, ...]  # one number for each RoPE plane

p_re = sp.IndexedBase(r"p^{\prime}", real=True)  # p_re[r] + i p_im[r] = q_r k_r^*
p_im = sp.IndexedBase(r"p^{\prime\prime}", real=True)
H_re = sp.IndexedBase(r"H^{\prime}", real=True)  # dR/dp_re[r]
H_im = sp.IndexedBase(r"H^{\prime\prime}", real=True)  # dR/dp_im[r]
size = sp.IndexedBase("n", nonnegative=True)  # size[r] = |q_r|^2 + |k_r|^2
imbalance = sp.IndexedBase("I", real=True)  # imbalance[r] = |q_r|^2 - |k_r|^2
p_re_dot = sp.IndexedBase(r"\dot{p}^{\prime}", real=True)
p_im_dot = sp.IndexedBase(r"\dot{p}^{\prime\prime}", real=True)
size_dot = sp.IndexedBase(r"\dot{n}", real=True)

offset = sp.Symbol("m", integer=True, positive=True)  # i - j, 1..2T-1; the right action is at T
e = sp.IndexedBase("e", positive=True)  # e[m]: exponential of the attention logit at offset m
u_at = sp.IndexedBase("u", real=True)  # u_at[m]: that logit

P_PAIR = sp.ImmutableMatrix([p_re[r], p_im[r]])
H_PAIR = sp.ImmutableMatrix([H_re[r], H_im[r]])


def squared_length(vector: sp.IndexedBase) -> sp.Expr:
    """|vector_r|^2 in plane r."""
    return plane(vector).dot(plane(vector))


@equation("X5a", "Product of query and key in a plane", status=BEYOND)
def plane_product() -> Iterator[Step]:
    q_r, k_r = (plane(vector)[0] + sp.I * plane(vector)[1] for vector in (query, key))
    product = sp.expand(q_r * sp.conjugate(k_r))
    yield "Plane r as a complex number, the key's conjugate", product
    yield "Real and imaginary part", sp.Eq(P_PAIR, sp.ImmutableMatrix(product.as_real_imag()))


@equation(
    "X5b", "Attention logit by plane", status=BEYOND, follows_from=(attention_logit, plane_product)
)
def logit_by_plane(attention_logit: sp.Eq, plane_product: sp.Eq) -> Iterator[Step]:
    named = dict(zip(plane_product.rhs, plane_product.lhs, strict=True))
    by_plane = attention_logit.xreplace(named)
    require(not by_plane.rhs.has(query, key), "(5c) is not a function of the p_r alone")
    yield "The coefficients of the two waves in (5c) are those of (X5a)", by_plane


@equation(
    "X5c", "Retrieval by plane", status=BEYOND, follows_from=(logit_by_plane, retrieval_gradient)
)
def retrieval_by_plane(logit_by_plane: sp.Eq, retrieval_gradient: sp.Eq) -> Iterator[Step]:
    (total,) = logit_by_plane.rhs.atoms(sp.Sum)
    own_plane = logit_by_plane.rhs / total * total.function
    slopes = P_PAIR.applyfunc(lambda part: sp.diff(own_plane, part))
    yield "How a logit depends on p_r", slopes
    yield (
        "Insert into (62)",
        sp.Eq(
            H_PAIR, slopes.applyfunc(lambda slope: insert_logit_slope(retrieval_gradient, slope))
        ),
    )


@shown("q[r]**2 + q[r + d/2]**2 + k[r]**2 + k[r + d/2]**2")
@equation("X5d", "Size of a plane", status=BEYOND)
def plane_size() -> Iterator[Step]:
    yield (
        "Squared length of query and key together",
        sp.Eq(size[r], squared_length(query) + squared_length(key)),
    )


def gradient_by_plane(plane_product: sp.Eq, vector: sp.IndexedBase) -> sp.ImmutableMatrix:
    """Gradient of R in plane r of ``vector``, by the chain rule through p_r."""
    return plane_product.rhs.jacobian(plane(vector)).T * H_PAIR


@equation(
    "X5e",
    "G without a closure",
    status=BEYOND,
    follows_from=(attention_gradient, plane_product, plane_size),
)
def gradient_without_closure(
    attention_gradient: sp.Eq, plane_product: sp.Eq, plane_size: sp.Eq
) -> Iterator[Step]:
    (squares,) = attention_gradient.rhs.atoms(sp.Sum)
    summand = plane_sum(squares.function)
    for vector in (query, key):
        gradient = gradient_by_plane(plane_product, vector)
        slopes = slope_in_plane(R, vector)
        yield "Chain rule through p_r", sp.Eq(slopes, gradient)
        summand = summand.xreplace(dict(zip(slopes, gradient, strict=True)))
    by_size = sp.factor(sp.expand(summand)).subs(plane_size.rhs, size[r])
    yield "Squares, in plane r", by_size
    yield (
        "Sum over planes",
        sp.Eq(G, attention_gradient.rhs.xreplace({squares: sp.Sum(by_size, PLANES)})),
    )


def velocity(
    weight_flow: sp.Eq, plane_product: sp.Eq, vector: sp.IndexedBase
) -> sp.ImmutableMatrix:
    """Velocity of plane r of ``vector`` under (61c)."""
    return gradient_by_plane(plane_product, vector).applyfunc(
        lambda slope: weight_flow.rhs.subs(sp.Derivative(R, weight), slope)
    )


def rate_of(quantity: sp.Expr, weight_flow: sp.Eq, plane_product: sp.Eq) -> sp.Expr:
    """d quantity/dt, by the chain rule through plane r of query and key."""
    return sp.expand(
        sum(
            sp.diff(quantity, entry) * speed
            for vector in (query, key)
            for entry, speed in zip(
                plane(vector), velocity(weight_flow, plane_product, vector), strict=True
            )
        )
    )


@equation(
    "X5f",
    "Flow of the products",
    status=BEYOND,
    follows_from=(weight_flow, plane_product, plane_size),
)
def product_flow(weight_flow: sp.Eq, plane_product: sp.Eq, plane_size: sp.Eq) -> Iterator[Step]:
    for vector in (query, key):
        yield "Weights move by (61c)", velocity(weight_flow, plane_product, vector)
    rates = plane_product.rhs.applyfunc(
        lambda part: sp.factor(rate_of(part, weight_flow, plane_product)).subs(
            plane_size.rhs, size[r]
        )
    )
    yield (
        "The products move along their own gradient",
        sp.Eq(sp.ImmutableMatrix([p_re_dot[r], p_im_dot[r]]), rates),
    )


@shown("4*F*(Hprime[r]*pprime[r] + Hprimeprime[r]*pprimeprime[r])")
@equation(
    "X5g", "Flow of the sizes", status=BEYOND, follows_from=(weight_flow, plane_product, plane_size)
)
def size_flow(weight_flow: sp.Eq, plane_product: sp.Eq, plane_size: sp.Eq) -> Iterator[Step]:
    rate = rate_of(plane_size.rhs, weight_flow, plane_product)
    yield "Differentiate (X5d)", rate
    parts = zip(H_PAIR, plane_product.rhs, plane_product.lhs, strict=True)
    in_products = sum(sp.cancel(sp.diff(rate, H) / part) * H * named for H, part, named in parts)
    yield (
        "The products again: (X5f) and (X5g) are closed",
        sp.Eq(size_dot[r], sp.factor(in_products)),
    )


@shown("q[r]**2 + q[r + d/2]**2 - (k[r]**2 + k[r + d/2]**2)")
@equation("X5h", "Conserved imbalance", status=BEYOND, follows_from=(weight_flow, plane_product))
def conserved_imbalance(weight_flow: sp.Eq, plane_product: sp.Eq) -> Iterator[Step]:
    difference = squared_length(query) - squared_length(key)
    turned = plane_product.rhs.dot(H_PAIR)
    for vector in (query, key):
        along = plane(vector).dot(gradient_by_plane(plane_product, vector))
        require(sp.expand(along - turned) == 0, "R is not a function of a product of the two")
    yield "Scaling the query moves R as much as scaling the key: both scale p_r", turned
    rate = rate_of(difference, weight_flow, plane_product)
    yield "Its rate", sp.Eq(sp.Derivative(sp.Function("I")(r, t), t), rate, evaluate=False)
    require(rate == 0, f"it changes at the rate {rate}")
    yield "So this stays what it was at the start", sp.Eq(imbalance[r], difference)


@shown("sqrt(I[r]**2 + 4*(pprime[r]**2 + pprimeprime[r]**2))")
@equation(
    "X5i",
    "Size from the conserved imbalance",
    status=BEYOND,
    follows_from=(conserved_imbalance, plane_product, plane_size),
)
def size_from_imbalance(
    conserved_imbalance: sp.Eq, plane_product: sp.Eq, plane_size: sp.Eq
) -> Iterator[Step]:
    gap = sp.factor(sp.expand(plane_size.rhs**2 - conserved_imbalance.rhs**2))
    yield "n_r^2 - I_r^2", gap
    length = plane_product.rhs.dot(plane_product.rhs)
    ratio = sp.cancel(gap / sp.factor(sp.expand(length)))
    yield "in units of |p_r|^2", ratio
    yield (
        "One real number and the conserved one give the size",
        sp.Eq(size[r], sp.sqrt(imbalance[r] ** 2 + ratio * P_PAIR.dot(P_PAIR))),
    )


def at_distance(expr: sp.Expr) -> sp.Expr:
    """``expr`` at the offset m = i - j."""
    return expr.subs(j, i - offset)


def row_sum(row: sp.Expr) -> sp.Expr:
    """All weights that predictor ``row`` sees: its offsets are row - T..row - 1."""
    return sp.Sum(e[l], (l, row - T, row - 1))


@equation(
    "X5p",
    "Attention weight at an offset",
    status=BEYOND,
    follows_from=(logit_by_plane,),
    note="Before the normalisation of its row. The 2T - 1 of them make the whole of attention.",
)
def weight_at_offset(logit_by_plane: sp.Eq) -> Iterator[Step]:
    logit = at_distance(logit_by_plane.rhs)
    require(not logit.has(i), "a logit depends on more than the offset")
    yield "One logit for every offset m = i - j", sp.Eq(u_at[offset], logit)
    yield "Its exponential", sp.Eq(e[offset], sp.exp(logit))


@equation(
    "X5j",
    "Retrieval by offset",
    status=BEYOND,
    follows_from=(retrieval, attention, logit_by_plane, weight_at_offset),
)
def retrieval_by_offset(
    retrieval: sp.Eq, attention: sp.Eq, logit_by_plane: sp.Eq, weight_at_offset: sp.Eq
) -> Iterator[Step]:
    weight = sp.exp(at_distance(logit_by_plane.rhs))
    require(weight == weight_at_offset.rhs, "(X5p) is not the exponential of (X5b)")
    yield "The exponential of the logit at i and j = i - m", sp.Eq(weight, e[offset])
    by_offset = attention.rhs.xreplace(
        {sp.exp(u[i, position]): e[i - position] for position in (j, l)}
    )
    yield "Insert into (4a)", by_offset
    (total,) = by_offset.atoms(sp.Sum)
    require(total == sp.Sum(e[i - l], (l, 1, T)), "a row is not the actions 1..T")
    own = by_offset.xreplace({total: row_sum(i)}).subs(j, i - T)
    yield "The right action is T back, row i sees the offsets i - T..i - 1", sp.Eq(A[i, i - T], own)
    yield "Insert into (8)", retrieval.xreplace({A[i, i - T]: own})


def share_of_row(retrieval_by_offset: sp.Eq) -> tuple[sp.Expr, sp.Symbol]:
    """What row i adds to R, and the letter that stands for the sum of its weights."""
    (total,) = (part for part in retrieval_by_offset.rhs.atoms(sp.Sum) if part.has(e[T]))
    Z = sp.Symbol("Z", positive=True)
    return retrieval_by_offset.rhs / total * total.function.subs(row_sum(i), Z), Z


@equation(
    "X5k", "Retrieval by the logit at an offset", status=BEYOND, follows_from=(retrieval_by_offset,)
)
def slope_by_offset(retrieval_by_offset: sp.Eq) -> Iterator[Step]:
    share, Z = share_of_row(retrieval_by_offset)
    yield "What row i adds, Z its sum", share
    slope = sp.diff(share, Z) * e[offset]
    yield "The logit at m moves Z by its weight", slope
    rows = (i, sp.Max(T, offset) + 1, sp.Min(T, offset) + T)
    yield (
        "Offset m other than T stands in the rows m + 1..m + T, as far as there are such",
        sp.Eq(sp.Derivative(R, u_at[offset]), sp.Sum(slope.subs(Z, row_sum(i)), rows)),
    )


@equation(
    "X5l",
    "Retrieval by its own logit",
    status=BEYOND,
    follows_from=(retrieval_by_offset, slope_by_offset),
)
def own_slope(retrieval_by_offset: sp.Eq, slope_by_offset: sp.Eq) -> Iterator[Step]:
    share, Z = share_of_row(retrieval_by_offset)
    own = (sp.diff(share, e[T]) + sp.diff(share, Z)) * e[T]
    yield "The logit at T moves its weight, and with it Z", own
    (total,) = (part for part in slope_by_offset.rhs.atoms(sp.Sum) if part.has(e[T]))
    by_other = (slope_by_offset.rhs / total * total.function).subs(row_sum(i), Z)
    others = sp.expand(by_other / e[offset]) * (Z - e[T])
    yield "By (X5k) all other logits of row i together, of weight Z - e_T, move it by", others
    require(sp.simplify(own + others) == 0, "the slopes of a row do not add up to 0")
    every_other = (
        sp.Sum(sp.Derivative(R, u_at[offset]), (offset, *ends))
        for ends in ((1, T - 1), (T + 1, 2 * T - 1))
    )
    yield (
        "In every row the slopes add up to 0",
        sp.Eq(sp.Derivative(R, u_at[T]), -sp.Add(*every_other)),
    )


# --- how the variables start ---------------------------------------------------------------------

start_variance = sp.Symbol(r"v_p", positive=True)  # of either part of p_r
size_variance = sp.Symbol(r"v_n", positive=True)  # of n_r


def mean_over_start(expr: sp.Expr, law_of_weights: sp.Eq) -> sp.Expr:
    """Average over independent entries of query and key, by their moments."""
    drawn = [*plane(query), *plane(key)]
    total = sp.S.Zero
    for powers, constant in sp.Poly(expr, *drawn).terms():
        moments = (law_of_weights.rhs.subs(power, order) for order in powers if order)
        total += constant * sp.Mul(*moments)
    return sp.simplify(total)


@equation(
    "X5m",
    "Spread of the products at the start",
    status=BEYOND,
    follows_from=(plane_product, law_of_weights),
)
def product_spread(plane_product: sp.Eq, law_of_weights: sp.Eq) -> Iterator[Step]:
    first, second = plane_product.rhs
    means, squares = (
        [mean_over_start(part, law_of_weights) for part in parts]
        for parts in ((first, second), (first**2, second**2, first * second))
    )
    yield "Their mean", sp.ImmutableMatrix(means)
    require(not any(means), "they are not 0 on average")
    require(squares[0] == squares[1] and squares[2] == 0, "the two parts differ, or go together")
    yield "Variance of either part; they do not go together", sp.Eq(start_variance, squares[0])


@equation("X5n", "Mean size at the start", status=BEYOND, follows_from=(plane_size, law_of_weights))
def mean_size(plane_size: sp.Eq, law_of_weights: sp.Eq) -> Iterator[Step]:
    yield "Four entries", sp.Eq(size[r], mean_over_start(plane_size.rhs, law_of_weights))


@equation(
    "X5o",
    "Spread of the sizes at the start",
    status=BEYOND,
    follows_from=(plane_size, mean_size, law_of_weights),
)
def size_spread(plane_size: sp.Eq, mean_size: sp.Eq, law_of_weights: sp.Eq) -> Iterator[Step]:
    square = mean_over_start(plane_size.rhs**2, law_of_weights)
    yield "Mean of the square, the entries uniform", square
    yield "Variance", sp.Eq(size_variance, sp.simplify(square - mean_size.rhs**2))


# --- checks --------------------------------------------------------------------------------------


def products(head: Head) -> list[Complex]:
    """p_r of every plane, complex."""
    return [
        q * mp.conj(k) for q, k in zip(complex_planes(head.q), complex_planes(head.k), strict=True)
    ]


def complex_planes(vector: Row) -> list[Complex]:
    """Plane r of a query or key as a complex number."""
    half = len(vector) // 2
    return [mp.mpc(*pair) for pair in zip(vector[:half], vector[half:], strict=True)]


def sizes(head: Head) -> list[Real]:
    """|q_r|^2 + |k_r|^2 of every plane."""
    planes = zip(complex_planes(head.q), complex_planes(head.k), strict=True)
    return [abs(q) ** 2 + abs(k) ** 2 for q, k in planes]


def logits_of(head: Head, p: list[Complex]) -> list[list[Real]]:
    """(T, T): Re sum_r p_r exp(i omega_r (i - j)) / sqrt(d)."""
    return [
        [
            sum(
                (p_r * mp.expj(w * (head.T + t - j))).real
                for p_r, w in zip(p, head.omega, strict=True)
            )
            / mp.sqrt(head.d)
            for j in range(head.T)
        ]
        for t in range(head.T)
    ]


def retrieval_of(head: Head, p: list[Complex]) -> Real:
    """R as a function of the p_r alone."""
    return sum(softmax(tuple(row))[t] for t, row in enumerate(logits_of(head, p))) / head.T


def slope_in_product(head: Head, index: int, direction: Complex) -> Real:
    """Central difference of R in p_r, along the real (1) or the imaginary axis (i)."""
    p = products(head)
    ahead, behind = (
        retrieval_of(head, [*p[:index], p[index] + step * direction, *p[index + 1 :]])
        for step in (STEP, -STEP)
    )
    return (ahead - behind) / (2 * STEP)


def after(head: Head, time: Real, slopes: tuple[Row, Row]) -> Head:
    """The head after ``time`` at the velocities ``slopes`` of q and k."""
    q, k = (
        tuple(x + time * slope for x, slope in zip(vector, speed, strict=True))
        for vector, speed in zip((head.q, head.k), slopes, strict=True)
    )
    return replace(head, q=q, k=k)


def state_of(head: Head) -> dict[sp.IndexedBase, dict]:
    """Weights and the plane variables of ``head`` as ``sums.numbers`` takes them."""
    p = products(head)
    return weights_of(head) | {
        p_re: entries(tuple(x.real for x in p)),
        p_im: entries(tuple(x.imag for x in p)),
        size: entries(tuple(sizes(head))),
    }


@check(
    plane_product,
    logit_by_plane,
    retrieval_by_plane,
    kind=Kind.NUMERIC,
    says="complex numbers; central differences of R in p_r",
)
def plane_differences(
    plane_product: sp.Eq, logit_by_plane: sp.Eq, retrieval_by_plane: sp.Eq
) -> str:
    worst = sp.Float(0)
    for head in random_heads():
        p, arrays = products(head), state_of(head)
        by_size = logit_by_plane.rhs.subs(head.sizes()).doit()
        for row, column in positions(head):
            claimed = numbers(by_size, {i: row, j: column}, arrays)
            worst = max(worst, close(claimed, logit_at(row, column)(head), "logit"))
        for index, p_r in enumerate(p):
            at = head.sizes() | {r: index}
            claimed = numbers(plane_product.rhs, at, arrays)
            slopes = numbers(retrieval_by_plane.rhs, at, arrays)
            for part, direction in enumerate((mp.mpc(1), mp.mpc(0, 1))):
                worst = max(worst, close(claimed[part], (p_r.real, p_r.imag)[part], "p"))
                measured = slope_in_product(head, index, direction)
                worst = max(worst, close(slopes[part], measured, "dR/dp"))
    return f"two (T, d), largest deviation {sp.N(worst, 1)}"


@check(
    plane_size,
    gradient_without_closure,
    product_flow,
    size_flow,
    kind=Kind.NUMERIC,
    says="one short step of all 2d weights along F times the measured gradient of R",
)
def step_of_all_weights(
    plane_size: sp.Eq, gradient_without_closure: sp.Eq, product_flow: sp.Eq, size_flow: sp.Eq
) -> str:
    worst, drive = sp.Float(0), mp.mpf("0.7")
    for head in random_heads():
        gradient = head.gradient(Head.retrieval)
        by_q, by_k = (tuple(drive * slope for slope in part) for part in gradient)
        ahead, behind = (after(head, step, (by_q, by_k)) for step in (STEP, -STEP))
        arrays = state_of(head) | {H_re: {}, H_im: {}}
        for index in range(head.d // 2):
            arrays[H_re][index,] = exact(slope_in_product(head, index, mp.mpc(1)))
            arrays[H_im][index,] = exact(slope_in_product(head, index, mp.mpc(0, 1)))
        for index in range(head.d // 2):
            at = head.sizes() | {r: index, F: exact(drive)}
            move = (products(ahead)[index] - products(behind)[index]) / (2 * STEP)
            claimed = numbers(product_flow.rhs, at, arrays)
            worst = max(
                worst, close(claimed[0], move.real, "dp/dt"), close(claimed[1], move.imag, "dp/dt")
            )
            growth = (sizes(ahead)[index] - sizes(behind)[index]) / (2 * STEP)
            worst = max(worst, close(numbers(size_flow.rhs, at, arrays), growth, "dn/dt"))
            worst = max(worst, close(numbers(plane_size.rhs, at, arrays), sizes(head)[index], "n"))
        claimed = numbers(gradient_without_closure.rhs, head.sizes(), arrays)
        worst = max(
            worst, close(claimed, sum(slope**2 for part in gradient for slope in part), "G")
        )
    return f"two (T, d), largest deviation {sp.N(worst, 1)}"


@check(
    conserved_imbalance,
    size_from_imbalance,
    kind=Kind.NUMERIC,
    says="all 2d weights followed by Runge-Kutta along the measured gradient of R",
)
def long_flow(conserved_imbalance: sp.Eq, size_from_imbalance: sp.Eq) -> str:
    head = start = random_heads()[1]
    step = mp.mpf("0.8")
    for _ in range(5):
        first = head.gradient(Head.retrieval)
        second = after(head, step / 2, first).gradient(Head.retrieval)
        third = after(head, step / 2, second).gradient(Head.retrieval)
        fourth = after(head, step, third).gradient(Head.retrieval)
        for share, slopes in ((1, first), (2, second), (2, third), (1, fourth)):
            head = after(head, share * step / 6, slopes)
    moved = head.retrieval() - start.retrieval()
    require(bool(moved > 0.3), f"R has moved by {moved} only")
    worst = sp.Float(0)
    for index in range(head.d // 2):
        difference = (
            abs(complex_planes(start.q)[index]) ** 2 - abs(complex_planes(start.k)[index]) ** 2
        )
        for then in (start, head):
            arrays = state_of(then) | {imbalance: {(index,): exact(difference)}}
            at = head.sizes() | {r: index}
            kept = sp.N(numbers(conserved_imbalance.rhs, at, arrays), 30)
            length = sp.N(numbers(size_from_imbalance.rhs, at, arrays), 30)
            worst = max(
                worst,
                abs(kept / exact(difference) - 1),
                abs(length / exact(sizes(then)[index]) - 1),
            )
    require(bool(worst < 1e-5), f"relative change {worst}")
    return (
        f"R moved by {mp.nstr(moved, 2)}, relative change {sp.N(worst, 1)}, that of the integrator"
    )


def lifted(head: Head, at: int, by: Real) -> Head:
    """The head with every attention logit at the offset ``at`` raised."""
    bias = tuple(
        tuple(by if head.T + t - x == at else 0 for x in range(head.T)) for t in range(head.T)
    )
    return replace(head, bias=bias)


@check(
    weight_at_offset,
    retrieval_by_offset,
    slope_by_offset,
    own_slope,
    kind=Kind.NUMERIC,
    says="the T x T softmax, and central differences of its R in the logits of one offset",
)
def offset_differences(
    weight_at_offset: sp.Eq, retrieval_by_offset: sp.Eq, slope_by_offset: sp.Eq, own_slope: sp.Eq
) -> str:
    worst = sp.Float(0)
    for head in random_heads():
        length, logits = head.T, head.logits()
        at_offset = {length + t - x: logits[t][x] for t in range(length) for x in range(length)}
        arrays = {e: {(at,): exact(mp.exp(logit)) for at, logit in at_offset.items()}}
        claimed = numbers(retrieval_by_offset.rhs, head.sizes(), arrays)
        worst = max(worst, close(claimed, head.retrieval(), "R"))
        slopes = {}
        for at, logit in at_offset.items():
            claimed = numbers(weight_at_offset.rhs, head.sizes() | {offset: at}, state_of(head))
            worst = max(worst, close(claimed, mp.exp(logit), "weight"))
            ahead, behind = (lifted(head, at, step).retrieval() for step in (STEP, -STEP))
            slopes[at] = exact((ahead - behind) / (2 * STEP))
            if at != length:
                claimed = numbers(slope_by_offset.rhs, head.sizes() | {offset: at}, arrays)
                worst = max(worst, close(claimed, slopes[at], "dR/du"))
        measured = own_slope.rhs.replace(sp.Derivative, lambda _, by: sp.Symbol("slope") * by[0])
        found = measured.subs(T, length).doit().subs({u_at[at]: x for at, x in slopes.items()})
        worst = max(worst, close(found.subs("slope", 1), slopes[length], "dR/du at T"))
    return f"two (T, d), largest deviation {sp.N(worst, 1)}"


@check(
    product_spread,
    mean_size,
    size_spread,
    kind=Kind.MONTE_CARLO,
    says="40,000 planes drawn from U(-1, 1)",
)
def drawn_planes(product_spread: sp.Eq, mean_size: sp.Eq, size_spread: sp.Eq) -> str:
    rng = random.Random(5)
    planes = [[complex(rng.uniform(-1, 1), rng.uniform(-1, 1)) for _ in "qk"] for _ in range(40000)]
    third = {sigma2: sp.Rational(1, 3)}
    parts = [(q * k.conjugate()).real ** 2 for q, k in planes]
    drawn = [abs(q) ** 2 + abs(k) ** 2 for q, k in planes]
    center = float(mean_size.rhs.subs(third))
    return "; ".join(
        (
            agreement(parts, float(product_spread.rhs.subs(third))),
            agreement(drawn, center),
            agreement([(n - center) ** 2 for n in drawn], float(size_spread.rhs.subs(third))),
        )
    )


by_autograd = tested_with_torch(
    gradient_without_closure,
    product_flow,
    size_flow,
    conserved_imbalance,
    says="autograd of the softmax attention in torch, double precision",
    test=f"{TORCH}::test_flow_of_planes",
)
