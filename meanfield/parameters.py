"""One description of a model and its training, shared by theory, simulator, sweep and figures."""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from numbers import Real
from typing import Any

SPACINGS = ("power", "linear")
LARGEST_SIZE = 10**9  # of N, K and T: their products stay exact enough in float64
LARGEST_HEAD = 10**6  # of d_head: one frequency is kept for each RoPE plane


class ParameterError(ValueError):
    """A parameter that cannot be; the message names the value and what is allowed."""


def rope_frequency(plane: Any, *, d_head: Any, rope_theta: Any, rope_spacing: str) -> Any:
    """Return the RoPE frequency omega_r of plane r = 0..d_head/2 - 1; numbers or arrays.

    "power": rope_theta^(-2r/d_head), the usual law. "linear": 1 - (1 - 1/rope_theta) 2r/d_head.
    Both start at 1 and step towards 1/rope_theta, which r = d_head/2 would reach.
    """
    fraction = 2 * plane / d_head
    if rope_spacing == "power":
        return rope_theta ** (-fraction)
    return 1 - (1 - 1 / rope_theta) * fraction


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Sizes, initialisation and learning rate of one model; checked when made.

    N: states, at least 2. T: actions per sequence, at least 2.
    K: permutations in the action vocabulary, 2 to N! (drawn independently, so two may be equal);
        N of them unless given.
    d_head: dimension of query and key, even. rope_theta: base of the RoPE frequencies.
    rope_spacing: "power" or "linear" frequencies, see rope_frequency.
    lr: learning rate eta; training time is t = eta * epoch.
    qk_variance: variance of the query and key entries at the start; 1/3 is PyTorch's.
    w_init: half-width of the uniform start of the logic matrices W; 1/sqrt(N) unless given.

    Raises ParameterError, in one sentence, on anything else.
    """

    N: int
    T: int
    K: int = None  # type: ignore[assignment]  # resolved when made
    d_head: int = 64
    rope_theta: float = 10.0
    lr: float = 2.0
    rope_spacing: str = "power"
    qk_variance: float = 1 / 3
    w_init: float = None  # type: ignore[assignment]  # resolved when made

    def __post_init__(self) -> None:
        """Resolve the defaults and check every field."""

        def fix(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        fix("N", _integer("N", self.N, 2, LARGEST_SIZE))
        fix("T", _integer("T", self.T, 2, LARGEST_SIZE))
        fix("K", _integer("K", self.N if self.K is None else self.K, 2, LARGEST_SIZE))
        if not _factorial_reaches(self.N, self.K):
            raise ParameterError(
                f"K must be at most N! = {math.factorial(self.N)}, the number of permutations "
                f"of N = {self.N} states, not {self.K}"
            )
        fix("d_head", _integer("d_head", self.d_head, 2, LARGEST_HEAD))
        if self.d_head % 2:
            raise ParameterError(
                f"d_head must be even, as RoPE turns pairs of components, not {self.d_head}"
            )
        for name in ("rope_theta", "lr", "qk_variance"):
            fix(name, positive(name, getattr(self, name)))
        if self.rope_spacing not in SPACINGS:
            raise ParameterError(
                f'rope_spacing must be "power" or "linear", not {self.rope_spacing!r}'
            )
        w_init = 1 / math.sqrt(self.N) if self.w_init is None else self.w_init
        fix("w_init", nonnegative("w_init", w_init))

    @cached_property
    def frequencies(self) -> tuple[float, ...]:
        """RoPE frequencies omega_r, r = 0..d_head/2 - 1."""
        return tuple(
            rope_frequency(
                plane,
                d_head=self.d_head,
                rope_theta=self.rope_theta,
                rope_spacing=self.rope_spacing,
            )
            for plane in range(self.d_head // 2)
        )

    @property
    def w_variance(self) -> float:
        """Variance of the entries of W at the start: w_init^2 / 3."""
        return self.w_init**2 / 3

    def to_json(self) -> str:
        """Return the canonical JSON: every field, keys sorted, no blanks."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Parameters:
        """Read what to_json wrote; an unknown or a missing key is refused."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ParameterError(f"the parameters are not JSON: {error}") from None
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            found = sorted(values) if isinstance(values, dict) else type(values).__name__
            raise ParameterError(
                f"the parameters must have exactly the keys {', '.join(sorted(names))}, "
                f"not {found if isinstance(found, str) else ', '.join(found) or 'none'}"
            )
        return cls(**values)

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that name these parameters: SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield (name, value) in the order of the fields."""
        return iter(asdict(self).items())


def real(name: str, value: Any) -> float:
    """Return value as a finite float, or raise ParameterError."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ParameterError(f"{name} must be a finite number, not {value!r}")
    return float(value)


def positive(name: str, value: Any) -> float:
    """Return value as a float above 0, or raise ParameterError."""
    if real(name, value) <= 0:
        raise ParameterError(f"{name} must be greater than 0, not {value!r}")
    return float(value)


def nonnegative(name: str, value: Any) -> float:
    """Return value as a float of at least 0, or raise ParameterError."""
    if real(name, value) < 0:
        raise ParameterError(f"{name} must be at least 0, not {value!r}")
    return float(value)


def _integer(name: str, value: Any, low: int, high: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise ParameterError(f"{name} must be an integer, not {value!r}")
    if not low <= number <= high:
        raise ParameterError(f"{name} must be between {low} and {high}, not {number}")
    return number


def _factorial_reaches(N: int, K: int) -> bool:
    """Say whether N! >= K, without forming the factorial of a large N."""
    product = 1
    for factor in range(2, N + 1):
        if product >= K:
            return True
        product *= factor
    return product >= K
