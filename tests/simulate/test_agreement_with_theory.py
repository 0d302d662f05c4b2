"""What the theory proves or predicts, found in the training itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from meanfield import generated
from meanfield.attention import closures
from meanfield.parameters import Parameters
from simulate.model import overlaps
from simulate.settings import Machine
from simulate.train import train
from simulate.trainer import Trainer
from tests.simulate.small import experiment, trainer_of

Array = np.ndarray


def trainer(**changed: Any) -> Trainer:
    """A model of three seeds, in float64."""
    return trainer_of(experiment(n_test=10, **changed))


def trained(of: Trainer, epochs: int = 1) -> Trainer:
    for epoch in range(epochs):
        of.train_epoch(epoch)
    return of


def order(of: Trainer) -> dict[str, Array]:
    """R, Q, S, C of every seed."""
    permutations = torch.as_tensor(of.task.permutations.astype(np.int64))
    R = of.model.attention().diagonal(dim1=1, dim2=2).mean(-1)
    values = (R, *overlaps(of.model.W.detach(), permutations))
    return {name: v.numpy() for name, v in zip("RQSC", values, strict=True)}


def plane_difference(of: Trainer) -> torch.Tensor:
    """|q_r|^2 - |k_r|^2 of every seed and RoPE plane."""
    q, k = of.model.vectors
    return (q**2 - k**2).unflatten(-1, (2, -1)).sum(1)


def test_sgd_conserves_column_sums_and_C() -> None:
    model = trainer()
    W, C = model.model.W.detach().clone(), order(model)["C"]
    trained(model, 200)
    moved = model.model.W.detach()
    assert (moved - W).abs().max() > 0.5
    np.testing.assert_allclose(moved.sum(2), W.sum(2), rtol=0, atol=1e-13)
    np.testing.assert_allclose(order(model)["C"], C, rtol=0, atol=1e-14)


def test_weight_decay_does_not_conserve_C() -> None:
    model = trainer(weight_decay=1e-3)
    C = order(model)["C"]
    np.testing.assert_allclose(order(trained(model, 100))["C"], C * (1 - 4e-3) ** 100, rtol=1e-10)


def test_plane_differences_drift_at_second_order_in_lr() -> None:
    drifts = []
    for lr in (0.4, 0.2, 0.1):
        model = trained(trainer(), 60)  # where attention is on the move
        before = plane_difference(model)
        model.optimizer.lr = lr
        drifts.append((plane_difference(trained(model)) - before).abs().sum().item())
    assert drifts[0] > 1e-8
    assert np.log2(drifts[0] / drifts[1]) == pytest.approx(2, abs=1e-3)
    assert np.log2(drifts[1] / drifts[2]) == pytest.approx(2, abs=1e-3)


def test_plane_differences_over_a_whole_run_drift_at_first_order() -> None:
    """The steps needed grow as 1/lr: what is left of the second order is the first."""
    drifts = []
    for lr in (2.0, 1.0, 0.5):
        model = trainer(lr=lr)
        before = plane_difference(model)
        after = plane_difference(trained(model, round(200 / lr)))
        drifts.append((after - before).abs().sum().item())
    assert np.log2(drifts[0] / drifts[1]) == pytest.approx(1, abs=0.1)
    assert np.log2(drifts[1] / drifts[2]) == pytest.approx(1, abs=0.05)


def rates(p: Parameters, *, seeds: range, teacher: float) -> dict[str, tuple[Array, ...]]:
    """Per seed and unit of time, the real and the predicted change of R, Q and S at the start.

    teacher: how much of the right permutations W holds at the start, beside its random part.
    """
    lr = 1e-3
    model = trainer_of(experiment(seeds, p=replace(p, lr=lr), n_train=1024, n_test=1))
    with torch.no_grad():
        for W, permutations in zip(model.model.W, model.task.permutations.astype(int), strict=True):
            for k in range(p.K):
                W[k, permutations[k], range(p.N)] += teacher
    before, after = order(model), order(trained(model))
    rate = closures.rate(closures.LINEAR, p)
    R, overlaps = before["R"], (before["Q"], before["S"], before["C"])
    F, dQ, dS = generated.driven_rates(R, 1 - R, *overlaps, p.N, p.K)
    predicted = {"R": F * generated.gradient_linear(R, rate), "Q": dQ, "S": dS}
    return {name: ((after[name] - before[name]) / lr, predicted[name]) for name in "RQS"}


@pytest.mark.parametrize(("names", "teacher"), [("QS", 0.0), ("R", 0.15)])
def test_first_step_agrees_with_the_generated_equations(names: str, teacher: float) -> None:
    """A gap Q - S is planted for R: at the plain start its mean, and with it dR's, is 0."""
    found = rates(Parameters(N=10, K=10, T=6), seeds=range(200), teacher=teacher)
    for name in names:
        real, predicted = found[name]
        difference = real - predicted
        error = difference.std(ddof=1) / np.sqrt(len(real))
        assert error < 0.05 / 3 * abs(predicted.mean()), f"{name}: too few seeds to see 5 %"
        assert abs(difference.mean()) < 3 * error, (name, difference.mean() / error)


def R_at(time: float, *, lr: float, integrator: str = "sgd") -> Array:
    epochs = round(time / lr)
    schedule = {"n_test": 10, "train_epochs": epochs, "eval_every": epochs}
    of = experiment(lr=lr, integrator=integrator, **schedule)
    return np.asarray(train(of, machine=Machine(dtype="float64")).R[:, -1])


def test_R_converges_to_the_gradient_flow_at_first_order() -> None:
    flow = R_at(120, lr=1.0, integrator="ssprk3")
    assert np.all((flow > 0.3) & (flow < 0.99))
    errors = [np.abs(R_at(120, lr=lr) - flow).max() for lr in (4.0, 2.0, 1.0, 0.5)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(orders, 1, atol=0.12)
    assert abs(orders[-1] - 1) < 0.04


def test_ssprk3_is_of_third_order() -> None:
    flow = R_at(120, lr=0.5, integrator="ssprk3")
    errors = [np.abs(R_at(120, lr=lr, integrator="ssprk3") - flow).max() for lr in (8.0, 4.0, 2.0)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(orders, 3, atol=0.35)
