"""The generated loss with fluctuations, and the flow down it, against the plain statements."""

from __future__ import annotations

import math
import random

import mpmath
import numpy as np
import pytest
import sympy as sp

from derivations import fluctuations, logic, matrices, rollout, solution, variances
from derivations.dynamics import U, V
from derivations.solution import U_0, V_0
from derivations.symbols import C, Delta, K, N, R, T, g
from meanfield import generated

ARGUMENTS = (R, variances.u, variances.v, U_0, V_0, C, logic.c_2, variances.sigma_W2, N, K, T)
RNG = random.Random(8)


def a_point() -> dict[sp.Symbol, sp.Rational]:
    sizes = RNG.choice([(2, 2, 2), (3, 2, 4), (20, 20, 10), (7, 50, 3), (40, 5, 30)])
    values = [sp.Rational(RNG.randint(low, high), 64) for low, high in
              ((1, 63), (0, 200), (0, 300), (-30, 30), (-30, 90), (-90, 90))]  # fmt: skip
    overlap = sp.Rational(RNG.randint(8, 12), 10) / sizes[0] + sp.Rational(1, 50)
    if 1 + (sizes[1] - 1) * overlap <= sp.Rational(sizes[1], sizes[0]):
        overlap = sp.Rational(1, sizes[0])
    wanted = (*values, overlap, sp.Rational(RNG.randint(0, 64), 640), *sizes)
    return dict(zip(ARGUMENTS, wanted, strict=True))


POINTS = [a_point() for _ in range(30)]


def plain_loss(point: dict[sp.Symbol, sp.Rational]) -> mpmath.mpf:
    """The statements one after the other, 50 digits."""
    at = dict(point)
    at[U] = sp.solve(matrices.gap_by_retrieval_part.statement.subs(at), U)[0]
    at[V] = sp.solve(matrices.total_by_heuristic.statement.subs(at), V)[0]
    at[Delta] = solution.margin_by_gap.statement.rhs.subs(at)
    at[variances.I_2] = variances.squared_attention.statement.rhs.subs(at)
    spreads = {
        rollout.sigma_c: sp.sqrt(variances.variance_right.statement.rhs.subs(at)),
        rollout.sigma_o: sp.sqrt(variances.variance_other.statement.rhs.subs(at)),
        fluctuations.w_0: fluctuations.variance_from_start.statement.rhs.subs(at),
    }
    at[g] = fluctuations.error_signal.statement.rhs.subs(at)
    return sp.N(fluctuations.second_order_loss.statement.rhs.subs(spreads).subs(at), 50)


@pytest.mark.parametrize("point", POINTS[:12])
def test_the_loss_is_as_stated(point: dict) -> None:
    found = generated.corrected_loss(*(float(value) for value in point.values()))
    assert found == pytest.approx(float(plain_loss(point)), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("point", POINTS)
def test_the_flow_is_down_the_slopes_of_the_loss(point: dict) -> None:
    state = np.array([float(value) for value in point.values()])
    N_, K_, overlap = state[8], state[9], state[6]

    def slope(entry: int) -> float:
        h, ends = 1e-4, []
        for step in (2, 1, -1, -2):  # fourth order
            moved = state.copy()
            moved[entry] += step * h
            ends.append(float(generated.corrected_loss(*moved)))
        return (-ends[0] + 8 * ends[1] - 8 * ends[2] + ends[3]) / (12 * h)

    drive, du, dv = generated.corrected_flow(*state)
    assert drive == pytest.approx(-slope(0), rel=1e-7, abs=1e-9)
    assert du == pytest.approx(-slope(1) / (N_ * (K_ - 1) * (1 - overlap)), rel=1e-7, abs=1e-9)
    gain = 1 + (K_ - 1) * overlap - K_ / N_
    assert dv == pytest.approx(-slope(2) / (N_ * gain), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("N_", "K_", "T_"), [(2, 3, 2), (20, 20, 10), (9, 4, 6)])
def test_without_fluctuations_it_is_the_mean_field_flow(N_: int, K_: int, T_: int) -> None:
    """Before training, W(0) = 0: the logits are certain, and Q and S grow by (15b), (15c)."""
    R_, U_, V_, C_ = 0.3, 0.2, 0.7, 0.1
    overlap = 1 / N_
    Q_, S_ = U_ + (V_ - U_) / K_, (V_ - U_) / K_
    arguments = (R_, 0.0, 0.0, U_, V_, C_, overlap, 0.0, N_, K_, T_)
    margin = generated.margin(R_, Q_, S_, C_, N_, K_)
    assert generated.corrected_loss(*arguments) == pytest.approx(generated.loss(margin, N_))
    drive, du, dv = generated.corrected_flow(*arguments)
    expected = generated.attention_drive(R_, Q_, S_, C_, N_, K_)
    assert drive == pytest.approx(expected, rel=1e-13)
    _, dQ, dS = generated.rhs_linear(math.log(R_ / (1 - R_)), Q_, S_, C_, N_, K_, 1.0)
    dU, dV = (1 - overlap) * du, (1 + (K_ - 1) * overlap - K_ / N_) * dv
    assert dU == pytest.approx(dQ - dS, rel=1e-12)
    assert dV == pytest.approx(dQ + (K_ - 1) * dS, rel=1e-12)


@pytest.mark.parametrize("C_", [-2e4, 0.0, 2e4])
@pytest.mark.parametrize("R_", [1e-12, 0.5, 1 - 1e-15])
def test_at_extreme_margins(C_: float, R_: float) -> None:
    with np.errstate(all="raise", under="ignore"):
        arguments = (R_, 3.0, 5.0, 0.0, 0.0, C_, 0.05, 0.01, 20, 20, 10)
        found = [generated.corrected_loss(*arguments), *generated.corrected_flow(*arguments)]
    assert np.all(np.isfinite(found))


def test_when_little_is_wrong_every_rate_is_in_proportion_to_it() -> None:
    """The relative accuracy stays however small g is: nothing cancels against one."""
    rates = []
    for C_ in (-600.0, -1200.0):
        arguments = (0.9, 3.0, 5.0, 0.0, 0.0, C_, 0.05, 0.01, 20, 20, 10)
        margin = generated.margin_by_gap(0.9, 3.0 * 0.95, 5 * (19 * 0.05), C_, 20, 20)
        flow = np.array(generated.corrected_flow(*arguments))
        rates.append(flow / generated.error_signal(margin, 20))
    np.testing.assert_allclose(rates[0], rates[1], rtol=1e-6)
