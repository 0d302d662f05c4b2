"""Files are written whole or not at all, and what cannot be read is one sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from meanfield import files
from meanfield.errors import FileError, ParameterError
from meanfield.files import (
    check_folder,
    check_writable,
    make_folder,
    printable,
    reading,
    writing,
)  # fmt: skip

ROOT = Path(__file__).parents[2]
needs_locks = pytest.mark.skipif(files.fcntl is None, reason="no file locks")


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new.bin"
    with writing(path) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert os.listdir(tmp_path) == ["new.bin"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def killed_while_writing(path: Path) -> None:
    """Leave what a writer leaves that is killed."""
    program = (
        f"import os, signal; from meanfield.files import writing\n"
        f"with writing({str(path)!r}) as file:\n"
        "    file.write(b'a much longer beginning'); file.flush(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL


@needs_locks
def test_what_a_killed_writer_left_is_cleaned_up_by_the_next(tmp_path: Path) -> None:
    path, other = tmp_path / "new.bin", tmp_path / "other.bin"
    killed_while_writing(path)
    assert os.listdir(tmp_path) == [".new.bin.0.part"]
    with writing(other) as file:  # whose leftover it is not
        file.write(b"other")
    assert sorted(os.listdir(tmp_path)) == [".new.bin.0.part", "other.bin"]
    with writing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path)) == ["new.bin", "other.bin"]


@needs_locks
def test_two_that_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "new.bin"
    (tmp_path / ".new.bin.2.part").write_bytes(b"of a third that was killed")
    with writing(path) as one:
        one.write(b"one")
        with writing(path) as two:
            two.write(b"two")
            assert len(os.listdir(tmp_path)) == 3
        assert path.read_bytes() == b"two"
        assert sorted(os.listdir(tmp_path)) == [".new.bin.0.part", "new.bin"]
    assert path.read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["new.bin"]


@needs_locks
def test_many_that_write_the_same_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new.bin"

    def write(number: int) -> None:
        for _ in range(10):
            with writing(path) as file:
                file.write(bytes([number]) * 1000)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    content = path.read_bytes()
    assert (len(content), len(set(content))) == (1000, 1)
    assert os.listdir(tmp_path) == ["new.bin"]


@needs_locks
def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    mine, path = tmp_path / "mine", tmp_path / "new.bin"
    mine.write_bytes(b"mine")
    (tmp_path / ".new.bin.0.part").symlink_to(mine)
    os.link(mine, tmp_path / ".new.bin.1.part")
    with writing(path) as file:
        file.write(b"new")
    assert mine.read_bytes() == b"mine"
    assert len(os.listdir(tmp_path)) == 4


def test_without_locks_files_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "fcntl", None)
    path, left = tmp_path / "new.bin", tmp_path / ".new.bin.0.part"
    left.write_bytes(b"of a writer, who knows")
    with writing(path) as file:
        file.write(b"new")
    assert (path.read_bytes(), left.read_bytes()) == (b"new", b"of a writer, who knows")
    for number in range(files.MOST_WRITERS):
        (tmp_path / f".new.bin.{number}.part").touch()
    with pytest.raises(FileError, match=r"others are writing it; if not, remove .*part and the li"):
        fail(path, ValueError())


def fail(path: Path, error: BaseException) -> None:
    with writing(path) as file:
        file.write(b"new")
        raise error


@pytest.mark.parametrize("error", [OSError("disk full"), ValueError("a bug"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "old.bin"
    path.write_bytes(b"old")
    with pytest.raises(FileError if isinstance(error, OSError) else type(error)):
        fail(path, error)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["old.bin"]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"x\.bin cannot be written: No space left on device"):
        fail(tmp_path / "x.bin", OSError(28, "No space left on device"))


@pytest.mark.parametrize("place", ["no/such/folder/x.npz", "."])
def test_a_place_that_cannot_be_written_is_told_beforehand(tmp_path: Path, place: str) -> None:
    with pytest.raises(FileError, match="cannot be written; name a file in a folder that exists"):
        check_writable(tmp_path / place)
    check_writable(tmp_path / "x.npz")
    assert os.listdir(tmp_path) == []


def test_folders_are_made_with_those_above(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"the folder .*file/c cannot be made: Not a directory"):
        make_folder(tmp_path / "file" / "c")


def read(path: Path, name: str = "flour") -> np.ndarray:
    with reading(path, "cake") as file:
        return np.asarray(file[name])


def refused(path: Path, name: str = "flour") -> str:
    with pytest.raises(FileError) as caught:
        read(path, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_file_of_its_kind_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    assert refused(path) == f"{path} does not exist"
    for content in (b"", b"flour", b"PK\x03\x04flour"):
        path.write_bytes(content)
        assert refused(path).startswith(f"{path} is not a whole cake (")
    np.savez(path, flour=np.array([{"a": 1}], dtype=object))  # a pickle is never loaded
    assert "is not a whole cake (it holds Python objects, which are never loaded" in refused(path)
    assert refused(tmp_path) == f"{tmp_path} is a folder, not a cake"


def test_what_a_reader_misses_is_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, flour=np.arange(3))
    assert read(path).tolist() == [0, 1, 2]
    assert "is not a whole cake (" in refused(path, "sugar")
    assert "sugar" in refused(path, "sugar")

    def miss() -> None:
        with reading(path, "cake"):
            raise ParameterError("it holds\nno  eggs")

    with pytest.raises(FileError, match=r"is not a whole cake \(it holds no eggs\)$"):
        miss()


def test_a_bug_of_ours_is_no_fault_of_the_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", flour=np.arange(3))
    for error in (ValueError("ours"), TypeError("ours"), MemoryError()):
        with pytest.raises(type(error)), reading(tmp_path / "x.npz", "cake"):
            raise error


def test_what_is_printed_is_plain(tmp_path: Path) -> None:
    assert printable("a\x1b[2Jb\u202ec é") == "a\\x1b[2Jb\\u202ec é"
    assert refused(tmp_path / "a\x1b[2J.npz").isprintable()


def test_an_archive_that_lies_is_refused(tmp_path: Path) -> None:
    path, good = tmp_path / "x.npz", tmp_path / "flour.npy"
    np.save(good, np.arange(3))
    whole = good.read_bytes()
    for name, content, words in (
        ("flour.npy", whole.replace(b"(3,)", b"(9,)"), "an array is not as long as it says"),
        ("flour.npy", whole[:-1], "an array is not as long as it says"),
        ("flour.npy", b"\x93NUMPY\x09\x00" + whole[8:], "its NPY version is (9, 0)"),
        ("flour.npy", b"flour", ""),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, content)
        assert words in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("flour.npy", whole)
        archive.writestr("flour", whole)
    assert "it holds an array twice" in refused(path)


def test_arrays_come_in_this_machines_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, flour=np.arange(6, dtype=">f4").reshape(2, 3, order="F"))
    flour = read(path)
    assert flour.dtype == np.float32
    assert flour.flags.writeable
    assert flour.tolist() == [[0, 2, 4], [1, 3, 5]]


def test_a_folder_that_cannot_be_made_is_told_beforehand(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"file/b cannot be made: .*file is no folder"):
        check_folder(tmp_path / "file" / "b")
    assert os.listdir(tmp_path) == ["file"]
