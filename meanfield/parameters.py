"""One description of a model, shared by theory, simulator, sweeps and figures."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import generated, notebook
from meanfield.checks import check_array, check_field, numbers, option, require
from meanfield.errors import ParameterError

Array = NDArray[np.float64]

FREQUENCIES = {"power": generated.power_frequency, "linear": generated.linear_frequency}
SPACINGS = tuple(FREQUENCIES)
LARGEST_SIZE = 10**9  # of N, K and T: their products stay exact enough in float64
LARGEST_HEAD = 10**6  # of d_head: one frequency is kept for each RoPE plane
LARGEST_LISTED = 18  # of N: beyond, N! exceeds any K that is allowed


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Sizes, initialisation and learning rate of one model; checked when made.

    N: states, at least 2. T: actions per sequence, at least 2.
    K: permutations in the action vocabulary, 2 to N! (drawn independently, so two may be equal);
        N of them unless given.
    d_head: dimension of query and key, even. rope_theta: base of the RoPE frequencies.
    rope_spacing: "power" or "linear" frequencies, see ``rope_frequency``.
    lr: learning rate eta; training time is t = eta * epoch.
    qk_variance: variance of the query and key entries at the start; 1/3 is PyTorch's.
    w_init: half-width of the uniform start of the logic matrices W; 1/sqrt(N) unless given.

    Raises ParameterError, in one sentence, on anything else.
    """

    N: int = option(None, "states, at least 2", least=2, most=LARGEST_SIZE)
    T: int = option(None, "actions per sequence, at least 2", least=2, most=LARGEST_SIZE)
    K: int = option(
        None, "permutations to choose from, 2 to N!", least=2, most=LARGEST_SIZE, unless="N"
    )
    d_head: int = option(
        64, "dimension of query and key, even", least=2, most=LARGEST_HEAD, metavar="D"
    )
    rope_theta: float = option(10.0, "base of the RoPE frequencies", above=0, metavar="BASE")
    rope_spacing: str = option("power", "how the frequencies are spaced", choices=SPACINGS)
    lr: float = option(2.0, "learning rate", above=0)
    qk_variance: float = option(
        float(generated.uniform_variance(1.0)),  # of nn.Linear(1, d_head) without bias
        "variance of query and key entries at the start",
        above=0,
        metavar="VAR",
        unless="1/3",
    )
    w_init: float = option(
        None,
        "half-width of the uniform start of the logic matrices",
        least=0,
        metavar="W",
        unless="1/sqrt(N)",
    )

    def __post_init__(self) -> None:
        """Resolve the defaults and check every field."""
        for each in fields(self):
            value = getattr(self, each.name)
            if value is None:
                value = _default(each.name, self)
            object.__setattr__(self, each.name, check_field(each, value))
        if largest_vocabulary(self.N) < self.K:
            raise ParameterError(
                f"K must be at most N! = {math.factorial(self.N)}, the number of permutations "
                f"of N = {self.N} states, not {self.K}"
            )
        if self.d_head % 2:
            raise ParameterError(
                f"d_head must be even, as RoPE turns pairs of components, not {self.d_head}"
            )

    def _repr_html_(self) -> str:
        """Return a table for a notebook."""
        return notebook.table("Parameters", self.items())

    @cached_property
    def frequencies(self) -> tuple[float, ...]:
        """RoPE frequencies omega_r, r = 0..d_head/2 - 1."""
        return tuple(
            float(
                rope_frequency(
                    plane,
                    d_head=self.d_head,
                    rope_theta=self.rope_theta,
                    rope_spacing=self.rope_spacing,
                )
            )
            for plane in range(self.d_head // 2)
        )

    @property
    def w_variance(self) -> float:
        """Variance of the entries of W at the start."""
        return float(generated.uniform_variance(self.w_init))

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


def rope_frequency(plane: Any, *, d_head: Any, rope_theta: Any, rope_spacing: str) -> Any:
    """Return the RoPE frequency omega_r of plane r = 0..d_head/2 - 1; numbers or arrays.

    "power": rope_theta^(-2r/d_head), the usual law. "linear": 1 - (1 - 1/rope_theta) 2r/d_head.
    Both start at 1 and step towards 1/rope_theta, which r = d_head/2 would reach.
    """
    return FREQUENCIES[rope_spacing](plane, d_head, rope_theta)


def parameter_arrays(**given: Any) -> dict[str, Array]:
    """Return every numeric field of Parameters as arrays of one shape, checked like Parameters.

    given: numbers or arrays by field name, which broadcast; what is not given has its default, and
    so has None. Other names are taken along, only to be numbers. Raises ParameterError for the
    first value that cannot be.
    """
    numeric = [each for each in fields(Parameters) if each.type != "str"]
    known = SimpleNamespace(**{each.name: given.pop(each.name, None) for each in numeric})
    for each in numeric:
        value = getattr(known, each.name)
        if value is None:
            value = each.default if each.default is not None else _default(each.name, known)
        setattr(known, each.name, numbers(each.name, value))
    others = {name: numbers(name, value) for name, value in given.items()}
    together = {**vars(known), **others}
    try:
        same_shape = np.broadcast_arrays(*together.values())
    except ValueError:
        shapes = ", ".join(
            f"{name} {value.shape}" for name, value in together.items() if value.ndim
        )
        raise ParameterError(f"these shapes do not broadcast: {shapes}") from None
    arrays = dict(zip(together, same_shape, strict=True))
    for each in numeric:
        check_array(each, arrays[each.name])
    factorial = np.vectorize(largest_vocabulary, otypes=[float])
    require(arrays["K"] <= factorial(arrays["N"]), "K", arrays["K"], "at most N!")
    require(arrays["d_head"] % 2 == 0, "d_head", arrays["d_head"], "even")
    return arrays


def largest_vocabulary(N: float) -> int:
    """Return the number of permutations of N states, or more than any K where it is larger."""
    return math.factorial(min(int(N), LARGEST_LISTED))


def _default(name: str, known: Any) -> Any:
    """Return what a field is unless given, where that depends on others."""
    if name == "K":
        return known.N
    if name == "w_init":  # that of nn.Linear(N, N)
        with np.errstate(divide="ignore", invalid="ignore"):  # of an N that is refused
            return 1 / np.sqrt(np.asarray(known.N, float))[()]
    raise ParameterError(f"{name} must be given")
