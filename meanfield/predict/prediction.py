"""Predict a training run from its parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from meanfield import dynamics, flow, generated
from meanfield.attention import closures
from meanfield.attention import onset as lock
from meanfield.attention import planes as attention
from meanfield.attention.closures import Closure
from meanfield.checks import nonnegative, positive, real
from meanfield.dynamics import Curve, Start, System
from meanfield.errors import ParameterError
from meanfield.logits import gaussian as accuracy
from meanfield.logits import sampled
from meanfield.parameters import Parameters
from meanfield.predict import seeds
from meanfield.predict.trajectory import Trajectory

Array = NDArray[np.float64]
Error = Callable[[Any], Array]

EXACT, COUNTED = 1e-12, 1e-4  # relative error of events' times; of those of counted accuracies
SATURATED = 0.01  # rollout error at which training is called saturated
LONGEST = 4**10  # times the estimated onset: no horizon is chosen beyond it


def predict(
    parameters: Parameters,
    *,
    epochs: float | ArrayLike | None = None,
    points: int = 401,
    closure: Any = "spectral",
    R0: float | None = None,
    Q0: float | None = None,
    S0: float | None = None,
    C: float | None = None,
    q: ArrayLike | None = None,
    k: ArrayLike | None = None,
    fluctuations: bool | None = None,
    overlap: float | None = None,
    lr_correction: bool = False,
    variances: str = "theory",
    sigma_c: float | None = None,
    sigma_o: float | None = None,
    permutations: ArrayLike | None = None,
    thermodynamic_limit: bool = False,
) -> Trajectory:
    """Return the training run that the mean-field theory predicts.

    epochs: where the curve ends, or an ascending array of the very epochs wanted; None: past
        saturation, as far as it comes in reasonable time.
    points: number of epochs in the curve, evenly spaced from 0, unless they are given one by one.
    closure: no closure but the softmax attention itself (X5), "spectral" from the start of a
        typical seed, "per-seed" from the query q and the key k of one; or the paper's "linear"
        (71), or "quadratic" (70), or a SymPy expression G(R, ...) of your own.
    R0, Q0, S0, C: the measured start; nominally R0 = 1/T, C = 0 and Q0 = S0 = C/N. With "spectral"
        and "per-seed" R0 is not for you to choose.
    q, k: query and key at the start, shape (d_head,), RoPE plane r the entries r and r + d_head/2.
    fluctuations: keep the fluctuations of the logits in the loss, to second order (X8); only with
        "spectral" and "per-seed", where it is the default. overlap: then that of the vocabulary
        (58), 1/N unless given.
    lr_correction: follow gradient steps of size lr, to first order, instead of gradient flow (X7).
    variances: "theory" for Gaussian logits with the variances of the mean-field solution,
        "constant" for sigma_c and sigma_o all along, which are those of the initialisation unless
        given, "sampled" for no Gaussians but logits drawn along the solution (see sampled): then
        with the permutations (K, N) of a seed, if given.
    thermodynamic_limit: drop the factors N/(N-1) and (K-1)/K of (15a), as the paper does; they
        cancel when K = N, the default.

    Raises ParameterError for what cannot be, SolverError if the equations cannot be solved.
    """
    pace = 1.0
    if thermodynamic_limit:
        pace = parameters.N * parameters.K / float(generated.kappa(parameters.N, parameters.K, 1.0))
    step = parameters.lr if lr_correction else 0.0
    if isinstance(closure, str) and closure in closures.ATTENTION:
        if R0 is not None:
            raise ParameterError(
                f'R0 = {R0!r} may not be given with closure="{closure}", where it follows from '
                'query and key; give it with closure="linear"'
            )
        overlap = _overlap(parameters, fluctuations, overlap)
        model = _attention(parameters, closure, q, k, overlap=overlap, pace=pace, step=step)
    elif fluctuations or overlap is not None:
        raise ParameterError(
            f'fluctuations and overlap need closure="spectral" or "per-seed", not {closure!r}'
        )
    elif q is None and k is None:
        model = _closed(parameters, closure, pace=pace, step=step)
    else:
        raise ParameterError(f'q and k may only be given with closure="per-seed", not {closure!r}')
    start = dynamics.start(parameters, R0=model.R0 if R0 is None else R0, Q0=Q0, S0=S0, C=C)
    wanted = None
    if isinstance(epochs, (list, tuple, np.ndarray)):
        wanted = dynamics.ascending(epochs)
        epochs = wanted[-1]
    end = None if epochs is None else positive("epochs", epochs)
    if isinstance(points, bool) or not isinstance(points, int) or points < 2:
        raise ParameterError(f"points must be an integer of at least 2, not {points!r}")
    deviations = _deviations(parameters, start, overlap, variances, sigma_c, sigma_o)

    drawn = _permutations(parameters, variances, permutations)

    def next_token_error(curve: Curve, t: Any) -> Array:
        logit_R, Q, S = curve(t)
        if variances == "sampled":
            gained = _gained(parameters, start, overlap, Q, S)
            A = curve.attention(t)
            return (
                1 - sampled.next_token_accuracy(parameters, *gained, A, permutations=drawn).accuracy
            )
        margin = _margin(parameters, start, logit_R, Q, S)
        return accuracy.next_token_error(margin, *deviations(expit(logit_R), Q, S), parameters.N)

    def rollout_error(curve: Curve, t: Any) -> Array:
        error = next_token_error(curve, t)
        return np.asarray(generated.rollout_error(error, parameters.N, parameters.T))

    curve, end = _solve(parameters, model, start, end, rollout_error)
    steps = _steps(curve, end * parameters.lr)
    logit_R_at_steps, wrong_at_steps = curve(steps)[0], rollout_error(curve, steps)

    def logit_R_reaches(goal: float) -> float | None:
        t = _first_zero(lambda t: curve(t)[0] - goal, steps, logit_R_at_steps - goal)
        return None if t is None else t / parameters.lr

    def rollout_error_falls_to(goal: float) -> float | None:
        def above(t: float) -> Array:  # in logarithms, as the error falls like an exponential
            return math.log(goal) - np.log(rollout_error(curve, t))

        with np.errstate(divide="ignore"):  # no error left at all
            rtol = COUNTED if variances == "sampled" else EXACT
            t = _first_zero(above, steps, math.log(goal) - np.log(wrong_at_steps), rtol=rtol)
        return None if t is None else t / parameters.lr

    epoch = np.linspace(0.0, end, points) if wanted is None else wanted
    t = np.minimum(epoch * parameters.lr, curve.end)
    logit_R, Q, S = curve(t)
    R, retrieval_error = expit(logit_R), expit(-logit_R)
    margin = _margin(parameters, start, logit_R, Q, S)
    right, other = deviations(R, Q, S)
    wrong = next_token_error(curve, t)
    return Trajectory(
        parameters=parameters,
        closure=model.name,
        rate=model.rate,
        overlap=overlap,
        lr_correction=lr_correction,
        variances=variances,
        start=start,
        epoch=epoch,
        R=R,
        retrieval_error=retrieval_error,
        Q=Q,
        S=S,
        margin=margin,
        loss=_loss(parameters, start, overlap, R, Q, S),
        sigma_c=right,
        sigma_o=other,
        next_token_error=wrong,
        rollout_error=np.asarray(generated.rollout_error(wrong, parameters.N, parameters.T)),
        heuristic_end_epoch=logit_R_reaches(logit(start.R + 0.1 * (1 - start.R))),
        onset_epoch=logit_R_reaches(0.0),
        rollout_half_epoch=rollout_error_falls_to(0.5),
        saturation_epoch=rollout_error_falls_to(SATURATED),
    )


def _margin(parameters: Parameters, start: Start, logit_R: Any, Q: Any, S: Any) -> Array:
    return np.asarray(generated.margin(expit(logit_R), Q, S, start.C, parameters.N, parameters.K))


def _loss(
    parameters: Parameters, start: Start, overlap: float | None, R: Array, Q: Array, S: Array
) -> Array:
    """Return the mean-field loss (10), or the one with fluctuations (X8d)."""
    N, K, C = parameters.N, parameters.K, start.C
    if overlap is None:
        return np.asarray(generated.loss(generated.margin(R, Q, S, C, N, K), N))
    known = (start.Q, start.S, C, overlap, parameters.w_variance, N, K, parameters.T)
    return np.asarray(generated.corrected_loss(R, Q, S, *known))


def _gained(
    parameters: Parameters, start: Start, overlap: float | None, Q: Array, S: Array
) -> tuple[Array, Array]:
    """Return the weights u of the retrieval part and v of the heuristic (X4c), (X4d)."""
    N, K = parameters.N, parameters.K
    overlap = 1 / N if overlap is None else overlap
    U0, V0 = start.Q - start.S, start.Q + (K - 1) * start.S
    u = generated.retrieval_part(Q - S, U0, overlap)
    return np.asarray(u), np.asarray(generated.heuristic_part(Q + (K - 1) * S, V0, overlap, N, K))


def _permutations(parameters: Parameters, variances: str, permutations: Any) -> Any:
    """Return the permutations as an array (K, N), or None; ParameterError if they are none."""
    if permutations is None:
        return None
    if variances != "sampled":
        raise ParameterError('permutations may only be given with variances="sampled"')
    array = np.asarray(permutations)
    if array.shape != (parameters.K, parameters.N) or np.any(
        np.sort(array, axis=-1) != np.arange(parameters.N)
    ):
        raise ParameterError(
            f"permutations must be K = {parameters.K} permutations of 0..{parameters.N - 1}, not "
            f"of shape {array.shape}"
        )
    return array.astype(np.int64)


def _deviations(
    parameters: Parameters,
    start: Start,
    overlap: float | None,
    variances: str,
    sigma_c: float | None,
    sigma_o: float | None,
) -> Callable[[Any, Any, Any], tuple[Array, Array]]:
    """Return the function (R, Q, S) -> (sigma_c, sigma_o)."""

    def theory(R: Any, Q: Any, S: Any) -> tuple[Array, Array]:
        gained_S = np.asarray(S) - start.S
        gained_U = np.asarray(Q) - start.Q - gained_S
        return accuracy.logit_deviations(
            parameters,
            R=R,
            U_gained=gained_U,
            V_gained=gained_U + parameters.K * gained_S,
            overlap=overlap,
        )

    if variances in ("theory", "sampled"):
        if sigma_c is not None or sigma_o is not None:
            raise ParameterError('sigma_c and sigma_o may only be given with variances="constant"')
        return theory
    if variances != "constant":
        raise ParameterError(
            f'variances must be "theory", "constant" or "sampled", not {variances!r}'
        )
    initial = theory(start.R, start.Q, start.S)
    right = float(initial[0]) if sigma_c is None else nonnegative("sigma_c", sigma_c)
    other = float(initial[1]) if sigma_o is None else nonnegative("sigma_o", sigma_o)
    return lambda R, Q, S: (np.full(np.shape(R), right), np.full(np.shape(R), other))


@dataclass(frozen=True)
class _Model:
    """What stands for attention. R0: where it starts unless told; rate: as a Trajectory has it.

    system(start): the equations. lock: the closure whose onset sets the scale of the horizon.
    """

    name: str
    rate: float
    R0: float | None
    system: Callable[[Start], System]
    lock: Closure
    rtol: float


def _closed(parameters: Parameters, closure: Any, *, pace: float, step: float) -> _Model:
    """Return a closure G(R), by its name or by an expression."""
    chosen = (
        closures.named(closure, also=closures.ATTENTION)
        if isinstance(closure, str)
        else closures.from_expression(closure, parameters)
    )
    rate = closures.rate(chosen, parameters) * pace

    def system(start: Start) -> System:
        return dynamics.system(parameters, chosen, start, rate, step=step)

    return _Model(chosen.name, rate, None, system, chosen, dynamics.RTOL)


def _overlap(
    parameters: Parameters, fluctuations: bool | None, overlap: float | None
) -> float | None:
    """Return the overlap to follow the fluctuations with, None without them."""
    if fluctuations is not None and not fluctuations:
        if overlap is not None:
            raise ParameterError(f"overlap may not be given without fluctuations: {overlap!r}")
        return None
    if overlap is None:
        return 1 / parameters.N
    return float(flow.checked_overlap(parameters, real("overlap", overlap)))


def _attention(
    parameters: Parameters,
    closure: str,
    q: Any,
    k: Any,
    *,
    overlap: float | None,
    pace: float,
    step: float,
) -> _Model:
    """Return the softmax attention itself, of one seed or of a typical one."""
    planes = seeds.planes(parameters)
    if closure == closures.PER_SEED:
        vectors = (_vector(name, value, parameters) for name, value in (("q", q), ("k", k)))
        heads, share = attention.heads(*vectors), 1.0
    elif q is None and k is None:
        heads, share = seeds.typical_heads(planes, parameters)
    else:
        raise ParameterError('q and k may only be given with closure="per-seed", not "spectral"')
    R0 = float(attention.retrieval(planes, heads.p)[0])

    def system(start: Start) -> System:
        logic = {"Q0": start.Q, "S0": start.S, "C": start.C}
        return flow.system(
            parameters, planes, heads, **logic, overlap=overlap, pace=pace, step=step
        )

    return _Model(closure, share * pace, R0, system, closures.LINEAR, flow.RTOL)


def _vector(name: str, value: Any, parameters: Parameters) -> Array:
    """Return a query or key as an array (d_head,); ParameterError if it is none."""
    if value is None:
        raise ParameterError(f'closure="per-seed" needs q and k, but {name} is missing')
    vector = np.asarray(value, float)
    if vector.shape != (parameters.d_head,) or not np.all(np.isfinite(vector)):
        raise ParameterError(
            f"{name} must be d_head = {parameters.d_head} finite numbers, not {value!r}"
        )
    return vector


def _solve(
    parameters: Parameters,
    model: _Model,
    start: Start,
    epochs: float | None,
    rollout_error: Callable[[Curve, Any], Array],
) -> tuple[Curve, float]:
    """Return the curve and where it ends; without ``epochs``, go on until it has saturated."""
    lr, system = parameters.lr, model.system(start)

    def on(t_end: float, curve: Curve | None = None) -> Curve:
        return dynamics.integrate(system, lr=lr, t_end=t_end, after=curve, rtol=model.rtol)

    if epochs is not None:
        return on(epochs * lr), epochs
    R_end = max(lock.goal(parameters.T), (1 + start.R) / 2)
    gained = lock.closure_lock(model.lock, parameters, R_end=R_end).V
    onset = float(generated.early_time(gained, 0.0, parameters.N, parameters.K))
    curve = on(2 * onset)

    def learned(t: Any) -> Any:
        return (curve(t)[0] >= 0) & (rollout_error(curve, t) <= SATURATED)

    while not learned(curve.end) and curve.end < LONGEST * onset:
        curve = on(4 * curve.end, curve)
    steps = _steps(curve, curve.end)
    done, locked = np.flatnonzero(learned(steps)), np.flatnonzero(curve(steps)[0] >= 0)
    if done.size:
        t_end = 1.3 * max(steps[done[0]], onset)
    else:
        t_end = 4 * max(steps[locked[0]] if locked.size else 0.0, onset)
    epochs = _round_up(t_end / lr)
    return (curve if epochs * lr <= curve.end else on(epochs * lr, curve)), epochs


def _round_up(value: float) -> float:
    """Return the next number with two digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit) * unit


def _steps(curve: Curve, t_end: float) -> Array:
    """Return the solver's own steps up to t_end, t_end the last."""
    steps = np.concatenate([piece.ts for piece in curve.pieces])
    t_end = min(t_end, curve.end)
    return np.append(steps[steps < t_end], t_end)


def _first_zero(
    f: Callable[[float], Any], steps: Array, at_steps: Array, *, rtol: float = EXACT
) -> float | None:
    """Return the first time at which f is no longer negative, None if there is none.

    steps: times close enough for f not to change sign twice in between; at_steps: f there.
    """
    reached = np.flatnonzero(at_steps >= 0)
    if not reached.size:
        return None
    right = int(reached[0])
    if right == 0 or at_steps[right] == 0:
        return float(steps[right])
    return float(brentq(lambda t: float(f(t)), steps[right - 1], steps[right], rtol=rtol))
