"""What a theory is, by name: what it reads, what it refuses, and what cannot be combined."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy.special import expit, logit

from meanfield import ParameterError, Parameters, Start, Theory, Training, generated, predict
from meanfield.attention import closures, planes, typical
from meanfield.start import stacked
from meanfield.theory import (
    ATTENTIONS,
    BEST,
    COVERED,
    DEFAULT,
    EXCLUSIONS,
    LADDER,
    LOSSES,
    PAPER,
    PLAIN,
    OwnClosure,
)

P = Parameters(N=20, K=5, T=10)
SMALL = Parameters(N=7, K=5, T=4, d_head=6)
NAMES = [name if loss == PLAIN else f"{name}+{loss}" for name, loss in product(ATTENTIONS, LOSSES)]
R, gamma = sp.symbols("R gamma", positive=True)


def vectors(p: Parameters) -> dict[str, Any]:
    q, k = typical.draw(p, 1)
    return {"q": q[0], "k": k[0]}


def refused(call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(ParameterError) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_name_goes_there_and_back(name: str) -> None:
    theory = Theory.parse(name)
    assert str(theory) == name
    assert Theory.parse(theory) == theory
    assert (theory.attention, theory.loss) == (*name.split("+"), PLAIN)[:2]
    in_another_way = replace(theory, logits="sampled")
    assert str(in_another_way) == name
    assert Theory.parse(name, logits="sampled") == in_another_way
    assert Theory.parse(theory, logits="sampled") == in_another_way


def test_there_are_as_many_theories_as_attentions_times_losses() -> None:
    assert len(set(NAMES)) == len(ATTENTIONS) * len(LOSSES) == 8
    assert set(LADDER) < set(NAMES)
    assert {DEFAULT, BEST, PAPER} <= set(LADDER)
    assert (Theory.parse(DEFAULT).of_one_seed, Theory.parse(BEST).of_one_seed) == (False, True)
    assert Theory.parse(PAPER).closed
    assert Theory.parse("linear+mean-field") == Theory.parse("linear")


@pytest.mark.parametrize(
    "name", ["cubic", "", "linear+", "+fluctuations", "linear+quadratic", "linear+fluctuations+", 5]
)
def test_another_name_is_refused(name: Any) -> None:
    assert refused(Theory.parse, name) == (
        "the theory must be linear, quadratic, spectral, per-seed, alone or with +fluctuations, "
        f"not {name!r}; a closure of your own is Theory(attention=...)"
    )


def test_a_closure_of_ones_own_has_its_expression_as_name() -> None:
    theory = Theory(attention=gamma * R * (1 - R), loss="fluctuations")
    assert theory.attention == OwnClosure("R*gamma*(1 - R)", gamma * R * (1 - R))
    assert str(theory) == "R*gamma*(1 - R)+fluctuations"
    assert Theory(attention=theory.attention, loss="fluctuations") == theory
    assert Theory.parse(theory) == theory
    assert theory.closed
    assert theory.part.closure is None
    assert theory.part.needs == ()


def test_a_closure_whose_expression_is_lost_cannot_be_followed() -> None:
    theory = Theory(attention=OwnClosure("R*gamma*(1 - R)"))
    assert str(theory) == "R*gamma*(1 - R)"
    assert refused(predict, SMALL, theory) == (
        "the closure R*gamma*(1 - R) is known as text only: give its SymPy expression again"
    )


# --- what it is -----------------------------------------------------------------------------------

READS = {
    "linear": "R Q S C",
    "linear+fluctuations": "R Q S C overlap permutations",
    "quadratic": "R Q S C",
    "quadratic+fluctuations": "R Q S C overlap permutations",
    "spectral": "Q S C",
    "spectral+fluctuations": "Q S C overlap permutations",
    "per-seed": "Q S C q k",
    "per-seed+fluctuations": "Q S C q k overlap permutations",
}


@pytest.mark.parametrize("name", NAMES)
def test_what_it_reads_of_a_start(name: str) -> None:
    theory = Theory.parse(name)
    assert theory.reads == tuple(READS[name].split())
    assert theory.closed == ("R" in READS[name])
    assert theory.of_one_seed == ("q" in READS[name])
    assert theory.fluctuating == ("overlap" in READS[name])
    also = () if theory.fluctuating else ("overlap", "permutations")
    assert replace(theory, logits="sampled").reads == (*theory.reads, *also)
    assert replace(theory, logits="constant").reads == theory.reads


def test_own_closures_read_what_closures_read() -> None:
    assert Theory(attention=R * (1 - R)).reads == Theory.parse("linear").reads


def test_equations_and_what_is_not_to_be_trusted() -> None:
    assert Theory.parse("linear").equations == "(15), (71a), (X2b), (X3)"
    assert Theory.parse("quadratic+fluctuations").equations == "(15), (71b), (X2c), (X3), (X8)"
    assert Theory.parse("spectral").equations == "(15), (X5)"
    assert Theory.parse("linear").early_accuracies.startswith("few actions")
    assert Theory.parse("linear", logits="constant").early_accuracies.startswith("constant")
    assert Theory.parse("linear", logits="sampled").early_accuracies == ""
    assert Theory(attention=R * (1 - R)).equations == "(15)"


def test_of_each_seed_it_is_the_same_but_for_attention() -> None:
    theory = Theory.parse("spectral+fluctuations", steps=True)
    assert theory.of_each_seed() == Theory.parse("per-seed+fluctuations", steps=True)


def test_the_best_logits_are_sampled_where_they_fluctuate() -> None:
    for name in NAMES:
        best = Theory.parse(name).with_best_logits()
        assert best.logits == ("sampled" if "+" in name else "gaussian")
        assert replace(best, logits="gaussian") == Theory.parse(name)


# --- what cannot be -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"attention": "cubic"},
            'the attention of a theory must be "linear", "quadratic", "spectral" or "per-seed", '
            "not 'cubic'",
        ),
        (
            {"attention": 0.3},
            "the attention of a theory must be a name or a SymPy expression G(R, ...), not 0.3",
        ),
        (
            {"attention": None},
            "the attention of a theory must be a name or a SymPy expression G(R, ...), not None",
        ),
        (
            {"loss": "exact"},
            'the loss of a theory must be "mean-field" or "fluctuations", not \'exact\'',
        ),
        (
            {"logits": "fitted"},
            'the logits of a theory must be "gaussian", "constant" or "sampled", not \'fitted\'',
        ),
        ({"steps": 1}, "steps must be True or False, not 1"),
        ({"thermodynamic_limit": None}, "thermodynamic_limit must be True or False, not None"),
        ({"logits": "constant", "sigma_o": -1.0}, "sigma_o must be at least 0, not -1.0"),
        ({"logits": "constant", "sigma_c": "x"}, "sigma_c must be a finite number, not 'x'"),
    ],
)
def test_a_part_that_there_is_not_is_refused(fields: dict[str, Any], words: str) -> None:
    assert refused(Theory, **fields) == words


STEPS = (
    "a closure can be followed in gradient steps down the mean-field loss only; leave out the "
    "steps or the fluctuations"
)
SIGMAS = "sigma_c and sigma_o may only be given with constant logits"
COMBINED = [
    ({"attention": "linear", "loss": "fluctuations", "steps": True}, STEPS),
    ({"attention": "quadratic", "loss": "fluctuations", "steps": True}, STEPS),
    ({"attention": R * (1 - R), "loss": "fluctuations", "steps": True}, STEPS),
    ({"sigma_c": 0.1}, SIGMAS),
    ({"sigma_o": 0.0}, SIGMAS),
    ({"logits": "sampled", "sigma_c": 0.1, "sigma_o": 0.1}, SIGMAS),
]


@pytest.mark.parametrize(("fields", "words"), COMBINED)
def test_what_cannot_be_combined_is_said(fields: dict[str, Any], words: str) -> None:
    said = refused(Theory, **fields)
    assert said.endswith(f": {words}")
    attention = fields.get("attention", "spectral")
    assert said.startswith(str(attention))


def test_every_exclusion_is_tried_and_says_no_more_than_it_must() -> None:
    assert {why for _, why in EXCLUSIONS} == {words for _, words in COMBINED}
    for attention in ATTENTIONS:  # each of two is possible
        Theory(attention=attention, steps=True)
        Theory(attention=attention, loss="fluctuations")
    Theory(attention="spectral", loss="fluctuations", steps=True)
    Theory(logits="constant", sigma_c=0, sigma_o=0.3)


def test_the_logits_have_the_name_of_the_command_line_too() -> None:
    assert Theory(logits="theory") == Theory(logits="gaussian")


# --- a start, a training --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theory", "given", "words"),
    [
        (
            "per-seed",
            {"R": 0.1},
            "R may not be given: per-seed does not read it, linear and quadratic do",
        ),
        (
            "spectral+fluctuations",
            {"R": 0.1},
            "R may not be given: spectral+fluctuations does not read it, linear and quadratic do",
        ),
        (
            "linear",
            {"k": np.ones(6)},
            "k may not be given: linear does not read it, per-seed and per-seed+fluctuations do",
        ),
        (
            "spectral",
            {"overlap": 0.2},
            "overlap may not be given: spectral does not read it, spectral+fluctuations and "
            "per-seed+fluctuations do",
        ),
        (
            "quadratic",
            {"permutations": np.eye(3)},
            "permutations may not be given: quadratic does not read it, spectral+fluctuations and "
            "per-seed+fluctuations do",
        ),
        ("per-seed", {}, "per-seed needs q and k of a start, but q is missing"),
        ("per-seed", {"q": np.ones(6)}, "per-seed needs q and k of a start, but k is missing"),
    ],
)
def test_a_start_that_it_does_not_read_or_that_lacks_something(
    theory: str, given: dict[str, Any], words: str
) -> None:
    start = Start(**given)
    assert refused(Theory.parse(theory).check, start) == words
    assert refused(predict, SMALL, theory, start=start) == words
    assert Theory.parse(theory).obstacle(SMALL, start) == words


OTHER_TRAININGS = {
    "optimizer": "adamw",
    "weight_decay": 0.1,
    "fix_embedding": False,
    "d_embed": 3,
}


@pytest.mark.parametrize("name", OTHER_TRAININGS)
def test_a_training_that_it_is_not_about(name: str) -> None:
    value = OTHER_TRAININGS[name]
    words = f"{name} = {value!r} is not covered: the theory is about {name} = {COVERED[name]!r}"
    training = Training(n_train=8, **{name: value})
    theory = Theory.parse("linear")
    assert refused(theory.check, Start(), training) == words
    assert refused(predict, SMALL, "linear", training=training) == words
    assert theory.obstacle(SMALL, Start(), training) == words


def test_every_way_of_training_is_covered_or_tried() -> None:
    assert set(OTHER_TRAININGS) == set(COVERED)
    covered = Training(n_train=64, batch_size=10)
    Theory.parse("linear").check(Start(), covered)
    for training in (covered, Training(integrator="ssprk3")):
        assert Theory.parse("linear").obstacle(SMALL, Start(), training) == ""


def test_of_a_start_it_takes_what_it_reads() -> None:
    whole = {"R": 0.3, "Q": 0.1, "S": 0.0, "C": 0.4, **vectors(SMALL), "permutations": np.eye(7)}
    for name in NAMES:
        theory = Theory.parse(name)
        picked = theory.pick(Start(**whole))
        assert set(picked.given) == {each for each in theory.reads if each != "overlap"}
        theory.check(picked)
    both = Theory.parse("linear+fluctuations").pick(Start(permutations=np.eye(7), overlap=0.1))
    assert set(both.given) == {"permutations"}
    only = Theory.parse("linear+fluctuations").pick(Start(overlap=0.1))
    assert only.given == {"overlap": 0.1}


def test_a_vocabulary_without_fluctuations_is_an_obstacle_to_them_alone() -> None:
    tiles = np.array([np.roll(np.arange(7), shift) for shift in range(7)])
    p, start = replace(SMALL, K=7), Start(permutations=tiles)
    said = Theory.parse("linear+fluctuations").obstacle(p, start)
    assert said.startswith("overlap must be above 0 and below 1 for N = 7, K = 7, not 0: these")
    assert Theory.parse("linear", logits="sampled").obstacle(p, start) == ""
    assert Theory.parse("linear").obstacle(p, Start(Q=np.nan)).startswith("Q must be a finite")


# --- put together ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_it_is_put_together_from_its_parts(name: str) -> None:
    theory = Theory.parse(name)
    given = Start(Q=0.05, S=0.2, C=0.9, **(vectors(SMALL) if theory.of_one_seed else {}))
    if theory.closed:
        given = replace(given, R=0.3)
    if theory.fluctuating:
        given = replace(given, overlap=0.2)
    prepared = theory.prepare(SMALL, given, None)
    model, start = prepared.model, prepared.start
    assert (start.Q, start.S, start.C) == (0.05, 0.2, 0.9)
    assert start.overlap == (0.2 if theory.fluctuating else 1 / 7)
    assert float(model.attention.logit_R(model.attention.start)) == pytest.approx(logit(start.R))
    if theory.closed:
        assert start.R == 0.3
    if theory.attention == "spectral":
        assert pytest.approx(1 / 4) == start.R
    if theory.of_one_seed:
        rope, heads = planes.planes(SMALL), planes.heads(given.q, given.k)
        assert pytest.approx(float(planes.retrieval(rope, heads.p)[0]), rel=1e-14) == start.R
    state = (0.4, 0.6, 0.1, 0.02)  # R, 1 - R, and what U and S gained
    S = 0.2 + 0.02
    Q = 0.05 - 0.2 + 0.1 + S
    if theory.fluctuating:
        known = (0.05, 0.2, 0.9, 0.2, SMALL.w_variance, 7, 5, 4)
        F, dQ, dS = generated.corrected_rates(0.4, Q, S, *known)
        loss = generated.corrected_loss(0.4, Q, S, *known)
    else:
        F, dQ, dS = generated.driven_rates(0.4, 0.6, Q, S, 0.9, 7, 5)
        loss = generated.loss(generated.margin(0.4, Q, S, 0.9, 7, 5), 7)
    assert model.descent(*state) == pytest.approx((F, dQ - dS, dS), rel=1e-12)
    assert float(model.loss.value(0.4, Q, S)) == pytest.approx(float(loss), rel=1e-12)
    gamma = closures.rate(closures.LINEAR, SMALL)
    rate = closures.rate(closures.QUADRATIC, SMALL) if "quadratic" in name else gamma
    assert (model.attention.rate, model.steps) == (rate, False)
    logits = prepared.logits
    assert (logits.C, logits.T, logits.w_variance) == (0.9, 4, SMALL.w_variance)
    assert (logits.logic.Q, logits.logic.S) == (0.05, 0.2)
    assert (logits.logic.N, logits.logic.K, logits.logic.overlap) == (7, 5, start.overlap)


def test_the_thermodynamic_limit_takes_its_factors_from_the_drive() -> None:
    pace = 19 / 20 * 5 / 4
    for attention, given in (
        ("linear", {}), ("quadratic", {}), ("spectral", {}), ("per-seed", vectors(P))
    ):  # fmt: skip
        for loss in LOSSES:
            finite, limit = (
                Theory(attention=attention, loss=loss, thermodynamic_limit=on)
                for on in (False, True)
            )
            assert (finite.pace(P), limit.pace(P)) == (1.0, pytest.approx(pace))
            rates = [
                each.prepare(P, Start(Q=0.4, **given), None).model.descent(0.4, 0.6, 0.1, 0.02)
                for each in (finite, limit)
            ]
            assert rates[1][0] / rates[0][0] == pytest.approx(pace, rel=1e-12)
            assert rates[1][1:] == rates[0][1:]


def test_with_as_many_permutations_as_states_its_factors_cancel() -> None:
    p = Parameters(N=20, T=10)
    for name, given in (("linear", {}), ("spectral", {}), ("per-seed", vectors(p))):
        same, limit = (
            predict(
                p, Theory.parse(name, thermodynamic_limit=on), start=Start(**given), epochs=400,
                points=5,
            )
            for on in (False, True)
        )  # fmt: skip
        assert pytest.approx(limit.R, abs=1e-9) == same.R
        faster = [
            predict(
                P, Theory.parse(name, thermodynamic_limit=on), start=Start(**given), points=2
            ).onset_epoch
            for on in (False, True)
        ]
        assert faster[1] < faster[0]


def test_constant_logits_have_the_deviations_of_the_start_unless_given() -> None:
    start = Start(R=0.3, Q=0.05, S=0.2, C=0.9)
    moving = Theory.parse("linear").prepare(SMALL, start, None).logits
    initial = moving.deviations(0.3, 0.05, 0.2)
    for given in ({}, {"sigma_c": 0.4}, {"sigma_o": 0.7}, {"sigma_c": 0.0, "sigma_o": 0.0}):
        theory = Theory.parse("linear", logits="constant", **given)
        logits = theory.prepare(SMALL, start, None).logits
        wanted = [given.get(name, float(at_start)) for name, at_start in
                  zip(("sigma_c", "sigma_o"), initial, strict=True)]  # fmt: skip
        found = logits.deviations(np.array([0.2, 0.9]), 5.0, 1.0)
        assert [each.tolist() for each in found] == [[each] * 2 for each in wanted]


def test_starts_of_many_seeds_become_one() -> None:
    starts = [
        Start(Q=0.1 * n, S=0.2 * n, C=0.3 * n, overlap=0.1 + 0.1 * n, **vectors(SMALL))
        for n in range(3)
    ]
    together = stacked([each.resolved(SMALL) for each in starts])
    for name in ("Q", "S", "C", "overlap"):
        assert getattr(together, name).tolist() == [getattr(each, name) for each in starts]
    assert together.R.tolist() == [1 / 4] * 3
    assert together.q.shape == together.k.shape == (3, 6)
    np.testing.assert_array_equal(together.k[1], starts[1].k)


def test_a_closure_of_ones_own_is_followed_from_its_own_start() -> None:
    theory = Theory(attention=gamma * R * (1 - R))
    prepared = theory.prepare(SMALL, Start(R=0.3, C=0.7), None)
    assert expit(prepared.model.attention.start).tolist() == pytest.approx([0.3])
    same = Theory.parse("linear").prepare(SMALL, Start(R=0.3, C=0.7), None)
    y = np.array([-0.3, 0.2, 0.1])
    ours, theirs = (each.model.attention.motion(y, each.model.descent) for each in (prepared, same))
    assert ours == pytest.approx(theirs, rel=1e-12)
