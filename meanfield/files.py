"""Reading and writing files: whole or not at all, and one sentence when something is wrong."""

from __future__ import annotations

import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from meanfield.errors import FileError

# whatever NumPy, zipfile, json and a class that checks its fields say of foreign or broken bytes
UNREADABLE = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, OSError,
    EOFError, MemoryError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


@contextmanager
def reading(path: str | os.PathLike[str], what: str) -> Iterator[Any]:
    """Open an NPZ file without pickle; whatever fails inside becomes a FileError.

    what: what the file should hold, for the message: "run file", "trajectory file".
    """
    try:
        # opened here, as numpy leaves a broken file open
        with open(path, "rb") as whole, np.load(whole, allow_pickle=False) as file:
            yield file
    except FileNotFoundError:
        raise FileError(f"{os.fspath(path)} does not exist") from None
    except UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"{os.fspath(path)} is not a whole {what} ({reason})") from None


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
    """Open a file that appears under ``path`` only once it is written whole."""
    check_writable(path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=Path(path).parent, prefix=".", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            why = error.strerror or error
            raise FileError(f"{os.fspath(path)} cannot be written: {why}") from None
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
