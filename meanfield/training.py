"""How a model is trained and when it is measured: what a run file says beside the Parameters."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from meanfield import notebook
from meanfield.checks import check_field, option
from meanfield.errors import ParameterError

OPTIMIZERS = ("sgd", "adamw")
INTEGRATORS = ("sgd", "ssprk3")


@dataclass(frozen=True, kw_only=True)
class Training:
    """Data and optimizer of a training run; checked when made.

    n_train: sequences to learn from.
    batch_size: sequences a gradient; all of n_train unless given, at most n_train.
    optimizer: "sgd" or "adamw" (betas 0.9 and 0.999, epsilon 1e-8).
    weight_decay: added to the gradient for sgd, decoupled from it for adamw.
    integrator: "sgd" takes a gradient a step; "ssprk3" follows the gradient flow by three-stage
        strong-stability-preserving Runge-Kutta steps of size lr, full batch and optimizer "sgd".
    d_embed: embedding dimension. fix_embedding: keep every embedding at 1, else learn it.

    Raises ParameterError, in one sentence, on anything else.
    """

    n_train: int = option(4096, "training sequences", least=1, metavar="COUNT")
    batch_size: int = option(
        None, "sequences a gradient", least=1, metavar="COUNT", unless="n-train"
    )
    optimizer: str = option("sgd", "what a gradient does to the weights", choices=OPTIMIZERS)
    weight_decay: float = option(0.0, "how fast weights shrink", least=0, metavar="RATE")
    integrator: str = option(
        "sgd",
        "ssprk3 follows the gradient flow by Runge-Kutta steps of size lr, three gradients each "
        "(20 to 30 is good)",
        choices=INTEGRATORS,
    )
    d_embed: int = option(1, "embedding dimension", least=1, metavar="D")
    fix_embedding: bool = option(True, "keep every embedding at 1, else learn it")

    def __post_init__(self) -> None:
        """Resolve the defaults and check every field."""
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "batch_size" and value is None:
                value = self.n_train
            object.__setattr__(self, each.name, check_field(each, value))
        if self.batch_size > self.n_train:
            raise ParameterError(
                f"batch_size must be at most n_train = {self.n_train}, not {self.batch_size}"
            )
        if self.integrator == "ssprk3" and (self.optimizer != "sgd" or not self.full_batch):
            raise ParameterError(
                'integrator "ssprk3" follows the full gradient: it needs optimizer "sgd" and '
                f"batch_size = n_train = {self.n_train}, not optimizer {self.optimizer!r} with "
                f"batch_size {self.batch_size}"
            )

    def _repr_html_(self) -> str:
        """Return a table for a notebook."""
        return notebook.table("Training", vars(self).items())

    @classmethod
    def of(cls, known: Mapping[str, Any]) -> Training:
        """Return the training that these hyperparameters describe, as a run file holds them."""
        return cls(**_of(cls, known))

    @property
    def full_batch(self) -> bool:
        """Whether every gradient sees all training sequences."""
        return self.batch_size == self.n_train

    @property
    def in_steps(self) -> bool:
        """Whether the weights take gradient steps of size lr, or follow the gradient flow."""
        return self.integrator == "sgd"

    @property
    def steps_per_epoch(self) -> int:
        """Gradient steps an epoch; the last batch may be smaller."""
        return math.ceil(self.n_train / self.batch_size)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long to train, and when and on how much to measure; checked when made.

    n_test: sequences to test on. train_epochs: passes over the training data.
    eval_every: epochs between two evaluations; the first and the last epoch are always evaluated.

    Raises ParameterError, in one sentence, on anything else.
    """

    n_test: int = option(2048, "test sequences", least=1, metavar="COUNT")
    train_epochs: int = option(800, "passes over the training data", least=1, metavar="COUNT")
    eval_every: int = option(10, "epochs between two evaluations", least=1, metavar="COUNT")

    def __post_init__(self) -> None:
        """Check every field."""
        for each in fields(self):
            object.__setattr__(self, each.name, check_field(each, getattr(self, each.name)))

    @classmethod
    def of(cls, known: Mapping[str, Any]) -> Schedule:
        """Return the schedule that these hyperparameters describe, as a run file holds them."""
        return cls(**_of(cls, known))

    def evaluates(self, epoch: int) -> bool:
        """Whether the model is measured after this epoch."""
        return epoch % self.eval_every == 0 or epoch == self.train_epochs

    def evaluated(self, epochs: Sequence[int]) -> bool:
        """Whether these are the epochs that are measured up to the last of them."""
        every = range(0, epochs[-1], self.eval_every)
        return len(epochs) == len(every) + 1 and all(map(operator.eq, epochs, every))


def _of(kind: type, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are fields of a dataclass."""
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in known.items() if name in names}
