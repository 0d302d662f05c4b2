"""Many parameter sets at once: the paper's closed equations by quadrature, all side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from meanfield import generated, notebook
from meanfield.attention import closures
from meanfield.checks import numbers, one_of, require
from meanfield.errors import ParameterError
from meanfield.logic.family import Family
from meanfield.logits.gaussian import Gaussian
from meanfield.numerics.integrate import LONGEST
from meanfield.parameters import SPACINGS, Parameters, parameter_arrays
from meanfield.predict import quadrature
from meanfield.predict.trust import REASONS, Judgement, Masks, judged
from meanfield.quantities import QUANTITIES
from meanfield.start import LARGEST
from meanfield.theory import CLOSURES, PAPER, Theory

if TYPE_CHECKING:
    import xarray

Array = NDArray[np.float64]
CURVES = ("R", "Q", "S", "next_token_accuracy", "rollout_accuracy")
KNOWN = tuple(each.name for each in fields(Parameters))
NUMBERS = tuple(each.name for each in fields(Parameters) if each.type != "str")
NEVER = "R = 1/2 is not reached, or later than can be said"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Batch:
    """Curves of many parameter sets, or of many seeds. shape: that of the parameters, broadcast.

    epoch: shape + (E,). logit_R, Q, S: the same; R = expit(logit_R), 1 - R = expit(-logit_R).
    onset_epoch: shape; R = 1/2, inf where it is never reached or lies beyond float64.
    logits: how accuracies are read from them, its numbers of shape + (1,).
    theory: that was solved. parameters: the numbers of Parameters by name, of that shape.
    given: the arrays that made the shape, by name, as they were given. rope_spacing: of all.
    """

    epoch: Array
    logit_R: Array
    Q: Array
    S: Array
    onset_epoch: Array
    logits: Gaussian
    theory: Theory
    parameters: Mapping[str, Array]
    given: Mapping[str, Array]
    rope_spacing: str

    def __repr__(self) -> str:
        """Return what was predicted of what, in a line."""
        sizes = " x ".join(map(str, self.onset_epoch.shape)) or "1"
        of = f" ({', '.join(self.given)})" if self.given else ""
        finite = self.onset_epoch[np.isfinite(self.onset_epoch)]
        onset = f"onset epoch {finite.min():.4g} to {finite.max():.4g}" if finite.size else "none"
        told = "".join(f", {each}" for each in self._untrusted())
        return f"<Batch {self.theory}: {sizes}{of}, {self.epoch.shape[-1]} epochs, {onset}{told}>"

    def _repr_html_(self) -> str:
        """Return it as a table for a notebook."""
        rows = [(name, self.parameters[name]) for name in self.parameters]
        what = f"{self.theory}, {self.onset_epoch.size} predictions"
        return notebook.table(what, [*rows, ("onset_epoch", self.onset_epoch)], self.caveats)

    @cached_property
    def judgement(self) -> Judgement | None:
        """How far the closure is to be trusted at each; None without a closure."""
        closure = self.theory.part.closure
        return None if closure is None else judged(closure, self.parameters, self.rope_spacing)

    @property
    def relative_delay(self) -> Array:
        """How much later each onset is than the softmax attention's; 0 without a closure."""
        judgement = self.judgement
        return np.zeros(self.onset_epoch.shape) if judgement is None else judgement.relative_delay

    @property
    def relative_lag(self) -> Array:
        """How much later gradient steps come to the onset than the flow; nan without a closure."""
        judgement = self.judgement
        if judgement is None:
            return np.full(self.onset_epoch.shape, np.nan)
        return judgement.relative_lag

    @property
    def reasons(self) -> Masks:
        """Where not to trust it, by why; ``caveats`` says each in words."""
        known = {} if self.judgement is None else self.judgement.reasons
        return {**known, "never": ~np.isfinite(self.onset_epoch)}

    @property
    def trusted(self) -> NDArray[np.bool_]:
        """Where there is no reason not to."""
        return ~np.any(list(self.reasons.values()), axis=0)

    @property
    def caveats(self) -> list[str]:
        """What is not to be trusted, a sentence each, and of how many predictions."""
        words, all_of = {**REASONS, "never": NEVER}, self.onset_epoch.size
        counts = {name: int(np.sum(where)) for name, where in self.reasons.items()}
        return [f"{words[name]} ({n:,} of {all_of:,})" for name, n in counts.items() if n]

    def _untrusted(self) -> list[str]:
        count = int(np.sum(~self.trusted))
        return [f"{count:,} of {self.onset_epoch.size:,} not to be trusted"] if count else []

    def to_xarray(self) -> xarray.Dataset:
        """Return a labelled dataset: a dimension for each argument that varies along its own axis.

        It holds the onset, what to trust of it and, if epochs were given, the curves.
        """
        import xarray

        dims, coordinates = _labels(self.given, self.onset_epoch.shape)
        variables: dict[str, Any] = {
            "onset_epoch": (dims, self.onset_epoch, QUANTITIES["onset_epoch"].attributes),
            "relative_delay": (dims, self.relative_delay, QUANTITIES["relative_delay"].attributes),
            "relative_lag": (dims, self.relative_lag, QUANTITIES["relative_lag"].attributes),
            "trusted": (dims, self.trusted, {"long_name": "no reason not to trust the onset"}),
        }
        words = {**REASONS, "never": NEVER}
        for name, where in self.reasons.items():
            variables[f"untrusted_{name}"] = (dims, where, {"long_name": words[name]})
        if self.epoch.shape[-1]:
            for name in CURVES:
                values = (*dims, "step"), getattr(self, name), QUANTITIES[name].attributes
                variables[name] = values
            coordinates["epoch"] = ((*dims, "step"), self.epoch)
        single = {
            name: values.flat[0].item()
            for name, values in self.parameters.items()
            if name not in self.given and np.all(values == values.flat[:1])
        }
        about = {**single, "rope_spacing": self.rope_spacing, "theory": str(self.theory)}
        return xarray.Dataset(variables, coordinates, {**about, "caveats": " ".join(self.caveats)})

    @property
    def R(self) -> Array:
        """Attention retrieval (8)."""
        return np.asarray(expit(self.logit_R))

    @property
    def retrieval_error(self) -> Array:
        """1 - R, accurate where R is almost 1."""
        return np.asarray(expit(-self.logit_R))

    @cached_property
    def next_token_error(self) -> Array:
        """One minus the next-token accuracy (17)."""
        return self.logits.next_token_error(self.R, self.Q, self.S, _no_rows)

    @cached_property
    def rollout_error(self) -> Array:
        """One minus the accuracy of a rollout of T steps (18)."""
        N, T = self.logits.logic.N, self.logits.T
        return np.asarray(generated.rollout_error(self.next_token_error, N, T))

    @property
    def next_token_accuracy(self) -> Array:
        """Probability that the next state is right, given that the current one is (17)."""
        return 1 - self.next_token_error

    @property
    def rollout_accuracy(self) -> Array:
        """Probability that the state is right after T steps of the model's own (18)."""
        return 1 - self.rollout_error


def predict_many(
    theory: str | Theory = PAPER,
    *,
    N: Any,
    T: Any,
    rope_spacing: str = "power",
    epochs: Any = (),
    R: Any = None,
    Q: Any = None,
    S: Any = None,
    C: Any = 0.0,
    **parameters: Any,
) -> Batch:
    """Solve (15) under one of the paper's closures for every parameter set; arguments broadcast.

    theory: "linear" or "quadratic". N, T, rope_spacing and ``parameters``: numbers or arrays of the
    fields of Parameters by name, but rope_spacing, which is one for all.
    R, Q, S, C: the start, nominal unless given, as in Start.
    epochs: where to evaluate, shape (E,) for all sets or (..., E) for each; none by default, for
    the onset alone. Raises ParameterError naming the first value that cannot be.
    """
    theory = Theory.parse(theory)
    closure = theory.part.closure
    if not in_quadrature(theory) or closure is None or closure.solution is None:
        raise ParameterError(
            "many parameter sets at once are solved under the linear or the quadratic closure, "
            f"not by {repr(theory) if str(theory) in CLOSURES else theory}: predict them one by one"
        )
    one_of("rope_spacing", rope_spacing, SPACINGS)
    given = _given({"N": N, "T": T, **parameters, "R": R, "Q": Q, "S": S, "C": C})
    arrays = _checked(given)
    shape = arrays["N"].shape
    epoch = _epochs(epochs, shape)
    flat = {name: values.reshape(-1, 1) for name, values in arrays.items()}
    t = epoch.reshape(len(flat["lr"]), -1) * flat["lr"]
    rate = closures.rates(closure, {n: v.ravel() for n, v in arrays.items()}, rope_spacing)
    rows = _rows(flat, rate[:, None], t.max(axis=1, keepdims=True, initial=0.0))
    logit_R, U_gained, S_gained, onset = quadrature.solve(closure.solution, rows, t)
    return Batch(
        epoch=epoch,
        logit_R=logit_R.reshape(epoch.shape),
        Q=(flat["Q"] + U_gained + S_gained).reshape(epoch.shape),
        S=(flat["S"] + S_gained).reshape(epoch.shape),
        onset_epoch=(onset / flat["lr"][:, 0]).reshape(shape),
        logits=gaussian({name: values[..., None] for name, values in arrays.items()}),
        theory=theory,
        parameters={name: arrays[name] for name in NUMBERS},
        given={name: values for name, values in given.items() if values.ndim},
        rope_spacing=rope_spacing,
    )


def _rows(flat: Mapping[str, Array], rate: Array, t_end: Array) -> quadrature.Rows:
    """Return what the quadrature takes; all (rows, 1)."""
    return quadrature.Rows(
        N=flat["N"],
        K=flat["K"],
        C=flat["C"],
        U0=flat["Q"] - flat["S"],
        S0=flat["S"],
        logit_R0=logit(flat["R"]),
        kappa=np.asarray(generated.rate_constant(flat["N"], flat["K"], rate)),
        t_end=t_end,
        p0=np.zeros_like(flat["N"]),
    )


def _epochs(epochs: Any, shape: tuple[int, ...]) -> Array:
    """Return the epochs of each parameter set; ParameterError for what cannot be."""
    epoch = numbers("epochs", epochs)
    require((epoch >= 0) & (epoch <= LONGEST), "epochs", epoch, f"from 0 to {LONGEST:g}")
    try:
        return np.array(np.broadcast_to(epoch, (*shape, *epoch.shape[-1:])))
    except ValueError:
        raise ParameterError(
            f"epochs of shape {epoch.shape} do not go with parameters of shape {shape}: give (E,) "
            "for all, or the shape of the parameters and then E"
        ) from None


def _given(values: Mapping[str, Any]) -> dict[str, Array]:
    """Return what is given as arrays by name; ParameterError unless their shapes broadcast."""
    for name in values:
        if name not in (*NUMBERS, *"RQSC"):
            raise ParameterError(f"{name!r} is no parameter; there are {', '.join(KNOWN)}")
    given = {name: numbers(name, each) for name, each in values.items() if each is not None}
    for name in ("N", "T"):
        if name not in given:
            raise ParameterError(f"{name} must be given")
    try:
        np.broadcast_shapes(*(values.shape for values in given.values()))
    except ValueError:
        shapes = " and ".join(f"{name} {each.shape}" for name, each in given.items() if each.ndim)
        raise ParameterError(
            f"these shapes do not go together: {shapes}; for a grid put each on an axis of its "
            "own, as in N[:, None]"
        ) from None
    return given


def _checked(given: Mapping[str, Array]) -> dict[str, Array]:
    """Return parameters and start as arrays of one shape; ParameterError for what cannot be."""
    N, T, C = given["N"], given["T"], given["C"]
    with np.errstate(divide="ignore", invalid="ignore"):  # of sizes that are refused
        nominal = generated.nominal_overlap(C, N)
        start = {"R": generated.nominal_retrieval(T), "Q": nominal, "S": nominal}
    arrays = parameter_arrays(**{**start, **given})
    for name in "CRQS":
        require(np.isfinite(arrays[name]), name, arrays[name], "finite")
        small = np.abs(arrays[name]) <= LARGEST
        require(small, name, arrays[name], f"from {-LARGEST:g} to {LARGEST:g}")
    inside = (arrays["R"] > 0) & (arrays["R"] < 1)
    require(inside, "R", arrays["R"], "strictly between 0 and 1")
    return arrays


def _labels(
    given: Mapping[str, Array], shape: tuple[int, ...]
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return a name for each axis, and the arrays that were given as coordinates.

    An axis is called as the one array that varies along it and along no other.
    """
    wide = {
        name: values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
        for name, values in given.items()
    }
    dims = []
    for axis, size in enumerate(shape):
        along = [name for name, values in wide.items() if values.shape[axis] > 1 or size == 1]
        alone = [name for name in along if wide[name].size == size]
        free = [name for name in alone if name not in dims]
        dims.append(free[0] if len(along) == 1 and free else f"axis_{axis}")
    coordinates: dict[str, Any] = {}
    for name, values in wide.items():
        if name in dims:
            coordinates[name] = (name, values.ravel())
        else:
            kept = [axis for axis in range(len(shape)) if values.shape[axis] == shape[axis]]
            own = values.reshape([values.shape[axis] for axis in kept])
            coordinates[name] = (tuple(dims[axis] for axis in kept), own)
    return tuple(dims), coordinates


def gaussian(by_set: Mapping[str, Any]) -> Gaussian:
    """Return how the logits of many sets or seeds are read: numbers or arrays before the epochs.

    by_set: N, K, T, w_init, the start Q, S, C, and the overlap of the vocabulary unless it is 1/N.
    """
    N, K = by_set["N"], by_set["K"]
    overlap = by_set.get("overlap", generated.mean_overlap(N))
    return Gaussian(
        logic=Family(N=N, K=K, Q=by_set["Q"], S=by_set["S"], overlap=overlap),
        C=by_set["C"],
        T=by_set["T"],
        w_variance=generated.uniform_variance(by_set["w_init"]),
    )


def in_quadrature(theory: Theory) -> bool:
    """Whether a theory can be solved for many parameter sets at once."""
    closure = theory.part.closure
    plain = theory == Theory(attention=theory.attention)
    return plain and closure is not None and closure.solution is not None


def _no_rows() -> Array:
    raise ValueError("many parameter sets have no attention matrices")
