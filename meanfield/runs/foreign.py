"""Curves that some other program measured: an NPZ or a CSV file, in the names of the theory."""

from __future__ import annotations

import csv
import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.attention import planes
from meanfield.attention.planes import FlowError
from meanfield.errors import FileError, ParameterError
from meanfield.files import Contents, decoded, opened, printable, reading, unfit
from meanfield.parameters import Parameters
from meanfield.runs.measured import CURVES, Measured
from meanfield.training import Training

Array = NDArray[np.float64]

WHAT = "file of curves"
RANGES = {  # of the curves: from, to, in words
    "R": (0.0, 1.0, "from 0 to 1"),
    "loss": (0.0, np.inf, "of at least 0"),
    "next_token_accuracy": (0.0, 1.0, "from 0 to 1"),
    "rollout_accuracy": (0.0, 1.0, "from 0 to 1"),
}
PARAMETERS = tuple(each.name for each in fields(Parameters))
TRAINING = tuple(each.name for each in fields(Training))
ARRAYS = ("epoch", *CURVES, "C", "seeds", "q", "k", "permutations")
NAMES = (*ARRAYS, *PARAMETERS, *TRAINING)
ALIASES = {  # what others call them, where the spelling is far
    "rope_base": "rope_theta",
    "base": "rope_theta",
    "theta": "rope_theta",
    "learning_rate": "lr",
    "eta": "lr",
    "head_dim": "d_head",
    "step": "epoch",
    "steps": "epoch",
    "accuracy": "next_token_accuracy",
    "test_accuracy": "next_token_accuracy",
    "query": "q",
    "key": "k",
}
AGREES = 1e-3  # relative, of R at the start by query and key with R as measured
LAYOUT = "RoPE plane r must be the entries r and r + d_head/2 of q and k, logits q·k/sqrt(d_head)"


def read_foreign(path: str | os.PathLike[str]) -> Measured:
    """Read curves that some other program wrote; FileError, in one sentence, if that cannot be.

    The file holds epoch (E,), in gradient steps from 0, at least one of the curves R, Q, S, loss,
    next_token_accuracy and rollout_accuracy, each (E,) or (B, E), and by their names the Parameters
    that are not at their defaults (N and T at least). It may hold C (or nothing, for 0), seeds
    (B,), fields of Training, permutations, (K, N) or (B, K, N), and q and k of the start,
    (d_head,) or (B, d_head), RoPE plane r the entries r and r + d_head/2.

    In an NPZ file each is an array of that name. In a CSV file the curves, epoch, C and seed are
    columns, a row an epoch, and the rest stands above them in lines such as "# N = 20".
    """
    kind = Path(path).suffix.lower()
    if kind == ".csv":
        try:
            return _measured(_columns(opened(path, WHAT)), path)
        except ParameterError as error:
            raise unfit(path, WHAT, error) from None
    if kind != ".npz" and not opened(path, WHAT).startswith(b"PK"):
        raise FileError(
            printable(f"{os.fspath(path)} is no NPZ or CSV file: write the curves as one of them, ")
            + "as python -m meanfield.compare --help says"
        )
    with reading(path, WHAT) as file:
        return _measured(file, path)


def is_own(path: Path) -> bool:
    """Whether a file says that it is a run file; FileError if it is broken."""
    what = "run file"
    return opened(path, what).startswith(b"PK") and "about" in decoded(path, what)


def _measured(arrays: Mapping[str, NDArray[Any]], path: str | os.PathLike[str]) -> Measured:
    """Return what the arrays say, all of it checked; ParameterError if it cannot be."""
    for name in arrays:
        if name not in NAMES:
            raise ParameterError(f"it holds {name!r}, {_meant(name)}")
    if missing := [name for name in ("epoch", "N", "T") if name not in arrays]:
        raise ParameterError(f"it holds no {', '.join(missing)}")
    parameters = Parameters(**_values(arrays, PARAMETERS))
    epoch = _numbers(arrays, "epoch")
    if epoch.ndim != 1 or epoch.size < 2 or epoch[0] != 0 or np.any(np.diff(epoch) <= 0):
        raise ParameterError("its epochs do not increase from 0")
    curves = _curves(arrays, len(epoch))
    B = len(next(iter(curves.values())))
    seeds = np.asarray(arrays["seeds"] if "seeds" in arrays else range(B))
    if seeds.shape != (B,) or seeds.dtype.kind not in "iu" or len(set(seeds.tolist())) < B:
        raise ParameterError(f"seeds are not {B} different integers")
    q, k = _heads(arrays, parameters, B)
    if q is not None and k is not None and "R" in curves:
        _check_layout(parameters, q, k, curves["R"][:, 0], seeds)
    values = _values(arrays, TRAINING)
    Training(**values)
    return Measured(
        source=printable(os.fspath(path)),
        parameters=parameters,
        training=values,
        seeds=seeds.astype(np.int64),
        epoch=epoch,
        curves=curves,
        C=_conserved(arrays, B),
        q=q,
        k=k,
        permutations=_permutations(arrays, parameters, B),
        notes=() if "C" in arrays else ("no C in the file: 0 is assumed",),
    )


def _meant(name: str) -> str:
    """Return what a name that is not known may stand for, in words."""
    near = difflib.get_close_matches(name, NAMES, 1)
    meant = ALIASES.get(name.lower()) or (near[0] if near else "")
    return f"which is no known name: is {meant} meant?" if meant else f"not {', '.join(NAMES)}"


def _values(arrays: Mapping[str, NDArray[Any]], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the single values of these names that there are; ParameterError for an array."""
    values = {}
    for name in names:
        if name in arrays:
            if arrays[name].size != 1:
                raise ParameterError(f"{name} has shape {arrays[name].shape}, not one value")
            values[name] = arrays[name].item()
    return values


def _numbers(arrays: Mapping[str, NDArray[Any]], name: str) -> Array:
    """Return an array of finite real numbers; ParameterError if it is none."""
    values = arrays[name]
    if values.dtype.kind not in "iuf" or not np.all(np.isfinite(values)):
        raise ParameterError(f"{name} holds values that are not finite real numbers")
    return values.astype(float)


def _curves(arrays: Mapping[str, NDArray[Any]], epochs: int) -> dict[str, Array]:
    """Return the curves, (B, E) each, within their ranges; ParameterError if there is none."""
    curves = {n: np.atleast_2d(_numbers(arrays, n)) for n in CURVES if n in arrays}
    if not curves:
        raise ParameterError(f"it holds none of the curves {', '.join(CURVES)}")
    B = max(len(next(iter(curves.values()))), 1)
    for name, curve in curves.items():
        if curve.shape != (B, epochs):
            raise ParameterError(f"{name} has shape {curve.shape}, not {(B, epochs)}")
        least, most, words = RANGES.get(name, (-np.inf, np.inf, ""))
        if np.any(bad := (curve < least) | (curve > most)):
            raise ParameterError(f"{name} leaves the range {words}: {curve[bad][0]:.6g}")
    if "R" in curves and (np.any(curves["R"] == 0) or np.any(curves["R"][:, 0] == 1)):
        raise ParameterError("R leaves the range from 0 to 1: it may only end at 1, as rounded")
    return curves


def _conserved(arrays: Mapping[str, NDArray[Any]], B: int) -> Array:
    """Return C of each seed, (B,), the first value of a curve; 0 if it is not given."""
    C = _numbers(arrays, "C") if "C" in arrays else np.zeros(1)
    C = C if C.ndim < 2 else C[:, 0]
    if C.shape not in ((), (1,), (B,)):
        raise ParameterError(f"C has shape {C.shape}, not {(B,)}")
    return np.array(np.broadcast_to(C, B))


def _heads(
    arrays: Mapping[str, NDArray[Any]], parameters: Parameters, B: int
) -> tuple[Array | None, Array | None]:
    """Return q and k, (B, d_head) each, or None for both."""
    vectors = {name: np.atleast_2d(_numbers(arrays, name)) for name in "qk" if name in arrays}
    if len(vectors) == 1:
        raise ParameterError(f"it holds {next(iter(vectors))} but not the other of q and k")
    for name, vector in vectors.items():
        if vector.shape != (B, parameters.d_head):
            raise ParameterError(f"{name} has shape {vector.shape}, not {(B, parameters.d_head)}")
    return vectors.get("q"), vectors.get("k")


def _check_layout(parameters: Parameters, q: Array, k: Array, R: Array, seeds: Any) -> None:
    """Raise ParameterError unless query and key give each seed its R at the start."""

    def retrieval(q: Array, k: Array) -> Array:
        return planes.retrieval(rope, planes.heads(q, k).p)[0]

    def deviates(found: Array) -> NDArray[np.bool_]:
        return np.abs(found - R) > AGREES * R

    try:
        rope = planes.planes(parameters)
    except FlowError:  # too many to follow, for any theory
        return
    found = retrieval(q, k)
    if not np.any(wrong := deviates(found)):
        return
    first = int(np.argmax(wrong))
    apart = (np.hstack([each[:, ::2], each[:, 1::2]]) for each in (q, k))
    hint = "" if np.any(deviates(retrieval(*apart))) else ", not 2r and 2r + 1, as they are here"
    raise ParameterError(
        f"q and k give R = {found[first]:.6g} at epoch 0, but R[0] = {R[first]:.6g} of seed "
        f"{seeds[first]}: {LAYOUT}{hint}"
    )


def _permutations(
    arrays: Mapping[str, NDArray[Any]], parameters: Parameters, B: int
) -> NDArray[np.integer] | None:
    """Return the permutations, (B, K, N), or None."""
    if "permutations" not in arrays:
        return None
    found, shape = arrays["permutations"], (B, parameters.K, parameters.N)
    found = found[None] if found.ndim == 2 else found
    if found.dtype.kind not in "iu" or found.shape != shape:
        raise ParameterError(f"permutations are not integers of shape {shape}")
    if np.any(np.sort(found, axis=-1) != np.arange(parameters.N)):
        raise ParameterError(f"permutations do not all permute the N = {parameters.N} states")
    return found.astype(np.int64)


def _columns(content: bytes) -> Contents:
    """Return what a CSV file holds as arrays, those of several seeds (B, E)."""
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ParameterError("it is no text in UTF-8") from None
    arrays = Contents()
    for line in (line for line in lines if line.lstrip().startswith("#")):
        if given := re.fullmatch(r"\s*#\s*(\w+)\s*=\s*(.+?)\s*", line):
            arrays[given[1]] = np.array(_value(given[2]))
    plain = (line for line in lines if not line.lstrip().startswith("#"))
    try:
        rows = [row for row in csv.reader(plain) if row]
    except csv.Error as error:
        raise ParameterError(error) from None
    if len(rows) < 2 or any(len(row) != len(rows[0]) for row in rows):
        raise ParameterError("it is no table of a row of names and rows of as many numbers")
    names = [name.strip() for name in rows[0]]
    if len(set(names)) < len(names):
        raise ParameterError("two of its columns have one name")
    try:
        table = np.array(rows[1:], float).T
    except ValueError as error:
        raise ParameterError(error) from None
    columns = dict(zip(names, table, strict=True))
    seed = columns.pop("seed", np.zeros(table.shape[1]))
    seeds = list(dict.fromkeys(seed.tolist()))
    if "epoch" not in columns:
        raise ParameterError("it has no column epoch")
    if not all(each.is_integer() for each in seeds):
        raise ParameterError("its seeds are no integers")
    if len({tuple(columns["epoch"][seed == each]) for each in seeds}) > 1:
        raise ParameterError("its seeds do not have the same epochs")
    for name, column in columns.items():
        arrays[name] = np.array([column[seed == each] for each in seeds])
    arrays["epoch"] = arrays["epoch"][0]
    if "seed" in names:
        arrays["seeds"] = np.array(seeds).astype(int)
    return arrays


def _value(text: str) -> Any:
    """Return what stands behind a name in a CSV file: a number, True or False, or a word."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text.strip("\"'"))
