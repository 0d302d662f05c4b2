"""From the registry to code: writes ``meanfield/generated.py``, the theory as numbers.

And for the page to explore (``meanfield.explore``) the same in JavaScript, with its formulas.

Every formula is taken from a statement of the registry, in the form it is shown in; stable forms
are proven first (see ``derivations.code.written``). So no formula is stated twice without being
compared.

    python -m derivations.generate            write meanfield/generated.py and the page's
    python -m derivations.generate --check    exit 1 if the file is not what would be written
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from derivations import registry
from derivations.code import javascript, numpy
from derivations.code.written import Written
from derivations.functions import (
    closures,
    exact_solution,
    logit_variances,
    mean_field,
    next_token,
    onset,
    planes,
    second_order,
    starts,
)
from derivations.functions.names import NAMES

TARGET = Path(__file__).parents[1] / "meanfield" / "generated.py"


@cache
def functions() -> tuple[Written, ...]:
    """Everything that goes into meanfield/generated.py, in order."""
    return (
        *starts.starts(),
        *mean_field.mean_field(),
        *closures.closures(),
        *exact_solution.exact_solution(),
        *onset.onset(),
        *next_token.accuracy(),
        *logit_variances.spread(),
        *second_order.corrected_flow(),
        *planes.planes(),
    )


def module_source() -> str:
    """The whole of meanfield/generated.py."""
    return numpy.module(functions(), NAMES)


def files() -> dict[Path, str]:
    """All that is generated, by where it goes."""
    explorer = TARGET.parent / "explore"
    return {
        TARGET: module_source(),
        explorer / "generated.js": javascript.module(functions(), NAMES),
        explorer / "formulas.html": javascript.formulas(registry.EQUATIONS),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: write the file, or compare it with what would be written."""
    parser = argparse.ArgumentParser(
        prog="python -m derivations.generate", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args(arguments)
    differing = []
    for path, source in files().items():
        if not options.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(source, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != source:
            differing.append(path.name)
    if not differing:
        return 0
    print(
        f"{', '.join(differing)}: not what the registry says; run python -m derivations.generate",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
