"""Run files: written whole, read back the same, and nothing else is read at all."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meanfield.errors import FileError
from meanfield.runs.run import ARRAYS, Run, checkpoint_of, files_in, read_run
from tests.meanfield.example_run import a_run


def assert_same(one: Run, other: Run) -> None:
    for name in ARRAYS:
        left, right = getattr(one, name), getattr(other, name)
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right, err_msg=name)
    for name in ("parameters", "training", "diverged", "made_with", "complete"):
        assert getattr(one, name) == getattr(other, name)


def test_round_trip(tmp_path: Path) -> None:
    run = a_run()
    run.save(tmp_path / "run.npz")
    assert_same(read_run(tmp_path / "run.npz"), run)
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]
    assert files_in(tmp_path) == [tmp_path / "run.npz"]


def test_the_file_describes_itself_to_numpy_alone(tmp_path: Path) -> None:
    a_run().save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz", allow_pickle=False) as file:
        about = json.loads(str(file["about"]))
        assert {name: file[name].shape for name in ("R", "attention")} == {
            "R": (2, 3), "attention": (2, 3, 2, 2),
        }  # fmt: skip
    assert about["parameters"]["N"] == 4
    assert about["units"]["epoch"].startswith("passes over the training data")


def test_a_checkpoint_is_not_taken_for_a_run(tmp_path: Path) -> None:
    path = checkpoint_of(tmp_path / "run.npz")
    run = a_run(complete=False, state={"model/W": np.arange(3.0)})
    run.save(path)
    with pytest.raises(FileError, match="checkpoint of an unfinished run, at epoch 15"):
        read_run(path)
    again = read_run(path, unfinished=True)
    assert_same(again, run)
    np.testing.assert_array_equal(again.state["model/W"], np.arange(3.0))
    with pytest.raises(FileError, match="holds no run files: python -m simulate makes some"):
        files_in(tmp_path)
    (tmp_path / "b.npz").touch()
    (tmp_path / "a.npz").touch()
    assert [each.name for each in files_in(tmp_path)] == ["a.npz", "b.npz"]


def refused(path: Path) -> str:
    with pytest.raises(FileError) as raised:
        read_run(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)
    return str(raised.value)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    assert "does not exist" in refused(path)
    path.write_bytes(b"")
    refused(path)
    path.write_text("not a run at all")
    refused(path)
    np.savez(path, R=np.zeros(3))
    refused(path)
    np.savez(path, about=np.array(json.dumps({"format": "meanfield trajectory", "version": 1})))
    assert "it says 'meanfield trajectory', version 1" in refused(path)
    np.savez(path, about=np.array(json.dumps([1])))
    refused(path)
    np.savez(path, about=np.array([{"format": "meanfield run"}], dtype=object))
    refused(path)  # a pickle is never loaded
    refused(tmp_path)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    a_run().save(path)
    whole = path.read_bytes()
    for size in [*range(0, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:size])
        refused(path)


def test_flipped_bits_are_refused_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    run = a_run()
    run.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    seen = 0
    for _ in range(400):
        broken = bytearray(whole)
        broken[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        try:
            again = read_run(path)
        except FileError:
            seen += 1
        else:  # a date or the like in the archive's own headers
            assert_same(again, run)
    assert seen > 200


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"R": np.zeros((2, 4))}, "R has shape (2, 4), not (2, 3)"),
        ({"W_end": np.zeros((2, 3, 4))}, "W_end has shape"),
        ({"epoch": np.array([0, 10, 10])}, "epochs do not increase from 0"),
        ({"epoch": np.array([1, 10, 15])}, "epochs do not increase from 0"),
        ({"Q": np.full((2, 3), np.nan)}, "Q of seed 4 holds values that are not finite"),
        ({"Q": np.full((2, 3), np.nan), "diverged": {4: 5, 7: 5}}, "Q of seed 4"),
    ],
)
def test_an_inconsistent_run_cannot_be_made(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the words are compared below
        a_run(**changes)
    assert words in str(raised.value)


def test_a_diverged_seed_is_marked(tmp_path: Path) -> None:
    Q = np.zeros((2, 3))
    Q[1, 1:] = np.nan
    run = a_run(Q=Q, diverged={7: 10})
    run.save(tmp_path / "run.npz")
    assert read_run(tmp_path / "run.npz").diverged == {7: 10}
    with pytest.raises(ValueError, match="Q of seed 7"):
        dataclasses.replace(run, diverged={4: 4})


def test_an_unwritable_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        a_run().save(tmp_path / "no" / "run.npz")
