"""When each of many seeds locks on, and how that spreads."""

import math

import numpy as np
import pytest

from meanfield import ParameterError, Parameters, Start, Theory, predict
from meanfield.attention import onset
from meanfield.attention import planes as attention
from meanfield.attention.typical import draw
from meanfield.predict import spread as spreads
from meanfield.predict.seeds import predict_seeds
from meanfield.predict.spread import onset_epochs, onset_spread

DEFAULT = Parameters(N=20, T=10)
UNEVEN = Parameters(N=20, K=7, T=10, d_head=16, lr=3.0)
FLUCTUATING = Theory.parse("spectral+fluctuations")


def starts_of(q, k, **known):
    """A start for each of the seeds."""
    return [Start(q=one, k=other, **known) for one, other in zip(q, k, strict=True)]


@pytest.mark.parametrize(
    "p",
    [
        Parameters(N=20, T=5, d_head=16, rope_theta=1e4),  # a few seeds grow unevenly
        Parameters(N=20, T=10, qk_variance=1e-4),  # all of them
    ],
    ids=str,
)
def test_onsets_that_the_quadrature_misses_are_solved(p):
    q, k = draw(p, 60, rng_seed=100)
    heads = attention.heads(q, k)
    panels = onset.onset_of_heads(attention.planes(p), heads, p).log_t
    many = predict_seeds(p, "per-seed", starts=starts_of(q, k), epochs=[0.0, 2000.0]).onset_epoch
    assert np.all(np.isfinite(many))
    assert not np.all(np.abs(panels - np.log(many * p.lr)) < 1e-3)
    assert onset_epochs(p, q, k) == pytest.approx(many, rel=2e-3)


def test_onsets_beyond_float64_are_never():
    p = Parameters(N=2, T=1000)  # of the mean start the logarithm of its time is above 709
    onsets = onset_epochs(p, *draw(p, 3))
    assert np.all(onsets > 1e200)


def test_seeds_that_start_beyond_the_onset():
    p = Parameters(N=4, T=3, d_head=4, qk_variance=3.0)
    q, k = draw(p, 200)
    R, _, _ = attention.retrieval(attention.planes(p), attention.heads(q, k).p)
    assert 0 < np.sum(R >= 0.5) < 200
    assert np.array_equal(onset_epochs(p, q, k) == 0, R >= 0.5)


def test_spread_over_seeds():
    spread = onset_spread(DEFAULT)
    assert spread == onset_spread(DEFAULT)  # drawn the same every time
    many = np.concatenate(
        [onset_epochs(DEFAULT, *draw(DEFAULT, 400, rng_seed=n)) for n in range(3)]
    )
    told = (spread.low, spread.median, spread.high)
    assert told == pytest.approx(np.quantile(many, (0.1, 0.5, 0.9)), rel=0.05)
    assert spread.count == spreads.SAMPLES


@pytest.mark.parametrize(
    ("p", "overlap", "shift", "close"),
    [
        (Parameters(N=20, T=10), 1 / 20, 0.0, 0.005),
        (Parameters(N=20, K=3, T=10), 1 / 20, 0.03, 0.01),  # the later the onset the more
        (Parameters(N=3, T=4, K=2), 1 / 3, 0.5, 1e-4),  # by no law: all are solved
        (Parameters(N=6, K=2, T=8, d_head=8), 0.4, 0.2, 1e-4),
    ],
    ids=str,
)
def test_the_spread_is_that_of_seeds_solved_with_fluctuations(p, overlap, shift, close):
    spread = onset_spread(p, FLUCTUATING, samples=40, overlap=overlap)
    q, k = draw(p, 40)
    starts = starts_of(q, k, overlap=overlap)
    onsets = predict_seeds(p, starts=starts, epochs=[0.0, 3 * spread.high]).onset_epoch
    exact = np.quantile(onsets, (0.1, 0.5, 0.9), method="nearest")
    assert (spread.low, spread.median, spread.high) == pytest.approx(tuple(exact), rel=close)
    without = onset_spread(p, samples=40)
    assert abs(spread.median / without.median - 1) > shift


def test_the_spread_of_a_few_seeds_is_that_of_these():
    p = Parameters(N=20, K=3, T=10)
    spread = onset_spread(p, FLUCTUATING, samples=3)
    onsets = onset_epochs(p, *draw(p, 3), theory=FLUCTUATING)
    assert sorted(onsets) == [spread.low, spread.median, spread.high]


def test_seeds_that_start_beyond_the_onset_keep_doing_so_with_fluctuations():
    p = Parameters(N=4, T=3, d_head=4, qk_variance=3.0)
    spread = onset_spread(p, FLUCTUATING, samples=20, overlap=0.3)
    onsets = onset_epochs(p, *draw(p, 20), theory=FLUCTUATING, overlap=0.3)
    exact = np.quantile(onsets, (0.1, 0.5, 0.9), method="nearest")
    assert (spread.low, spread.median, spread.high) == tuple(exact)
    assert spread.low == 0


def test_onsets_with_fluctuations_are_those_of_each():
    q, k = draw(UNEVEN, 3)
    onsets = onset_epochs(UNEVEN, q, k, theory=FLUCTUATING, overlap=0.1)
    for n, start in enumerate(starts_of(q, k, overlap=0.1)):
        one = predict(UNEVEN, "per-seed+fluctuations", start=start, points=2)
        assert onsets[n] == pytest.approx(one.onset_epoch, rel=1e-5)


def test_quantiles_are_epochs_of_seeds():
    q, k = draw(UNEVEN, 30, rng_seed=4)
    spread, onsets = onset_spread(UNEVEN, samples=30, rng_seed=4), onset_epochs(UNEVEN, q, k)
    for found, at in ((spread.low, 0.1), (spread.median, 0.5), (spread.high, 0.9)):
        assert found == np.quantile(onsets, at, method="nearest")
    assert spread.count == 30


def test_fewer_are_drawn_where_each_takes_long_unless_told(monkeypatch):
    assert spreads.FOLLOWED // (1000 * 16) < spreads.SAMPLES  # of T = 1000 and d_head = 16
    monkeypatch.setattr(spreads, "FOLLOWED", 2**15)
    assert onset_spread(DEFAULT).count == 2**15 // (10 * 64) == 51
    assert onset_spread(DEFAULT, samples=401).count == 401


def test_chunks_that_are_solved_go_through_a_bar():
    seen = []

    def bar(chunks):
        seen.extend(chunks)
        return chunks

    p = Parameters(N=3, T=4, K=2)  # fluctuations follow no law: every seed is solved
    spread = onset_spread(p, FLUCTUATING, samples=40, bar=bar)
    assert sorted(np.concatenate(seen).tolist()) == list(range(40))
    assert spread == onset_spread(p, FLUCTUATING, samples=40)


@pytest.mark.parametrize("samples", [10**9, 2**20 + 1])
def test_more_than_memory_holds_are_refused_before_they_are_drawn(samples):
    with pytest.raises(ParameterError) as caught:
        onset_spread(DEFAULT, samples=samples)
    size = f"{samples * 1024 / 2**30:,.3g}"
    assert str(caught.value) == (
        f"samples = {samples} would take {size} GiB of memory; at most 1048576 are allowed"
    )


def test_a_spread_in_words():
    spread = spreads.Spread(9, 1.0, 2.0, 3.0)
    assert spread.in_words(3) == (
        "the onset: 80 % of seeds between epoch 1 and 3, median 2 (9 drawn, from the nominal start)"
    )
    assert spread.in_words(2).startswith("R = 3/4: 80 % of seeds")
    late = spreads.Spread(9, 1.0, 2.0, math.inf).in_words(3)
    assert late.startswith("the onset: a tenth of the seeds or more never get there")
