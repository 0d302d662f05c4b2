"""``python -m meanfield.explore --out explore.html``: the theory as one page with sliders."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from meanfield import command
from meanfield.explore.page import THEORIES, page
from meanfield.files import writing
from meanfield.parameters import Parameters
from meanfield.theory import DEFAULT

START = {"N": 20, "T": 10}  # unless given


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = command.parser(
        "python -m meanfield.explore",
        "Write one page, to be opened in any browser, whose sliders move the theory.",
    )
    result.add_argument("--out", type=Path, required=True, metavar="PAGE.html")
    start = result.add_argument_group("where the sliders start (default: N = 20, T = 10)")
    command.add_fields(start, Parameters)
    start.add_argument("--theory", "--closure", default=DEFAULT, metavar="|".join(THEORIES),
                       help=f"(default: {DEFAULT})")  # fmt: skip
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parsed = parser()
    options = parsed.parse_args(argv)
    return command.run(parsed, lambda: _write(options))


def _write(options: argparse.Namespace) -> int:
    model = {**START, **command.given(options, Parameters)}
    text = page(Parameters(**model), options.theory)
    with writing(options.out) as file:
        file.write(text.encode())
    print(f"{options.out}: open it in a browser")
    return 0


if __name__ == "__main__":
    sys.exit(main())
