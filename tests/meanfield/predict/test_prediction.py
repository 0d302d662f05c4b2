"""Predictions: their course, their limits, their extremes, and what cannot be predicted."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import expit, logit

from meanfield import ParameterError, Parameters, Start, Theory, Training, Trajectory, generated
from meanfield.attention import closures
from meanfield.logits.gaussian import next_token_error
from meanfield.predict import prediction
from meanfield.predict.many import predict_many
from meanfield.predict.prediction import ascending

DEFAULT = Parameters(N=20, T=10)
UNEVEN = Parameters(N=20, K=7, T=10)


def predict(p: Parameters, theory: str | Theory = "linear", **named: Any) -> Trajectory:
    """Predict by the paper's closed equations, unless a test says otherwise."""
    return prediction.predict(p, theory, **named)


@pytest.mark.parametrize("p", [DEFAULT, UNEVEN], ids=["K = N", "K < N"])
@pytest.mark.parametrize("closure", ["linear", "quadratic"])
def test_a_default_run_shows_plateau_transition_and_saturation(closure: str, p: Parameters) -> None:
    run = predict(p, closure)
    events = (run.heuristic_end_epoch, run.onset_epoch, run.rollout_half_epoch)
    order = [0.0, *events, run.saturation_epoch, run.epoch[-1]]
    assert all(a < b for a, b in pairwise(order))
    assert run.R[0] == pytest.approx(0.1)
    assert run.R[-1] > 0.95
    assert run.heuristic_end_epoch > 0.2 * run.epoch[-1]
    assert run.rollout_accuracy[-1] > 0.999
    assert run.next_token_accuracy[0] == pytest.approx(0.05)
    for rising in (run.R, run.Q, run.S, run.margin, run.next_token_accuracy):
        assert np.all(np.diff(rising) >= -1e-12)
    assert np.all(np.diff(run.loss) < 0)
    assert run.loss[0] == pytest.approx(math.log(20))
    assert run.theory == Theory.parse(closure)


def test_marked_epochs_lie_on_the_curve() -> None:
    start = Start(C=0.4)
    run = predict(UNEVEN, start=start)
    for epoch, value, curve in (
        (run.heuristic_end_epoch, 0.19, "R"),
        (run.onset_epoch, 0.5, "R"),
        (run.rollout_half_epoch, 0.5, "rollout_accuracy"),
        (run.saturation_epoch, 0.99, "rollout_accuracy"),
    ):
        there = predict(UNEVEN, start=start, epochs=epoch, points=2)
        assert getattr(there, curve)[-1] == pytest.approx(value, abs=1e-8)
    onset = predict_many(N=20, K=7, T=10, C=0.4).onset_epoch
    assert run.onset_epoch == pytest.approx(float(onset), rel=1e-9)


def test_epochs_one_by_one() -> None:
    wanted = [0, 7, 320, 321.5]
    run = predict(DEFAULT, epochs=wanted)
    assert run.epoch.tolist() == wanted
    evenly = predict(DEFAULT, epochs=321.5, points=644)
    assert pytest.approx(evenly.R[[0, 14, 640, 643]], rel=1e-9) == run.R
    assert run.onset_epoch == pytest.approx(evenly.onset_epoch, rel=1e-9)
    for given in (tuple(wanted), np.array(wanted)):
        np.testing.assert_array_equal(predict(DEFAULT, epochs=given).R, run.R)


@pytest.mark.parametrize("p", [DEFAULT, UNEVEN], ids=["K = N", "K < N"])
def test_early_training_follows_equation_78(p: Parameters) -> None:
    run = predict(p, epochs=1e-3, points=3, start=Start(C=0.4))
    t = run.epoch * p.lr
    assert run.Q[0] == run.S[0] == pytest.approx(0.02, rel=1e-15)  # C/N
    early = generated.early_Q(t, 0.0, 20, p.K, 10), generated.early_S(t, 0.0, 20, p.K, 10)
    assert pytest.approx(early[0], rel=1e-4) == run.Q - 0.02
    assert pytest.approx(early[1], rel=1e-4) == run.S - 0.02
    assert run.margin[0] == pytest.approx(0.0, abs=1e-15)


def test_only_lr_times_epoch_counts() -> None:
    slow = Parameters(N=20, T=10, lr=0.5)
    assert pytest.approx(predict(DEFAULT, epochs=400).R, rel=1e-9) == predict(slow, epochs=1600).R


def test_large_N_and_K_reach_the_thermodynamic_limit() -> None:
    sizes, limit = [(20, 20), (200, 200), (2000, 2000)], Theory.parse(
        "linear", thermodynamic_limit=True
    )  # fmt: skip
    gaps = []
    for N, K in sizes:
        p = Parameters(N=N, K=K, T=10)
        gaps.append(predict(p, points=2).onset_epoch / predict(p, limit, points=2).onset_epoch - 1)
    assert gaps == pytest.approx([0, 0, 0], abs=1e-9)  # N/(N-1) (K-1)/K = 1 when K = N
    p = Parameters(N=20, K=2000, T=10)
    finite, without = predict(p, points=2), predict(p, limit, points=2)
    assert without.onset_epoch > finite.onset_epoch  # the factor dropped is above 1
    rate = closures.rate(closures.LINEAR, p) * 19 / 20 * 2000 / 1999

    def rhs(_t: float, y: np.ndarray) -> list[float]:
        logit_R, Q, S = y
        F, dQ, dS = generated.driven_rates(expit(logit_R), expit(-logit_R), Q, S, 0.0, 20, 2000)
        return [rate * F, dQ, dS]

    by_hand = solve_ivp(
        rhs,
        (0, without.onset_epoch * p.lr),
        [-math.log(9), 0.0, 0.0],
        method="DOP853",
        rtol=1e-11,
        atol=1e-14,
    )
    assert by_hand.y[0, -1] == pytest.approx(0, abs=1e-7)


def test_starts_beyond_one_half_lock_on_at_once() -> None:
    for p, R in ((DEFAULT, 0.7), (Parameters(N=20, T=2), None)):
        run = predict(p, start=Start(R=R))
        assert run.onset_epoch == 0.0
        assert run.saturation_epoch > 0
    assert predict(Parameters(N=20, T=2), start=Start(R=1e-300)).epoch[-1] > 0


@pytest.mark.parametrize(
    "p",
    [
        Parameters(N=2, T=2),
        Parameters(N=10**6, T=10),
        Parameters(N=10**6, K=2, T=10),
        Parameters(N=20, K=10**6, T=10),
        Parameters(N=10**6, K=10**6, T=10**4),
        Parameters(N=20, T=10**4),
        Parameters(N=2, T=10**4),
        Parameters(N=20, T=100, d_head=2, rope_theta=1e9),
        Parameters(N=20, T=10, lr=1e-9, w_init=0.0),
    ],
    ids=str,
)
def test_extreme_parameters_give_finite_curves(p: Parameters) -> None:
    run = predict(p, points=50)
    for name in ("R", "Q", "S", "margin", "loss", "next_token_error", "rollout_error"):
        values = getattr(run, name)
        assert np.all((values >= 0) & (values < np.inf)), name
    assert np.all(run.next_token_error <= 1)
    assert np.all(run.R <= 1)


def test_constant_variances() -> None:
    constant = Theory.parse("linear", logits="constant")
    given = predict(
        UNEVEN, Theory.parse("linear", logits="constant", sigma_c=0.3, sigma_o=0.2), points=5
    )
    assert np.all(given.sigma_c == 0.3)
    assert np.all(given.sigma_o == 0.2)
    expected = next_token_error(given.margin, 0.3, 0.2, 20)
    assert given.next_token_error == pytest.approx(expected, rel=1e-12)
    initial, theory = predict(UNEVEN, constant, points=5), predict(UNEVEN, points=5)
    assert np.all(initial.sigma_c == theory.sigma_c[0])
    assert theory.sigma_c[-1] > theory.sigma_c[0]
    measured = predict(UNEVEN, points=5, start=Start(C=0.5, Q=0.3, S=0.1))
    assert measured.sigma_c[0] == theory.sigma_c[0]  # only what training has added counts
    # at the start: W alone, through attention weights of 1/T on T actions of K
    assert initial.sigma_c[0] ** 2 == pytest.approx((0.1 + 0.9 / 7) / 60, rel=1e-12)


def test_a_prediction_knows_all_it_was_made_from() -> None:
    theory = Theory.parse("linear", logits="constant", sigma_c=0.3)
    run = predict(UNEVEN, theory, start=Start(R=0.3, C=0.7), training=Training(), points=3)
    assert (run.parameters, run.theory) == (UNEVEN, theory)
    assert (run.start.R, run.start.Q, run.start.S, run.start.C) == (0.3, 0.7 / 20, 0.7 / 20, 0.7)
    assert run.retrieval_error == pytest.approx(1 - run.R, abs=1e-15)
    margin = generated.margin(run.R, run.Q, run.S, 0.7, 20, 7)
    np.testing.assert_allclose(run.margin, margin, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(run.loss, generated.loss(margin, 20), rtol=1e-12)
    rollout = generated.rollout_error(run.next_token_error, 20, 10)
    np.testing.assert_array_equal(run.rollout_error, rollout)
    plain = predict(UNEVEN, theory, start=Start(R=0.3, C=0.7), points=3)
    np.testing.assert_array_equal(plain.R, run.R)


def test_the_default_theory_is_that_of_a_typical_seed_with_fluctuations() -> None:
    run = prediction.predict(Parameters(N=8, T=4, d_head=16), epochs=10, points=3)
    assert str(run.theory) == "spectral+fluctuations"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"theory": "cubic"}, "the theory must be linear, quadratic, spectral, per-seed, alone or"),
        ({"epochs": -3}, "epochs must be greater than 0, not -3"),
        ({"epochs": [0, 3, 2]}, "a list of epochs must ascend from 0 or later, not [0, 3, 2]"),
        ({"epochs": [-1, 3]}, "a list of epochs must ascend from 0 or later, not [-1, 3]"),
        ({"epochs": []}, "epochs must be a number or a list of finite numbers, not []"),
        ({"epochs": [0, math.nan]}, "epochs must be a number or a list of finite numbers, not"),
        ({"epochs": [[0, 1]]}, "epochs must be a number or a list of finite numbers, not [[0, 1]]"),
        ({"epochs": ["0", "1"]}, "epochs must be a number or numbers, not ['0', '1']"),
        ({"epochs": [0]}, "epochs must be greater than 0, not 0.0"),
        ({"epochs": math.nan}, "epochs must be a finite number, not nan"),
        ({"epochs": 1e101}, "the training time lr * epochs must be above 0 and at most 1e+100"),
        ({"points": 1}, "points must be between 2 and 1000000000, not 1"),
        (
            {"points": 10**7 + 1},
            "points = 10000001 would take 9.31 GiB of memory; at most 1073741 are allowed",
        ),
        ({"points": 2.0}, "points must be an integer, not 2.0"),
        ({"start": Start(R=0.0)}, "R must lie strictly between 0 and 1, not 0.0"),
        ({"start": Start(Q=1.1e6)}, "Q must lie between -1e+06 and 1e+06, not 1100000.0"),
        ({"start": Start(S=-1e7)}, "S must lie between -1e+06 and 1e+06, not -10000000.0"),
        ({"start": Start(C=1e300)}, "C must lie between -1e+06 and 1e+06, not 1e+300"),
        ({"start": Start(Q=math.inf)}, "Q must be a finite number, not inf"),
        ({"training": Training(weight_decay=1.0)}, "weight_decay = 1.0 is not covered: the theory"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError) as caught:
        predict(DEFAULT, **change)
    assert str(caught.value).startswith(words)


def test_a_list_of_epochs_ascends() -> None:
    assert ascending((0, 2, 5)).tolist() == [0.0, 2.0, 5.0]


def test_outside_the_basin_R_falls() -> None:
    run = predict(UNEVEN, start=Start(Q=-2.0, S=0.0))
    assert run.onset_epoch is None
    assert run.R[-1] < 1e-2
    inside = predict(UNEVEN, start=Start(Q=-0.05, S=0.0))
    assert inside.onset_epoch > predict(UNEVEN).onset_epoch
    assert logit(inside.R[1]) < logit(0.1)


@pytest.mark.parametrize("name", ["linear", "quadratic"])
@pytest.mark.parametrize("missing", [1e-6, 1e-9, 1e-12, 1.2e-16])
def test_a_start_next_to_one_is_like_one_further_off(name: str, missing: float) -> None:
    p = Parameters(N=20, T=10)
    run, other = (predict(p, name, start=Start(R=1 - off)) for off in (missing, 1e-5))
    assert run.onset_epoch == other.onset_epoch == 0
    assert run.saturation_epoch == pytest.approx(other.saturation_epoch, rel=1e-4)
    assert run.epoch[-1] == other.epoch[-1]


@pytest.mark.parametrize("name", ["linear", "spectral+fluctuations"])
@pytest.mark.parametrize("sizes", [(2, 2), (20, 10), (200, 2)])
@pytest.mark.parametrize("Q", [-30.0, -1e6, 1e6])
def test_accuracies_are_chances_from_any_start(name: str, sizes: tuple, Q: float) -> None:
    N, T = sizes
    run = predict(Parameters(N=N, T=T), name, start=Start(Q=Q, S=0.0), epochs=300.0, points=7)
    for curve in (run.next_token_accuracy, run.rollout_accuracy):
        assert np.all((curve >= 0) & (curve <= 1))
