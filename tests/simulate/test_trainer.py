"""What an epoch does to a model: exact gradients, batches and the steps of the integrators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.plain import PlainTransformer, loss
from meanfield.errors import ParameterError
from meanfield.parameters import Parameters
from simulate import trainer as trainers
from simulate.gradient import grouped
from simulate.gradient.fused import Fused
from simulate.gradient.grouped import Grouped
from simulate.settings import Machine
from simulate.task import batches
from simulate.train import train
from simulate.trainer import Trainer, gradient, learnable, ready
from tests.simulate.literal import EmbeddingTransformer, GLUTransformer, tokens, with_weights
from tests.simulate.small import KERNELS, SIZES, experiment, half_train, trainer_of


def assert_near(found: Tensor, wanted: Tensor, *, tolerance: float = 1e-12) -> None:
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max().item() <= tolerance * wanted.abs().max().item()


@pytest.mark.parametrize("p", SIZES)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", [PlainTransformer, GLUTransformer])
def test_loss_and_every_gradient_are_those_of_the_literal_transformer(
    kind: type, kernel: str, p: Parameters
) -> None:
    trainer = trainer_of(experiment(p=p, n_train=60), kernel)
    model, task = trainer.model, trainer.task
    found = gradient(model, trainer.train, task.train)
    assert set(found) == set(learnable(model)) == {"query", "key", "W"}
    found_loss = trainer.train.statistics(model.attention(), model.W.detach()).loss
    for seed in range(3):
        literal = with_weights(kind, model, seed, p)
        value = loss(literal, tokens(task.train, seed, p.K))
        value.backward()
        assert found_loss[seed] == pytest.approx(value.item(), rel=1e-12)
        assert_near(found["W"][seed], literal.W.grad)
        glu = kind is GLUTransformer
        by_query = literal.q.grad[:, None] if glu else literal.W_Q.weight.grad
        by_key = literal.k.grad[:, None] if glu else literal.W_K.weight.grad
        assert_near(found["query"][seed], by_query)
        assert_near(found["key"][seed], by_key)


@pytest.mark.parametrize("fix_embedding", [True, False])
@pytest.mark.parametrize("d_embed", [1, 3])
def test_embeddings_of_any_dimension_fixed_or_learned(d_embed: int, fix_embedding: bool) -> None:
    p = SIZES[0]
    of = experiment(p=p, n_train=60, d_embed=d_embed, fix_embedding=fix_embedding)
    trainer = half_train(trainer_of(of))
    found = gradient(trainer.model, trainer.train, trainer.task.train)
    for seed in range(3):
        literal = with_weights(EmbeddingTransformer, trainer.model, seed, p, d_embed=d_embed)
        loss(literal, tokens(trainer.task.train, seed, p.K)).backward()
        assert_near(found["query"][seed], literal.W_Q.weight.grad)
        assert_near(found["key"][seed], literal.W_K.weight.grad)
        assert_near(found["W"][seed], literal.W.grad)
        if not fix_embedding:
            assert_near(found["embedding"][seed], literal.embedding.weight.grad)
    assert (
        ("embedding" in found) == ("embedding" in learnable(trainer.model)) == (not fix_embedding)
    )


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def weights_of(trainer: Trainer) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in trainer.model.named_parameters()}


def test_an_epoch_is_one_step_along_the_full_gradient() -> None:
    trainer = trainer_of(experiment(weight_decay=0.03))
    before = weights_of(trainer)
    slopes = gradient(trainer.model, trainer.train, trainer.task.train)
    trainer.train_epoch(0)
    for name, weight in weights_of(trainer).items():
        slope = slopes[name] + 0.03 * before[name] if name in slopes else torch.zeros(())
        torch.testing.assert_close(weight, before[name] - 4.0 * slope, rtol=1e-13, atol=1e-14)


def test_an_epoch_takes_every_batch_of_that_epoch_in_order() -> None:
    of = experiment(batch_size=40)
    trainer, again = trainer_of(of), trainer_of(of)
    for epoch in (0, 3):
        trainer.train_epoch(epoch)
        parts = batches(of.training, of.seeds, epoch)
        assert [part.shape for part in parts] == [(3, 40), (3, 40), (3, 20)]
        for chosen in parts:
            batch = again.task.train.take(chosen)
            data = ready(batch, of, again.machine, map)
            again.optimizer.step(learnable(again.model), gradient(again.model, data, batch))
    assert again.optimizer.steps == trainer.optimizer.steps == 6
    for name, weight in weights_of(trainer).items():
        assert torch.equal(weight, weights_of(again)[name]), name


@pytest.mark.parametrize("fix_embedding", [True, False])
def test_a_runge_kutta_step_has_the_coefficients_of_ssprk3(fix_embedding: bool) -> None:
    trainer = trainer_of(experiment(integrator="ssprk3", fix_embedding=fix_embedding))
    again = trainer_of(experiment(fix_embedding=fix_embedding))
    u = weights_of(trainer)

    def euler(kept: float) -> None:
        """Put kept * u + (1 - kept) * (v + h f(v)) for v."""
        again.train_epoch(0)
        with torch.no_grad():
            for name, weight in again.model.named_parameters():
                weight.copy_(kept * u[name] + (1 - kept) * weight)

    for kept in (0, 3 / 4, 1 / 3):
        euler(kept)
    trainer.train_epoch(0)
    for name, weight in weights_of(trainer).items():
        torch.testing.assert_close(weight, weights_of(again)[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["query", "key", "W"])
def test_a_seed_is_finite_if_all_its_weights_are(name: str) -> None:
    trainer = trainer_of(experiment())
    assert trainer.finite().tolist() == [True] * 3
    with torch.no_grad():
        learnable(trainer.model)[name][1].view(-1)[-1] = np.inf
    assert trainer.finite().tolist() == [True, False, True]


@pytest.mark.parametrize(("kernel", "kind"), [("torch", Grouped), ("fused", Fused)])
def test_a_trainer_is_of_the_machine_asked_for(
    kernel: str, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[dict[str, Any]] = []

    class Built(kind):  # type: ignore[misc, valid-type]
        def __init__(self, *sequences: Any, **options: Any) -> None:
            built.append(options)
            super().__init__(*sequences, **options)

    monkeypatch.setattr(trainers, kind.__name__, Built)

    def in_turn(*arguments: Any) -> Any:
        return map(*arguments)

    machine = Machine(device="cpu", kernel=kernel, dtype="float32")
    try:
        trainer = Trainer.set_up(experiment(), machine, each=in_turn)
    except ParameterError:
        pytest.skip("no C compiler")
    assert trainer.machine == machine
    assert trainer.model.W.dtype == torch.float32
    more = {"each": in_turn} if kernel == "fused" else {"device": torch.device("cpu")}
    assert built == [{"N": 6, "K": 5, "dtype": torch.float32, **more}] * 2
    assert len(trainer.task.train.actions[0]) == 100
    assert len(trainer.task.test.actions[0]) == 50


def test_what_the_machine_cannot_train_is_refused() -> None:
    with pytest.raises(ParameterError, match="it needs fixed embeddings"):
        Trainer.set_up(experiment(fix_embedding=False), Machine(device="cpu", kernel="fused"))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"integrator": "ssprk3"},
        {"optimizer": "adamw", "batch_size": 40, "lr": 0.01},
        {"fix_embedding": False, "d_embed": 2},
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_every_tensor_is_made_on_the_machines_device(
    changed: dict[str, Any], together: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What names no device lands on "meta", and nothing of this device can be done with it."""
    of, machine = experiment(train_epochs=2, **changed), Machine(device="cpu", kernel="torch")
    monkeypatch.setattr(grouped, "one_seed_a_chunk", lambda device: not together)
    with torch.device("meta"):
        with pytest.raises(KeyboardInterrupt):
            train(of, machine=machine, path=tmp_path / "run.npz", report=interrupt)
        run = train(of, machine=machine, path=tmp_path / "run.npz", resume=True)
    np.testing.assert_array_equal(run.W_end, train(of, machine=machine).W_end)
