"""Softmax attention without a closure, against the flow of all weights by plain T x T sums."""

import math
from dataclasses import replace
from functools import partial

import mpmath
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import expit, logit

from meanfield import ParameterError, Parameters, flow, generated
from meanfield.attention import closures
from meanfield.attention import onset as lock
from meanfield.attention import planes as attention
from meanfield.predict import prediction, seeds

predict = partial(prediction.predict, fluctuations=False)  # of the mean-field loss

SMALL = Parameters(N=7, K=5, T=4, d_head=6, lr=3.0, rope_theta=20.0)
LOGIC = {"Q0": 0.05, "S0": 0.2, "C": 0.9}  # the gap Q - S starts below 0: R falls before it rises
DEFAULT = Parameters(N=20, T=10)


def drawn(p, seed=1):
    """Query and key of one seed."""
    q, k = seeds.draw(p, 1, rng_seed=seed)
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
    return np.concatenate([q, k, [LOGIC["Q0"], LOGIC["S0"]]])


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
    own = predict(SMALL, closure="per-seed", q=q, k=k, epochs=epochs, **LOGIC)
    assert own.R.min() < own.R[0] - 1e-4  # the fall
    assert own.R[-1] > 0.9
    for mine, other in zip((own.R, own.Q, own.S), weights.curve(solved.y).T, strict=True):
        assert mine == pytest.approx(other, abs=1e-6)


def test_lr_correction_is_where_steps_go_to_second_order():
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
                p, closure="per-seed", q=q, k=k, **LOGIC, epochs=np.arange(count + 1.0),
                lr_correction=corrected,
            )  # fmt: skip
            found.append(np.abs(np.column_stack([own.R, own.Q, own.S]) - stepped).max(axis=0))
    orders = {name: np.log2(np.divide(found[:-1], found[1:])) for name, found in gaps.items()}
    assert orders[False][-1] == pytest.approx([1, 1, 1], abs=0.15)
    assert orders[True][-1] == pytest.approx([2, 2, 2], abs=0.3)
    assert np.all(gaps[True][0] < gaps[False][0] / 5)


# R as a function of the distance x that the weights have gone along its gradient: (dR/dx)^2 = G
BY_DISTANCE = {
    "linear": (lambda x, rate: math.sin(math.sqrt(rate) * x / 2) ** 2, 0.3),
    "quadratic": (lambda x, rate: float(expit(math.sqrt(rate) * x)), 0.2),
}


@pytest.mark.parametrize("name", BY_DISTANCE)
def test_lr_correction_of_a_closure(name):
    """Steps of the distance, Q and S themselves, the drive by hand."""
    R_at, R0 = BY_DISTANCE[name]
    rate = closures.rate(closures.CLOSURES[name], SMALL)
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
                p, closure=name, R0=R0, Q0=0.4, S0=0.1, C=0.7, epochs=np.arange(count + 1.0),
                lr_correction=corrected,
            )  # fmt: skip
            found.append(np.abs(np.column_stack([own.R, own.Q, own.S]) - stepped).max(axis=0))
    for corrected, order in ((False, 1), (True, 2)):
        found = np.log2(np.divide(gaps[corrected][:-1], gaps[corrected][1:]))
        assert found[-1] == pytest.approx([order] * 3, abs=0.2)


def test_a_common_turn_of_query_and_key_changes_nothing():
    q, k = drawn(DEFAULT)
    half = DEFAULT.d_head // 2
    turn = np.exp(1j * np.linspace(0, 3, half))

    def turned(vector, by):
        plane = (vector[:half] + 1j * vector[half:]) * by
        return np.concatenate([plane.real, plane.imag])

    one = predict(DEFAULT, closure="per-seed", q=q, k=k, epochs=500)
    same = predict(DEFAULT, closure="per-seed", q=turned(q, turn), k=turned(k, turn), epochs=500)
    assert pytest.approx(one.R, abs=1e-6) == same.R
    other = predict(DEFAULT, closure="per-seed", q=turned(q, turn), k=k, epochs=500)
    assert np.abs(other.R - one.R).max() > 0.01


def test_planes_of_swapped_query_and_key_are_conjugate():
    q, k = drawn(DEFAULT)
    one, other = attention.heads(q, k), attention.heads(k, q)
    re, im = attention.pair(one.p)
    assert attention.pair(other.p)[0] == pytest.approx(re, abs=1e-15)
    assert attention.pair(other.p)[1] == pytest.approx(-im, abs=1e-15)
    assert other.imbalance == pytest.approx(-one.imbalance, abs=1e-15)
    sizes = generated.plane_size(re, im, one.imbalance)
    by_entry = (q**2 + k**2).reshape(2, -1).sum(axis=0)
    assert sizes == pytest.approx(by_entry, rel=1e-13)


def test_the_flow_conserves_the_imbalance_and_steps_do_not():
    q, k = drawn(DEFAULT)
    rope, heads = attention.planes(DEFAULT), attention.heads(q, k)
    d, half = DEFAULT.d_head, DEFAULT.d_head // 2
    for step in (0.0, 2.0):
        own = flow.system(DEFAULT, rope, heads, Q0=0.3, S0=0.1, C=0.0, step=step)
        change = own.rhs(0.0, own.y0)[d : d + half]
        if step:  # towards 0
            assert np.all(change * heads.imbalance < 0)
        else:
            assert np.all(change == 0)


@pytest.mark.parametrize("scale", [1.0, 30.0, 300.0])
def test_what_is_missing_of_R_keeps_its_digits(scale):
    p = Parameters(N=4, T=5, d_head=8)
    rope = attention.planes(p)
    _, _, ahead = attention.retrieval(rope, np.zeros(8))
    vector = scale * ahead / np.linalg.norm(ahead)
    R, missing, gradient = attention.retrieval(rope, vector)
    with mpmath.workdps(60):
        u = [
            sum(map(mpmath.fmul, map(mpmath.mpf, row), map(mpmath.mpf, vector)))
            for row in rope.waves
        ]
        rows = [[mpmath.exp(u[4 + t - x]) for x in range(5)] for t in range(5)]
        exact = sum(1 - row[t] / sum(row) for t, row in enumerate(rows)) / 5
        assert missing == pytest.approx(float(exact), rel=1e-12)
    assert missing < {1.0: 1, 30.0: 1e-2, 300.0: 1e-20}[scale]
    assert pytest.approx(missing, abs=1e-15) == 1 - R
    assert np.linalg.norm(gradient) < 2 * missing  # it falls with what is missing


def test_a_curve_goes_on_for_a_million_epochs():
    q, k = drawn(DEFAULT)
    run = predict(DEFAULT, closure="per-seed", q=q, k=k, epochs=[0, 1e3, 1e4, 1e5, 1e6])
    assert np.all(np.diff(run.retrieval_error) < 0)
    assert 0 < run.retrieval_error[-1] < 1e-2
    assert np.all(np.diff(run.Q) > 0)
    assert run.rollout_error[-1] < 1e-6


def test_spectral_starts_where_the_mean_does_and_saturates():
    run = predict(DEFAULT, closure="spectral")
    assert run.R[0] == pytest.approx(0.1, rel=1e-12)
    assert run.rate < 1
    assert run.onset_epoch < run.rollout_half_epoch < run.saturation_epoch < run.epoch[-1]
    larger = Parameters(N=20, T=10, d_head=256)
    assert (
        run.rate < predict(larger, closure="spectral", epochs=10, points=2).rate < 1
    )  # less spread
    assert run.to_dict()["closure"] == "spectral"


@pytest.mark.parametrize(
    "p",
    [
        DEFAULT,
        Parameters(N=20, T=5, d_head=16, rope_theta=1e4),
        Parameters(N=20, T=20, d_head=64, rope_theta=100.0),
        Parameters(N=9, K=4, T=10, d_head=16, rope_spacing="linear"),
    ],
    ids=str,
)
def test_spectral_is_the_median_seed(p):
    """Within 4 %, of which the median of 400 seeds has up to 3 (two standard errors)."""
    onsets = seeds.onset_epochs(p, *seeds.draw(p, 400, rng_seed=3))
    assert np.all(np.isfinite(onsets))
    own = predict(p, closure="spectral", points=2).onset_epoch
    assert own == pytest.approx(np.median(onsets), rel=0.04)
    mean_start = math.exp(lock.softmax_lock(p).log_t) / p.lr
    assert mean_start < own


def test_the_typical_start_is_that_of_any_N_and_K():
    """The way is the same for all; only at large margins, as here at N = 3, is the time not."""
    shares = [
        predict(Parameters(N=N, K=K, T=10), closure="spectral", points=2).rate
        for N, K in ((20, 20), (3, 3), (10, 2), (500, 7))
    ]
    assert shares == pytest.approx([shares[0]] * 4, rel=1e-9)
    p = Parameters(N=10, K=2, T=10)
    onsets = np.concatenate(
        [seeds.onset_epochs(p, *seeds.draw(p, 500, rng_seed=n)) for n in range(4)]
    )
    low, median, high = np.quantile(onsets, (0.1, 0.5, 0.9))
    assert high / low > 5
    assert predict(p, closure="spectral", points=2).onset_epoch == pytest.approx(median, rel=0.05)


def test_spread_of_the_sizes_counts():
    """The median of 4000 seeds within 1 % (0.4 its standard error); 1.5 % are due to the sizes."""
    p = Parameters(N=20, T=5, d_head=16, rope_theta=1e4)
    onsets = [seeds.onset_epochs(p, *seeds.draw(p, 1000, rng_seed=n)) for n in range(4)]
    own = predict(p, closure="spectral", points=2).onset_epoch
    assert own == pytest.approx(np.median(onsets), rel=0.01)


def test_onsets_of_many_are_those_of_each():
    q, k = seeds.draw(DEFAULT, 40)
    epochs = np.arange(0.0, 601.0, 50.0)
    many = seeds.predict_seeds(DEFAULT, q=q, k=k, epochs=epochs)
    assert many.R.shape == (40, 13)
    quick = seeds.onset_epochs(DEFAULT, q, k)
    assert many.onset_epoch == pytest.approx(np.where(quick < 600, quick, np.inf), rel=1e-5)
    corrected = seeds.predict_seeds(
        DEFAULT, q=q[:2], k=k[:2], epochs=epochs, lr_correction=True, Q0=[0.0, 0.1], C=0.2
    )
    for index in (0, 1):
        one = predict(
            DEFAULT, closure="per-seed", q=q[index], k=k[index], epochs=epochs, lr_correction=True,
            Q0=[0.0, 0.1][index], C=0.2,
        )  # fmt: skip
        assert corrected.R[index] == pytest.approx(one.R, abs=1e-6)
        assert corrected.Q[index] == pytest.approx(one.Q, abs=1e-6)
        assert corrected.S[index] == pytest.approx(one.S, abs=1e-6)
        assert corrected.onset_epoch[index] == pytest.approx(one.onset_epoch, rel=1e-6)
    short = seeds.predict_seeds(DEFAULT, q=q[:1], k=k[:1], epochs=[0.0, 5.0])
    assert short.onset_epoch[0] == math.inf


@pytest.mark.parametrize(
    "p",
    [
        Parameters(N=20, T=5, d_head=16, rope_theta=1e4),  # a few seeds grow unevenly
        Parameters(N=20, T=10, qk_variance=1e-4),  # all of them
    ],
    ids=str,
)
def test_onsets_that_the_quadrature_misses_are_solved(p):
    q, k = seeds.draw(p, 60, rng_seed=100)
    heads = attention.heads(q, k)
    panels = lock.heads_lock(attention.planes(p), heads, p).log_t
    many = seeds.predict_seeds(p, q=q, k=k, epochs=[0.0, 2000.0]).onset_epoch
    assert np.all(np.isfinite(many))
    assert not np.all(np.abs(panels - np.log(many * p.lr)) < 1e-3)
    assert seeds.onset_epochs(p, q, k) == pytest.approx(many, rel=2e-3)


def test_onsets_beyond_float64_are_never():
    p = Parameters(N=2, T=1000)  # of the mean start the logarithm of its time is above 709
    onsets = seeds.onset_epochs(p, *seeds.draw(p, 3))
    assert np.all(onsets > 1e200)


def test_seeds_that_start_beyond_the_onset():
    p = Parameters(N=4, T=3, d_head=4, qk_variance=3.0)
    q, k = seeds.draw(p, 200)
    R, _, _ = attention.retrieval(attention.planes(p), attention.heads(q, k).p)
    assert 0 < np.sum(R >= 0.5) < 200
    assert np.array_equal(seeds.onset_epochs(p, q, k) == 0, R >= 0.5)


def test_spread_over_seeds():
    spread = seeds.onset_spread(DEFAULT)
    assert spread == seeds.onset_spread(DEFAULT)  # drawn the same every time
    many = np.concatenate(
        [seeds.onset_epochs(DEFAULT, *seeds.draw(DEFAULT, 400, rng_seed=n)) for n in range(3)]
    )
    told = (spread.low, spread.median, spread.high)
    assert told == pytest.approx(np.quantile(many, (0.1, 0.5, 0.9)), rel=0.05)
    assert spread.count == seeds.SAMPLES


def test_draws_are_those_of_the_initialisation():
    q, k = seeds.draw(Parameters(N=4, T=4, qk_variance=0.25), 2000)
    for each in (q, k):
        assert each.shape == (2000, 64)
        assert np.abs(each).max() == pytest.approx(math.sqrt(0.75), rel=1e-3)
        assert each.var() == pytest.approx(0.25, rel=0.01)


def test_thermodynamic_limit_takes_its_factors_from_the_drive():
    q, k = drawn(Parameters(N=20, K=5, T=10))
    for closure, given in (("per-seed", {"q": q, "k": k}), ("spectral", {})):
        same, limit = (
            predict(DEFAULT, closure=closure, epochs=400, points=5, thermodynamic_limit=on, **given)
            for on in (False, True)
        )
        assert pytest.approx(limit.R, abs=1e-9) == same.R  # K = N
        p = Parameters(N=20, K=5, T=10)
        finite, limit = (
            predict(p, closure=closure, points=2, thermodynamic_limit=on, **given)
            for on in (False, True)
        )
        assert limit.onset_epoch < finite.onset_epoch
        assert limit.rate / finite.rate == pytest.approx(19 / 20 * 5 / 4)


GOOD = {"q": np.ones(64), "k": np.ones(64)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"closure": "per-seed"}, 'closure="per-seed" needs q and k, but q is missing'),
        ({"closure": "per-seed", "q": np.ones(64)}, 'closure="per-seed" needs q and k, but k is'),
        (
            {"closure": "per-seed", **GOOD, "R0": 0.1},
            'R0 = 0.1 may not be given with closure="per-seed", where it follows from query',
        ),
        (
            {"closure": "spectral", "R0": 0.1},
            'R0 = 0.1 may not be given with closure="spectral", where',
        ),
        ({"closure": "spectral", **GOOD}, 'q and k may only be given with closure="per-seed", not'),
        ({"closure": "linear", **GOOD}, 'q and k may only be given with closure="per-seed", not'),
        (
            {"closure": "per-seed", **GOOD, "q": [1, 2]},
            "q must be d_head = 64 finite numbers, not [1",
        ),
        (
            {"closure": "per-seed", **GOOD, "k": np.full(64, np.nan)},
            "k must be d_head = 64 finite numbers, not array([nan",
        ),
    ],
)
def test_what_cannot_be_is_refused(change, words):
    with pytest.raises(ParameterError) as caught:
        predict(DEFAULT, **change)
    assert str(caught.value).startswith(words)


def test_models_that_cannot_be_followed_are_refused():
    with pytest.raises(ParameterError, match="T = 1000000 actions, 32 RoPE planes: too many"):
        predict(Parameters(N=20, T=10**6), closure="spectral")
    with pytest.raises(
        ParameterError, match="no seed is typical with 1 RoPE planes, T = 100 and qk_var"
    ):
        predict(Parameters(N=20, T=100, d_head=2), closure="spectral")
    for far in (30.0, 3e5, 1e300):
        with pytest.raises(ParameterError, match="too far from the mean start"):
            predict(replace(DEFAULT, qk_variance=far), closure="spectral")
    with pytest.raises(ParameterError, match="their attention logits may reach 8e"):
        predict(DEFAULT, closure="per-seed", q=np.full(64, 1e3), k=np.full(64, 1e5))
    with pytest.raises(ParameterError, match=r"q must be finite numbers of one shape \(seeds, d_h"):
        seeds.predict_seeds(DEFAULT, q=np.ones((2, 3)), k=np.ones((2, 64)), epochs=[0.0, 1.0])
