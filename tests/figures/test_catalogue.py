"""The list of figures: every module of a room is in it, under a name of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

import figures
from figures.catalogue import FIGURES, named
from meanfield.errors import ParameterError


def test_every_figure_of_a_room_is_listed_once() -> None:
    root = Path(figures.__file__).parent
    modules = {path.stem for room in ("paper", "beyond") for path in (root / room).glob("[!_]*.py")}
    names = [figure.name for figure in FIGURES]
    assert len(set(names)) == len(names)
    assert {name.removeprefix("robust_") for name in names} == modules


def test_figures_say_where_they_are_from() -> None:
    for figure in FIGURES:
        room = figure.draw.__module__.split(".")[1]
        assert (figure.source == "beyond the paper") == (room == "beyond"), figure.name


def test_figures_are_found_by_name() -> None:
    assert named([]) == list(FIGURES)
    assert [figure.name for figure in named(["loss", "attention"])] == ["loss", "attention"]
    with pytest.raises(ParameterError, match="there is no figure 'nothing'; there are setup_"):
        named(["loss", "nothing"])
