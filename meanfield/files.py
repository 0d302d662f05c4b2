"""Reading and writing files: whole or not at all, and one sentence when something is wrong."""

from __future__ import annotations

import io
import lzma
import os
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import FileError, ParameterError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# what zipfile, and NumPy of a header, say of broken bytes
UNDECODABLE = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, EOFError,
    SyntaxError, struct.error, tokenize.TokenError, zlib.error, lzma.LZMAError, zipfile.BadZipFile,
)  # fmt: skip
LONGEST = 300  # characters of a reason
MOST_WRITERS = 16  # of one file at a time
FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Contents(dict[str, NDArray[Any]]):
    """The arrays of a file by name; one that it does not hold is a ParameterError."""

    def __missing__(self, name: str) -> NDArray[Any]:
        """Say that it is not there."""
        raise ParameterError(f"it holds no {name}")


@contextmanager
def reading(path: str | os.PathLike[str], what: str) -> Iterator[Contents]:
    """Yield the arrays of an NPZ file, decoded without pickle; FileError if it cannot be decoded.

    A ParameterError raised inside, of a value that cannot be, becomes a FileError that names the
    file. what: what the file should hold, for the message: "run file", "trajectory file".
    """
    try:
        yield decoded(path, what)
    except ParameterError as error:
        raise unfit(path, what, error) from None


def unfit(path: str | os.PathLike[str], what: str, why: object) -> FileError:
    """Return the error of a file that is not what it should be."""
    reason = " ".join(str(why).split()) or type(why).__name__
    if len(reason) > LONGEST:
        reason = f"{reason[:LONGEST]}…"
    return FileError(printable(f"{os.fspath(path)} is not a whole {what} ({reason})"))


def printable(text: str) -> str:
    """Return text with every character that is no plain one escaped: files may hold anything."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def opened(path: str | os.PathLike[str], what: str) -> bytes:
    """Return the bytes of a file; FileError if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise FileError(printable(f"{os.fspath(path)} does not exist")) from None
    except MemoryError:
        raise FileError(printable(f"{os.fspath(path)} does not fit into memory")) from None
    except IsADirectoryError:
        raise FileError(printable(f"{os.fspath(path)} is a folder, not a {what}")) from None
    except OSError as error:
        raise FileError(printable(f"{os.fspath(path)} cannot be read: {error.strerror}")) from None


def decoded(path: str | os.PathLike[str], what: str) -> Contents:
    """Return the arrays of an NPZ file; FileError if it is none."""
    content = opened(path, what)
    if not content.startswith(b"PK"):
        raise unfit(path, what, "it is no NPZ archive")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            found = [(name, archive.read(name)) for name in names]  # and check the checksum
            arrays = Contents({n.removesuffix(".npy"): _array(each) for n, each in found})
    except MemoryError:
        raise FileError(printable(f"{os.fspath(path)} does not fit into memory")) from None
    except UNDECODABLE as error:
        raise unfit(path, what, error) from None
    if len(arrays) < len(names):
        raise unfit(path, what, "it holds an array twice")
    return arrays


def _array(content: bytes) -> NDArray[Any]:
    """Return the array of an NPY file, in this machine's byte order; ValueError if it is none.

    np.load would take the memory that a header claims before it looks for the numbers.
    """
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if header is None:
        raise ValueError(f"its NPY version is {version}")
    shape, in_columns, dtype = header(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never loaded")
    count = 1
    for size in shape:
        count *= size
    values = content[file.tell() :]
    if len(values) != count * dtype.itemsize or min(shape, default=0) < 0:
        raise ValueError("an array is not as long as it says")
    array = np.frombuffer(values, dtype, count) if values else np.empty(0, dtype)
    array = array.reshape(shape, order="F" if in_columns else "C")
    return array.astype(dtype.newbyteorder("="))


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise FileError if ``path`` plainly cannot be written; writes nothing."""
    folder = Path(path).parent
    if Path(path).is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise FileError(
            f"{os.fspath(path)} cannot be written; name a file in a folder that exists and that "
            "you may write to"
        )


def make_folder(folder: Path) -> None:
    """Make the folder, with those above it, unless it is there; FileError if it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"the folder {folder} cannot be made: {error.strerror}") from None


def check_folder(folder: Path) -> None:
    """Raise FileError if the folder is not there and plainly cannot be made; makes nothing."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir():
        raise FileError(f"the folder {folder} cannot be made: {there} is no folder")
    if not os.access(there, os.W_OK):
        raise FileError(f"the folder {folder} cannot be made: you may not write to {there}")


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file that appears under ``path`` only once it is written whole and on the disk.

    Until then it is .NAME.0.part beside it, or .NAME.1.part and so on where others write the same
    file; what a killed writer has left there is written over.
    """
    check_writable(path)
    try:
        part, file = _part_of(Path(path))
        with file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.replace(part, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(part)
                raise
        _settle(Path(path))
    except OSError as error:
        why = error.strerror or error
        raise FileError(printable(f"{os.fspath(path)} cannot be written: {why}")) from None


def _parts(path: Path) -> Iterator[Path]:
    """Yield the names under which a file may be written."""
    yield from (path.with_name(f".{path.name}.{number}.part") for number in range(MOST_WRITERS))


def _part_of(path: Path) -> tuple[Path, IO[bytes]]:
    """Return the first part file that nobody else is writing, locked and empty."""
    for part in _parts(path):
        handle = _claimed(part)
        if handle is not None:
            os.ftruncate(handle, 0)
            return part, os.fdopen(handle, "wb")
    raise OSError(f"others are writing it; if not, remove {part} and the like")


def _claimed(part: Path) -> int | None:
    """Return the handle of a part file that is new, or that a killed writer left; else None.

    Writers hold a lock, which ends with them.
    """
    new = False
    try:
        handle = os.open(part, FLAGS | os.O_CREAT | os.O_EXCL, 0o666)
        new = True
    except FileExistsError:
        try:
            handle = os.open(part, FLAGS)
        except OSError:  # a link, or somebody else's
            return None
    if _locked(handle, part, otherwise=new):
        return handle
    os.close(handle)
    return None


def _locked(handle: int, part: Path, *, otherwise: bool) -> bool:
    """Whether the open file could be locked and is still there; ``otherwise`` without locks."""
    if fcntl is None:
        return otherwise
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        here, there = os.fstat(handle), os.lstat(part)
    except (BlockingIOError, FileNotFoundError):  # being written, or whole by now
        return False
    except OSError:  # the file system has no locks
        return otherwise
    alone = stat.S_ISREG(here.st_mode) and here.st_nlink == 1
    return alone and (here.st_ino, here.st_dev) == (there.st_ino, there.st_dev)


def _settle(path: Path) -> None:
    """Remove what killed writers have left, and bring the folder's entries to the disk."""
    with suppress(OSError):  # the file itself is safe by now
        for part in filter(os.path.lexists, _parts(path)):
            handle = os.open(part, FLAGS)
            if _locked(handle, part, otherwise=False):
                os.unlink(part)
            os.close(handle)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
