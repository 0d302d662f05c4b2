"""What the command lines share: options from fields, and one sentence for every mistake."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from meanfield import Parameters, Start, Theory, Training, command
from meanfield.checks import option
from meanfield.errors import MISTAKES


@dataclass
class Example:
    """Fields of every kind, and one that is no option."""

    count: int = option(3, "how many", least=1)
    size: float | None = option(None, "how large", metavar="SIZE")
    share: float = option(1 / 3, "how much", above=0, unless="1/3")
    some_name: str = option("a", "which", choices=("a", "b"), flag="name", also=("old_name",))
    on: bool = option(False, "whether")
    off: bool = option(True, "whether not")
    lines: tuple[str, ...] = option((), "a line, or several", flag="line", metavar="LINE")
    hidden: Any = None


def parsed(*arguments: str, only: Sequence[str] | None = None) -> dict[str, Any]:
    parser = command.parser("python -m example", "An example.")
    command.add_fields(parser, Example, only)
    return command.given(parser.parse_args(arguments), Example)


def help_of(kind: Any, **how: Any) -> str:
    parser = command.parser("python -m example", "An example.")
    command.add_fields(parser, kind, **how)
    return " ".join(parser.format_help().split())


def test_only_what_is_given_is_given() -> None:
    assert parsed() == {}
    assert parsed("--count", "4", "--on") == {"count": 4, "on": True}
    assert parsed("--off") == {"off": True}
    assert parsed("--no-off") == {"off": False}
    assert parsed("--size", "2", "--share", "0.5") == {"size": 2.0, "share": 0.5}
    for flag in ("--name", "--old-name"):
        assert parsed(flag, "b") == {"some_name": "b"}


def test_an_option_may_be_given_several_times() -> None:
    assert parsed("--line", "a", "--line=--b=c") == {"lines": ("a", "--b=c")}
    assert parsed("--line", "a") == {"lines": ("a",)}


@pytest.mark.parametrize("value", ["-1e-3", "-2.5E+1", "-.5e0", "-3", "-0.5"])
def test_a_negative_number_is_no_option(value: str) -> None:
    assert parsed("--size", value) == {"size": float(value)}
    assert parsed("--size", value, "--count", "4") == {"size": float(value), "count": 4}


def test_only_some_fields_in_their_order() -> None:
    assert parsed("--count", "4", only=("on", "count")) == {"count": 4}
    parser = command.parser("python -m example", "An example.")
    command.add_fields(parser, Example, ("on", "count"))
    shown = parser.format_help()
    assert shown.index("--on") < shown.index("--count")
    assert "--share" not in shown
    assert "hidden" not in help_of(Example)


def test_help_says_what_a_field_is_and_its_default() -> None:
    said = help_of(Example)
    for words in (
        "--count COUNT how many (default: 3)",
        "--size SIZE how large",
        "--share SHARE how much (default: 1/3)",
        "--old-name a|b which (default: a)",
        "--on whether",
        "--off, --no-off whether not (default: True)",
    ):
        assert words in said, words
    assert "default" not in help_of(Example, defaults=False)
    assert "(default: 10)" in help_of(Parameters)  # not 10.0


@pytest.mark.parametrize("kind", [Parameters, Start, Theory, Training])
def test_every_noun_is_offered(kind: Any) -> None:
    said = help_of(kind)
    for each in kind.__dataclass_fields__.values():
        if "says" in each.metadata:
            assert each.metadata["says"] in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--count", "4.5"], "argument --count: must be an integer, not '4.5'"),
        (["--size", "large"], "argument --size: must be a number, not 'large'"),
        (["--cou", "4"], "unrecognized arguments: --cou 4"),
        (["--count"], "argument --count: expected one argument"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parsed(*arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"python -m example: {words}\n"


def test_names_between_commas() -> None:
    assert command.names("a,b") == ["a", "b"]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_code_2(
    mistake: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        raise mistake("N must be more")

    with pytest.raises(SystemExit) as stopped:
        command.run(command.parser("python -m example", ""), work)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "python -m example: N must be more\n"


def test_other_errors_are_ours_and_not_hidden() -> None:
    def work() -> int:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        command.run(argparse.ArgumentParser(), work)


def test_an_interruption_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise KeyboardInterrupt

    parser = command.parser("python -m example", "")
    for resume, said in (
        ("", "interrupted\n"),
        ("--resume goes on", "interrupted; --resume goes "),
    ):
        assert command.run(parser, work, resume=resume) == 130
        assert said in capsys.readouterr().err
    assert command.run(parser, lambda: 7) == 7


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_polite_kill_is_an_interruption(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)

    def work() -> int:
        os.kill(os.getpid(), number)
        time.sleep(5)
        return 0

    assert command.run(command.parser("python -m example", ""), work) == 130
    assert capsys.readouterr().err == "python -m example: interrupted\n"
    assert signal.getsignal(number) == before


def test_what_is_not_installed_is_named_with_its_remedy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def work(name: str) -> int:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    parser = command.parser("python -m example", "")
    with pytest.raises(SystemExit) as stopped:
        command.run(parser, lambda: work("torch"))
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said == 'python -m example: needs torch: pip install --editable ".[simulate]"\n'
    with pytest.raises(ModuleNotFoundError):  # a bug of ours
        command.run(parser, lambda: work("tensors"))


def test_a_reader_who_has_gone_is_no_mistake() -> None:
    program = (
        "import sys; from meanfield import command\n"
        "def work():\n"
        "    for _ in range(10**6): print('y')\n"
        "    return 0\n"
        "sys.exit(command.run(command.parser('example', ''), work))"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert started.stdout is not None
    assert started.stderr is not None
    started.stdout.readline()
    started.stdout.close()
    assert started.wait(60) == 141
    assert started.stderr.read() == b""
    started.stderr.close()
