"""The house: who may import whom, where a line may stand, and that every module has its test."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STDLIB = sys.stdlib_module_names
FLOORS = ("derivations", "meanfield", "simulate", "figures")

# What each floor may import at the top of a module; inside functions, see LAZY.
ALLOWED = {
    "derivations": {"sympy", "mpmath"},
    "meanfield": {"numpy", "scipy"},
    "simulate": {"numpy", "torch", "tqdm", "meanfield"},
    "figures": {"numpy", "scipy", "matplotlib", "tqdm", "meanfield"},  # scipy for logits and curves
}
# Where a floor may reach further: output libraries, and what is imported only when asked for.
ALSO = {
    "derivations/__main__.py": {"tqdm"},
    "derivations/listing.py": {"tabulate"},
    "derivations/code/mathml.py": {"latex2mathml"},
    "meanfield/command.py": {"derivations"},  # its console, which loads no SymPy
    "figures/batches.py": {"simulate"},  # its settings, which load no torch
    "figures/make_runs.py": {"torch", "simulate"},
}
SWEEPS = {"numcodecs", "xarray", "zarr", "dask", "distributed", "dask_jobqueue"}
LAZY = {"meanfield": {"matplotlib", "pandas", "tabulate", "tqdm", "derivations"} | SWEEPS}

# The floors inside meanfield, from the ground: a room imports from rooms below it and from itself.
ROOMS = (
    {"errors", "generated", "quantities"},
    {"checks", "files", "notebook", "numerics"},
    {"parameters", "training", "command", "style"},
    {"start"},
    {"attention", "logic", "loss"},
    {"logits"},
    {"dynamics"},
    {"theory"},
    {"runs"},
    {"predict"},
    {"compare", "sweep", "explore"},
    {"__main__"},  # names every command, and imports the one that is asked for
)
# Names of theories stand in theory.py alone; elsewhere these words mean something else.
OTHER_MEANINGS = {
    "meanfield/parameters.py": {"linear"},  # frequencies on a linear grid
    "meanfield/sweep/grid.py": {"linear"},  # values spaced linearly
    "meanfield/style.py": {"linear"},  # frequencies on a linear grid
}
LONGEST = 60  # lines of a function
FULLEST = 13  # modules in a folder, its __init__ left out
SIZES = {"N", "K", "T", "d_head"}
# Arithmetic with sizes that is no formula of the theory, by module: why it may stand there.
COUNTING = {
    "attention/planes.py": "offsets and means over the T rows of a matrix",
    "attention/onset.py": "how many numbers a chunk holds",
    "attention/typical.py": "how many numbers, and how large a logit may be",
    "logits/gaussian.py": "chance, and where an integrand peaks",
    "logits/sampled.py": "indices into what is drawn",
    "parameters.py": "the start of W is that of nn.Linear(N, N)",
    "predict/plot.py": "chance",
    "start.py": "the last state, in a message",
    "predict/spread.py": "how many numbers are drawn and followed",
    "predict/trust.py": "how many training data there are",
    "predict/quadrature.py": "a bound on how far a path goes",
    "predict/scaling.py": "the width of a peak",
    "dynamics.py": "the scales on which the solver is accurate",
}


def modules(floor: str) -> list[Path]:
    return [
        path
        for path in sorted((ROOT / floor).rglob("*.py"))
        if path.name not in ("__init__.py", "generated.py")
    ]


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield every module that a file imports, by its full name, and whether inside a function.

    ``from package import name`` yields package.name too, which may be a module.
    """
    tree = parsed(path)
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
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            module = node.module or ""
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        if id(node) not in for_types:
            yield from ((name, id(node) in inside) for name in names)


def packages(path: Path, *, inside: bool) -> set[str]:
    """Return the top-level packages that a file imports, of other people's and of this project."""
    return {name.split(".")[0] for name, lazy in imported(path) if lazy is inside} - STDLIB


# --- floors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("floor", FLOORS)
def test_no_import_runs_upward(floor: str) -> None:
    for path in (ROOT / floor).rglob("*.py"):
        allowed = ALLOWED[floor] | ALSO.get(place(path), set()) | {floor}
        top = packages(path, inside=False)
        assert top <= allowed, f"{place(path)} imports {top - allowed}"
        within, lazy = allowed | LAZY.get(floor, set()), packages(path, inside=True)
        assert lazy <= within, f"{place(path)} imports {lazy - within} in a function"


def test_every_floor_that_exists_is_watched() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert found <= set(FLOORS)


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
    generated = ROOT / "meanfield" / "generated.py"
    assert packages(generated, inside=False) == {"numpy", "scipy"}
    assert packages(generated, inside=True) == set()


# --- rooms ------------------------------------------------------------------------------------


def room(name: str) -> str:
    """Return the room of meanfield that a module's full name is in."""
    return name.split(".")[1]


def test_every_room_has_its_floor() -> None:
    known = set().union(*ROOMS)
    here = {path.stem if path.is_file() else path.name for path in (ROOT / "meanfield").iterdir()}
    assert known == here - {"__init__", "__pycache__", "py"}


def test_no_import_runs_upward_in_meanfield() -> None:
    floor_of = {name: number for number, floor in enumerate(ROOMS) for name in floor}
    for path in modules("meanfield"):
        own = path.relative_to(ROOT / "meanfield").parts[0].removesuffix(".py")
        for name, _ in imported(path):
            if name.startswith("meanfield.") and room(name) in floor_of and room(name) != own:
                assert floor_of[room(name)] < floor_of[own], f"{place(path)} imports {name}"


def test_numerics_knows_no_physics() -> None:
    for path in modules("meanfield/numerics"):
        rooms = {room(name) for name, _ in imported(path) if name.startswith("meanfield.")}
        assert rooms <= {"errors", "numerics"}, place(path)


def test_a_command_is_nobodys_library() -> None:
    for floor in FLOORS:
        for path in (ROOT / floor).rglob("*.py"):
            assert not any("__main__" in name for name, _ in imported(path)), place(path)


def test_only_commands_read_arguments_and_print() -> None:
    commands = {"__main__.py", "command.py"}
    for path in (*modules("meanfield"), *modules("simulate")):
        if path.name not in commands:
            assert "argparse" not in {name for name, _ in imported(path)}, place(path)
            calls = (node.func for node in ast.walk(parsed(path)) if isinstance(node, ast.Call))
            printing = [f for f in calls if isinstance(f, ast.Name) and f.id == "print"]
            assert not printing, place(path)


def test_matplotlib_stands_in_plots_alone() -> None:
    for path in modules("meanfield"):
        if path.stem not in ("style", "plot"):
            names = packages(path, inside=False) | packages(path, inside=True)
            assert "matplotlib" not in names, place(path)


def test_a_figure_imports_no_figure() -> None:
    figures = [*modules("figures/paper"), *modules("figures/beyond")]
    known = {place(path).removesuffix(".py").replace("/", ".") for path in figures}
    assert known
    for path in figures:
        others = known & {name for name, _ in imported(path)}
        assert not others, f"{place(path)} imports {others}"


def test_names_of_theories_stand_in_one_file() -> None:
    from meanfield import theory

    known = {*theory.ATTENTIONS, *theory.LOSSES, *theory.LOGITS, *theory.LADDER}
    for path in modules("meanfield"):
        if path.name == "theory.py":
            continue
        tree = parsed(path)
        said = {ast.get_docstring(node, clean=False) for node in ast.walk(tree)
                if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))}  # fmt: skip
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found = node.value not in said and {node.value.strip()} & known
                found = found and found - OTHER_MEANINGS.get(place(path), set())
                assert not found, f"{place(path)}:{node.lineno} says {node.value!r}"


# --- one source per formula -------------------------------------------------------------------


def is_size(node: ast.AST) -> bool:
    """Whether an expression is a size: N, parameters.N or arrays["N"]."""
    if isinstance(node, ast.Name):
        return node.id in SIZES
    if isinstance(node, ast.Attribute):
        return node.attr in SIZES
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return node.slice.value in SIZES
    return False


def formulas(path: Path) -> Iterator[ast.BinOp]:
    """Yield the arithmetic with sizes in a module, and what is divided by 3; halves count."""
    for node in ast.walk(parsed(path)):
        if not isinstance(node, ast.BinOp) or isinstance(node.op, (ast.Mod, ast.BitOr)):
            continue
        halved = isinstance(node.right, ast.Constant) and node.right.value == 2
        third = isinstance(node.op, ast.Div) and ast.unparse(node.right) in ("3", "3.0")
        if third or ((is_size(node.left) or is_size(node.right)) and not halved):
            yield node


def test_no_formula_is_typed_again() -> None:
    for path in modules("meanfield"):
        known = path.relative_to(ROOT / "meanfield").as_posix()
        if known in COUNTING or known.startswith("numerics/"):
            continue
        for node in formulas(path):
            assert not node, f"{place(path)}:{node.lineno} types {ast.unparse(node)}"


def test_what_is_generated_is_used() -> None:
    tree = parsed(ROOT / "meanfield" / "generated.py")
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    users = [*modules("meanfield"), *modules("simulate"), *modules("figures")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in users)
    used = set(re.findall(r"\bgenerated\.(\w+)", text)) - {"js", "py"}  # files of that name
    assert defined - used == set()
    assert used - defined == set()


# --- size and tests ---------------------------------------------------------------------------


@pytest.mark.parametrize("floor", FLOORS)
def test_functions_and_folders_are_small(floor: str) -> None:
    for path in modules(floor):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                assert length <= LONGEST, f"{place(path)}:{node.name} has {length} lines"
    for folder in {path.parent for path in modules(floor)}:
        count = len([path for path in modules(floor) if path.parent == folder])
        assert count <= FULLEST, f"{place(folder)} holds {count} modules"


# Modules without a test file of their own, and which holds their tests.
TESTED_ELSEWHERE: dict[str, str] = {}


@pytest.mark.parametrize("floor", ["meanfield", "simulate", "figures"])
def test_every_module_has_its_test(floor: str) -> None:
    for path in modules(floor):
        folder = ROOT / "tests" / path.parent.relative_to(ROOT)
        own = folder / f"test_{path.stem.strip('_')}.py"
        other = TESTED_ELSEWHERE.get(place(path))
        assert own.exists() or (other and (ROOT / other).exists()), f"{place(path)}: no {own.name}"
