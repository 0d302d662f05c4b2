"""Next-token and rollout accuracy, by the error 1 - a (17), (18)."""

from __future__ import annotations

import sympy as sp

from derivations.code.written import Line, Written, define, log_ndtr, prove, select
from derivations.form import replaced
from derivations.functions.mean_field import MARGIN_RANGES
from derivations.paper import rollout
from derivations.paper.rollout import error, sigma_c, sigma_o
from derivations.statement import Equation
from derivations.symbols import Delta, N, Phi, T

y, w = sp.symbols("y w", real=True)  # arguments in units of sigma_o
ZERO, ONE = sp.Integer(0), sp.Integer(1)
NEAR, FAR = {y: (-3, 6), N: (2, 30)}, {y: (30, 34), N: (2, 30)}
RANGES = {**MARGIN_RANGES, sigma_c: (1, 2), sigma_o: (1, 2), w: (-3, 3)}


def accuracy() -> list[Written]:
    """All of these."""
    return [*over_right(), *over_others(), rollout_error()]


def kernel(equation: Equation) -> tuple[sp.Expr, sp.Symbol]:
    """What an error is the mean of over a standard normal variable, and that variable."""
    integral = equation.statement.rhs
    node = integral.limits[0][0]
    return sp.simplify(integral.function / rollout.density(node, ZERO, ONE)), node


def over_right() -> list[Written]:
    """The error as a mean over the right logit, by its logarithm (17b)."""
    source = rollout.next_token_error
    plain, node = kernel(source)
    (largest_below,) = (found.args[0] for found in plain.atoms(Phi))
    by_right = sp.log(plain.subs(node, sp.solve(largest_below - y, node)[0]))
    near = prove("log(-expm1((N - 1)*log(Phi(y))))", by_right, NEAR)
    near = prove(replaced(near, {sp.log(Phi(y)): log_ndtr(y)}), by_right, NEAR)
    # far out none of the others matters to any other
    beyond = prove("log(N - 1) + log_ndtr(-y)", by_right, FAR)
    far, alone, together = sp.symbols("far alone together")
    above, log_density = sp.symbols("log_above log_density", real=True)
    lines: tuple[Line, ...] = (
        (far, y > 30),
        (alone, beyond),
        (together, replaced(near, {y: select(far, 0, y)})),
    )
    density_line = (
        log_density,
        define("log(N - 1) + (N - 2)*log_ndtr(y) - y**2/2 - log(2*pi)/2", N=N, y=y),
    )
    falling = define("-exp(log_density - log_above)", log_density=log_density, log_above=above)
    for ranges, own in ((NEAR, near), (FAR, beyond)):
        prove(falling, sp.diff(by_right, y), ranges, lines=[density_line, (above, own)])
    return [
        Written(
            "log_any_above",
            "log of the chance that the largest of N - 1 standard normals exceeds y.",
            (source,),
            (y, N),
            select(far, alone, together),
            lines,
        ),
        Written(
            "log_any_above_slope",
            "Derivative of log_any_above in y.",
            (source,),
            (y, N),
            falling,
            (*lines, (above, select(far, alone, together)), density_line),
        ),
    ]


def over_others() -> list[Written]:
    """The error as a mean over the largest other logit, by its logarithm (17c)."""
    source = rollout.error_by_largest_other
    plain, node = kernel(source)
    by_largest = sp.log(plain.subs(node, w))
    beside, hazard, right_hazard = sp.symbols("beside hazard right_hazard", real=True)
    log_hazard = "-{0}**2/2 - log(2*pi)/2 - log_ndtr({0})"
    of_lead = {"sigma_o": sigma_o, "sigma_c": sigma_c, "w": w, "Delta": Delta}
    lines: tuple[Line, ...] = (
        (beside, define("(sigma_o*w - Delta)/sigma_c", **of_lead)),
        (hazard, define(f"exp({log_hazard.format('w')})", w=w)),
        (right_hazard, define(f"exp({log_hazard.format('beside')})", beside=beside)),
    )
    return [
        Written(
            "log_right_below",
            "log of what the largest other logit, w deviations above its mean, adds to 1 - a.",
            (source,),
            (w, Delta, sigma_c, sigma_o, N),
            prove(
                "log(N - 1) + (N - 2)*log_ndtr(w) + log_ndtr((sigma_o*w - Delta)/sigma_c)",
                by_largest,
                RANGES,
            ),
        ),
        Written(
            "log_right_below_slope",
            "Derivative of log_right_below in w.",
            (source,),
            (w, Delta, sigma_c, sigma_o, N),
            prove(
                "(N - 2)*hazard + (sigma_o/sigma_c)*right_hazard",
                sp.diff(by_largest, w),
                RANGES,
                lines=lines,
            ),
            lines,
        ),
    ]


def rollout_error() -> Written:
    """The probability that the last state is wrong, exact however small the error (18b)."""
    source = rollout.rollout_error
    (small, condition), (large, _) = source.statement.rhs.args
    informed, by_logarithm, by_power = sp.symbols("informed by_logarithm by_power")
    stable = prove("-(1 - 1/N)*expm1(T*log1p(-N*e/(N - 1)))", small)
    return Written(
        "rollout_error",
        "Probability that the state after T steps is wrong; error = 1 - a, however small.",
        (source,),
        (error, N, T),
        select(informed, by_logarithm, by_power),
        (
            (informed, condition),
            (by_logarithm, replaced(stable, {error: select(informed, error, 0)})),
            (by_power, prove("(1 - 1/N)*(1 - (1 - N*e/(N - 1))**T)", large)),
        ),
    )
