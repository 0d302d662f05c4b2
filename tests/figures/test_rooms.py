"""The rooms of the figures: measurements draw nothing, and figures stand in the catalogue alone."""

from __future__ import annotations

import ast
from pathlib import Path

import figures

ROOT = Path(figures.__file__).parent
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def imported(module: Path) -> set[str]:
    """Return the modules that are imported anywhere in a file, by their full names."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def test_measurements_do_not_draw() -> None:
    drawing = ("matplotlib", "meanfield.style", "meanfield.predict.plot")
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
