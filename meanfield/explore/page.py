"""The page: its parts put together, starting at given parameters.

It needs no network and no server. Its equations are generated from the registry, in JavaScript
(generated.js), as meanfield/generated.py is in NumPy.
"""

from __future__ import annotations

import json
from dataclasses import fields
from importlib.resources import files
from pathlib import Path

from meanfield.checks import one_of
from meanfield.errors import ParameterError
from meanfield.parameters import SPACINGS, Parameters
from meanfield.predict.trust import TOLERANCE
from meanfield.theory import CLOSURES, DEFAULT, LADDER, Theory

PARTS = (
    "page.css", "formulas.html", "special.js", "generated.js", "attention.js", "solver.js",
    "page.js",
)  # fmt: skip
MARKS = {".html": "<!--{}-->"}  # where a part goes, by its kind: else a comment of CSS and JS
THEORIES = tuple(name for name in LADDER if not Theory.parse(name).of_one_seed)
LIMITS = {  # what the page solves while a slider moves
    "N": (2, 1000),
    "T": (2, 1000),
    "K": (2, 1000),
    "d_head": (2, 1024),
    "rope_theta": (1.01, 1e6),
    "lr": (1e-4, 1e4),
    "qk_variance": (1e-4, 100.0),
    "w_init": (0.0, 100.0),
}


def page(parameters: Parameters, theory: str = DEFAULT) -> str:
    """Return the page, which starts at these parameters and under this theory.

    Raises ParameterError for what the page does not solve: a theory of one seed, or parameters
    beyond its limits.
    """
    one_of("the theory of the page", theory, THEORIES)
    for name, (low, high) in LIMITS.items():
        if not low <= getattr(parameters, name) <= high:
            raise ParameterError(
                f"the page solves {name} from {low:g} to {high:g}, not "
                f"{getattr(parameters, name)!r}: python -m meanfield.predict has no such limit"
            )
    folder = files("meanfield") / "explore"
    text = (folder / "page.html").read_text(encoding="utf-8")
    for name, value in _constants(parameters, theory).items():
        text = text.replace(f"/*{name}*/", json.dumps(value))
    for name in PARTS:
        mark = MARKS.get(Path(name).suffix, "/*{}*/").format(name)
        text = text.replace(mark, (folder / name).read_text(encoding="utf-8"))
    return text


def _constants(parameters: Parameters, theory: str) -> dict[str, object]:
    """Return what the page is told: where it starts, what it may solve, and when to trust it."""
    start = dict(parameters.items())
    if parameters.w_init == Parameters(N=parameters.N, T=2).w_init:
        start["w_init"] = None  # it follows N
    whole = {each.name for each in fields(Parameters) if each.type == "int"}
    defaults = Parameters(N=2, T=2)
    return {
        "start": {**start, "theory": theory, "epochs": None},
        "limits": {name: [*ends, name in whole] for name, ends in LIMITS.items()},
        "choices": {"theory": THEORIES, "rope_spacing": SPACINGS},
        "closures": list(CLOSURES),
        "defaults": {name: getattr(defaults, name) for name in ("qk_variance", "rope_spacing")},
        "tolerance": TOLERANCE,
    }
