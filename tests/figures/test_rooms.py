"""The rooms of the figures: who imports whom, and a test for every module."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import figures

ROOT = Path(figures.__file__).parent
TESTS = Path(__file__).parent
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
ROOMS = ("paper", "beyond", "measurements")
MOST = 12  # modules in a room


def imported(module: Path) -> set[str]:
    """Return the modules that are imported anywhere in a file, by their full names."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


@pytest.mark.parametrize("room", ["paper", "beyond"])
def test_a_figure_imports_no_figure(room: str) -> None:
    for module in (each for each in MODULES if each.parts[0] == room):
        others = {
            name
            for name in imported(module)
            if name.startswith(("figures.paper", "figures.beyond"))
        }
        assert not others, f"{module} imports {others}"


def test_measurements_do_not_draw() -> None:
    drawing = ("matplotlib", "meanfield.style", "meanfield.plot")
    own = ("figures.batches", "figures.measurements")
    for module in (each for each in MODULES if each.parts[0] == "measurements"):
        names = imported(module)
        assert not {name for name in names if name.startswith(drawing)}, module
        beside = {name for name in names if name.startswith("figures.")}
        assert all(name.startswith(own) for name in beside), f"{module} imports {beside}"


def test_only_the_catalogue_knows_the_figures() -> None:
    for module in (each for each in MODULES if each.parent == Path() and each.stem != "catalogue"):
        names = {
            name
            for name in imported(module)
            if name.startswith(("figures.paper", "figures.beyond"))
        }
        assert not names, f"{module} imports {names}"


def test_every_module_has_its_test() -> None:
    for module in (each for each in MODULES if not each.stem.startswith("__")):
        tests = [path.stem for path in (TESTS / module.parent).glob("test_*.py")]
        assert {f"test_{module.stem}", f"test_{module.stem}_figure"} & set(tests), module


def test_rooms_stay_small() -> None:
    for room in (".", *ROOMS):
        count = len([path for path in (ROOT / room).glob("*.py") if path.stem != "__init__"])
        assert 0 < count <= MOST, f"{room} has {count} modules"
