"""Run files: what training measured, in one NPZ file a batch of seeds (NumPy only, no pickle).

Units: an epoch is one pass over the training data, training time is lr * epoch, losses are in nats.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import notebook
from meanfield.checks import boolean, integer
from meanfield.errors import FileError, ParameterError
from meanfield.files import printable, reading, writing
from meanfield.parameters import Parameters
from meanfield.quantities import QUANTITIES
from meanfield.runs.schema import ROUNDING, Kind, described, keys, mapping, part
from meanfield.training import Schedule, Training

Array = NDArray[np.float64]

FORMAT = "meanfield run"
VERSION = 1
EPOCH = "passes over the training data; training time is lr * epoch"

REAL, SHARE = Kind(shape="BE"), Kind(shape="BE", least=0, most=1)
SIZE, VECTOR = Kind(shape="BE", least=0), Kind(shape="Bd")
INTEGERS = ("int64", "int32")
CURVES = {  # what is measured at every evaluation
    "R": SHARE,
    "Q": REAL,
    "S": REAL,
    "C": REAL,
    "loss": SIZE,
    "mean_field_loss": SIZE,
    "train_accuracy": SHARE,
    "test_accuracy": SHARE,
    "rollout_accuracy": SHARE,
    "correct_logit": REAL,
    "correct_logit_std": SIZE,
    "other_logit": REAL,
    "other_logit_std": SIZE,
    "grad_R_squared": SIZE,
    "attention": Kind(shape="BETT", least=0, most=1),
}
ENDS = {
    "q_end": VECTOR,
    "k_end": VECTOR,
    "W_end": Kind(shape="BKNN", types=("float32", "float64")),
}
KINDS = {
    "seeds": Kind(shape="B", types=INTEGERS, least=0),
    "epoch": Kind(shape="E", types=INTEGERS, least=0),
    **CURVES,
    "permutations": Kind(shape="BKN", types=("uint16", "uint32", "int64")),
    "q_start": VECTOR,
    "k_start": VECTOR,
    **ENDS,
}
ARRAYS, MEASURED = tuple(KINDS), tuple(name for name in CURVES if name != "attention")
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
    state: what the trainer needs to go on; of a complete run, what q_end, k_end and W_end lack.

    Raises ParameterError, in one sentence, on types and shapes that do not go together.
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
        """Check type and shape of every array, and that the epochs increase from 0."""
        p = self.parameters
        sizes = {"K": p.K, "N": p.N, "T": p.T, "d": p.d_head}
        for name, kind in KINDS.items():
            kind.check(name, getattr(self, name), sizes)
        if not sizes["E"] or self.epoch[0] != 0 or not np.all(np.diff(self.epoch) > 0):
            raise ParameterError("its epochs do not increase from 0")
        for index, seed in enumerate(self.seeds.tolist()):
            for name in CURVES:
                if not np.all(np.isfinite(getattr(self, name)[index, self.alive(seed)])):
                    raise ParameterError(f"{name} of seed {seed} holds values that are not finite")

    def alive(self, seed: int) -> NDArray[np.bool_]:
        """Whether the numbers of a seed are still finite, at each evaluation."""
        return self.epoch < self.diverged.get(seed, np.inf)

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
        run = run_of(file)
    if not run.complete and not unfinished:
        raise FileError(
            printable(f"{os.fspath(path)} is the checkpoint of an unfinished run, at epoch ")
            + f"{run.epoch[-1]}; resume the run to finish it"
        )
    return run


def run_of(arrays: Mapping[str, NDArray[Any]]) -> Run:
    """Return the run that a file's arrays hold; ParameterError if they are not one."""
    about = described(arrays, FORMAT, VERSION)
    known = [each.name for kind in (Training, Schedule) for each in fields(kind)]
    sizes = [each.name for each in fields(Parameters)]
    run = Run(
        parameters=Parameters(**keys("parameters", part(about, "parameters"), sizes)),
        training=keys("training", part(about, "training"), known),
        diverged=_by_seed(part(about, "diverged")),
        made_with=mapping("made_with", part(about, "made_with")),
        complete=boolean("complete", part(about, "complete")),
        state={name[6:]: array for name, array in arrays.items() if name.startswith("state/")},
        **{name: arrays[name] for name in ARRAYS},
    )
    check(run)
    return run


def check(run: Run) -> None:
    """Raise ParameterError unless training can have measured this: check ranges and consistency."""
    KINDS["seeds"].check_values("seeds", run.seeds)
    if not len(run.seeds) or len(set(run.seeds.tolist())) < len(run.seeds):
        raise ParameterError("its seeds are not different ones, at least one")
    _check_diverged(run)
    _check_training(run)
    if np.any(np.sort(run.permutations, axis=-1) != np.arange(run.parameters.N)):
        raise ParameterError(f"permutations do not all permute the N = {run.parameters.N} states")
    for index, seed in enumerate(run.seeds.tolist()):
        _check_seed(run, index, seed)


def _by_seed(value: Any) -> dict[int, Any]:
    """Return the epochs of divergence by seed, which JSON keeps as text."""
    for seed in mapping("diverged", value):
        if not re.fullmatch(r"0|[1-9][0-9]{0,18}", seed):
            raise ParameterError(f"diverged names no seed, but {seed!r}")
    return {int(seed): epoch for seed, epoch in value.items()}


def _check_training(run: Run) -> None:
    """Raise ParameterError unless hyperparameters are possible and agree with the epochs."""
    for name in run.training:
        if name not in {each.name for kind in (Training, Schedule) for each in fields(kind)}:
            raise ParameterError(f"training has an unknown {name}")
    Training.of(run.training)
    schedule, last = Schedule.of(run.training), int(run.epoch[-1])
    if "eval_every" in run.training and not schedule.evaluated(run.epoch.tolist()):
        raise ParameterError(f"its epochs are not every {schedule.eval_every} of them")
    if "train_epochs" in run.training:
        lost = set(run.diverged) == set(run.seeds.tolist())
        ended = last == schedule.train_epochs or (lost and last < schedule.train_epochs)
        if not (ended if run.complete else last < schedule.train_epochs):
            what = "complete" if run.complete else "unfinished"
            raise ParameterError(f"a run of {schedule.train_epochs} epochs is not {what} at {last}")
    for name, value in run.made_with.items():
        if value is not None and not isinstance(value, str):
            raise ParameterError(f"made_with must be in words, not {name} {value!r}")
    if run.made_with.get("dtype", run.W_end.dtype.name) != run.W_end.dtype.name:
        raise ParameterError(f"W_end is not of dtype {run.made_with['dtype']!r}")


def _check_diverged(run: Run) -> None:
    """Raise ParameterError unless each seed that diverged is there, and its epoch possible."""
    for seed, epoch in run.diverged.items():
        if seed not in run.seeds:
            raise ParameterError(f"diverged names seed {seed}, which it does not hold")
        integer(f"the epoch at which seed {seed} diverged", epoch, 0, int(run.epoch[-1]))


def _check_seed(run: Run, index: int, seed: int) -> None:
    """Raise ParameterError unless the numbers of a seed are finite and in range until it diverged.

    From there on, what is measured must be nan.
    """
    alive = run.alive(seed)
    for name, kind in CURVES.items():
        curve = getattr(run, name)[index]
        kind.check_values(f"{name} of seed {seed}", curve[alive])
        if not np.all(np.isnan(curve[~alive])):
            raise ParameterError(f"{name} of seed {seed} goes on after it diverged")
    ends = {} if seed in run.diverged else ENDS
    for name, kind in {"q_start": VECTOR, "k_start": VECTOR, **ends}.items():
        kind.check_values(f"{name} of seed {seed}", getattr(run, name)[index])
    W, permutations = run.W_end[index], run.permutations[index].astype(np.int64)
    Q = float(np.take_along_axis(W, permutations[:, None], 1).mean(dtype=float))
    if ends and abs(Q - run.Q[index, -1]) > ROUNDING * max(1.0, float(np.abs(W).max())):
        raise ParameterError(f"W_end of seed {seed} has Q = {Q:.6g}, not {run.Q[index, -1]:.6g}")


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
