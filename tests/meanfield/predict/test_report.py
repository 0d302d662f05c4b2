"""A prediction in words: what happens when, what to trust, and the table."""

from __future__ import annotations

import re

import numpy as np
import pytest
import sympy as sp
from scipy.special import logit

from meanfield import Parameters, Start, Theory, generated, predict
from meanfield.attention import closures
from meanfield.predict.report import listed, number, phases, report, small, table, trusted
from meanfield.predict.spread import Spread
from meanfield.theory import CLOSURES

DEFAULT = Parameters(N=20, T=10)


def test_all_that_is_known_is_said_in_order() -> None:
    p = Parameters(N=10, K=2, T=10)
    run = predict(p, Theory.parse("linear", steps=True), start=Start(R=0.11, C=0.4))
    lines = report(run).splitlines()
    rates = [closures.rate(each, p) for each in CLOSURES.values()]
    assert lines[:4] == [
        "parameters",
        "  N = 10  T = 10  K = 2  d_head = 64  rope_theta = 10  rope_spacing = power  lr = 2  "
        "qk_variance = 0.333333  w_init = 0.316228",
        f"  gamma = {rates[0]:.6g}  g_0 = {rates[1]:.6g}",
        "start",
    ]
    assert lines[4:7] == [
        "  R0 = 0.11  Q0 = 0.04  S0 = 0.04  C = 0.4",
        "theory linear, gradient steps of size lr",
        "phases",
    ]
    assert lines[7:11] == [f"  {phase}" for phase in phases(run)]
    assert lines[11] == ""
    assert "\n".join(lines[12:]) == table(run)
    assert "theory linear\nphases\n" in report(predict(DEFAULT, "linear"))


def test_what_to_trust_is_said_once() -> None:
    off = trusted(predict(Parameters(N=10, K=2, T=10), "linear", points=2), None).splitlines()
    assert off[0] == "trust"
    assert off[1].startswith("  judged from the nominal start against")
    assert off[2] == "caveats"
    assert off[3].startswith("  the linear closure is not trusted for the onset epoch: 30% late")
    assert off[4].startswith("  accuracies before the attention onset are not to be trusted")
    fine = trusted(predict(DEFAULT, "linear", points=2), None).splitlines()
    assert [line[:9] for line in fine] == ["trust", "  trusted", "  judged "]
    typical = trusted(predict(DEFAULT, points=2), Spread(9, 1.0, 2.0, 3.0)).splitlines()
    assert typical[1].startswith("  softmax attention of a typical seed")
    assert typical[2] == f"  {Spread(9, 1.0, 2.0, 3.0).in_words(10)}"
    assert len(typical) == 3


def test_phases_of_a_run_that_reaches_all() -> None:
    run = predict(DEFAULT, "linear")
    assert phases(run) == [
        f"heuristic        to epoch {run.heuristic_end_epoch:.4g} (R near its start, the average "
        "action is learned)",
        "attention onset  epoch 320.7 (R = 1/2)",
        "rollouts         epoch 373.8 (rollout accuracy 1/2)",
        f"saturation       epoch {run.saturation_epoch:.4g} (rollout accuracy 0.99)",
    ]


def test_phases_of_a_run_that_ends_before() -> None:
    lines = phases(predict(DEFAULT, "linear", epochs=50, points=3))
    assert lines[0].startswith("heuristic        all along (R near its start")
    assert all("not within 50 epochs" in line for line in lines[1:])


def test_phases_of_starts_beyond_one_half() -> None:
    for p, R in ((DEFAULT, 0.7), (Parameters(N=20, T=2), None)):
        lines = phases(predict(p, "linear", start=Start(R=R)))
        assert lines[1] == "attention onset  already so at the start (R = 1/2)"


def test_two_states_are_guessed_right_half_the_time() -> None:
    rollouts = phases(predict(Parameters(N=2, T=4), "linear", points=2))[2]
    assert "already so at the start (rollout accuracy 1/2, chance for N = 2)" in rollouts


def test_outside_the_basin_R_falls_and_the_report_says_so() -> None:
    run = predict(DEFAULT, "linear", start=Start(Q=-1.0, S=0.0))
    attention = phases(run)[1]
    assert re.search(r"not within \d+ epochs: R falls from 0.1 to \d", attention)
    assert attention.endswith(
        ", as Q starts below S (in the linear closure it never returns: outside its basin of "
        "attraction)"
    )


def test_the_basin_is_the_linear_closure_s_own() -> None:
    start = Start(Q=-1.0, S=0.0)
    attention = phases(predict(DEFAULT, "quadratic", start=start, points=9))[1]
    assert "R falls from 0.1 to" in attention
    assert "in the quadratic closure it returns, however late" in attention
    R, gamma = sp.symbols("R gamma", positive=True)
    own = predict(DEFAULT, Theory(attention=gamma * R * (1 - R) ** 2), start=start, points=9)
    assert phases(own)[1].endswith("as Q starts below S")


def test_the_basin_is_that_of_the_equations_solved() -> None:
    p = Parameters(N=20, K=2, T=10)
    rate = closures.rate(closures.LINEAR, p)
    finite = generated.basin_gap_linear(logit(0.1), generated.rate_constant(20, 2, rate))
    limit = finite * np.sqrt(20 / 19 * 1 / 2)  # kappa grows by what is dropped
    for thermodynamic_limit, gap in ((False, finite), (True, limit)):
        theory = Theory.parse("linear", thermodynamic_limit=thermodynamic_limit)
        for by, outside in ((1.01, True), (0.99, False)):
            start = Start(Q=float(by * gap), S=0.0)
            run = predict(p, theory, start=start, epochs=200, points=9)
            assert ("it never returns" in phases(run)[1]) == outside, phases(run)


def test_the_table_is_compact_and_ends_where_the_curve_ends() -> None:
    run = predict(Parameters(N=20, T=10, lr=1 / 3), "linear", points=31, start=Start(C=0.3))
    lines = table(run, rows=6).splitlines()
    assert len(lines) == 7
    assert lines[0].split() == ["epoch", "R", "Q", "S", "loss", "next", "token", "rollout"]
    first, last = lines[1].split(), lines[-1].split()
    assert float(first[0]) == 0
    assert float(first[1]) == 0.1
    assert float(last[0]) == pytest.approx(run.epoch[-1])
    assert float(last[1]) > 0.95
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(table(predict(DEFAULT, "linear", points=2)).splitlines()) == 3
    assert len(table(run).splitlines()) == 12


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0"), (373.84, "373.8"), (1234.5, "1234"), (123456.7, "123457"), (3e7, "3e+07")],
)
def test_numbers_of_epochs(value: float, said: str) -> None:
    assert number(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0.0000"),
        (0.5, "0.5000"),
        (1e-3, "0.0010"),
        (9e-4, "9.00e-04"),
        (-2.0, "-2.0000"),
        (9999.4, "9999.4000"),
        (1e6, "1e+06"),
        (-123456.0, "-1.2346e+05"),
    ],
)
def test_numbers_of_order_one(value: float, said: str) -> None:
    assert small(value) == said


def test_columns_stay_apart() -> None:
    run = predict(DEFAULT, "linear", start=Start(Q=1e6, S=-9999.0), epochs=10, points=3)
    for line in table(run).splitlines()[1:]:
        assert len(line.split()) == 7


def test_names_and_values_in_a_line() -> None:
    assert (
        listed({"N": 20, "lr": 1 / 3, "as": "power"}.items()) == "N = 20  lr = 0.333333  as = power"
    )
