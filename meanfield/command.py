"""What the command lines share: options from dataclass fields, one sentence on a mistake."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, NoReturn

from meanfield.errors import MISTAKES

INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it
EXTRAS = {"torch": "simulate"}  # libraries that not everybody has, by the extra that installs them


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one sentence."""

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


def integer(text: str) -> int:
    """Return an argument as an integer."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be an integer, not {text!r}") from None


def number(text: str) -> float:
    """Return an argument as a number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {text!r}") from None


TYPES: dict[str, Callable[[str], Any]] = {"int": integer, "float": number, "str": str}


def add_fields(
    to: argparse._ActionsContainer,
    kind: Any,
    names: Iterable[str] | None = None,
    *,
    defaults: bool = True,
) -> None:
    """Add an option for each field of a dataclass that has one (see ``checks.option``).

    names: those wanted, in this order; all unless given. defaults: whether --help names them. An
    option that is not given is None.
    """
    known = {each.name: each for each in fields(kind) if "says" in each.metadata}
    for name in known if names is None else names:
        each, about = known[name], known[name].metadata
        unless = about.get("unless", each.default)
        told = f" (default: {unless})" if defaults and unless is not None else ""
        flag, said = f"--{name.replace('_', '-')}", about["says"] + told
        if each.type == "bool":
            to.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=said)
            continue
        metavar = "|".join(about["choices"]) if "choices" in about else about.get("metavar")
        to.add_argument(flag, type=TYPES[str(each.type)], metavar=metavar, help=said)


def given(options: argparse.Namespace, kind: Any) -> dict[str, Any]:
    """Return the options that were given of a dataclass's fields, by name."""
    names = (each.name for each in fields(kind) if hasattr(options, each.name))
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def run(command: argparse.ArgumentParser, work: Callable[[], int], *, resume: str = "") -> int:
    """Return the exit code of ``work``; a user's mistake is one sentence on stderr and code 2.

    So is a library that is not installed. resume: what to say after an interruption, if the work
    can go on later.
    """
    try:
        return work()
    except MISTAKES as error:
        command.error(str(error))
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        command.error(f'needs {error.name}: pip install --editable ".[{EXTRAS[error.name]}]"')
    except KeyboardInterrupt:
        more = f"; {resume}" if resume else ""
        print(f"{command.prog}: interrupted{more}", file=sys.stderr)
        return INTERRUPTED
