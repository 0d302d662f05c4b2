"""What a file may hold: the type, shape and range of each array, a row an array; and plain values.

Whatever does not fit raises ParameterError; ``files.reading`` adds which file it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import ParameterError

ROUNDING = 1e-6  # how far beyond its range a computed number may lie


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What an array may be.

    shape: the letters of its dimensions. types: the names of the types it may have. least, most:
    its range, up to rounding.
    """

    shape: str
    types: tuple[str, ...] = ("float64",)
    least: float = -math.inf
    most: float = math.inf

    def check(self, name: str, array: Any, sizes: dict[str, int]) -> None:
        """Raise ParameterError unless the array has a type of these, and the shape.

        sizes: of each letter; a letter that is not there yet is added.
        """
        if not isinstance(array, np.ndarray) or array.dtype not in self.types:
            found = getattr(array, "dtype", type(array).__name__)
            raise ParameterError(f"{name} has type {found}, not {' or '.join(self.types)}")
        if array.ndim == len(self.shape):
            for letter, size in zip(self.shape, array.shape, strict=True):
                sizes.setdefault(letter, size)
        wanted = tuple(sizes.get(letter, letter) for letter in self.shape)
        if array.shape != wanted:
            raise ParameterError(f"{name} has shape {array.shape}, not {wanted}")

    def check_values(self, name: str, values: NDArray[Any]) -> None:
        """Raise ParameterError unless all values are finite and within the range."""
        if values.dtype.kind == "f" and not np.all(np.isfinite(values)):
            raise ParameterError(f"{name} holds values that are not finite")
        slack = ROUNDING if values.dtype.kind == "f" else 0
        bad = (values < self.least - slack) | (values > self.most + slack)
        if np.any(bad):
            allowed = (
                f"between {self.least:g} and {self.most:g}"
                if math.isfinite(self.most)
                else f"at least {self.least:g}"
            )
            raise ParameterError(f"{name} must be {allowed}, not {values[bad].flat[0]:.12g}")


def keys(name: str, value: Any, wanted: Collection[str]) -> dict[str, Any]:
    """Return a mapping that has exactly the keys wanted, none of them null."""
    values = mapping(name, value)
    for which, left in (
        ("no", set(wanted) - set(values)),
        ("an unknown", set(values) - set(wanted)),
    ):
        if left:
            raise ParameterError(f"{name} has {which} {', '.join(sorted(left))}")
    for key, each in values.items():
        if each is None:
            raise ParameterError(f"{name} has no value of {key}")
    return values


def mapping(name: str, value: Any) -> dict[str, Any]:
    """Return a mapping from names to values, as JSON has it."""
    if not isinstance(value, dict):
        raise ParameterError(f"{name} must be a table of names and values, not {value!r}")
    return value


def described(arrays: Mapping[str, NDArray[Any]], form: str, version: int) -> dict[str, Any]:
    """Return what a file says of itself under "about", in JSON, of this format and version."""
    text = arrays["about"]
    if text.dtype.kind != "U" or text.shape != ():
        raise ParameterError("what it says about itself is no text")
    try:
        values = json.loads(str(text), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:  # whatever the text is
        raise ParameterError(f"what it says about itself is not JSON: {error}") from None
    about = mapping("what it says about itself", values)
    found = about.get("format"), about.get("version")
    if found != (form, version) or type(found[1]) is not int:
        raise ParameterError(f"it says {found[0]!r}, version {found[1]!r}")
    return about


def part(about: Mapping[str, Any], name: str) -> Any:
    """Return a value of what a file says of itself, or raise ParameterError."""
    if name not in about:
        raise ParameterError(f"it says nothing of {name}")
    return about[name]


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")
