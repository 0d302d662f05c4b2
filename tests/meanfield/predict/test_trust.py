"""What to trust: how late each closure comes, against epochs that were integrated elsewhere."""

import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from meanfield import Parameters, Start, Theory, Training, predict, predict_many
from meanfield.attention import closures, typical
from meanfield.attention import onset as onsets
from meanfield.attention.onset import onset_of_softmax
from meanfield.predict import trust
from meanfield.predict.spread import onset_spread
from meanfield.theory import CLOSURES as closures_of

DEFAULT = Parameters(N=20, T=10)


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
    unjudged = predict(Parameters(N=20, T=100, d_head=2), "linear").caveats[0]
    assert unjudged.startswith("the trust in the linear closure cannot be judged: ")
    assert cannot.startswith("trust cannot be judged: ")


def test_each_kind_of_theory_is_judged_in_its_own_way():
    p = Parameters(N=9, K=4, T=6, d_head=16)
    R, gamma = sp.symbols("R gamma", positive=True)
    for name, closure in (("linear", closures.LINEAR), ("quadratic", closures.QUADRATIC)):
        assert predict(p, name, points=2).trust == trust.of_closure(closure, p)
    # a closure of your own by the same measure: this one is the linear closure
    own = predict(p, Theory(attention=gamma * R * (1 - R)), points=2)
    delay = trust.percent(trust.relative_delays(p, closures.LINEAR)[0])
    assert f": {delay} (linear: {delay}, quadratic: " in own.trust[0]
    q, k = (each[0] for each in typical.draw(p, 1))
    seed = predict(p, "per-seed", start=Start(q=q, k=k), points=2)
    assert seed.trust == ("softmax attention of the query and key given, no closure",)
    assert predict(p, points=2).trust == (
        "softmax attention of a typical seed, no closure; its onset stands for the median seed's",
    )


@pytest.mark.parametrize("name", ["spectral", "spectral+fluctuations"])
def test_a_typical_seed_is_told_with_the_spread_about_it(name):
    p = Parameters(N=9, K=4, T=6, d_head=16)
    known = {"overlap": 0.2} if "+" in name else {}
    run = predict(p, name, start=Start(**known), points=2)
    assert run.spread(samples=20) == onset_spread(p, Theory.parse(name), samples=20, **known)
    assert predict(p, "linear", points=2).spread() is None


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
        lines = predict(p, "linear", start=start, points=2).trust
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


# --- caveats -------------------------------------------------------------------------------------


def test_there_are_none_where_all_is_well():
    for p in (DEFAULT, Parameters(N=40, T=20)):
        assert predict(p, points=2).caveats == []
    assert predict(DEFAULT, "linear", points=2).caveats == []


def test_a_prediction_carries_what_the_command_says():
    (off, equal) = predict(Parameters(N=5, T=101), "linear", points=2).caveats
    assert off.startswith("the linear closure is not trusted for the onset epoch: more than ten ")
    assert equal.startswith("in 8% of all vocabularies two of the K = 5 permutations are equal:")


@pytest.mark.parametrize("p", [Parameters(N=10, K=2, T=10), Parameters(N=100, K=5, T=30)], ids=str)
def test_accuracies_before_the_onset(p):
    run = predict(p, "linear", points=2)
    assert run.rollout_half_epoch < run.onset_epoch
    caveat = run.caveats[-1]
    assert caveat == (
        "accuracies before the attention onset are not to be trusted (few actions: the wrong "
        "logits are not independent Gaussians)"
    )
    assert predict(p, "linear", epochs=1.1 * run.rollout_half_epoch).caveats[-1] == caveat
    narrow = Theory.parse("linear", logits="constant", sigma_c=0.01, sigma_o=0.01)
    assert "constant variances leave out" in predict(p, narrow, points=2).caveats[-1]


def test_sampled_logits_may_be_trusted_all_along():
    sampled = Theory.parse("spectral", logits="sampled")
    run = predict(Parameters(N=10, K=2, T=10), sampled, points=2)
    assert run.rollout_half_epoch < run.onset_epoch
    assert run.caveats == []


def test_what_lies_beyond_the_curve_is_not_before_the_onset():
    for onset, accurate, told in (
        (None, (None, None), False),
        (None, (20.0, None), True),
        (300.0, (200.0, None), True),
        (300.0, (None, 200.0), True),
        (300.0, (301.0, None), False),
        (300.0, (0.0, 301.0), False),  # right by chance
    ):
        grounds = trust.Grounds(
            theory=Theory.parse("linear"),
            parameters=DEFAULT,
            start=Start().resolved(DEFAULT),
            onset_epoch=onset,
            accurate_epochs=accurate,
        )
        assert len(trust.caveats(grounds)) == told


@pytest.mark.parametrize(
    ("name", "p"),
    [
        ("linear", Parameters(N=20, T=10)),
        ("quadratic", Parameters(N=5, T=3)),
        ("spectral", Parameters(N=5, T=3)),
        ("spectral+fluctuations", Parameters(N=20, T=10)),
    ],
    ids=str,
)
def test_the_lag_is_that_of_the_steps_solved(name, p):
    """Against gradient steps of a tenth of the size at which they would be coarse."""
    at_one = predict(replace(p, lr=1.0), name, points=2).onset_epoch
    coarse = replace(p, lr=at_one / 5)  # the onset at about epoch 5
    fine = replace(p, lr=at_one / 400)
    run = predict(coarse, name, points=2)
    lag = trust.lag_of_steps(run.theory, coarse, run.start, onset_epoch=run.onset_epoch)
    flow, steps = (
        predict(fine, Theory.parse(name, steps=on), points=2).onset_epoch for on in (False, True)
    )
    assert lag == pytest.approx(steps - flow, rel=0.02)
    told = f"by {lag:.2g} epochs at the onset or {lag / run.onset_epoch:.0%} of it, to first order"
    assert told in " ".join(run.caveats)


def test_no_lag_is_told_where_there_is_none():
    p = Parameters(N=5, T=3, lr=30.0)
    said = [predict(p, "linear", points=2, training=each).caveats for each in (
        None, Training(), Training(integrator="ssprk3")
    )]  # fmt: skip
    assert ["lags gradient flow" in " ".join(each) for each in said] == [True, True, False]
    assert not any("lag" in each for each in predict(replace(p, lr=2.0), points=2).caveats)
    at_once = predict(Parameters(N=20, T=2, lr=60.0), "spectral", points=2)
    assert at_once.onset_epoch == 0
    assert at_once.caveats == []


def test_steps_too_coarse_for_their_correction_are_told():
    steps = Theory.parse("linear", steps=True)
    (caveat,) = predict(Parameters(N=20, T=10, lr=60.0), steps, points=2).caveats
    assert "the steps are too coarse for a correction of first order in the learning rate" in caveat


def test_equal_permutations_are_told_where_they_are_likely():
    def told(p, start=None):
        return [each for each in predict(p, points=2, start=start).caveats if "vocabul" in each]

    (half,) = told(Parameters(N=2, T=4))
    assert half.startswith(
        "in 50% of all vocabularies two of the K = 2 permutations are equal, and in 50% all are, "
        "so that attention never moves: "
    )
    (third,) = told(Parameters(N=4, T=4))
    assert third.startswith("in 23% of all vocabularies two of the K = 4 permutations are equal: ")
    assert not told(Parameters(N=6, T=4))
    assert not told(Parameters(N=20, T=4))
    one = [[0, 1, 2, 3], [0, 2, 3, 1], [2, 3, 0, 1], [3, 0, 1, 2]]
    assert not told(Parameters(N=4, T=4), Start(permutations=one))  # this very vocabulary


def test_few_training_data_are_told():
    (few,) = predict(DEFAULT, points=2, training=Training(n_train=100)).caveats
    assert few == (
        "n_train = 100 sequences hold 2.5 examples of each action in each state: counts scatter by "
        "63%, while the theory averages over all sequences"
    )
    assert predict(DEFAULT, points=2, training=Training(n_train=400)).caveats == []


# --- many at once --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["linear", "quadratic"])
def test_many_are_judged_as_each_is(name):
    batch = predict_many(name, N=np.array([[3], [20]]), T=[2, 5, 101], lr=40.0, rope_theta=30.0)
    for index in np.ndindex(2, 3):
        values = {each: batch.parameters[each][index] for each in ("N", "T", "lr", "rope_theta")}
        p = Parameters(N=int(values["N"]), T=int(values["T"]), lr=40.0, rope_theta=30.0)
        own = trust.relative_delays(p, closures_of[name])[0]
        assert batch.relative_delay[index] == pytest.approx(own, rel=1e-9)
        run = predict(p, name, points=2)
        said = [
            "is not trusted" in " ".join(run.caveats),
            "lags gradient flow" in " ".join(run.caveats),
            "permutations are equal" in " ".join(run.caveats),
        ]
        found = [bool(batch.reasons[each][index]) for each in ("closure", "steps", "vocabulary")]
        if p.T > 2:  # else the onset is at the start and nothing can lag
            assert found == said, values
        assert batch.trusted[index] == (not any(found))


def test_sets_that_are_alike_are_judged_once(monkeypatch):
    asked = []
    real = onsets.attention.gradients
    monkeypatch.setattr(
        onsets.attention, "gradients", lambda *given: asked.append(1) or real(*given)
    )
    T = np.array([7, 11, 7, 11, 7])
    batch = predict_many(N=np.arange(4, 24)[:, None], T=T, qk_variance=0.321, lr=3.0)
    delay = batch.relative_delay
    assert len(asked) == 2  # the attention knows T alone of what varies
    assert np.array_equal(delay[:, 0], delay[:, 2])
    assert not np.array_equal(delay[:, 0], delay[:, 1])
    lag = batch.judgement.relative_lag
    double = predict_many(N=np.arange(4, 24)[:, None], T=T, qk_variance=0.321, lr=6.0)
    assert double.judgement.relative_lag == pytest.approx(2 * lag, rel=1e-12)


def test_what_cannot_be_followed_is_not_trusted():
    batch = predict_many(N=20, T=[10, 10**6], d_head=64)
    assert batch.reasons["unjudged"].tolist() == [False, True]
    assert batch.trusted.tolist() == [True, False]
    assert "the closure cannot be judged (1 of 2)" in batch.caveats[0]
