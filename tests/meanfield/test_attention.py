"""The softmax attention flow against plain T x T sums, and what it says about the closures."""

import math

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.special import expit

from meanfield import Parameters, generated, predict
from meanfield.attention import closures
from meanfield.attention import onset as lock
from meanfield.attention import planes as attention
from meanfield.predict import trust


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
    parameters = Parameters(N=4, T=T, d_head=d, rope_theta=base)
    omega = np.array(parameters.frequencies)
    rng = np.random.default_rng(4)
    p = 2 * (rng.normal(size=d // 2) + 1j * rng.normal(size=d // 2))
    R, missing, gradient = attention.retrieval(
        attention.planes(parameters), np.concatenate([p.real, p.imag])
    )
    assert pytest.approx(plain_retrieval(p, T, omega), rel=1e-13) == R
    assert R + missing == pytest.approx(1, rel=1e-14)
    H = plain_gradient(p, T, omega)
    assert gradient == pytest.approx(np.concatenate([H.real, -H.imag]), abs=1e-9)


def test_nothing_learned_is_one_in_T():
    planes = attention.planes(Parameters(N=4, T=7))
    assert attention.retrieval(planes, np.zeros(64))[0] == pytest.approx(1 / 7, rel=1e-14)


@pytest.mark.parametrize(
    ("T", "d", "base", "N", "K"), [(4, 6, 10.0, 20, 20), (6, 8, 1e4, 4, 2), (2, 4, 10.0, 5, 3)]
)
def test_softmax_against_an_ode_in_training_time(T, d, base, N, K):
    """(15b), (15c) beside p' = F H* n, n' = 4 F Re(H p), the gradient by differences of sums."""
    p = Parameters(N=N, K=K, T=T, d_head=d, rope_theta=base)
    omega, planes = np.array(p.frequencies), d // 2

    def rhs(_t, state):
        p, n, (Q, S) = state[:planes], state[planes:-2].real, state[-2:].real
        R, H = plain_retrieval(p, T, omega), plain_gradient(p, T, omega)
        y_c = R * Q + (1 - R) * (Q + (K - 1) * S) / K
        g = 1 / (1 + math.exp(y_c * N / (N - 1)) / (N - 1))
        F = g * N / (N - 1) * (K - 1) / K * (Q - S)
        dQ, dS = g * (R + (1 - R) / K) / (K * N), g * (1 - R) / (K * K * N)
        return np.concatenate([F * H.conj() * n, 4 * F * (H * p).real, [dQ, dS]])

    def locked(_t, state):
        return plain_retrieval(state[:planes], T, omega) - (0.5 if T > 2 else 0.75)

    locked.terminal = True
    start = np.concatenate([np.zeros(planes), np.full(planes, 4 / 3), [0.0, 0.0]]).astype(complex)
    solution = solve_ivp(rhs, (0, 1e7), start, events=locked, rtol=1e-8, atol=1e-10)
    Q, S = solution.y_events[0][0, -2:].real
    found = lock.softmax_lock(p)
    assert pytest.approx(solution.t_events[0][0], rel=1e-5) == math.exp(found.log_t)
    assert pytest.approx(Q - S, rel=1e-5) == found.U
    assert pytest.approx(Q + (K - 1) * S, rel=1e-5) == found.V


def test_more_steps_change_nothing(monkeypatch):
    sets = [
        Parameters(N=20, T=10),
        Parameters(N=10, K=2, T=10, rope_theta=1e4),
        Parameters(N=4, T=100, d_head=256, rope_theta=1e4),
        Parameters(N=2, T=1000),
    ]
    few = [lock.softmax_lock(p).log_t for p in sets]
    monkeypatch.setattr(lock, "PANELS", 3 * lock.PANELS)
    assert few == pytest.approx([lock.softmax_lock(p).log_t for p in sets], rel=1e-5)


@pytest.mark.parametrize("closure", closures.CLOSURES.values(), ids=lambda closure: closure.name)
def test_closure_lock_against_the_conserved_quantity(closure):
    p = Parameters(N=20, K=7, T=10, rope_theta=300.0)
    kappa = generated.kappa(p.N, p.K, closures.rate(closure, p))
    logit_R0 = -math.log(9)
    found = lock.closure_lock(closure, p, R_end=0.5)
    assert pytest.approx(closure.onset_gap(0.0, logit_R0, kappa), rel=1e-10) == found.U
    V, _ = quad(lambda U: 1 / expit(closure.logit_R(U, 0.0, logit_R0, kappa)), 0, found.U)
    assert pytest.approx(V, rel=1e-8) == found.V


@pytest.mark.parametrize("closure", closures.CLOSURES)
@pytest.mark.parametrize(("N", "K", "T"), [(20, 20, 10), (10, 2, 10), (3, 3, 10), (4, 4, 20)])
def test_closure_lock_is_the_onset_that_predict_prints(closure, N, K, T):
    p = Parameters(N=N, K=K, T=T)
    onset = predict(p, closure=closure, points=2).onset_epoch
    found = lock.closure_lock(closures.named(closure), p, R_end=0.5)
    assert pytest.approx(onset, rel=1e-7) == math.exp(found.log_t) / p.lr


def test_a_lock_beyond_float64_is_still_judged():
    p = Parameters(N=2, T=1000)
    assert lock.softmax_lock(p).log_t > 709  # the logarithm of the largest float64
    linear, quadratic = trust.lateness(p, closures.LINEAR, closures.QUADRATIC)
    assert linear > quadratic > 9
    assert trust.lateness(Parameters(N=2, T=5000), closures.LINEAR) == (math.inf,)
    assert "more than ten times as late" in trust.words(closures.LINEAR, p)[0]


@pytest.mark.parametrize(
    ("N", "K", "T", "softmax", "linear", "quadratic"),
    [
        (20, 20, 10, 302.0, 0.06, -0.18),
        (10, 2, 10, 378.5, 0.30, -0.52),
        (20, 2, 10, 183.0, 0.12, -0.28),
        (4, 4, 10, 159.0, 0.15, -0.35),
        (3, 3, 10, 884.0, 0.37, -0.63),
        (4, 4, 20, 467.0, 1.24, -0.44),
    ],
)
def test_lateness_is_that_of_the_onset_epoch(N, K, T, softmax, linear, quadratic):
    """Epochs of the softmax flow with (15b), (15c), integrated elsewhere: they depend on N and K.

    In internal time the linear closure is 6 % late in all but the last.
    """
    p = Parameters(N=N, K=K, T=T)
    assert math.exp(lock.softmax_lock(p).log_t) / p.lr == pytest.approx(softmax, rel=0.002)
    late = trust.lateness(p, closures.LINEAR, closures.QUADRATIC)
    assert late == pytest.approx((linear, quadratic), abs=0.006)


def test_known_evidence_on_the_closures():
    """Simulation: at base 10 the linear closure is good; at 1e4 its onset is 40 % late."""
    resolved = trust.lateness(Parameters(N=20, T=10), closures.LINEAR, closures.QUADRATIC)
    assert abs(resolved[0]) < trust.TOLERANCE < abs(resolved[1])
    slow = Parameters(N=20, T=10, rope_theta=1e4)
    linear, quadratic = trust.lateness(slow, closures.LINEAR, closures.QUADRATIC)
    assert 0.3 < linear < 0.6
    assert abs(quadratic) < linear / 2


def test_lateness_depends_on_the_start_of_query_and_key():
    # from a larger start n_r hardly grows, which takes speed from the attention, not the closure
    one, large, larger = (
        trust.lateness(Parameters(N=20, T=10, qk_variance=by), closures.LINEAR)
        for by in (1 / 3, 2.0, 20.0)
    )
    assert larger < large < one


def test_words_on_trust():
    verdict, basis = trust.words(closures.LINEAR, Parameters(N=20, T=10))
    assert verdict == "trusted only for the onset epoch: 6% late (quadratic: 18% early)"
    assert basis == "judged from the nominal start against softmax attention from its mean start"
    given = trust.words(closures.LINEAR, Parameters(N=20, T=10), measured=True)
    assert given[0] == verdict
    assert "the nominal start, not the one given, against" in given[1]
    verdict, _ = trust.words(closures.LINEAR, Parameters(N=20, T=10, rope_theta=1e4))
    assert verdict == "not trusted for the onset epoch: 47% late (quadratic: 13% late)"
    verdict, _ = trust.words(closures.LINEAR, Parameters(N=20, T=2))
    assert verdict.startswith("not trusted for the epoch of R = 3/4, as R starts at 1/2: 44% late")
    for p in (Parameters(N=20, T=100, d_head=2), Parameters(N=20, T=10**6)):
        (cannot,) = trust.words(closures.LINEAR, p)
        assert "cannot be judged" in cannot


def test_the_flow_only_climbs():
    p = Parameters(N=4, T=3)
    planes, heads = attention.planes(p), attention.mean_heads(p, np.ones(1))
    for logit_R in ([-0.6931], [-1.0], [0.0, -0.1]):
        with pytest.raises(ValueError, match=r"must ascend from \[-0\.69314718\], where"):
            attention.gradients(planes, heads, np.array([logit_R]) - 1e-4)


def test_rates_are_those_of_the_references():
    p = Parameters(N=20, T=10)
    assert closures.rate(closures.LINEAR, p) == pytest.approx(3.48689e-2, rel=1e-5)
    assert closures.rate(closures.QUADRATIC, p) == pytest.approx(0.387432, rel=1e-5)
    slow = Parameters(N=20, T=10, rope_theta=1e4)
    assert closures.rate(closures.LINEAR, slow) == pytest.approx(9.55350e-3, rel=1e-5)
    assert generated.kappa(20, 20, 1.0) == 400.0
