"""Run files: written whole, read back the same, and nothing else is read at all."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meanfield.errors import FileError, ParameterError
from meanfield.runs.run import ARRAYS, CURVES, Run, checkpoint_of, files_in, read_run
from tests.meanfield.example_run import a_run, training


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
    longer = training(train_epochs=30)
    state, epoch = {"model/W": np.arange(3.0)}, np.array([0, 10, 20])
    run = a_run(complete=False, training=longer, epoch=epoch, state=state)
    run.save(path)
    with pytest.raises(FileError, match="checkpoint of an unfinished run, at epoch 20"):
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
        ({"seeds": np.array([4.0, 7.0])}, "seeds has type float64, not int64 or int32"),
        ({"C": np.ones((2, 3), complex)}, "C has type complex128, not float64"),
        ({"permutations": np.zeros((2, 3, 4))}, "permutations has type float64"),
        ({"permutations": np.zeros((1, 3, 4), int)}, "permutations has shape (1, 3, 4), not (2,"),
    ],
)
def test_an_inconsistent_run_cannot_be_made(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError) as raised:
        a_run(**changes)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"diverged": {4: 15, 7: 5}}, "R of seed 4 goes on after it diverged"),
        ({"seeds": np.array([4, 4])}, "seeds are not different ones"),
        ({"seeds": np.array([4, -7])}, "seeds must be at least 0, not -7"),
        ({"loss": np.full((2, 3), -0.1)}, "loss of seed 4 must be at least 0, not -0.1"),
        ({"attention": np.full((2, 3, 2, 2), 2.0)}, "attention of seed 4 must be between 0 and 1"),
        ({"permutations": np.zeros((2, 3, 4), np.uint16)}, "do not all permute the N = 4 states"),
        ({"W_end": np.full((2, 3, 4, 4), np.inf, np.float32)}, "W_end of seed 4 holds values that"),
        ({"diverged": {5: 10}}, "diverged names seed 5, which it does not hold"),
        ({"diverged": {4: 16}}, "the epoch at which seed 4 diverged must be between 0 and 15"),
        ({"training": training(batch_size=0)}, "batch_size must be between 1 and"),
        ({"training": training(n_trian=8)}, "training has an unknown n_trian"),
        ({"training": training(train_epochs=14)}, "a run of 14 epochs is not complete at 15"),
        ({"complete": False}, "15 epochs is not unfinished at"),
        ({"training": training(eval_every=5)}, "its epochs are not every 5 of them"),
        ({"W_end": a_run().W_end[:, ::-1]}, "W_end of seed 4 has Q = "),
        ({"made_with": {"torch": 2}}, "made_with must be in words, not torch 2"),
        ({"made_with": {"dtype": "float64"}}, "W_end is not of dtype 'float64'"),
    ],
)
def test_a_file_that_no_training_wrote_is_refused(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    a_run(**changes).save(tmp_path / "run.npz")
    with pytest.raises(FileError) as raised:
        read_run(tmp_path / "run.npz", unfinished=True)
    assert words in str(raised.value)


def test_a_diverged_seed_is_marked(tmp_path: Path) -> None:
    curves = {name: getattr(a_run(), name).copy() for name in CURVES}
    for curve in curves.values():
        curve[1, 1:] = np.nan
    run = a_run(**curves, diverged={7: 10})
    run.save(tmp_path / "run.npz")
    assert read_run(tmp_path / "run.npz").diverged == {7: 10}
    with pytest.raises(ParameterError, match="R of seed 7 holds values that are not finite"):
        dataclasses.replace(run, diverged={})


def test_an_unwritable_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        a_run().save(tmp_path / "no" / "run.npz")
