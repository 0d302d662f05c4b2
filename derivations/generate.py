"""From the registry to code: writes ``meanfield/generated.py``, the theory as numbers.

And for the page to explore (``meanfield.explore``) the same in JavaScript, with its formulas.

Every formula is taken from a statement of the registry; stable forms are proven first (see
``numpy_code``). So no formula is stated twice without being compared.

    python -m derivations.generate            write meanfield/generated.py and the page's
    python -m derivations.generate --check    exit 1 if the file is not what would be written
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import sympy as sp
from sympy.codegen.cfunctions import expm1

from derivations import registry
from derivations.beyond import fluctuations, matrices, scaling, solution, variances
from derivations.beyond.solution import R_0, U_0, V_0, odds_0
from derivations.code import javascript, plane_system, starts
from derivations.code.closed_system import (
    ERROR,
    MARGIN_RANGES,
    attention_bend,
    attention_growth,
    driven_system,
    log_odds,
    missing,
    rate,
    system,
    through_logit,
)
from derivations.code.numpy import (
    HEADER,
    Written,
    as_stated,
    expit,
    log_expit,
    log_ndtr,
    logaddexp,
    over_planes,
    prove,
    rint,
    select,
    wrightomega,
)
from derivations.equation import Equation, require
from derivations.paper import attention_closures, dynamics, logic, logits, loss, regimes, rollout
from derivations.paper.dynamics import U, V, kappa, rho
from derivations.paper.regimes import Q_0, S_0, tau
from derivations.symbols import (
    C,
    Delta,
    G,
    K,
    L,
    N,
    Q,
    R,
    S,
    T,
    d,
    g,
    g0,
    gamma,
    omega,
    r,
    sigma2,
    t,
    y_c,
)

sum_phi2 = sp.Symbol("sum_phi2", positive=True)
# of the variances of the logits: 1 - R, v - u, the parts they share, their own parts times u^2
rest, lead, start, mixed = sp.symbols("rest lead start mixed", real=True)
OWN = sp.symbols("own_c own_o", real=True)
VARIANCES = sp.symbols("variance_c variance_o", real=True)
frequency = sp.Symbol("omega", real=True)
TARGET = Path(__file__).parents[1] / "meanfield" / "generated.py"


def closed(closure: Equation) -> sp.Expr:
    """The right side of a closure with ``rate`` for its own rate."""
    return closure.statement.rhs.subs({gamma: rate, g0: rate})


def exact_solution() -> list[Written]:
    """The conserved curve R(U) of both closures and where it passes 1/2 (X2, X3)."""
    start = sp.Symbol("logit_R0", real=True)
    log_missing, level, odds = sp.symbols("log_missing level odds", real=True)
    at_start = {R_0: expit(start)}
    gained = kappa * (U - U_0) * (U + U_0) / 2  # as a product: no difference of squares
    linear, quadratic = solution.linear_retrieval_by_gap, solution.quadratic_retrieval_by_gap
    ranges = {start: (-4, 1), kappa: (1, 5), U: (1, 2), U_0: (0, 1)}
    log_of_missing = prove(
        log_expit(-start) - gained, sp.log(linear.statement.rhs.subs(at_start)), ranges
    )
    level_of = start + sp.exp(start) + gained
    prove(
        wrightomega(level_of),
        quadratic.statement.rhs.subs(odds_0, sp.exp(start)),
        {**ranges, start: (-4, 0)},
    )
    onset_gaps = solution.linear_onset_gap, solution.quadratic_onset_gap
    at_onset = [
        prove(
            sp.sqrt(U_0**2 + 2 / kappa * half),
            equation.statement.rhs.subs(at_start),
            {**ranges, start: (-4, -1)},
        )
        for equation, half in zip(
            onset_gaps, (sp.log(2) + log_expit(-start), 1 - start - sp.exp(start)), strict=True
        )
    ]
    basin = prove(
        -sp.sqrt(-2 * log_expit(-start) / kappa),
        solution.linear_basin.statement.rhs.subs(at_start),
        ranges,
    )
    curve, onset = (U, U_0, start, kappa), (U_0, start, kappa)
    small = prove(level - wrightomega(level), sp.log(wrightomega(level)), {level: (-6, 6)})
    return [
        Written(
            "logit_R_linear",
            "logit R along a solution of the linear closure; nan below R = 0, outside the basin.",
            (linear,),
            curve,
            prove(
                sp.log(-expm1(log_missing)) - log_missing,
                sp.log((1 - sp.exp(log_missing)) / sp.exp(log_missing)),
                {log_missing: (-6, -1)},
            ),
            ((log_missing, log_of_missing),),
        ),
        Written(
            "logit_R_quadratic",
            "logit R along a solution of the quadratic closure.",
            (quadratic,),
            curve,
            select(
                level > 0, sp.log(select(level > 0, odds, 1)), small.subs(wrightomega(level), odds)
            ),
            ((level, level_of), (odds, wrightomega(level))),
        ),
        *(
            Written(f"onset_gap_{name}", "U = Q - S where R = 1/2.", (source,), onset, gap)
            for name, source, gap in zip(("linear", "quadratic"), onset_gaps, at_onset, strict=True)
        ),
        Written(
            "basin_gap_linear",
            "The smallest U = Q - S at the start that learns.",
            (solution.linear_basin,),
            (start, kappa),
            basin,
        ),
    ]


def internal_time() -> list[Written]:
    """Slopes along a solution in internal time, by logit R or by V, whatever the closure (X1)."""
    (integral,) = solution.first_integral.statement.rhs.atoms(sp.Integral)
    by_R = integral.function.subs(integral.limits[0][0], R)
    constant = dynamics.rate_constant.statement.rhs / dynamics.rate  # at rate 1
    by_logit = sp.simplify(by_R * constant).subs(dynamics.shape(R), G) / kappa * R * missing
    law = sp.solve(
        sp.log(solution.linear_retrieval_by_gap.statement.rhs) - sp.Symbol("x"), U**2, dict=True
    )
    squared = sp.expand(law[0][U**2] - U_0**2)
    at, begin = sp.Symbol("logit_R", real=True), sp.Symbol("logit_R0", real=True)
    lost = squared.subs(sp.Symbol("x"), log_expit(-at)).subs(R_0, expit(begin))
    gained = prove(
        -2 / kappa * (log_expit(-at) - log_expit(-begin)),
        lost,
        {kappa: (1, 5), at: (-4, 4), begin: (-4, 1)},
    )
    attention = (
        (R, expit(rho)),
        (missing, expit(-rho)),
    )
    off_target, total = dynamics.off_target_dynamics, dynamics.total_in_internal_time
    alignment = dynamics.alignment_dynamics.statement.rhs
    total_rate = sp.simplify(alignment + (K - 1) * off_target.statement.rhs)
    per_total = through_logit(sp.factor(off_target.statement.rhs / total_rate))
    full, limit = dynamics.linear_growth, dynamics.thermodynamic_growth
    return [
        Written(
            "gap_square_slope",
            "Derivative of U^2/2 in logit R where attention has the gradient G; kappa of rate 1.",
            (solution.first_integral, dynamics.rate_constant),
            (rho, G, kappa),
            by_logit,
            attention,
        ),
        Written(
            "squared_gap_linear",
            "U^2 - U0^2 along a solution of the linear closure.",
            (solution.linear_retrieval_by_gap,),
            (at, begin, kappa),
            gained,
        ),
        Written(
            "off_target_slope",
            "dS/dV along a solution.",
            (off_target, total),
            (missing, K),
            per_total,
        ),
        Written(
            "time_slope",
            "dt/dV along a solution.",
            (total, loss.error_signal),
            (Delta, N, K),
            1 / total_rate,
            ((g, ERROR),),
        ),
        Written(
            "thermodynamic_pace",
            "What the thermodynamic limit makes of the growth of R: this many times as fast.",
            (full, limit),
            (N, K),
            sp.factor(limit.statement.rhs / full.statement.rhs),
        ),
    ]


def clocks() -> list[Written]:
    """Time along the exact solution, and while the margin is small (X3)."""
    log_slope = sp.log(K * N) - log_expit(rho) - log_expit(log_odds(Delta))
    (integral,) = solution.time_by_gap.statement.rhs.atoms(sp.Integral)
    passed = integral.limits[0][0]
    plain = integral.function.subs(
        {sp.Function("R")(passed): expit(rho), sp.Function("Delta")(passed): Delta}
    )
    prove(log_slope, sp.log(plain), {rho: (-4, 4), K: (2, 20), **MARGIN_RANGES})
    return [
        Written(
            "log_time_slope",
            "log of dt/dU along a solution.",
            (solution.time_by_gap,),
            (rho, Delta, N, K),
            log_slope,
        ),
        as_stated(
            "early_time", "Time to the total V, small margin.", solution.early_time, V, V_0, N, K
        ),
    ]


def onset() -> list[Written]:
    """Early overlaps and the rise of R (78)-(81)."""
    scale = regimes.onset_time_scale.statement.rhs.subs(gamma, rate)
    return [
        as_stated("early_Q", "Q on the plateau of R.", regimes.early_alignment, t, Q_0, N, K, T),
        as_stated("early_S", "S on the plateau of R.", regimes.early_off_target, t, S_0, N, K, T),
        Written(
            "onset_time_scale",
            "tau, the time scale of the onset (time is eta * epoch).",
            (regimes.onset_time_scale,),
            (N, K, T, rate),
            scale,
        ),
        Written(
            "early_R",
            "R at its onset, saturation kept.",
            (regimes.logistic_onset,),
            (t, tau, T),
            prove(
                expit(t**2 / tau**2 - sp.log(T - 1)),
                regimes.logistic_onset.statement.rhs,
                {t: (0, 3), tau: (1, 2), T: (2, 30)},
            ),
        ),
    ]


def onset_scaling() -> list[Written]:
    """The law of the onset while the margin is small, and its exponents (X9)."""
    (integral,) = scaling.onset_total.statement.rhs.atoms(sp.Integral)
    ((_, _, end),) = integral.limits
    total = (scaling.onset_total,)
    return [
        Written(
            "onset_total_slope",
            "1/R at x = sqrt(kappa) U.",
            total,
            (scaling.x, T),
            integral.function,
        ),
        Written("onset_total_end", "x at the onset.", total, (T,), end),
        Written(
            "small_margin_onset",
            "Training time of the onset; h is the integral of onset_total_slope to its end.",
            (scaling.onset_time,),
            (scaling.h, N, K, rate),
            scaling.onset_time.statement.rhs.subs(gamma, rate),
        ),
        *(
            as_stated(f"onset_exponent_{name}", "Its local exponent.", equation, *sizes)
            for name, equation, sizes in (
                ("N", scaling.onset_exponent_N, (N,)),
                ("K", scaling.onset_exponent_K, (K,)),
                ("both", scaling.onset_exponent_both, (N,)),
            )
        ),
    ]


def form_factor() -> Written:
    """phi of a plane: closed form, or its series where the closed form cancels (14b)."""
    slow, resolved = sp.Symbol("slow"), sp.Symbol("resolved", real=True)
    by_series, by_closed_form = sp.symbols("by_series by_closed_form")
    square, inverse = sp.symbols("x w", positive=True)  # (omega T)^2 and 1/T^2
    in_square = sp.Poly(
        sp.expand(
            attention_closures.form_factor_series(10)
            .subs(omega[r], sp.sqrt(square * inverse))
            .subs(T, 1 / sp.sqrt(inverse))
        ),
        square,
    )
    powers = [power for (power,), _ in reversed(in_square.terms())]
    names = sp.symbols(f"c_1:{len(powers) + 1}")
    require(powers == list(range(1, len(powers) + 1)), "the series has gaps")
    coefficients = [sp.factor(in_square.coeff_monomial(square**power)) for power in powers]
    series = sp.horner(
        sp.Add(*(c * square**q for c, q in zip(names, powers, strict=True))), wrt=square
    )
    closed_form = attention_closures.form_factor_closed.statement.rhs.subs(omega[r], resolved)
    return Written(
        "form_factor",
        "phi of RoPE planes of frequencies omega (radians a position), 0 if they do not resolve T.",
        (attention_closures.form_factor_closed, attention_closures.form_factor_sum),
        (frequency, T),
        select(slow, by_series, by_closed_form),
        (
            (frequency, frequency - 2 * sp.pi * rint(frequency / (2 * sp.pi))),
            (square, (frequency * T) ** 2),
            (inverse, 1 / T**2),
            *zip(names, coefficients, strict=True),
            (slow, sp.Abs(frequency * T) < sp.Rational(1, 4)),
            (resolved, select(slow, 1, frequency)),
            (by_series, series),
            (by_closed_form, closed_form),
        ),
    )


def closure_rates() -> list[Written]:
    """The prefactors of both closures from the form factors of all planes (14), (70b)."""
    phi = sp.Symbol("phi", nonnegative=True)
    planes = attention_closures.Phi2
    summed = over_planes(planes.function.xreplace({attention_closures.phi[r]: phi}))
    return [
        Written(
            f"closure_rate_{name}",
            f"{letter}; phi: form factors, planes on the last axis, 0 for one that is not there.",
            (law,),
            (phi, sigma2, d, T),
            law.statement.rhs.xreplace({planes: summed}),
        )
        for name, letter, law in (
            ("linear", "gamma", attention_closures.linear_rate),
            ("quadratic", "g_0", attention_closures.quadratic_rate),
        )
    ]


def next_token_kernels() -> list[Written]:
    """What the error 1 - a is the Gaussian mean of, by its logarithm (17b), (17c)."""
    sigma_c, sigma_o, far = rollout.sigma_c, rollout.sigma_o, sp.Symbol("far")
    alone, together = sp.symbols("alone together")
    y, w = sp.symbols("y w", real=True)  # arguments in units of sigma_o

    def kernel(equation: Equation) -> tuple[sp.Expr, sp.Symbol]:
        integral = equation.statement.rhs
        node = integral.limits[0][0]
        normal = rollout.density(node, sp.Integer(0), sp.Integer(1))
        return sp.simplify(integral.function / normal), node

    plain, node = kernel(rollout.next_token_error)
    (largest_below,) = (found.args[0] for found in plain.atoms(rollout.Phi))
    by_right = sp.log(plain.subs(node, sp.solve(largest_below - y, node)[0]))
    near = sp.log(-expm1((N - 1) * log_ndtr(y)))
    beyond = sp.log(N - 1) + log_ndtr(-y)  # none of the others matters to any other
    prove(near, by_right, {y: (-3, 6), N: (2, 30)})
    prove(beyond, by_right, {y: (30, 34), N: (2, 30)})
    others, node = kernel(rollout.error_by_largest_other)
    by_largest = sp.log(N - 1) + (N - 2) * log_ndtr(w) + log_ndtr((sigma_o * w - Delta) / sigma_c)
    ranges = {**MARGIN_RANGES, sigma_c: (1, 2), sigma_o: (1, 2), w: (-3, 3)}
    prove(by_largest, sp.log(others.subs(node, w)), ranges)
    lines = (
        (far, y > 30),
        (alone, beyond),
        (together, near.subs(y, select(far, 0, y))),
    )
    above, right_below = sp.symbols("log_above right_below", real=True)
    log_density = sp.expand_log(sp.log(rollout.density(y, sp.Integer(0), sp.Integer(1))))
    falling = -sp.exp(sp.log(N - 1) + (N - 2) * log_ndtr(y) + log_density - above)
    prove(falling.subs(above, near), sp.diff(by_right, y), {y: (-3, 6), N: (2, 30)})
    prove(falling.subs(above, beyond), sp.diff(by_right, y), {y: (30, 34), N: (2, 30)})

    def hazard(at: sp.Expr) -> sp.Expr:
        return sp.exp(log_density.subs(y, at) - log_ndtr(at))

    beside = (sigma_o * w - Delta) / sigma_c
    rising = (N - 2) * hazard(w) + sigma_o / sigma_c * hazard(beside)
    prove(rising, sp.diff(sp.log(others.subs(node, w)), w), ranges)
    return [
        Written(
            "log_any_above_slope",
            "Its derivative in y.",
            (rollout.next_token_error,),
            (y, N),
            falling,
            (*lines, (above, select(far, alone, together))),
        ),
        Written(
            "log_right_below_slope",
            "Its derivative in w.",
            (rollout.error_by_largest_other,),
            (w, Delta, sigma_c, sigma_o, N),
            rising.subs(beside, right_below),
            ((right_below, beside),),
        ),
        Written(
            "log_any_above",
            "log of the chance that the largest of N - 1 standard normals exceeds y.",
            (rollout.next_token_error,),
            (y, N),
            select(far, alone, together),
            lines,
        ),
        Written(
            "log_right_below",
            "log of what the largest other logit, w deviations above its mean, adds to 1 - a.",
            (rollout.error_by_largest_other,),
            (w, Delta, sigma_c, sigma_o, N),
            by_largest,
        ),
    ]


def accuracy() -> list[Written]:
    """Next-token and rollout accuracy in terms of the error 1 - a (17), (18)."""
    error, cases = rollout.error, rollout.rollout_error.statement.rhs
    (small, condition), (large, _) = cases.args
    informed, by_logarithm, by_power = sp.symbols("informed by_logarithm by_power")
    return [
        *next_token_kernels(),
        Written(
            "rollout_accuracy",
            "Probability that the state after T steps is right; error = 1 - a.",
            (rollout.rollout_accuracy,),
            (error, N, T),
            rollout.rollout_accuracy.statement.rhs.subs(rollout.accuracy, 1 - error),
        ),
        Written(
            "rollout_error",
            "Probability that it is wrong, exact however small the error 1 - a.",
            (rollout.rollout_error,),
            (error, N, T),
            select(informed, by_logarithm, by_power),
            (
                (informed, condition),
                (by_logarithm, small.subs(error, select(informed, error, 0))),
                (by_power, large),
            ),
        ),
    ]


def variance_lines() -> list[tuple[sp.Symbol, sp.Expr]]:
    """The variances (X6a), (X6b), line by line: what they share, and u^2 times their own part."""
    u, v = variances.u, variances.v
    parts = []
    for is_hit in (1, 0):
        of_kind = variances.variance.statement.rhs.subs(variances.hit, is_hit).subs(R, 1 - rest)
        parts.append(sp.Poly(sp.expand(of_kind.subs(v, u + lead)), variances.sigma_W2, u, lead))
    right, other = parts
    require(
        all(
            (right - other).coeff_monomial(term) == 0
            for term in (variances.sigma_W2, u * lead, lead**2)
        ),
        "the two variances differ in more than u^2",
    )
    by_start = variances.sigma_W2 * sp.factor(right.coeff_monomial(variances.sigma_W2))
    by_lead = sp.factor(
        right.coeff_monomial(u * lead) * u * lead + right.coeff_monomial(lead**2) * lead**2
    )
    own = [sp.factor(part.coeff_monomial(u**2)) for part in parts]
    return [
        (rest, 1 - R),
        (variances.I_2, variances.squared_attention.statement.rhs.subs(R, 1 - rest)),
        (start, by_start),
        (lead, v - u),
        (mixed, by_lead),
        *zip(OWN, own, strict=True),
        *((name, start + mixed + u**2 * part) for name, part in zip(VARIANCES, OWN, strict=True)),
    ]


def logit_variances() -> list[Written]:
    """The micro solution's weights, and the spread of the logits along the flow (X4), (X6)."""
    u, v = variances.u, variances.v
    return [
        Written(
            "retrieval_part",
            "Weight u of P_k - mean.",
            (matrices.gap_by_retrieval_part,),
            (U, U_0, logic.c_2),
            sp.solve(matrices.gap_by_retrieval_part.statement, u)[0],
        ),
        Written(
            "heuristic_part",
            "Weight v of mean - J/N.",
            (matrices.total_by_heuristic,),
            (V, V_0, logic.c_2, N, K),
            sp.factor(sp.solve(matrices.total_by_heuristic.statement, v)[0]),
        ),
        Written(
            "logit_variances",
            "Variances (sigma_c^2, sigma_o^2) of the right logit and of any other.",
            (variances.variance_right, variances.variance_other),
            (variances.u, variances.v, R, variances.sigma_W2, N, K, T),
            VARIANCES,
            tuple(variance_lines()),
        ),
    ]


def corrected_flow() -> list[Written]:
    """The loss with fluctuations, and the flow down it (X8), in the terms of R, Q and S."""
    u, v, overlap = variances.u, variances.v, logic.c_2
    arguments = (R, Q, S, Q_0, S_0, C, overlap, variances.sigma_W2, N, K, T)
    gap_gain, total_gain, gap_rate, total_rate = sp.symbols(
        "gap_gain total_gain gap_rate total_rate", real=True
    )
    lines = variance_lines()
    gap, total = dynamics.gap, dynamics.total
    start_of = {Q: Q_0, S: S_0}
    state = (
        (gap_gain, sp.factor(sp.diff(matrices.gap_by_retrieval_part.statement.rhs, u))),
        (total_gain, sp.diff(matrices.total_by_heuristic.statement.rhs, v)),
        (U, gap),
        (V, total),
        (u, (U - gap.xreplace(start_of)) / gap_gain),
        (v, (V - total.xreplace(start_of)) / total_gain),
        (Delta, solution.margin_by_gap.statement.rhs),
        (g, ERROR),
        *lines,
    )
    second_order, plain = fluctuations.second_order_loss, loss.mean_field_loss
    spreads = (fluctuations.w_0, rollout.sigma_c**2, rollout.sigma_o**2)
    named = (start, *VARIANCES)
    added = sp.expand(second_order.statement.rhs - plain.statement.rhs)
    added = sp.collect(added.subs(dict(zip(spreads, named, strict=True))), named, sp.factor)
    stable = prove(logaddexp(0, log_odds(Delta)), plain.statement.rhs, MARGIN_RANGES)
    slopes, (by_R, by_u, by_v) = corrected_slopes(dict(lines), added, gap_gain, total_gain)
    sources = (second_order, solution.margin_by_gap)
    retrieval, heuristic = fluctuations.retrieval_part_flow, fluctuations.heuristic_flow
    u_rate = retrieval.statement.rhs.xreplace({sp.Derivative(L, U): by_u / gap_gain})
    v_rate = heuristic.statement.rhs.xreplace({sp.Derivative(L, V): by_v / total_gain})
    by_gap_and_total = sp.solve([U - gap, V - total], [Q, S], dict=True)[0]
    rates = {U: gap_rate, V: total_rate}
    return [
        Written(
            "corrected_loss",
            "Loss with the fluctuations of the logits to second order.",
            sources,
            arguments,
            stable + added,
            state,
        ),
        Written(
            "corrected_rates",
            "The drive F = -dL/dR on attention, and the time derivatives of Q and S.",
            (*sources, fluctuations.retrieval_under_any_loss, retrieval, heuristic),
            arguments,
            (-by_R, *(sp.factor(by_gap_and_total[x].xreplace(rates)) for x in (Q, S))),
            (
                *state,
                *slopes,
                (gap_rate, gap_gain * u_rate),
                (total_rate, total_gain * v_rate),
            ),
        ),
    ]


def corrected_slopes(
    lines: dict[sp.Symbol, sp.Expr], added: sp.Expr, gap_gain: sp.Symbol, total_gain: sp.Symbol
) -> tuple[list[tuple[sp.Symbol, sp.Expr]], tuple[sp.Expr, ...]]:
    """Named lines, then the slopes of the corrected loss in R, u and v in their terms.

    lines: those of the variances. added: what fluctuations add to the loss.
    """
    u = variances.u
    hit, by_margin, squares_by_R = sp.symbols("hit by_margin squares_by_R", real=True)
    weights = sp.symbols("by_start by_variance_c by_variance_o", real=True)
    start_by_R, *own_by_R = sp.symbols("start_by_R own_c_by_R own_o_by_R", real=True)
    mixed_by = sp.symbols("mixed_by_R mixed_by_u mixed_by_v", real=True)
    named = (start, *VARIANCES)

    def through_rest(expr: sp.Expr) -> sp.Expr:
        """Slope in R of what holds 1 - R and the squares."""
        of_squares = sp.diff(expr, variances.I_2) * squares_by_R
        return sp.factor(of_squares) - sp.factor(sp.diff(expr, rest))

    of_mixed = lines[mixed]
    by_lead = sp.diff(of_mixed, lead)
    result = [
        (hit, expit(-log_odds(Delta))),
        *((w, sp.factor(sp.diff(added, x))) for w, x in zip(weights, named, strict=True)),
        # the loss falls with the margin at the rate g, and g at the rate g (1 - g)
        (by_margin, -g - g * hit * sp.diff(added, g)),
        (squares_by_R, -sp.diff(lines[variances.I_2], rest)),
        (start_by_R, through_rest(lines[start])),
        *((s, through_rest(lines[o])) for s, o in zip(own_by_R, OWN, strict=True)),
        *zip(
            mixed_by,
            map(sp.factor, (through_rest(of_mixed), sp.diff(of_mixed, u) - by_lead, by_lead)),
            strict=True,
        ),
    ]
    of_margin = solution.margin_by_gap.statement.rhs
    margin_by = [sp.factor(sp.diff(of_margin, letter)) for letter in (R, U, V)]
    by_start, *by_variance = weights
    both = sp.Add(*by_variance)
    by_R = by_margin * margin_by[0] + by_start * start_by_R + both * (start_by_R + mixed_by[0])
    by_u = by_margin * margin_by[1] * gap_gain + both * mixed_by[1]
    for weight, own, slope in zip(by_variance, OWN, own_by_R, strict=True):
        by_R += weight * u**2 * slope
        by_u += weight * 2 * u * own
    by_v = by_margin * margin_by[2] * total_gain + both * mixed_by[2]
    return result, (by_R, by_u, by_v)


def functions() -> list[Written]:
    """Everything that goes into meanfield/generated.py, in order."""
    sum_of_squares, right = attention_closures.Phi2, logits.mean_correct_logit
    linear, quadratic = attention_closures.linear_closure, attention_closures.quadratic_closure
    return [
        *starts.starts(),
        as_stated("correct_logit", "Mean logit of the right state.", right, R, Q, S, K),
        as_stated("other_logit", "Mean logit of any other.", logits.mean_other_logit, y_c, C, N),
        Written(
            "margin",
            "Lead of the right state's mean logit over the others'.",
            (right, logits.margin),
            (R, Q, S, C, N, K),
            logits.margin.statement.rhs,
            ((y_c, right.statement.rhs),),
        ),
        Written(
            "loss",
            "Mean-field loss.",
            (loss.mean_field_loss,),
            (Delta, N),
            prove(logaddexp(0, log_odds(Delta)), loss.mean_field_loss.statement.rhs, MARGIN_RANGES),
        ),
        Written(
            "error_signal",
            "g = 1 - p_correct under the mean logits.",
            (loss.error_signal,),
            (Delta, N),
            ERROR,
        ),
        Written(
            "log_error_signal",
            "log g.",
            (loss.error_signal,),
            (Delta, N),
            prove(
                log_expit(log_odds(Delta)), sp.log(loss.error_signal.statement.rhs), MARGIN_RANGES
            ),
        ),
        Written(
            "attention_drive",
            "F = -dL/dR.",
            (loss.attention_drive,),
            (R, Q, S, C, N, K),
            loss.attention_drive.statement.rhs,
            ((y_c, right.statement.rhs), (Delta, logits.margin.statement.rhs), (g, ERROR)),
        ),
        form_factor(),
        *closure_rates(),
        Written(
            "linear_rate",
            "gamma; sum_phi2 is the sum of form_factor squared over the d/2 planes.",
            (attention_closures.linear_rate,),
            (sum_phi2, sigma2, d, T),
            attention_closures.linear_rate.statement.rhs.xreplace({sum_of_squares: sum_phi2}),
        ),
        Written(
            "quadratic_rate",
            "g_0; sum_phi2 is the sum of form_factor squared over the d/2 planes.",
            (attention_closures.quadratic_rate,),
            (sum_phi2, sigma2, d, T),
            attention_closures.quadratic_rate.statement.rhs.xreplace({sum_of_squares: sum_phi2}),
        ),
        Written(
            "gradient_linear",
            "G = |grad_q R|^2 + |grad_k R|^2, linear closure.",
            (linear,),
            (R, rate),
            closed(linear),
        ),
        Written(
            "gradient_quadratic",
            "G = |grad_q R|^2 + |grad_k R|^2, quadratic closure.",
            (quadratic,),
            (R, rate),
            closed(quadratic),
        ),
        *driven_system(),
        *system("linear", closed(linear), linear),
        *attention_growth("linear", closed(linear), linear),
        attention_bend("linear", closed(linear), linear),
        *system("quadratic", closed(quadratic), quadratic),
        *attention_growth("quadratic", closed(quadratic), quadratic),
        attention_bend("quadratic", closed(quadratic), quadratic),
        Written(
            "kappa",
            "The one constant of the curves in internal time.",
            (dynamics.rate_constant,),
            (N, K, rate),
            dynamics.rate_constant.statement.rhs.subs(dynamics.rate, rate),
        ),
        as_stated("margin_by_gap", "Margin.", solution.margin_by_gap, R, U, V, C, N, K),
        *exact_solution(),
        *internal_time(),
        *clocks(),
        *onset(),
        *onset_scaling(),
        *accuracy(),
        *logit_variances(),
        *corrected_flow(),
        *plane_system.planes(),
        *plane_system.steps(),
    ]


def module_source() -> str:
    """The whole of meanfield/generated.py."""
    return HEADER + "\n\n" + "\n\n\n".join(written.source() for written in functions()) + "\n"


def files() -> dict[Path, str]:
    """All that is generated, by where it goes."""
    explorer = TARGET.parent / "explore"
    return {
        TARGET: module_source(),
        explorer / "generated.js": javascript.module(functions()),
        explorer / "formulas.html": javascript.formulas(registry.EQUATIONS),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: write the file, or compare it with what would be written."""
    parser = argparse.ArgumentParser(
        prog="python -m derivations.generate", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args(arguments)
    differing = []
    for path, source in files().items():
        if not options.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(source, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != source:
            differing.append(path.name)
    if not differing:
        return 0
    print(
        f"{', '.join(differing)}: not what the registry says; run python -m derivations.generate",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
