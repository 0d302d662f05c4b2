"""How a model is trained: the hyperparameters beside Parameters, and the two named sets of both."""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from meanfield.checks import nonnegative
from meanfield.errors import ParameterError
from meanfield.parameters import Parameters

OPTIMIZERS = ("sgd", "adamw")
INTEGRATORS = ("sgd", "ssprk3")
MOST = 10**9  # of every count


@dataclass(frozen=True, kw_only=True)
class Training:
    """Data, optimizer and length of a training run; checked when made.

    n_train, n_test: sequences to learn from and to test on.
    batch_size: sequences a gradient; all of n_train unless given, at most n_train.
    optimizer: "sgd" or "adamw" (betas 0.9 and 0.999, epsilon 1e-8).
    weight_decay: added to the gradient for sgd, decoupled from it for adamw.
    integrator: "sgd" takes a gradient a step; "ssprk3" follows the gradient flow by three-stage
        strong-stability-preserving Runge-Kutta steps of size lr, full batch and optimizer "sgd".
    d_embed: embedding dimension. fix_embedding: keep every embedding at 1, else learn it.
    train_epochs: passes over the training data. eval_every: epochs between two evaluations.

    Raises ParameterError, in one sentence, on anything else.
    """

    n_train: int = 4096
    n_test: int = 2048
    batch_size: int = None  # type: ignore[assignment]  # resolved when made
    optimizer: str = "sgd"
    weight_decay: float = 0.0
    integrator: str = "sgd"
    d_embed: int = 1
    fix_embedding: bool = True
    train_epochs: int = 800
    eval_every: int = 10

    def __post_init__(self) -> None:
        """Resolve the defaults and check every field."""
        if self.batch_size is None:
            object.__setattr__(self, "batch_size", self.n_train)
        for name in ("n_train", "n_test", "batch_size", "d_embed", "train_epochs", "eval_every"):
            object.__setattr__(self, name, _count(name, getattr(self, name)))
        if self.batch_size > self.n_train:
            raise ParameterError(
                f"batch_size must be at most n_train = {self.n_train}, not {self.batch_size}"
            )
        object.__setattr__(self, "weight_decay", nonnegative("weight_decay", self.weight_decay))
        for name, allowed in (("optimizer", OPTIMIZERS), ("integrator", INTEGRATORS)):
            if getattr(self, name) not in allowed:
                raise ParameterError(
                    f'{name} must be "{allowed[0]}" or "{allowed[1]}", not {getattr(self, name)!r}'
                )
        if not isinstance(self.fix_embedding, bool):
            raise ParameterError(f"fix_embedding must be True or False, not {self.fix_embedding!r}")
        if self.integrator == "ssprk3" and (self.optimizer != "sgd" or not self.full_batch):
            raise ParameterError(
                'integrator "ssprk3" follows the full gradient: it needs optimizer "sgd" and '
                f"batch_size = n_train = {self.n_train}, not optimizer {self.optimizer!r} with "
                f"batch_size {self.batch_size}"
            )

    @property
    def full_batch(self) -> bool:
        """Whether every gradient sees all training sequences."""
        return self.batch_size == self.n_train

    @property
    def steps_per_epoch(self) -> int:
        """Gradient steps an epoch; the last batch may be smaller."""
        return math.ceil(self.n_train / self.batch_size)


# The two sets of hyperparameters, the one place for their values: the main one, and for the
# robustness appendix one that differs in every size and in the law of the frequencies.
SETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "main": ({"N": 20, "T": 10, "K": 20, "d_head": 64, "rope_theta": 10.0, "lr": 2.0}, {}),
    "robust": (
        {"N": 15, "T": 14, "K": 25, "d_head": 48, "rope_theta": 30.0, "rope_spacing": "linear",
         "lr": 3.0},
        {"n_train": 3072, "n_test": 1024},
    ),
}  # fmt: skip


def named(name: str) -> tuple[Parameters, Training]:
    """Return the named set; ParameterError if there is none of that name."""
    if name not in SETS:
        raise ParameterError(f"set must be {' or '.join(SETS)}, not {name!r}")
    model, training = SETS[name]
    return Parameters(**model), Training(**training)


def run_name(parameters: Parameters, training: Training, seeds: Sequence[int]) -> str:
    """Return a run file's name: sizes, a hash of all settings, and the seeds."""
    p, settings = parameters, _digest(asdict(parameters), asdict(training))
    which = f"{seeds[0]}-{seeds[-1]}"
    if list(seeds) != list(range(seeds[0], seeds[-1] + 1)):
        which += f"-{len(seeds)}-{_digest(list(seeds))}"
    return f"N{p.N}_T{p.T}_K{p.K}_{settings}_seeds{which}.npz"


def _digest(*values: Any) -> str:
    """Return twelve hexadecimal digits that name plain values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def _count(name: str, value: Any) -> int:
    """Return value as an integer of at least 1, or raise ParameterError."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if isinstance(value, bool) or not 1 <= number <= MOST:
        raise ParameterError(f"{name} must be an integer from 1 to {MOST}, not {value!r}")
    return number
