"""``python -m meanfield.explore --out explore.html``: the theory as one page with sliders.

The page needs no network and no server. Its equations are generated from the registry, in
JavaScript (explore/generated.js), as meanfield/generated.py is in NumPy.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from meanfield.attention import closures
from meanfield.command import Parser, integer, number
from meanfield.errors import FileError, ParameterError
from meanfield.files import writing
from meanfield.parameters import Parameters

PARTS = ("page.css", "formulas.html", "special.js", "generated.js", "solver.js", "page.js")
MARKS = {".html": "<!--{}-->"}  # where a part goes, by its kind: else a comment of CSS and JS


def page(parameters: Parameters, closure: str = "linear") -> str:
    """Return the page, which starts at these parameters; closure: "linear" or "quadratic".

    Raises ParameterError for a closure that the page does not solve.
    """
    closures.named(closure)
    folder = files("meanfield") / "explore"
    text = (folder / "page.html").read_text(encoding="utf-8")
    names = ("N", "T", "K", "d_head", "rope_theta", "lr")
    start = {name: getattr(parameters, name) for name in names}
    text = text.replace("/*start*/", json.dumps({**start, "closure": closure, "epochs": None}))
    for name in PARTS:
        mark = MARKS.get(Path(name).suffix, "/*{}*/").format(name)
        text = text.replace(mark, (folder / name).read_text(encoding="utf-8"))
    return text


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = Parser(
        prog="python -m meanfield.explore",
        description="Write one page, to be opened in any browser, whose sliders move the theory.",
    )
    result.add_argument("--out", type=Path, required=True, metavar="PAGE.html")
    start = result.add_argument_group("where the sliders start")
    start.add_argument("--N", type=integer, default=20, help="states (default: 20)")
    start.add_argument("--T", type=integer, default=10, help="actions (default: 10)")
    start.add_argument("--K", type=integer, help="permutations (default: N)")
    start.add_argument("--d-head", type=integer, default=64, metavar="D",
                       help="dimension of query and key (default: 64)")  # fmt: skip
    start.add_argument("--rope-theta", type=number, default=10.0, metavar="BASE",
                       help="RoPE base (default: 10)")  # fmt: skip
    start.add_argument("--lr", type=number, default=2.0, help="learning rate (default: 2)")
    start.add_argument("--closure", default="linear", metavar="|".join(closures.CLOSURES),
                       help="(default: linear)")  # fmt: skip
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    command = parser()
    options = vars(command.parse_args(argv))
    out, closure = options.pop("out"), options.pop("closure")
    try:
        text = page(Parameters(**options), closure)
        with writing(out) as file:
            file.write(text.encode())
    except (ParameterError, FileError) as error:
        command.error(str(error))
    print(f"{out}: open it in a browser")
    return 0


if __name__ == "__main__":
    sys.exit(main())
