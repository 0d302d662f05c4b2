"""The typical seed: the median of many, whatever N and K, and refused where none is typical."""

import math
from dataclasses import replace

import numpy as np
import pytest

from meanfield import ParameterError, Parameters, predict
from meanfield.attention import typical
from meanfield.attention.onset import onset_of_softmax
from meanfield.attention.typical import draw, followable_planes, typical_heads
from meanfield.predict import spread

DEFAULT = Parameters(N=20, T=10)


def share(p):
    """Of the mean size, with which the typical seed starts."""
    return typical_heads(followable_planes(p), p)[1]


def test_spectral_starts_where_the_mean_does_and_saturates():
    run = predict(DEFAULT, "spectral")
    assert run.R[0] == pytest.approx(0.1, rel=1e-12)
    assert share(DEFAULT) < 1
    assert run.onset_epoch < run.rollout_half_epoch < run.saturation_epoch < run.epoch[-1]
    larger = Parameters(N=20, T=10, d_head=256)
    assert share(DEFAULT) < share(larger) < 1  # less spread
    heads, size = typical_heads(followable_planes(DEFAULT), DEFAULT)
    assert heads.p.tolist() == [0.0] * 64
    assert heads.imbalance == pytest.approx(np.full(32, 4 / 3 * size))


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
    onsets = spread.onset_epochs(p, *draw(p, 400, rng_seed=3))
    assert np.all(np.isfinite(onsets))
    own = predict(p, "spectral", points=2).onset_epoch
    assert own == pytest.approx(np.median(onsets), rel=0.04)
    mean_start = math.exp(onset_of_softmax(p).log_t) / p.lr
    assert mean_start < own


def test_the_typical_start_is_that_of_any_N_and_K():
    """The way is the same for all; only at large margins, as here at N = 3, is the time not."""
    shares = [share(Parameters(N=N, K=K, T=10)) for N, K in ((20, 20), (3, 3), (10, 2), (500, 7))]
    assert shares == pytest.approx([shares[0]] * 4, rel=1e-9)
    p = Parameters(N=10, K=2, T=10)
    onsets = np.concatenate([spread.onset_epochs(p, *draw(p, 500, rng_seed=n)) for n in range(4)])
    low, median, high = np.quantile(onsets, (0.1, 0.5, 0.9))
    assert high / low > 5
    assert predict(p, "spectral", points=2).onset_epoch == pytest.approx(median, rel=0.05)


def test_spread_of_the_sizes_counts():
    """The median of 4000 seeds within 1 % (0.4 its standard error); 1.5 % are due to the sizes."""
    p = Parameters(N=20, T=5, d_head=16, rope_theta=1e4)
    onsets = [spread.onset_epochs(p, *draw(p, 1000, rng_seed=n)) for n in range(4)]
    own = predict(p, "spectral", points=2).onset_epoch
    assert own == pytest.approx(np.median(onsets), rel=0.01)


def test_draws_are_those_of_the_initialisation():
    q, k = draw(Parameters(N=4, T=4, qk_variance=0.25), 2000)
    for each in (q, k):
        assert each.shape == (2000, 64)
        assert np.abs(each).max() == pytest.approx(math.sqrt(0.75), rel=1e-3)
        assert each.var() == pytest.approx(0.25, rel=0.01)


def test_models_that_cannot_be_followed_are_refused():
    with pytest.raises(ParameterError, match="attention cannot be solved without a closure: T = 1"
                       "000000 actions, 32 RoPE planes: too many to follow"):  # fmt: skip
        predict(Parameters(N=20, T=10**6), "spectral")
    with pytest.raises(
        ParameterError,
        match=r"no seed is typical with 1 RoPE planes, T = 100 and qk_variance = 0",
    ):
        predict(Parameters(N=20, T=100, d_head=2), "spectral")
    for far in (30.0, 3e5, 1e300):
        with pytest.raises(ParameterError, match="too far from the mean start; follow the a"):
            predict(replace(DEFAULT, qk_variance=far), "spectral")


def test_a_share_below_one_half_says_nothing(monkeypatch):
    """Of few planes with a wide start: one model on either side of the limit."""
    wide = {"N": 20, "d_head": 8, "rope_theta": 1e4, "qk_variance": 1.0}
    near, beyond = Parameters(T=10, **wide), Parameters(T=20, **wide)
    assert 0.5 < share(near) < 0.52
    with pytest.raises(ParameterError, match="no seed is typical with 4 RoPE planes, T = 20"):
        share(beyond)
    monkeypatch.setattr(typical, "LEAST_SHARE", 0.4)
    assert 0.48 < share(beyond) < 0.5
