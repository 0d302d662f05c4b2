"""Theory against training: how far the curves are apart, with standard errors over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from meanfield import notebook
from meanfield.checks import one_of
from meanfield.compare.statistics import Deviation, Lateness, concise, deviation, lateness
from meanfield.errors import FileError, ParameterError
from meanfield.predict.prediction import predict
from meanfield.predict.trajectory import Trajectory
from meanfield.predict.trust import few_rows
from meanfield.runs.measured import CURVES, Measured
from meanfield.start import Start
from meanfield.theory import Theory

Array = NDArray[np.float64]

STARTS = ("measured", "nominal")
# An event is a curve's first passage through 1/2, found between two epochs on a scale on which the
# curve is almost straight there.
EVENTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "onset_epoch": ("R", logit),
    "rollout_half_epoch": ("rollout_accuracy", np.asarray),
}
BEYOND = 2  # runs' lengths in which theory may reach what training has reached within one


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Comparison:
    """One theory, from one kind of start, against the measured curves.

    start: "measured", of each seed from what is known of it at epoch 0, or "nominal".
    curves: of the theory at the measured epochs, (B, E) each, by name.
    """

    theory: Theory
    start: str
    curves: dict[str, Array]
    deviations: dict[str, Deviation]
    lateness: dict[str, Lateness]

    def __repr__(self) -> str:
        """Return the theory and its rms errors, in a line."""
        told = ", ".join(map(" ".join, self._rms()))
        return f"<Comparison {self.theory}, {self.start} start: {told}>"

    def _repr_html_(self) -> str:
        """Return the rms errors as a table for a notebook."""
        return notebook.table(f"{self.theory}, {self.start} start: rms of a seed", self._rms())

    def _rms(self) -> list[tuple[str, str]]:
        return [(name, concise(each.rms_seed)) for name, each in self.deviations.items()]


def compare(
    measured: Measured,
    theory: str | Theory,
    *,
    start: str = "measured",
    flow: bool = False,
) -> Comparison:
    """Hold a theory against what was measured.

    theory: a name, or a Theory, taken as it is. By its name it is followed in gradient steps if
    training took them, unless flow is True, and reads the logits in the best way it has.
    start: "measured", or "nominal" where the theory has a nominal start. Raises ParameterError for
    what cannot be, FileError if a file does not hold what the theory starts from; and what
    ``predict`` raises.
    """
    if isinstance(theory, str):
        theory = as_trained(measured, theory, flow=flow)
    runs = predictions(measured, theory, start=start)
    E, B = len(measured.epoch), len(measured.seeds)
    whole = {
        name: np.broadcast_to([getattr(run, name) for run in runs], (B, len(runs[0].epoch)))
        for name in measured.curves
    }
    curves = {name: curve[:, :E] for name, curve in whole.items()}
    return Comparison(
        theory=theory,
        start=start,
        curves=curves,
        deviations={
            name: deviation(curves[name] - measured.curves[name]) for name in measured.curves
        },
        lateness={
            event: lateness(
                runs[0].epoch, whole[name], measured.epoch, measured.curves[name], scale
            )
            for event, (name, scale) in EVENTS.items()
            if name in measured.curves
        },
    )


def as_trained(measured: Measured, name: str, *, flow: bool = False) -> Theory:
    """Return the theory of that name as it is held against this training (see ``compare``)."""
    known = measured.known_training
    steps = known is not None and known.in_steps and not flow
    return Theory.parse(name, steps=steps).with_best_logits()


def starts_of(theory: Theory) -> tuple[str, ...]:
    """Return the starts a theory can have."""
    return STARTS[:1] if theory.of_one_seed else STARTS


def no_start(measured: Measured) -> str:
    """Return why no theory can start from what was measured, or ""."""
    lacking = ", ".join(measured.lacking)
    return f"no measured start, as {measured.source} holds no {lacking}" if lacking else ""


def obstacle(measured: Measured, theory: Theory) -> str:
    """Return why a theory cannot be started from these files, or ""."""
    for index, seed in enumerate(measured.seeds.tolist()):
        start = theory.pick(measured.start(index))
        if why := theory.obstacle(measured.parameters, start, measured.known_training):
            return f"{why} (seed {seed} of {measured.source})"
    return ""


def predictions(measured: Measured, theory: Theory, *, start: str) -> list[Trajectory]:
    """Return the theory of each seed, or the one of all from the nominal start.

    The epochs are the measured ones, and go on beyond them at the same distance, so that an event
    which training reaches earlier is not lost.
    """
    one_of(f"the start of {theory}", start, starts_of(theory))
    last, step = measured.epoch[-1], np.diff(measured.epoch).max(initial=1.0)
    epochs = np.concatenate([measured.epoch, np.arange(last + step, BEYOND * last, step)])
    starts = [Start()]
    if start == "measured":
        if why := no_start(measured) or obstacle(measured, theory):
            raise FileError(why)
        starts = [theory.pick(measured.start(index)) for index in range(measured.count)]
    return [
        predict(
            measured.parameters,
            theory,
            start=each,
            training=measured.known_training,
            epochs=epochs,
        )
        for each in starts
    ]


def compared(
    measured: Measured, theories: Iterable[str], starts: Sequence[str], *, flow: bool = False
) -> tuple[Measured, list[Comparison]]:
    """Return every theory against one training, with a note on each that cannot be.

    Raises ParameterError if none can be.
    """
    from tqdm import tqdm

    found: list[Comparison] = []
    without: dict[str, str] = {}
    lacking = no_start(measured)
    there = [start for start in starts if not lacking or start == "nominal"]
    for name in tqdm(list(theories), unit="theory", leave=False, disable=None):
        theory = as_trained(measured, name, flow=flow)
        possible = [start for start in there if start in starts_of(theory)]
        why = obstacle(measured, theory)
        if not why and not possible:
            why = f"it has no {' or '.join(there)} start" if there else lacking
        if why:
            without[str(theory)] = why
            continue
        found += [compare(measured, theory, start=start) for start in possible]
    notes = [few] if (few := few_rows(measured.parameters, measured.known_training)) else []
    notes += [f"without {name}: {why}" for name, why in without.items()]
    if not found:
        reasons = set(without.values())
        each = (f"without {name}: {why}" for name, why in without.items())
        listed = "; ".join(each if len(reasons) > 1 else reasons)
        raise ParameterError(f"nothing can be compared: {listed}")
    if lacking and len(there) < len(starts):
        notes.insert(0, lacking)
    return replace(measured, notes=(*measured.notes, *notes)), found


def quantities(comparisons: Iterable[Comparison]) -> list[str]:
    """Return the names of the curves that any comparison has, in their usual order."""
    known = {name for comparison in comparisons for name in comparison.deviations}
    return [name for name in CURVES if name in known]
