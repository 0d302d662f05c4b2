"""The loss with the fluctuations of the logits: under closures, under the softmax, and refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from meanfield import ParameterError, Parameters, SolverError, Start, Theory, generated, predict
from meanfield.attention import closures, planes, typical
from meanfield.loss.second_order import SecondOrder
from meanfield.theory import CLOSURES

P = Parameters(N=8, T=4, d_head=16)
UNEVEN = Parameters(N=9, K=4, T=5, d_head=16, lr=3.0, w_init=0.5, rope_theta=30.0)
START = {"Q": 0.05, "S": 0.12, "C": 0.7, "overlap": 0.2}
SHORT = {"epochs": 200.0, "points": 21}


def known(p: Parameters) -> tuple[Any, ...]:
    return (0.05, 0.12, 0.7, 0.2, p.w_variance, p.N, p.K, p.T)


@pytest.mark.parametrize("name", CLOSURES)
def test_a_closure_with_fluctuations_is_a_direct_solution_of_the_generated_rates(name: str) -> None:
    """R' = F G(R), with G = gamma R (1 - R) or g_0 (R (1 - R))^2, in R itself."""
    rate = closures.rate(CLOSURES[name], UNEVEN)
    power = {"linear": 1, "quadratic": 2}[name]

    def rhs(_t: float, y: np.ndarray) -> list[float]:
        R, Q, S = y
        F, dQ, dS = generated.corrected_rates(R, Q, S, *known(UNEVEN))
        return [F * rate * (R * (1 - R)) ** power, dQ, dS]

    epochs = np.linspace(0, 300, 301)
    solved = solve_ivp(
        rhs, (0, epochs[-1] * UNEVEN.lr), [0.3, 0.05, 0.12], t_eval=epochs * UNEVEN.lr,
        rtol=1e-10, atol=1e-12,
    )  # fmt: skip
    start = Start(R=0.3, **START)
    run = predict(UNEVEN, f"{name}+fluctuations", start=start, epochs=epochs)
    assert run.R.min() < 0.3 < 0.8 < run.R[-1]  # it falls, as Q starts below S, and rises
    for mine, other in zip((run.R, run.Q, run.S), solved.y, strict=True):
        assert mine == pytest.approx(other, abs=1e-7)
    loss = generated.corrected_loss(run.R, run.Q, run.S, *known(UNEVEN))
    np.testing.assert_allclose(run.loss, loss, rtol=1e-12)
    without = predict(UNEVEN, name, start=Start(R=0.3, Q=0.05, S=0.12, C=0.7), epochs=epochs)
    assert np.abs(without.S - run.S).max() > 0.02


def test_a_closure_of_ones_own_with_fluctuations() -> None:
    import sympy as sp

    R, gamma = sp.symbols("R gamma", positive=True)
    start = Start(R=0.3, **START)
    own = Theory(attention=gamma * R * (1 - R), loss="fluctuations")
    epochs = np.linspace(0, 300, 7)
    one, other = (
        predict(UNEVEN, each, start=start, epochs=epochs) for each in (own, "linear+fluctuations")
    )
    for name in ("R", "Q", "S", "loss"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-9)


def test_fluctuations_are_there_unless_told_otherwise() -> None:
    run = predict(P, **SHORT)
    assert run.start.overlap == 1 / 8
    same = predict(P, "spectral+fluctuations", start=Start(overlap=1 / 8), **SHORT)
    np.testing.assert_array_equal(run.S, same.S)
    without = predict(P, "spectral", **SHORT)
    assert run.S[-1] < 0.9 * without.S[-1]  # after the transition they pull S down
    assert str(run.theory) == "spectral+fluctuations"


def test_the_loss_is_that_with_fluctuations() -> None:
    run = predict(P, start=Start(Q=0.02, S=0.01, C=0.3, overlap=0.15), **SHORT)
    these = (0.02, 0.01, 0.3, 0.15, P.w_variance, P.N, P.K, P.T)
    np.testing.assert_allclose(run.loss, generated.corrected_loss(run.R, run.Q, run.S, *these))
    assert np.all(run.loss > generated.loss(run.margin, P.N))


@pytest.mark.parametrize("p", [P, UNEVEN], ids=str)
def test_the_first_step_is_that_of_the_generated_rates(p: Parameters) -> None:
    q, k = (each[0] for each in typical.draw(p, 1))
    start = Start(q=q, k=k, Q=0.3, S=0.1, C=0.4, overlap=0.2)
    run = predict(p, "per-seed+fluctuations", start=start, epochs=[0, 1e-4])
    these = (0.3, 0.1, 0.4, 0.2, p.w_variance, p.N, p.K, p.T)
    drive, dQ, dS = generated.corrected_rates(run.R[0], 0.3, 0.1, *these)
    heads, rope = planes.heads(q, k), planes.planes(p)
    _, _, H = planes.retrieval(rope, heads.p)
    size = generated.plane_size(*planes.pair(heads.p), heads.imbalance)
    G = np.sum(generated.plane_gradient(*planes.pair(H), size))
    t = 1e-4 * p.lr
    for change, rate in ((np.diff(run.Q), dQ), (np.diff(run.S), dS), (np.diff(run.R), drive * G)):
        assert change[0] / t == pytest.approx(rate, rel=1e-4)


def test_without_spread_it_is_the_mean_field_loss() -> None:
    """At the start, with no W(0) and all Q, S gained yet 0, nothing fluctuates."""
    loss = SecondOrder(N=9, K=4, T=5, w_variance=0.0, Q=0.05, S=0.12, C=0.7, overlap=0.2)
    margin = generated.margin(0.3, 0.05, 0.12, 0.7, 9, 4)
    assert float(loss.value(0.3, 0.05, 0.12)) == pytest.approx(float(generated.loss(margin, 9)))
    F, _, _ = loss.rates(0.3, 0.7, 0.05, 0.12)
    assert pytest.approx(float(generated.driven_rates(0.3, 0.7, 0.05, 0.12, 0.7, 9, 4)[0])) == F


def test_they_fade_as_the_model_grows() -> None:
    """At fixed K/N and T/N what they change in S falls at least like 1/sqrt(N)."""
    changes = []
    for N in (8, 16, 32, 64):
        p = Parameters(N=N, T=N // 2, d_head=32)
        onset = predict(p, "linear", points=2).onset_epoch
        names = ("spectral+fluctuations", "spectral")
        runs = [predict(p, name, epochs=1.5 * onset, points=2) for name in names]
        changes.append(abs(runs[0].S[-1] / runs[1].S[-1] - 1))
    slope = np.polyfit(np.log([8, 16, 32, 64]), np.log(changes), 1)[0]
    assert slope < -0.4, changes


@pytest.mark.parametrize(
    ("N", "K", "overlap", "words"),
    [
        (8, 8, 1.0, "overlap must be above 0 and below 1 for N = 8, K = 8, not 1: these"),
        (8, 8, 0.0, "overlap must be above 0 and below 1 for N = 8, K = 8, not 0: these"),
        (8, 8, 1.1, "overlap must be above 0 and below 1 for N = 8, K = 8, not 1.1: these"),
        (8, 8, np.nan, "overlap must be above 0 and below 1 for N = 8, K = 8, not nan: these"),
        (8, 3, -0.1, "overlap must be at least 0 and below 1 for N = 8, K = 3, not -0.1: these"),
        (4, 7, 0.125, "overlap must be above 0.125 and below 1 for N = 4, K = 7, not 0.125: these"),
        (8, 8, np.array([0.2, 1.0]), "overlap must be above 0 and below 1 for N = 8, K = 8, not 1"),
    ],
)
def test_a_vocabulary_without_fluctuations_is_refused(
    N: int, K: int, overlap: Any, words: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        SecondOrder(N=N, K=K, T=4, w_variance=0.1, Q=0.0, S=0.0, C=0.0, overlap=overlap)
    assert str(caught.value).startswith(words)
    assert str(caught.value).endswith("follow the mean-field loss instead")


def test_an_overlap_between_its_ends_is_allowed() -> None:
    for N, K, overlap in ((8, 8, 1e-6), (8, 3, 0.0), (4, 7, 0.126), (8, 8, 1 - 1e-6)):
        SecondOrder(N=N, K=K, T=4, w_variance=0.1, Q=0.0, S=0.0, C=0.0, overlap=overlap)
    few = Parameters(N=8, T=4, K=3, d_head=16)  # with K < N they may never agree
    assert np.all(np.isfinite(predict(few, start=Start(overlap=0.0), **SHORT).S))


def test_what_is_too_stiff_is_said() -> None:
    with pytest.raises(SolverError, match=r"too stiff to be solved beyond epoch .*smaller w_init"):
        predict(Parameters(N=20, T=10, w_init=1e9))


def test_it_is_that_of_a_model_from_a_start() -> None:
    known = {"Q": 0.05, "S": 0.12, "C": 0.7, "overlap": 0.2}
    expected = SecondOrder(N=9, K=4, T=5, w_variance=UNEVEN.w_variance, **known)
    assert SecondOrder.of(UNEVEN, Start(**known)) == expected
