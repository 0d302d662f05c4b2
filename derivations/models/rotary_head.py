"""One rotary attention head in plain complex numbers, 40 digits: what attention is checked against.

Nothing here uses a derived formula: every query and key is turned at its own position, every row
goes through the softmax, and every derivative is a central difference.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import sympy as sp
from mpmath import MPContext

from derivations import symbols as sym

DIGITS = 40
mp = MPContext()  # a context of its own: the precision of other code stays as it is
mp.dps = DIGITS
STEP = mp.mpf(10) ** -12  # of central differences: their error is about STEP**2
SIZES = ((4, 2), (3, 4))  # (T, d)

Real: TypeAlias = Any  # a number of that context; mpmath has no types
Complex: TypeAlias = Any
Row: TypeAlias = tuple[Real, ...]


@dataclass(frozen=True)
class Head:
    """One head (all indices from 0).

    omega: d/2 frequencies.  q, k: d weights each, plane r is the entries r and r + d/2.
    bias: (T, T), added to the attention logits; row t is prediction position T+1+t.
    """

    T: int
    omega: Row
    q: Row
    k: Row
    bias: tuple[Row, ...]

    @property
    def d(self) -> int:
        """Head dimension."""
        return len(self.q)

    def logits(self) -> tuple[Row, ...]:
        """(T, T): product of query and key, each turned at its own position, over sqrt(d)."""

        def turned(vector: Row, position: int) -> list[Complex]:
            pairs = zip(vector[: self.d // 2], vector[self.d // 2 :], self.omega, strict=True)
            return [mp.mpc(first, second) * mp.expj(w * position) for first, second, w in pairs]

        keys = [turned(self.k, position) for position in range(1, self.T + 1)]
        rows = []
        for t in range(self.T):
            own = turned(self.q, self.T + 1 + t)
            products = [
                sum((x * mp.conj(y)).real for x, y in zip(own, other, strict=True))
                for other in keys
            ]
            rows.append(
                tuple(x / mp.sqrt(self.d) + y for x, y in zip(products, self.bias[t], strict=True))
            )
        return tuple(rows)

    def attention(self) -> tuple[Row, ...]:
        """(T, T): softmax of each row of logits."""
        return tuple(softmax(row) for row in self.logits())

    def retrieval(self) -> Real:
        """R: mean attention on the right action, the diagonal."""
        rows = self.attention()
        return sum(rows[t][t] for t in range(self.T)) / self.T

    def moved(self, vector: str, index: int, by: Real) -> Head:
        """The head with one entry of ``"q"`` or ``"k"`` moved."""
        entries = list(getattr(self, vector))
        entries[index] += by
        return replace(self, q=tuple(entries)) if vector == "q" else replace(self, k=tuple(entries))

    def slope(self, vector: str, index: int, quantity: Callable[[Head], Real]) -> Real:
        """Central difference of ``quantity`` in one entry of ``"q"`` or ``"k"``."""
        ahead, behind = (quantity(self.moved(vector, index, step)) for step in (STEP, -STEP))
        return (ahead - behind) / (2 * STEP)

    def gradient(self, quantity: Callable[[Head], Real]) -> tuple[Row, Row]:
        """Central differences of ``quantity`` in all entries of q and of k."""
        by_q, by_k = (
            tuple(self.slope(vector, index, quantity) for index in range(self.d)) for vector in "qk"
        )
        return by_q, by_k

    def with_attention(self, rows: tuple[Row, ...]) -> Head:
        """The head with such a bias that its attention here is ``rows``."""
        plain = replace(self, bias=zeros(self.T)).logits()
        bias = tuple(
            tuple(mp.log(a) - x for a, x in zip(*pair, strict=True))
            for pair in zip(rows, plain, strict=True)
        )
        return replace(self, bias=bias)

    def sizes(self) -> dict[sp.Symbol, int]:
        """T and d by symbol, as ``sums.numbers`` takes them."""
        return {sym.T: self.T, sym.d: self.d}


def softmax(row: Row) -> Row:
    """Positive weights that sum to 1."""
    weights = [mp.exp(x) for x in row]
    return tuple(weight / sum(weights) for weight in weights)


def zeros(T: int) -> tuple[Row, ...]:
    """No bias."""
    return ((mp.mpf(0),) * T,) * T


def exchangeable(T: int, R: Real) -> tuple[Row, ...]:
    """The same attention R on the right action of every row, the rest spread evenly."""
    return tuple(tuple(R if j == t else (1 - R) / (T - 1) for j in range(T)) for t in range(T))


def random_head(T: int, d: int, *, seed: int = 0) -> Head:
    """A random head without bias, weights and frequencies of order 1."""
    rng = random.Random(f"{T} {d} {seed}")
    omega, q, k = (
        tuple(mp.mpf(rng.uniform(low, 2)) for _ in range(count))
        for low, count in ((0.1, d // 2), (-2, d), (-2, d))
    )
    return Head(T, omega, q, k, zeros(T))


def random_heads() -> tuple[Head, ...]:
    """One random head at each of SIZES."""
    return tuple(random_head(T, d) for T, d in SIZES)


def entries(values: Row, *, first: int = 0) -> dict[tuple[int, ...], sp.Float]:
    """A vector as ``sums.numbers`` takes it."""
    return {(first + q,): exact(value) for q, value in enumerate(values)}


def by_position(rows: tuple[Row, ...]) -> dict[tuple[int, ...], sp.Float]:
    """A (T, T) matrix as ``sums.numbers`` takes it: predictors T+1..2T, actions 1..T."""
    T = len(rows)
    return {(T + 1 + t, j + 1): exact(rows[t][j]) for t in range(T) for j in range(T)}


def exact(value: Real) -> sp.Float:
    """The same number for SymPy."""
    return sp.Float(value, DIGITS)
