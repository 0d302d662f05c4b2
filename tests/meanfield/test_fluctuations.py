"""Predictions with the fluctuations of the logits in the loss, and with sampled logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from meanfield import ParameterError, Parameters, dynamics, generated, predict
from meanfield.attention import planes as attention
from meanfield.errors import SolverError
from meanfield.logits.sampled import next_token_accuracy
from meanfield.predict import seeds

P = Parameters(N=8, T=4, d_head=16)
SHORT = {"epochs": 200.0, "points": 21}
GROUP = np.array([np.roll(np.arange(8), shift) for shift in (0, 3, 5, 3, 1, 6, 2, 3)])


def test_they_are_there_unless_told_otherwise() -> None:
    run = predict(P, **SHORT)
    assert run.overlap == 1 / 8
    same = predict(P, fluctuations=True, overlap=1 / 8, **SHORT)
    np.testing.assert_array_equal(run.S, same.S)
    without = predict(P, fluctuations=False, **SHORT)
    assert without.overlap is None
    assert run.S[-1] < 0.9 * without.S[-1]  # after the transition they pull S down
    assert predict(P, closure="linear", **SHORT).overlap is None


def test_the_loss_is_that_with_fluctuations() -> None:
    run = predict(P, Q0=0.02, S0=0.01, C=0.3, overlap=0.15, **SHORT)
    known = (0.02, 0.01, 0.3, 0.15, P.w_variance, P.N, P.K, P.T)
    np.testing.assert_allclose(run.loss, generated.corrected_loss(run.R, run.Q, run.S, *known))
    assert np.all(run.loss > generated.loss(run.margin, P.N))


def test_the_first_step_is_that_of_the_generated_rates() -> None:
    q, k = (each[0] for each in seeds.draw(P, 1))
    run = predict(P, closure="per-seed", q=q, k=k, Q0=0.3, S0=0.1, overlap=0.2, epochs=[0, 1e-4])
    known = (0.3, 0.1, 0.0, 0.2, P.w_variance, P.N, P.K, P.T)
    drive, dQ, dS = generated.corrected_rates(run.R[0], 0.3, 0.1, *known)
    heads, planes = attention.heads(q, k), attention.planes(P)
    _, _, H = attention.retrieval(planes, heads.p)
    size = generated.plane_size(*attention.pair(heads.p), heads.imbalance)
    G = np.sum(generated.plane_gradient(*attention.pair(H), size))
    t = 1e-4 * P.lr
    for change, rate in ((np.diff(run.Q), dQ), (np.diff(run.S), dS), (np.diff(run.R), drive * G)):
        assert change[0] / t == pytest.approx(rate, rel=1e-4)


def test_they_fade_as_the_model_grows() -> None:
    """At fixed K/N and T/N what they change in S falls at least like 1/sqrt(N)."""
    changes = []
    for N in (8, 16, 32, 64):
        p = Parameters(N=N, T=N // 2, d_head=32)
        onset = predict(p, closure="linear", points=2).onset_epoch
        runs = [predict(p, fluctuations=on, epochs=1.5 * onset, points=2) for on in (True, False)]
        changes.append(abs(runs[0].S[-1] / runs[1].S[-1] - 1))
    slope = np.polyfit(np.log([8, 16, 32, 64]), np.log(changes), 1)[0]
    assert slope < -0.4, changes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"closure": "linear", "fluctuations": True}, "fluctuations and overlap need closure="),
        ({"closure": "linear", "overlap": 0.1}, "fluctuations and overlap need closure="),
        ({"fluctuations": False, "overlap": 0.1}, "overlap may not be given without fluctuations"),
        ({"overlap": 1.0}, "overlap must be above 0 and below 1 for N = 8, K = 8, not 1: these"),
        ({"overlap": 0.0}, "overlap must be above 0 and below 1 for N = 8, K = 8, not 0: these"),
        ({"overlap": float("nan")}, "overlap must be a finite number, not nan"),
        ({"permutations": GROUP}, 'permutations may only be given with variances="sampled"'),
        (
            {"permutations": GROUP[:3], "variances": "sampled"},
            "permutations must be K = 8 permutations of 0..7, not of shape (3, 8)",
        ),
        (
            {"permutations": np.zeros((8, 8)), "variances": "sampled"},
            "permutations must be K = 8 permutations of 0..7",
        ),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError) as caught:
        predict(P, **change)
    assert str(caught.value).startswith(words)


def test_few_permutations_may_never_agree() -> None:
    """With K < N an overlap of 0 leaves room; with K = N the permutations tile the states."""
    p = Parameters(N=8, T=4, K=3, d_head=16)
    assert np.all(np.isfinite(predict(p, overlap=0.0, **SHORT).S))
    q, k = seeds.draw(p, 2)
    curves = seeds.predict_seeds(p, q=q, k=k, epochs=[0.0, 50.0], overlap=[0.0, 0.2])
    assert np.all(np.isfinite(curves.S))
    with pytest.raises(ParameterError, match="overlap must be at least 0 and below 1 for N = 8"):
        seeds.predict_seeds(p, q=q, k=k, epochs=[0.0, 50.0], overlap=[-0.1, 0.2])


def test_the_spread_is_that_of_seeds_solved_with_fluctuations() -> None:
    for p in (Parameters(N=20, T=10), Parameters(N=3, T=4, K=2)):
        overlap = 1 / p.N
        spread = seeds.onset_spread(p, samples=40, overlap=overlap)
        q, k = seeds.draw(p, 40)
        epochs = [0.0, 3 * spread.high]
        onsets = seeds.predict_seeds(p, q=q, k=k, epochs=epochs, overlap=overlap).onset_epoch
        low, high = np.quantile(onsets, (0.1, 0.9), method="nearest")
        assert (spread.low, spread.high) == pytest.approx((low, high), rel=0.03)


def test_what_is_too_stiff_is_said() -> None:
    with pytest.raises(SolverError, match=r"too stiff to be solved beyond epoch .*smaller w_init"):
        predict(Parameters(N=20, T=10, w_init=1e9))


@pytest.mark.parametrize("closure", ["spectral", "linear"])
def test_sampled_logits_are_those_along_the_solution(closure: str) -> None:
    run = predict(P, closure=closure, variances="sampled", permutations=GROUP, **SHORT)
    plain = predict(P, closure=closure, **SHORT)
    np.testing.assert_array_equal(run.Q, plain.Q)
    U, V = run.Q - run.S, run.Q + 7 * run.S
    u, v = U / (1 - 1 / 8), V / (1 - 1 / 8)  # overlap 1/N
    rows = dynamics.exchangeable(run.R, P.T)
    found = next_token_accuracy(P, u, v, rows, permutations=GROUP)
    largest = 0.03 if closure == "spectral" else 1e-12  # its rows are not quite exchangeable
    assert np.max(np.abs(run.next_token_accuracy - found.accuracy)) < largest
    assert np.max(np.abs(run.next_token_accuracy - plain.next_token_accuracy)) > 0.02


def test_a_start_of_its_own_does_not_count_as_learned() -> None:
    run = predict(P, variances="sampled", Q0=0.4, S0=0.4, C=3.2, epochs=[0, 1.0])
    assert run.next_token_accuracy[0] == pytest.approx(1 / 8, abs=0.02)


def test_rows_of_attention() -> None:
    """Against the products of turned vectors, position by position; R is the mean diagonal."""
    q, k = (each[0] for each in seeds.draw(P, 1, rng_seed=3))
    rows = attention.rows(attention.planes(P), attention.heads(q, k).p)

    def turned(vector: np.ndarray, position: int) -> np.ndarray:
        return (vector[:8] + 1j * vector[8:]) * np.exp(1j * position * np.array(P.frequencies))

    for t in range(P.T):
        own = turned(q, P.T + 1 + t)
        u = [np.sum(own * turned(k, j + 1).conj()).real / 4 for j in range(P.T)]
        np.testing.assert_allclose(rows[t], np.exp(u) / np.sum(np.exp(u)), rtol=1e-12)
    R, _, _ = attention.retrieval(attention.planes(P), attention.heads(q, k).p)
    assert np.mean(np.diagonal(rows)) == pytest.approx(float(R), rel=1e-13)


def test_exchangeable_rows() -> None:
    rows = dynamics.exchangeable(np.array([0.3, 1.0]), 4)
    np.testing.assert_allclose(rows.sum(-1), 1)
    np.testing.assert_allclose(np.diagonal(rows[0]), 0.3)
    np.testing.assert_allclose(rows[1], np.eye(4))
