"""``cot``: every command of the project under one name."""

from __future__ import annotations

from pathlib import Path

import pytest

from meanfield.__main__ import COMMANDS, main

ROOT = Path(__file__).parents[2]


def test_every_command_has_its_name() -> None:
    doors = {path.parent.relative_to(ROOT) for path in ROOT.glob("*/**/__main__.py")}
    doors = {each for each in doors if each.parts[0] in ("derivations", "meanfield", "simulate",
                                                         "figures")}  # fmt: skip
    named = {module for module, _ in COMMANDS.values()}
    assert named | {"meanfield"} == {".".join(each.parts) for each in doors}


def test_it_hands_the_options_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--N", "5", "--T", "4", "--theory", "linear"]) == 0
    assert capsys.readouterr().out.startswith("parameters\n  N = 5  T = 4  K = 5")


@pytest.mark.parametrize("name", COMMANDS)
def test_each_answers_to_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert f"python -m {COMMANDS[name][0]}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_alone_it_lists_them(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(arguments)
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed for name in COMMANDS)


def test_an_unknown_name_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["predcit", "--N", "5"])
    assert "'predcit'; the nearest is predict" in capsys.readouterr().err
