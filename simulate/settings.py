"""What decides a training, and what it runs on: all that a command can be told, without torch."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

from meanfield.checks import check_field, integer, one_of, option
from meanfield.errors import ParameterError
from meanfield.parameters import Parameters
from meanfield.training import Schedule, Training

DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("float32", "float64")
KERNELS = ("auto", "torch", "fused")
MOST_SEEDS = 10**6  # of one experiment
LARGEST_SEED = 2**63 - 1  # run files keep seeds as int64


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a training runs on; checked when made. It changes the numbers by rounding at most.

    device: "auto" is a GPU if there is one. dtype: of W and of the logits.
    kernel: "torch" runs anywhere; "fused" needs fixed embeddings, a CPU and a C compiler; "auto" is
        fused where that can be.
    threads: seeds side by side in the fused kernel; as many as there are cores unless given.

    Raises ParameterError, in one sentence, on anything else.
    """

    device: str = option("auto", "auto is a GPU if there is one", choices=DEVICES)
    dtype: str = option("float32", "of the logic matrices", choices=DTYPES)
    kernel: str = option("auto", "fused needs a C compiler and a CPU", choices=KERNELS)
    threads: int = option(
        None,
        "seeds side by side in the fused kernel",
        least=1,
        metavar="COUNT",
        unless="all cores",
    )

    def __post_init__(self) -> None:
        """Resolve the default and check every field."""
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "threads" and value is None:
                value = os.cpu_count() or 1
            object.__setattr__(self, each.name, check_field(each, value))

    @property
    def arithmetic(self) -> dict[str, str]:
        """What rounding depends on: everything but the threads."""
        return {"dtype": self.dtype, "device": self.device, "kernel": self.kernel}


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One training of several seeds: all that decides its numbers, up to rounding.

    seeds: one model each; different integers of at least 0.

    Raises ParameterError, in one sentence, on other seeds.
    """

    parameters: Parameters
    training: Training
    schedule: Schedule
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check the seeds."""
        seeds = tuple(integer("seed", seed, 0, LARGEST_SEED) for seed in self.seeds)
        if not seeds or len(set(seeds)) < len(seeds):
            raise ParameterError(f"seeds must be different ones, at least one, not {seeds}")
        object.__setattr__(self, "seeds", seeds)

    @classmethod
    def of(cls, seeds: Iterable[int], **values: Any) -> Experiment:
        """Return the experiment with these values of Parameters, Training and Schedule, by name.

        Raises ParameterError for a value that cannot be, and for a name that none of them has.
        """
        kinds = (Parameters, Training, Schedule)
        parts = [{f.name: values.pop(f.name) for f in fields(k) if f.name in values} for k in kinds]
        for name in values:
            raise ParameterError(f"an experiment has no {name}")
        parameters, training, schedule = parts
        return cls(
            parameters=Parameters(**parameters),
            training=Training(**training),
            schedule=Schedule(**schedule),
            seeds=tuple(seeds),
        )

    @property
    def settings(self) -> dict[str, Any]:
        """Training and schedule by name, as a run file keeps them."""
        return {**asdict(self.training), **asdict(self.schedule)}

    @property
    def file(self) -> str:
        """Name of its run file: sizes, a hash of all settings, and the seeds."""
        p, seeds = self.parameters, self.seeds
        settings = _digest(asdict(p), self.settings)
        which = f"{seeds[0]}-{seeds[-1]}"
        if any(after != before + 1 for before, after in pairwise(seeds)):
            which += f"-{len(seeds)}-{_digest(list(seeds))}"
        return f"N{p.N}_T{p.T}_K{p.K}_{settings}_seeds{which}.npz"

    @property
    def cost(self) -> int:
        """What training it takes, in multiplications of one number, roughly."""
        p, training = self.parameters, self.training
        a_gradient = training.n_train * p.T**2 * (p.N + 20)  # a row costs beside its N logits
        gradients = self.schedule.train_epochs * (1 if training.in_steps else 3)
        return len(self.seeds) * gradients * a_gradient


# The two sets of hyperparameters, the one place for their values: the main one, and for the
# robustness appendix one that differs in every size and in the law of the frequencies.
SETS: dict[str, dict[str, Any]] = {
    "main": {"N": 20, "T": 10, "K": 20, "d_head": 64, "rope_theta": 10.0, "lr": 2.0},
    "robust": {
        "N": 15,
        "T": 14,
        "K": 25,
        "d_head": 48,
        "rope_theta": 30.0,
        "rope_spacing": "linear",
        "lr": 3.0,
        "n_train": 3072,
        "n_test": 1024,
    },
}


def from_set(name: str, seeds: Iterable[int], **changed: Any) -> Experiment:
    """Return the experiment of a named set with some values changed; K follows N if N is.

    Raises ParameterError if there is no set of that name, and as ``Experiment.of`` does.
    """
    values = dict(SETS[one_of("set", name, tuple(SETS))])
    if "N" in changed:
        del values["K"]
    return Experiment.of(seeds, **{**values, **changed})


def seeds_of(text: Any) -> Iterable[int]:
    """Return the seeds of "A:B", A to B - 1, or of "A,B,…"; ParameterError on anything else."""
    if isinstance(text, str) and re.fullmatch(r"[0-9]{1,19}:[0-9]{1,19}", text):
        first, end = map(int, text.split(":"))
        integer("the number of seeds", end - first, 1, MOST_SEEDS)
        return range(first, end)
    if isinstance(text, str) and re.fullmatch(r"[0-9]{1,19}(,[0-9]{1,19})*", text):
        return [int(seed) for seed in text.split(",")]
    raise ParameterError(f'seeds must be text such as "0:8" or "1,5,7", not {text!r}')


def _digest(*values: Any) -> str:
    """Return twelve hexadecimal digits that name plain values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
