"""What to trust of a prediction, and what not: judged for the very parameters, told in sentences.

A closure is a gradient G(R) in the same equations (15) as the softmax attention it stands for, so
both give an epoch at which R = 1/2. The epochs are compared, not the internal time V: once the
margin is no longer small the epoch grows like exp(margin), and a few per cent of V are many of the
epoch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import generated
from meanfield.attention import closures
from meanfield.attention.closures import Closure
from meanfield.attention.onset import (
    onset_of_closure,
    onset_of_softmax,
    onset_retrieval,
    onsets_of_closure,
    onsets_of_softmax,
)
from meanfield.attention.planes import FlowError
from meanfield.errors import ParameterError, SolverError
from meanfield.parameters import Parameters
from meanfield.predict import horizon
from meanfield.start import Start
from meanfield.theory import CLOSURES, PLAIN, Theory
from meanfield.training import Training

Array = NDArray[np.float64]
Masks = dict[str, NDArray[np.bool_]]

TOLERANCE = 0.1  # an onset is trusted when it lies within a tenth of the one it stands for
LIKELY = 0.05  # chance of equal permutations that a mean over vocabularies does not hide
FEW_ROWS = 10  # training data an action and state: below, their counts scatter by a third or more
LARGEST_TOLD = 25  # of N: beyond, equal permutations have no chance
NARROW = 1e-3  # of the onset: steps that show the first order in the learning rate
REASONS = {
    "closure": "the closure's onset is more than a tenth off that of the softmax attention",
    "unjudged": "the softmax attention cannot be followed, so the closure cannot be judged",
    "steps": "gradient steps reach the onset more than a tenth later than gradient flow",
    "vocabulary": "one vocabulary in twenty or more has equal permutations and learns otherwise",
}


# --- many parameter sets -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How far a closure is to be trusted, from the nominal start; arrays over parameter sets.

    relative_delay: how much later it comes to R = 1/2 than the softmax attention, 0.1 is 10 %; nan
        where that cannot be followed. For T = 2, where R starts at 1/2, the goal is R = 3/4.
    relative_lag: how much later gradient steps come there than the flow, to first order in the
        learning rate (X7i).
    chance_of_equal: that two of the permutations in a vocabulary are equal (76c).
    """

    relative_delay: Array
    relative_lag: Array
    chance_of_equal: Array

    @property
    def reasons(self) -> Masks:
        """Where not to trust it, by why; ``REASONS`` says each in words."""
        unjudged = np.isnan(self.relative_delay)
        return {
            "closure": ~unjudged & (np.abs(self.relative_delay) > TOLERANCE),
            "unjudged": unjudged,
            "steps": self.relative_lag > TOLERANCE,
            "vocabulary": self.chance_of_equal > LIKELY,
        }

    @property
    def trusted(self) -> NDArray[np.bool_]:
        """Where there is no reason not to."""
        return ~np.any(list(self.reasons.values()), axis=0)


def judged(closure: Closure, models: Mapping[str, Array], rope_spacing: str) -> Judgement:
    """Judge one of the paper's closures for many parameter sets at once.

    models: the numbers of Parameters by name, arrays of one shape. Sets that differ in nothing that
    matters are judged once, and the attention is followed once for all that share it.
    """
    names = ("N", "K", "T", "d_head", "rope_theta", "qk_variance")
    table = np.stack([models[name].ravel() for name in names], axis=-1)
    different, which = _different(table)
    own = {name: different[:, column].copy() for column, name in enumerate(names)}
    found = onsets_of_closure(closure, own, closures.rates(closure, own, rope_spacing))
    softmax = onsets_of_softmax(own, rope_spacing)
    with np.errstate(over="ignore"):  # later by more than float64 can say: inf
        delay = np.expm1(found.log_t - softmax.log_t)
        lag_share = found.lag * np.exp(-found.log_t)  # of the onset, at lr = 1
    equal = generated.chance_of_equal(np.minimum(own["N"], LARGEST_TOLD), own["K"])
    shape = models["N"].shape

    def spread(values: Any) -> Array:
        return np.asarray(values)[which].reshape(shape)

    return Judgement(
        relative_delay=spread(delay),
        relative_lag=spread(lag_share) * models["lr"],
        chance_of_equal=spread(equal),
    )


def _different(table: Array) -> tuple[Array, NDArray[np.intp]]:
    """Return the different rows of a table, and which of them each row is."""
    order = np.lexsort(table.T)
    first = np.concatenate([[True], np.any(np.diff(table[order], axis=0) != 0, axis=1)])
    which = np.empty(len(table), np.intp)
    which[order] = np.cumsum(first[: len(table)]) - 1
    return table[order][first[: len(table)]], which


# --- one prediction ------------------------------------------------------------------------------


def relative_delays(parameters: Parameters, *candidates: Closure) -> tuple[float, ...]:
    """Return how much later each closure comes to R = 1/2 than the softmax attention: 0.1 is 10 %.

    In epochs from the nominal start. For T = 2, where R starts at 1/2, the goal is R = 3/4. Raises
    FlowError if the attention cannot be followed there in reasonable time, as with very few
    frequencies or with very many actions.
    """
    own, R_end = onset_of_softmax(parameters).log_t, onset_retrieval(parameters.T)
    logarithms = [
        onset_of_closure(each, parameters, R_end=R_end).log_t - own for each in candidates
    ]
    with np.errstate(over="ignore"):  # later by more than float64 can say: inf
        return tuple(float(each) for each in np.expm1(logarithms))


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """What a prediction is judged by.

    start: resolved. training: how the run is trained, where that is known. onset_epoch,
    accurate_epochs: of R = 1/2, and at which rollouts become right; None: not within the curve.
    """

    theory: Theory
    parameters: Parameters
    start: Start
    training: Training | None = None
    onset_epoch: float | None = None
    accurate_epochs: tuple[float | None, ...] = ()

    def closure(self) -> Closure | None:
        """Return the closure that stands for attention, None if there is none or it is lost."""
        if not self.theory.closed:
            return None
        try:
            return self.theory.part.build(self.parameters, self.start).closure
        except ParameterError:  # known as text only
            return None


def trust(grounds: Grounds) -> tuple[str, ...]:
    """Say what the attention of a prediction is, and how it was judged."""
    theory = grounds.theory
    if (closure := grounds.closure()) is not None:
        return of_closure(closure, grounds.parameters, measured=_is_measured(grounds))
    if theory.closed:
        return ("a closure of your own, known as text only: it cannot be judged",)
    if theory.of_one_seed:
        return ("softmax attention of the query and key given, no closure",)
    return (
        "softmax attention of a typical seed, no closure; its onset stands for the median seed's",
    )


def caveats(grounds: Grounds) -> list[str]:
    """Return what is not to be trusted of a prediction, a sentence each."""
    candidates = (_closure_off, _too_early, _coarse, _equal_permutations, _few_rows)
    return [text for each in candidates if (text := each(grounds))]


def of_closure(
    closure: Closure, parameters: Parameters, *, measured: bool = False
) -> tuple[str, ...]:
    """Say whether to trust a closure, how the others do, and how that was judged.

    measured: whether the prediction is from another start than the nominal one.
    """
    try:
        _, verdict = _verdict(closure, parameters)
    except FlowError as error:
        return (f"trust cannot be judged: {error}",)
    start = "the nominal start, not the one given," if measured else "the nominal start"
    return (verdict, f"judged from {start} against softmax attention from its mean start")


def _verdict(closure: Closure, parameters: Parameters) -> tuple[bool, str]:
    """Return whether to trust a closure, and the words that say so; raises FlowError."""
    others = {name: other for name, other in CLOSURES.items() if other is not closure}
    own, *delays = relative_delays(parameters, closure, *others.values())
    trusted = abs(own) <= TOLERANCE
    verdict = "trusted only" if trusted else "not trusted"
    what = "the onset epoch" if parameters.T > 2 else "the epoch of R = 3/4, as R starts at 1/2"
    pairs = zip(others, delays, strict=True)
    listed = ", ".join(f"{name}: {percent(by)}" for name, by in pairs)
    return trusted, f"{verdict} for {what}: {percent(own)} ({listed})"


def percent(delay: float) -> str:
    """Return a relative delay in words: "7% late"."""
    if delay > 9:
        return "more than ten times as late"
    return f"{abs(delay):.0%} {'late' if delay > 0 else 'early'}"


def _closure_off(grounds: Grounds) -> str:
    closure = grounds.closure()
    if closure is None:
        return ""
    try:
        trusted, verdict = _verdict(closure, grounds.parameters)
    except FlowError as error:
        return f"the trust in the {grounds.theory} closure cannot be judged: {error}"
    return "" if trusted else f"the {grounds.theory} closure is {verdict}"


def _too_early(grounds: Grounds) -> str:
    onset = math.inf if grounds.onset_epoch is None else grounds.onset_epoch
    learned = [each for each in grounds.accurate_epochs if each]
    if not learned or min(learned) >= onset or not grounds.theory.early_accuracies:
        return ""
    return (
        "accuracies before the attention onset are not to be trusted "
        f"({grounds.theory.early_accuracies})"
    )


def _coarse(grounds: Grounds) -> str:
    """Say by how much gradient steps lag the flow, where that is a tenth of the onset or more."""
    onset, training = grounds.onset_epoch, grounds.training
    if not onset or (training is not None and not training.in_steps):
        return ""
    p, theory = grounds.parameters, grounds.theory
    lag = lag_of_steps(theory, p, grounds.start, onset_epoch=onset)
    if lag is None or not lag > TOLERANCE * onset:
        return ""
    share = f"{lag:.2g} epochs at the onset or {lag / onset:.0%} of it"
    if theory.steps:
        return (
            f"with the onset at epoch {onset:.4g} the steps are too coarse for a correction of "
            f"first order in the learning rate, which is {share}"
        )
    return (
        f"with the onset at epoch {onset:.4g} steps are coarse: training lags gradient flow by "
        f"{share}, to first order in the learning rate"
    )


def _equal_permutations(grounds: Grounds) -> str:
    p, known = grounds.parameters, grounds.start
    nominal = known.permutations is None and not _overlap_given(grounds)
    two = float(generated.chance_of_equal(min(p.N, LARGEST_TOLD), p.K))
    if not nominal or two <= LIKELY:
        return ""
    every = float(generated.chance_of_all_equal(p.N, p.K))
    still = f", and in {every:.0%} all are, so that attention never moves" if every > LIKELY else ""
    return (
        f"in {two:.0%} of all vocabularies two of the K = {p.K} permutations are equal{still}: "
        "these learn otherwise than the mean vocabulary, which the theory is about"
    )


def _overlap_given(grounds: Grounds) -> bool:
    return bool(grounds.start.overlap != Start().resolved(grounds.parameters).overlap)


def _few_rows(grounds: Grounds) -> str:
    return few_rows(grounds.parameters, grounds.training)


def few_rows(parameters: Parameters, training: Training | None) -> str:
    """Say how few data there are for each action and state, "" if enough or not known."""
    if training is None:
        return ""
    p = parameters
    rows = training.n_train * p.T / (p.N * p.K)
    if rows >= FEW_ROWS:
        return ""
    return (
        f"n_train = {training.n_train} sequences hold {rows:.2g} examples of each action in each "
        f"state: counts scatter by {rows**-0.5:.0%}, while the theory averages over all sequences"
    )


def lag_of_steps(
    theory: Theory, parameters: Parameters, start: Start, *, onset_epoch: float
) -> float | None:
    """Return by how many epochs steps of size lr reach R = 1/2 later than gradient flow (X7).

    To first order in the learning rate, of which it then does not depend: the equations are solved
    with and without it, with steps small enough to tell. onset_epoch: about when it is. None where
    that cannot be, or where (X7i) says that it is far below a tenth of the onset.
    """
    about, closed = onset_epoch * parameters.lr, theory.part.closure
    try:
        R_end = onset_retrieval(parameters.T)
        nominal = (
            onset_of_softmax(parameters)
            if closed is None
            else onset_of_closure(closed, parameters, R_end=R_end)
        )
        with np.errstate(over="ignore"):
            least = min(float(np.exp(nominal.log_t)), about)
        if not nominal.lag * parameters.lr > TOLERANCE / 2 * least:
            return None
        loss = PLAIN if theory.closed else theory.loss  # a closure takes steps down that one only
        plain = replace(theory, loss=loss, steps=False)
        flow = _onset_time(plain, parameters, start, 2 * about)
        narrow = replace(parameters, lr=NARROW * flow)
        later = _onset_time(replace(plain, steps=True), narrow, start, 2 * flow) - flow
    except (FlowError, ParameterError, SolverError):
        return None
    return later / narrow.lr


def _onset_time(theory: Theory, parameters: Parameters, start: Start, t_end: float) -> float:
    """Return the training time of R = 1/2; SolverError if it is not before t_end."""
    prepared = theory.prepare(parameters, theory.pick(start), None)
    curve = prepared.model.solve(t_end)
    steps = horizon.steps_to(curve, t_end)
    found = horizon.first_zero(lambda t: curve(t)[0], steps, curve(steps)[0])
    if not found:
        raise SolverError(f"R = 1/2 is not reached before t = {t_end:g}")
    return found


def _is_measured(grounds: Grounds) -> bool:
    nominal = Start().resolved(grounds.parameters)
    return any(getattr(grounds.start, name) != getattr(nominal, name) for name in "RQSC")
