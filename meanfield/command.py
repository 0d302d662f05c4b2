"""What the command lines share: options from dataclass fields, one sentence on a mistake."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import Any

from derivations import console
from derivations.console import parser as parser
from meanfield.errors import MISTAKES
from meanfield.files import printable

EXTRAS = {"torch": "simulate"}  # libraries that not everybody has, by the extra that installs them


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


def names(text: str) -> list[str]:
    """Return an argument as the names between its commas."""
    return text.split(",")


TYPES: dict[str, Callable[[str], Any]] = {"int": integer, "float": number, "str": str}


def add_fields(
    to: argparse._ActionsContainer,
    kind: Any,
    only: Iterable[str] | None = None,
    *,
    defaults: bool = True,
) -> None:
    """Add an option for each field of a dataclass that has one (see ``checks.option``).

    only: those wanted, in this order; all unless given. defaults: whether --help names them. An
    option that is not given is None.
    """
    known = {each.name: each for each in fields(kind) if "says" in each.metadata}
    for name in known if only is None else only:
        each, about = known[name], known[name].metadata
        unless = about.get("unless", each.default)
        plain = f"{unless:g}" if isinstance(unless, float) else unless
        default = f" (default: {plain})" if defaults and unless not in (None, False) else ""
        flags = [
            f"--{each}".replace("_", "-")
            for each in (about.get("flag", name), *about.get("also", ()))
        ]
        text = about["says"] + default
        if each.type == "bool":
            action: Any = argparse.BooleanOptionalAction if each.default else _Yes
            to.add_argument(*flags, dest=name, action=action, default=None, help=text)
            continue
        if str(each.type).startswith("tuple"):  # given once or several times
            to.add_argument(
                *flags, dest=name, action="append", metavar=about["metavar"], help=about["says"]
            )
            continue
        metavar = "|".join(about["choices"]) if "choices" in about else about.get("metavar")
        of_type = TYPES[str(each.type).removesuffix(" | None")]
        to.add_argument(*flags, dest=name, type=of_type, metavar=metavar, help=text)


class _Yes(argparse.Action):
    """An option that says True; None if it is not given."""

    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **kwargs)

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: object
    ) -> None:
        setattr(namespace, self.dest, True)


def given(options: argparse.Namespace, kind: Any) -> dict[str, Any]:
    """Return the options that were given of a dataclass's fields, by name."""
    offered = (each.name for each in fields(kind) if hasattr(options, each.name))
    values = {name: getattr(options, name) for name in offered}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if value is not None
    }


def run(command: argparse.ArgumentParser, work: Callable[[], int], *, resume: str = "") -> int:
    """Return the exit code of ``work``; a user's mistake is one sentence on stderr and code 2.

    So is a library that is not installed. resume: what to say after an interruption, if the work
    can go on later.
    """

    def attempt() -> int:
        try:
            return work()
        except MISTAKES as error:
            command.error(printable(str(error)))
        except ModuleNotFoundError as error:
            if error.name not in EXTRAS:
                raise
            command.error(f'needs {error.name}: pip install --editable ".[{EXTRAS[error.name]}]"')

    return console.run(command, attempt, resume=resume)
