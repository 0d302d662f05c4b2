"""The softmax attention flow against plain T x T sums, and what it says about the closures."""

import math

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.special import expit

from meanfield import Parameters, attention, closures, generated, trust


def plain_retrieval(p, T, omega):
    """R from the definition: a T x T softmax; p complex, one entry a plane."""
    i, j = np.meshgrid(np.arange(T + 1, 2 * T + 1), np.arange(1, T + 1), indexing="ij")
    phases = np.exp(1j * omega * (i - j)[..., None])
    weights = np.exp((phases @ p).real / math.sqrt(2 * len(omega)))
    rows = weights / weights.sum(axis=1, keepdims=True)
    return np.trace(rows) / T


def plain_gradient(p, T, omega, step=1e-5):
    """H_r with dR = Re sum_r H_r dp_r, by central differences."""
    result = np.empty(len(p), complex)
    for r in range(len(p)):
        nudge = np.zeros(len(p), complex)
        nudge[r] = step
        real, imaginary = (
            (plain_retrieval(p + by, T, omega) - plain_retrieval(p - by, T, omega)) / (2 * step)
            for by in (nudge, 1j * nudge)
        )
        result[r] = real - 1j * imaginary
    return result


@pytest.mark.parametrize(("T", "d", "base"), [(2, 2, 10.0), (5, 6, 10.0), (9, 8, 1e4)])
def test_retrieval_and_its_gradient_against_plain_sums(T, d, base):
    omega = np.array(Parameters(N=4, T=T, d_head=d, rope_theta=base).frequencies)
    rng = np.random.default_rng(4)
    p = 2 * (rng.normal(size=d // 2) + 1j * rng.normal(size=d // 2))
    R, gradient = attention.retrieval(attention.planes(omega, T), np.concatenate([p.real, p.imag]))
    assert pytest.approx(plain_retrieval(p, T, omega), rel=1e-13) == R
    H = plain_gradient(p, T, omega)
    assert gradient == pytest.approx(np.concatenate([H.real, -H.imag]), abs=1e-9)


def test_nothing_learned_is_one_in_T():
    planes = attention.planes(Parameters(N=4, T=7).frequencies, 7)
    assert attention.retrieval(planes, np.zeros(64))[0] == pytest.approx(1 / 7, rel=1e-14)


@pytest.mark.parametrize(("T", "d", "base"), [(4, 6, 10.0), (6, 8, 1e4)])
def test_flow_against_an_ode_in_internal_time(T, d, base):
    """p' = U H* n, n' = 4 U Re(H p), U' = R, V' = 1, the gradient by differences of plain sums."""
    omega = np.array(Parameters(N=4, T=T, d_head=d, rope_theta=base).frequencies)
    planes = d // 2

    def rhs(_V, state):
        p, n, U = state[:planes], state[planes:-1].real, state[-1].real
        H = plain_gradient(p, T, omega)
        return np.concatenate(
            [U * H.conj() * n, 4 * U * (H * p).real, [plain_retrieval(p, T, omega)]]
        )

    def locked(_V, state):
        return plain_retrieval(state[:planes], T, omega) - 0.5

    locked.terminal = True
    start = np.concatenate([np.zeros(planes), np.full(planes, 4 / 3), [0.0]]).astype(complex)
    solution = solve_ivp(rhs, (0, 1e3), start, events=locked, rtol=1e-8, atol=1e-10)
    lock = attention.lock(attention.planes(omega, T), qk_variance=1 / 3)
    assert pytest.approx(solution.t_events[0][0], rel=2e-4) == lock.V
    assert pytest.approx(solution.y_events[0][0, -1].real, rel=2e-4) == lock.U


def test_more_steps_change_nothing():
    for T, d, base in ((10, 64, 10.0), (10, 64, 1e4), (100, 256, 1e4)):
        planes = attention.planes(Parameters(N=4, T=T, d_head=d, rope_theta=base).frequencies, T)
        few = attention.lock(planes, qk_variance=1 / 3)
        many = attention.lock(planes, qk_variance=1 / 3, steps=40)
        assert pytest.approx(many.V, rel=1e-3) == few.V


@pytest.mark.parametrize("closure", closures.CLOSURES.values(), ids=lambda closure: closure.name)
def test_closure_lock_against_the_conserved_quantity(closure):
    p = Parameters(N=20, T=10, rope_theta=300.0)
    rate, logit_R0 = closures.rate(closure, p), -math.log(9)
    lock = trust.closure_lock(closure, p)
    assert pytest.approx(closure.onset_gap(0.0, logit_R0, rate), rel=1e-10) == lock.U
    V, _ = quad(lambda U: 1 / expit(closure.logit_R(U, 0.0, logit_R0, rate)), 0, lock.U)
    assert pytest.approx(V, rel=1e-8) == lock.V


def test_known_evidence_on_the_closures():
    """Simulation: at base 10 the linear closure is good; at 1e4 its onset is 40 % late."""
    resolved = trust.lateness(Parameters(N=20, T=10), closures.LINEAR, closures.QUADRATIC)
    assert abs(resolved[0]) < trust.TOLERANCE < abs(resolved[1])
    slow = Parameters(N=20, T=10, rope_theta=1e4)
    linear, quadratic = trust.lateness(slow, closures.LINEAR, closures.QUADRATIC)
    assert 0.3 < linear < 0.6
    assert abs(quadratic) < linear / 2


def test_trust_depends_on_the_attention_alone():
    one = trust.lateness(Parameters(N=20, T=10), closures.LINEAR)
    other = trust.lateness(Parameters(N=300, K=7, T=10, lr=0.1, w_init=1.0), closures.LINEAR)
    assert one == pytest.approx(other, rel=1e-12)
    # from a larger start n_r hardly grows, which takes speed from the attention, not the closure
    large, larger = (
        trust.lateness(Parameters(N=20, T=10, qk_variance=by), closures.LINEAR)
        for by in (2.0, 20.0)
    )
    assert larger < large < one


def test_words_on_trust():
    assert trust.words(closures.LINEAR, Parameters(N=20, T=10)).startswith("trusted: ")
    words = trust.words(closures.LINEAR, Parameters(N=20, T=10, rope_theta=1e4))
    assert words.startswith("not trusted: attention onset 47% late")
    assert "quadratic: 13%" in words
    assert "cannot be judged" in trust.words(closures.LINEAR, Parameters(N=20, T=100, d_head=2))
    assert "cannot be judged" in trust.words(closures.LINEAR, Parameters(N=20, T=10**6))
    assert "trusted" in trust.words(closures.LINEAR, Parameters(N=20, T=2))


def test_lock_needs_a_goal_above_the_start():
    planes = attention.planes(Parameters(N=4, T=2).frequencies, 2)
    with pytest.raises(ValueError, match=r"between 1/T = 0\.5 and 1, not 0\.5"):
        attention.lock(planes, qk_variance=1 / 3, R_end=0.5)


def test_rates_are_those_of_the_references():
    p = Parameters(N=20, T=10)
    assert closures.rate(closures.LINEAR, p) == pytest.approx(3.48689e-2, rel=1e-5)
    assert closures.rate(closures.QUADRATIC, p) == pytest.approx(0.387432, rel=1e-5)
    slow = Parameters(N=20, T=10, rope_theta=1e4)
    assert closures.rate(closures.LINEAR, slow) == pytest.approx(9.55350e-3, rel=1e-5)
    assert generated.kappa(20, 20, 1.0) == 400.0
