"""Where a prediction starts: what is known of a run at epoch 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import generated, notebook
from meanfield.checks import numbers, option, real, shortened, within
from meanfield.errors import ParameterError
from meanfield.parameters import Parameters

LARGEST = 1e6  # of Q, S and C: far beyond any training, and all of it stays in float64


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Start:
    """The state at epoch 0, as far as it is known; what is not given (None) is nominal.

    R: attention on the right action (8), between 0 and 1; 1/T.
    Q, S: overlaps with the right permutations and with the others (9); C/N.
    C: the conserved sum of the mean logits (40); 0.
    q, k: query and key, (d_head,), RoPE plane r the entries r and r + d_head/2.
    overlap: of the vocabulary (58); that of ``permutations``, else 1/N.
    permutations: of one seed, (K, N), action k takes state x to permutations[k, x].

    Which of them a theory reads is said by ``Theory.reads``. Values are checked against the sizes
    of a model by ``resolved``.
    """

    R: float = option(None, "attention on the right action", flag="R0", metavar="X")
    Q: float = option(None, "overlap with the right permutations", flag="Q0", metavar="X")
    S: float = option(None, "overlap with the others", flag="S0", metavar="X")
    C: float = option(None, "sum of the mean logits", metavar="X")
    q: Any = None
    k: Any = None
    overlap: float = option(
        None, "mean overlap of the vocabulary, for fluctuations", metavar="X", unless="1/N"
    )
    permutations: Any = None

    def __repr__(self) -> str:
        """Return what is known in a line, arrays by their shape."""
        told = ", ".join(f"{name}={notebook.short(value)}" for name, value in self._told())
        return f"Start({told})"

    def _repr_html_(self) -> str:
        """Return a table for a notebook."""
        return notebook.table("Start", self._told() or [("everything", "nominal")])

    def _told(self) -> list[tuple[str, Any]]:
        arrays = ("q", "k", "permutations")
        return [(n, np.asarray(v) if n in arrays else v) for n, v in self.given.items()]

    @property
    def given(self) -> dict[str, Any]:
        """What is known, by name."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def resolved(self, parameters: Parameters) -> Start:
        """Return the start with every number and array checked, and nominal where it is not given.

        q, k and permutations stay None if they are not given. Raises ParameterError.
        """
        p, C = parameters, 0.0 if self.C is None else within("C", self.C, LARGEST)
        nominal = float(generated.nominal_overlap(C, p.N))
        R = float(generated.nominal_retrieval(p.T)) if self.R is None else real("R", self.R)
        if not 0 < R < 1:
            raise ParameterError(f"R must lie strictly between 0 and 1, not {shortened(self.R)}")
        drawn = None if self.permutations is None else _permutations(self.permutations, p)
        if self.overlap is not None and drawn is not None:
            raise ParameterError(
                f"overlap = {shortened(self.overlap)} follows from the permutations: give only one "
                "of them"
            )
        overlap = float(generated.mean_overlap(p.N)) if self.overlap is None else self.overlap
        return replace(
            self,
            R=R,
            Q=nominal if self.Q is None else within("Q", self.Q, LARGEST),
            S=nominal if self.S is None else within("S", self.S, LARGEST),
            C=C,
            q=None if self.q is None else _vector("q", self.q, p),
            k=None if self.k is None else _vector("k", self.k, p),
            overlap=real("overlap", overlap if drawn is None else float(vocabulary_overlap(drawn))),
            permutations=drawn,
        )


def stacked(starts: Sequence[Start]) -> Start:
    """Return resolved starts of many seeds as one, whose numbers are arrays over them."""
    names = ("R", "Q", "S", "C", "overlap", "q", "k")
    arrays: dict[str, Any] = {
        name: np.array([getattr(each, name) for each in starts]) for name in names
    }
    return Start(**arrays)


def vocabulary_overlap(permutations: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the mean overlap of the vocabulary's different permutations (58), 1/N on average.

    permutations: (..., K, N). Shape (...): the share of states in which two of them agree.
    """
    K, N = permutations.shape[-2:]
    image = np.eye(N)[permutations].sum(axis=-3)  # (..., N, N), permutations that take x to n
    overlap = generated.measured_overlap(np.sum(image**2, axis=(-2, -1)), N, K)
    return np.asarray(overlap + 0.0)  # where none agree 0, not -0


def _vector(name: str, value: Any, parameters: Parameters) -> NDArray[np.float64]:
    vector = numbers(name, value)
    if vector.shape != (parameters.d_head,) or not np.all(np.isfinite(vector)):
        raise ParameterError(
            f"{name} must be d_head = {parameters.d_head} finite numbers, not {shortened(value)}"
        )
    return vector


def _permutations(value: Any, parameters: Parameters) -> NDArray[np.int64]:
    array, K, N = numbers("permutations", value), parameters.K, parameters.N
    if array.shape != (K, N) or np.any(np.sort(array, axis=-1) != np.arange(N)):
        raise ParameterError(
            f"permutations must be K = {K} permutations of 0..{N - 1}, not of shape {array.shape}"
        )
    return array.astype(np.int64)
