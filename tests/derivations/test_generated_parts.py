"""The parts a theory is composed of: starts, driven rates, growth of R, slopes of internal time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

from derivations.functions.own_closure import compiled_closure
from derivations.symbols import R, gamma
from meanfield import generated

STATES = [  # logit R, Q, S, C, N, K: nothing special about them
    (-1.3, 0.7, 0.2, 0.1, 20, 15),
    (2.1, 3.7, -0.4, 1.3, 5, 7),
    (-6.0, 0.02, 0.05, -0.7, 1000, 3),
]


def test_the_nominal_start() -> None:
    assert generated.nominal_retrieval(7) == 1 / 7
    assert generated.nominal_overlap(0.6, 5) == pytest.approx(0.12)
    assert generated.wrong_attention(0.6, 7) == pytest.approx(0.1)
    assert generated.mean_overlap(8) == 0.125
    assert generated.uniform_variance(0.3) == pytest.approx(0.03)
    assert generated.uniform_width(0.03) == pytest.approx(0.3)
    assert generated.uniform_width(1 / 3) == 1.0


def test_both_laws_of_frequencies() -> None:
    planes = np.arange(4)
    np.testing.assert_allclose(
        generated.power_frequency(planes, 8, 16.0), [1, 1 / 2, 1 / 4, 1 / 8], rtol=1e-14
    )
    np.testing.assert_allclose(
        generated.linear_frequency(planes, 8, 5.0), [1, 0.8, 0.6, 0.4], rtol=1e-14
    )


def test_overlaps_of_a_vocabulary() -> None:
    words = np.array([[0, 1, 2], [1, 2, 0], [0, 2, 1], [0, 1, 2]])  # K = 4 of N = 3
    agree = [np.mean(words[a] == words[b]) for a in range(4) for b in range(a)]
    squares = np.sum(np.eye(3)[words].sum(axis=0) ** 2)
    assert generated.measured_overlap(squares, 3, 4) == pytest.approx(np.mean(agree), rel=1e-14)
    assert generated.least_overlap(3, 4) == pytest.approx((4 / 3 - 1) / 3, rel=1e-14)
    assert generated.least_overlap(20, 3) < 0


@pytest.mark.parametrize("state", STATES)
def test_driven_jacobian_agrees_with_finite_differences(state: tuple) -> None:
    rest = state[3:]

    def rates(rho: float, Q: float, S: float) -> np.ndarray:
        R, missing = 1 / (1 + math.exp(-rho)), 1 / (1 + math.exp(rho))
        return np.array(generated.driven_rates(R, missing, Q, S, *rest))

    at = (1 / (1 + math.exp(-state[0])), 1 / (1 + math.exp(state[0])), *state[1:])
    found = np.array(generated.driven_jacobian(*at))
    for column in range(3):
        step = np.zeros(3)
        step[column] = 1e-5
        ahead, behind = (rates(*(np.array(state[:3]) + sign * step)) for sign in (1, -1))
        slope = (ahead - behind) / 2e-5
        np.testing.assert_allclose(found[:, column], slope, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["growth", "growth_slope", "bend"])
@pytest.mark.parametrize("closure", ["linear", "quadratic"])
def test_what_a_closure_offers_has_the_shape_of_logit_R(name: str, closure: str) -> None:
    function = getattr(generated, f"{name}_{closure}")
    rest = () if name == "bend" else (0.3,)
    found = function(np.array([[-np.inf, -1.0, 2.0]]), *rest)
    assert found.shape == (1, 3)
    assert np.all(np.isfinite(found))
    assert isinstance(function(-1.0, *rest), float)


def test_growth_of_both_closures() -> None:
    at = 1 / (1 + math.exp(0.7))
    assert generated.growth_linear(-0.7, 0.3) == pytest.approx(
        generated.gradient_linear(at, 0.3) / (at * (1 - at)), rel=1e-14
    )
    assert generated.growth_quadratic(-0.7, 0.3) == pytest.approx(
        generated.gradient_quadratic(at, 0.3) / (at * (1 - at)), rel=1e-14
    )
    ahead, behind = (generated.growth_quadratic(-0.7 + h, 0.3) for h in (1e-6, -1e-6))
    slope = generated.growth_slope_quadratic(-0.7, 0.3)
    assert slope == pytest.approx((ahead - behind) / 2e-6, rel=1e-7)


def test_a_closure_of_your_own_may_use_sizes_and_rates() -> None:
    N, rate = sp.Symbol("N"), sp.Symbol("g_0")
    own = compiled_closure(rate * R**2 * (1 - R) ** 2 / N, {"N": 5, "g_0": 0.3, "K": 7})
    growth, growth_slope, bend = own
    assert growth(-1.3, 1.0) == pytest.approx(generated.growth_quadratic(-1.3, 0.06), rel=1e-14)
    assert growth_slope(-1.3, 1.0) == pytest.approx(
        generated.growth_slope_quadratic(-1.3, 0.06), rel=1e-14
    )
    assert bend(np.zeros(3)).shape == (3,)
    _, _, steep = compiled_closure(gamma * R * (1 - R) ** 2, {"gamma": 0.1})
    # G = R^p (1-R)^q bends by (1 - R)(1 - p/2) - R (1 - q/2)
    assert steep(0.4) == pytest.approx((1 / (1 + math.exp(0.4))) / 2, rel=1e-13)


@pytest.mark.parametrize(
    ("closure", "values", "complaint"),
    [
        (R * sp.Symbol("Q"), {}, "may use R, N, K, T, d, gamma, g_0, not Q"),
        (R * gamma, {"N": 3}, "needs a value of gamma"),
        (R - sp.Rational(1, 2), {}, "above 0 for 0 < R < 1"),
        (gamma * R * (1 - R), {"gamma": -0.1}, "above 0 for 0 < R < 1"),
        (1 / (R - sp.Rational(1, 4)) ** 2, {}, "finite"),
        (sp.sqrt(R - sp.Rational(1, 3)), {}, "finite and above 0"),
        (sp.I * R * (1 - R), {}, r"above 0 for 0 < R < 1; I\*R\*\(1 - R\) is \(0.0 \+ "),
        (sp.Integer(0), {}, "above 0 for 0 < R < 1; 0 is 0"),
        (R * sp.Max(0, sp.Rational(1, 3) - R), {}, "is 0.0 at R = 0.5"),
        (sp.Float(0.3), {}, "must vanish at R = 1 like 1 - R or faster, else R exceeds 1; 0.3"),
        (R * (1 - R / 2), {}, "must vanish at R = 1"),
        (sp.sqrt(R * (1 - R)), {}, "must vanish at R = 1"),
        (sp.Integer(10) ** 400 * R * (1 - R), {}, r"of reasonable size; 1000+\.\.\. is 2"),
        (sp.Float("1e-320") * R * (1 - R), {}, "of reasonable size"),
        (sp.Function("g")(R), {}, r"must be an expression that has a value, not g\(R\)"),
        (sp.Derivative(sp.Function("g")(R), R), {}, "must be an expression that has a value"),
        (sp.Integral(R * gamma, (gamma, 0, 1)), {}, "must be an expression that has a value"),
        (sp.Eq(R, 1), {}, "must be an expression that has a value"),
        (sp.Matrix([R]), {}, "must be an expression that has a value"),
        (sp.zoo, {}, "must be an expression that has a value, not zoo"),
        (R * (1 - R) * sp.besselj(0, R), {}, "cannot be computed: no NumPy code is known for bess"),
        (R * (1 - R) * sp.zeta(1 + R), {}, "no NumPy code is known for zeta"),
    ],
)
def test_a_closure_that_cannot_be_is_refused(
    closure: sp.Expr, values: dict, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        compiled_closure(closure, values)


@pytest.mark.parametrize(
    "shape",
    [
        sp.tanh(1 - R), (1 - R) * sp.cosh(R), sp.erf(1 - R), (1 - R) * sp.erfc(R),
        sp.Min(R, 1 - R), (1 - R) * sp.Max(R, sp.Rational(1, 2)), (1 - R) * (1 + sp.floor(3 * R)),
        (1 - R) * sp.ceiling(3 * R), (1 - R) * (1 + sp.Mod(R, sp.Rational(3, 10))),
        (1 - R) * sp.sec(R), (1 - R) * sp.csc(R), (1 - R) * sp.coth(R), (1 - R) * sp.sech(R),
        (1 - R) * sp.sinc(R), (1 - R) * sp.asinh(R), (1 - R) * sp.atanh(R / 2),
        (1 - R) * sp.acosh(1 + R), (1 - R) * (1 + sp.Heaviside(R - sp.Rational(1, 3))),
        (1 - R) * sp.cot(R), (1 - R) * sp.csch(R), (1 - R) * sp.atan(R), sp.Abs(R - 1),
    ],
    ids=str,
)  # fmt: skip
def test_a_closure_of_your_own_may_use_such_functions(shape: sp.Expr) -> None:
    """Against SymPy's own numbers, its slope against differences of them."""
    closure = R * shape
    growth, growth_slope, bend = compiled_closure(closure)
    for place in (0.21, 0.47, 0.83):
        rho = math.log(place / (1 - place))
        ahead, here, behind = (
            float(closure.subs(R, sp.Rational(1) / (1 + sp.exp(-at))))
            for at in (rho + 1e-5, rho, rho - 1e-5)
        )
        width = place * (1 - place)
        assert growth(rho, 1.0) == pytest.approx(here / width, rel=1e-12)
        slope = (math.log(ahead) - math.log(behind)) / 2e-5  # of log G
        assert growth_slope(rho, 1.0) == pytest.approx(
            here / width * (slope - (1 - 2 * place)), rel=1e-6, abs=1e-8
        )
        assert bend(rho) == pytest.approx(1 - 2 * place - slope / 2, rel=1e-6, abs=1e-8)


def test_slopes_of_internal_time() -> None:
    """Along a solution of the linear closure: U^2 against its slope, S and t against V."""
    N, K, rate, rho, start = 6, 4, 0.3, 0.4, -1.7
    kappa = generated.rate_constant(N, K, rate)

    def squared(x: float) -> float:
        return generated.squared_gap_linear(x, start, kappa)

    G = generated.gradient_linear(1 / (1 + math.exp(-rho)), rate)
    slope = (squared(rho + 1e-5) - squared(rho - 1e-5)) / 2e-5 / 2
    found = generated.gap_square_slope(rho, G, generated.rate_constant(N, K, 1.0))
    assert found == pytest.approx(slope, rel=1e-8)
    gap = math.sqrt(0.2**2 + squared(rho))
    assert generated.logit_R_linear(gap, 0.2, start, kappa) == pytest.approx(rho, rel=1e-12)

    R, missing, Q, S, C = 1 / (1 + math.exp(-rho)), 1 / (1 + math.exp(rho)), 0.9, 0.2, 0.5
    F, dQ, dS = generated.driven_rates(R, missing, Q, S, C, N, K)
    dV = dQ + (K - 1) * dS
    assert generated.off_target_slope(missing, K) == pytest.approx(dS / dV, rel=1e-13)
    margin = generated.margin(R, Q, S, C, N, K)
    assert generated.time_slope(margin, N, K) == pytest.approx(1 / dV, rel=1e-13)
    limit = generated.error_signal(margin, N) * (Q - S)  # (15e) per unit of G
    assert F * generated.thermodynamic_pace(N, K) == pytest.approx(limit, rel=1e-13)


@pytest.mark.parametrize("y", [-30.0, -2.0, 0.5, 4.0, 29.9, 30.1, 100.0])
def test_slope_of_what_an_error_is_the_mean_of(y: float) -> None:
    ahead, behind = (generated.log_any_above(y + h, 7) for h in (1e-4, -1e-4))
    found = generated.log_any_above_slope(y, 7)
    assert found == pytest.approx((ahead - behind) / 2e-4, rel=1e-6, abs=1e-12)
    rest = (1.3, 0.8, 1.2, 7)
    ahead, behind = (generated.log_right_below(y + h, *rest) for h in (1e-4, -1e-4))
    found = generated.log_right_below_slope(y, *rest)
    assert found == pytest.approx((ahead - behind) / 2e-4, rel=1e-6, abs=1e-12)


def test_a_closure_of_your_own_may_have_cases() -> None:
    steep = sp.Piecewise(
        (R * (1 - R), sp.Rational(1, 2) > R), (R * (1 - R) * sp.Max(R, 0.75), True)
    )
    growth, growth_slope, _ = compiled_closure(steep)
    np.testing.assert_allclose(growth(np.array([-1.0, 0.0]), 1.0), [1.0, 0.75], rtol=1e-14)
    assert growth(2.0, 1.0) == pytest.approx(1 / (1 + math.exp(-2.0)), rel=1e-14)
    assert growth_slope(-1.0, 1.0) == 0
