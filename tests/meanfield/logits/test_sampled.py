"""Sampled accuracies against every sequence of small models, in their limits, along solutions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from meanfield import ParameterError, Parameters, Start, Theory, predict
from meanfield.attention.closures import exchangeable
from meanfield.logic.family import Family
from meanfield.logits.gaussian import Gaussian
from meanfield.logits.sampled import Estimate, Sampled, next_token_accuracy
from meanfield.start import vocabulary_overlap

SMALL = Parameters(N=3, K=2, T=3, w_init=1e-6)  # just enough to decide between equal logits
ATTENTION = np.array([[[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.25, 0.35, 0.4]]])
PERMUTATIONS = np.array([[1, 2, 0], [0, 2, 1]])


def sampled(p: Parameters, u: float, v: float, attention: Any, **options: Any) -> Estimate:
    return next_token_accuracy(p, u=np.array([u]), v=np.array([v]), attention=attention, **options)


def every_sequence(u: float, v: float) -> float:
    """The share of right predictions by (6), with W_k = u (P_k - mean) + v (mean - J/N)."""
    p = SMALL
    P = np.eye(p.N)[PERMUTATIONS].transpose(0, 2, 1)  # P[k, n, x]
    W = u * (P - P.mean(0)) + v * (P.mean(0) - 1 / p.N)
    right = []
    for actions in itertools.product(range(p.K), repeat=p.T):
        for step, state in itertools.product(range(p.T), range(p.N)):
            y = sum(a * W[k][:, state] for a, k in zip(ATTENTION[0, step], actions, strict=True))
            largest = y > y.max() - 1e-4
            right.append(largest[PERMUTATIONS[actions[step], state]] / np.sum(largest))
    return float(np.mean(right))


@pytest.mark.parametrize(("u", "v"), [(1.0, 0.2), (0.7, 2.9), (3.0, 0.0)])
def test_every_sequence_of_a_small_model(u: float, v: float) -> None:
    found = sampled(SMALL, u, v, ATTENTION, permutations=PERMUTATIONS, vocabularies=400)
    expected = every_sequence(u, v)
    assert 0.2 < expected < 1
    assert found.error[0] < 0.01
    assert abs(found.accuracy[0] - expected) < 4 * found.error[0]


def test_before_training_the_model_guesses() -> None:
    p = Parameters(N=5, T=4)
    found = sampled(p, 0.0, 0.0, np.full((1, 4, 4), 0.25), vocabularies=100)
    assert found.error[0] < 0.01
    assert abs(found.accuracy[0] - 1 / 5) < 4 * found.error[0]


def test_with_full_retrieval_and_much_logic_nothing_is_wrong() -> None:
    found = sampled(Parameters(N=6, T=4), 30.0, 30.0, np.eye(4)[None])
    assert (found.accuracy[0], found.error[0]) == (1.0, 0.0)


def test_the_same_chance_for_all_epochs() -> None:
    p = Parameters(N=6, T=4)
    even = np.full((4, 4), 0.25)
    rows = np.array([(1 - s) * even + s * np.eye(4) for s in np.linspace(0, 1, 30)])
    weights = np.linspace(0, 4, 30)
    found = next_token_accuracy(p, u=weights, v=weights, attention=rows)
    again = next_token_accuracy(p, u=weights, v=weights, attention=rows)
    np.testing.assert_array_equal(found.accuracy, again.accuracy)
    # the curve rises smoothly: its steps are far below the error of a single point
    assert np.all(np.diff(found.accuracy) > -2e-3)
    other = next_token_accuracy(p, u=weights, v=weights, attention=rows, rng_seed=1)
    apart = np.abs(other.accuracy - found.accuracy)
    assert 0 < apart.max() < 5 * np.hypot(found.error, other.error).max()


def test_with_many_actions_and_much_noise_the_gaussian_agrees() -> None:
    """Where W(0) is most of the spread, the Gaussian (17) is right: W(0) of a large model."""
    p = Parameters(N=8, K=40, T=12, w_init=5.0)
    u = v = 4.0
    R = 1 - 11 * 0.05
    even = np.full((1, 12, 12), 0.05) + (R - 0.05) * np.eye(12)
    found = sampled(p, u, v, even, sequences=4000)
    logic = Family(N=p.N, K=p.K, Q=0.0, S=0.0, overlap=1 / p.N)
    logits = Gaussian(logic=logic, C=0.0, T=p.T, w_variance=p.w_variance)
    U = V = u * (1 - 1 / p.N)
    gaussian = 1 - logits.next_token_error(R, U + (V - U) / p.K, (V - U) / p.K, lambda: even)
    assert 0.15 < gaussian < 0.9
    assert found.accuracy[0] == pytest.approx(float(gaussian), abs=0.01)


@pytest.mark.parametrize("options", [{"vocabularies": 1}, {"sequences": 0}])
def test_too_few(options: dict[str, int]) -> None:
    with pytest.raises(ParameterError, match="must be at least"):
        sampled(SMALL, 1.0, 1.0, ATTENTION, **options)


P = Parameters(N=8, T=4, d_head=16)
UNEVEN = Parameters(N=8, K=5, T=4, d_head=16)
GROUP = np.array([np.roll(np.arange(8), shift) for shift in (0, 3, 5, 3, 1, 6, 2, 3)])
SHORT = {"epochs": 200.0, "points": 21}


@pytest.mark.parametrize("p", [P, UNEVEN], ids=["K = N", "K < N"])
@pytest.mark.parametrize("name", ["spectral+fluctuations", "linear", "linear+fluctuations"])
def test_sampled_logits_are_those_along_the_solution(name: str, p: Parameters) -> None:
    group = GROUP[: p.K]
    start = Start(Q=0.1, S=0.03, C=0.5, permutations=group)
    run = predict(p, Theory.parse(name, logits="sampled"), start=start, **SHORT)
    fluctuating = Theory.parse(name).fluctuating
    known = start if fluctuating else Start(Q=0.1, S=0.03, C=0.5)
    plain = predict(p, name, start=known, **SHORT)
    np.testing.assert_array_equal(run.Q, plain.Q)
    overlap = float(vocabulary_overlap(group))
    assert abs(overlap - 1 / 8) > 0.01
    U, V = run.Q - run.S - 0.07, run.Q + (p.K - 1) * run.S - 0.1 - (p.K - 1) * 0.03
    u, v = U / (1 - overlap), V / (1 + (p.K - 1) * overlap - p.K / 8)
    found = next_token_accuracy(p, u, v, exchangeable(run.R, 1 - run.R, p.T), permutations=group)
    largest = 0.03 if name.startswith("spectral") else 1e-12  # its rows are not quite exchangeable
    assert np.max(np.abs(run.next_token_accuracy - found.accuracy)) < largest
    assert np.max(np.abs(run.next_token_accuracy - plain.next_token_accuracy)) > 0.02


def test_a_start_of_its_own_does_not_count_as_learned() -> None:
    start = Start(Q=0.4, S=0.4, C=3.2)
    run = predict(
        P, Theory.parse("spectral+fluctuations", logits="sampled"), start=start, epochs=[0, 1.0]
    )
    assert run.next_token_accuracy[0] == pytest.approx(1 / 8, abs=0.02)


def test_of_a_vocabulary_that_is_not_known_many_are_drawn() -> None:
    logic = Family(N=8, K=5, Q=0.0, S=0.0, overlap=1 / 8)
    of = {"logic": logic, "C": 0.0, "T": 4, "w_variance": UNEVEN.w_variance, "parameters": UNEVEN}
    Q, S, rows = np.array([0.8]), np.array([0.1]), exchangeable(np.array([0.6]), np.array([0.4]), 4)
    errors = {
        name: Sampled(**of, permutations=permutations).next_token_error(0.6, Q, S, lambda: rows)
        for name, permutations in (("any", None), ("one", GROUP[:5]), ("other", GROUP[3:]))
    }
    u, v = logic.weights(Q, S)
    drawn = next_token_accuracy(UNEVEN, u, v, rows)
    assert errors["any"][0] == 1 - drawn.accuracy[0]
    assert len({float(each[0]) for each in errors.values()}) == 3


def test_the_error_is_how_the_accuracy_scatters() -> None:
    """Over 300 draws of eight vocabularies each: 4 % is the standard error of their spread."""
    p, rows = Parameters(N=5, K=3, T=3), exchangeable(np.array([0.6]), np.array([0.4]), 3)
    found = [
        sampled(p, 1.0, 0.5, rows, vocabularies=8, sequences=32, rng_seed=n) for n in range(300)
    ]
    spread = np.std([each.accuracy for each in found], ddof=1)
    told = np.sqrt(np.mean([each.error**2 for each in found]))
    assert told / spread == pytest.approx(1.0, abs=0.12)
