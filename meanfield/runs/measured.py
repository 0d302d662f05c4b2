"""What training has measured, as far as the theory speaks of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import notebook
from meanfield.errors import FileError
from meanfield.files import printable
from meanfield.parameters import Parameters
from meanfield.runs.run import Run
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
STARTED = ("R", "Q", "S")  # the curves whose first value a theory starts from


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Measured:
    """Curves of B seeds trained alike, at E epochs.

    source: the files, for messages. training: the hyperparameters beside ``parameters``, as far as
        known.
    seeds: (B,). epoch: (E,), in gradient steps, from 0; training time is lr * epoch.
    curves: each (B, E), by the names R, Q, S, loss, next_token_accuracy (on test sequences) and
        rollout_accuracy; some may be missing.
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

    @property
    def lacking(self) -> list[str]:
        """Which of the curves R, Q and S are missing, without which no theory starts from them."""
        return [name for name in STARTED if name not in self.curves]

    def start(self, index: int) -> Start:
        """Return all that is known of one of the seeds at epoch 0."""
        known = [name for name in STARTED if name in self.curves]
        return Start(
            **{name: float(self.curves[name][index, 0]) for name in known},
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
        raise FileError(printable(f"{source} holds no seed that did not diverge; try a smaller lr"))
    steps_per_epoch = Training.of(run.training).steps_per_epoch
    lost = ", ".join(str(seed) for seed in run.diverged)
    return Measured(
        source=printable(source),
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
