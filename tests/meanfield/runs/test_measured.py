"""What is read for a comparison, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meanfield import FileError, Training
from meanfield.runs.measured import CURVES, of_run, read, read_foreign
from meanfield.runs.run import MEASURED, checkpoint_of
from tests.meanfield.example_run import a_run

EPOCH = np.array([0.0, 5.0, 10.0])
RNG = np.random.default_rng(1)
FOREIGN = {"N": 4, "T": 3, "epoch": EPOCH, **{name: RNG.uniform(size=3) for name in "RQS"}}


def foreign(path: Path, **changed: Any) -> Path:
    content = {name: value for name, value in {**FOREIGN, **changed}.items() if value is not None}
    np.savez(path, **content)
    return path


def test_a_run_in_the_names_of_the_theory() -> None:
    run = a_run()
    measured = of_run(run, "run.npz")
    for name in ("R", "Q", "S", "loss", "rollout_accuracy"):
        np.testing.assert_array_equal(measured.curves[name], getattr(run, name))
    np.testing.assert_array_equal(measured.curves["next_token_accuracy"], run.test_accuracy)
    assert tuple(measured.curves) == tuple(CURVES)
    np.testing.assert_array_equal(measured.C, run.C[:, 0])
    np.testing.assert_array_equal(measured.q, run.q_start)
    np.testing.assert_array_equal(measured.k, run.k_start)
    start = measured.start(1)
    numbers = {"R": run.R[1, 0], "Q": run.Q[1, 0], "S": run.S[1, 0], "C": run.C[1, 0]}
    assert {name: getattr(start, name) for name in numbers} == numbers
    for name, stored in (("q", "q_start"), ("k", "k_start"), ("permutations", "permutations")):
        np.testing.assert_array_equal(getattr(start, name), getattr(run, stored)[1])
    assert start.overlap is None  # it follows from the permutations
    assert (measured.count, measured.known_training) == (2, Training(n_train=8))


def test_of_a_file_without_query_and_key_a_start_knows_none(tmp_path: Path) -> None:
    measured = read_foreign(foreign(tmp_path / "mine.npz"))
    assert set(measured.start(0).given) == {"R", "Q", "S", "C"}
    assert measured.known_training is None


def test_epochs_are_gradient_steps() -> None:
    run = a_run(training={"n_train": 100, "batch_size": 30})
    assert of_run(run, "run.npz").epoch.tolist() == [0, 40, 60]


@pytest.mark.parametrize(
    ("name", "value"),
    [("optimizer", "adamw"), ("weight_decay", 0.1), ("fix_embedding", False), ("d_embed", 3)],
)
def test_any_training_is_read_and_known(name: str, value: Any) -> None:
    """A reader knows no theory: what is not covered is refused where one is compared."""
    measured = of_run(a_run(training={"n_train": 8, name: value}), "run.npz")
    assert getattr(measured.known_training, name) == value


def test_a_diverged_seed_is_left_out_and_said() -> None:
    curves = {name: getattr(a_run(), name).copy() for name in (*MEASURED, "attention")}
    for curve in curves.values():
        curve[0, 1:] = np.nan
    run = a_run(**curves, diverged={4: 7})
    measured = of_run(run, "run.npz")
    assert measured.seeds.tolist() == [7]
    assert measured.notes == ("left out, as training diverged: seed 4",)
    assert measured.curves["R"].shape == (1, 3)
    with pytest.raises(FileError, match="holds no seed that did not diverge"):
        of_run(a_run(diverged={4: 7, 7: 7}), "run.npz")


def test_files_of_the_same_training_become_one(tmp_path: Path) -> None:
    a_run().save(tmp_path / "a.npz")
    a_run(seeds=np.array([1, 2])).save(tmp_path / "b.npz")
    a_run(seeds=np.array([1, 2]), training={"n_train": 9}).save(tmp_path / "c.npz")
    a_run(complete=False).save(checkpoint_of(tmp_path / "d.npz"))
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


def test_a_foreign_file(tmp_path: Path) -> None:
    path = foreign(tmp_path / "mine.npz", d_head=8, rope_spacing="linear", C=np.array([0.3]),
                   q=np.ones(8), k=np.zeros(8))  # fmt: skip
    (measured,) = read([path])
    assert measured.parameters.K == 4
    assert measured.parameters.rope_spacing == "linear"
    assert measured.curves["R"].shape == (1, 3)
    assert "loss" not in measured.curves
    assert (measured.C.tolist(), measured.notes) == ([0.3], ())
    assert measured.q is not None
    assert measured.q.shape == (1, 8)


def test_a_foreign_file_of_several_seeds(tmp_path: Path) -> None:
    curves = {name: RNG.uniform(size=(2, 3)) for name in ("R", "Q", "S", "loss")}
    C = np.array([[0.1, 0.1, 0.1], [0.2, 0.2, 0.2]])
    measured = read_foreign(foreign(tmp_path / "mine.npz", **curves, C=C, seeds=np.array([5, 6])))
    assert measured.seeds.tolist() == [5, 6]
    assert measured.C.tolist() == [0.1, 0.2]
    np.testing.assert_array_equal(measured.curves["loss"], curves["loss"])


def test_R_may_end_at_one(tmp_path: Path) -> None:
    measured = read_foreign(foreign(tmp_path / "mine.npz", R=np.array([0.1, 0.5, 1.0])))
    assert measured.curves["R"][0, -1] == 1.0


def test_without_C_nought_is_assumed_and_said(tmp_path: Path) -> None:
    measured = read_foreign(foreign(tmp_path / "mine.npz"))
    assert measured.C.tolist() == [0.0]
    assert measured.notes == ("no C in the file: 0 is assumed",)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"R": None, "T": None}, "it holds no R, T"),
        ({"R": np.ones(4)}, r"R has shape \(1, 4\), not \(1, 3\)"),
        ({"S": np.array([0.0, np.nan, 0.0])}, "S holds values that are not finite real numbers"),
        ({"epoch": np.array([0, 3, 3])}, "its epochs do not increase from 0"),
        ({"epoch": np.array([1, 2, 3])}, "its epochs do not increase from 0"),
        ({"N": 1}, "N must be between 2"),
        ({"q": np.ones(5), "k": np.ones(5)}, r"q has shape \(1, 5\), not \(1, 64\)"),
        ({"q": np.ones(64)}, "it holds q but not the other of q and k"),
        ({"q": np.full(64, "x"), "k": np.ones(64)}, "q holds values that are not finite real num"),
        ({"C": np.ones(5)}, r"C has shape \(5,\), not \(1,\)"),
        ({"R": np.ones(3) * 1j}, "R holds values that are not finite real numbers"),
        ({"R": np.ones((0, 3))}, r"R has shape \(0, 3\), not \(1, 3\)"),
        ({"R": np.array([0.1, 0.5, 1.1])}, "R leaves the range from 0 to 1"),
        ({"R": np.array([1.0, 0.5, 0.1])}, "R leaves the range from 0 to 1"),
        ({"seeds": np.array([1, 2])}, "seeds are not 1 different integers"),
        ({"epoch": np.zeros(1), **{n: np.ones(1) / 2 for n in "RQS"}}, "do not increase from 0"),
    ],
)
def test_a_foreign_file_that_cannot_be(tmp_path: Path, changed: Any, reason: str) -> None:
    path = foreign(tmp_path / "mine.npz", **changed)
    with pytest.raises(FileError, match=f"mine.npz is not a whole file of curves .*{reason}"):
        read([path])


def test_no_file_and_no_npz(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="does not exist"):
        read([tmp_path / "nothing.npz"])
    with pytest.raises(FileError, match="holds no run files: python -m simulate makes some"):
        read([tmp_path])
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(FileError, match="is not a whole run file"):
        read([tmp_path])
