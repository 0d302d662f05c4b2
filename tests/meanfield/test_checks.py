"""Values checked one at a time, as fields of a dataclass, and whole arrays at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest

from meanfield.checks import (
    boolean,
    check_array,
    check_field,
    integer,
    nonnegative,
    numbers,
    one_of,
    option,
    positive,
    real,
)
from meanfield.errors import ParameterError


@dataclass
class Example:
    count: int = option(3, "how many", least=2, most=9)
    many: int = option(3, "how many, without a bound", least=0)
    size: float = option(1.0, "how large", above=0)
    share: float = option(0.0, "how much", least=0)
    name: str = option("a", "which", choices=("a", "b", "c"))
    on: bool = option(False, "whether")


FIELDS = {each.name: each for each in fields(Example)}


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("count", 2, 2),
        ("count", np.int64(9), 9),
        ("many", 10**9, 10**9),
        ("size", 1e-300, 1e-300),
        ("size", np.float32(0.5), 0.5),
        ("share", 0, 0.0),
        ("name", "c", "c"),
        ("on", True, True),
    ],
)
def test_what_a_field_allows_is_kept_as_its_type(field: str, value: Any, kept: Any) -> None:
    found = check_field(FIELDS[field], value)
    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("count", 1, "count must be between 2 and 9, not 1"),
        ("count", 10, "count must be between 2 and 9, not 10"),
        ("count", 3.0, "count must be an integer, not 3.0"),
        ("count", True, "count must be an integer, not True"),
        ("count", None, "count must be an integer, not None"),
        ("many", -1, "many must be between 0 and 1000000000, not -1"),
        ("many", 10**9 + 1, "many must be between 0 and 1000000000, not 1000000001"),
        ("size", 0, "size must be greater than 0, not 0"),
        ("size", math.inf, "size must be a finite number, not inf"),
        ("size", "1", "size must be a finite number, not '1'"),
        ("share", -1e-9, "share must be at least 0, not -1e-09"),
        ("share", math.nan, "share must be a finite number, not nan"),
        ("name", "d", "name must be \"a\", \"b\" or \"c\", not 'd'"),
        ("on", 1, "on must be True or False, not 1"),
    ],
)  # fmt: skip
def test_what_a_field_forbids_is_one_sentence(field: str, value: Any, words: str) -> None:
    with pytest.raises(ParameterError) as caught:
        check_field(FIELDS[field], value)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("field", "values", "words"),
    [
        ("count", [2.0, 9.0, 10.0], "count must be from 2 to 9, not 10"),
        ("count", [2.0, 1.0], "count must be from 2 to 9, not 1"),
        ("count", [2.0, 2.5], "count must be an integer, not 2.5"),
        ("many", [0.0, 1e9 + 1], "many must be from 0 to 1000000000, not 1000000001"),
        ("size", [1.0, 0.0, -1.0], "size must be greater than 0, not 0"),
        ("size", [1.0, math.inf], "size must be finite, not inf"),
        ("share", [[0.0, 1.0], [-2.0, -3.0]], "share must be at least 0, not -2"),
        ("share", [math.nan], "share must be finite, not nan"),
    ],
)
def test_the_first_value_of_an_array_that_is_forbidden_is_named(
    field: str, values: Any, words: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        check_array(FIELDS[field], np.array(values))
    assert str(caught.value) == words


def test_an_array_of_allowed_values_passes() -> None:
    for field, values in (("count", [2, 9]), ("size", [1e-9, 1e9]), ("share", [0, 1])):
        check_array(FIELDS[field], np.array(values, float))


def test_numbers_are_floats_of_any_shape() -> None:
    for value in (3, [1, 2], [[1.0], [2.5]], np.float32(0.5), np.arange(3), []):
        found = numbers("x", value)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, np.asarray(value))
    for value in ("1", True, None, [True], ["a"], 1j, [[1], [1, 2]], object()):
        with pytest.raises(ParameterError, match="x must be a number or numbers, not "):
            numbers("x", value)


def test_single_values() -> None:
    with pytest.raises(ParameterError, match="x must be a finite number, not 1000"):
        real("x", 10**400)
    assert (real("x", -3), positive("x", 2), nonnegative("x", 0)) == (-3.0, 2.0, 0.0)
    assert (integer("x", 4, 4), boolean("x", False), one_of("x", "b", "ab")) == (4, False, "b")
    for check in (real, positive, nonnegative):
        for value in (True, "1", None, math.nan, 1j):
            with pytest.raises(ParameterError, match="x must be a finite number, not"):
                check("x", value)
    with pytest.raises(ParameterError, match=r'x must be "a", not \'b\''):
        one_of("x", "b", ["a"])
