"""Values checked: fields that say what they allow, one value at a time, and whole arrays."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import Field, field
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import ParameterError

MOST = 10**9  # of every count that has no bound of its own
LARGEST_MEMORY = 2**30  # bytes
SHOWN = 60  # characters of a value in a message


def option(default: Any, says: str, **metadata: Any) -> Any:
    """Return a dataclass field that checks itself and that a command line can offer.

    says: what it is, for --help. metadata: least, most, above: its range; choices: the names it may
    have; unless: what it is unless given, in words, where that is no plain default; metavar; flag,
    also: its name on a command line where that is another, and further ones.
    """
    return field(default=default, metadata={"says": says, **metadata})


def check_field(of: Field[Any], value: Any) -> Any:
    """Return a value of a dataclass's field as its type; ParameterError if the field forbids it."""
    allowed = of.metadata
    if "choices" in allowed:
        return one_of(of.name, value, allowed["choices"])
    if of.type == "bool":
        return boolean(of.name, value)
    if of.type == "int":
        return integer(of.name, value, allowed["least"], allowed.get("most", MOST))
    return (positive if "above" in allowed else nonnegative)(of.name, value)


def check_array(of: Field[Any], values: NDArray[np.float64]) -> None:
    """Raise ParameterError unless a numeric field allows every one of the values."""
    allowed = of.metadata
    require(np.isfinite(values), of.name, values, "finite")
    if of.type == "int":
        least, most = allowed["least"], allowed.get("most", MOST)
        require(values == np.floor(values), of.name, values, "an integer")
        require((values >= least) & (values <= most), of.name, values, f"from {least} to {most}")
    elif "above" in allowed:
        require(values > allowed["above"], of.name, values, f"greater than {allowed['above']}")
    else:
        require(values >= allowed["least"], of.name, values, f"at least {allowed['least']}")


def require(good: NDArray[np.bool_], name: str, values: Any, allowed: str) -> None:
    """Raise ParameterError for the first of the values that is not good."""
    if not np.all(good):
        bad = np.broadcast_to(values, np.shape(good))[~good].flat[0]
        raise ParameterError(f"{name} must be {allowed}, not {bad:.12g}")


def numbers(name: str, value: Any) -> NDArray[np.float64]:
    """Return a number, or an array of them, as an array of floats, or raise ParameterError."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.array(None)
    if array.dtype.kind not in "iuf":
        raise ParameterError(f"{name} must be a number or numbers, not {shortened(value)}")
    return array.astype(float)


def real(name: str, value: Any) -> float:
    """Return value as a finite float, or raise ParameterError."""
    try:
        if not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value):
            return float(value)
    except OverflowError:  # an integer beyond all floats
        pass
    raise ParameterError(f"{name} must be a finite number, not {shortened(value)}")


def within(name: str, value: Any, largest: float) -> float:
    """Return value as a float that is not larger than this either way, or raise ParameterError."""
    if abs(real(name, value)) > largest:
        raise ParameterError(
            f"{name} must lie between {-largest:g} and {largest:g}, not {shortened(value)}"
        )
    return float(value)


def positive(name: str, value: Any) -> float:
    """Return value as a float above 0, or raise ParameterError."""
    if real(name, value) <= 0:
        raise ParameterError(f"{name} must be greater than 0, not {shortened(value)}")
    return float(value)


def nonnegative(name: str, value: Any) -> float:
    """Return value as a float of at least 0, or raise ParameterError."""
    if real(name, value) < 0:
        raise ParameterError(f"{name} must be at least 0, not {shortened(value)}")
    return float(value)


def integer(name: str, value: Any, least: int, most: int = MOST) -> int:
    """Return value as an integer from least to most, or raise ParameterError."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise ParameterError(f"{name} must be an integer, not {shortened(value)}")
    if not least <= number <= most:
        raise ParameterError(f"{name} must be between {least} and {most}, not {number}")
    return number


def shortened(value: Any) -> str:
    """Return a value as it is written, for a message: a long one by its beginning."""
    text = " ".join(repr(value).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def fits(name: str, count: int, bytes_each: int, most: int = LARGEST_MEMORY) -> int:
    """Return count, of things of so many bytes each; ParameterError if they would take too much."""
    if count * bytes_each > most:
        raise ParameterError(
            f"{name} = {count} would take {count * bytes_each / 2**30:,.3g} GiB of memory; at most "
            f"{most // bytes_each} are allowed"
        )
    return count


def boolean(name: str, value: Any) -> bool:
    """Return value, True or False, or raise ParameterError."""
    if not isinstance(value, bool):
        raise ParameterError(f"{name} must be True or False, not {shortened(value)}")
    return value


def one_of(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Return value, one of the names allowed, or raise ParameterError."""
    if value not in allowed:
        *most, last = (f'"{each}"' for each in allowed)
        listed = f"{', '.join(most)} or {last}" if most else last
        raise ParameterError(f"{name} must be {listed}, not {shortened(value)}")
    return str(value)
