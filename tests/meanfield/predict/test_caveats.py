"""What of a prediction is not to be trusted."""

from __future__ import annotations

import pytest

from meanfield import Parameters, Theory, predict
from meanfield.predict.caveats import caveats

DEFAULT = Parameters(N=20, T=10)


def test_there_are_none_where_all_is_well() -> None:
    for p in (DEFAULT, Parameters(N=20, T=2), Parameters(N=2, T=4)):  # right by chance at N = 2
        assert predict(p, "linear", points=2).caveats == []


@pytest.mark.parametrize("p", [Parameters(N=10, K=2, T=10), Parameters(N=100, K=5, T=30)], ids=str)
def test_accuracies_before_the_onset(p: Parameters) -> None:
    run = predict(p, "linear", points=2)
    assert run.rollout_half_epoch < run.onset_epoch
    (caveat,) = run.caveats
    assert caveat == (
        "accuracies before the attention onset are not to be trusted (few actions: the wrong "
        "logits are not independent Gaussians)"
    )
    assert predict(p, "linear", epochs=1.1 * run.rollout_half_epoch).caveats == [caveat]
    narrow = Theory.parse("linear", logits="constant", sigma_c=0.01, sigma_o=0.01)
    constant = predict(p, narrow, points=2)
    assert "constant variances leave out" in constant.caveats[0]


def test_sampled_logits_may_be_trusted_all_along() -> None:
    sampled = Theory.parse("linear", logits="sampled")
    run = predict(Parameters(N=10, K=2, T=10), sampled, points=2)
    assert run.rollout_half_epoch < run.onset_epoch
    assert run.caveats == []


@pytest.mark.parametrize("name", ["linear", "spectral"])
def test_coarse_steps_are_told_in_flow_and_in_steps(name: str) -> None:
    p = Parameters(N=20, T=10, lr=60.0)
    (plain,), (corrected,) = (
        predict(p, Theory.parse(name, steps=on), points=2).caveats for on in (False, True)
    )
    assert plain.endswith(
        "the steps are too coarse for gradient flow: training lags it by about 1.5 epochs, "
        "whatever the learning rate"
    )
    assert corrected.endswith(
        "the steps are too coarse for a correction of first order in the learning rate"
    )
    if name == "linear":
        assert plain.startswith("with the onset at epoch 10.69 ")


def test_steps_are_coarse_below_fifteen_epochs_to_the_onset() -> None:
    onset = 320.6640105359186 * 2  # in training time
    for epochs, coarse in ((14.9, True), (15.1, False)):
        run = predict(Parameters(N=20, T=10, lr=onset / epochs), "linear", points=2)
        assert run.onset_epoch == pytest.approx(epochs, rel=1e-9)
        assert bool(run.caveats) == coarse
    at_once = predict(Parameters(N=20, T=2, lr=60.0), "linear", points=2)
    assert at_once.onset_epoch == 0
    assert at_once.caveats == []


def test_what_lies_beyond_the_curve_is_not_before_the_onset() -> None:
    linear = Theory.parse("linear")
    for onset, accurate, count in (
        (None, [None, None], 0),
        (None, [20.0, None], 1),
        (30.0, [20.0, None], 1),
        (30.0, [None, 20.0], 1),
        (30.0, [31.0, None], 0),
        (30.0, [0.0, 31.0], 0),  # right by chance
    ):
        assert len(caveats(linear, onset_epoch=onset, accurate_epochs=accurate)) == count
