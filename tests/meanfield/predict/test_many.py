"""The ODE solver and the exact quadrature: two ways to the same curve."""

from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy.special import expit

from meanfield import ParameterError, Parameters, Start, Theory, generated, predict
from meanfield.attention import closures, typical
from meanfield.predict import many
from meanfield.predict.many import in_quadrature, predict_many
from meanfield.predict.seeds import predict_seeds

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
    kappa = generated.rate_constant(p.N, p.K, closures.rate(closures.LINEAR, p))
    logit_R0, C = 0.3 * rng.normal() - np.log(p.T - 1), rng.normal()
    S0, U0 = np.array([0.3, 0.5]) / np.sqrt(kappa) * rng.normal(size=2)
    if abs(U0 / generated.basin_gap_linear(logit_R0, kappa) - 1) < 0.01:
        return draw(rng, measured)  # on the edge of the basin the curve hangs on the last digit
    return p, {"R": float(expit(logit_R0)), "Q": float(S0 + U0), "S": float(S0), "C": C}


def stack(drawn):
    names = ("N", "K", "T", "d_head", "rope_theta", "lr")
    columns = {name: np.array([getattr(p, name) for p, _ in drawn]) for name in names}
    starts = [Start(**start).resolved(p) for p, start in drawn]
    for name in "RQSC":
        columns[name] = np.array([getattr(start, name) for start in starts])
    return columns


def solved(p, name, t_end, **start):
    """The same by the solver."""
    return Theory.parse(name).prepare(p, Start(**start), None).model.solve(t_end)


def close(found, exact, tolerance=1e-8):
    scale = np.abs(exact)
    worst = float(np.max(np.abs(found - exact) - tolerance * scale, initial=-1.0))
    assert worst <= 0, f"off by {np.max(np.abs(found - exact) / np.maximum(scale, 1e-300)):.1e}"


@pytest.mark.parametrize("name", ["linear", "quadratic"])
def test_solver_agrees_with_quadrature_over_the_whole_curve(name):
    rng = np.random.default_rng(5)
    drawn = [draw(rng, measured=bool(number % 2)) for number in range(SETS)]
    columns = stack(drawn)
    onset = predict_many(name, **columns).onset_epoch
    end = np.where(onset < 1e9, np.maximum(onset, 1.0), 1e4)[:, None]
    epochs = np.concatenate([end * np.linspace(0, 3, 40), end * np.geomspace(4, 100, 10)], axis=1)
    exact = predict_many(name, epochs=epochs, **columns)
    for row, (p, given) in enumerate(drawn):
        t = epochs[row] * p.lr
        curve = solved(p, name, t[-1], **given)
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
    kappa = generated.rate_constant(p.N, p.K, closures.rate(closures.LINEAR, p))
    edge = generated.basin_gap_linear(-np.log(9), kappa)
    assert edge < 0
    share = np.array([0.5, 0.95, 1 - 1e-6, 1.05, 3.0])
    batch = predict_many(N=20, T=10, Q=edge * share, S=0.0, epochs=[0.0, 100.0, 3000.0])
    learns = np.array([True, True, True, False, False])
    assert np.array_equal(np.isfinite(batch.onset_epoch), learns)
    assert np.all(np.diff(batch.onset_epoch[learns]) > 0)
    assert np.all(batch.R[~learns, 2] < batch.R[~learns, 1])
    for row in (1, 3, 4):
        curve = solved(p, "linear", 6000.0, Q=float(edge * share[row]), S=0.0)
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
        name,
        N=[10**6, 10**6, 2, 20, 10**6, 20],
        K=[10**6, 2, 2, 10**6, 10**6, 2],
        T=[10, 10, 10**4, 10, 10**4, 10**4],
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
    batch = predict_many(N=20, T=10, R=0.3, Q=0.2, S=-0.1, C=0.5, epochs=[0.0])
    assert batch.Q[0] == pytest.approx(0.2, abs=1e-16)
    assert batch.S[0] == -0.1
    assert batch.R[0] == pytest.approx(0.3, rel=1e-14)
    assert predict_many(N=20, T=2).onset_epoch == 0.0  # R starts at 1/2


@pytest.mark.parametrize("name", ["linear", "quadratic"])
def test_the_nominal_start_is_that_of_one_prediction(name):
    """Q = S = C/N and R = 1/T, at K other than N."""
    batch = predict_many(name, N=7, K=5, T=4, C=[0.9, -0.4], epochs=[0.0, 30.0])
    for row, C in enumerate((0.9, -0.4)):
        assert (batch.Q[row, 0], batch.S[row, 0]) == pytest.approx((C / 7, C / 7), rel=1e-14)
        assert batch.R[row, 0] == pytest.approx(1 / 4, rel=1e-14)
        curve = solved(Parameters(N=7, K=5, T=4), name, 60.0, C=C)
        for found, exact in zip(
            (batch.logit_R, batch.Q, batch.S), curve(np.array([0.0, 60.0])), strict=True
        ):
            close(found[row], exact, 1e-9)


def test_accuracies_are_those_of_one_prediction():
    epochs = np.array([0.0, 100.0, 300.0, 500.0])
    N, K, T, w_init = np.array([20, 9]), np.array([7, 20]), np.array([10, 4]), np.array([0.1, 0.4])
    starts = {"R": np.array([0.2, 0.3]), "Q": 0.1, "S": np.array([0.05, 0.0]), "C": 0.4}
    batch = predict_many("quadratic", N=N, K=K, T=T, w_init=w_init, epochs=epochs, **starts)
    for row in range(2):
        p = Parameters(N=int(N[row]), K=int(K[row]), T=int(T[row]), w_init=float(w_init[row]))
        start = {name: np.broadcast_to(value, 2)[row].item() for name, value in starts.items()}
        run = predict(p, "quadratic", start=Start(**start), epochs=epochs)
        for name in ("R", "retrieval_error", "Q", "S", "next_token_error", "rollout_error"):
            close(getattr(batch, name)[row], getattr(run, name), 1e-7)
        for name in ("next_token_accuracy", "rollout_accuracy"):
            assert getattr(batch, name)[row] == pytest.approx(getattr(run, name), abs=1e-9)
        sigma = batch.logits.deviations(batch.R, batch.Q, batch.S)
        close(sigma[0][row], run.sigma_c, 1e-7)
        close(sigma[1][row], run.sigma_o, 1e-7)


def test_planes_beyond_a_head_are_none_and_many_rows_are_taken_in_chunks(monkeypatch):
    d_head, spacing = np.array([2, 6, 64, 10]), "linear"
    whole = predict_many(N=20, T=10, d_head=d_head, rope_spacing=spacing).onset_epoch
    monkeypatch.setattr(many.quadrature, "CHUNK", 40)
    close(predict_many(N=20, T=10, d_head=d_head, rope_spacing=spacing).onset_epoch, whole, 1e-12)


def test_epochs_of_each_set_are_its_own():
    batch = predict_many(N=[20, 9], T=10, epochs=[[0.0, 50.0], [10.0, 300.0]])
    for row, (N, epochs) in enumerate(((20, [0.0, 50.0]), (9, [10.0, 300.0]))):
        alone = predict_many(N=N, T=10, epochs=epochs)
        close(batch.R[row], alone.R, 1e-12)
        assert batch.epoch[row].tolist() == epochs
    assert predict_many(N=[20, 9], T=10).R.shape == (2, 0)


def test_what_is_solved_in_quadrature():
    R = sp.Symbol("R", positive=True)
    for name, possible in (
        ("linear", True), ("quadratic", True), ("linear+fluctuations", False), ("spectral", False),
        ("per-seed", False),
    ):  # fmt: skip
        assert in_quadrature(Theory.parse(name)) == possible
    for other in (
        Theory(attention=R * (1 - R)),
        Theory.parse("linear", steps=True),
        Theory.parse("linear", logits="sampled"),
        Theory.parse("linear", thermodynamic_limit=True),
    ):
        assert not in_quadrature(other)
        with pytest.raises(ParameterError, match="solved under the linear or the quadratic clos"):
            predict_many(other, N=20, T=10)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"N": [20, 1]}, "N must be from 2 to 1000000000, not 1"),
        ({"N": 2 * 10**9}, "N must be from 2 to 1000000000, not 2000000000"),
        ({"N": "20"}, "N must be a number or numbers, not '20'"),
        ({"K": 2.5}, "K must be an integer, not 2.5"),
        ({"K": [20, 1]}, "K must be from 2 to 1000000000, not 1"),
        ({"N": 3, "K": [6, 7]}, "K must be at most N!, not 7"),
        ({"d_head": 5}, "d_head must be even, not 5"),
        ({"lr": np.nan}, "lr must be finite, not nan"),
        ({"rope_theta": [1.0, -1.0]}, "rope_theta must be greater than 0, not -1"),
        ({"R": [0.5, 1.0]}, "R must be strictly between 0 and 1, not 1"),
        ({"R": 0.0}, "R must be strictly between 0 and 1, not 0"),
        ({"Q": np.nan}, "Q must be finite, not nan"),
        ({"C": np.inf}, "C must be finite, not inf"),
        ({"epochs": [-1.0]}, "epochs must be from 0 to 1e+100, not -1"),
        ({"epochs": [2e100]}, "epochs must be from 0 to 1e+100, not 2e+100"),
        ({"theory": "cubic"}, "the theory must be linear, quadratic"),
        (
            {"theory": "spectral"},
            "many parameter sets at once are solved under the linear or the quadratic closure, not "
            "by spectral: predict them one by one",
        ),
        (
            {"R0": 0.3},
            "'R0' is no parameter; there are N, T, K, d_head, rope_theta, rope_spacing, lr, ",
        ),
        ({"rope_spacing": "log"}, 'rope_spacing must be "power" or "linear", not \'log\''),
    ],
)
def test_what_cannot_be_is_refused(change, words):
    with pytest.raises(ParameterError) as caught:
        predict_many(**{"N": 20, "T": 10, **change})
    assert str(caught.value).startswith(words)


# --- labels, and what to trust -------------------------------------------------------------------


def test_a_grid_has_a_dimension_for_each_argument() -> None:
    pytest.importorskip("xarray")
    N, T = np.array([5, 6, 20]), np.array([3, 101])
    batch = predict_many(N=N[:, None], T=T, epochs=[10.0, 300.0], lr=3.0)
    data = batch.to_xarray()
    assert dict(data.sizes) == {"N": 3, "T": 2, "step": 2}
    assert data.N.values.tolist() == [5, 6, 20]
    point = data.sel(N=6, T=101)
    assert float(point.onset_epoch) == batch.onset_epoch[1, 1]
    assert point.epoch.values.tolist() == [10.0, 300.0]
    assert float(point.R[1]) == batch.R[1, 1, 1]
    assert np.array_equal(data.trusted, batch.trusted)
    assert np.array_equal(data.relative_delay, batch.relative_delay)
    assert np.array_equal(data.untrusted_closure, batch.reasons["closure"])
    assert data.attrs["lr"] == 3.0
    assert data.attrs["theory"] == "linear"
    assert data.attrs["caveats"] == " ".join(batch.caveats)
    assert data.onset_epoch.attrs["units"] == "epoch"


def test_arguments_that_vary_together_are_coordinates_of_one_axis() -> None:
    pytest.importorskip("xarray")
    data = predict_many(N=[5, 6], T=[3, 4], C=np.array([[0.1], [0.2], [0.3]])).to_xarray()
    assert dict(data.sizes) == {"C": 3, "axis_1": 2}
    assert data.N.dims == data["T"].dims == ("axis_1",)
    assert predict_many(N=5, T=4).to_xarray().onset_epoch.dims == ()
    same = predict_many(N=np.arange(5, 9).reshape(2, 2), T=4).to_xarray()
    assert same.N.dims == ("axis_0", "axis_1")


def test_a_batch_says_in_a_line_what_it_is_and_is_not() -> None:
    batch = predict_many(N=[20, 5], T=101)
    assert repr(batch).startswith("<Batch linear: 2 (N), 0 epochs, onset epoch ")
    assert repr(batch).endswith(", 2 of 2 not to be trusted>")
    first, second = batch.caveats
    assert first == (
        "the closure's onset is more than a tenth off that of the softmax attention (2 of 2)"
    )
    assert second.endswith("equal permutations and learns otherwise (1 of 2)")
    assert "softmax attention (2 of 2)" in batch._repr_html_()
    fine = predict_many(N=20, T=10)
    assert bool(fine.trusted)
    assert repr(fine).endswith("onset epoch 320.7 to 320.7>")


def test_an_onset_that_is_never_reached_is_not_trusted() -> None:
    batch = predict_many(N=20, T=10, Q=[0.0, -1.0], S=0.0)
    assert batch.onset_epoch[1] == np.inf
    assert batch.trusted.tolist() == [True, False]
    assert batch.caveats == ["R = 1/2 is not reached, or later than can be said (1 of 2)"]


def test_seeds_have_no_closure_to_trust() -> None:
    p = Parameters(N=8, T=4, d_head=8)
    q, k = typical.draw(p, 2)
    starts = [Start(q=one, k=other) for one, other in zip(q, k, strict=True)]
    batch = predict_seeds(p, "per-seed", starts=starts, epochs=[0.0, 500.0])
    assert batch.judgement is None
    assert batch.trusted.all()
    assert batch.relative_delay.tolist() == [0, 0]
    assert repr(batch).startswith("<Batch per-seed: 2 (seed), 2 epochs, onset epoch ")
    pytest.importorskip("xarray")
    assert batch.to_xarray().R.dims == ("seed", "step")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"N": [5, 6], "T": [3, 4, 5]},
            "these shapes do not go together: N (2,) and T (3,); for a grid put each on an axis of "
            "its own, as in N[:, None]",
        ),
        (
            {"N": [5, 6], "T": 3, "C": [0.1, 0.2, 0.3]},
            "these shapes do not go together: N (2,) and C (3,); for a grid",
        ),
        (
            {"N": [5, 6], "T": 3, "epochs": np.ones((3, 4))},
            "epochs of shape (3, 4) do not go with parameters of shape (2,): give (E,) for all",
        ),
    ],
)
def test_shapes_that_do_not_go_together_are_named(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError) as caught:
        predict_many(**wrong)
    assert str(caught.value).startswith(words)
