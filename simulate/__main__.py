"""Run ``python -m simulate``."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code, 2 if torch is missing."""
    try:
        from simulate import cli
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        print('python -m simulate: needs torch: pip install --editable ".[simulate]"',
              file=sys.stderr)  # fmt: skip
        return 2
    return cli.main(argv)


if __name__ == "__main__":
    raise SystemExit(main())
