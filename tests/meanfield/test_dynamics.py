"""Equations of motion put together from attention, logic and loss, and solved as curves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import expit, logit

from meanfield import ParameterError, Parameters, SolverError, Start, Theory, generated
from meanfield.attention import closures, typical
from meanfield.attention.closures import exchangeable
from meanfield.dynamics import Descent, Model
from meanfield.logic.family import Family
from meanfield.loss.mean_field import MeanField
from meanfield.start import stacked
from meanfield.theory import CLOSURES

P = Parameters(N=20, K=7, T=10, lr=3.0)
START = Start(R=0.2, Q=0.1, S=-0.05, C=0.3)


def model_of(name: str = "linear", p: Parameters = P, start: Start = START, **how: Any) -> Model:
    return Theory.parse(name, **how).prepare(p, start, None).model


def descent(pace: float = 1.0) -> Descent:
    logic = Family(N=20.0, K=7.0, Q=0.1, S=-0.05, overlap=1 / 20)
    return Descent(MeanField(N=20.0, K=7.0, C=0.3), logic, pace)


@pytest.mark.parametrize("pace", [1.0, 1.1])
def test_the_loss_is_gone_down_in_the_variables_of_the_state(pace: float) -> None:
    U_gained, S_gained = 0.7, 0.02
    S = -0.05 + S_gained
    Q = 0.1 + 0.05 + U_gained + S
    F, dQ, dS = generated.driven_rates(0.4, 0.6, Q, S, 0.3, 20, 7)
    found = descent(pace)(0.4, 0.6, U_gained, S_gained)
    assert found == pytest.approx((pace * F, dQ - dS, dS), rel=1e-13)


@pytest.mark.parametrize("pace", [1.0, 1.1])
def test_its_jacobian_is_that_of_its_rates(pace: float) -> None:
    down, step = descent(pace), 1e-5

    def rates(x: np.ndarray) -> np.ndarray:
        return np.array(down(expit(x[0]), expit(-x[0]), x[1], x[2]))

    x = np.array([-0.7, 0.8, 0.2])
    columns = [(rates(x + by) - rates(x - by)) / (2 * step) for by in step * np.eye(3)]
    found = down.jacobian(expit(-0.7), expit(0.7), 0.8, 0.2)
    assert np.all(np.abs(found) > 0)
    np.testing.assert_allclose(found, np.column_stack(columns), rtol=1e-6)


@pytest.mark.parametrize("name", CLOSURES)
def test_a_curve_is_the_solution_of_the_generated_system(name: str) -> None:
    """By an implicit solver, driven by the generated Jacobian, in the variables of the paper."""
    closure, sizes = CLOSURES[name], (0.3, P.N, P.K)
    rate = closures.rate(closure, P)

    def rhs(_t: float, y: np.ndarray) -> list[float]:
        logit_R, Q, S = y
        F, dQ, dS = generated.driven_rates(expit(logit_R), expit(-logit_R), Q, S, *sizes)
        return [F * closure.growth(logit_R, rate), dQ, dS]

    def jacobian(_t: float, y: np.ndarray) -> np.ndarray:
        R, missing = expit(y[0]), expit(-y[0])
        found = np.array(generated.driven_jacobian(R, missing, *y[1:], *sizes))
        found[0] *= closure.growth(y[0], rate)
        F, _, _ = generated.driven_rates(R, missing, *y[1:], *sizes)
        found[0, 0] += F * closure.growth_slope(y[0], rate)
        return found

    t = np.linspace(0, 1200, 50)
    solved = solve_ivp(
        rhs, (0, 1200), [logit(0.2), 0.1, -0.05], method="Radau", t_eval=t, rtol=1e-9, atol=1e-9,
        jac=jacobian,
    )  # fmt: skip
    curve = model_of(name).solve(1200.0)
    assert solved.y[0, -1] > 1
    for ours, theirs in zip(curve(t), solved.y, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("name", ["linear", "spectral+fluctuations"])
def test_a_curve_goes_on_where_it_ended(name: str) -> None:
    start = Start(Q=0.1, S=-0.05, C=0.3)
    model = model_of(name, start=start)
    in_two, at_once = model.solve(900.0, after=model.solve(300.0)), model.solve(900.0)
    t = np.array([[0.0, 299.0, 300.0], [300.1, 600.0, 900.0]])
    close = {"linear": 1e-9, "spectral+fluctuations": 2e-6}[name]
    for a, b in zip(in_two(t), at_once(t), strict=True):
        assert a.shape == t.shape
        assert a == pytest.approx(b, rel=close, abs=1e-12)
    assert (in_two.end, at_once.end) == (900.0, 900.0)
    assert (len(in_two.solution.pieces), len(at_once.solution.pieces)) == (2, 1)
    with pytest.raises(ValueError, match="from t = 0 to 900"):
        at_once(901.0)


def test_a_finer_tolerance_changes_nothing() -> None:
    for name in ("linear", "spectral"):
        model = model_of(name, start=Start(C=0.3))
        rough, fine = model.solve(900.0), model.solve(900.0, rtol=model.attention.rtol / 40)
        t = np.linspace(0, 900, 30)
        for a, b in zip(rough(t), fine(t), strict=True):
            assert a == pytest.approx(b, abs=1e-6)
        assert fine.solution.calls > rough.solution.calls


def test_attention_along_a_curve() -> None:
    curve = model_of().solve(600.0)
    t = np.array([[0.0, 100.0], [300.0, 600.0]])
    rows = curve.attention(t)
    assert rows.shape == (2, 2, 10, 10)
    R = expit(curve(t)[0])
    np.testing.assert_allclose(
        rows.reshape(4, 10, 10), exchangeable(R.ravel(), 1 - R.ravel(), 10), rtol=1e-9
    )
    assert curve.attention(100.0).shape == (10, 10)
    np.testing.assert_allclose(curve.attention(100.0), rows[0, 1])
    softmax = model_of("spectral", start=Start()).solve(600.0)
    rows, R = softmax.attention(t), expit(softmax(t)[0])
    np.testing.assert_allclose(rows.sum(-1), 1)
    np.testing.assert_allclose(np.diagonal(rows, axis1=2, axis2=3).mean(-1), R, rtol=1e-9)


def test_many_heads_are_one_model() -> None:
    p = Parameters(N=9, K=4, T=5, d_head=8, lr=3.0)
    q, k = typical.draw(p, 3)
    starts = [Start(q=q[n], k=k[n], Q=0.1 * n, C=0.2).resolved(p) for n in range(3)]
    for name in ("per-seed", "per-seed+fluctuations"):
        for steps in (False, True):
            theory = Theory.parse(name, steps=steps)
            many = theory.model(p, stacked(starts)).solve(300.0)
            t = np.array([0.0, 10.0, 100.0, 300.0])
            together = many(t)
            assert [each.shape for each in together] == [(3, 4)] * 3
            for n, start in enumerate(starts):
                alone = theory.model(p, start).solve(300.0)(t)
                for one, other in zip(alone, together, strict=True):
                    assert one == pytest.approx(other[n], abs=2e-6)


def test_a_failure_is_told_in_epochs_with_a_remedy() -> None:
    model = model_of()
    lost = replace(closures.LINEAR, growth=lambda *_: np.nan)
    broken = replace(model, attention=replace(model.attention, closure=lost))
    with pytest.raises(SolverError) as caught:
        broken.solve(100.0)
    assert str(caught.value).startswith("the equations could not be solved beyond epoch 0 (")
    assert str(caught.value).endswith("fewer epochs or a start closer to R = 1/T may help")
    assert model.problem().clock(30.0) == "epoch 10"


@pytest.mark.parametrize("t_end", [0.0, -1.0, 1e101, np.nan])
def test_a_time_beyond_reason_is_refused(t_end: float) -> None:
    words = rf"the training time lr \* epochs must be above 0 and at most 1e\+100, not {t_end:g}"
    with pytest.raises(ParameterError, match=words.replace("1e+101", r"1e\+101")):
        model_of().solve(t_end)


def test_what_matters_is_solved_to_its_own_scale() -> None:
    """From a start that is large beside what is gained, and in a model in which U stays small."""
    p = Parameters(N=200, K=150, T=6, qk_variance=30.0)
    near, far = (model_of(p=p, start=Start(Q=x, S=x)).solve(3e5) for x in (0.0, 1e6))
    problem = near.model.problem()
    gap = 1 / np.sqrt(generated.rate_constant(200, 150, closures.rate(closures.LINEAR, p)))
    assert problem.scale == pytest.approx([1.0, gap * 1e-3, gap / 150 * 1e-3])
    assert problem.first_step == pytest.approx(0.1 * 200 * 150 * gap)
    limit = model_of(p=p, thermodynamic_limit=True).problem()
    pace = 150 * 199 / (200 * 149)
    assert limit.scale == pytest.approx([1.0, *(problem.scale[1:] / np.sqrt(pace))])
    states = [curve.solution(np.array([1e4, 3e5]))[1:] for curve in (near, far)]
    assert states[0].shape == (2, 2)
