"""The numbers of meanfield/generated.py: to the last digit, and at every extreme."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy.special import expit

from derivations.beyond import scaling, solution, variances
from derivations.paper import attention_closures, dynamics, logits, loss, regimes
from derivations.paper.attention_closures import form_factor_sum
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
)  # fmt: skip
from meanfield import generated

RNG = random.Random(20260618)
SIZES = [(2, 2, 2), (3, 2, 4), (20, 20, 10), (7, 50, 3), (1000, 3, 30)]


def rational(low: int, high: int) -> sp.Rational:
    """A random number that a float holds exactly."""
    return sp.Rational(RNG.randint(low * 64, high * 64), 64)


def points(count: int = 25) -> list[dict[sp.Symbol, sp.Rational]]:
    """Random points with exact values, among them very different sizes."""
    drawn = []
    for _ in range(count):
        sizes = dict(zip((N, K, T), RNG.choice(SIZES), strict=True))
        drawn.append(
            sizes
            | {R: sp.Rational(RNG.randint(1, 255), 256), Q: rational(-3, 9), S: rational(-3, 3)}
            | {
                C: rational(-4, 4),
                gamma: sp.Rational(3, 64),
                g0: sp.Rational(3, 64),
                t: rational(1, 99),
            }
        )
    return drawn


@pytest.mark.parametrize("point", points())
def test_plain_functions_agree_with_exact_rationals(point: dict) -> None:
    floats = {symbol: float(value) for symbol, value in point.items()}
    f = {symbol.name: value for symbol, value in floats.items()}
    f["missing"] = 1 - f["R"]
    exact_y = logits.mean_correct_logit.statement.rhs.subs(point)
    exact_margin = logits.margin.statement.rhs.subs({**point, y_c: exact_y})
    found = generated.margin(f["R"], f["Q"], f["S"], f["C"], f["N"], f["K"])
    assert found == pytest.approx(float(exact_margin), rel=1e-13, abs=1e-13)
    exact_g = loss.error_signal.statement.rhs.subs({**point, Delta: exact_margin})
    assert generated.error_signal(found, f["N"]) == pytest.approx(float(exact_g), rel=1e-12)
    exact_loss = loss.mean_field_loss.statement.rhs.subs({**point, Delta: exact_margin})
    assert generated.loss(found, f["N"]) == pytest.approx(float(exact_loss), rel=1e-12)
    exact_drive = loss.attention_drive.statement.rhs.subs({**point, g: exact_g})
    drive, *_ = generated.driven_rates(*(f[name] for name in ("R", "missing", *"QSCNK")))
    assert drive == pytest.approx(float(exact_drive), rel=1e-12)
    for name, equation in (
        ("early_Q", regimes.early_alignment),
        ("early_S", regimes.early_off_target),
    ):
        exact = equation.statement.rhs.subs({**point, regimes.Q_0: 0, regimes.S_0: 0})
        found = getattr(generated, name)(f["t"], 0.0, f["N"], f["K"], f["T"])
        assert found == pytest.approx(float(exact), rel=1e-13)


def composed(
    closure: str, rho: Any, Q: Any, S: Any, C: Any, N: Any, K: Any, rate: Any
) -> tuple[np.ndarray, np.ndarray]:
    """The rates of (logit R, Q, S) and their Jacobian, from what loss and attention offer."""
    at = (expit(rho), expit(-rho), Q, S, C, N, K)
    F, dQ, dS = generated.driven_rates(*at)
    growth = getattr(generated, f"growth_{closure}")(rho, rate)
    jacobian = np.array(generated.driven_jacobian(*at))
    jacobian[0] *= growth
    jacobian[0, 0] += F * getattr(generated, f"growth_slope_{closure}")(rho, rate)
    return np.array([F * growth, dQ, dS]), jacobian


GROWTH = {"linear": dynamics.linear_growth, "quadratic": dynamics.quadratic_growth}


@pytest.mark.parametrize("closure", GROWTH)
@pytest.mark.parametrize("point", points())
def test_right_hand_sides_agree_with_the_closed_dynamics(closure: str, point: dict) -> None:
    exact_y = logits.mean_correct_logit.statement.rhs.subs(point)
    exact_margin = logits.margin.statement.rhs.subs({**point, y_c: exact_y})
    at = {
        **point,
        g: sp.N(loss.error_signal.statement.rhs.subs({**point, Delta: exact_margin}), 40),
    }
    rates = [
        GROWTH[closure].statement.rhs.subs(at) / (at[R] * (1 - at[R])),  # of logit R
        dynamics.alignment_dynamics.statement.rhs.subs(at),
        dynamics.off_target_dynamics.statement.rhs.subs(at),
    ]
    logit = float(sp.N(sp.log(at[R] / (1 - at[R])), 30))
    rest = [float(point[symbol]) for symbol in (Q, S, C, N, K, gamma)]
    found, _ = composed(closure, logit, *rest)
    assert found == pytest.approx([float(rate) for rate in rates], rel=1e-12)


@pytest.mark.parametrize("closure", GROWTH)
@pytest.mark.parametrize("point", points(10))
def test_jacobians_agree_with_finite_differences(closure: str, point: dict) -> None:
    state = np.array([float(sp.log(point[R] / (1 - point[R]))), float(point[Q]), float(point[S])])
    rest = [float(point[symbol]) for symbol in (C, N, K, gamma)]
    _, found = composed(closure, *state, *rest)
    scale = np.abs(found).max()
    for column in range(3):
        step = np.zeros(3)
        step[column] = 1e-5
        ahead, behind = (composed(closure, *(state + sign * step), *rest)[0] for sign in (1, -1))
        slope = (ahead - behind) / 2e-5
        np.testing.assert_allclose(found[:, column], slope, rtol=1e-6, atol=1e-8 * scale)


@pytest.mark.parametrize("margin", [-700.0, -40.0, 0.0, 40.0, 700.0])
@pytest.mark.parametrize("size", [2, 20, 10**6])
def test_loss_and_error_at_extreme_margins(margin: float, size: int) -> None:
    with mpmath.workdps(400):
        odds = (size - 1) * mpmath.exp(-margin)
        exact_loss, exact_error = mpmath.log1p(odds), odds / (1 + odds)
        assert generated.loss(margin, size) == pytest.approx(float(exact_loss), rel=1e-12)
        assert generated.error_signal(margin, size) == pytest.approx(float(exact_error), rel=1e-12)


@pytest.mark.parametrize("closure", GROWTH)
@pytest.mark.parametrize(
    "case",
    [
        {"margin": 700.0},
        {"margin": -700.0},
        {"missing": 1e-15},
        {"missing": 1 - 1e-15},
        {"N": 10**6},
        {"K": 10**6},
        {"N": 10**6, "K": 10**6},
        {"N": 10**6, "K": 10**6, "missing": 1e-15, "margin": 700.0},
    ],
)
def test_systems_at_extreme_arguments(closure: str, case: dict) -> None:
    size, actions = case.get("N", 20), case.get("K", 20)
    with mpmath.workdps(60):
        missing = mpmath.mpf(case.get("missing", 0.3))
        R_exact, gap = 1 - missing, mpmath.mpf(0.5)
        wanted = mpmath.mpf(case.get("margin", 1.5))
        total = mpmath.mpf(0.25)
        right = (wanted * (size - 1) + total) / size
        # S from the wanted margin, with Q = S + gap
        share = R_exact + missing / actions
        S_value = float(right - share * gap)
        Q_value = S_value + 0.5
        logit = float(mpmath.log(R_exact / missing))
        R_exact = 1 / (1 + mpmath.exp(-mpmath.mpf(logit)))
        missing = 1 - R_exact
        share = R_exact + missing / actions
        right = share * mpmath.mpf(Q_value) + missing * (1 - mpmath.mpf(1) / actions) * S_value
        margin = (size * right - total) / (size - 1)
        odds = (size - 1) * mpmath.exp(-margin)
        error = odds / (1 + odds)
        gap = mpmath.mpf(Q_value) - mpmath.mpf(S_value)
        drive = error * size / (size - 1) * (1 - mpmath.mpf(1) / actions) * gap * mpmath.mpf(0.05)
        if closure == "quadratic":
            drive *= R_exact * missing
        exact = [
            drive,
            error * share / (actions * size),
            error * missing / actions / (actions * size),
        ]
        arguments = (logit, Q_value, S_value, 0.25, size, actions, 0.05)
        found, jacobian = composed(closure, *arguments)
        # a margin of 700 is a difference of floats: e^margin keeps 13 digits less log10(700)
        assert found == pytest.approx([float(rate) for rate in exact], rel=1e-11)
    assert np.all(np.isfinite(jacobian))


@pytest.mark.parametrize("length", [2, 3, 10, 100, 10_000])
def test_form_factor_keeps_its_digits(length: int) -> None:
    slow = [1e-12, 1e-9, 1e-6, 1e-3]
    turns = [0.2499 / length, 0.2501 / length, 1.0 / length, 0.3, 1.0, 2.0, 3.1, math.pi, 6.28]
    for frequency in slow + turns:
        with mpmath.workdps(60):
            x = mpmath.mpf(frequency)
            kernel = mpmath.sin(length * x / 2) / (length * mpmath.sin(x / 2))
            exact = float(1 - kernel**2)
        assert generated.form_factor(frequency, length) == pytest.approx(exact, rel=5e-12)


def test_form_factor_is_the_positive_sum() -> None:
    for length in (2, 5, 9):
        for frequency in (0.01, 0.7, 2.5):
            summed = form_factor_sum.statement.rhs.subs({omega[r]: frequency, T: length}).doit()
            assert generated.form_factor(frequency, length) == pytest.approx(
                float(summed), rel=1e-12
            )


def test_rates_agree_with_exact_rationals() -> None:
    phi = np.array([[0.5, 0.25, 1.0], [0.75, 0.5, 0.0]])  # the second model has two planes
    sizes = [(6, 2), (4, 10_000)]
    for equation, found in (
        (attention_closures.linear_rate, generated.closure_rate_linear),
        (attention_closures.quadratic_rate, generated.closure_rate_quadratic),
    ):
        exact = [
            equation.statement.rhs.xreplace(
                {attention_closures.Phi2: sum(sp.Rational(value) ** 2 for value in row)}
            ).subs({d: head, T: length, sigma2: sp.Rational(1, 3)})
            for row, (head, length) in zip(phi, sizes, strict=True)
        ]
        heads, lengths = np.transpose(sizes)
        rates = found(phi, 1 / 3, heads, lengths)
        assert rates == pytest.approx([float(each) for each in exact], rel=1e-14)


@pytest.mark.parametrize("error", [1e-300, 1e-16, 1e-3, 0.5, 0.94, 0.95, 0.96, 1.0])
@pytest.mark.parametrize("length", [1, 2, 7, 10_000])
def test_rollout_error_is_exact_however_small(error: float, length: int) -> None:
    with mpmath.workdps(340):
        a = 1 - mpmath.mpf(error)
        kept = ((20 * a - 1) / 19) ** length
        exact = (1 - mpmath.mpf(1) / 20) * (1 - kept)
        assert generated.rollout_error(error, 20, length) == pytest.approx(float(exact), rel=1e-12)


def test_every_function_broadcasts() -> None:
    sizes = np.array([2, 20, 10**6])
    column = np.linspace(0.1, 0.9, 4)[:, None]
    assert generated.margin(column, 1.0, 0.5, 0.0, sizes, sizes).shape == (4, 3)
    assert generated.form_factor(column, sizes).shape == (4, 3)
    rates, jacobian = composed("quadratic", column, 1.0, 0.5, 0.0, sizes, sizes, 0.1)
    assert (rates.shape, jacobian.shape) == ((3, 4, 3), (3, 3, 4, 3))
    # products of large integers would overflow: N^2 K^2 T = 10^28
    large = generated.early_Q(1.0, 0.0, *(np.array([10**6]),) * 2, np.array([10**4]))
    assert large[0] == pytest.approx(generated.early_Q(1.0, 0.0, 1e6, 1e6, 1e4), rel=1e-15)
    assert 0 < large[0] < 1e-15


def high_precision(expr: sp.Expr, values: dict[sp.Symbol, float]) -> float:
    """``expr`` at floats taken exactly, 60 digits."""
    with mpmath.workdps(60):
        function = sp.lambdify(list(values), expr, modules="mpmath")
        return float(function(*map(mpmath.mpf, values.values())))


@pytest.mark.parametrize("size", [2, 20, 10**6])
@pytest.mark.parametrize("length", [3, 10, 10**4])
def test_onset_formulas(size: int, length: int) -> None:
    at = {N: size, K: max(size, 3), T: length, gamma: 0.03}
    scale = high_precision(regimes.onset_time_scale.statement.rhs, at)
    found = generated.onset_time_scale(size, at[K], length, 0.03)
    assert found == pytest.approx(scale, rel=1e-13)
    for share in (0.0, 0.5, 2.0, 30.0):  # far beyond the onset exp(t^2/tau^2) would overflow
        logistic = regimes.logistic_onset.statement.rhs
        exact = high_precision(logistic, {t: share * scale, regimes.tau: scale, T: length})
        early = generated.early_R(share * scale, scale, length)
        assert early == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("R_value", [1e-9, 0.1, 0.5, 1 - 1e-15])
def test_closures_as_functions_of_R(R_value: float) -> None:
    missing = Fraction(1) - Fraction(R_value)
    linear, quadratic = Fraction(R_value) * missing / 7, (Fraction(R_value) * missing) ** 2 / 7
    assert generated.gradient_linear(R_value, 1 / 7) == pytest.approx(float(linear), rel=1e-14)
    assert generated.gradient_quadratic(R_value, 1 / 7) == pytest.approx(
        float(quadratic), rel=1e-14
    )


@pytest.mark.parametrize("closure", GROWTH)
@pytest.mark.parametrize("R_start", [1e-4, 0.1, 0.4])
@pytest.mark.parametrize("U_start", [-0.02, 0.0, 0.3])
def test_exact_solution(closure: str, R_start: float, U_start: float) -> None:
    """The curve R(U) against the plain statements (X2b), (X2c), (X3e), (X3f), (X3i)."""
    constant, R_0, U_0 = 4.0, solution.R_0, solution.U_0
    with mpmath.workdps(60):
        start = float(mpmath.log(mpmath.mpf(R_start) / (1 - mpmath.mpf(R_start))))
        R_exact = float(1 / (1 + mpmath.exp(-mpmath.mpf(start))))
    given = {solution.kappa: constant, U_0: U_start}
    onset_law = {"linear": solution.linear_onset_gap, "quadratic": solution.quadratic_onset_gap}
    gap = high_precision(onset_law[closure].statement.rhs, {**given, R_0: R_exact})
    found = getattr(generated, f"onset_gap_{closure}")(U_start, start, constant)
    assert found == pytest.approx(gap, rel=1e-12)
    along = getattr(generated, f"logit_R_{closure}")
    assert along(gap, U_start, start, constant) == pytest.approx(0.0, abs=1e-11)
    for U_value in (U_start, 0.5, 3.0, 20.0):  # at 20 the missing 1 - R is e^-800
        if closure == "linear":
            missing = solution.linear_retrieval_by_gap.statement.rhs
            plain = sp.log((1 - missing) / missing)
            exact = high_precision(plain, {**given, R_0: R_exact, solution.U: U_value})
        else:
            odds = sp.log(solution.quadratic_retrieval_by_gap.statement.rhs)
            odds_start = R_exact / (1 - R_exact)
            at = {**given, solution.odds_0: odds_start, solution.U: U_value}
            exact = high_precision(odds, at)
        assert along(U_value, U_start, start, constant) == pytest.approx(
            exact, rel=1e-11, abs=1e-11
        )
    basin = high_precision(
        solution.linear_basin.statement.rhs, {solution.kappa: constant, R_0: R_exact}
    )
    assert generated.basin_gap_linear(start, constant) == pytest.approx(basin, rel=1e-12)


@pytest.mark.parametrize("margin", [-700.0, 0.0, 700.0])
def test_time_slope_at_extreme_margins(margin: float) -> None:
    with mpmath.workdps(60):
        pace = 1 + mpmath.exp(mpmath.mpf(margin)) / 19
        exact = float(mpmath.log(20 * 7 * pace * (1 + mpmath.exp(1))))  # R = 1/(1 + e)
    assert generated.log_time_slope(-1.0, margin, 20, 7) == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("R_value", [0.1, 0.7, 1.0])
def test_logit_variances_against_the_plain_statements(R_value: float) -> None:
    at = {N: 20, K: 7, T: 10, R: R_value, variances.u: 0.6, variances.v: 0.9}
    at[variances.sigma_W2] = 0.02
    found = generated.logit_variances(0.6, 0.9, R_value, 0.02, 20, 7, 10)
    for variance, equation in zip(
        found, (variances.variance_right, variances.variance_other), strict=True
    ):
        exact = high_precision(equation.statement.rhs, at)
        assert variance == pytest.approx(exact, rel=1e-13)


def drawn_planes() -> dict[str, np.ndarray]:
    """Complex q, k, the gradients h (dR = Re h* dp) now and half a step back, of five planes."""
    rng = np.random.default_rng(2)
    return {name: rng.normal(size=5) + 1j * rng.normal(size=5) for name in ("q", "k", "h", "b")}


def parts(*values: np.ndarray) -> list[np.ndarray]:
    return [part for value in values for part in (value.real, value.imag)]


def test_variables_of_a_plane_are_those_of_complex_numbers() -> None:
    q, k, h, _ = drawn_planes().values()
    p, imbalance, size = q * k.conj(), abs(q) ** 2 - abs(k) ** 2, abs(q) ** 2 + abs(k) ** 2
    found_p, found_imbalance = (
        of(*parts(q, k)) for of in (generated.plane_product, generated.plane_imbalance)
    )
    np.testing.assert_allclose(found_p, [p.real, p.imag], rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(found_imbalance, imbalance, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(generated.plane_size(*parts(p), imbalance), size, rtol=1e-13)
    gradient = generated.plane_gradient(*parts(h), size)  # by q it is h k, by k it is h* q
    np.testing.assert_allclose(gradient, abs(h * k) ** 2 + abs(h * q) ** 2, rtol=1e-13)
    wave = np.exp(1j * 0.3 * 4) / math.sqrt(10)
    np.testing.assert_allclose(generated.plane_waves(0.3, 4, 10), [wave.real, -wave.imag])


def test_flow_of_a_plane_is_that_of_its_query_and_key() -> None:
    q, k, h, b = drawn_planes().values()
    p, size, imbalance = q * k.conj(), abs(q) ** 2 + abs(k) ** 2, abs(q) ** 2 - abs(k) ** 2
    F, F_back, eta = 0.7, 0.6, 0.4
    flow = F * (h * k * k.conj() + q * (h.conj() * q).conj())
    np.testing.assert_allclose(
        generated.product_rates(*parts(h), size, F), [flow.real, flow.imag], rtol=1e-13
    )
    q_back, k_back = q - eta / 2 * F * h * k, k - eta / 2 * F * h.conj() * q
    back = q_back * k_back.conj()
    np.testing.assert_allclose(
        generated.product_back(*parts(p, h), size, F, eta), [back.real, back.imag], rtol=1e-12
    )
    dq, dk = F_back * b * k_back, F_back * b.conj() * q_back
    dp = dq * k.conj() + q * dk.conj()
    np.testing.assert_allclose(
        generated.product_rates_in_steps(*parts(p, h, b), size, F, F_back, eta),
        [dp.real, dp.imag],
        rtol=1e-12,
    )
    change = 2 * (dq * q.conj()).real - 2 * (dk * k.conj()).real
    found = generated.imbalance_rate_in_steps(imbalance, *parts(h, b), F, F_back, eta)
    np.testing.assert_allclose(found, change, rtol=1e-12)


@pytest.mark.parametrize("length", [2, 3, 10**4, 10**9])
def test_the_law_of_the_onset_keeps_its_digits(length: int) -> None:
    (integral,) = scaling.onset_total.statement.rhs.atoms(sp.Integral)
    for place in (1e-7, 1e-3, 0.5, 1.1):
        exact = high_precision(integral.function, {scaling.x: place, T: length})
        found = generated.onset_total_slope(place, length)
        assert found == pytest.approx(exact, rel=1e-14)
    end = high_precision(integral.limits[0][2], {T: length})
    assert generated.onset_total_end(length) == pytest.approx(end, rel=1e-14)


def test_where_an_onset_gap_is_not_a_number() -> None:
    """Started above R = 1/2 the curve has passed it before, or never."""
    for closure in ("linear", "quadratic"):
        gap = getattr(generated, f"onset_gap_{closure}")
        along = getattr(generated, f"logit_R_{closure}")
        earlier = gap(0.9, 0.4, 4.0)
        assert 0 < earlier < 0.9
        assert along(earlier, 0.9, 0.4, 4.0) == pytest.approx(0, abs=1e-13)
        with pytest.warns(RuntimeWarning, match="invalid value"):
            assert math.isnan(gap(0.1, 0.4, 4.0))
