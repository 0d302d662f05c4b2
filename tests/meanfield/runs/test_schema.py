"""Types, shapes, ranges and plain values of files, each refused in one sentence."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from meanfield.errors import ParameterError
from meanfield.runs.schema import Kind, described, keys, mapping, part

KIND = Kind(shape="BE", least=0, most=1)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 3), np.float32), "x has type float32, not float64"),
        (np.zeros((2, 3), ">f8"), "x has type >f8, not float64"),
        (np.zeros((2, 3), "M8[D]"), "x has type datetime64"),
        ([[0.0] * 3] * 2, "x has type list, not float64"),
        (np.zeros((3, 2)), r"x has shape \(3, 2\), not \(2, 3\)"),
        (np.zeros(2), r"x has shape \(2,\), not \(2, 3\)"),
    ],
)
def test_type_and_shape(array: Any, words: str) -> None:
    KIND.check("x", np.zeros((2, 3)), sizes := {"B": 2})
    assert sizes == {"B": 2, "E": 3}
    with pytest.raises(ParameterError, match=words):
        KIND.check("x", array, sizes)


def test_range_up_to_rounding() -> None:
    KIND.check_values("x", np.array([0, 1, 1 + 1e-9, -1e-9]))
    for bad, words in ((1.1, "x must be between 0 and 1, not 1.1"), (np.nan, "not finite"),
                       (-np.inf, "not finite"), (-0.1, "not -0.1")):  # fmt: skip
        with pytest.raises(ParameterError, match=words):
            KIND.check_values("x", np.array([0.5, bad]))
    with pytest.raises(ParameterError, match="n must be at least 0, not -1"):
        Kind(shape="B", types=("int64",), least=0).check_values("n", np.array([0, -1]))


def test_tables_of_values() -> None:
    assert keys("it", {"a": 1}, ["a"]) == {"a": 1}
    for value, words in (({}, "it has no a"), ({"a": 1, "b": 2}, "it has an unknown b"),
                         ({"a": None}, "it has no value of a"), ([], "be a table")):  # fmt: skip
        with pytest.raises(ParameterError, match=words):
            keys("it", value, ["a"])
    assert mapping("it", {}) == {}
    assert part({"a": 0}, "a") == 0
    with pytest.raises(ParameterError, match="it says nothing of a"):
        part({}, "a")


@pytest.mark.parametrize(
    ("about", "words"),
    [
        (np.array(3), "what it says about itself is no text"),
        (np.array(["{}"]), "what it says about itself is no text"),
        (np.array("{"), "what it says about itself is not JSON"),
        (np.array("[" * 100000), "what it says about itself is not JSON"),
        (np.array('{"format": NaN}'), "NaN is no number"),
        (np.array("[1]"), r"must be a table of names and values, not \[1\]"),
        (np.array(json.dumps({"format": "cake", "version": 2})), "it says 'cake', version 2"),
        (np.array(json.dumps({"format": "pie", "version": True})), "it says 'pie', version True"),
    ],
)
def test_what_a_file_says_of_itself(about: Any, words: str) -> None:
    good = {"format": "pie", "version": 1, "more": []}
    assert described({"about": np.array(json.dumps(good))}, "pie", 1) == good
    with pytest.raises(ParameterError, match=words):
        described({"about": about}, "pie", 1)
