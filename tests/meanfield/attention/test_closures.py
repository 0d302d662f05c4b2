"""Closures G(R): the paper's two, a user's own, and how each is followed in steps and in flow."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.special import expit, logit

from meanfield import ParameterError, Parameters, Start, Theory, generated, predict
from meanfield.attention import closures
from meanfield.attention.closures import exchangeable, from_expression
from meanfield.theory import CLOSURES

SMALL = Parameters(N=7, K=5, T=4, d_head=6, lr=3.0, rope_theta=20.0)
LOGIT_R = np.array([-3.0, -0.4, 0.0, 2.5])


def test_rates_are_those_of_the_references():
    p = Parameters(N=20, T=10)
    assert closures.rate(closures.LINEAR, p) == pytest.approx(3.48689e-2, rel=1e-5)
    assert closures.rate(closures.QUADRATIC, p) == pytest.approx(0.387432, rel=1e-5)
    slow = Parameters(N=20, T=10, rope_theta=1e4)
    assert closures.rate(closures.LINEAR, slow) == pytest.approx(9.55350e-3, rel=1e-5)
    assert generated.rate_constant(20, 20, 1.0) == 400.0


# R as a function of the distance x that the weights have gone along its gradient: (dR/dx)^2 = G
BY_DISTANCE = {
    "linear": (lambda x, rate: math.sin(math.sqrt(rate) * x / 2) ** 2, 0.3),
    "quadratic": (lambda x, rate: float(expit(math.sqrt(rate) * x)), 0.2),
}


@pytest.mark.parametrize("name", BY_DISTANCE)
def test_steps_of_a_closure_to_second_order(name):
    """Steps of the distance, Q and S themselves, the drive by hand."""
    R_at, R0 = BY_DISTANCE[name]
    rate = closures.rate(CLOSURES[name], SMALL)
    N, K = SMALL.N, SMALL.K
    x0 = 2 * math.asin(math.sqrt(R0)) if name == "linear" else logit(R0)
    gaps = {True: [], False: []}
    for lr in (4.0, 2.0, 1.0):
        p, count = Parameters(**{**dict(SMALL.items()), "lr": lr}), round(200 / lr)
        x, Q, S = x0 / math.sqrt(rate), 0.4, 0.1
        stepped = []
        for _ in range(count + 1):
            R = R_at(x, rate)
            stepped.append((R, Q, S))
            slope = (R_at(x + 1e-5, rate) - R_at(x - 1e-5, rate)) / 2e-5
            margin = (N * (R * Q + (1 - R) * (Q + (K - 1) * S) / K) - 0.7) / (N - 1)
            g = (N - 1) / (N - 1 + math.exp(margin))
            x += lr * g * N / (N - 1) * (K - 1) / K * (Q - S) * slope
            Q, S = Q + lr * g * (R + (1 - R) / K) / (K * N), S + lr * g * (1 - R) / (K * K * N)
        for corrected, found in gaps.items():
            own = predict(
                p, Theory.parse(name, steps=corrected), start=Start(R=R0, Q=0.4, S=0.1, C=0.7),
                epochs=np.arange(count + 1.0),
            )  # fmt: skip
            found.append(np.abs(np.column_stack([own.R, own.Q, own.S]) - stepped).max(axis=0))
    for corrected, order in ((False, 1), (True, 2)):
        found = np.log2(np.divide(gaps[corrected][:-1], gaps[corrected][1:]))
        assert found[-1] == pytest.approx([order] * 3, abs=0.2)


@pytest.mark.parametrize("name", CLOSURES)
def test_growth_bend_and_slope_are_those_of_G(name):
    """G = rate R (1 - R), or its square over R (1 - R): logit R grows by G / (R (1 - R))."""
    closure, rate, step = CLOSURES[name], 0.37, 1e-5
    power = {"linear": 1, "quadratic": 2}[name]

    def growth(logit_R):
        return rate * (expit(logit_R) * expit(-logit_R)) ** (power - 1)

    assert closure.growth(LOGIT_R, rate) == pytest.approx(growth(LOGIT_R), rel=1e-14)
    slope = (growth(LOGIT_R + step) - growth(LOGIT_R - step)) / (2 * step)
    assert closure.growth_slope(LOGIT_R, rate) == pytest.approx(slope, abs=1e-9)
    # (X7c): half the slope of log G in R, less what logit R bends by itself
    R = expit(LOGIT_R)
    bend = (power - 2) / 2 * (1 - 2 * R) * -1
    assert closure.bend(LOGIT_R) == pytest.approx(bend, abs=1e-14)


def test_the_conserved_function_is_that_of_each_closure():
    """Along dU/dlogit R = R (1 - R) R / (kappa U G), by steps of its own."""
    U0, logit_R0, kappa = 0.2, -1.0, 3.0
    for name, closure in CLOSURES.items():
        U = np.array([0.3, 0.8, 1.5])
        logit_R = closure.solution.logit_R(U, U0, logit_R0, kappa)
        step = 1e-5
        by_U = (
            closure.solution.logit_R(U + step, U0, logit_R0, kappa)
            - closure.solution.logit_R(U - step, U0, logit_R0, kappa)
        ) / (2 * step)
        growth = closure.growth(logit_R, 1.0)
        assert by_U == pytest.approx(kappa * U * growth / expit(logit_R), rel=1e-7), name
        squared = closure.solution.squared_gap(logit_R, logit_R0, kappa)
        assert squared == pytest.approx(U**2 - U0**2, rel=1e-12), name
        gap = closure.solution.onset_gap(U0, logit_R0, kappa)
        assert closure.solution.logit_R(gap, U0, logit_R0, kappa) == pytest.approx(0, abs=1e-12)
    assert CLOSURES["quadratic"].solution.basin_gap(logit_R0, kappa) == -np.inf
    edge = CLOSURES["linear"].solution.basin_gap(logit_R0, kappa)
    assert edge**2 == pytest.approx(-2 * math.log(expit(1.0)) / kappa)


R, N, K, T, d, gamma, g_0 = sp.symbols("R N K T d gamma g_0", positive=True)


def test_every_symbol_of_a_closure_of_ones_own_has_the_value_of_the_model():
    rate = {name: closures.rate(closure, SMALL) for name, closure in CLOSURES.items()}
    for symbol, value in (
        (N, 7), (K, 5), (T, 4), (d, 6), (gamma, rate["linear"]), (g_0, rate["quadratic"])
    ):  # fmt: skip
        own = from_expression(symbol * R * (1 - R), SMALL)
        assert own.growth(LOGIT_R, 1.0) == pytest.approx(np.full(4, float(value)), rel=1e-13)
    assert own.solution is None
    assert closures.rate(own, SMALL) == 1.0


def test_a_closure_of_ones_own_is_the_paper_s_if_it_says_the_same():
    for name, expression in (("linear", gamma * R * (1 - R)), ("quadratic", g_0 * (R - R**2) ** 2)):
        own, rate = from_expression(expression, SMALL), closures.rate(CLOSURES[name], SMALL)
        for ours, theirs in (
            (own.growth(LOGIT_R, 1.0), CLOSURES[name].growth(LOGIT_R, rate)),
            (own.growth_slope(LOGIT_R, 1.0), CLOSURES[name].growth_slope(LOGIT_R, rate)),
            (own.bend(LOGIT_R), CLOSURES[name].bend(LOGIT_R)),
        ):
            assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-15)
        start = Start(R=0.3, Q=0.4, S=0.1, C=0.7)
        for steps in (False, True):
            one, other = (
                predict(SMALL, theory, start=start, epochs=60, points=4)
                for theory in (Theory(attention=expression, steps=steps),
                               Theory.parse(name, steps=steps))
            )  # fmt: skip
            for curve in ("R", "Q", "S"):
                assert getattr(one, curve) == pytest.approx(getattr(other, curve), rel=1e-9)


def test_another_closure_of_ones_own_conserves_what_it_should():
    """1 - R to the second power: R/(1 - R) - kappa U^2/2 is conserved."""
    p = Parameters(N=20, K=9, T=10)
    run = predict(p, Theory(attention=gamma * T / (T - 1) * R * (1 - R) ** 2))
    kappa = generated.rate_constant(20, 9, closures.rate(closures.LINEAR, p) * 10 / 9)
    U = run.Q - run.S
    conserved = np.exp(logit(run.R)) - kappa * U**2 / 2
    assert conserved == pytest.approx(np.full(401, 1 / 9), rel=1e-7)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (R * sp.Symbol("x"), "a closure G(R) may use R, N, K, T, d, gamma, g_0, not x"),
        (
            -R * (1 - R),
            "a closure G(R) must be finite and above 0 for 0 < R < 1; -R*(1 - R) is -",
        ),
    ],
)
def test_what_is_no_closure_is_refused(expression, words):
    with pytest.raises(ParameterError) as caught:
        from_expression(expression, SMALL)
    assert str(caught.value).startswith(words)


def test_exchangeable_rows():
    rows = exchangeable(np.array([0.3, 1.0]), np.array([0.7, 0.0]), 4)
    np.testing.assert_allclose(rows.sum(-1), 1)
    np.testing.assert_allclose(np.diagonal(rows[0]), 0.3)
    np.testing.assert_allclose(rows[0, 0, 1:], 0.7 / 3)
    np.testing.assert_allclose(rows[1], np.eye(4))


def test_the_rows_of_a_closed_attention_are_exchangeable():
    attention = closures.ClosedAttention(closures.LINEAR, 0.1, -0.3, 4)
    found = attention.rows(np.array([[-0.3], [2.0]]))
    logit_R = np.array([-0.3, 2.0])
    np.testing.assert_allclose(found, exchangeable(expit(logit_R), expit(-logit_R), 4))
    assert attention.start.tolist() == [-0.3]
    assert attention.logit_R(np.array([[1.0], [2.0]])).tolist() == [1.0, 2.0]
