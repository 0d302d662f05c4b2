"""Files read together for a comparison."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meanfield import FileError
from meanfield.runs.read import read
from meanfield.runs.run import checkpoint_of
from tests.meanfield.example_run import a_run, training
from tests.meanfield.runs.test_foreign import foreign


def test_files_of_the_same_training_become_one(tmp_path: Path) -> None:
    a_run().save(tmp_path / "a.npz")
    a_run(seeds=np.array([1, 2])).save(tmp_path / "b.npz")
    a_run(seeds=np.array([1, 2]), training=training(n_train=9)).save(tmp_path / "c.npz")
    a_run(complete=False, training={}).save(checkpoint_of(tmp_path / "d.npz"))
    foreign(tmp_path / "e.npz")
    together, apart, other = read([tmp_path])
    assert together.seeds.tolist() == [4, 7, 1, 2]
    np.testing.assert_array_equal(together.curves["Q"], np.tile(a_run().Q, (2, 1)))
    assert together.q is not None
    assert together.q.shape == (4, 6)
    assert apart.training["n_train"] == 9
    assert other.parameters.N == 4


def test_a_seed_that_comes_twice_is_refused(tmp_path: Path) -> None:
    a_run().save(tmp_path / "a.npz")
    a_run(seeds=np.array([9, 7])).save(tmp_path / "b.npz")
    with pytest.raises(FileError, match=r"seed 7 is both in .*a.npz and in .*b.npz"):
        read([tmp_path / "a.npz", tmp_path / "b.npz"])


def test_no_file_and_no_npz(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="does not exist"):
        read([tmp_path / "nothing.npz"])
    with pytest.raises(FileError, match="holds no run files: python -m simulate makes some"):
        read([tmp_path])
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(FileError, match=r"is not a whole file of curves \(it is no NPZ archive\)"):
        read([tmp_path])
