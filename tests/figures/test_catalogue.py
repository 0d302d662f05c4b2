"""The list of figures: every module of a room is in it, under a name of its own."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from matplotlib.text import Text

import figures
from figures import drawing, make_runs
from figures.batches import distinct
from figures.catalogue import FIGURES, named
from meanfield.errors import ParameterError

STATED = re.compile(
    r"\b(?:(N|K|T|d)\$?\s*=\s*|(head dimension) |(RoPE base) |\b(lr) )\$?(\d[\d.]*)"
)
DOCUMENTED = (ast.Module, ast.FunctionDef, ast.ClassDef)
FIELDS = {"d": "d_head", "head dimension": "d_head", "RoPE base": "rope_theta"}


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


def stated(text: str) -> set[tuple[str, float]]:
    """Return the parameters that a text states: (name, value)."""
    found = set()
    for *names, value in STATED.findall(text.replace("N=K", "N").replace("=K=", "=")):
        name = next(filter(None, names))
        found.add((FIELDS.get(name, name), float(value.rstrip("."))))
    return found


def test_no_parameter_is_typed_in_a_label_or_a_caption() -> None:
    """They come from the run that is drawn."""
    assert stated("at $N=K=20$, $T=10$, head dimension 64, RoPE base 10, lr 2.") == {
        ("N", 20), ("T", 10), ("d_head", 64), ("rope_theta", 10), ("lr", 2)
    }  # fmt: skip
    for path in Path(figures.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = {
            ast.get_docstring(n, clean=False) for n in ast.walk(tree) if isinstance(n, DOCUMENTED)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value in documented or not stated(node.value), (path.name, node.value)


def values_in(about: dict[str, Any]) -> set[tuple[str, float]]:
    """Return the parameters that the runs of a figure have."""
    runs = about["runs"].values()
    numbers = (item for run in runs for item in run["parameters"].items())
    return {(name, float(value)) for name, value in numbers if not isinstance(value, str)}


@pytest.mark.slow
def test_every_parameter_that_a_figure_states_is_one_of_its_runs(tmp_path: Path) -> None:
    batches = [batch for each in FIGURES for batch in each.batches(quick=True).values()]
    make_runs.make(distinct(batches), tmp_path)
    count = 0
    for figure in FIGURES:
        sheet = drawing.sheet(figure, data=tmp_path, quick=True)
        about = json.loads(sheet.about)
        if about["runs"]:
            words = [each.get_text() for each in sheet.canvas.findobj(Text)]
            told = {each for text in (about["caption"], *words) for each in stated(text)}
            assert told <= values_in(about), figure.name
            count += len(told)
    assert count > 30
