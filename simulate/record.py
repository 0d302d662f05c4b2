"""What has been measured so far, and the run that it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.runs.run import CURVES, Run
from meanfield.training import Schedule
from simulate.machine import made_with
from simulate.trainer import Trainer

Array = NDArray[Any]


@dataclass(kw_only=True, eq=False)
class Record:
    """The measurements of a training, evaluation by evaluation.

    q_start, k_start: (B, d_head). made_with: as in a run. epochs: of the evaluations.
    curves: by name, an array (B, ...) an evaluation.
    diverged: by seed, the first epoch whose step left numbers that are not finite.
    """

    seeds: tuple[int, ...]
    q_start: Array
    k_start: Array
    made_with: dict[str, Any]
    epochs: list[int] = field(default_factory=list)
    curves: dict[str, list[Array]] = field(default_factory=lambda: {name: [] for name in CURVES})
    diverged: dict[int, int] = field(default_factory=dict)

    @classmethod
    def at_start(cls, trainer: Trainer) -> Record:
        """Return the record of a model that has not been trained yet."""
        q, k = (vector.cpu().numpy() for vector in trainer.model.vectors)
        seeds, about = trainer.experiment.seeds, made_with(trainer.machine)
        return cls(seeds=seeds, q_start=q, k_start=k, made_with=about)

    def go_on_from(self, run: Run, schedule: Schedule) -> list[int]:
        """Take over what a checkpoint, or a finished run, has recorded.

        The end of a finished run is left out where a longer schedule does not evaluate. Returns by
        seed the epoch at which it has diverged since the evaluation before, as ``add`` takes it.
        """
        self.epochs = run.epoch.tolist()
        self.curves = {name: list(np.moveaxis(getattr(run, name), 1, 0)) for name in CURVES}
        self.diverged = dict(run.diverged)
        if schedule.evaluates(self.epochs[-1]):
            return [0] * len(self.seeds)
        self.epochs.pop()
        for values in self.curves.values():
            values.pop()
        late = {seed: at for seed, at in run.diverged.items() if at > self.epochs[-1]}
        for seed in late:
            del self.diverged[seed]
        return [late.get(seed, 0) for seed in self.seeds]

    @property
    def last(self) -> int | None:
        """Epoch of the last evaluation, None before the first."""
        return self.epochs[-1] if self.epochs else None

    @property
    def all_diverged(self) -> bool:
        """Whether no seed is left to train."""
        return len(self.diverged) == len(self.seeds)

    def add(self, epoch: int, measured: dict[str, Array], broken: Sequence[int]) -> list[int]:
        """Keep an evaluation and return the seeds that have diverged since the one before.

        measured: (B, ...) by name; what belongs to a seed that has diverged becomes nan.
        broken: by seed, the first epoch whose step left weights that are not finite, or 0.
        """
        before = set(self.diverged)
        for index, (seed, since) in enumerate(zip(self.seeds, broken, strict=True)):
            if seed not in before and (since or not _all_finite(measured, index)):
                self.diverged[seed] = since or epoch
            if seed in self.diverged:
                for name in CURVES:
                    measured[name][index] = np.nan
        for name in CURVES:
            self.curves[name].append(measured[name])
        self.epochs.append(epoch)
        return [seed for seed in self.diverged if seed not in before]

    def run(
        self, trainer: Trainer, *, complete: bool = True, state: dict[str, Array] | None = None
    ) -> Run:
        """Return the run as it stands; the checkpoint of an unfinished one is not complete."""
        q, k = (vector.cpu().numpy() for vector in trainer.model.vectors)
        return Run(
            parameters=trainer.experiment.parameters,
            training=trainer.experiment.settings,
            seeds=np.array(self.seeds),
            epoch=np.array(self.epochs),
            **{name: np.stack(values, axis=1) for name, values in self.curves.items()},
            permutations=trainer.task.permutations,
            q_start=self.q_start,
            k_start=self.k_start,
            q_end=q,
            k_end=k,
            W_end=trainer.model.W.detach().cpu().numpy(),
            diverged=self.diverged,
            made_with=self.made_with,
            complete=complete,
            state=state or {},
        )


def _all_finite(measured: dict[str, Array], index: int) -> bool:
    """Whether everything measured on one seed is finite."""
    return all(bool(np.all(np.isfinite(values[index]))) for values in measured.values())
