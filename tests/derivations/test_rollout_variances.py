"""The variances (X6) against the simpler form that leaves out repeated actions, exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy as sp

from derivations.beyond import variances as X6
from derivations.symbols import K, N, R, T

U_PART, V_PART = X6.STRENGTHS[X6.u], X6.STRENGTHS[X6.v]


def simple_variance(sizes: tuple[int, int, int], row: X6.Row) -> Fraction:
    """sigma_W^2 sum A^2 + (1/N)(1 - 1/N) E sum_l w_l^2 over l other than the right action."""
    N_value, K_value, _ = sizes
    rest, squares = 1 - row[0], sum(share**2 for share in row[1:])
    mean_square = squares / K_value + (rest**2 - squares) / K_value**2
    b = (V_PART - U_PART) / K_value
    weights = (K_value - 1) * (U_PART**2 * mean_square + 2 * U_PART * b * rest / K_value + b**2)
    noise = X6.STRENGTHS[X6.sigma_W2] * (row[0] ** 2 + squares)
    return noise + weights * (N_value - 1) / Fraction(N_value**2)


@pytest.mark.parametrize("sizes", [(3, 2, 3), (2, 3, 3), (3, 3, 2)])
@pytest.mark.parametrize("even", [True, False])
def test_what_the_simple_form_leaves_out(sizes: tuple[int, int, int], even: bool) -> None:
    """It misses two terms from repeated actions, and only these."""
    N_value, K_value, T_value = sizes
    row = X6.attention_row(T_value, even)
    squares = sum(share**2 for share in row[1:])
    shared_start = X6.STRENGTHS[X6.sigma_W2] * (1 - row[0] ** 2 - squares) / K_value
    own_weight = U_PART**2 * squares * Fraction(K_value - 1, K_value**2)
    by_kind = (Fraction(N_value - 1, N_value) ** 2, Fraction(1, N_value**2))  # right, other
    for exact, factor in zip(X6.enumerated_variances(sizes, row), by_kind, strict=True):
        missing = exact - sp.Rational(simple_variance(sizes, row))
        assert missing == sp.Rational(shared_start + own_weight * factor)
        assert missing > 0


def test_simple_form_is_the_limit_of_many_actions() -> None:
    """For K large the right and the other variance agree with the simple form."""
    size = sp.Symbol("size", positive=True)
    row = X6.attention_row(4, True)
    for statement in (X6.variance_right.statement, X6.variance_other.statement):
        given = {symbol: sp.Rational(number) for symbol, number in X6.STRENGTHS.items()}
        given |= {N: 5, T: 4, R: sp.Rational(row[0])}
        limit = sp.limit(statement.rhs.subs(given).subs(K, size), size, sp.oo)
        noise = given[X6.sigma_W2] * sp.Rational(sum(share**2 for share in row))
        rest = given[X6.u] ** 2 * sp.Rational(sum(share**2 for share in row[1:]))
        assert limit == noise + rest * sp.Rational(4, 25)


@pytest.mark.parametrize("N_value", [3, 8])
def test_no_start_and_full_attention(N_value: int) -> None:
    """At R = 1 no logit spreads but through W(0) and the heuristic left in v - u."""
    at_end = {R: 1, X6.sigma_W2: 0, N: N_value, K: 6, T: 9, X6.u: 2, X6.v: 5}
    heuristic = sp.Rational((6 - 1) * (N_value - 1) * (5 - 2) ** 2, 6**2 * N_value**2)
    for statement in (X6.variance_right.statement, X6.variance_other.statement):
        assert statement.rhs.subs(at_end) == heuristic
