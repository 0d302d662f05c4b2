"""meanfield/generated.py is what the registry says, to the last digit and at every extreme."""

from __future__ import annotations

import math
import random
import re
import shutil
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp

from derivations import generate
from derivations.beyond import solution, variances
from derivations.code.closed_system import closure_functions
from derivations.code.names import NAMES
from derivations.code.written import Written
from derivations.form import difference
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


def test_the_file_is_what_the_registry_gives() -> None:
    assert generate.TARGET.read_text(encoding="utf-8") == generate.module_source()


def test_no_name_inside_a_function_is_that_of_a_function() -> None:
    written = generate.functions()
    names = [each.name for each in written]
    assert len(names) == len(set(names))
    for each in written:
        inside = [*each.arguments, *(left for left, _ in each.lines)]
        hidden = {NAMES.get(symbol, symbol.name) for symbol in inside} & set(names)
        assert hidden <= {"kappa"}, f"{each.name} hides {hidden}"


def test_the_file_reads_like_a_formula_sheet() -> None:
    lines = generate.module_source().splitlines()
    assert max(map(len, lines)) <= 100
    for line in lines:
        assert not re.search(r"\(\d+ / \d+\) ?\*|-\d+ / \d+ ?\*|\w\*\w", line.split("#")[0]) or (
            '"""' in line or "**" in line
        ), line


@pytest.mark.parametrize("point", points())
def test_plain_functions_agree_with_exact_rationals(point: dict) -> None:
    floats = {symbol: float(value) for symbol, value in point.items()}
    f = {symbol.name: value for symbol, value in floats.items()}
    exact_y = logits.mean_correct_logit.statement.rhs.subs(point)
    exact_margin = logits.margin.statement.rhs.subs({**point, y_c: exact_y})
    found = generated.margin(f["R"], f["Q"], f["S"], f["C"], f["N"], f["K"])
    assert found == pytest.approx(float(exact_margin), rel=1e-13, abs=1e-13)
    exact_g = loss.error_signal.statement.rhs.subs({**point, Delta: exact_margin})
    assert generated.error_signal(found, f["N"]) == pytest.approx(float(exact_g), rel=1e-12)
    exact_loss = loss.mean_field_loss.statement.rhs.subs({**point, Delta: exact_margin})
    assert generated.loss(found, f["N"]) == pytest.approx(float(exact_loss), rel=1e-12)
    exact_drive = loss.attention_drive.statement.rhs.subs({**point, g: exact_g})
    drive = generated.attention_drive(f["R"], f["Q"], f["S"], f["C"], f["N"], f["K"])
    assert drive == pytest.approx(float(exact_drive), rel=1e-12)
    for name, equation in (
        ("early_Q", regimes.early_alignment),
        ("early_S", regimes.early_off_target),
    ):
        exact = equation.statement.rhs.subs({**point, regimes.Q_0: 0, regimes.S_0: 0})
        found = getattr(generated, name)(f["t"], 0.0, f["N"], f["K"], f["T"])
        assert found == pytest.approx(float(exact), rel=1e-13)


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
    found = getattr(generated, f"rhs_{closure}")(logit, *rest)
    assert found == pytest.approx([float(rate) for rate in rates], rel=1e-12)


@pytest.mark.parametrize("closure", GROWTH)
@pytest.mark.parametrize("point", points(10))
def test_jacobians_agree_with_finite_differences(closure: str, point: dict) -> None:
    state = np.array([float(sp.log(point[R] / (1 - point[R]))), float(point[Q]), float(point[S])])
    rest = [float(point[symbol]) for symbol in (C, N, K, gamma)]
    rhs = getattr(generated, f"rhs_{closure}")
    found = np.array(getattr(generated, f"jacobian_{closure}")(*state, *rest))
    scale = np.abs(found).max()
    for column in range(3):
        step = np.zeros(3)
        step[column] = 1e-5
        ahead, behind = (np.array(rhs(*(state + sign * step), *rest)) for sign in (1, -1))
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
        found = getattr(generated, f"rhs_{closure}")(*arguments)
        # a margin of 700 is a difference of floats: e^margin keeps 13 digits less log10(700)
        assert found == pytest.approx([float(rate) for rate in exact], rel=1e-11)
    assert np.all(np.isfinite(getattr(generated, f"jacobian_{closure}")(*arguments)))


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
    for head, length in ((2, 2), (64, 10), (256, 10_000)):
        at = {d: head, T: length, sigma2: sp.Rational(1, 3)}
        for equation, found in (
            (attention_closures.linear_rate, generated.linear_rate),
            (attention_closures.quadratic_rate, generated.quadratic_rate),
        ):
            exact = equation.statement.rhs.xreplace({attention_closures.Phi2: sp.Integer(7)}).subs(
                at
            )
            assert found(7.0, 1 / 3, head, length) == pytest.approx(float(exact), rel=1e-14)


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
    assert np.array(generated.jacobian_linear(column, 1.0, 0.5, 0.0, sizes, sizes, 0.1)).shape == (
        3,
        3,
        4,
        3,
    )
    # products of large integers would overflow: N^2 K^2 T = 10^28
    large = generated.early_Q(1.0, 0.0, *(np.array([10**6]),) * 2, np.array([10**4]))
    assert large[0] == pytest.approx(generated.early_Q(1.0, 0.0, 1e6, 1e6, 1e4), rel=1e-15)
    assert 0 < large[0] < 1e-15


def test_own_closure_gives_the_generated_system() -> None:
    own_rhs, own_jacobian, own_bend = closure_functions(sp.Rational(1, 20) * R * (1 - R))
    assert own_bend(-1.3) == pytest.approx(generated.bend_linear(-1.3), rel=1e-14)
    arguments = (-1.3, 0.7, 0.2, 0.1, 20, 15, 0.05)
    assert own_rhs(*arguments) == pytest.approx(generated.rhs_linear(*arguments), rel=1e-14)
    np.testing.assert_allclose(
        own_jacobian(*arguments), generated.jacobian_linear(*arguments), rtol=1e-13, atol=1e-18
    )
    with pytest.raises(ValueError, match=r"R and numbers, not Q"):
        closure_functions(R * Q)


def test_check_notices_an_edited_file(tmp_path, monkeypatch, capsys) -> None:
    source = generate.TARGET.read_text(encoding="utf-8")
    monkeypatch.setattr(generate, "module_source", lambda: source)
    edited = tmp_path / "generated.py"
    edited.write_text(generate.TARGET.read_text(encoding="utf-8").replace("(K - 1)", "K", 1))
    shutil.copytree(generate.TARGET.parent / "explore", tmp_path / "explore")
    monkeypatch.setattr(generate, "TARGET", edited)
    assert generate.main(["--check"]) == 1
    assert "run python -m derivations.generate" in capsys.readouterr().err
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def states(written: Written) -> bool:
    """Whether a function is the right side of one equation, in whatever form."""
    if written.lines or len(written.sources) > 1 or isinstance(written.returns, tuple):
        return False
    right = written.sources[0].statement.rhs
    return right.free_symbols == set(written.arguments) and not difference(written.returns, right)


STATED = [written for written in generate.functions() if states(written)]


def test_many_functions_are_equations_as_stated() -> None:
    names = {written.name for written in STATED}
    assert {"power_frequency", "early_Q", "early_time", "margin_by_gap", "least_overlap"} <= names
    assert len(names) > 12


@pytest.mark.parametrize("written", STATED, ids=lambda written: written.name)
def test_equations_as_stated_agree_with_exact_rationals(written: Written) -> None:
    for _ in range(10):
        sizes = dict(zip((N, K, T), RNG.choice(SIZES), strict=True)) | {d: 64, r: 5}
        exact = {
            symbol: sp.Integer(sizes[symbol]) if symbol in sizes else rational(1, 9)
            for symbol in written.arguments
        }
        claimed = getattr(generated, written.name)(*map(float, exact.values()))
        expected = written.sources[0].statement.rhs.subs(exact)
        assert claimed == pytest.approx(float(expected), rel=1e-13, abs=1e-14)


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


def test_rates_driven_by_attention_are_those_of_a_closure() -> None:
    """Any closure gives the same drive: its own rate of R is F G."""
    arguments = (0.7, 0.2, 0.1, 20.0, 15.0)  # Q, S, C, N, K
    d_logit_R, dQ, dS = generated.rhs_linear(-1.3, *arguments, 0.05)
    R_here = 1 / (1 + math.exp(1.3))
    F, own_dQ, own_dS = generated.driven_rates(R_here, 1 - R_here, *arguments)
    assert (own_dQ, own_dS) == pytest.approx((dQ, dS), rel=1e-14)
    assert pytest.approx(d_logit_R, rel=1e-14) == F * 0.05
    assert generated.attention_drive(R_here, *arguments) == pytest.approx(F, rel=1e-14)
