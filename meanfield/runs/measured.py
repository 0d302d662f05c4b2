"""What training has measured, as far as the theory speaks of it: read from run files and others."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import notebook
from meanfield.errors import FileError
from meanfield.files import reading
from meanfield.parameters import Parameters
from meanfield.runs.run import Run, files_in, read_run
from meanfield.start import Start
from meanfield.training import Training

Array = NDArray[np.float64]

# Curves by the name a Trajectory gives them, and by the name of a run file.
CURVES = {
    "R": "R",
    "Q": "Q",
    "S": "S",
    "loss": "loss",
    "next_token_accuracy": "test_accuracy",
    "rollout_accuracy": "rollout_accuracy",
}
NEEDED = ("R", "Q", "S")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Measured:
    """Curves of B seeds trained alike, at E epochs.

    source: the files, for messages. training: the hyperparameters beside ``parameters``, as far as
        known.
    seeds: (B,). epoch: (E,), in gradient steps, from 0; training time is lr * epoch.
    curves: each (B, E), by the names R, Q, S, loss, next_token_accuracy (on test sequences) and
        rollout_accuracy; the last three may be missing.
    C: (B,), the conserved sum of mean logits (40). q, k: (B, d_head) at the start, or None.
    permutations: (B, K, N), action k takes state x to permutations[b, k, x], or None.
    notes: what a reader must know, a sentence each.
    """

    source: str
    parameters: Parameters
    training: dict[str, Any]
    seeds: NDArray[np.int64]
    epoch: Array
    curves: dict[str, Array]
    C: Array
    q: Array | None = None
    k: Array | None = None
    permutations: NDArray[np.integer] | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return what was measured, in a line."""
        p = self.parameters
        return (
            f"<Measured N = {p.N}, T = {p.T}, K = {p.K}: {self.count} seeds, "
            f"{len(self.epoch)} epochs to {self.epoch[-1]:g}, {', '.join(self.curves)}>"
        )

    def _repr_html_(self) -> str:
        """Return what was measured as a table for a notebook."""
        rows = [*self.parameters.items(), *self.training.items(), ("seeds", self.seeds)]
        return notebook.table(self.source, [*rows, *self.curves.items()], self.notes)

    @property
    def count(self) -> int:
        """Number of seeds."""
        return len(self.seeds)

    @property
    def known_training(self) -> Training | None:
        """How they were trained, or None where nothing is known of it."""
        return Training.of(self.training) if self.training else None

    def start(self, index: int) -> Start:
        """Return all that is known of one of the seeds at epoch 0."""
        return Start(
            **{name: float(self.curves[name][index, 0]) for name in NEEDED},
            C=float(self.C[index]),
            q=None if self.q is None else self.q[index],
            k=None if self.k is None else self.k[index],
            permutations=None if self.permutations is None else self.permutations[index],
        )


def of_run(run: Run, source: str) -> Measured:
    """Return the curves of a run; FileError if every seed diverged.

    Seeds that diverged are left out, and a note says so.
    """
    alive = np.array([seed not in run.diverged for seed in run.seeds.tolist()])
    if not alive.any():
        raise FileError(f"{source} holds no seed that did not diverge; try a smaller lr")
    steps_per_epoch = Training.of(run.training).steps_per_epoch
    lost = ", ".join(str(seed) for seed in run.diverged)
    return Measured(
        source=source,
        parameters=run.parameters,
        training=run.training,
        seeds=run.seeds[alive],
        epoch=np.asarray(run.epoch * steps_per_epoch, float),
        curves={name: getattr(run, stored)[alive] for name, stored in CURVES.items()},
        C=run.C[alive, 0],
        q=run.q_start[alive],
        k=run.k_start[alive],
        permutations=run.permutations[alive],
        notes=(f"left out, as training diverged: seed {lost}",) if lost else (),
    )


def read_foreign(path: str | os.PathLike[str]) -> Measured:
    """Read curves that some other program wrote; FileError, in one sentence, if that cannot be.

    The NPZ file must hold epoch (E,), in gradient steps, and R, Q, S, each (E,) or (B, E), and by
    their names the Parameters that are not at their defaults (N and T at least). It may hold loss,
    next_token_accuracy, rollout_accuracy, shaped alike, C (or nothing, for 0), seeds (B,), and q
    and k of the start, (d_head,) or (B, d_head).
    """
    with reading(path, "file of curves") as file:
        missing = [name for name in ("epoch", *NEEDED, "N", "T") if name not in file.files]
        if missing:
            raise ValueError(f"it holds no {', '.join(missing)}")
        given = {field.name for field in fields(Parameters)} & set(file.files)
        epoch = _numbers(file, "epoch")
        if epoch.ndim != 1 or epoch.size < 2 or epoch[0] != 0 or np.any(np.diff(epoch) <= 0):
            raise ValueError("its epochs do not increase from 0")
        curves = {n: np.atleast_2d(_numbers(file, n)) for n in CURVES if n in file.files}
        B = max(len(curves["R"]), 1)
        for name, curve in curves.items():
            if curve.shape != (B, len(epoch)):
                raise ValueError(f"{name} has shape {curve.shape}, not {(B, len(epoch))}")
        R = curves["R"]
        if not np.all((R > 0) & (R <= 1)) or np.any(R[:, 0] == 1):  # rounded, it may end at 1
            raise ValueError("R leaves the range from 0 to 1")
        C = _numbers(file, "C") if "C" in file.files else np.zeros(1)
        C = C if C.ndim < 2 else C[:, 0]  # conserved, so the first value does
        seeds = np.asarray(file["seeds"] if "seeds" in file.files else range(B))
        if seeds.shape != (B,) or seeds.dtype.kind not in "iu" or len(set(seeds.tolist())) < B:
            raise ValueError(f"seeds are not {B} different integers")
        if C.shape not in ((), (1,), (B,)):
            raise ValueError(f"C has shape {C.shape}, not {(B,)}")
        parameters = Parameters(**{name: file[name].item() for name in given})
        vectors = {name: np.atleast_2d(_numbers(file, name)) for name in "qk" if name in file.files}
        if len(vectors) == 1:
            raise ValueError(f"it holds {next(iter(vectors))} but not the other of q and k")
        for name, vector in vectors.items():
            if vector.shape != (B, parameters.d_head):
                raise ValueError(f"{name} has shape {vector.shape}, not {(B, parameters.d_head)}")
        return Measured(
            source=os.fspath(path),
            parameters=parameters,
            training={},
            seeds=seeds.astype(np.int64),
            epoch=epoch,
            curves=curves,
            C=np.array(np.broadcast_to(C, B)),
            q=vectors.get("q"),
            k=vectors.get("k"),
            notes=() if "C" in file.files else ("no C in the file: 0 is assumed",),
        )


def _numbers(file: Any, name: str) -> Array:
    """Return an array of finite real numbers; ValueError if it is none."""
    values = np.asarray(file[name])
    if values.dtype.kind not in "iuf" or not np.all(np.isfinite(values)):
        raise ValueError(f"{name} holds values that are not finite real numbers")
    return values.astype(float)


def read(paths: Iterable[str | os.PathLike[str]]) -> list[Measured]:
    """Read run files and other NPZ files, named or in the folders named.

    Files of the same parameters and training become one, in the order in which they come first.
    FileError if a folder holds none, or if a seed comes twice.
    """
    groups: dict[str, list[Measured]] = {}
    named = [Path(path) for path in paths]
    for path in itertools.chain(*(files_in(each) if each.is_dir() else [each] for each in named)):
        measured = _read(path)
        known = sorted(measured.training.items())
        key = f"{measured.parameters.to_json()} {known}" + ("" if known else measured.source)
        groups.setdefault(key, []).append(measured)
    return [_joined(group) for group in groups.values()]


def _read(path: Path) -> Measured:
    with reading(path, "run file") as file:
        is_run = "about" in file.files
    return of_run(read_run(path), os.fspath(path)) if is_run else read_foreign(path)


def _joined(group: Sequence[Measured]) -> Measured:
    """Return files of the same training as one; FileError if a seed comes twice."""
    first = group[0]
    if len(group) == 1:
        return first
    where: dict[int, str] = {}
    for measured in group:
        for seed in measured.seeds.tolist():
            if seed in where:
                raise FileError(
                    f"seed {seed} is both in {where[seed]} and in {measured.source}: name only one"
                )
            where[seed] = measured.source

    def together(values: Iterable[Any]) -> Any:
        return np.concatenate(list(values))

    return replace(
        first,
        source=", ".join(measured.source for measured in group),
        seeds=together(each.seeds for each in group),
        curves={name: together(each.curves[name] for each in group) for name in first.curves},
        C=together(each.C for each in group),
        q=together(each.q for each in group),
        k=together(each.k for each in group),
        permutations=together(each.permutations for each in group),
        notes=tuple(note for each in group for note in each.notes),
    )
