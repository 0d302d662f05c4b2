"""The trainings of the figures: what a batch changes, how its file is named, what is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from figures.batches import batch, distinct, lasting, load
from figures.make_runs import make
from meanfield.errors import FileError
from meanfield.training import Training
from simulate.settings import Schedule

TINY = batch(seeds=2, epochs=6, every=2, N=4, T=3, n_train=32, n_test=16)
LONG = batch(seeds=1, epochs=300, every=1, N=4, T=3, n_train=64, n_test=16)


def test_a_batch_changes_what_is_said_of_a_named_set() -> None:
    changed = batch("robust", seeds=3, epochs=50, every=5, rope_theta=7.0, n_train=100)
    assert changed.seeds == (0, 1, 2)
    assert changed.parameters.rope_theta == 7.0
    assert changed.parameters.K == 25
    assert changed.training == Training(n_train=100)
    assert changed.schedule == Schedule(n_test=1024, train_epochs=50, eval_every=5)
    assert TINY.parameters.K == 4  # follows N


def test_a_file_is_named_after_everything() -> None:
    others = [
        replace(TINY, seeds=(0, 2)),
        replace(TINY, parameters=replace(TINY.parameters, lr=1.0)),
        replace(TINY, schedule=replace(TINY.schedule, eval_every=3)),
    ]
    assert len({TINY.file, *(each.file for each in others)}) == 4
    assert distinct([TINY, others[0], TINY, LONG]) == [LONG, TINY, others[0]]


def test_a_longer_training_is_the_same_but_for_its_epochs() -> None:
    longer = lasting(TINY, 119.5, evaluations=40)
    assert (longer.schedule.train_epochs, longer.schedule.eval_every) == (120, 3)
    assert longer.parameters == TINY.parameters
    assert replace(longer.schedule, train_epochs=6, eval_every=2) == TINY.schedule


def test_a_file_of_another_training_is_refused(tmp_path: Path) -> None:
    other = replace(TINY, seeds=(3,))
    make([other], tmp_path)
    (tmp_path / other.file).rename(tmp_path / TINY.file)
    with pytest.raises(FileError, match="is of another training than its name says: remove it"):
        load({"one": TINY}, tmp_path)
