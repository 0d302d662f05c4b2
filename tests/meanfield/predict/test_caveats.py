"""What of a prediction is not to be trusted."""

from __future__ import annotations

import pytest

from meanfield import Parameters, Theory, predict
from meanfield.predict import caveats

DEFAULT = Parameters(N=20, T=10)


def test_there_are_none_where_all_is_well() -> None:
    for p in (DEFAULT, Parameters(N=20, T=2), Parameters(N=2, T=4)):  # right by chance at N = 2
        assert caveats.of(predict(p, "linear", points=2)) == []


@pytest.mark.parametrize("p", [Parameters(N=10, K=2, T=10), Parameters(N=100, K=5, T=30)], ids=str)
def test_accuracies_before_the_onset(p: Parameters) -> None:
    run = predict(p, "linear", points=2)
    assert run.rollout_half_epoch < run.onset_epoch
    (caveat,) = caveats.of(run)
    assert caveat == (
        "accuracies before the attention onset are not to be trusted (few actions: the wrong "
        "logits are not independent Gaussians)"
    )
    assert caveats.of(predict(p, "linear", epochs=1.1 * run.rollout_half_epoch)) == [caveat]
    constant = predict(p, Theory.parse("linear", logits="constant", sigma_c=0, sigma_o=0), points=2)
    assert "constant variances leave out" in caveats.of(constant)[0]


def test_sampled_logits_may_be_trusted_all_along() -> None:
    sampled = Theory.parse("linear", logits="sampled")
    run = predict(Parameters(N=10, K=2, T=10), sampled, points=2)
    assert run.rollout_half_epoch < run.onset_epoch
    assert caveats.of(run) == []


@pytest.mark.parametrize("name", ["linear", "spectral"])
def test_coarse_steps_are_told_in_flow_and_in_steps(name: str) -> None:
    p = Parameters(N=20, T=10, lr=60.0)
    (plain,), (corrected,) = (
        caveats.of(predict(p, Theory.parse(name, steps=on), points=2)) for on in (False, True)
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
        assert bool(caveats.of(run)) == coarse
    at_once = predict(Parameters(N=20, T=2, lr=60.0), "linear", points=2)
    assert at_once.onset_epoch == 0
    assert caveats.of(at_once) == []
