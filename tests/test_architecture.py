"""The floors of the house: who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STDLIB = sys.stdlib_module_names

# What each floor may import at the top of a module; inside functions, see LAZY.
ALLOWED = {
    "derivations": {"sympy", "mpmath"},
    "meanfield": {"numpy", "scipy"},
    "simulate": {"numpy", "torch", "tqdm", "meanfield"},
    "figures": {"numpy", "scipy", "matplotlib", "tqdm", "meanfield"},  # scipy for logits and curves
}
# Where a floor may reach further: output libraries, and what is imported only when asked for.
ALSO = {
    "derivations/__main__.py": {"tabulate", "tqdm"},
    "derivations/report.py": {"latex2mathml"},
    "derivations/code/javascript.py": {"latex2mathml"},
    "figures/batches.py": {"simulate"},  # its settings, which load no torch
    "figures/make_runs.py": {"torch", "simulate"},
}
SWEEPS = {"xarray", "zarr", "dask", "distributed", "dask_jobqueue"}
LAZY = {"meanfield": {"matplotlib", "tabulate", "tqdm", "derivations"} | SWEEPS}


def imports(path: Path) -> tuple[set[str], set[str]]:
    """Top-level package names imported by a file: at module level, and inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    top: set[str] = set()
    lazy: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        (lazy if id(node) in inside else top).update(name.split(".")[0] for name in names)
    return top - STDLIB, lazy - STDLIB


@pytest.mark.parametrize("floor", ALLOWED)
def test_no_import_runs_upward(floor: str) -> None:
    for path in (ROOT / floor).rglob("*.py"):
        place = path.relative_to(ROOT).as_posix()
        allowed = ALLOWED[floor] | ALSO.get(place, set()) | {floor}
        top, lazy = imports(path)
        assert top <= allowed, f"{place} imports {top - allowed}"
        within = allowed | LAZY.get(floor, set())
        assert lazy <= within, f"{place} imports {lazy - within} in a function"


def test_every_floor_that_exists_is_watched() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= set(ALLOWED)


def test_predicting_loads_no_symbolic_or_plotting_library() -> None:
    program = (
        "import sys; from meanfield import Parameters, predict; predict(Parameters(N=5, T=4));"
        "print({'sympy', 'torch', 'matplotlib', 'derivations', 'pandas'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


def test_generated_code_needs_only_numpy_and_scipy_special() -> None:
    top, lazy = imports(ROOT / "meanfield" / "generated.py")
    assert (top, lazy) == ({"numpy", "scipy"}, set())
