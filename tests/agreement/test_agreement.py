"""Theory against training over whole curves: two-sided, with standard errors over seeds.

What the mean-field loss leaves out is of the order of 1/N: the allowances beside three standard
errors are stated as ALLOWED / N. The closures leave out more; theirs are stated beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ensembles import excess, trained, with_own_gradient

from meanfield import generated
from meanfield.comparison import compare
from meanfield.measured import of_run

N, EPOCHS = 12, 300
ALLOWED = {"R": 0.1, "Q": 0.25, "S": 0.15, "loss": 0.4}  # over N

Rates = tuple[Any, Any, Any]
Mutation = Callable[..., Rates]


@pytest.mark.parametrize("name", ALLOWED)
def test_training_follows_the_equations_given_its_own_attention_gradient(name: str) -> None:
    run = trained(N, EPOCHS)
    theory = with_own_gradient(run)
    assert excess(theory[name] - getattr(run, name), ALLOWED[name] / N) < 0


def test_the_ensemble_has_learned_all_there_is() -> None:
    """The curves compared pass through all phases."""
    run = trained(N, EPOCHS)
    assert np.all(run.R[:, 0] < 0.3)
    assert np.all(run.R[:, -1] > 0.9)
    assert np.all(run.rollout_accuracy[:, -1] > 0.98)


def lower_sizes(*state: Any) -> Rates:
    logit_R, Q, S, C, N, K, rate = state
    return generated.rhs_linear(logit_R, Q, S, C, N, K - 1, rate)


def scaled(*factors: float) -> Mutation:
    def rhs(*state: Any) -> Rates:
        rates = generated.rhs_linear(*state)
        return tuple(factor * rate for factor, rate in zip(factors, rates, strict=True))

    return rhs


def without_C(*state: Any) -> Rates:
    """Another conserved sum."""
    logit_R, Q, S, C, N, K, rate = state
    return generated.rhs_linear(logit_R, Q, S, C + 1, N, K, rate)


MUTANTS: dict[str, Mutation] = {
    "R without N/(N-1)": scaled(1 - 1 / N, 1, 1),
    "R without (K-1)/K": scaled(1 / (1 - 1 / N), 1, 1),
    "R upside down": scaled(-1, 1, 1),
    "R 5 % fast": scaled(1.05, 1, 1),
    "R 5 % slow": scaled(0.95, 1, 1),
    "Q 5 % fast": scaled(1, 1.05, 1),
    "Q 5 % slow": scaled(1, 0.95, 1),
    "S a quarter fast": scaled(1, 1, 1.25),
    "S a quarter slow": scaled(1, 1, 0.75),
    "K - 1 for K": lower_sizes,
    "time 4 % fast": scaled(1.04, 1.04, 1.04),
    "time 4 % slow": scaled(0.96, 0.96, 0.96),
    "another C": without_C,
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_factor_changed_is_noticed(mutant: str) -> None:
    run = trained(N, EPOCHS)
    theory = with_own_gradient(run, MUTANTS[mutant])
    found = {n: excess(theory[n] - getattr(run, n), ALLOWED[n] / N) for n in ALLOWED}
    assert max(found.values()) > 0, found


# What each theory adds at these sizes, over the whole curve and from each seed's own start; the
# Gaussian logits add most of what the rollout accuracy is allowed.
THEORY_ALLOWED = {
    "linear": {"R": 0.05, "Q": 0.06, "S": 0.01, "loss": 0.1, "rollout_accuracy": 0.1},
    "per-seed+fluctuations": {
        "R": 0.004, "Q": 0.004, "S": 0.002, "loss": 0.004, "rollout_accuracy": 0.1
    },
}  # fmt: skip


def theory_excess(theory: str, allowed: dict[str, float]) -> dict[str, float]:
    measured = of_run(trained(N, EPOCHS), "the ensemble")
    curves = compare(measured, theory=theory, lr_correction=True).curves
    return {name: excess(curves[name] - measured.curves[name], a) for name, a in allowed.items()}


@pytest.mark.parametrize("theory", THEORY_ALLOWED)
def test_training_follows_the_theory(theory: str) -> None:
    found = theory_excess(theory, THEORY_ALLOWED[theory])
    assert max(found.values()) < 0, found


def test_fluctuations_left_out_are_noticed() -> None:
    found = theory_excess("per-seed", THEORY_ALLOWED["per-seed+fluctuations"])
    assert found["loss"] > 0.01, found


@pytest.mark.parametrize(
    "factors", [(1.03, 1, 1), (0.97, 1, 1), (1, 1.02, 1), (1, 0.98, 1), (1, 1, 1.05), (1, 1, 0.95)]
)
def test_a_factor_changed_in_the_corrected_rates_is_noticed(
    factors: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = generated.corrected_rates

    def wrong(*state: Any) -> Rates:
        return tuple(f * rate for f, rate in zip(factors, right(*state), strict=True))

    monkeypatch.setattr(generated, "corrected_rates", wrong)
    theory = "per-seed+fluctuations"
    found = theory_excess(theory, THEORY_ALLOWED[theory])
    assert max(found.values()) > 0, found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Q", "loss"])
def test_the_error_shrinks_as_one_over_N(name: str) -> None:
    """At fixed K/N and T/N: the slope of log error on log N."""
    sizes = {8: 180, 12: 300, 16: 500, 24: 800}
    errors = []
    for size, epochs in sizes.items():
        run = trained(size, epochs)
        difference = with_own_gradient(run)[name] - getattr(run, name)
        errors.append(np.sqrt(np.mean(np.mean(difference, axis=0) ** 2)))
    slope = np.polyfit(np.log(list(sizes)), np.log(errors), 1)[0]
    assert -2.0 < slope < -1.0, (slope, errors)
