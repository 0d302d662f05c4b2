"""The ODE solver and the exact quadrature: two ways to the same curve."""

import numpy as np
import pytest
from scipy.special import expit

from meanfield import ParameterError, Parameters, dynamics, generated
from meanfield.attention import closures
from meanfield.predict.quadrature import predict_many

SETS = 100  # of each closure


def draw(rng, measured):
    """Return random parameters and, if measured, a start near the nominal one."""
    N, K, T = (int(10 ** rng.uniform(0.31, top)) for top in (3, 2.7, 2))
    p = Parameters(
        N=N,
        K=min(K, 2) if N < 6 else K,
        T=T,
        d_head=2 * int(rng.integers(1, 65)),
        rope_theta=10 ** rng.uniform(0.2, 5),
        lr=10 ** rng.uniform(-2, 1),
    )
    if not measured:
        return p, {}
    kappa = generated.kappa(p.N, p.K, closures.rate(closures.LINEAR, p))
    logit_R0, C = 0.3 * rng.normal() - np.log(p.T - 1), rng.normal()
    S0, U0 = np.array([0.3, 0.5]) / np.sqrt(kappa) * rng.normal(size=2)
    if abs(U0 / generated.basin_gap_linear(logit_R0, kappa) - 1) < 0.01:
        return draw(rng, measured)  # on the edge of the basin the curve hangs on the last digit
    return p, {"R0": float(expit(logit_R0)), "Q0": S0 + U0, "S0": S0, "C": C}


def stack(drawn):
    names = ("N", "K", "T", "d_head", "rope_theta", "lr")
    columns = {name: np.array([getattr(p, name) for p, _ in drawn]) for name in names}
    starts = [dynamics.start(p, **start) for p, start in drawn]
    for name in ("R", "Q", "S"):
        columns[f"{name}0"] = np.array([getattr(start, name) for start in starts])
    return {**columns, "C": np.array([start.C for start in starts])}


def close(found, exact, tolerance=1e-8):
    scale = np.abs(exact)
    worst = float(np.max(np.abs(found - exact) - tolerance * scale, initial=-1.0))
    assert worst <= 0, f"off by {np.max(np.abs(found - exact) / np.maximum(scale, 1e-300)):.1e}"


@pytest.mark.parametrize("name", ["linear", "quadratic"])
def test_solver_agrees_with_quadrature_over_the_whole_curve(name):
    rng = np.random.default_rng(5)
    drawn = [draw(rng, measured=bool(number % 2)) for number in range(SETS)]
    columns, closure = stack(drawn), closures.named(name)
    onset = predict_many(closure=name, **columns).onset_epoch
    end = np.where(onset < 1e9, np.maximum(onset, 1.0), 1e4)[:, None]
    epochs = np.concatenate([end * np.linspace(0, 3, 40), end * np.geomspace(4, 100, 10)], axis=1)
    exact = predict_many(closure=name, epochs=epochs, **columns)
    for row, (p, given) in enumerate(drawn):
        start = dynamics.start(p, **given)
        t = epochs[row] * p.lr
        curve = dynamics.solve(p, closure, start, rate=closures.rate(closure, p), t_end=t[-1])
        logit_R, Q, S = curve(t)
        close(expit(logit_R), exact.R[row])
        told = exact.retrieval_error[row] > 1e-300
        close(expit(-logit_R)[told], exact.retrieval_error[row][told])
        close(Q, exact.Q[row])
        close(S, exact.S[row])
        if 0 < onset[row] < epochs[row, -1]:
            assert abs(curve(onset[row] * p.lr)[0]) < 1e-8


def test_the_drawn_sets_reach_from_plateau_to_saturation():
    """The comparison above would be empty if every curve stayed flat."""
    rng = np.random.default_rng(5)
    drawn = [draw(rng, measured=bool(number % 2)) for number in range(SETS)]
    onset = predict_many(**stack(drawn)).onset_epoch
    assert np.mean(np.isfinite(onset)) > 0.8
    assert np.any(np.isinf(onset))


def test_basin_of_attraction():
    p = Parameters(N=20, T=10)
    kappa = generated.kappa(p.N, p.K, closures.rate(closures.LINEAR, p))
    edge = generated.basin_gap_linear(-np.log(9), kappa)
    assert edge < 0
    share = np.array([0.5, 0.95, 1 - 1e-6, 1.05, 3.0])
    batch = predict_many(N=20, T=10, Q0=edge * share, S0=0.0, epochs=[0.0, 100.0, 3000.0])
    learns = np.array([True, True, True, False, False])
    assert np.array_equal(np.isfinite(batch.onset_epoch), learns)
    assert np.all(np.diff(batch.onset_epoch[learns]) > 0)
    assert np.all(batch.R[~learns, 2] < batch.R[~learns, 1])
    for row in (1, 3, 4):
        start = dynamics.start(p, Q0=float(edge * share[row]), S0=0.0)
        rate = closures.rate(closures.LINEAR, p)
        curve = dynamics.solve(p, closures.LINEAR, start, rate=rate, t_end=6000.0)
        logit_R, Q, S = curve(batch.epoch[row] * p.lr)
        close(logit_R, batch.logit_R[row])
        close(Q, batch.Q[row])
        close(S[1:], batch.S[row, 1:])


def test_one_call_is_the_same_as_many():
    N, T = np.array([[5], [20], [80]]), np.array([4, 30])
    together = predict_many(N=N, T=T, K=20, epochs=np.linspace(0, 900, 7))
    assert together.R.shape == (3, 2, 7)
    assert together.onset_epoch.shape == (3, 2)
    for i in range(3):
        for j in range(2):
            alone = predict_many(N=N[i, 0], T=T[j], K=20, epochs=np.linspace(0, 900, 7))
            close(together.R[i, j], alone.R, 1e-11)
            close(together.Q[i, j], alone.Q, 1e-11)
            close(together.onset_epoch[i, j], alone.onset_epoch, 1e-11)


def test_different_numbers_of_planes_in_one_call():
    d_head = np.array([2, 16, 256])
    together = predict_many(N=20, T=10, d_head=d_head).onset_epoch
    alone = [predict_many(N=20, T=10, d_head=d).onset_epoch for d in d_head]
    close(together, np.array(alone), 1e-12)


@pytest.mark.parametrize("name", ["linear", "quadratic"])
def test_extreme_sizes_stay_finite(name):
    batch = predict_many(
        N=[10**6, 10**6, 2, 20, 10**6, 20],
        K=[10**6, 2, 2, 10**6, 10**6, 2],
        T=[10, 10, 10**4, 10, 10**4, 10**4],
        closure=name,
        epochs=[0.0, 1.0, 1e6, 1e12, 1e30],
    )
    for values in (batch.R, batch.Q, batch.S):
        assert np.all(np.isfinite(values))
        assert np.all(values >= 0)
    assert np.all(np.diff(batch.Q) > 0)
    assert np.all(batch.onset_epoch > 0)  # inf where attention cannot lock on within float64
    assert np.isinf(batch.onset_epoch[2])
    assert np.isfinite(batch.onset_epoch[:2]).all()


def test_time_zero_is_the_start_exactly():
    batch = predict_many(N=20, T=10, R0=0.3, Q0=0.2, S0=-0.1, C=0.5, epochs=[0.0])
    assert batch.Q[0] == pytest.approx(0.2, abs=1e-16)
    assert batch.S[0] == -0.1
    assert batch.R[0] == pytest.approx(0.3, rel=1e-14)
    assert predict_many(N=20, T=2).onset_epoch == 0.0  # R starts at 1/2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"N": [20, 1]}, "N must be an integer of at least 2, not 1"),
        ({"K": 2.5}, "K must be an integer of at least 2, not 2.5"),
        ({"N": 3, "K": [6, 7]}, "K must be at most N!, not 7"),
        ({"d_head": 5}, "d_head must be even, not 5"),
        ({"lr": np.nan}, "lr must be finite, not nan"),
        ({"rope_theta": [1.0, -1.0]}, "rope_theta must be greater than 0, not -1"),
        ({"R0": 1.0}, "R0 must be strictly between 0 and 1, not 1"),
        ({"epochs": [-1.0]}, "epochs must lie between 0 and 1e100"),
        ({"closure": "cubic"}, 'closure must be "linear" or "quadratic", not \'cubic\''),
        ({"rope_spacing": "log"}, "rope_spacing must be"),
    ],
)
def test_what_cannot_be_is_refused(change, words):
    with pytest.raises(ParameterError) as caught:
        predict_many(**{"N": 20, "T": 10, **change})
    assert str(caught.value).startswith(words)
