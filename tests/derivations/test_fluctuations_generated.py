"""The generated loss with fluctuations, and the flow down it, against the plain statements."""

from __future__ import annotations

import random

import mpmath
import numpy as np
import pytest
import sympy as sp

from derivations.beyond import fluctuations, matrices, solution, variances
from derivations.beyond.solution import U_0, V_0
from derivations.paper import logic, rollout
from derivations.paper.dynamics import U, V
from derivations.paper.regimes import Q_0, S_0
from derivations.symbols import C, Delta, K, N, Q, R, S, T, g
from meanfield import generated

ARGUMENTS = (R, Q, S, Q_0, S_0, C, logic.c_2, variances.sigma_W2, N, K, T)
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
    for letter, combined in ((U, Q - S), (V, Q + (K - 1) * S)):
        at[letter] = combined.subs(point)
    at[U_0], at[V_0] = at[Q_0] - at[S_0], at[Q_0] + (at[K] - 1) * at[S_0]
    at[variances.u] = sp.solve(matrices.gap_by_retrieval_part.statement.subs(at), variances.u)[0]
    at[variances.v] = sp.solve(matrices.total_by_heuristic.statement.subs(at), variances.v)[0]
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

    def slope(*direction: float) -> float:
        h, ends = 1e-4, []
        for step in (2, 1, -1, -2):  # fourth order
            moved = state.copy()
            moved[:3] += step * h * np.array(direction)
            ends.append(float(generated.corrected_loss(*moved)))
        return (-ends[0] + 8 * ends[1] - 8 * ends[2] + ends[3]) / (12 * h)

    drive, dQ, dS = generated.corrected_rates(*state)
    assert drive == pytest.approx(-slope(1, 0, 0), rel=1e-7, abs=1e-9)
    by_U, by_V = slope(0, 1 - 1 / K_, -1 / K_), slope(0, 1 / K_, 1 / K_)
    dU = -by_U * (1 - overlap) / (N_ * (K_ - 1))  # (X8f), and (X4c) for U by u
    dV = -by_V * (1 + (K_ - 1) * overlap - K_ / N_) / N_  # (X8g), (X4d)
    assert dQ - dS == pytest.approx(dU, rel=1e-6, abs=1e-9)
    assert dQ + (K_ - 1) * dS == pytest.approx(dV, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("N_", "K_", "T_"), [(2, 3, 2), (20, 20, 10), (9, 4, 6)])
def test_without_fluctuations_it_is_the_mean_field_flow(N_: int, K_: int, T_: int) -> None:
    """Before training, W(0) = 0: the logits are certain, and Q and S grow by (15b), (15c)."""
    R_, Q_, S_, C_ = 0.3, 0.4, 0.1, 0.1
    arguments = (R_, Q_, S_, Q_, S_, C_, 1 / N_, 0.0, N_, K_, T_)
    margin = generated.margin(R_, Q_, S_, C_, N_, K_)
    assert generated.corrected_loss(*arguments) == pytest.approx(generated.loss(margin, N_))
    drive, dQ, dS = generated.corrected_rates(*arguments)
    mean_field = generated.driven_rates(R_, 1 - R_, Q_, S_, C_, N_, K_)
    assert (drive, dQ, dS) == pytest.approx(mean_field, rel=1e-12)


@pytest.mark.parametrize("C_", [-2e4, 0.0, 2e4])
@pytest.mark.parametrize("R_", [1e-12, 0.5, 1 - 1e-15])
def test_at_extreme_margins(C_: float, R_: float) -> None:
    with np.errstate(all="raise", under="ignore"):
        arguments = (R_, 3.0, 0.1, 0.0, 0.0, C_, 0.05, 0.01, 20, 20, 10)
        found = [generated.corrected_loss(*arguments), *generated.corrected_rates(*arguments)]
    assert np.all(np.isfinite(found))


def test_when_little_is_wrong_every_rate_is_in_proportion_to_it() -> None:
    """The relative accuracy stays however small g is: nothing cancels against one."""
    rates = []
    for C_ in (-600.0, -1200.0):
        arguments = (0.9, 3.0, 0.1, 0.0, 0.0, C_, 0.05, 0.01, 20, 20, 10)
        wrong = generated.error_signal(generated.margin(0.9, 3.0, 0.1, C_, 20, 20), 20)
        rates.append(np.array(generated.corrected_rates(*arguments)) / wrong)
    np.testing.assert_allclose(rates[0], rates[1], rtol=1e-6)
