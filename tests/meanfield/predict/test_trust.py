"""What to trust: how late each closure comes, against epochs that were integrated elsewhere."""

import math

import pytest
import sympy as sp

from meanfield import Parameters, Start, Theory, predict
from meanfield.attention import closures, typical
from meanfield.attention.onset import onset_of_softmax
from meanfield.predict import trust
from meanfield.predict.seeds import onset_spread


def test_an_onset_beyond_float64_is_still_judged():
    p = Parameters(N=2, T=1000)
    assert onset_of_softmax(p).log_t > 709  # the logarithm of the largest float64
    linear, quadratic = trust.relative_delays(p, closures.LINEAR, closures.QUADRATIC)
    assert linear > quadratic > 9
    assert trust.relative_delays(Parameters(N=2, T=5000), closures.LINEAR) == (math.inf,)
    assert "more than ten times as late" in trust.of_closure(closures.LINEAR, p)[0]


@pytest.mark.parametrize(
    ("N", "K", "T", "softmax", "linear", "quadratic"),
    [
        (20, 20, 10, 302.0, 0.06, -0.18),
        (10, 2, 10, 378.5, 0.30, -0.52),
        (20, 2, 10, 183.0, 0.12, -0.28),
        (4, 4, 10, 159.0, 0.15, -0.35),
        (3, 3, 10, 884.0, 0.37, -0.63),
        (4, 4, 20, 467.0, 1.24, -0.44),
    ],
)
def test_the_delay_is_that_of_the_onset_epoch(N, K, T, softmax, linear, quadratic):
    """Epochs of the softmax flow with (15b), (15c), integrated elsewhere: they depend on N and K.

    In internal time the linear closure is 6 % late in all but the last.
    """
    p = Parameters(N=N, K=K, T=T)
    assert math.exp(onset_of_softmax(p).log_t) / p.lr == pytest.approx(softmax, rel=0.002)
    late = trust.relative_delays(p, closures.LINEAR, closures.QUADRATIC)
    assert late == pytest.approx((linear, quadratic), abs=0.006)


def test_known_evidence_on_the_closures():
    """Simulation: at base 10 the linear closure is good; at 1e4 its onset is 40 % late."""
    resolved = trust.relative_delays(Parameters(N=20, T=10), closures.LINEAR, closures.QUADRATIC)
    assert abs(resolved[0]) < trust.TOLERANCE < abs(resolved[1])
    slow = Parameters(N=20, T=10, rope_theta=1e4)
    linear, quadratic = trust.relative_delays(slow, closures.LINEAR, closures.QUADRATIC)
    assert 0.3 < linear < 0.6
    assert abs(quadratic) < linear / 2


def test_the_delay_depends_on_the_start_of_query_and_key():
    # from a larger start n_r hardly grows, which takes speed from the attention, not the closure
    one, large, larger = (
        trust.relative_delays(Parameters(N=20, T=10, qk_variance=by), closures.LINEAR)
        for by in (1 / 3, 2.0, 20.0)
    )
    assert larger < large < one


def test_words_on_trust():
    verdict, basis = trust.of_closure(closures.LINEAR, Parameters(N=20, T=10))
    assert verdict == "trusted only for the onset epoch: 6% late (quadratic: 18% early)"
    assert basis == "judged from the nominal start against softmax attention from its mean start"
    given = trust.of_closure(closures.LINEAR, Parameters(N=20, T=10), measured=True)
    assert given[0] == verdict
    assert "the nominal start, not the one given, against" in given[1]
    verdict, _ = trust.of_closure(closures.LINEAR, Parameters(N=20, T=10, rope_theta=1e4))
    assert verdict == "not trusted for the onset epoch: 47% late (quadratic: 13% late)"
    verdict, _ = trust.of_closure(closures.LINEAR, Parameters(N=20, T=2))
    assert verdict.startswith("not trusted for the epoch of R = 3/4, as R starts at 1/2: 44% late")
    for p in (Parameters(N=20, T=100, d_head=2), Parameters(N=20, T=10**6)):
        (cannot,) = trust.of_closure(closures.LINEAR, p)
        assert "cannot be judged" in cannot


def test_each_kind_of_theory_is_trusted_in_its_own_way():
    p = Parameters(N=9, K=4, T=6, d_head=16)
    R, gamma = sp.symbols("R gamma", positive=True)
    assert trust.trust(predict(p, "linear", points=2), samples=9) == trust.of_closure(
        closures.LINEAR, p
    )
    assert trust.trust(predict(p, "quadratic", points=2), samples=9) == trust.of_closure(
        closures.QUADRATIC, p
    )
    own = predict(p, Theory(attention=gamma * R * (1 - R)), points=2)
    assert trust.trust(own, samples=9) == (
        "a closure of your own: nothing is known of when it holds",
    )
    q, k = (each[0] for each in typical.draw(p, 1))
    seed = predict(p, "per-seed", start=Start(q=q, k=k), points=2)
    assert trust.trust(seed, samples=9) == (
        "softmax attention of the query and key given, no closure",
    )


@pytest.mark.parametrize("name", ["spectral", "spectral+fluctuations"])
def test_a_typical_seed_is_told_with_the_spread_about_it(name):
    p = Parameters(N=9, K=4, T=6, d_head=16)
    known = {"overlap": 0.2} if "+" in name else {}
    run = predict(p, name, start=Start(**known), points=2)
    first, second = trust.trust(run, samples=20)
    assert first == (
        "softmax attention of a typical seed, no closure; its onset stands for the median seed's"
    )
    spread = onset_spread(p, Theory.parse(name), samples=20, **known)
    assert second == (
        f"the onset: 80 % of seeds between epoch {spread.low:.0f} and {spread.high:.0f}, median "
        f"{spread.median:.0f} (20 drawn, from the nominal start)"
    )
    two = trust.trust(predict(Parameters(N=9, T=2, d_head=16), "spectral", points=2), samples=9)
    assert two[1].startswith("R = 3/4: 80 % of seeds")


def test_a_measured_start_is_told_whatever_of_it_was_given():
    p = Parameters(N=9, K=4, T=6, d_head=16)
    for start, measured in (
        (Start(), False),
        (Start(R=1 / 6, Q=0.0, S=0.0, C=0.0), False),
        (Start(R=0.2), True),
        (Start(Q=0.1), True),
        (Start(S=0.1), True),
        (Start(C=0.1), True),
    ):
        lines = trust.trust(predict(p, "linear", start=start, points=2), samples=9)
        assert lines == trust.of_closure(closures.LINEAR, p, measured=measured)
        assert ("not the one given" in lines[1]) == measured


@pytest.mark.parametrize(
    ("delay", "said"),
    [
        (0.066, "7% late"),
        (-0.18, "18% early"),
        (9.0, "900% late"),
        (9.1, "more than ten times as late"),
        (math.inf, "more than ten times as late"),
    ],
)
def test_delays_in_words(delay, said):
    assert trust.percent(delay) == said
