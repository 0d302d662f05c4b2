"""Files of other programs: what is read, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meanfield import FileError, Parameters, Training
from meanfield.attention import planes
from meanfield.attention.typical import draw
from meanfield.compare.__main__ import EPILOG
from meanfield.runs.foreign import ARRAYS, read_foreign

EPOCH = np.array([0.0, 5.0, 10.0])
RNG = np.random.default_rng(1)
FOREIGN = {"N": 4, "T": 3, "epoch": EPOCH, **{name: RNG.uniform(size=3) for name in "RQS"}}


def foreign(path: Path, **changed: Any) -> Path:
    content = {name: value for name, value in {**FOREIGN, **changed}.items() if value is not None}
    np.savez(path, **content)
    return path


def test_of_a_file_without_query_and_key_a_start_knows_none(tmp_path: Path) -> None:
    measured = read_foreign(foreign(tmp_path / "mine.npz"))
    assert set(measured.start(0).given) == {"R", "Q", "S", "C"}
    assert measured.known_training is None


def test_a_foreign_file(tmp_path: Path) -> None:
    path = foreign(tmp_path / "mine.npz", d_head=8, rope_spacing="linear", C=np.array([0.3]),
                   q=np.ones(8), k=np.zeros(8), R=np.array([1 / 3, 0.4, 0.5]))  # fmt: skip
    measured = read_foreign(path)
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
        ({"epoch": None, "T": None}, "it holds no epoch, T"),
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
        read_foreign(path)


def heads(p: Parameters, seeds: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return q and k of some seeds, and the R that they give."""
    q, k = draw(p, seeds)
    return q, k, planes.retrieval(planes.planes(p), planes.heads(q, k).p)[0]


SMALL = Parameters(N=4, T=3, d_head=8)


def rising(R0: Any) -> np.ndarray:
    return np.clip(np.atleast_1d(R0)[:, None] + [0, 0.1, 0.2], 0, 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda q: q.reshape(2, 2, 4).swapaxes(1, 2).reshape(2, 8), r"not 2r and 2r \+ 1, as they"),
        (lambda q: 3 * q, r"q·k/sqrt\(d_head\)\)$"),
    ],
)
def test_query_and_key_must_give_R_at_the_start(tmp_path: Path, change: Any, words: str) -> None:
    q, k, R = heads(SMALL, 2)
    path, rest = tmp_path / "mine.npz", {name: np.zeros((2, 3)) for name in "QS"}
    known = {"d_head": 8, "R": rising(R), **rest}
    assert read_foreign(foreign(path, q=q, k=k, **known)).q is not None
    with pytest.raises(FileError, match=f"q and k give R = .* at epoch 0, but R.0. = .*{words}"):
        read_foreign(foreign(path, q=change(q), k=change(k), **known))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("rope_base", "rope_theta"),
        ("learning_rate", "lr"),
        ("permutation", "permutations"),
        ("Loss", "loss"),
    ],
)
def test_a_name_that_is_not_used_is_refused(tmp_path: Path, name: str, meant: str) -> None:
    words = f"it holds '{name}', which is no known name: is {meant} meant"
    with pytest.raises(FileError, match=words):
        read_foreign(foreign(tmp_path / "mine.npz", **{name: 5.0}))


def test_text_of_a_file_is_printed_escaped(tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        read_foreign(foreign(tmp_path / "mine.npz", **{"\x1b[2J": 1}))
    assert str(caught.value).isprintable()


def test_training_and_permutations_are_read(tmp_path: Path) -> None:
    permutations = np.array([np.roll(np.arange(4), shift) for shift in range(4)])
    path = foreign(tmp_path / "a.npz", n_train=64, batch_size=32, permutations=permutations)
    measured = read_foreign(path)
    assert measured.known_training == Training(n_train=64, batch_size=32)
    np.testing.assert_array_equal(measured.start(0).permutations, permutations)
    for name, wrong in (("permutations", permutations + 1), ("batch_size", 99), ("lr", [1, 2])):
        with pytest.raises(FileError, match=name):
            read_foreign(foreign(tmp_path / "b.npz", n_train=64, **{name: wrong}))


def test_any_one_curve_is_enough(tmp_path: Path) -> None:
    nothing = dict.fromkeys("RQS")
    path = foreign(tmp_path / "mine.npz", **nothing, loss=np.array([1.4, 1.2, 0.3]))
    measured = read_foreign(path)
    assert (set(measured.curves), measured.lacking) == ({"loss"}, ["R", "Q", "S"])
    assert set(measured.start(0).given) == {"C"}
    with pytest.raises(FileError, match="it holds none of the curves R, Q, S, loss"):
        read_foreign(foreign(tmp_path / "mine.npz", **nothing))


TABLE = """\
# curves of my own
# N = 4
# T = 3
# rope_spacing = linear
epoch,R,loss,seed
0,0.3,1.4,7
5,0.4,1.2,7
0,0.2,1.5,3
5,0.5,1.1,3
"""


def test_a_table(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(TABLE)
    measured = read_foreign(path)
    assert measured.parameters == Parameters(N=4, T=3, rope_spacing="linear")
    assert measured.epoch.tolist() == [0, 5]
    assert measured.seeds.tolist() == [7, 3]
    assert measured.curves["R"].tolist() == [[0.3, 0.4], [0.2, 0.5]]
    one = "\n".join(line.rsplit(",", 1)[0] for line in TABLE.splitlines()[:-2])
    path.write_text(one)
    assert read_foreign(path).curves["loss"].tolist() == [[1.4, 1.2]]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("epoch,", "time,", "it has no column epoch"),
        ("# N = 4\n", "", "it holds no N"),
        ("0.4,1.2", "0.4", "no table of a row of names and rows of as many numbers"),
        ("0.4,1.2", "0.4,x", "could not convert string to float: 'x'"),
        ("0.4,1.2", "0.4,nan", "loss holds values that are not finite"),
        ("0.4,1.2", "1.4,1.2", "R leaves the range from 0 to 1: 1.4"),
        ("1.1,3", "1.1,4", "its seeds do not have the same epochs"),
        ("1.1,3", "1.1,nan", "its seeds are no integers"),
        ("loss", "R", "two of its columns have one name"),
        ("N = 4", "N = four", "N must be an integer, not 'four'"),
        ("N = 4", "M = 4", "it holds 'M'"),
        ("loss", "loss\x00", "it holds 'loss"),
    ],
)
def test_a_table_that_cannot_be(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(TABLE.replace(old, new))
    with pytest.raises(FileError, match=f"mine.csv is not a whole file of curves .*{words}"):
        read_foreign(path)


def test_other_kinds_are_refused_in_our_own_words(tmp_path: Path) -> None:
    for name, content in (("a.yaml", b"N: 4"), ("a.npy", b"\x93NUMPY"), ("a", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileError, match="is no NPZ or CSV file: write the curves as one of th"):
            read_foreign(tmp_path / name)
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(FileError, match="it is no text in UTF-8"):
        read_foreign(tmp_path / "b.csv")


def test_the_page_and_the_command_name_what_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "files.md").read_text(encoding="utf-8")
    for name in ARRAYS:
        assert f"`{name}`" in page
        assert re.search(rf"\b{name}\b", EPILOG)
    (example,) = re.findall(r"```text\n(.*?)```", page, flags=re.S)
    (tmp_path / "mine.csv").write_text(example)
    assert read_foreign(tmp_path / "mine.csv").curves["loss"].tolist() == [[3.02, 2.99]]
