"""A model with its data and its optimizer, and what an epoch of training does to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simulate.gradient.data import Data
from simulate.gradient.fused import Each, Fused
from simulate.gradient.grouped import Grouped
from simulate.machine import dtype_of, resolve
from simulate.measure import measure
from simulate.model import Transformer, attention_of
from simulate.optimizer import Optimizer
from simulate.settings import Experiment, Machine
from simulate.task import Sequences, Task, batches, draw_task


@dataclass(frozen=True, kw_only=True, eq=False)
class Trainer:
    """All that training needs and changes.

    machine: with its device and kernel found out. train, test: the task's sequences, made ready.
    each: how the fused kernel goes through seeds.
    """

    experiment: Experiment
    machine: Machine
    task: Task
    model: Transformer
    optimizer: Optimizer
    train: Data
    test: Data
    each: Each

    @classmethod
    def set_up(cls, experiment: Experiment, machine: Machine, *, each: Each = map) -> Trainer:
        """Draw the task and start the model; ParameterError if the machine cannot train it."""
        machine = resolve(machine, experiment)
        training, task = experiment.training, draw_task(experiment)
        model = Transformer(
            experiment.parameters,
            task,
            fix_embedding=training.fix_embedding,
            dtype=dtype_of(machine),
            device=machine.device,
        )
        return cls(
            experiment=experiment,
            machine=machine,
            task=task,
            model=model,
            optimizer=Optimizer(
                training.optimizer, experiment.parameters.lr, training.weight_decay
            ),
            train=ready(task.train, experiment, machine, each),
            test=ready(task.test, experiment, machine, each),
            each=each,
        )

    def train_epoch(self, epoch: int) -> None:
        """Change the model by one epoch of training (13), the one that follows ``epoch``."""
        training = self.experiment.training
        if not training.full_batch:
            for chosen in batches(training, self.task.seeds, epoch):
                batch = self.task.train.take(chosen)
                self._step(ready(batch, self.experiment, self.machine, self.each), batch)
        elif training.in_steps:
            self._step(self.train, self.task.train)
        else:
            self._runge_kutta_step()

    def measure(self) -> dict[str, NDArray[Any]]:
        """Return one array (B, ...) for each measured field of a run file."""
        return measure(self.model, self.task, self.train, self.test)

    def finite(self) -> Tensor:
        """Return for each seed whether all its weights are finite, (B,)."""
        weights = (weight.detach() for weight in self.model.parameters())
        return torch.stack([torch.isfinite(each).flatten(1).all(1) for each in weights]).all(0)

    def _step(self, data: Data, sequences: Sequences) -> None:
        self.optimizer.step(learnable(self.model), gradient(self.model, data, sequences))

    def _runge_kutta_step(self) -> None:
        """Take a step of SSPRK3.

        u1 = u + h f(u); u2 = 3/4 u + 1/4 (u1 + h f(u1)); then 1/3 u + 2/3 (u2 + h f(u2)).
        """
        weights = learnable(self.model)
        start = {name: weight.detach().clone() for name, weight in weights.items()}
        for kept in (0, 3 / 4, 1 / 3):
            self._step(self.train, self.task.train)
            with torch.no_grad():
                for name, weight in weights.items():
                    weight.lerp_(start[name], kept)


def ready(sequences: Sequences, experiment: Experiment, machine: Machine, each: Each) -> Data:
    """Return sequences made ready for gradients by the machine's kernel."""
    p, dtype = experiment.parameters, dtype_of(machine)
    if machine.kernel == "fused":
        return Fused(sequences, N=p.N, K=p.K, dtype=dtype, each=each)
    device = torch.device(machine.device)
    return Grouped(sequences, N=p.N, K=p.K, dtype=dtype, device=device)


def gradient(model: Transformer, data: Data, sequences: Sequences) -> dict[str, Tensor]:
    """Return the exact gradient of the loss (7) by every learnable parameter.

    data: the sequences, made ready.
    """
    W = model.W.detach()
    if model.fix_embedding:
        A = model.attention()
        by_A, by_W = data.gradient(A, W)
        by_q, by_k = model.attention_gradient(A, by_A)
        by_query, by_key = (by[..., None].expand_as(model.query) for by in (by_q, by_k))
        return {"query": by_query, "key": by_key, "W": by_W}
    A = attention_of(model, sequences)
    by_A, by_W = data.gradient(A.detach(), W)
    by = torch.autograd.grad(A, (model.query, model.key, model.embedding), by_A)
    return {"query": by[0], "key": by[1], "embedding": by[2], "W": by_W}


def learnable(model: Transformer) -> dict[str, nn.Parameter]:
    """Return the parameters that training changes, by name."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}
