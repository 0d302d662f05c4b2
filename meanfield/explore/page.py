"""The page: its parts put together, starting at given parameters.

It needs no network and no server. Its equations are generated from the registry, in JavaScript
(generated.js), as meanfield/generated.py is in NumPy.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from meanfield.checks import one_of
from meanfield.parameters import Parameters
from meanfield.theory import CLOSURES, PAPER

PARTS = ("page.css", "formulas.html", "special.js", "generated.js", "solver.js", "page.js")
MARKS = {".html": "<!--{}-->"}  # where a part goes, by its kind: else a comment of CSS and JS
SLIDERS = ("N", "T", "K", "d_head", "rope_theta", "lr")


def page(parameters: Parameters, closure: str = PAPER) -> str:
    """Return the page, which starts at these parameters and under this closure.

    Raises ParameterError for a closure that the page does not solve.
    """
    one_of("closure", closure, tuple(CLOSURES))
    folder = files("meanfield") / "explore"
    text = (folder / "page.html").read_text(encoding="utf-8")
    start = {name: getattr(parameters, name) for name in SLIDERS}
    text = text.replace("/*start*/", json.dumps({**start, "closure": closure, "epochs": None}))
    for name in PARTS:
        mark = MARKS.get(Path(name).suffix, "/*{}*/").format(name)
        text = text.replace(mark, (folder / name).read_text(encoding="utf-8"))
    return text
