"""Many seeds side by side: each as it would be alone."""

import math

import numpy as np
import pytest

from meanfield import ParameterError, Parameters, Start, Theory, predict
from meanfield.attention.typical import draw
from meanfield.predict import seeds
from meanfield.predict.seeds import predict_seeds
from meanfield.predict.spread import onset_epochs

DEFAULT = Parameters(N=20, T=10)
UNEVEN = Parameters(N=20, K=7, T=10, d_head=16, lr=3.0)
FLUCTUATING = Theory.parse("spectral+fluctuations")


def starts_of(q, k, **known):
    """A start for each of the seeds."""
    return [Start(q=one, k=other, **known) for one, other in zip(q, k, strict=True)]


def test_onsets_of_many_are_those_of_each():
    q, k = draw(DEFAULT, 40)
    epochs = np.arange(0.0, 601.0, 50.0)
    many = predict_seeds(DEFAULT, "per-seed", starts=starts_of(q, k), epochs=epochs)
    assert many.R.shape == (40, 13)
    quick = onset_epochs(DEFAULT, q, k)
    assert many.onset_epoch == pytest.approx(np.where(quick < 600, quick, np.inf), rel=1e-5)
    short = predict_seeds(DEFAULT, "per-seed", starts=starts_of(q[:1], k[:1]), epochs=[0.0, 5.0])
    assert short.onset_epoch[0] == math.inf


@pytest.mark.parametrize("name", ["per-seed", "per-seed+fluctuations"])
@pytest.mark.parametrize("steps", [False, True])
def test_every_curve_is_that_of_the_seed_alone(name, steps, monkeypatch):
    monkeypatch.setattr(seeds, "CHUNK", 2)  # two models, one of a single seed
    q, k = draw(UNEVEN, 3)
    epochs, theory = np.arange(0.0, 601.0, 50.0), Theory.parse(name, steps=steps)
    known = [{"Q": 0.1 * n, "S": -0.05 * n, "C": 0.2 + n} for n in range(3)]
    if theory.fluctuating:
        known = [{**each, "overlap": 0.1 + 0.05 * n} for n, each in enumerate(known)]
    starts = [Start(q=q[n], k=k[n], **known[n]) for n in range(3)]
    many = predict_seeds(UNEVEN, theory, starts=starts, epochs=epochs)
    for n, start in enumerate(starts):
        one = predict(UNEVEN, theory, start=start, epochs=epochs)
        for curve in ("R", "Q", "S"):
            assert getattr(many, curve)[n] == pytest.approx(getattr(one, curve), abs=1e-6), curve
        for curve in ("next_token_accuracy", "rollout_accuracy"):
            assert getattr(many, curve)[n] == pytest.approx(getattr(one, curve), abs=1e-5), curve
        assert many.onset_epoch[n] == pytest.approx(one.onset_epoch, rel=1e-6)
        assert many.epoch[n].tolist() == epochs.tolist()


def test_the_default_theory_of_many_seeds_has_fluctuations():
    q, k = draw(UNEVEN, 1)
    one, other = (
        predict_seeds(UNEVEN, *name, starts=starts_of(q, k), epochs=[0.0, 100.0])
        for name in ((), ("per-seed+fluctuations",))
    )
    assert one.S.tolist() == other.S.tolist()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"starts": []},
            "predict_seeds follows one seed or more by a theory that starts from the query and key "
            "of each, not 0 by per-seed",
        ),
        (
            {"theory": "spectral"},
            "predict_seeds follows one seed or more by a theory that starts from the query and key "
            "of each, not 1 by spectral",
        ),
        (
            {"theory": Theory.parse("per-seed", logits="sampled")},
            "the logits of many seeds at once are gaussian, not sampled: predict them one by one",
        ),
        ({"starts": [Start()]}, "per-seed needs q and k of a start, but q is missing"),
        (
            {"starts": [Start(q=np.ones(3), k=np.ones(16))]},
            "q must be d_head = 16 finite numbers, not array([1., 1., 1.])",
        ),
        (
            {"starts": starts_of(np.ones((1, 16)), np.ones((1, 16)), R=0.1)},
            "R may not be given: per-seed does not read it, linear and quadratic do",
        ),
        (
            {"starts": starts_of(np.ones((1, 16)), np.ones((1, 16)), overlap=0.1)},
            "overlap may not be given: per-seed does not read it, spectral+fluctuations and",
        ),
        ({"epochs": [3.0, 1.0]}, "a list of epochs must ascend from 0 or later, not [3.0, 1.0]"),
        ({"epochs": [0.0]}, "the training time lr * epochs must be above 0 and at most 1e+100"),
    ],
)
def test_what_cannot_be_is_refused(change, words):
    q, k = draw(UNEVEN, 1)
    wanted = {"theory": "per-seed", "starts": starts_of(q, k), "epochs": [0.0, 1.0], **change}
    with pytest.raises(ParameterError) as caught:
        predict_seeds(UNEVEN, **wanted)
    assert str(caught.value).startswith(words)


def test_overlaps_of_each_seed_are_checked_together():
    p = Parameters(N=8, T=4, K=3, d_head=16)
    q, k = draw(p, 2)

    def curves(*overlaps):
        starts = [Start(q=q[n], k=k[n], overlap=each) for n, each in enumerate(overlaps)]
        return predict_seeds(p, starts=starts, epochs=[0.0, 50.0])

    assert np.all(np.isfinite(curves(0.0, 0.2).S))
    with pytest.raises(ParameterError, match=r"overlap must be at least 0 .*K = 3, not -0\.1"):
        curves(-0.1, 0.2)
