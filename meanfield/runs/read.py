"""Run files and files of other programs, read together for a comparison."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from meanfield.errors import FileError
from meanfield.runs.foreign import is_own, read_foreign
from meanfield.runs.measured import Measured, of_run
from meanfield.runs.run import files_in, read_run


def read(paths: Iterable[str | os.PathLike[str]]) -> list[Measured]:
    """Read run files and other files of curves, named or (NPZ only) in the folders named.

    Files of the same parameters and training become one, in the order in which they come first.
    FileError if a folder holds none, or if a seed comes twice.
    """
    groups: dict[str, list[Measured]] = {}
    named = [Path(path) for path in paths]
    for path in itertools.chain(*(files_in(each) if each.is_dir() else [each] for each in named)):
        measured = _read(path)
        known = sorted(measured.training.items())
        key = f"{measured.parameters.to_json()} {known}" + ("" if known else measured.source)
        groups.setdefault(key, []).append(measured)
    return [_joined(group) for group in groups.values()]


def _read(path: Path) -> Measured:
    if is_own(path):
        return of_run(read_run(path), os.fspath(path))
    return read_foreign(path)


def _joined(group: Sequence[Measured]) -> Measured:
    """Return files of the same training as one; FileError if a seed comes twice."""
    first = group[0]
    if len(group) == 1:
        return first
    where: dict[int, str] = {}
    for measured in group:
        for seed in measured.seeds.tolist():
            if seed in where:
                raise FileError(
                    f"seed {seed} is both in {where[seed]} and in {measured.source}: name only one"
                )
            where[seed] = measured.source

    def together(values: Iterable[Any]) -> Any:
        return np.concatenate(list(values))

    return replace(
        first,
        source=", ".join(measured.source for measured in group),
        seeds=together(each.seeds for each in group),
        curves={name: together(each.curves[name] for each in group) for name in first.curves},
        C=together(each.C for each in group),
        q=together(each.q for each in group),
        k=together(each.k for each in group),
        permutations=together(each.permutations for each in group),
        notes=tuple(note for each in group for note in each.notes),
    )
