"""The rates (14), (70b), (73) as numbers, and which closure follows the resolved attention."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

from derivations.models.sums import numbers
from derivations.paper import attention_closures as closures
from derivations.paper.attention import frequencies, rope_base
from derivations.symbols import T, d, omega, r, sigma2

LENGTH, WIDTH, VARIANCE = 10, 64, sp.Rational(1, 3)
RATES = {
    10: {"initial_gradient": 3.13820e-3, "linear_rate": 3.48689e-2, "quadratic_rate": 0.387432},
    10_000: {"initial_gradient": 8.59815e-4, "linear_rate": 9.55350e-3, "quadratic_rate": 0.106150},
}


def spectrum(base: int) -> np.ndarray:
    """(d/2,): omega_r by (5b)."""
    at = {rope_base: base, d: WIDTH}
    return np.array([float(frequencies.statement.rhs.subs(at | {r: q})) for q in range(WIDTH // 2)])


def rate(name: str, base: int) -> float:
    """A rate of ``attention_closures`` at T = 10, d = 64, variance 1/3."""
    form_factor = sp.lambdify((omega[r], T), closures.form_factor_closed.statement.rhs, "math")
    factors = {(q,): form_factor(angle, LENGTH) for q, angle in enumerate(spectrum(base))}
    statement = getattr(closures, name).statement
    sizes = {T: LENGTH, d: WIDTH, sigma2: VARIANCE}
    return float(numbers(statement.rhs, sizes, {closures.phi: factors}))


@pytest.mark.parametrize("base", RATES)
@pytest.mark.parametrize("name", ["initial_gradient", "linear_rate", "quadratic_rate"])
def test_rates_of_the_reference_parameters(name: str, base: int) -> None:
    assert rate(name, base) == pytest.approx(RATES[base][name], rel=3e-6)


@pytest.mark.parametrize("length", [2, 10, 1000])
def test_form_factor_series_takes_over_from_the_closed_form(length: int) -> None:
    closed = closures.form_factor_closed.statement.rhs
    for order in (2, 4, 8):
        series = closures.form_factor_series(order)
        for turn in (sp.Rational(1, 10), sp.Rational(1, 100)):
            at = {T: length, omega[r]: turn / length}
            gap = sp.N(abs(series.subs(at) / closed.subs(at) - 1), 30, maxn=200)
            assert 0 < gap < turn**order / 12  # of the order of the first term left out


@pytest.mark.parametrize("length", [2, 10, 10_000])
def test_positive_sum_and_closed_form_agree_in_double_precision(length: int) -> None:
    angle = 1e-9 / length  # so slow that the closed form would be pure rounding
    summand = closures.form_factor_sum.statement.rhs
    by_series = sp.lambdify((omega[r], T), closures.form_factor_series(4), "math")(angle, length)
    leading = (length**2 - 1) * angle**2 / 12
    assert by_series == pytest.approx(leading, rel=1e-14)
    if length <= 10:
        exact = float(summand.subs({T: length, omega[r]: sp.Float(angle, 40)}).doit())
        assert exact == pytest.approx(leading, rel=1e-14)


# --- the resolved attention ----------------------------------------------------------------------


class Planes:
    """Many heads at once, each as (X5): p (B, d/2) complex and n (B, d/2)."""

    def __init__(self, p: np.ndarray, n: np.ndarray, angles: np.ndarray) -> None:
        self.p, self.n = p, n
        lags = LENGTH + np.arange(LENGTH)[:, None] - np.arange(LENGTH)
        self.waves = np.exp(1j * angles * lags[..., None]) / math.sqrt(WIDTH)  # (T, T, d/2)

    def slopes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """R (B,), H (B, d/2) with dR = Re sum H dp, G (B,): of the softmax itself."""
        flat = self.waves.reshape(-1, WIDTH // 2)
        logits = (self.p @ flat.T).real.reshape(-1, LENGTH, LENGTH)
        weights = np.exp(logits - logits.max(axis=2, keepdims=True))
        weights /= weights.sum(axis=2, keepdims=True)
        right = np.einsum("btt->bt", weights)
        by_logit = -right[:, :, None] * weights / LENGTH
        np.einsum("btt->bt", by_logit)[:] += right / LENGTH
        H = by_logit.reshape(len(by_logit), -1) @ flat
        return right.mean(axis=1), H, (abs(H) ** 2 * self.n).sum(axis=1)


def drawn_planes(count: int, base: int, seed: int) -> Planes:
    """Heads with all entries from U(-1, 1)."""
    rng = np.random.default_rng(seed)
    q, k = (rng.uniform(-1, 1, (count, WIDTH // 2, 2)) @ [1, 1j] for _ in range(2))
    return Planes(q * k.conj(), abs(q) ** 2 + abs(k) ** 2, spectrum(base))


@pytest.mark.parametrize(("base", "ratio"), [(10, 0.980), (10_000, 0.996)])
def test_softmax_at_initialisation_is_close_to_even(base: int, ratio: float) -> None:
    """The mean of G over true softmax heads, in units of (73)."""
    _, _, G = drawn_planes(20_000, base, seed=73).slopes()
    sample = G / rate("initial_gradient", base)
    error = sample.std() / math.sqrt(len(sample))
    assert error < 0.01
    assert abs(sample.mean() - ratio) < 4 * error


def followed(count: int, base: int) -> tuple[np.ndarray, np.ndarray]:
    """R and G, (steps, B), of drawn heads along the flow (X5f), (X5g), until R > 0.93."""
    heads, curve = drawn_planes(count, base, seed=71), []
    for _ in range(400):
        R, H, G = heads.slopes()
        curve.append((R, G))
        if R.min() > 0.93:
            break
        p, n = heads.p, heads.n
        time = (np.where(R < 0.93, 0.01, 0) / G)[:, None]
        heads.p, heads.n = p + time / 2 * H.conj() * n, n + time / 2 * 4 * (H * p).real
        _, H, _ = heads.slopes()
        heads.p, heads.n = p + time * H.conj() * heads.n, n + time * 4 * (H * heads.p).real
    R, G = (np.array(values) for values in zip(*curve, strict=True))
    assert R[-1].min() > 0.9
    return R, G


@pytest.mark.parametrize(
    ("base", "expected", "best"),
    [
        (10, [1.54, 2.48, 2.76, 2.24, 1.40, 0.62], "linear"),
        (10_000, [2.29, 6.72, 10.5, 9.68, 5.80, 2.53], "quadratic"),
    ],
)
def test_closures_against_the_resolved_attention(base: int, expected: list, best: str) -> None:
    """Mean of G over drawn heads at given R, in units of (73), and which closure is nearer."""
    grid = np.array([0.15, 0.25, 0.4, 0.6, 0.8, 0.9])
    curves = followed(128, base)
    at_grid = np.array(
        [np.interp(grid, *curve) for curve in zip(*(c.T for c in curves), strict=True)]
    )
    resolved = at_grid.mean(axis=0)
    assert resolved / rate("initial_gradient", base) == pytest.approx(expected, rel=0.06)
    linear = rate("linear_rate", base) * grid * (1 - grid)
    quadratic = rate("quadratic_rate", base) * (grid * (1 - grid)) ** 2
    distance = {
        name: np.sqrt(np.mean(np.log(claimed / resolved) ** 2))
        for name, claimed in (("linear", linear), ("quadratic", quadratic))
    }
    assert min(distance, key=distance.get) == best
