"""Many parameter sets at once: the paper's closed equations by quadrature, all side by side."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from meanfield import generated
from meanfield.attention.closures import Closure
from meanfield.checks import numbers, one_of, require
from meanfield.errors import ParameterError
from meanfield.logic.family import Family
from meanfield.logits.gaussian import Gaussian
from meanfield.numerics.integrate import LONGEST
from meanfield.parameters import SPACINGS, Parameters, parameter_arrays, rope_frequency
from meanfield.predict import quadrature
from meanfield.theory import CLOSURES, PAPER, Theory

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Curves of many parameter sets, or of many seeds. shape: that of the parameters, broadcast.

    epoch: shape + (E,). logit_R, Q, S: the same; R = expit(logit_R), 1 - R = expit(-logit_R).
    onset_epoch: shape; R = 1/2, inf where it is never reached or lies beyond float64.
    logits: how accuracies are read from them, its numbers of shape + (1,).
    """

    epoch: Array
    logit_R: Array
    Q: Array
    S: Array
    onset_epoch: Array
    logits: Gaussian

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
    arrays = _checked(R, Q, S, C, N=N, T=T, **parameters)
    epoch = numbers("epochs", epochs)
    require((epoch >= 0) & (epoch <= LONGEST), "epochs", epoch, f"from 0 to {LONGEST:g}")
    shape = arrays["N"].shape
    epoch = np.array(np.broadcast_to(epoch, (*shape, *epoch.shape[-1:])))
    flat = {name: values.reshape(-1, 1) for name, values in arrays.items()}
    t = epoch.reshape(len(flat["lr"]), -1) * flat["lr"]
    kappa = generated.rate_constant(flat["N"], flat["K"], _rates(closure, flat, rope_spacing))
    rows = quadrature.Rows(
        N=flat["N"],
        K=flat["K"],
        C=flat["C"],
        U0=flat["Q"] - flat["S"],
        S0=flat["S"],
        logit_R0=logit(flat["R"]),
        kappa=np.asarray(kappa),
        t_end=t.max(axis=1, keepdims=True, initial=0.0),
        p0=np.zeros_like(flat["N"]),
    )
    logit_R, U_gained, S_gained, onset = quadrature.solve(closure.solution, rows, t)
    return Batch(
        epoch=epoch,
        logit_R=logit_R.reshape(epoch.shape),
        Q=(flat["Q"] + U_gained + S_gained).reshape(epoch.shape),
        S=(flat["S"] + S_gained).reshape(epoch.shape),
        onset_epoch=(onset / flat["lr"][:, 0]).reshape(shape),
        logits=_gaussian({name: values[..., None] for name, values in arrays.items()}),
    )


def _checked(R: Any, Q: Any, S: Any, C: Any, **parameters: Any) -> dict[str, Array]:
    """Return parameters and start as arrays of one shape; ParameterError for what cannot be."""
    known = [each.name for each in fields(Parameters)]
    for name in parameters:
        if name not in known:
            raise ParameterError(f"{name!r} is no parameter; there are {', '.join(known)}")
    N, T, C = numbers("N", parameters["N"]), numbers("T", parameters["T"]), numbers("C", C)
    with np.errstate(divide="ignore", invalid="ignore"):  # of sizes that are refused
        R = generated.nominal_retrieval(T) if R is None else R
        nominal = generated.nominal_overlap(C, N)
    Q, S = nominal if Q is None else Q, nominal if S is None else S
    arrays = parameter_arrays(**parameters, R=R, Q=Q, S=S, C=C)
    for name in "CRQS":
        require(np.isfinite(arrays[name]), name, arrays[name], "finite")
    inside = (arrays["R"] > 0) & (arrays["R"] < 1)
    require(inside, "R", arrays["R"], "strictly between 0 and 1")
    return arrays


def _gaussian(by_set: dict[str, Array]) -> Gaussian:
    """Return how the logits are read, the parameter sets in front of the epochs."""
    N, K, overlap = by_set["N"], by_set["K"], generated.mean_overlap(by_set["N"])
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


def _rates(closure: Closure, flat: dict[str, Array], rope_spacing: str) -> Array:
    """Return the prefactor of G for every row, shape (rows, 1)."""
    d, T = flat["d_head"], flat["T"]
    planes = np.arange(int(d.max()) // 2)
    rates = np.empty_like(d)
    for rows in quadrature.chunks(np.arange(len(d)), len(planes)):
        omega = rope_frequency(
            planes,
            d_head=d[rows],
            rope_theta=flat["rope_theta"][rows],
            rope_spacing=rope_spacing,
        )
        phi = np.where(planes < d[rows] / 2, generated.form_factor(omega, T[rows]), 0.0)
        known = flat["qk_variance"][rows, 0], d[rows, 0], T[rows, 0]
        rates[rows, 0] = closure.rate(phi, *known)
    return rates
