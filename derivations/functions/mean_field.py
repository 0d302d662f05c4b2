"""Margin, loss and the drives under the mean logits: (10)-(12), (15b), (15c), (43), (61b)."""

from __future__ import annotations

import sympy as sp

from derivations.code.written import Line, Written, expit, held, prove
from derivations.paper import dynamics, logits, loss
from derivations.paper.dynamics import rho
from derivations.statement import require
from derivations.symbols import C, Delta, K, N, Q, R, S, g, y_c

missing = sp.Symbol("missing", positive=True)  # 1 - R, exact however close R is to 1
hit = sp.Symbol("hit", positive=True)  # 1 - g
RATES = sp.symbols("F dQ dS", real=True)
MARGIN_SLOPES = sp.symbols("margin_by_logit_R margin_by_Q margin_by_S", real=True)
MISSING = {1 - R: missing}

MARGIN_RANGES = {Delta: (-9, 9), N: (2, 30)}
ERROR = prove("expit(log(N - 1) - Delta)", loss.error_signal.statement.rhs, MARGIN_RANGES)
HIT = prove("expit(Delta - log(N - 1))", 1 - loss.error_signal.statement.rhs, MARGIN_RANGES)
LOSS = prove("logaddexp(0, log(N - 1) - Delta)", loss.mean_field_loss.statement.rhs, MARGIN_RANGES)
STATE_LINES: tuple[Line, ...] = (
    (R, prove(expit(rho), sp.solve(sp.Eq(rho, sp.log(R / (1 - R))), R)[0], {rho: (-9, 9)})),
    (missing, prove(expit(-rho), 1 - expit(rho), {rho: (-9, 9)})),
)
MODEL_LINES: tuple[Line, ...] = (  # the error signal, in R, missing, Q, S and C
    (y_c, held(logits.mean_correct_logit, MISSING)),
    (Delta, held(logits.margin)),
    (g, ERROR),
)
DRIVES = loss.attention_drive, dynamics.alignment_dynamics, dynamics.off_target_dynamics


def mean_field() -> list[Written]:
    """Margin, loss and error signal, and the rates of a model driven by them."""
    right = logits.mean_correct_logit
    return [
        Written(
            "margin",
            "Lead of the right state's mean logit over the others'.",
            (right, logits.margin),
            (R, Q, S, C, N, K),
            held(logits.margin),
            ((y_c, held(right)),),
        ),
        Written("loss", "Mean-field loss.", (loss.mean_field_loss,), (Delta, N), LOSS),
        Written(
            "error_signal",
            "g = 1 - p_correct under the mean logits.",
            (loss.error_signal,),
            (Delta, N),
            ERROR,
        ),
        driven_rates(),
        driven_jacobian(),
    ]


def driven_rates() -> Written:
    """The rates of the logic and the drive on attention."""
    return Written(
        "driven_rates",
        "(F, dQ/dt, dS/dt): the drive on attention and the rates of the logic.",
        DRIVES,
        (R, missing, Q, S, C, N, K),
        tuple(held(equation, MISSING) for equation in DRIVES),
        MODEL_LINES,
    )


def by_logit(expr: sp.Expr) -> sp.Expr:
    """The derivative in logit R of an expression in R and missing."""
    slope = R * missing
    return slope * (sp.diff(expr, R) - sp.diff(expr, missing))


def driven_jacobian() -> Written:
    """The derivatives of the driven rates in (logit R, Q, S).

    Every rate is proportional to the error signal, whose logarithm falls by ``hit`` per margin.
    """
    by_gap = sp.Symbol("F_by_gap", real=True)
    rates = [equation.statement.rhs.xreplace(MISSING) for equation in DRIVES]
    lines = (
        (hit, HIT),
        *zip(MARGIN_SLOPES, margin_slopes(), strict=True),
        *zip(RATES, (held(equation, MISSING) for equation in DRIVES), strict=True),
        (by_gap, prove("g*(N/(N - 1))*((K - 1)/K)", sp.diff(rates[0], Q))),
    )
    beside = (
        ("0", "F_by_gap", "-F_by_gap"),
        ("g/(N*K)*((K - 1)/K)*R*missing", "0", "0"),
        ("-g/(N*K)*(R*missing/K)", "0", "0"),
    )
    by_error = sp.simplify(loss.error_slope.statement.rhs.subs(1 - g, hit) / g)
    require(by_error == -hit, "the error signal does not fall at the rate 1 - g")
    rows = []
    for name, rate, forms in zip(RATES, rates, beside, strict=True):
        require(sp.diff(rate, g, 2) == 0 and rate.subs(g, 0) == 0, "a rate not linear in g")
        own = (by_logit(rate), sp.diff(rate, Q), sp.diff(rate, S))
        rows.append(
            tuple(
                prove(
                    f"-hit*{name}*{slope}" if form == "0" else f"{form} - hit*{name}*{slope}",
                    by_error * name * slope + plain,
                    lines=lines[-1:],
                )
                for slope, form, plain in zip(MARGIN_SLOPES, forms, own, strict=True)
            )
        )
    return Written(
        "driven_jacobian",
        "Derivatives of the driven rates (rows) in (logit R, Q, S) (columns).",
        (*DRIVES, loss.error_slope),
        (R, missing, Q, S, C, N, K),
        tuple(rows),
        (*MODEL_LINES, *lines),
    )


def margin_slopes() -> tuple[sp.Expr, ...]:
    """The derivatives of the margin in (logit R, Q, S)."""
    right = logits.mean_correct_logit.statement.rhs.xreplace(MISSING)
    margin = logits.margin.statement.rhs.subs(y_c, right)
    return (
        prove("(N/(N - 1))*((K - 1)/K)*(Q - S)*R*missing", by_logit(margin)),
        prove("(N/(N - 1))*(R + missing/K)", sp.diff(margin, Q)),
        prove("(N/(N - 1))*((K - 1)/K)*missing", sp.diff(margin, S)),
    )
