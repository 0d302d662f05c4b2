"""How attention locks on, by quadrature: against equations solved in training time."""

import math

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.special import expit

from meanfield import Parameters, generated, predict
from meanfield.attention import closures, onset
from meanfield.attention.onset import onset_of_closure, onset_of_heads, onset_of_softmax
from meanfield.attention.planes import FlowError, mean_heads, planes, retrieval
from meanfield.theory import CLOSURES
from tests.meanfield.attention.plain import plain_gradient, plain_retrieval


@pytest.mark.parametrize(
    ("T", "d", "base", "N", "K"), [(4, 6, 10.0, 20, 20), (6, 8, 1e4, 4, 2), (2, 4, 10.0, 5, 3)]
)
def test_softmax_against_an_ode_in_training_time(T, d, base, N, K):
    """(15b), (15c) beside p' = F H* n, n' = 4 F Re(H p), the gradient by differences of sums."""
    p = Parameters(N=N, K=K, T=T, d_head=d, rope_theta=base)
    omega, half = np.array(p.frequencies), d // 2

    def rhs(_t, state):
        p, n, (Q, S) = state[:half], state[half:-2].real, state[-2:].real
        R, H = plain_retrieval(p, T, omega), plain_gradient(p, T, omega)
        y_c = R * Q + (1 - R) * (Q + (K - 1) * S) / K
        g = 1 / (1 + math.exp(y_c * N / (N - 1)) / (N - 1))
        F = g * N / (N - 1) * (K - 1) / K * (Q - S)
        dQ, dS = g * (R + (1 - R) / K) / (K * N), g * (1 - R) / (K * K * N)
        return np.concatenate([F * H.conj() * n, 4 * F * (H * p).real, [dQ, dS]])

    def locked(_t, state):
        return plain_retrieval(state[:half], T, omega) - (0.5 if T > 2 else 0.75)

    locked.terminal = True
    start = np.concatenate([np.zeros(half), np.full(half, 4 / 3), [0.0, 0.0]]).astype(complex)
    solution = solve_ivp(rhs, (0, 1e7), start, events=locked, rtol=1e-8, atol=1e-10)
    Q, S = solution.y_events[0][0, -2:].real
    found = onset_of_softmax(p)
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
    few = [onset_of_softmax(p).log_t for p in sets]
    monkeypatch.setattr(onset, "PANELS", 3 * onset.PANELS)
    assert few == pytest.approx([onset_of_softmax(p).log_t for p in sets], rel=1e-5)


@pytest.mark.parametrize("closure", CLOSURES.values(), ids=CLOSURES)
def test_the_onset_of_a_closure_against_the_conserved_quantity(closure):
    p = Parameters(N=20, K=7, T=10, rope_theta=300.0)
    kappa = generated.rate_constant(p.N, p.K, closures.rate(closure, p))
    logit_R0 = -math.log(9)
    found = onset_of_closure(closure, p, R_end=0.5)
    assert pytest.approx(closure.solution.onset_gap(0.0, logit_R0, kappa), rel=1e-10) == found.U
    V, _ = quad(lambda U: 1 / expit(closure.solution.logit_R(U, 0.0, logit_R0, kappa)), 0, found.U)
    assert pytest.approx(V, rel=1e-8) == found.V


@pytest.mark.parametrize("closure", CLOSURES)
@pytest.mark.parametrize(("N", "K", "T"), [(20, 20, 10), (10, 2, 10), (3, 3, 10), (4, 4, 20)])
def test_the_onset_of_a_closure_is_the_one_that_predict_prints(closure, N, K, T):
    p = Parameters(N=N, K=K, T=T)
    predicted = predict(p, closure, points=2).onset_epoch
    found = onset_of_closure(CLOSURES[closure], p, R_end=0.5)
    assert pytest.approx(predicted, rel=1e-7) == math.exp(found.log_t) / p.lr


def test_an_onset_beyond_float64_has_a_logarithm():
    assert onset_of_softmax(Parameters(N=2, T=1000)).log_t > 709  # of the largest float64


def test_where_it_starts_at_one_half_three_quarters_are_judged():
    assert [onset.onset_retrieval(T) for T in (2, 3, 100)] == [0.75, 0.5, 0.5]


def test_heads_that_start_beyond_the_onset_have_none():
    p = Parameters(N=4, T=3, d_head=4)
    rope, start = planes(p), mean_heads(p, np.ones(2))
    _, _, H = retrieval(rope, np.zeros(4))
    start.p[1] = 9 * H / np.linalg.norm(H)
    assert retrieval(rope, start.p)[0][1] > 0.5
    found = onset_of_heads(rope, start, p)
    assert np.isnan(found.log_t).tolist() == [False, True]
    assert found.log_t[0] == pytest.approx(onset_of_softmax(p).log_t, rel=1e-14)


def test_many_heads_are_followed_in_chunks(monkeypatch):
    p = Parameters(N=9, K=4, T=5, d_head=16)
    heads = mean_heads(p, np.linspace(0.7, 1.1, 7))
    whole = onset_of_heads(planes(p), heads, p)
    monkeypatch.setattr(onset, "CHUNK", 40)
    assert pytest.approx(whole.V, rel=1e-13) == onset_of_heads(planes(p), heads, p).V
    assert np.all(np.diff(whole.log_t) < 0)  # larger sizes lock on earlier


def test_planes_that_tell_too_little_apart_are_refused():
    with pytest.raises(FlowError, match="these 1 RoPE planes tell the 100 positions apart too poo"):
        onset_of_softmax(Parameters(N=20, T=100, d_head=2))
