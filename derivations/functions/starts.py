"""Where training starts, and what the sizes of a model fix: functions of the parameters alone."""

from __future__ import annotations

import sympy as sp

from derivations.code.written import Written, as_shown, held, prove
from derivations.functions.mean_field import missing
from derivations.models.sums import contract, over
from derivations.paper import attention, attention_closures, definitions, logic, overlaps, regimes
from derivations.statement import require
from derivations.symbols import C, K, N, P, R, T, d, i, j, k, l, m, n, r

squares = sp.Symbol("squares", nonnegative=True)
every = sp.Symbol("M", integer=True, positive=True)  # permutations of N states


def starts() -> list[Written]:
    """All of these."""
    return [*nominal(), *frequencies(), *uniform(), exchangeable(), *vocabulary()]


def nominal() -> list[Written]:
    """The start when nothing is measured (15g)-(15i)."""
    in_Q, in_S = regimes.start_of_alignment, regimes.start_of_off_target
    require(in_Q.statement.rhs == in_S.statement.rhs, "Q and S start differently")
    return [
        as_shown("nominal_retrieval", "R at the start.", regimes.start_of_retrieval, T),
        Written("nominal_overlap", "Q and S at the start.", (in_Q, in_S), (C, N), held(in_Q)),
    ]


def frequencies() -> list[Written]:
    """Both laws for the frequencies of the RoPE planes (5b), (5f)."""
    arguments = (r, d, attention.rope_base)
    return [
        as_shown(
            "power_frequency",
            "Frequency of RoPE plane r = 0..d/2 - 1, radians a position.",
            attention.frequencies,
            *arguments,
        ),
        as_shown(
            "linear_frequency",
            "Frequency of RoPE plane r = 0..d/2 - 1 on a linear grid.",
            attention.linear_frequencies,
            *arguments,
        ),
    ]


def uniform() -> list[Written]:
    """Variance and half-width of the interval of a uniform start (3b)."""
    law, half = definitions.uniform_variance, definitions.half_width
    (inverse,) = sp.solve(law.statement, half)
    return [
        as_shown(
            "uniform_variance",
            "Variance of entries drawn uniformly from an interval about 0 of this half-width.",
            law,
            half,
        ),
        Written(
            "uniform_width",
            "Half-width of the interval about 0 whose uniform entries have this variance.",
            (law,),
            (definitions.start_variance,),
            prove("sqrt(3*v_0)", inverse),
        ),
    ]


def exchangeable() -> Written:
    """Attention off the right action, all rows alike (70a)."""
    ansatz = attention_closures.exchangeable_ansatz
    wrong = ansatz.statement.rhs.xreplace({sp.KroneckerDelta(j, i - T): sp.Integer(0)})
    return Written(
        "wrong_attention",
        "Attention on each of the T - 1 wrong actions when they share what R leaves.",
        (ansatz,),
        (missing, T),
        prove("missing/(T - 1)", wrong.subs(R, 1 - missing)),
    )


def vocabulary() -> list[Written]:
    """Mean overlap of the vocabulary's permutations per state (57), (58)."""
    relation, of_all = logic.overlap_relation, logic.overlap_with_all
    pairs = contract(over(P[k, m, n] * P[l, m, n], k, l, m, n))
    from_squares = contract(of_all.statement.rhs) / pairs * squares
    (of_others,) = sp.solve(relation.statement.rhs - from_squares, logic.c_2)
    return [
        Written(
            "mean_overlap",
            "Overlap of independent permutations, on average.",
            (overlaps.overlap_of_independent, logic.overlap_at_mean),
            (N,),
            held(logic.overlap_at_mean),
        ),
        Written(
            "measured_overlap",
            "Overlap of K permutations; squares sums (permutations that take x to n)^2 over x, n.",
            (of_all, logic.overlap_with_others, relation),
            (squares, N, K),
            prove("(squares - N*K)/(N*K*(K - 1))", of_others),
        ),
        Written(
            "chance_of_equal",
            "Chance that of K independent permutations two or more are equal; N at most 25.",
            (overlaps.chance_of_equal,),
            (N, K),
            prove(
                "-expm1(gammaln(K) - betaln(M - K + 1, K) - K*log(M))",
                overlaps.chance_of_equal.statement.rhs,
                {N: (4, 5), K: (2, 9)},
                lines=((every, sp.factorial(N)),),
            ),
            ((every, prove("exp(gammaln(N + 1))", sp.factorial(N))),),
        ),
        Written(
            "chance_of_all_equal",
            "Chance that all of them are equal.",
            (overlaps.chance_of_all_equal,),
            (N, K),
            prove("exp((1 - K)*gammaln(N + 1))", overlaps.chance_of_all_equal.statement.rhs),
        ),
        as_shown("least_overlap", "The least that it can be.", logic.least_overlap, N, K),
    ]
