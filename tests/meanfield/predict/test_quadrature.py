"""The ways of the quadrature: what they keep, where they end, and when they give up loudly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from meanfield import generated
from meanfield.predict import quadrature
from meanfield.predict.quadrature import Rows, chunks, locking, losing, solve
from meanfield.theory import CLOSURES

N, K, RATE = 20.0, 7.0, 0.035
KAPPA = generated.rate_constant(N, K, RATE)
LINEAR = CLOSURES["linear"].solution


def rows(U0: float, S0: float = 0.05, logit_R0: float = -2.0, t_end: float = 900.0) -> Rows:
    """One parameter set."""
    values = (N, K, 0.3, U0, S0, logit_R0, KAPPA, t_end, 0.0)
    return Rows(*(np.full((1, 1), float(value)) for value in values))


def prepared(solution: object, one: Rows) -> Rows:
    """With the scale on which R changes, as ``solve`` sets it."""
    basin = np.asarray(solution.basin_gap(one.logit_R0, one.kappa))  # type: ignore[attr-defined]
    p0 = -basin if np.all(np.isfinite(basin)) else np.sqrt(one.U0**2 + 2 / one.kappa)
    return replace(one, p0=np.broadcast_to(p0, one.U0.shape))


@pytest.mark.parametrize("name", ["linear", "quadratic"])
@pytest.mark.parametrize("U0", [0.0, 0.1, -0.1])
def test_along_a_way_that_locks_on(name: str, U0: float) -> None:
    """dV = dU / R, and R and U keep the function that the closure conserves."""
    solution = CLOSURES[name].solution
    one = prepared(solution, rows(U0))
    way, x, step = locking(solution), np.linspace(0.01, 6, 40)[None], 1e-6
    U_gained, logit_R, dV = way.path(x, one)
    ahead, behind = (way.path(x + by, one)[0] for by in (step, -step))
    assert dV * expit(logit_R) == pytest.approx((ahead - behind) / (2 * step), rel=1e-6)
    conserved = solution.logit_R(U0 + U_gained, U0, -2.0, KAPPA)
    assert logit_R == pytest.approx(conserved, rel=1e-9, abs=1e-9)
    start = way.path(np.zeros((1, 1)), one)
    assert (start[0].item(), start[1].item()) == (0.0, pytest.approx(-2.0, rel=1e-12))
    onset = way.x_onset(one)
    assert way.path(onset, one)[1].item() == pytest.approx(0, abs=1e-9)
    assert way.x_last(one).item() >= onset.item()


def test_along_a_way_out_of_the_basin() -> None:
    one, step = rows(-3.0), 1e-6
    assert LINEAR.basin_gap(-2.0, KAPPA) > -3.0
    way, x = losing(LINEAR), np.linspace(0.01, 3, 40)[None]
    U_gained, logit_R, dV = way.path(x, one)
    assert logit_R == pytest.approx(-2.0 - x, rel=1e-14)
    ahead, behind = (way.path(x + by, one)[0] for by in (step, -step))
    assert dV * expit(logit_R) == pytest.approx((ahead - behind) / (2 * step), rel=1e-6)
    squared = LINEAR.squared_gap(logit_R, -2.0, KAPPA)
    assert (U_gained - 3.0) ** 2 - 9 == pytest.approx(squared, rel=1e-10)
    assert np.all(U_gained - 3.0 < 0)
    assert np.isinf(way.x_onset(one))


def test_some_rows_of_many() -> None:
    many = Rows(*(np.arange(5.0)[:, None] + n for n in range(9)))
    some = many[np.array([3, 0])]
    assert some.K.ravel().tolist() == [4.0, 1.0]
    assert some.p0.ravel().tolist() == [11.0, 8.0]


def test_rows_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quadrature, "CHUNK", 100)
    pieces = chunks(np.arange(10), 35)
    assert np.concatenate(pieces).tolist() == list(range(10))
    assert max(map(len, pieces)) * 35 <= 100 + 35
    assert len(chunks(np.arange(10), 0)) == 1


def test_the_time_of_an_onset_is_that_of_internal_time() -> None:
    """dt = N K dV / g, summed over very fine steps by hand."""
    one = rows(0.02)
    logit_R, U_gained, S_gained, onset = solve(LINEAR, one, np.array([[0.0, 100.0, 900.0]]))
    way, fine = locking(LINEAR), prepared(LINEAR, one)
    x = np.linspace(0, way.x_onset(fine).item(), 200_001)[None]
    U, rho, dV = way.path(x, fine)
    Z = np.concatenate([[0], np.cumsum((expit(-rho) * dV)[0, 1:] * np.diff(x[0]))])
    S = 0.05 + Z / K
    Q = 0.02 + U[0] + S
    margin = generated.margin(expit(rho[0]), Q, S, 0.3, N, K)
    g = (N - 1) / (N - 1 + np.exp(margin))
    t = np.sum((N * K * dV[0] / g)[1:] * np.diff(x[0]))
    assert onset[0] == pytest.approx(t, rel=1e-4)
    assert (U_gained[0, 0], S_gained[0, 0], logit_R[0, 0]) == (0.0, 0.0, pytest.approx(-2.0))
    assert np.all(np.diff(logit_R[0]) > 0)
    beyond = solve(LINEAR, rows(0.02, logit_R0=float(logit(0.7))), np.array([[900.0]]))
    assert beyond[3].tolist() == [0.0]


def test_an_end_that_is_not_reached_is_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    edges, cost = np.linspace(0, 1e-3, 17)[None], np.linspace(0, 9, 17)[None]
    monkeypatch.setattr(quadrature, "_look", lambda *_: (edges, cost))
    with pytest.raises(ArithmeticError, match="ends before the last epoch asked for"):
        solve(LINEAR, rows(0.02), np.array([[900.0]]))
