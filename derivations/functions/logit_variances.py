"""The micro solution's weights, and the spread of the logits along the flow (X4), (X6)."""

from __future__ import annotations

import sympy as sp

from derivations.beyond import matrices, variances
from derivations.beyond.solution import U_0, V_0
from derivations.beyond.variances import I_2, sigma_W2, u, v
from derivations.code.written import Line, Written, define, prove
from derivations.functions.mean_field import missing
from derivations.paper import logic
from derivations.paper.dynamics import U, V
from derivations.statement import require
from derivations.symbols import K, N, R, T

lead = sp.Symbol("lead", real=True)  # v - u
common = sp.Symbol("common", positive=True)  # a factor of the permutations' part
from_start, shared = sp.symbols("from_start shared", real=True)  # what the two variances share
OWN = sp.symbols("own_c own_o", real=True)  # what they do not, over u^2
VARIANCES = sp.symbols("variance_c variance_o", real=True)


def spread() -> list[Written]:
    """The weights u and v, and both variances."""
    by_gap, by_total = matrices.gap_by_retrieval_part, matrices.total_by_heuristic
    return [
        Written(
            "retrieval_part",
            "Weight u of P_k - mean; overlap below 1, as equal permutations leave no such part.",
            (by_gap,),
            (U, U_0, logic.c_2),
            prove("(U - U_0)/(1 - c_2)", sp.solve(by_gap.statement, u)[0]),
        ),
        Written(
            "heuristic_part",
            "Weight v of mean - J/N; overlap above the least, where the mean is J/N.",
            (by_total,),
            (V, V_0, logic.c_2, N, K),
            prove("(V - V_0)/(1 + (K - 1)*c_2 - K/N)", sp.solve(by_total.statement, v)[0]),
        ),
        Written(
            "logit_variances",
            "Variances (sigma_c^2, sigma_o^2) of the right logit and of any other.",
            (variances.variance_right, variances.variance_other),
            (u, v, R, sigma_W2, N, K, T),
            VARIANCES,
            variance_lines(),
        ),
    ]


def variance_lines() -> tuple[Line, ...]:
    """The variances (X6a), (X6b), line by line: what they share, and u^2 times their own part."""
    plain = variances.variance.statement.rhs.subs(v, u + lead)
    right, other = (
        sp.Poly(sp.expand(plain.subs(variances.hit, is_hit)), sigma_W2, u, lead)
        for is_hit in (1, 0)
    )
    require(
        all((right - other).coeff_monomial(term) == 0 for term in (sigma_W2, u * lead, lead**2)),
        "the two variances differ in more than u^2",
    )
    by_start = sigma_W2 * right.coeff_monomial(sigma_W2)
    by_lead = right.coeff_monomial(u * lead) * u * lead + right.coeff_monomial(lead**2) * lead**2
    rest = (missing, define("1 - R", R=R))
    factor = (common, define("(K - 1)*(N - 1)/(N*K)**2", K=K, N=N))
    squares = variances.squared_attention.statement.rhs.subs(R, 1 - missing)
    own = [part.coeff_monomial(u**2) for part in (right, other)]
    return (
        rest,
        (I_2, prove("missing**2/(T - 1)", squares)),
        (from_start, prove("sigma_W2*(1/K + (1 - 1/K)*(R**2 + I_2))", by_start)),
        factor,
        (lead, define("v - u", u=u, v=v)),
        (
            shared,
            prove("common*lead*(lead + 2*missing*u)", by_lead, lines=(rest, factor)),
        ),
        (
            OWN[0],
            prove("common*(missing**2 + (N + K - 2)*I_2)", own[0], lines=(rest, factor)),
        ),
        (
            OWN[1],
            prove(
                "common*(missing**2 + (K - 1 + 1/(N - 1))*I_2)",
                own[1],
                lines=(rest, factor),
            ),
        ),
        *(
            (name, define(f"from_start + shared + {part}*u**2", u=u, **_named(part)))
            for name, part in zip(VARIANCES, OWN, strict=True)
        ),
    )


def _named(part: sp.Symbol) -> dict[str, sp.Symbol]:
    return {symbol.name: symbol for symbol in (from_start, shared, part)}
