"""Accuracies along a curve: next token and rollout, the tiny ones with all their digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from meanfield import Parameters, Start, Theory
from meanfield.predict.accuracies import Accuracies

P = Parameters(N=9, K=5, T=6, d_head=16)


def test_they_are_those_of_the_logits_along_the_curve() -> None:
    prepared = Theory.parse("linear").prepare(P, Start(C=0.4), None)
    curve, read = prepared.model.solve(900.0), Accuracies(prepared.logits, P)
    t = np.linspace(0, 900, 7)
    logit_R, Q, S = curve(t)
    wrong = read.next_token_error(curve, t)
    np.testing.assert_array_equal(
        wrong, prepared.logits.next_token_error(expit(logit_R), Q, S, lambda: None)
    )
    # (18): a state that is lost is right by chance
    accuracy = 1 / 9 + 8 / 9 * (1 - 9 / 8 * wrong) ** 6
    assert 1 - read.rollout_error(curve, t) == pytest.approx(accuracy, rel=1e-10)


@pytest.mark.parametrize("T", [2, 10, 10**4])
def test_a_rollout_error_keeps_its_digits(T: int) -> None:
    class Logits:
        def next_token_error(self, *_: Any) -> float:
            return 1e-150

    def curve(_t: Any) -> tuple[float, float, float]:
        return 5.0, 9.0, 0.1

    p = Parameters(N=20, T=T)
    tiny = float(Accuracies(Logits(), p).rollout_error(curve, 1.0))  # type: ignore[arg-type]
    assert tiny == pytest.approx(T * 1e-150, rel=1e-10, abs=0)  # (18) to first order


def test_attention_is_made_only_for_who_asks() -> None:
    prepared = Theory.parse("linear", logits="sampled").prepare(P, Start(), None)
    curve, asked = prepared.model.solve(900.0), []

    class Logits:
        def next_token_error(self, R: Any, Q: Any, S: Any, attention: Any) -> Any:
            asked.append(attention())
            return 0.0 * R

    Accuracies(Logits(), P).next_token_error(curve, np.array([0.0, 900.0]))  # type: ignore[arg-type]
    np.testing.assert_array_equal(asked[0], curve.attention(np.array([0.0, 900.0])))
