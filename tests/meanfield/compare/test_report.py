"""A comparison in tables and as plain data."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from meanfield.compare.comparison import compare
from meanfield.compare.report import report, table, title, to_dict
from meanfield.runs.measured import Measured
from tests.meanfield.compare.example_measured import STARTS, P, measured_like


@pytest.fixture(scope="module")
def measured() -> Measured:
    return measured_like(notes=("a note",))


def test_the_title_says_what_the_theory_knows(measured: Measured) -> None:
    both = [compare(measured, "linear", start=start) for start in ("measured", "nominal")]
    first, second = title(measured, both).split("\n")
    assert first.startswith(
        "N = 8  T = 4  K = 8  d_head = 64  rope_theta = 10  rope_spacing = power"
    )
    assert second == (
        "3 seeds, 156 epochs; theory from the measured and nominal start, in gradient flow"
    )
    trained = replace(measured, training={"n_train": 64, "integrator": "sgd", "n_test": 3})
    first, second = title(trained, [compare(trained, "linear")]).split("\n")
    assert first.endswith("n_train = 64  integrator = sgd")
    assert second.endswith("theory from the measured start, in gradient steps")
    one = measured_like(STARTS[:1])
    assert "1 seed, 156 epochs" in title(one, [compare(one, "linear")])


def test_a_row_is_a_theory_and_a_column_a_quantity(measured: Measured) -> None:
    found = [compare(measured, name) for name in ("linear", "quadratic")]
    head, _, *rows = table(found, "rms", "seed").split("\n")
    assert head.split("  ")[0] == "rms, seed"
    for name in ("R", "Q", "S", "loss", "next token", "rollout", "onset", "rollout 1/2"):
        assert name in head
    assert [row.split()[0] for row in rows] == ["linear", "quadratic"]
    assert "%" in rows[0]
    assert "%" not in table(found, "largest", "mean")
    assert "start" not in head
    several = [compare(measured, "linear", start=start) for start in ("measured", "nominal")]
    assert "start" in table(several, "rms", "seed")
    assert "nominal" in table(several, "rms", "seed")


def test_an_event_that_only_some_seeds_reach_is_counted(measured: Measured) -> None:
    R = measured.curves["R"].copy()
    R[1] = np.minimum(R[1], 0.4)
    fewer = replace(measured, curves={**measured.curves, "R": R})
    assert " % of 2" in table([compare(fewer, "linear")], "rms", "seed")
    none = replace(measured, curves={**measured.curves, "R": np.minimum(R, 0.4)})
    assert "not reached" in table([compare(none, "linear")], "rms", "seed")


def test_of_one_seed_the_mean_is_not_told_twice(measured: Measured) -> None:
    three = report(measured, [compare(measured, "linear")])
    assert three.split("\n")[2] == "a note"
    for name in ("rms, seed", "largest, seed", "rms, mean", "largest, mean"):
        assert name in three
    one = measured_like(STARTS[:1])
    assert "rms, mean" not in report(one, [compare(one, "linear")])


def test_all_of_it_as_plain_data(measured: Measured) -> None:
    found = [compare(measured, name, start="nominal") for name in ("linear", "spectral")]
    values = json.loads(json.dumps(to_dict(measured, found), allow_nan=False))
    assert values["parameters"]["N"] == P.N
    assert values["seeds"] == [0, 1, 2]
    assert (values["epochs"], values["notes"]) == (156.0, ["a note"])
    assert [each["theory"] for each in values["comparisons"]] == ["linear", "spectral"]
    first = values["comparisons"][0]
    assert (first["start"], first["lr_correction"]) == ("nominal", False)
    rms = first["deviations"]["S"]["rms_mean"]
    assert rms["value"] == found[0].deviations["S"].rms_mean.value
    assert first["lateness"]["onset_epoch"]["spread"] == found[0].lateness["onset_epoch"].spread


def test_what_is_not_there_is_null() -> None:
    one = measured_like(STARTS[:1])
    values = to_dict(one, [compare(one, "linear")])
    assert values["comparisons"][0]["deviations"]["R"]["rms_seed"]["error"] is None
    assert values["comparisons"][0]["lateness"]["onset_epoch"]["spread"] is None
