"""(14), (70)-(73): G under the exchangeable ansatz, its mean over the init, and both closures.

Everything is carried by one number for each RoPE plane, the form factor phi_r: 0 for a plane that
turns too slowly to tell T positions apart, near 1 for one that resolves them.
"""

from __future__ import annotations

import cmath
import itertools
import random
from collections.abc import Iterator

import sympy as sp

from derivations.models.rotary_head import (
    Head,
    Real,
    entries,
    exact,
    exchangeable,
    mp,
    random_heads,
)
from derivations.models.sampling import agreement
from derivations.models.sums import contract, j_prime, numbers
from derivations.paper.attention import (
    PLANES,
    PREDICTORS,
    M_block,
    M_cos,
    M_sin,
    close,
    key,
    lag,
    matrix_M,
    plane,
    quadratic_form,
    query,
)
from derivations.paper.definitions import expectation, row_sum
from derivations.statement import Kind, Status, Step, check, equation, require, shown
from derivations.symbols import A, G, R, T, d, g0, gamma, i, j, omega, r, sigma2

delta = sp.KroneckerDelta
CLOSURE = Status.CLOSURE

phi = sp.IndexedBase("phi", real=True)  # phi[r]: form factor of plane r, 0..1
Phi2 = sp.Sum(phi[r] ** 2, PLANES)  # the one property of the planes that both rates depend on
Gamma_0 = sp.Symbol("Gamma_0", positive=True)  # mean of G over the initialisation, at R = 1/T
phase = sp.Symbol("varphi", real=True)  # an angle omega_r times a lag

vector = sp.IndexedBase("x", real=True)  # a random vector
form = sp.IndexedBase("X", real=True)  # a matrix
covariance = sp.IndexedBase("Sigma", real=True)  # covariance[a, b] = E x_a x_b
row, column = sp.symbols("a b", integer=True, positive=True)
power = sp.Symbol("n", integer=True, positive=True)


# --- the form factor of a plane ------------------------------------------------------------------


def resultant(function: type[sp.Function]) -> sp.Expr:
    """Mean over the T positions of the cosine or sine of the angle of plane r."""
    return sp.Sum(function(omega[r] * j), (j, 1, T)) / T


_SUMS = sp.symbols("X Y", real=True)  # sums over positions of cos(omega_r j), sin(omega_r j)
_NAMED_SUMS = {
    sp.Sum(function(omega[r] * j), (j, 1, T)): letter
    for function, letter in zip((sp.cos, sp.sin), _SUMS, strict=True)
}


@shown("1 - (1/T*Sum(cos(omega[r]*j), (j, 1, T)))**2 - (1/T*Sum(sin(omega[r]*j), (j, 1, T)))**2")
@equation(
    "14a",
    "Form factor",
    status=Status.DEFINITION,
    note="0 if all T positions are turned alike, 1 if their turns cancel.",
)
def form_factor() -> Iterator[Step]:
    length = resultant(sp.cos) ** 2 + resultant(sp.sin) ** 2
    yield (
        "Squared length of the mean of T unit vectors, turned by one position after another",
        length,
    )
    yield "What it lacks to 1", sp.Eq(phi[r], 1 - length)


@shown("1 - (sin(T*omega[r]/2)/(T*sin(omega[r]/2)))**2")
@equation("14b", "Form factor, closed", follows_from=(form_factor,))
def form_factor_closed(form_factor: sp.Eq) -> Iterator[Step]:
    z = sp.Symbol("z")
    total = sp.Sum(z**j, (j, 1, T))
    geometric = total.doit().args[-1].args[0]  # the branch z != 1
    factors = sp.factor(sp.expand_power_exp(geometric))
    yield "A geometric sum, for z other than 1", sp.Eq(total, factors, evaluate=False)
    unit = sp.exp(sp.I * omega[r])
    squares = (_squared_length(factor, z, unit) for factor in sp.Mul.make_args(factors))
    squared = in_half_angle(sp.Mul(*squares))
    yield "Its squared length at z = exp(i omega_r), in half angles", squared
    waves = (sp.re(unit**j), sp.im(unit**j))
    parts = sum(sp.Sum(wave, (j, 1, T)) ** 2 for wave in waves)
    require(
        sp.expand(form_factor.rhs - (1 - parts / T**2)) == 0,
        "(14a) is not made of the real and the imaginary part of the geometric sum",
    )
    yield "Insert into (14a)", sp.Eq(phi[r], 1 - squared / T**2)


def _squared_length(factor: sp.Expr, z: sp.Symbol, unit: sp.Expr) -> sp.Expr:
    """|factor|^2 at z = unit, a complex number of length 1."""
    square = sp.expand(factor.subs(z, unit) * factor.subs(z, 1 / unit))
    return sp.expand(sp.powsimp(square).rewrite(sp.cos))


def in_half_angle(expr: sp.Expr) -> sp.Expr:
    """Every cosine of an angle as 1 - 2 sin(angle/2)^2."""
    half = sp.Symbol("half", real=True)
    squared_sine = sp.expand_trig(sp.cos(2 * half)).subs(sp.cos(half) ** 2, 1 - sp.sin(half) ** 2)
    return sp.factor(expr.replace(sp.cos, lambda angle: squared_sine.subs(half, angle / 2)))


@shown("4/T**2*Sum((T - m)*sin(m*omega[r]/2)**2, (m, 1, T - 1))")
@equation(
    "14c",
    "Form factor, a positive sum",
    follows_from=(form_factor,),
    note="Cancels nowhere: good for any frequency.",
)
def form_factor_sum(form_factor: sp.Eq) -> Iterator[Step]:
    in_sums = form_factor.rhs.xreplace(_NAMED_SUMS)
    whole, weight = (in_sums.coeff(_SUMS[0], power).subs(_SUMS[1], 0) for power in (0, 2))
    squares = sum(letter**2 for letter in _SUMS)
    require(sp.expand(in_sums - whole - weight * squares) == 0, "(14a) holds more than a length")
    pair = sp.simplify(
        sum(total.function * total.function.subs(j, j_prime) for total in _NAMED_SUMS)
    )
    yield (
        "The squared length: a sum over pairs of positions",
        sp.Sum(pair, (j, 1, T), (j_prime, 1, T)),
    )
    number = sp.Sum(1, (j, 1, T - lag)).doit()
    yield "Pairs at lag m, counted one way", number
    at_lag = sp.simplify(pair.subs(j, j_prime + lag))

    def over_pairs(value: sp.Expr) -> sp.Expr:
        return T * value.subs(lag, 0) + 2 * sp.Sum(number * value, (lag, 1, T - 1))

    require(over_pairs(sp.S.One).doit().equals(T**2), "the pairs do not add up to T^2")
    yield "So it is a sum over lags", over_pairs(at_lag)
    yield "Without turns it would be T^2", over_pairs(sp.S.One)
    factor, lacking = in_half_angle(1 - at_lag).as_coeff_Mul()
    yield "What one pair lacks, in half angles", factor * lacking
    left = sp.simplify(whole + weight * over_pairs(sp.S.One).doit())
    yield "Without turns phi_r is", left
    yield (
        "The difference: no term is negative",
        sp.Eq(phi[r], left - 2 * weight * factor * sp.Sum(number * lacking, (lag, 1, T - 1))),
    )


def form_factor_series(order: int) -> sp.Expr:
    """Phi_r as a polynomial in omega[r] up to the power ``order``, for any T.

    For planes so slow that (14b) loses its digits: T omega_r well below 1.
    """
    angle = sp.Symbol("omega", real=True)
    (total,) = form_factor_sum.statement.rhs.atoms(sp.Sum)
    summand = total.function.subs(omega[r], angle)
    in_powers = sp.Poly(sp.series(summand, angle, 0, order + 1).removeO(), angle)
    factor = form_factor_sum.statement.rhs / total
    return sp.Add(
        *(
            sp.factor(factor * sp.summation(sp.expand(coefficient), *total.limits))
            * omega[r] ** power
            for (power,), coefficient in in_powers.terms()
        )
    )


# --- the exchangeable ansatz ---------------------------------------------------------------------


@shown("R*KroneckerDelta(j, i - T) + (1 - R)/(T - 1)*(1 - KroneckerDelta(j, i - T))")
@equation("70a", "Exchangeable ansatz", status=CLOSURE, follows_from=(row_sum,))
def exchangeable_ansatz(row_sum: sp.Eq) -> Iterator[Step]:
    rest = sp.Symbol("rest")
    by_column = R * delta(j, i - T) + rest * (1 - delta(j, i - T))
    yield "R on the right action of every row, the same on all others", sp.Eq(A[i, j], by_column)
    row = contract(sp.Sum(by_column, (j, 1, T)))
    yield "A row sums to 1", sp.Eq(row, row_sum.rhs)
    yield (
        "That fixes the rest",
        sp.Eq(A[i, j], by_column.subs(rest, sp.factor(sp.solve(row - row_sum.rhs, rest)[0]))),
    )


@equation("70c", "M under the ansatz", follows_from=(matrix_M, exchangeable_ansatz, form_factor))
def matrix_M_ansatz(
    matrix_M: sp.Eq, exchangeable_ansatz: sp.Eq, form_factor: sp.Eq
) -> Iterator[Step]:
    def attention(entry: sp.Indexed) -> sp.Expr:
        return exchangeable_ansatz.rhs.subs(
            dict(zip((i, j), entry.indices, strict=True)), simultaneous=True
        )

    def by_sums(entry: sp.Expr) -> sp.Expr:
        inserted = entry.replace(lambda e: isinstance(e, sp.Indexed) and e.base == A, attention)
        return sp.Add(*(_by_resultant(term) for term in sp.Add.make_args(contract(inserted))))

    block = matrix_M.rhs.applyfunc(by_sums)
    yield (
        "Insert; X and Y are the sums of cos(omega_r j) and sin(omega_r j)",
        block.applyfunc(sp.factor),
    )
    squared = _SUMS[1] ** 2
    by_form_factor = form_factor.lhs - form_factor.rhs.subs(_NAMED_SUMS)
    (square,) = sp.solve(by_form_factor, squared)
    inserted = block.applyfunc(lambda entry: sp.factor(entry.subs(squared, square)))
    require(not inserted.has(*_SUMS), "M depends on more than X^2 + Y^2")
    yield "By (14a) X^2 + Y^2 is T^2 (1 - phi_r)", sp.Eq(M_block, inserted)


def _by_resultant(term: sp.Expr) -> sp.Expr:
    """A term of M with its double sum over predictors and positions carried out.

    With i = T + j' the angle splits into one part for each position, and the sums factorise.
    """
    for total in term.atoms(sp.Sum):
        require(set(total.limits) == {sp.Tuple(*PREDICTORS), sp.Tuple(j, 1, T)}, "another range")
        shifted = sp.expand(total.function.subs(i, T + j_prime), trig=True)
        named: dict[sp.Expr, sp.Symbol] = {}
        for position in (j, j_prime):
            named |= {sp.cos(omega[r] * position): _SUMS[0], sp.sin(omega[r] * position): _SUMS[1]}
        term = term.xreplace({total: shifted.xreplace(named)})
    return sp.expand(term)


@shown(
    "(T/(T - 1))**2*(R**2*(1 - R)**2/d)*Sum(phi[r]**2*(q[r]**2 + q[r + d/2]**2 + k[r]**2 "
    "+ k[r + d/2]**2), (r, 0, d/2 - 1))"
)
@equation("70", "G under the ansatz", follows_from=(quadratic_form, matrix_M_ansatz))
def gradient_ansatz(quadratic_form: sp.Eq, matrix_M_ansatz: sp.Eq) -> Iterator[Step]:
    yield (
        "Insert (70c) into (69); sin^2 + cos^2 = 1",
        sp.Eq(G, in_planes(quadratic_form.rhs, matrix_M_ansatz)),
    )


def in_planes(expr: sp.Expr, matrix_M_ansatz: sp.Eq) -> sp.Expr:
    """Insert M under the ansatz into a sum over planes; what no plane changes goes in front."""
    (total,) = expr.atoms(sp.Sum)
    blocks = dict(zip(matrix_M_ansatz.lhs, matrix_M_ansatz.rhs, strict=True))
    summand = sp.factor(sp.trigsimp(total.function.xreplace(blocks)))
    constant, by_plane = summand.as_independent(r, as_Add=False)
    return sp.factor(expr / total * constant) * sp.Sum(by_plane, *total.limits)


# --- mean over the initialisation ----------------------------------------------------------------


@equation(
    "72a",
    "Covariance",
    status=Status.DEFINITION,
    note="Of a vector of mean 0; symmetric, so that either order of the entries may stand.",
)
def covariance_matrix() -> Iterator[Step]:
    yield (
        "Mean product of two entries",
        sp.Eq(expectation(vector[row] * vector[column]), covariance[column, row]),
    )


@shown("(3*sigma2)**(n/2)*(1 + (-1)**n)/(2*(n + 1))")
@equation(
    "72b",
    "Law of the initial weights",
    status=Status.DEFINITION,
    note="As nn.Linear draws them, where sigma^2 = 1/3. All entries of query and key are "
    "independent.",
)
def law_of_weights() -> Iterator[Step]:
    width, x = sp.symbols("w x", positive=True)
    yield "Uniform about 0, between -w and w: the variance is", sp.Eq(sigma2, width**2 / 3)
    one_side = sp.integrate(x**power / (2 * width), (x, 0, width))
    both = sp.factor(one_side * (1 + (-1) ** power)).subs(width, sp.sqrt(3 * sigma2))
    yield "The moments of an entry", sp.Eq(expectation(vector[row] ** power), both)


@equation("72c", "Covariance at the start", follows_from=(covariance_matrix, law_of_weights))
def start_of_weights(covariance_matrix: sp.Eq, law_of_weights: sp.Eq) -> Iterator[Step]:
    mean, square = (sp.simplify(law_of_weights.rhs.subs(power, order)) for order in (1, 2))
    product = delta(row, column) * square + (1 - delta(row, column)) * mean**2
    yield "One entry twice, or two independent ones", sp.Eq(covariance_matrix.lhs, product)
    entry = covariance[column, row]
    (found,) = sp.solve(covariance_matrix.rhs - product, entry)
    yield "sigma^2 times 1", sp.Eq(covariance[row, column], found)


@equation("72", "Mean of a quadratic form", follows_from=(covariance_matrix,))
def mean_quadratic_form(covariance_matrix: sp.Eq) -> Iterator[Step]:
    product = vector[row] * vector[column]
    square = sp.Sum(form[row, column] * product, (row, 1, d), (column, 1, d))
    linear = mean_by_linearity(square, vector)
    yield "The mean is linear: the entries of X come out of it", linear
    require(linear.has(covariance_matrix.lhs), "the mean is not one of products of entries")
    yield (
        "The mean of a product of entries is the covariance: the trace of X Sigma",
        sp.Eq(expectation(square), linear.xreplace({covariance_matrix.lhs: covariance_matrix.rhs})),
    )


def mean_by_linearity(expr: sp.Expr, random: sp.IndexedBase) -> sp.Expr:
    """The mean of ``expr``: of every summand, what does not depend on ``random`` in front."""
    if isinstance(expr, sp.Add):
        return expr.func(*(mean_by_linearity(term, random) for term in expr.args))
    if isinstance(expr, sp.Sum):
        return sp.Sum(mean_by_linearity(expr.function, random), *expr.limits)
    constant, drawn = expr.as_independent(random, as_Add=False)
    return constant * expectation(drawn)


@shown("4*sigma2/d*Sum(Mcos[r]**2 + Msin[r]**2, (r, 0, d/2 - 1))")
@equation("73a", "Mean of G", follows_from=(quadratic_form, mean_quadratic_form, start_of_weights))
def mean_gradient(
    quadratic_form: sp.Eq, mean_quadratic_form: sp.Eq, start_of_weights: sp.Eq
) -> Iterator[Step]:
    (total,) = quadratic_form.rhs.atoms(sp.Sum)
    forms = ((key, M_block.T * M_block), (query, M_block * M_block.T))
    summand = sum((plane(weights).T * X * plane(weights))[0] for weights, X in forms)
    require(sp.expand(summand - total.function) == 0, "(69) is not k M^T M k + q M M^T q")
    yield "Each plane holds two quadratic forms, in the key and in the query", summand
    in_plane = mean_quadratic_form.rhs.subs(d, 2).doit()
    independent = {
        covariance[a, b]: start_of_weights.rhs.subs({row: a, column: b})
        for a, b in itertools.product((1, 2), repeat=2)
    }
    yield "Entries drawn independently: the covariance is sigma^2 times 1", start_of_weights
    traces = sum(
        in_plane.xreplace(
            independent | {form[a + 1, b + 1]: X[a, b] for a in (0, 1) for b in (0, 1)}
        )
        for _, X in forms
    )
    yield "By (72) their mean is", sp.factor(traces)
    constant, by_plane = sp.factor(traces).as_independent(M_cos, M_sin, as_Add=False)
    yield (
        "Sum over planes",
        sp.Eq(
            expectation(G), quadratic_form.rhs / total * constant * sp.Sum(by_plane, *total.limits)
        ),
    )


@shown("4*sigma2/(d*T**2)*Sum(phi[r]**2, (r, 0, d/2 - 1))")
@equation("73", "G at initialisation", follows_from=(mean_gradient, matrix_M_ansatz))
def initial_gradient(mean_gradient: sp.Eq, matrix_M_ansatz: sp.Eq) -> Iterator[Step]:
    under_ansatz = in_planes(mean_gradient.rhs, matrix_M_ansatz)
    yield "Mean of G under the ansatz", sp.Eq(expectation(G), under_ansatz)
    yield (
        "At the start attention is even: R = 1/T",
        sp.Eq(Gamma_0, sp.factor(under_ansatz.subs(R, 1 / T))),
    )


# --- the closures --------------------------------------------------------------------------------


@shown("4*sigma2/d*(T/(T - 1))**2*Sum(phi[r]**2, (r, 0, d/2 - 1))")
@equation("70b", "Rate of the quadratic closure", follows_from=(mean_gradient, matrix_M_ansatz))
def quadratic_rate(mean_gradient: sp.Eq, matrix_M_ansatz: sp.Eq) -> Iterator[Step]:
    under_ansatz = in_planes(mean_gradient.rhs, matrix_M_ansatz)
    yield "Mean of G under the ansatz", sp.Eq(expectation(G), under_ansatz)
    constant, shape = under_ansatz.as_independent(R, as_Add=False)
    yield "It depends on R as", shape
    yield "The rate is the factor in front", sp.Eq(g0, constant)


@shown("g_0*R**2*(1 - R)**2")
@equation(
    "71b",
    "Quadratic closure",
    status=CLOSURE,
    follows_from=(gradient_ansatz, start_of_weights, quadratic_rate),
    note="The bare ansatz, averaged over the initialisation. Against the true G, followed from the "
    "mean start, to R = 0.75: 0.6 to 1 of it at T = 10, d = 64, RoPE base 10^4, 0.8 to 1 at d = 8, "
    "base 10; too large where most planes resolve T positions: by up to 3 at d = 64, base 10, by "
    "4.5 at T = 30. At R = 0.99: 0.20, 0.31, 0.81 and 1.3 of it.",
)
def quadratic_closure(
    gradient_ansatz: sp.Eq, start_of_weights: sp.Eq, quadratic_rate: sp.Eq
) -> Iterator[Step]:
    square = start_of_weights.rhs.subs(column, row)
    (total,) = gradient_ansatz.rhs.atoms(sp.Sum)
    mean = total.function.subs({entry**2: square for entry in (*plane(query), *plane(key))})
    require(not mean.has(query, key), "(70) holds more than squared weights")
    constant, by_plane = sp.factor(mean).as_independent(r, as_Add=False)
    averaged = gradient_ansatz.rhs.xreplace({total: constant * sp.Sum(by_plane, *total.limits)})
    yield "(70) with every squared weight at its mean, as at the start", averaged
    shape = sp.simplify(averaged / quadratic_rate.rhs)
    require(not shape.has(sp.Sum), "(70b) has another sum over planes")
    yield "In units of its rate (70b)", shape
    yield (
        "The closure: the weights keep their initial sizes, the attention follows the ansatz",
        sp.Eq(G, quadratic_rate.lhs * shape),
    )


@shown("gamma*R*(1 - R)")
@equation(
    "71a",
    "Linear closure",
    status=CLOSURE,
    note="The paper's: under the bare ansatz (70) R would grow too steeply, as the attention off "
    "the right action does not stay even. Against the true G, followed from the mean start, to R = "
    "0.9: 0.8 to 1.6 of it at T = 10, d = 64, RoPE base 10, 0.8 to 1 at T = 4; too small at T = 30 "
    "(down to 0.36) and where few planes resolve T positions (0.24 at base 10^4, 0.33 at d = 8). "
    "At R = 0.99 it is too large, by 7 and 5, by 4, 2 and 3.",
)
def linear_closure() -> Iterator[Step]:
    yield (
        "The shape found in simulations: one power of R and of 1 - R",
        sp.Eq(G, gamma * R * (1 - R)),
    )


@shown("T**2/(T - 1)*Gamma_0")
@equation(
    "71", "Rate of the linear closure, matched", status=CLOSURE, follows_from=(linear_closure,)
)
def matched_rate(linear_closure: sp.Eq) -> Iterator[Step]:
    at_start = linear_closure.rhs.subs(R, 1 / T)
    yield "The ansatz holds at the start: there both must agree", sp.Eq(at_start, Gamma_0)
    yield "Solve for the rate", sp.Eq(gamma, sp.solve(at_start - Gamma_0, gamma)[0])


@shown("4*sigma2/(d*(T - 1))*Sum(phi[r]**2, (r, 0, d/2 - 1))")
@equation("14", "Rate of the linear closure", follows_from=(matched_rate, initial_gradient))
def linear_rate(matched_rate: sp.Eq, initial_gradient: sp.Eq) -> Iterator[Step]:
    yield "Insert (73)", sp.Eq(gamma, matched_rate.rhs.subs(Gamma_0, initial_gradient.rhs))


# --- checks --------------------------------------------------------------------------------------


@check(
    form_factor,
    form_factor_closed,
    form_factor_sum,
    kind=Kind.NUMERIC,
    says="T unit vectors turned one by one and added, complex numbers of 40 digits",
)
def unit_vectors(*statements: sp.Eq) -> str:
    worst = sp.Float(0)
    for length, angle in itertools.product(
        range(2, 8), (mp.mpf("0.07"), mp.mpf("0.9"), mp.mpf("2.9"))
    ):
        mean = sum(mp.expj(angle * position) for position in range(1, length + 1)) / length
        for statement in statements:
            claimed = numbers(statement.rhs, {T: length, r: 0}, {omega: {(0,): exact(angle)}})
            worst = max(worst, close(claimed, 1 - abs(mean) ** 2, "form factor"))
    return f"T = 2..7, three frequencies, largest deviation {sp.N(worst, 1)}"


@check(
    form_factor_closed,
    kind=Kind.IDENTITY,
    says="series of the positive sum (14c) at small angles, any T",
)
def slow_planes(form_factor_closed: sp.Eq) -> str:
    angle, order = sp.Rational(1, 1000), 4
    for length in (2, 5, 20):
        at = {T: length, omega[r]: angle}
        claimed, expected = form_factor_closed.rhs.subs(at), form_factor_series(order).subs(at)
        remainder = (length * angle) ** (order + 2)
        require(
            abs(sp.N(claimed - expected, 60)) < remainder,
            f"{claimed} but {expected} at T = {length}",
        )
    return f"T = 2, 5, 20 at angle {angle}, up to the remainder of order {order + 2}"


@check(
    exchangeable_ansatz,
    kind=Kind.IDENTITY,
    says="explicit rows: R on the right action, equal others, sum 1",
)
def explicit_rows(exchangeable_ansatz: sp.Eq) -> str:
    retrieved = sp.Rational(2, 7)
    for length in range(2, 7):
        for predictor in range(length + 1, 2 * length + 1):
            at = {T: length, R: retrieved, i: predictor}
            weights = [exchangeable_ansatz.rhs.subs({**at, j: q}) for q in range(1, length + 1)]
            require(sum(weights) == 1, f"the row {weights} does not sum to 1")
            require(weights.pop(predictor - length - 1) == retrieved, "not R on the right action")
            require(len(set(weights)) == 1, f"the others get {weights}")
    return "every row, T = 2..6"


@check(
    matrix_M_ansatz,
    gradient_ansatz,
    kind=Kind.NUMERIC,
    says="central differences of R where a bias on the logits makes the attention exchangeable",
)
def exchangeable_differences(matrix_M_ansatz: sp.Eq, gradient_ansatz: sp.Eq) -> str:
    worst = sp.Float(0)
    for head, retrieved in itertools.product(random_heads(), (mp.mpf("0.15"), mp.mpf("0.8"))):
        head = head.with_attention(exchangeable(head.T, retrieved))
        by_q, by_k = head.gradient(Head.retrieval)
        factors = tuple(explicit_form_factor(head.T, angle) for angle in head.omega)
        arrays = {
            query: entries(head.q),
            key: entries(head.k),
            omega: entries(head.omega),
            phi: entries(factors),
        }
        at = {**head.sizes(), R: exact(retrieved)}
        claimed = numbers(gradient_ansatz.rhs, at, arrays)
        worst = max(worst, close(claimed, sum(x**2 for x in by_q + by_k), "G"))
        for index in range(head.d // 2):
            pair = (index, index + head.d // 2)
            M = numbers(matrix_M_ansatz.rhs, at | {r: index}, arrays) / sp.sqrt(head.d)
            for value, entry in zip(
                M * sp.Matrix([exact(head.k[e]) for e in pair]), pair, strict=True
            ):
                worst = max(worst, close(value, by_q[entry], "M"))
    return f"two (T, d), R = 0.15 and 0.8, largest deviation {sp.N(worst, 1)}"


def explicit_form_factor(length: int, angle: Real) -> Real:
    """1 - |mean of T turned unit vectors|^2."""
    return (
        1 - abs(sum(mp.expj(angle * position) for position in range(1, length + 1)) / length) ** 2
    )


@check(
    law_of_weights,
    start_of_weights,
    kind=Kind.MONTE_CARLO,
    says="moments of 40,000 pairs of entries drawn from U(-3/2, 3/2)",
)
def drawn_weights(law_of_weights: sp.Eq, start_of_weights: sp.Eq) -> str:
    rng = random.Random(72)
    pairs = [(rng.uniform(-1.5, 1.5), rng.uniform(-1.5, 1.5)) for _ in range(40000)]
    variance = {sigma2: sp.Rational(3, 4)}
    said = []
    for order in (2, 4, 6):
        claimed = float(law_of_weights.rhs.subs({power: order, **variance}))
        said.append(agreement((x**order for x, _ in pairs), claimed))
    for chosen in ((1, 1), (1, 2), (2, 2)):
        claimed = float(
            start_of_weights.rhs.subs(dict(zip((row, column), chosen, strict=True))).subs(variance)
        )
        products = (1 + pair[chosen[0] - 1] * pair[chosen[1] - 1] for pair in pairs)
        said.append(agreement(products, 1 + claimed))
    for order in (1, 3):
        claimed = float(law_of_weights.rhs.subs({power: order, **variance}))
        said.append(agreement((1 + x**order for x, _ in pairs), 1 + claimed))
    return "; ".join(said)


@check(
    mean_quadratic_form,
    kind=Kind.ENUMERATION,
    says="every sign pattern of correlated random vectors, exact rationals",
)
def sign_patterns(mean_quadratic_form: sp.Eq) -> str:
    rng = random.Random(72)
    for size in (2, 3):
        X, mixing = (
            sp.Matrix(size, size, lambda *_: sp.Rational(rng.randint(-9, 9), 4)) for _ in range(2)
        )
        patterns = [mixing * sp.Matrix(signs) for signs in itertools.product((-1, 1), repeat=size)]
        exact_mean = sum((x.T * X * x)[0] for x in patterns) / len(patterns)
        second_moment = sum((x * x.T for x in patterns), sp.zeros(size)) / len(patterns)
        arrays = {
            base: {(a + 1, b + 1): M[a, b] for a, b in itertools.product(range(size), repeat=2)}
            for base, M in ((form, X), (covariance, second_moment))
        }
        claimed = numbers(mean_quadratic_form.rhs, {d: size}, arrays)
        require(claimed == exact_mean, f"{claimed} but {exact_mean}")
    return "vectors of 2 and 3 entries, residual 0"


@check(
    mean_gradient,
    kind=Kind.ENUMERATION,
    says="G from complex M, q, k over every sign pattern of q and k, exact rationals",
)
def sign_patterns_of_weights(mean_gradient: sp.Eq) -> str:
    rng = random.Random(73)
    scale = sp.Rational(3, 2)  # entries +-scale have variance scale^2
    for planes in (1, 2):
        M = [
            (sp.Rational(rng.randint(1, 9), 4), sp.Rational(rng.randint(-9, -1), 4))
            for _ in range(planes)
        ]
        values = []
        for signs in itertools.product((-1, 1), repeat=4 * planes):
            signs_of = iter(signs)
            total = sp.Integer(0)
            for m_re, m_im in M:
                for turn in (1, -1):  # M on the key, its transpose on the query
                    re, im = (scale * next(signs_of) for _ in range(2))
                    total += (m_re * re - turn * m_im * im) ** 2 + (
                        m_re * im + turn * m_im * re
                    ) ** 2
            values.append(total / (2 * planes))
        arrays = {
            base: {(q,): M[q][part] for q in range(planes)}
            for part, base in enumerate((M_cos, M_sin))
        }
        claimed = numbers(mean_gradient.rhs, {d: 2 * planes, sigma2: scale**2}, arrays)
        require(claimed == sum(values) / len(values), f"{claimed} but {sum(values) / len(values)}")
    return "d = 2 and 4, residual 0"


def sampled_gradients(
    length: int, angles: tuple[float, ...], retrieved: float, *, count: int, seed: int
) -> Iterator[float]:
    """G of heads drawn from U(-1, 1), the attention held exchangeable.

    Position by position: every logit's gradient is a turned key or query, averaged with the
    attention of its row.
    """
    rng = random.Random(f"{length} {angles} {retrieved} {seed}")
    dimension = 2 * len(angles)
    rows = exchangeable(length, retrieved)
    for _ in range(count):
        total = 0.0
        for angle in angles:
            for direction in (1, -1):  # du/dq is the key turned forth, du/dk the query turned back
                weight = complex(rng.uniform(-1, 1), rng.uniform(-1, 1))
                slope = 0j
                for t, row_of_A in enumerate(rows):
                    turned = [
                        weight * cmath.exp(1j * direction * angle * (position - length - t))
                        for position in range(length)
                    ]
                    mean = sum(a * x for a, x in zip(row_of_A, turned, strict=True))
                    slope += row_of_A[t] * (turned[t] - mean) / length
                total += abs(slope) ** 2 / dimension
        yield total


@check(
    initial_gradient,
    quadratic_rate,
    quadratic_closure,
    linear_closure,
    matched_rate,
    linear_rate,
    kind=Kind.MONTE_CARLO,
    says="G averaged over heads drawn from U(-1, 1), at R = 1/T and, quadratic, at R = 0.4",
)
def drawn_heads(
    initial_gradient: sp.Eq,
    quadratic_rate: sp.Eq,
    quadratic_closure: sp.Eq,
    linear_closure: sp.Eq,
    matched_rate: sp.Eq,
    linear_rate: sp.Eq,
) -> str:
    said = said_later = ""
    for length, angles in ((3, (1.0, 0.4)), (5, (0.5,))):
        factors = tuple(explicit_form_factor(length, mp.mpf(angle)) for angle in angles)
        at = {T: length, d: 2 * len(angles), sigma2: sp.Rational(1, 3)}

        def value(expr: sp.Expr, at: dict = at, factors: tuple = factors) -> float:
            return float(numbers(expr, at, {phi: entries(factors)}))

        initial = value(initial_gradient.rhs)
        rate, rate_q = value(linear_rate.rhs), value(quadratic_rate.rhs)
        matched = linear_closure.rhs.subs(gamma, matched_rate.rhs)
        at_start = (
            initial,
            value(matched.subs({Gamma_0: initial, R: 1 / T})),
            value(linear_closure.rhs.subs({gamma: rate, R: 1 / T})),
            value(quadratic_closure.rhs.subs({g0: rate_q, R: 1 / T})),
        )
        sample = list(sampled_gradients(length, angles, 1 / length, count=3000, seed=14))
        for claimed in at_start:
            said = agreement((drawn / claimed for drawn in sample), 1.0)
        later = value(quadratic_closure.rhs.subs({g0: rate_q, R: sp.Rational(2, 5)}))
        sample = list(sampled_gradients(length, angles, 0.4, count=3000, seed=70))
        said_later = agreement((drawn / later for drawn in sample), 1.0)
    return f"drawn over claimed: {said}; at R = 0.4 {said_later}"
