"""Run files: what training measured, in one NPZ file a batch of seeds (NumPy only, no pickle).

Units: an epoch is one pass over the training data, training time is lr * epoch, losses are in nats.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import notebook
from meanfield.errors import FileError
from meanfield.files import reading, writing
from meanfield.parameters import Parameters
from meanfield.quantities import QUANTITIES

Array = NDArray[np.float64]

FORMAT = "meanfield run"
VERSION = 1
EPOCH = "passes over the training data; training time is lr * epoch"
MEASURED = (
    "R", "Q", "S", "C", "loss", "mean_field_loss", "train_accuracy", "test_accuracy",
    "rollout_accuracy", "correct_logit", "correct_logit_std", "other_logit", "other_logit_std",
    "grad_R_squared",
)  # fmt: skip

ARRAYS = (
    "seeds", "epoch", *MEASURED, "attention", "permutations", "q_start", "k_start", "q_end",
    "k_end", "W_end",
)  # fmt: skip
CHECKPOINT = ".checkpoint.npz"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Run:
    """A training run of B seeds, measured at E epochs.

    parameters: sizes, initialisation, learning rate. training: the other hyperparameters.
    seeds: (B,). epoch: (E,), starting at 0.
    R, Q, S, C: order parameters (8), (9), (40), each (B, E), as all that follow.
    loss: cross-entropy (7) on the training data. mean_field_loss: (10) from R, Q, S, C.
    train_accuracy, test_accuracy: share of right next tokens, the current state given.
    rollout_accuracy: share of test prompts whose last state comes out right, generated greedily.
    correct_logit, other_logit and their _std: mean and standard deviation of the logits of the
        right state and of the others, on the training data.
    grad_R_squared: |grad_q R|^2 + |grad_k R|^2.
    attention: (B, E, T, T), row t the prediction of state t + 1, the diagonal the right action.
    permutations: (B, K, N), action k takes state x to permutations[k, x].
    q_start, k_start, q_end, k_end: (B, d_head), RoPE plane r is entries r and r + d_head/2.
    W_end: (B, K, N, N).
    diverged: by seed, the first epoch whose step left numbers that are not finite; what is measured
        from there on is nan.
    made_with: versions, device, precision and commit, in words.
    state: whatever the trainer needs to go on; empty once the run is complete.
    """

    parameters: Parameters
    training: dict[str, Any]
    seeds: NDArray[np.int64]
    epoch: NDArray[np.int64]
    R: Array
    Q: Array
    S: Array
    C: Array
    loss: Array
    mean_field_loss: Array
    train_accuracy: Array
    test_accuracy: Array
    rollout_accuracy: Array
    correct_logit: Array
    correct_logit_std: Array
    other_logit: Array
    other_logit_std: Array
    grad_R_squared: Array
    attention: Array
    permutations: NDArray[np.uint16]
    q_start: Array
    k_start: Array
    q_end: Array
    k_end: Array
    W_end: NDArray[Any]
    diverged: dict[int, int] = field(default_factory=dict)
    made_with: dict[str, Any] = field(default_factory=dict)
    state: dict[str, NDArray[Any]] = field(default_factory=dict)
    complete: bool = True

    def __post_init__(self) -> None:
        """Check every shape, and that only a diverged seed holds numbers that are not finite."""
        p, B, E = self.parameters, len(self.seeds), len(self.epoch)
        shapes = {
            "seeds": (B,), "epoch": (E,), **dict.fromkeys(MEASURED, (B, E)),
            "attention": (B, E, p.T, p.T), "permutations": (B, p.K, p.N),
            **dict.fromkeys(("q_start", "k_start", "q_end", "k_end"), (B, p.d_head)),
            "W_end": (B, p.K, p.N, p.N),
        }  # fmt: skip
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, not {shape}")
        if not E or self.epoch[0] != 0 or not np.all(np.diff(self.epoch) > 0):
            raise ValueError("its epochs do not increase from 0")
        for index, seed in enumerate(self.seeds):
            before = self.epoch < self.diverged.get(int(seed), np.iinfo(np.int64).max)
            for name in (*MEASURED, "attention"):
                if not np.all(np.isfinite(getattr(self, name)[index, before])):
                    raise ValueError(f"{name} of seed {seed} holds values that are not finite")

    def __repr__(self) -> str:
        """Return what was trained, in a line."""
        p = self.parameters
        lost = f", {len(self.diverged)} diverged" if self.diverged else ""
        return (
            f"<Run N = {p.N}, T = {p.T}, K = {p.K}: {len(self.seeds)} seeds, "
            f"{len(self.epoch)} epochs to {self.epoch[-1]}{lost}>"
        )

    def _repr_html_(self) -> str:
        """Return parameters, training and what was measured as a table for a notebook."""
        measured = [(name, getattr(self, name)) for name in ("seeds", "epoch", *MEASURED)]
        rows = [*self.parameters.items(), *self.training.items(), *measured]
        return notebook.table("Run", rows, map(str, self.made_with.items()))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, whole or not at all."""
        about = {
            "format": FORMAT,
            "version": VERSION,
            "complete": self.complete,
            "parameters": asdict(self.parameters),
            "training": self.training,
            "diverged": {str(seed): epoch for seed, epoch in self.diverged.items()},
            "made_with": self.made_with,
            "units": {"epoch": EPOCH, **{name: QUANTITIES[name].unit for name in MEASURED}},
        }
        arrays = {name: getattr(self, name) for name in ARRAYS}
        arrays.update({f"state/{name}": value for name, value in self.state.items()})
        with writing(path) as file:
            np.savez(file, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)


def read_run(path: str | os.PathLike[str], *, unfinished: bool = False) -> Run:
    """Read a run file; FileError, in one sentence, on any file that is not a whole one.

    unfinished: accept the checkpoint of a run that is still under way.
    """
    with reading(path, "run file") as file:
        about = json.loads(str(file["about"]))
        if (about["format"], about["version"]) != (FORMAT, VERSION):
            raise ValueError(f"it says {about['format']!r}, version {about['version']}")
        arrays = {name: file[name] for name in ARRAYS}
        state = {name[6:]: file[name] for name in file.files if name.startswith("state/")}
        run = Run(
            parameters=Parameters(**about["parameters"]),
            training=about["training"],
            diverged={int(seed): epoch for seed, epoch in about["diverged"].items()},
            made_with=about["made_with"],
            complete=about["complete"],
            state=state,
            **arrays,
        )
    if not run.complete and not unfinished:
        raise FileError(
            f"{os.fspath(path)} is the checkpoint of an unfinished run, at epoch {run.epoch[-1]}; "
            "resume the run to finish it"
        )
    return run


def files_in(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the NPZ files of a folder, checkpoints left out; FileError if there is none."""
    paths = [
        path for path in sorted(Path(folder).glob("*.npz")) if not path.name.endswith(CHECKPOINT)
    ]
    if not paths:
        raise FileError(f"{os.fspath(folder)} holds no run files: python -m simulate makes some")
    return paths


def checkpoint_of(path: str | os.PathLike[str]) -> Path:
    """Return where the checkpoint of the run file ``path`` lies."""
    return Path(path).with_suffix(CHECKPOINT)
