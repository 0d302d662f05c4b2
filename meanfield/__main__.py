"""``cot``: every command under one name; ``cot predict`` is ``python -m meanfield.predict``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

from meanfield import command

COMMANDS = {
    "predict": ("meanfield.predict", "when attention locks on, without training anything"),
    "explore": ("meanfield.explore", "one page whose sliders move the theory"),
    "sweep": ("meanfield.sweep", "the theory over a grid of parameters"),
    "compare": ("meanfield.compare", "theories against what training measured"),
    "derivations": ("derivations", "every equation, derived and checked"),
    "simulate": ("simulate", "train the transformer itself, many seeds at once"),
    "simulate-sweep": ("simulate.sweep", "train over a grid of parameters"),
    "figures": ("figures", "the figures of the paper, and ours"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that is named first; return its exit code."""
    name, *arguments = (sys.argv[1:] if argv is None else list(argv)) or ["--help"]
    listing = "commands:\n" + "\n".join(
        f"  {each:15} {says} (python -m {module})" for each, (module, says) in COMMANDS.items()
    )
    parser = command.parser("cot", "How a transformer learns to track a state.", listing)
    parser.usage = "cot COMMAND [options]; cot COMMAND --help lists them"
    if name not in COMMANDS:
        parser.parse_args([name] if name in ("-h", "--help") else [])
        nearest = get_close_matches(name, COMMANDS, 1, 0.0)[0]
        parser.error(
            f"there is no command {name!r}; the nearest is {nearest}, cot --help lists all"
        )
    module = import_module(f"{COMMANDS[name][0]}.__main__")
    return int(module.main(arguments))


if __name__ == "__main__":
    sys.exit(main())
