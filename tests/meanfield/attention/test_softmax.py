"""Softmax attention without a closure, against training all weights by plain T x T sums."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from meanfield import Parameters, Start, Theory, predict
from meanfield.attention import planes as attention
from meanfield.attention import typical

SMALL = Parameters(N=7, K=5, T=4, d_head=6, lr=3.0, rope_theta=20.0)
LOGIC = {"Q": 0.05, "S": 0.2, "C": 0.9}  # the gap Q - S starts below 0: R falls before it rises
DEFAULT = Parameters(N=20, T=10)


def drawn(p, seed=1):
    """Query and key of one seed."""
    q, k = typical.draw(p, 1, rng_seed=seed)
    return q[0], k[0]


class Weights:
    """The mean-field gradient of q, k, Q and S, attention position by position, nothing in planes.

    Each vector is turned at its own position; gradients of R are central differences.
    """

    def __init__(self, p, C):
        self.p, self.C = p, C
        self.omega = np.array(p.frequencies)

    def turned(self, vector, positions):
        half = self.p.d_head // 2
        plane = vector[:half] + 1j * vector[half:]
        return plane * np.exp(1j * self.omega * positions[:, None])

    def R(self, q, k):
        T = self.p.T
        queries, keys = (
            self.turned(q, np.arange(T + 1, 2 * T + 1)),
            self.turned(k, np.arange(1, T + 1)),
        )
        weights = np.exp((queries @ keys.conj().T).real / math.sqrt(self.p.d_head))
        return np.trace(weights / weights.sum(axis=1, keepdims=True)) / T

    def velocity(self, state):
        """Time derivatives of (q, k, Q, S)."""
        d, N, K = self.p.d_head, self.p.N, self.p.K
        weights, (Q, S) = state[: 2 * d], state[2 * d :]
        slope = np.empty(2 * d)
        for entry in range(2 * d):
            nudge = np.zeros(2 * d)
            nudge[entry] = 1e-5
            ahead, behind = weights + nudge, weights - nudge
            slope[entry] = (self.R(ahead[:d], ahead[d:]) - self.R(behind[:d], behind[d:])) / 2e-5
        R = self.R(weights[:d], weights[d:])
        right = R * Q + (1 - R) * (Q + (K - 1) * S) / K
        margin = (N * right - self.C) / (N - 1)
        g = (N - 1) / (N - 1 + math.exp(margin))
        F = g * N / (N - 1) * (K - 1) / K * (Q - S)
        return np.append(F * slope, [g * (R + (1 - R) / K) / (K * N), g * (1 - R) / (K * K * N)])

    def curve(self, states):
        """R, Q, S of states (q, k, Q, S), one a column."""
        d = self.p.d_head
        return np.array([[self.R(s[:d], s[d : 2 * d]), s[2 * d], s[2 * d + 1]] for s in states.T])


def begin(q, k):
    return np.concatenate([q, k, [LOGIC["Q"], LOGIC["S"]]])


def test_per_seed_is_the_flow_of_all_weights():
    q, k = drawn(SMALL)
    epochs = np.linspace(0, 60, 61)
    weights = Weights(SMALL, LOGIC["C"])
    solved = solve_ivp(
        lambda _t, state: weights.velocity(state),
        (0, epochs[-1] * SMALL.lr),
        begin(q, k),
        t_eval=epochs * SMALL.lr,
        rtol=1e-8,
        atol=1e-9,
    )
    own = predict(SMALL, "per-seed", start=Start(q=q, k=k, **LOGIC), epochs=epochs)
    assert own.R.min() < own.R[0] - 1e-4  # the fall
    assert own.R[-1] > 0.9
    for mine, other in zip((own.R, own.Q, own.S), weights.curve(solved.y).T, strict=True):
        assert mine == pytest.approx(other, abs=1e-6)


def test_steps_go_where_the_steps_of_all_weights_go_to_second_order():
    """Steps of all weights, lr halved twice: the flow is off by lr, the corrected one by lr^2."""
    q, k = drawn(SMALL)
    gaps = {True: [], False: []}
    for lr in (6.0, 3.0, 1.5):
        p = Parameters(**{**dict(SMALL.items()), "lr": lr})
        count = round(300 / lr)
        weights, state = Weights(p, LOGIC["C"]), begin(q, k)
        states = [state]
        for _ in range(count):
            state = state + lr * weights.velocity(state)
            states.append(state)
        stepped = weights.curve(np.array(states).T)
        for corrected, found in gaps.items():
            own = predict(
                p, Theory.parse("per-seed", steps=corrected), start=Start(q=q, k=k, **LOGIC),
                epochs=np.arange(count + 1.0),
            )  # fmt: skip
            found.append(np.abs(np.column_stack([own.R, own.Q, own.S]) - stepped).max(axis=0))
    orders = {name: np.log2(np.divide(found[:-1], found[1:])) for name, found in gaps.items()}
    assert orders[False][-1] == pytest.approx([1, 1, 1], abs=0.15)
    assert orders[True][-1] == pytest.approx([2, 2, 2], abs=0.3)
    assert np.all(gaps[True][0] < gaps[False][0] / 5)


def test_a_common_turn_of_query_and_key_changes_nothing():
    q, k = drawn(DEFAULT)
    half = DEFAULT.d_head // 2
    turn = np.exp(1j * np.linspace(0, 3, half))

    def turned(vector, by):
        plane = (vector[:half] + 1j * vector[half:]) * by
        return np.concatenate([plane.real, plane.imag])

    one, same, other = (
        predict(DEFAULT, "per-seed", start=Start(q=q, k=k), epochs=500)
        for q, k in ((q, k), (turned(q, turn), turned(k, turn)), (turned(q, turn), k))
    )
    assert pytest.approx(one.R, abs=1e-6) == same.R
    assert np.abs(other.R - one.R).max() > 0.01


def test_the_flow_conserves_the_imbalance_and_steps_do_not():
    q, k = drawn(DEFAULT)
    heads, half = attention.heads(q, k), DEFAULT.d_head // 2
    start = Start(q=q, k=k, Q=0.3, S=0.1)
    for steps in (False, True):
        model = Theory.parse("per-seed", steps=steps).prepare(DEFAULT, start, None).model
        problem = model.problem()
        change = problem.rhs(0.0, problem.y0)[2 * half : 3 * half]
        if steps:  # towards 0
            assert np.all(change * heads.imbalance < 0)
        else:
            assert np.all(change == 0)


def test_a_curve_goes_on_for_a_million_epochs():
    q, k = drawn(DEFAULT)
    run = predict(DEFAULT, "per-seed", start=Start(q=q, k=k), epochs=[0, 1e3, 1e4, 1e5, 1e6])
    assert np.all(np.diff(run.retrieval_error) < 0)
    assert 0 < run.retrieval_error[-1] < 1e-2
    assert np.all(np.diff(run.Q) > 0)
    assert run.rollout_error[-1] < 1e-6


def test_its_state_is_the_planes_of_query_and_key():
    q, k = drawn(SMALL)
    model = Theory.parse("per-seed").prepare(SMALL, Start(q=q, k=k, **LOGIC), None).model
    heads, rope = attention.heads(q, k), attention.planes(SMALL)
    state = model.attention.start
    assert state == pytest.approx(np.concatenate([heads.p, heads.imbalance]), rel=1e-15)
    assert float(model.attention.logit_R(state)) == pytest.approx(
        float(attention.logit_R(rope, heads.p)), rel=1e-14
    )
    np.testing.assert_allclose(
        model.attention.rows(state[None])[0], attention.rows(rope, heads.p), rtol=1e-14
    )
    assert model.attention.scale == pytest.approx(np.full(9, 4 / 3 * 1e-2))
