"""Where a prediction starts: what is given is checked, what is not is nominal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from meanfield import ParameterError, Parameters, Start
from meanfield.start import vocabulary_overlap

P = Parameters(N=7, K=5, T=4, d_head=6)  # every size another
Q_K = {"q": np.linspace(-1, 1, 6), "k": np.linspace(2, -1, 6)}
GROUP = np.array([np.roll(np.arange(7), shift) for shift in (0, 3, 5, 3, 1)])


@pytest.mark.parametrize("C", [None, 0.9, -0.4])
def test_what_is_not_given_is_nominal(C: float | None) -> None:
    start = Start(C=C).resolved(P)
    known = 0.0 if C is None else C
    assert (start.R, start.C, start.overlap) == (1 / 4, known, 1 / 7)
    assert (known / 7, known / 7) == (start.Q, start.S)
    assert (start.q, start.k, start.permutations) == (None, None, None)


def test_what_is_given_is_kept() -> None:
    given = Start(R=0.3, Q=1, S=-0.5, C=np.float64(0.2), overlap=0.25, **Q_K)
    start = given.resolved(P)
    assert (start.R, start.Q, start.S, start.C, start.overlap) == (0.3, 1.0, -0.5, 0.2, 0.25)
    assert type(start.Q) is float
    np.testing.assert_array_equal(start.q, Q_K["q"])
    np.testing.assert_array_equal(start.k, Q_K["k"])
    assert start.resolved(P).given.keys() == start.given.keys()
    one = Start(Q=0.1, C=0.7).resolved(P)
    assert (one.Q, one.S) == (0.1, 0.7 / 7)
    assert Start(S=0.1, C=0.7).resolved(P).Q == 0.7 / 7


def test_known_names_what_is_given() -> None:
    assert Start().given == {}
    assert set(Start(R=0.2, **Q_K).given) == {"R", "q", "k"}
    assert Start(C=0.0).given == {"C": 0.0}


def test_the_overlap_is_that_of_the_permutations() -> None:
    start = Start(permutations=GROUP.astype(np.uint16)).resolved(P)
    assert start.overlap == 2 / (5 * 4)  # of 5 * 4 ordered pairs two are equal
    assert start.permutations.dtype == np.int64
    np.testing.assert_array_equal(start.permutations, GROUP)


def test_overlap_of_vocabularies() -> None:
    """Against the traces of (58)."""
    rng = np.random.default_rng(2)
    permutations = rng.permuted(np.tile(np.arange(4), (2, 3, 1)), axis=2)
    P = np.eye(4)[permutations]
    traces = np.einsum("bkxn,blxn->bkl", P, P)
    off = traces.sum((1, 2)) - np.trace(traces, axis1=1, axis2=2)
    np.testing.assert_allclose(vocabulary_overlap(permutations), off / (4 * 3 * 2), rtol=1e-14)
    assert vocabulary_overlap(np.tile(np.arange(5), (3, 1))) == 1.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"R": 0.0}, "R must lie strictly between 0 and 1, not 0.0"),
        ({"R": 1}, "R must lie strictly between 0 and 1, not 1"),
        ({"R": -0.1}, "R must lie strictly between 0 and 1, not -0.1"),
        ({"R": math.nan}, "R must be a finite number, not nan"),
        ({"Q": math.inf}, "Q must be a finite number, not inf"),
        ({"S": "0.1"}, "S must be a finite number, not '0.1'"),
        ({"C": True}, "C must be a finite number, not True"),
        ({"overlap": math.nan}, "overlap must be a finite number, not nan"),
        ({"q": [1.0, 2.0]}, "q must be d_head = 6 finite numbers, not [1.0, 2.0]"),
        ({"q": ["a"] * 6}, "q must be a number or numbers, not ['a', 'a'"),
        (
            {"permutations": [[0, 1], [0]]},
            "permutations must be a number or numbers, not [[",
        ),
        ({"k": np.full(6, np.nan)}, "k must be d_head = 6 finite numbers, not array([nan"),
        ({"k": np.ones((1, 6))}, "k must be d_head = 6 finite numbers, not array([[1."),
        (
            {"permutations": GROUP[:3]},
            "permutations must be K = 5 permutations of 0..6, not of shape (3, 7)",
        ),
        (
            {"permutations": GROUP % 6},
            "permutations must be K = 5 permutations of 0..6, not of shape (5, 7)",
        ),
        (
            {"permutations": GROUP, "overlap": 0.2},
            "overlap = 0.2 follows from the permutations: give only one of them",
        ),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError) as caught:
        Start(**given).resolved(P)
    assert str(caught.value).startswith(words)
