"""Predict a training run from its parameters."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from meanfield import generated
from meanfield.checks import fits, integer, numbers, positive, shortened
from meanfield.dynamics import Curve
from meanfield.errors import ParameterError
from meanfield.parameters import Parameters
from meanfield.predict import horizon
from meanfield.predict.accuracies import Accuracies
from meanfield.predict.trajectory import Trajectory
from meanfield.start import Start
from meanfield.theory import DEFAULT, Prepared, Theory
from meanfield.training import Training

Array = NDArray[np.float64]

POINT = 1000  # bytes that an epoch of a curve takes until it is printed


def predict(
    parameters: Parameters,
    theory: str | Theory = DEFAULT,
    *,
    start: Start | None = None,
    training: Training | None = None,
    epochs: float | ArrayLike | None = None,
    points: int = 401,
) -> Trajectory:
    """Return the training run that a theory predicts.

    theory: a name such as "linear", the paper's closed equations, or a Theory.
    start: what is known of the run at epoch 0; nominal where nothing is given.
    training: how the run is trained; refused where the theory does not cover it.
    epochs: where the curve ends, or an ascending array of the very epochs wanted; None: past
        saturation, as far as it comes in reasonable time.
    points: number of epochs in the curve, evenly spaced from 0, unless they are given one by one.

    Raises ParameterError for what cannot be, SolverError if the equations cannot be solved.
    """
    theory = Theory.parse(theory)
    wanted = _listed(epochs)
    end = float(wanted[-1]) if wanted is not None else epochs
    end = None if end is None else positive("epochs", end)
    points = fits("points", integer("points", points, 2), POINT)
    prepared = theory.prepare(parameters, start, training)
    read = Accuracies(prepared.logits, parameters)
    curve, end = horizon.solve(prepared, read, end)
    epoch = np.linspace(0.0, end, points) if wanted is None else wanted
    evaluate = partial(_curves, prepared, read, curve)
    return Trajectory(
        parameters=parameters,
        theory=theory,
        start=prepared.start,
        epoch=epoch,
        **evaluate(epoch),
        **horizon.events(curve, read, end, prepared.start),
        training=training,
        evaluate=evaluate,
    )


def _curves(prepared: Prepared, read: Accuracies, curve: Curve, epoch: Array) -> dict[str, Any]:
    """Return what a Trajectory holds at these epochs."""
    p, logits = prepared.model.parameters, prepared.logits
    t = np.minimum(epoch * p.lr, curve.end)
    logit_R, Q, S = curve(t)
    R = expit(logit_R)
    sigma_c, sigma_o = logits.deviations(R, Q, S)
    wrong = read.next_token_error(curve, t)
    return {
        "R": R,
        "retrieval_error": expit(-logit_R),
        "Q": Q,
        "S": S,
        "margin": logits.margin(R, Q, S),
        "loss": prepared.model.loss.value(R, Q, S),
        "sigma_c": sigma_c,
        "sigma_o": sigma_o,
        "next_token_error": wrong,
        "rollout_error": np.asarray(generated.rollout_error(wrong, p.N, p.T)),
    }


def _listed(epochs: Any) -> Array | None:
    """Return epochs given one by one as an array; ParameterError unless they ascend from 0 on."""
    if not isinstance(epochs, (list, tuple, np.ndarray)):
        return None
    return ascending(epochs)


def ascending(epochs: Any) -> Array:
    """Return epochs as an array; ParameterError unless they ascend from 0 or later."""
    wanted = numbers("epochs", epochs)
    if wanted.ndim != 1 or not wanted.size or not np.all(np.isfinite(wanted)):
        raise ParameterError(
            f"epochs must be a number or a list of finite numbers, not {shortened(epochs)}"
        )
    if wanted[0] < 0 or np.any(np.diff(wanted) <= 0):
        raise ParameterError(
            f"a list of epochs must ascend from 0 or later, not {shortened(epochs)}"
        )
    return wanted
