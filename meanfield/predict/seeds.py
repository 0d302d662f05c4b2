"""Many seeds side by side: their curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from meanfield.errors import ParameterError
from meanfield.parameters import Parameters
from meanfield.predict.many import Batch, gaussian
from meanfield.predict.prediction import ascending
from meanfield.predict.spread import CHUNK, times_of
from meanfield.start import Start, stacked
from meanfield.theory import BEST, Theory


def predict_seeds(
    parameters: Parameters,
    theory: str | Theory = BEST,
    *,
    starts: Sequence[Start],
    epochs: ArrayLike,
) -> Batch:
    """Return the curves of many seeds of one model, each from its own start.

    theory: one of a single seed. starts: of the seeds. epochs: (E,), ascending from 0 or later.
    onset_epoch is inf where R = 1/2 is not reached within the epochs. Raises ParameterError on what
    cannot be, SolverError if the equations cannot be solved.
    """
    theory, epoch, lr = Theory.parse(theory), ascending(epochs), parameters.lr
    if not theory.of_one_seed or not starts:
        raise ParameterError(
            "predict_seeds follows one seed or more by a theory that starts from the query and key "
            f"of each, not {len(starts)} by {theory}"
        )
    if theory.logits != Theory.logits:
        raise ParameterError(
            f"the logits of many seeds at once are {Theory.logits}, not {theory.logits}: predict "
            "them one by one"
        )
    for start in starts:
        theory.check(start)
    resolved = [start.resolved(parameters) for start in starts]
    curves, onsets = np.empty((3, len(starts), len(epoch))), np.empty(len(starts))
    for first in range(0, len(starts), CHUNK):
        rows = slice(first, first + CHUNK)
        model = theory.model(parameters, stacked(resolved[rows]))
        curve = model.solve(epoch[-1] * lr, rtol=model.attention.rtol / 10)
        curves[:, rows] = curve(epoch * lr)
        onsets[rows] = times_of(curve, 0.5) / lr
    logit_R, Q, S = curves
    numbers = {name: x for name, x in parameters.items() if name != "rope_spacing"}
    of_each = {name: getattr(stacked(resolved), name) for name in ("Q", "S", "C", "overlap")}
    return Batch(
        epoch=np.broadcast_to(epoch, logit_R.shape),
        logit_R=logit_R,
        Q=Q,
        S=S,
        onset_epoch=onsets,
        logits=gaussian({**numbers, **{name: each[:, None] for name, each in of_each.items()}}),
        theory=theory,
        parameters={name: np.full(len(starts), float(x)) for name, x in numbers.items()},
        given={"seed": np.arange(float(len(starts)))},
        rope_spacing=parameters.rope_spacing,
    )
