import dataclasses
import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
from scipy.special import logit

from meanfield import ParameterError, Parameters, dynamics, generated
from meanfield.attention import closures
from meanfield.errors import SolverError
from meanfield.logits import gaussian as accuracy
from meanfield.predict import prediction
from meanfield.predict.quadrature import predict_many

predict = partial(prediction.predict, closure="linear")  # the paper's, unless a test says otherwise

DEFAULT = Parameters(N=20, T=10)


def test_a_default_run_shows_plateau_transition_and_saturation():
    for closure in ("linear", "quadratic"):
        run = predict(DEFAULT, closure=closure)
        order = [
            0.0,
            run.heuristic_end_epoch,
            run.onset_epoch,
            run.rollout_half_epoch,
            run.saturation_epoch,
            run.epoch[-1],
        ]
        assert all(a < b for a, b in pairwise(order))
        assert run.R[0] == pytest.approx(0.1)
        assert run.R[-1] > 0.95
        assert run.heuristic_end_epoch > 0.2 * run.epoch[-1]
        assert run.rollout_accuracy[-1] > 0.999
        assert run.next_token_accuracy[0] == pytest.approx(0.05)
        for rising in (run.R, run.Q, run.S, run.margin, run.next_token_accuracy):
            assert np.all(np.diff(rising) >= -1e-12)
        assert np.all(np.diff(run.loss) < 0)
        assert run.loss[0] == pytest.approx(math.log(20))


def test_marked_epochs_lie_on_the_curve():
    run = predict(DEFAULT)
    for epoch, value, curve in (
        (run.heuristic_end_epoch, 0.19, "R"),
        (run.onset_epoch, 0.5, "R"),
        (run.rollout_half_epoch, 0.5, "rollout_accuracy"),
        (run.saturation_epoch, 0.99, "rollout_accuracy"),
    ):
        there = predict(DEFAULT, epochs=epoch, points=2)
        assert getattr(there, curve)[-1] == pytest.approx(value, abs=1e-8)
    assert run.onset_epoch == pytest.approx(float(predict_many(N=20, T=10).onset_epoch), rel=1e-9)


def test_epochs_one_by_one():
    wanted = [0, 7, 320, 321.5]
    run = predict(DEFAULT, epochs=wanted)
    assert run.epoch.tolist() == wanted
    evenly = predict(DEFAULT, epochs=321.5, points=644)
    assert pytest.approx(evenly.R[[0, 14, 640, 643]], rel=1e-9) == run.R
    assert run.onset_epoch == pytest.approx(evenly.onset_epoch, rel=1e-9)


def test_early_training_follows_equation_78():
    run = predict(DEFAULT, epochs=1e-3, points=3, C=0.4)
    t = run.epoch * DEFAULT.lr
    assert pytest.approx(generated.early_Q(t, 0.0, 20, 20, 10), rel=1e-4) == run.Q - 0.02
    assert pytest.approx(generated.early_S(t, 0.0, 20, 20, 10), rel=1e-4) == run.S - 0.02
    assert run.margin[0] == pytest.approx(0.0, abs=1e-15)


def test_only_lr_times_epoch_counts():
    slow = Parameters(N=20, T=10, lr=0.5)
    assert pytest.approx(predict(DEFAULT, epochs=400).R, rel=1e-9) == predict(slow, epochs=1600).R


def test_large_N_and_K_reach_the_thermodynamic_limit():
    sizes = [(20, 20), (200, 200), (2000, 2000)]
    gaps = []
    for N, K in sizes:
        p = Parameters(N=N, K=K, T=10)
        finite, limit = (predict(p, points=2, thermodynamic_limit=on) for on in (False, True))
        gaps.append(finite.onset_epoch / limit.onset_epoch - 1)
    assert gaps == pytest.approx([0, 0, 0], abs=1e-9)  # N/(N-1) (K-1)/K = 1 when K = N
    p = Parameters(N=20, K=2000, T=10)
    finite, limit = (predict(p, points=2, thermodynamic_limit=on) for on in (False, True))
    assert limit.onset_epoch > finite.onset_epoch  # the factor dropped is above 1
    rate = closures.rate(closures.LINEAR, p) * 19 / 20 * 2000 / 1999
    by_hand = dynamics.solve(
        p, closures.LINEAR, dynamics.start(p), rate=rate, t_end=limit.onset_epoch * p.lr
    )
    assert by_hand(by_hand.end)[0] == pytest.approx(0, abs=1e-8)


def test_jacobian_of_the_solver_is_that_of_its_right_hand_side():
    start = dynamics.start(DEFAULT, C=0.3, Q0=0.1, S0=-0.05)
    for closure in closures.CLOSURES.values():
        rate = closures.rate(closure, DEFAULT)
        system = dynamics.system(DEFAULT, closure, start, rate)
        rhs, jacobian = system.rhs, system.jacobian
        state, step = np.array([-0.7, 0.8, 0.2]), 1e-5
        columns = [
            (np.array(rhs(0.0, state + by)) - np.array(rhs(0.0, state - by))) / (2 * step)
            for by in step * np.eye(3)
        ]
        assert np.all(np.abs(jacobian(0.0, state)) > 0)
        assert jacobian(0.0, state) == pytest.approx(np.column_stack(columns), rel=1e-6)


def test_the_generated_jacobian_drives_an_implicit_solver():
    start = dynamics.start(DEFAULT, C=0.3, Q0=0.1, S0=-0.05)
    for closure in closures.CLOSURES.values():
        rate = closures.rate(closure, DEFAULT)
        explicit, implicit = (
            dynamics.solve(
                DEFAULT, closure, start, rate=rate, t_end=800.0, method=method, rtol=1e-8
            )
            for method in ("DOP853", "Radau")
        )
        t = np.linspace(0, 800, 50)
        for a, b in zip(explicit(t), implicit(t), strict=True):
            assert a == pytest.approx(b, rel=1e-5, abs=1e-6)


def test_a_curve_goes_on_where_it_ended():
    start, rate = dynamics.start(DEFAULT), closures.rate(closures.LINEAR, DEFAULT)

    def on(t_end, after=None):
        return dynamics.solve(DEFAULT, closures.LINEAR, start, rate=rate, t_end=t_end, after=after)

    in_two, at_once = on(900.0, on(300.0)), on(900.0)
    t = np.array([[0.0, 299.0, 300.0], [300.1, 600.0, 900.0]])
    for a, b in zip(in_two(t), at_once(t), strict=True):
        assert a.shape == t.shape
        assert a == pytest.approx(b, rel=1e-9, abs=1e-12)
    with pytest.raises(ValueError, match="from t = 0 to 900"):
        at_once(901.0)


def test_solver_failure_is_loud():
    def rhs(*_):
        return math.nan, math.nan, math.nan

    broken = dataclasses.replace(closures.LINEAR, rhs=rhs)
    with pytest.raises(SolverError, match="could not be solved beyond epoch"):
        dynamics.solve(DEFAULT, broken, dynamics.start(DEFAULT), rate=1.0, t_end=100.0)


def test_outside_the_basin_R_falls_and_the_report_says_so():
    run = predict(DEFAULT, Q0=-1.0, S0=0.0)
    assert run.onset_epoch is None
    assert run.R[-1] < 1e-2
    assert "it never returns: outside its basin of attraction" in "\n".join(run.phases())
    inside = predict(DEFAULT, Q0=-0.05, S0=0.0)
    assert inside.onset_epoch > predict(DEFAULT).onset_epoch


def test_the_basin_is_the_linear_closure_s_own():
    run = predict(DEFAULT, Q0=-1.0, S0=0.0, closure="quadratic", points=9)
    attention = run.phases()[1]
    assert "R falls from 0.1 to" in attention
    assert "in the quadratic closure it returns, however late" in attention
    R, gamma = sp.symbols("R gamma", positive=True)
    own = predict(DEFAULT, Q0=-1.0, S0=0.0, closure=gamma * R * (1 - R) ** 2, points=9)
    assert own.phases()[1].endswith("as Q starts below S")


def test_the_basin_is_that_of_the_equations_solved():
    p = Parameters(N=20, K=2, T=10)
    rate = closures.rate(closures.LINEAR, p)
    finite = generated.basin_gap_linear(logit(0.1), generated.kappa(20, 2, rate))
    limit = finite * math.sqrt(20 / 19 * 1 / 2)  # kappa grows by what is dropped
    for thermodynamic_limit, gap in ((False, finite), (True, limit)):
        for by, outside in ((1.01, True), (0.99, False)):
            run = predict(
                p,
                Q0=by * gap,
                S0=0.0,
                epochs=200,
                points=9,
                thermodynamic_limit=thermodynamic_limit,
            )
            assert ("it never returns" in run.phases()[1]) == outside, run.phases()


def test_starts_beyond_one_half_lock_on_at_once():
    for p, R0 in ((DEFAULT, 0.7), (Parameters(N=20, T=2), None)):
        run = predict(p, R0=R0)
        assert run.onset_epoch == 0.0
        assert run.saturation_epoch > 0
        assert run.phases()[1] == "attention onset  already so at the start (R = 1/2)"
    assert predict(Parameters(N=20, T=2), R0=1e-300).epoch[-1] > 0


def test_two_states_are_guessed_right_half_the_time():
    rollouts = predict(Parameters(N=2, T=4), points=2).phases()[2]
    assert "already so at the start (rollout accuracy 1/2, chance for N = 2)" in rollouts


def test_caveats():
    assert predict(DEFAULT, points=2).caveats() == []
    assert predict(Parameters(N=20, T=2), points=2).caveats() == []
    assert predict(Parameters(N=2, T=4), points=2).caveats() == []  # rollouts right by chance
    for p in (Parameters(N=10, K=2, T=10), Parameters(N=100, K=5, T=30)):
        run = predict(p, points=2)
        assert run.rollout_half_epoch < run.onset_epoch
        (caveat,) = run.caveats()
        assert "few actions: the wrong logits are not independent Gaussians" in caveat
        assert predict(p, epochs=1.1 * run.rollout_half_epoch).caveats() == [caveat]
    (caveat,) = predict(Parameters(N=20, T=10, lr=60.0), points=2).caveats()
    assert caveat.startswith("with the onset at epoch 10.69 the steps are too coarse")
    assert "about 1.5 epochs" in caveat


@pytest.mark.parametrize(
    "p",
    [
        Parameters(N=2, T=2),
        Parameters(N=10**6, T=10),
        Parameters(N=10**6, K=2, T=10),
        Parameters(N=20, K=10**6, T=10),
        Parameters(N=10**6, K=10**6, T=10**4),
        Parameters(N=20, T=10**4),
        Parameters(N=2, T=10**4),
        Parameters(N=20, T=100, d_head=2, rope_theta=1e9),
        Parameters(N=20, T=10, lr=1e-9, w_init=0.0),
    ],
    ids=str,
)
def test_extreme_parameters_give_finite_curves(p):
    run = predict(p, points=50)
    for name in ("R", "Q", "S", "margin", "loss", "next_token_error", "rollout_error"):
        values = getattr(run, name)
        assert np.all((values >= 0) & (values < np.inf)), name
    assert np.all(run.next_token_error <= 1)
    assert np.all(run.R <= 1)


def test_constant_variances():
    given = predict(DEFAULT, variances="constant", sigma_c=0.3, sigma_o=0.2, points=5)
    assert np.all(given.sigma_c == 0.3)
    assert np.all(given.sigma_o == 0.2)
    expected = accuracy.next_token_error(given.margin, 0.3, 0.2, 20)
    assert given.next_token_error == pytest.approx(expected, rel=1e-12)
    initial = predict(DEFAULT, variances="constant", points=5)
    theory = predict(DEFAULT, points=5)
    assert np.all(initial.sigma_c == theory.sigma_c[0])
    assert theory.sigma_c[-1] > theory.sigma_c[0]
    measured = predict(DEFAULT, points=5, C=0.5, Q0=0.3, S0=0.1)
    assert measured.sigma_c[0] == theory.sigma_c[0]  # only what training has added counts
    # at the start: W alone, through attention weights of 1/T on T actions of K
    assert initial.sigma_c[0] ** 2 == pytest.approx((0.1 + 0.9 / 20) / 60, rel=1e-12)


def test_a_closure_of_ones_own():
    R, gamma, T = sp.symbols("R gamma T", positive=True)
    same = predict(DEFAULT, closure=gamma * R * (1 - R), epochs=500, points=50)
    assert pytest.approx(predict(DEFAULT, epochs=500, points=50).R, rel=1e-9) == same.R
    # 1 - R to the second power: R/(1 - R) - kappa U^2/2 is conserved
    own = predict(DEFAULT, closure=gamma * T / (T - 1) * R * (1 - R) ** 2)
    kappa = generated.kappa(20, 20, closures.rate(closures.LINEAR, DEFAULT) * 10 / 9)
    U = own.Q - own.S
    assert np.exp(logit(own.R)) - kappa * U**2 / 2 == pytest.approx(np.full(401, 1 / 9), rel=1e-7)
    with pytest.raises(
        ParameterError, match="may use the symbols R, N, K, T, d, gamma, g_0, not x"
    ):
        predict(DEFAULT, closure=R * sp.Symbol("x"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"closure": "cubic"},
            'closure must be "linear", "quadratic", "spectral" or "per-seed", not \'cubic\'',
        ),
        ({"epochs": -3}, "epochs must be greater than 0, not -3"),
        ({"epochs": [0, 3, 2]}, "a list of epochs must ascend from 0 or later, not [0, 3, 2]"),
        ({"epochs": []}, "epochs must be a number or a list of finite numbers, not []"),
        ({"epochs": [0, math.nan]}, "epochs must be a number or a list of finite numbers, not"),
        ({"epochs": math.nan}, "epochs must be a finite number, not nan"),
        ({"epochs": 1e101}, "the training time lr * epochs must be above 0 and at most 1e+100"),
        ({"points": 1}, "points must be an integer of at least 2, not 1"),
        ({"points": 2.0}, "points must be an integer of at least 2, not 2.0"),
        ({"R0": 0.0}, "R0 must lie strictly between 0 and 1, not 0.0"),
        ({"Q0": math.inf}, "Q0 must be a finite number, not inf"),
        (
            {"variances": "fitted"},
            'variances must be "theory", "constant" or "sampled", not \'fitted\'',
        ),
        ({"sigma_c": 0.1}, 'sigma_c and sigma_o may only be given with variances="constant"'),
        ({"sigma_o": -1.0, "variances": "constant"}, "sigma_o must be at least 0, not -1.0"),
    ],
)
def test_what_cannot_be_is_refused(change, words):
    with pytest.raises(ParameterError) as caught:
        predict(DEFAULT, **change)
    assert str(caught.value).startswith(words)
