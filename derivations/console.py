"""What every command line here needs: any encoding, one sentence on a mistake, a clean end."""

from __future__ import annotations

import argparse
import codecs
import io
import os
import re
import signal
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
INTERRUPTED, PIPE_CLOSED = 130, 141  # exit codes, as shells have them
IN_ASCII = {
    "−": "-", "–": "-", "·": "*", "⋅": "*", "×": "x", "√": "sqrt", "≤": "<=", "≥": ">=", "≠": "!=",
    "≈": "~", "→": "->", "±": "+-", "∞": "inf", "⟨": "<", "⟩": ">", "′": "'", "⊗": "x", "∧": "&",
    "∇": "grad ",
}  # fmt: skip


class Mistake(Exception):
    """What a user got wrong, in one sentence."""


# --- encodings -----------------------------------------------------------------------------------


def ascii_of(character: str) -> str:
    """Return a character in ASCII: sigma for σ, ^2 for ², u for ü; "?" where nothing is like it."""
    if character.isascii() or character in IN_ASCII:
        return IN_ASCII.get(character, character)
    parts = unicodedata.normalize("NFKD", character)
    if parts != character:
        raised = "^" * unicodedata.decomposition(character).startswith("<super>")
        return raised + "".join(map(ascii_of, parts))
    kind, _, name = unicodedata.name(character, "").partition(" LETTER ")
    if kind in ("GREEK SMALL", "GREEK CAPITAL"):
        letter = name.split()[-1]  # of FINAL SIGMA
        return letter.lower() if kind == "GREEK SMALL" else letter.title()
    return "" if unicodedata.combining(character) else "?"


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Handle what an encoding cannot say, for ``codecs``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(ascii_of, error.object[error.start : error.end])), error.end


codecs.register_error("in_ascii", _in_ascii)


def says(text: str) -> bool:
    """Whether stdout's encoding has all these characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


# --- arguments -----------------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one sentence, and that takes -1e-3 for the number it is."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the arguments; what the terminal's encoding cannot say is written in ASCII."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="in_ascii")
        joined: list[str] = []
        for each in sys.argv[1:] if args is None else args:
            if NEGATIVE.fullmatch(each) and joined and joined[-1].startswith("--"):
                joined[-1] += f"={each}"  # argparse takes -1e-3 for an option before Python 3.14
            else:
                joined.append(each)
        return super().parse_known_args(joined, namespace)

    def error(self, message: str) -> NoReturn:
        """Say one sentence, without the usage that argparse puts before it."""
        self.exit(2, f"{self.prog}: {message}\n")


def parser(prog: str, description: str, epilog: str | None = None) -> Parser:
    """Return a parser that keeps the line breaks of its texts and takes no abbreviations."""
    return Parser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


# --- running -------------------------------------------------------------------------------------


def run(command: argparse.ArgumentParser, work: Callable[[], int], *, resume: str = "") -> int:
    """Return the exit code of ``work``; a user's mistake is one sentence on stderr and code 2.

    resume: what to say after an interruption, if the work can go on later.
    """
    try:
        with _interruptible():
            code = work()
            sys.stdout.flush()
            return code
    except Mistake as error:
        command.error(str(error))
    except BrokenPipeError:  # who read the output has gone: what is left of it goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt:
        more = f"; {resume}" if resume else ""
        print(f"{command.prog}: interrupted{more}", file=sys.stderr)
        return INTERRUPTED


@contextmanager
def _interruptible() -> Iterator[None]:
    """Take a closed terminal and a polite kill like Ctrl-C, so that nothing computed is lost."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    names = [name for name in ("SIGHUP", "SIGTERM") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        names = []  # only the main thread may
    before = {
        getattr(signal, name): signal.signal(getattr(signal, name), interrupt) for name in names
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- files ---------------------------------------------------------------------------------------


def require_writable(path: Path) -> None:
    """Raise Mistake unless a file can be written there; before anything is computed."""
    folder = path.resolve().parent
    if path.is_dir():
        raise Mistake(f"cannot write {path}: it is a folder")
    if not folder.is_dir():
        raise Mistake(f"cannot write {path}: its folder does not exist")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise Mistake(f"cannot write {path}: no permission")


def write(path: Path, text: str) -> None:
    """Write a file as a whole or, raising Mistake, not at all."""
    whole = path.exists() and not path.is_file()  # such as /dev/stdout: nothing to put in its place
    part = path if whole else path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        if not whole:
            os.replace(part, path)
    except OSError as problem:
        raise Mistake(f"cannot write {path}: {problem.strerror}") from None
    finally:
        if not whole:
            part.unlink(missing_ok=True)
