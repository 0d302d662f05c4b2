"""Files are written whole or not at all, and what cannot be read is one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from meanfield.errors import FileError, ParameterError
from meanfield.files import check_writable, make_folder, reading, writing


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
