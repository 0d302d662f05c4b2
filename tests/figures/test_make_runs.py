"""Trainings for the figures: made once, kept, continued after an interruption."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from figures.batches import batch, load
from figures.make_runs import make
from meanfield.errors import FileError
from meanfield.runs.run import ARRAYS, MEASURED, checkpoint_of, read_run
from simulate.train import train
from tests.meanfield.sweep.kills import Killer, seconds

TINY = batch(seeds=2, epochs=6, every=2, N=4, T=3, n_train=32, n_test=16)
# long enough to be caught in the middle
LONG = batch(seeds=1, epochs=300, every=1, N=4, T=3, n_train=64, n_test=16)


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    other = replace(TINY, seeds=(5,))
    assert make([TINY, other], tmp_path, workers=2) == 2
    made = (tmp_path / TINY.file).stat().st_mtime_ns
    assert make([TINY, other], tmp_path) == 0
    assert (tmp_path / TINY.file).stat().st_mtime_ns == made
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([TINY.file, other.file])
    runs = load({"one": TINY, "two": other}, tmp_path)
    alone = train(TINY)
    np.testing.assert_array_equal(runs["one"].W_end, alone.W_end)
    assert runs["two"].seeds.tolist() == [5]


def test_a_missing_or_broken_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"not been trained yet: make it with .* --runs"):
        load({"one": TINY}, tmp_path)
    (tmp_path / TINY.file).write_bytes(b"PK broken")
    with pytest.raises(FileError, match="is not a whole run file"):
        make([TINY], tmp_path)


def test_interrupted_it_goes_on_to_the_same_end(tmp_path: Path, monkeypatch) -> None:
    def interrupted(*_args: object, **_named: object) -> None:
        deadline = time.monotonic() + 60
        while not checkpoint_of(tmp_path / LONG.file).exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        raise KeyboardInterrupt

    monkeypatch.setattr("figures.make_runs.wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make([LONG, TINY], tmp_path, workers=1)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint_of(Path(LONG.file)).name]
    done = read_run(checkpoint_of(tmp_path / LONG.file), unfinished=True).epoch[-1]
    assert 0 <= done < LONG.schedule.train_epochs
    make([LONG], tmp_path)
    again = read_run(tmp_path / LONG.file)
    whole = train(LONG)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name), err_msg=name)


def test_an_error_in_a_worker_is_raised(tmp_path: Path) -> None:
    checkpoint_of(tmp_path / TINY.file).write_bytes(b"PK broken")
    with pytest.raises(FileError, match="is not a whole run file"):
        make([TINY], tmp_path, workers=1)


@pytest.mark.slow
def test_killed_at_any_moment_it_trains_the_same(tmp_path: Path) -> None:
    command = ["-m", "figures", "loss", "--runs", "--quick", "--data", "data", "--out", "out"]
    (tmp_path / "whole").mkdir()
    within = seconds(command, tmp_path / "whole")
    (whole,) = (tmp_path / "whole" / "data").iterdir()
    kept, killer = read_run(whole), Killer(within)
    for seed in range(40):
        folder = tmp_path / str(seed)
        folder.mkdir()
        for _ in range(2):
            killer.start(command, folder)
        seconds(command, folder)
        (path,) = (folder / "data").iterdir()
        run = read_run(path)
        assert path.name == whole.name
        assert all(np.array_equal(getattr(run, name), getattr(kept, name)) for name in MEASURED)
        assert np.array_equal(run.W_end, kept.W_end)
        assert len(list((folder / "out").iterdir())) == 3
        if killer.kills >= 20:
            return
    raise AssertionError(f"only {killer.kills} kills came in time")
