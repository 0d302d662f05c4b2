"""What stands for the attention gradient G(R), and how R grows by it: (14), (70), (71), (X7c)."""

from __future__ import annotations

from typing import NamedTuple

import sympy as sp

from derivations.beyond import finite_steps
from derivations.code.written import (
    Line,
    Written,
    define,
    everywhere,
    held,
    over_planes,
    prove,
    rint,
    select,
)
from derivations.functions.mean_field import STATE_LINES, by_logit, missing
from derivations.paper import attention_closures, dynamics, loss
from derivations.paper.dynamics import rho
from derivations.statement import Equation, require
from derivations.symbols import R, T, d, g0, gamma, omega, r, sigma2, t

rate = sp.Symbol("rate", positive=True)  # gamma of the linear closure, g_0 of the quadratic one
frequency = sp.Symbol("omega", real=True)
phi = sp.Symbol("phi", nonnegative=True)  # the form factors of all planes, an array
OWN_RATE = {gamma: rate, g0: rate}


class Forms(NamedTuple):
    """How the functions of one closure are written."""

    growth: str
    growth_slope: str
    bend: str


NAMED = {
    "linear": (attention_closures.linear_closure, Forms("rate", "0", "1/2 - R")),
    "quadratic": (
        attention_closures.quadratic_closure,
        Forms("rate*R*missing", "rate*R*missing*(missing - R)", "0"),
    ),
}


def closures() -> list[Written]:
    """Form factor, and for both closures its rate, G and the growth of R."""
    found = [form_factor(), *closure_rates()]
    for name, (equation, forms) in NAMED.items():
        closure = equation.statement.rhs.xreplace(OWN_RATE)
        found += [gradient(name, equation), *offered(name, closure, equation, forms)]
    return found


# --- the form factor of a plane, and the rates ---------------------------------------------------

SERIES = (  # coefficients of (omega T)^2, its square, ..., in w = 1/T^2
    "(1 - w)/12",
    "-(1 - w)*(2 - 3*w)/720",
    "(1 - w)*(1 - 2*w)*(3 - 5*w)/60480",
    "-(1 - w)*(2 - 3*w)*(1 - 5*w + 7*w**2)/3628800",
    "(1 - w)*(1 - 3*w)*(2 - 14*w + 37*w**2 - 30*w**3)/479001600",
)


def series_lines(square: sp.Symbol, inverse: sp.Symbol) -> tuple[Line, ...]:
    """The coefficients of the series of phi for a slow plane."""
    in_square = sp.Poly(
        sp.expand(
            attention_closures.form_factor_series(2 * len(SERIES))
            .subs(omega[r], sp.sqrt(square * inverse))
            .subs(T, 1 / sp.sqrt(inverse))
        ),
        square,
    )
    powers = range(1, len(SERIES) + 1)
    require([power for (power,), _ in reversed(in_square.terms())] == [*powers], "there are gaps")
    return tuple(
        (sp.Symbol(f"c_{power}"), prove(form, in_square.coeff_monomial(square**power)))
        for power, form in zip(powers, SERIES, strict=True)
    )


def form_factor() -> Written:
    """phi of a plane: closed form, or its series where the closed form cancels (14b)."""
    slow, resolved = sp.Symbol("slow"), sp.Symbol("resolved", real=True)
    by_series, by_closed_form = sp.symbols("by_series by_closed_form")
    square, inverse = sp.symbols("x w", positive=True)  # (omega T)^2 and 1/T^2
    coefficients = series_lines(square, inverse)
    named = {name.name: name for name, _ in coefficients}
    return Written(
        "form_factor",
        "phi of RoPE planes of frequencies omega (radians a position), 0 if they do not resolve T.",
        (attention_closures.form_factor_closed, attention_closures.form_factor_sum),
        (frequency, T),
        select(slow, by_series, by_closed_form),
        (
            (frequency, define("omega - 2*pi*rint(omega/(2*pi))", omega=frequency, rint=rint)),
            (square, define("(omega*T)**2", omega=frequency, T=T)),
            (inverse, define("1/T**2", T=T)),
            *coefficients,
            (slow, sp.Abs(frequency * T) < sp.Rational(1, 4)),
            (resolved, select(slow, 1, frequency)),
            (
                by_series,
                define("x*(c_1 + x*(c_2 + x*(c_3 + x*(c_4 + x*c_5))))", x=square, **named),
            ),
            (by_closed_form, held(attention_closures.form_factor_closed, {omega[r]: resolved})),
        ),
    )


def closure_rates() -> list[Written]:
    """The prefactors of both closures from the form factors of all planes (14), (70b)."""
    planes = attention_closures.Phi2
    summed = {planes: over_planes(planes.function.xreplace({attention_closures.phi[r]: phi}))}
    return [
        Written(
            f"closure_rate_{name}",
            f"{letter}; phi: form factors, planes on the last axis, 0 for one that is not there.",
            (law,),
            (phi, sigma2, d, T),
            held(law, summed),
        )
        for name, letter, law in (
            ("linear", "gamma", attention_closures.linear_rate),
            ("quadratic", "g_0", attention_closures.quadratic_rate),
        )
    ]


# --- what a closure offers -----------------------------------------------------------------------


def gradient(name: str, equation: Equation) -> Written:
    """G as a function of R."""
    return Written(
        f"gradient_{name}",
        f"G = |grad_q R|^2 + |grad_k R|^2, {name} closure.",
        (equation,),
        (R, rate),
        held(equation, OWN_RATE),
    )


def growth(closure: sp.Expr) -> sp.Expr:
    """Growth rate of logit R per unit of the drive F for G = ``closure``, in R and missing."""
    per_drive = sp.simplify(
        dynamics.logit_growth.statement.rhs / loss.attention_drive.statement.rhs
    )
    found = tidy(per_drive.subs(dynamics.shape(R), closure))
    return found.xreplace({1 - R: missing, R - 1: -missing})


def bend(closure: sp.Expr) -> sp.Expr:
    """What gradient steps add to the growth of logit R for G = ``closure``, in R (X7c).

    In units of the squared growth rate, beside the rate's own change.
    """
    pace = finite_steps.phi(t)
    stepped = sp.expand(finite_steps.logit_growth_in_steps.statement.rhs)
    per_square = stepped.coeff(pace, 2) / stepped.coeff(sp.Derivative(pace, t))
    return tidy(per_square.subs(dynamics.shape(R), closure).doit())


def tidy(expr: sp.Expr) -> sp.Expr:
    """``expr`` reduced and factored, each of its cases apart."""
    if not expr.has(sp.Piecewise):
        return sp.factor(sp.cancel(expr))
    cases = sp.piecewise_fold(expr).args
    return sp.Piecewise(*((tidy(case), condition) for case, condition in cases))


def offered(
    name: str, closure: sp.Expr, source: Equation | None, forms: Forms | None = None
) -> tuple[Written, ...]:
    """How logit R grows under one closure: per unit of the drive, by logit R, and in steps.

    forms: how to write them; as SymPy has them unless given.
    """
    per_drive = growth(closure)
    found = [per_drive, tidy(by_logit(per_drive)), bend(closure)]
    if forms is not None:
        found = [prove(form, plain) for form, plain in zip(forms, found, strict=True)]
    by_drive, in_steps = dynamics.logit_growth, finite_steps.logit_growth_in_steps
    says = (
        ("growth", "Growth rate of logit R per unit of the drive F.", by_drive, (rho, rate)),
        ("growth_slope", "Derivative of that growth in logit R.", by_drive, (rho, rate)),
        (
            "bend",
            "What steps change in the growth of logit R, over its square and minus lr/2.",
            in_steps,
            (rho,),
        ),
    )
    own = (source,) if source else ()
    return tuple(
        of_logit(f"{kind}_{name}", words, (law, *own), arguments, right)
        for (kind, words, law, arguments), right in zip(says, found, strict=True)
    )


def of_logit(
    name: str,
    says: str,
    sources: tuple[Equation, ...],
    arguments: tuple[sp.Symbol, ...],
    right: sp.Expr,
) -> Written:
    """A function of logit R, as many values as it is given."""
    if not right.free_symbols & {R, missing}:
        right = everywhere(right, rho)
    lines = tuple(line for line in STATE_LINES if line[0] in right.free_symbols)
    return Written(name, says, sources, arguments, right, lines)
