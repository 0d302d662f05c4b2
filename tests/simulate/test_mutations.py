"""Broken run files and checkpoints: refused in one sentence or harmless, and never lost."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from meanfield.errors import FileError
from meanfield.runs.measured import of_run
from meanfield.runs.run import ARRAYS, Run, checkpoint_of, read_run
from simulate.settings import Experiment, Machine
from simulate.train import train
from tests.simulate.mutations import KINDS, mutated
from tests.simulate.small import experiment

MACHINE = Machine(device="cpu", kernel="torch", threads=1)
OF = {
    "sgd": experiment([0, 1], n_train=20, n_test=10, train_epochs=8, eval_every=2),
    "adamw": experiment([0, 1], n_train=20, n_test=10, train_epochs=8, eval_every=2,
                        optimizer="adamw", lr=0.05, fix_embedding=False),
}  # fmt: skip
STOP = 4  # the epoch of the checkpoint


def interrupt(epoch: int, measured: object) -> None:
    if epoch == STOP:
        raise KeyboardInterrupt


def same(one: Run, other: Run) -> bool:
    for name in ARRAYS:
        found, wanted = getattr(one, name), getattr(other, name)
        if found.dtype.kind not in "iuf" or not np.array_equal(found, wanted, equal_nan=True):
            return False
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("parameters", "training", "diverged")
    )


def read(path: Path, of: Experiment) -> Run:
    run = read_run(path)
    of_run(run, str(path))
    return run


def resume(path: Path, of: Experiment) -> Run:
    path.replace(checkpoint_of(path))
    try:
        return train(of, machine=MACHINE, path=path, resume=True)
    finally:
        if checkpoint_of(path).exists():
            checkpoint_of(path).replace(path)


def outcome(use: Callable[[Path, Experiment], Run], path: Path, of: Experiment, wanted: Run) -> str:
    """Return what comes of a broken file: refused, harmless, wrong, lost or a traceback."""
    content = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of NumPy, about headers
            run = use(path, of)
    except FileError as error:
        one = str(error).isprintable() and path.read_bytes() == content
        return "refused" if one else "lost or not one printable sentence"
    except Exception as error:
        return f"traceback: {type(error).__name__}"
    return "harmless" if same(run, wanted) else "wrong"


def outcomes(folder: Path, count: int, seed: int) -> Counter[str]:
    """Break ``count`` files, as many finished ones as checkpoints, and count what comes of them."""
    files = []
    for name, of in OF.items():
        path = folder / f"{name}.npz"
        wanted = train(of, machine=MACHINE, path=path)
        files.append((read, path.read_bytes(), of, wanted))
        path.unlink()
        with pytest.raises(KeyboardInterrupt):
            train(of, machine=MACHINE, path=path, report=interrupt)
        files.append((resume, checkpoint_of(path).read_bytes(), of, wanted))
        checkpoint_of(path).unlink()
    rng = np.random.default_rng(seed)
    counts: Counter[str] = Counter()
    path = folder / "broken.npz"
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        use, content, of, wanted = files[number // len(KINDS) % len(files)]
        path.write_bytes(mutated(content, kind, rng))
        counts[f"{use.__name__} {kind}: {outcome(use, path, of, wanted)}"] += 1
    return counts


def check(counts: Counter[str]) -> None:
    bad = {what: n for what, n in counts.items() if not what.endswith((": refused", ": harmless"))}
    assert not bad
    assert sum(n for what, n in counts.items() if what.endswith("refused")) > 0.8 * counts.total()


def test_some_broken_files(tmp_path: Path) -> None:
    check(outcomes(tmp_path, 70, 0))


@pytest.mark.slow
def test_a_thousand_broken_files(tmp_path: Path) -> None:
    check(outcomes(tmp_path, 1008, 1))
