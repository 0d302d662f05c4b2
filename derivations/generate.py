"""From the registry to NumPy: writes ``meanfield/generated.py``, the theory as numbers.

Every formula is taken from a statement of the registry. Where the plain form overflows or cancels
(e^Delta, 1 - R, 1 - a), a stable form stands in its place; ``prove`` holds it against the plain one
in 400 digits before anything is written. So no formula is stated twice without being compared.

    python -m derivations.generate            write meanfield/generated.py
    python -m derivations.generate --check    exit 1 if the file is not what would be written
"""

from __future__ import annotations

import argparse
import random
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p
from sympy.printing.numpy import NumPyPrinter

from derivations import (
    attention_closures,
    dynamics,
    logits,
    loss,
    regimes,
    rollout,
    solution,
    variances,
)
from derivations.dynamics import U, V, kappa, rho, shape
from derivations.equation import Equation, require
from derivations.regimes import Q_0, S_0, tau
from derivations.solution import R_0, U_0, V_0, odds_0
from derivations.symbols import (
    C,
    Delta,
    K,
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

WIDTH = 100  # columns
TARGET = Path(__file__).parents[1] / "meanfield" / "generated.py"

# --- stable special functions: what SciPy computes, and what it means ----------------------------

expit = sp.Function("expit", real=True)
log_expit = sp.Function("log_expit", real=True)
logaddexp = sp.Function("logaddexp", real=True)
log_ndtr = sp.Function("log_ndtr", real=True)
wrightomega = sp.Function("wrightomega", real=True)
rint = sp.Function("rint", real=True)  # to the nearest integer
select = sp.Function("where", real=True)  # where(condition, if true, if false)

MEANING: dict[sp.Function, Callable[..., sp.Expr]] = {
    expit: lambda x: 1 / (1 + sp.exp(-x)),
    log_expit: lambda x: -sp.log(1 + sp.exp(-x)),
    logaddexp: lambda x, y: sp.log(sp.exp(x) + sp.exp(y)),
    log1p: lambda x: sp.log(1 + x),
    expm1: lambda x: sp.exp(x) - 1,
    log_ndtr: lambda x: sp.log(rollout.Phi(x)),
    wrightomega: lambda x: sp.LambertW(sp.exp(x)),
}


def meaning(expr: sp.Expr) -> sp.Expr:
    """``expr`` with every stable special function replaced by its definition."""
    for function, definition in MEANING.items():
        expr = expr.replace(function, definition)
    return expr.replace(rollout.Phi, lambda x: sp.erfc(-x / sp.sqrt(2)) / 2)


def prove(
    stable: sp.Expr, plain: sp.Expr, ranges: Mapping[sp.Symbol, tuple[float, float]]
) -> sp.Expr:
    """Return ``stable`` if it equals ``plain`` at 8 random points, 400 digits; else CheckFailed."""
    rng = random.Random(str(plain))
    difference = meaning(stable) - meaning(plain)
    unknown = difference.free_symbols - set(ranges)
    require(not unknown, f"no range is given for {unknown} in {plain}")
    evaluate = sp.lambdify(list(ranges), difference, modules="mpmath")
    with mpmath.workdps(400):
        for _ in range(8):
            point = [
                mpmath.mpf(rng.randint(int(low), int(high)))
                if symbol.is_integer
                else low + (high - low) * mpmath.mpf(rng.randint(1, 999)) / 1000
                for symbol, (low, high) in ranges.items()
            ]
            gap = abs(evaluate(*point))
            require(gap < 1e-40, f"{stable} is not {plain}: differs by {mpmath.nstr(gap, 3)}")
    return stable


# --- one generated function ----------------------------------------------------------------------

missing = sp.Symbol("missing", positive=True)  # 1 - R, exact however close R is to 1
hit = sp.Symbol("hit", positive=True)  # 1 - g
rate = sp.Symbol("rate", positive=True)  # gamma of the linear closure, g_0 of the quadratic one
RATES = sp.symbols("dlogit_R dQ dS", real=True)  # the three rates, in the Jacobian
margin_rho, margin_Q, margin_S = sp.symbols("margin_by_logit_R margin_by_Q margin_by_S", real=True)
sum_phi2 = sp.Symbol("sum_phi2", positive=True)
frequency = sp.Symbol("omega", real=True)

NAMES = {
    Delta: "margin",
    rho: "logit_R",
    U_0: "U0",
    V_0: "V0",
    Q_0: "Q0",
    S_0: "S0",
    sigma2: "qk_variance",
    variances.sigma_W2: "w_variance",
    rollout.error: "error",
    rollout.z: "z",
}
SIZES = (N, K, T, d)


@dataclass(frozen=True)
class Written:
    """One generated function: its arguments, named intermediate lines, and what it returns."""

    name: str
    says: str
    sources: tuple[Equation, ...]
    arguments: tuple[sp.Symbol, ...]
    returns: Any  # an expression or nested tuples of expressions
    lines: tuple[tuple[sp.Symbol, sp.Expr], ...] = field(default=())

    def source(self) -> str:
        """Return the function as Python source."""
        names = [NAMES.get(symbol, symbol.name) for symbol in self.arguments]
        listed = ", ".join(f"{name}: Real" for name in names)
        kind = "Any" if isinstance(self.returns, tuple) else "Real"
        signature = f"def {self.name}({listed}) -> {kind}:"
        if len(signature) > WIDTH:
            signature = f"def {self.name}(\n    {listed}\n) -> {kind}:"
        equations = ", ".join(f"({equation.number})" for equation in self.sources)
        body = [f'"""{self.says} {equations}"""']
        if len(body[0]) > WIDTH - 4:
            body = [f'"""{self.says}', "", f"{equations}", '"""']
        sizes = [
            name for symbol, name in zip(self.arguments, names, strict=True) if symbol in SIZES
        ]
        if sizes:
            body.append(f"{', '.join(sizes)} = {', '.join(f'1.0 * {name}' for name in sizes)}")
        body += [
            folded(f"{NAMES.get(left, left.name)} = ", code(right)) for left, right in self.lines
        ]
        scalar = "[()]" if isinstance(self.returns, select) else ""  # a 0-d array back to a number
        body.append(folded("return ", code(self.returns) + scalar))
        return signature + "\n" + textwrap.indent("\n".join(body), "    ")


def as_stated(name: str, says: str, equation: Equation, *arguments: sp.Symbol) -> Written:
    """An equation's right side as it stands."""
    return Written(name, says, (equation,), arguments, equation.statement.rhs)


class Printer(NumPyPrinter):
    """NumPy code with the names of this file: np.sqrt, expit, ..."""

    def __init__(self) -> None:
        super().__init__({"fully_qualified_modules": False, "allow_unknown_functions": True})

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return NAMES.get(expr, expr.name)

    def _print_Function(self, expr: sp.Function) -> str:
        name = expr.func.__name__
        prefix = "" if name in FROM_SCIPY else "np."
        return f"{prefix}{name}({', '.join(map(self._print, expr.args))})"

    _print_log = _print_exp = _print_sin = _print_cos = _print_expm1 = _print_log1p = (
        _print_Function
    )

    def _print_Pow(self, expr: sp.Pow, rational: bool = False, sqrt: str = "sqrt") -> str:
        if abs(expr.exp) == sp.Rational(1, 2):
            root = f"np.sqrt({self._print(expr.base)})"
            return root if expr.exp > 0 else f"1 / {root}"
        if expr.exp.is_Integer and expr.exp < 0:
            return f"1 / {self._print(expr.base**-expr.exp)}"
        return super()._print_Pow(expr, rational=rational)

    def _print_Relational(self, expr: sp.core.relational.Relational) -> str:
        return f"{self._print(expr.lhs)} {expr.rel_op} {self._print(expr.rhs)}"

    def _print_Abs(self, expr: sp.Abs) -> str:
        return f"np.abs({self._print(expr.args[0])})"

    def _print_Pi(self, expr: sp.Expr) -> str:
        return "np.pi"

    def _print_Rational(self, expr: sp.Rational) -> str:
        return f"{expr.p} / {expr.q}"


def code(expr: Any) -> str:
    """``expr`` as NumPy code; nested tuples become tuples, one entry a line."""
    if isinstance(expr, tuple):
        entries = [textwrap.indent(wrapped(code(entry)), "    ") + ",\n" for entry in expr]
        return f"(\n{''.join(entries)})"
    return Printer().doprint(expr)


def wrapped(text: str) -> str:
    """Break one long line that stands in brackets at a blank."""
    if "\n" in text or len(text) <= WIDTH - 12:
        return text
    return textwrap.fill(text, WIDTH - 12, subsequent_indent="    ", break_on_hyphens=False)


def folded(start: str, text: str) -> str:
    """A statement, its right side put in brackets and broken where it is too long."""
    if "\n" in text or len(start + text) <= WIDTH - 4:
        return start + text
    return f"{start}(\n" + textwrap.indent(wrapped(text), "    ") + "\n)"


# --- the closed system ---------------------------------------------------------------------------


def through_logit(expr: sp.Expr) -> sp.Expr:
    """Write 1 - R as ``missing`` wherever it stands."""
    return expr.xreplace({1 - R: missing, R - 1: -missing})


def log_odds(excess: sp.Expr) -> sp.Expr:
    """Return log(N - 1) less ``excess``: the argument of a logistic function of a margin."""
    return sp.log(N - 1) - excess


_MARGIN_RANGES = {Delta: (-9, 9), N: (2, 30)}
_ERROR = prove(expit(log_odds(Delta)), loss.error_signal.statement.rhs, _MARGIN_RANGES)
_STATE_LINES = (
    (R, prove(expit(rho), sp.solve(sp.Eq(rho, sp.log(R / (1 - R))), R)[0], {rho: (-9, 9)})),
    (missing, prove(expit(-rho), 1 - expit(rho), {rho: (-9, 9)})),
)
_RIGHT_LOGIT = through_logit(logits.mean_correct_logit.statement.rhs)
_MODEL_LINES = (
    *_STATE_LINES,
    (y_c, _RIGHT_LOGIT),
    (Delta, logits.margin.statement.rhs),
    (g, _ERROR),
)


def rates(closure: sp.Expr) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """(15) for G = ``closure``: the time derivatives of logit R, Q and S in R, missing, Q, S, g."""
    of_logit = dynamics.logit_growth.statement.rhs
    per_R = sp.simplify(closure / (R * (1 - R)))
    attention = of_logit.subs(shape(R), R * (1 - R)) * per_R
    logic_rates = (dynamics.alignment_dynamics, dynamics.off_target_dynamics)
    return through_logit(attention), *(through_logit(eq.statement.rhs) for eq in logic_rates)


def jacobian(closure: sp.Expr) -> tuple[tuple[sp.Expr, ...], ...]:
    """The derivatives of ``rates`` in (logit R, Q, S), in the letters of ``slope_lines``.

    Every rate is proportional to the error signal, whose logarithm falls by ``hit`` per margin.
    """
    R_f, missing_f = sp.Function("R")(rho), sp.Function("missing")(rho)
    into, back = {R: R_f, missing: missing_f}, {R_f: R, missing_f: missing}
    logistic = {sp.diff(R_f, rho): R * missing, sp.diff(missing_f, rho): -R * missing}
    by_error = sp.simplify(loss.error_slope.statement.rhs.subs(1 - g, hit) / g)
    entries = []
    for name, rate_of in zip(RATES, rates(closure), strict=True):
        require(sp.diff(rate_of, g, 2) == 0 and rate_of.subs(g, 0) == 0, "a rate not linear in g")
        row = []
        for variable, by_variable in ((rho, margin_rho), (Q, margin_Q), (S, margin_S)):
            beside = sp.diff(rate_of.xreplace(into), variable).xreplace(logistic).xreplace(back)
            row.append(by_error * by_variable * name + sp.factor(beside))
        entries.append(tuple(row))
    return tuple(entries)


def slope_lines() -> tuple[tuple[sp.Symbol, sp.Expr], ...]:
    """1 - g and the derivatives of the margin in (logit R, Q, S)."""
    in_overlaps = logits.margin.statement.rhs.subs(y_c, logits.mean_correct_logit.statement.rhs)
    by_R = sp.factor(sp.diff(in_overlaps, R))
    complement = prove(expit(-log_odds(Delta)), 1 - loss.error_signal.statement.rhs, _MARGIN_RANGES)
    return (
        (hit, complement),
        (margin_rho, by_R * R * missing),
        (margin_Q, through_logit(sp.diff(in_overlaps, Q))),
        (margin_S, through_logit(sp.diff(in_overlaps, S))),
    )


def system(name: str, closure: sp.Expr, source: Equation | None) -> tuple[Written, Written]:
    """The right-hand side and the Jacobian of (15) for one closure."""
    arguments = (rho, Q, S, C, N, K, rate)
    sources = (
        dynamics.logit_growth,
        *((source,) if source else ()),
        dynamics.alignment_dynamics,
        dynamics.off_target_dynamics,
    )
    return (
        Written(
            f"rhs_{name}",
            "Time derivatives of (logit R, Q, S), time is eta * epoch.",
            sources,
            arguments,
            rates(closure),
            _MODEL_LINES,
        ),
        Written(
            f"jacobian_{name}",
            "Derivatives of the three rates (rows) in (logit R, Q, S) (columns).",
            sources,
            arguments,
            jacobian(closure),
            (*_MODEL_LINES, *zip(RATES, rates(closure), strict=True), *slope_lines()),
        ),
    )


# --- everything that is written ------------------------------------------------------------------


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


def clocks() -> list[Written]:
    """Time along the exact solution, and its early and late limits (X3)."""
    log_slope = sp.log(K * N) - log_expit(rho) - log_expit(log_odds(Delta))
    (integral,) = solution.time_by_gap.statement.rhs.atoms(sp.Integral)
    passed = integral.limits[0][0]
    plain = integral.function.subs(
        {sp.Function("R")(passed): expit(rho), sp.Function("Delta")(passed): Delta}
    )
    prove(log_slope, sp.log(plain), {rho: (-4, 4), K: (2, 20), **_MARGIN_RANGES})
    late = solution.late_law.statement.rhs.subs(sp.Symbol("t_0", real=True), 0)
    in_margin = sp.expand(late).subs(C, N * Q - (N - 1) * Delta)
    log_late = logaddexp(sp.log(K) + sp.log(N) + sp.log(Q), sp.log(K) + Delta)
    prove(log_late, sp.log(in_margin), {Q: (1, 9), K: (2, 20), **_MARGIN_RANGES})
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
        Written(
            "log_late_time",
            "log of the time to Q > 0 and its margin, attention locked on.",
            (solution.late_law,),
            (Delta, Q, N, K),
            log_late,
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
    ranges = {**_MARGIN_RANGES, sigma_c: (1, 2), sigma_o: (1, 2), w: (-3, 3)}
    prove(by_largest, sp.log(others.subs(node, w)), ranges)
    return [
        Written(
            "log_any_above",
            "log of the chance that the largest of N - 1 standard normals exceeds y.",
            (rollout.next_token_error,),
            (y, N),
            select(far, alone, together),
            (
                (far, y > 30),
                (alone, beyond),
                (together, near.subs(y, select(far, 0, y))),
            ),
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


def logit_variances() -> list[Written]:
    """The micro solution's weights, and the spread of the logits along the flow (X6)."""
    u, v, rest, lead = variances.u, variances.v, sp.Symbol("rest"), sp.Symbol("lead")
    start, mixed = sp.symbols("start mixed")
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
    return [
        as_stated("retrieval_part", "Weight u of P_k - mean.", variances.retrieval_part, U, U_0, N),
        as_stated("heuristic_part", "Weight v of mean - J/N.", variances.heuristic, V, V_0, N),
        Written(
            "logit_variances",
            "Variances (sigma_c^2, sigma_o^2) of the right logit and of any other.",
            (variances.variance_right, variances.variance_other),
            (variances.u, variances.v, R, variances.sigma_W2, N, K, T),
            tuple(start + mixed + u**2 * sp.factor(part.coeff_monomial(u**2)) for part in parts),
            (
                (rest, 1 - R),
                (variances.I_2, variances.squared_attention.statement.rhs.subs(R, 1 - rest)),
                (start, by_start),
                (lead, v - u),
                (mixed, by_lead),
            ),
        ),
    ]


def functions() -> list[Written]:
    """Everything that goes into meanfield/generated.py, in order."""
    sum_of_squares, right = attention_closures.Phi2, logits.mean_correct_logit
    linear, quadratic = attention_closures.linear_closure, attention_closures.quadratic_closure
    by_gap = dynamics.right_logit_in_gap
    return [
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
            prove(
                logaddexp(0, log_odds(Delta)), loss.mean_field_loss.statement.rhs, _MARGIN_RANGES
            ),
        ),
        Written(
            "error_signal",
            "g = 1 - p_correct under the mean logits.",
            (loss.error_signal,),
            (Delta, N),
            _ERROR,
        ),
        Written(
            "log_error_signal",
            "log g.",
            (loss.error_signal,),
            (Delta, N),
            prove(
                log_expit(log_odds(Delta)), sp.log(loss.error_signal.statement.rhs), _MARGIN_RANGES
            ),
        ),
        Written(
            "attention_drive",
            "F = -dL/dR.",
            (loss.attention_drive,),
            (R, Q, S, C, N, K),
            loss.attention_drive.statement.rhs,
            ((y_c, right.statement.rhs), (Delta, logits.margin.statement.rhs), (g, _ERROR)),
        ),
        form_factor(),
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
        *system("linear", closed(linear), linear),
        *system("quadratic", closed(quadratic), quadratic),
        Written(
            "kappa",
            "The one constant of the curves in internal time.",
            (dynamics.rate_constant,),
            (N, K, rate),
            dynamics.rate_constant.statement.rhs.subs(dynamics.rate, rate),
        ),
        as_stated("correct_logit_by_gap", "Mean logit of the right state.", by_gap, R, U, V, K),
        as_stated("margin_by_gap", "Margin.", solution.margin_by_gap, R, U, V, C, N, K),
        *exact_solution(),
        *clocks(),
        *onset(),
        *accuracy(),
        *logit_variances(),
    ]


FROM_SCIPY = ("expit", "log_expit", "log_ndtr", "wrightomega")
HEADER = '''"""The theory as numbers. Written by ``python -m derivations.generate``: do not edit.

Every function broadcasts over its arguments and is safe at any margin; the numbers in brackets are
the equations it is taken from (``python -m derivations NUMBER`` shows the derivation). ``rate`` is
gamma (14) for the linear closure and g_0 (70b) for the quadratic one; ``logit_R`` is
log(R/(1 - R)), ``missing`` is 1 - R, ``hit`` is 1 - g, U is Q - S and V is Q + (K - 1) S. Sizes are
made floats because products of large integers overflow.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import FROM_SCIPY

Real: TypeAlias = "float | NDArray[np.float64]"
'''.replace("FROM_SCIPY", ", ".join(FROM_SCIPY))


def module_source() -> str:
    """The whole of meanfield/generated.py."""
    return HEADER + "\n\n" + "\n\n\n".join(written.source() for written in functions()) + "\n"


def closure_functions(closure: sp.Expr) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The generated system for a closure G(R) of your own, compiled at run time.

    closure: an expression in the symbol R of derivations.symbols (0 < R < 1) and numbers.
    Returns (rhs, jacobian) with the signatures of ``meanfield.generated.rhs_linear`` and
    ``jacobian_linear``; their last argument, rate, is not used.
    Raises ValueError for any other free symbol.
    """
    own = {symbol: R for symbol in closure.free_symbols if symbol.name == "R"}
    closure = closure.xreplace(own)
    if strange := closure.free_symbols - {R}:
        raise ValueError(
            f"a closure G(R) may use R and numbers, not {', '.join(map(str, strange))}"
        )
    source = HEADER + "\n\n".join(written.source() for written in system("own", closure, None))
    namespace: dict[str, Any] = {}
    exec(compile(source, "<generated closure>", "exec"), namespace)
    return namespace["rhs_own"], namespace["jacobian_own"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: write the file, or compare it with what would be written."""
    parser = argparse.ArgumentParser(
        prog="python -m derivations.generate", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args(arguments)
    source = module_source()
    if not options.check:
        TARGET.write_text(source, encoding="utf-8")
        return 0
    if TARGET.read_text(encoding="utf-8") == source:
        return 0
    print(
        f"{TARGET.name} differs from the registry: run python -m derivations.generate",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
