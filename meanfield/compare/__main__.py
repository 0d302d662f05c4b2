"""Command line of ``python -m meanfield.compare``: run files in, how right the theory is out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from meanfield import command, style
from meanfield.checks import one_of
from meanfield.compare import plot
from meanfield.compare.comparison import STARTS, compared
from meanfield.compare.report import LEGEND, report, to_dict
from meanfield.files import check_writable
from meanfield.runs.read import read
from meanfield.theory import LADDER, Theory

DESCRIPTION = """\
Hold the mean-field theory against training: how far apart R, Q, S, the loss and the accuracies are
over the whole curve, and how much too late the theory locks on, with standard errors over seeds."""

EPILOG = """\
examples:
  python -m meanfield.compare runs/
  python -m meanfield.compare runs/ --theory linear,per-seed --start measured --plot c.pdf
  python -m meanfield.compare runs/ mine.npz mine.csv --json

A file is one that python -m simulate wrote, or the curves of your own training as NPZ or CSV:
  epoch   gradient steps, from 0, as all that follow with a value for each (seed and) epoch
  R, Q, S, loss, next_token_accuracy, rollout_accuracy   at least one; without R, Q and S the theory
          starts nominal
  N, T    and other Parameters and Training by name, where they are not the defaults
  C       the sum of the mean logits (0 unless given); seeds
  q, k    at epoch 0, which per-seed starts from: RoPE plane r is the entries r and r + d_head/2,
          attention logits are q·k/sqrt(d_head); refused if they do not give R at epoch 0
  permutations   (seeds,) K, N: action k takes state x to permutations[k, x]
In NPZ each is an array of that name, curves over epochs or over seeds and epochs. In CSV the curves
are columns beside epoch and, for several seeds, seed; the rest stands above, as in "# N = 20".

Files of the same parameters and training are taken together. From the measured start the theory has
each seed's own Q, S and C at epoch 0, and its R, or its query and key (per-seed); from the nominal
one it knows the parameters alone. Exit code: 0, or 2 with one sentence on stderr."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = command.parser("python -m meanfield.compare", DESCRIPTION, EPILOG)
    result.add_argument("files", nargs="+", metavar="FILE|FOLDER", help="what training measured")
    result.add_argument(
        "--theory",
        type=command.names,
        default=list(LADDER),
        metavar="NAME,…",
        help=f"one or several, as {', '.join(LADDER)} (default: these)",
    )
    result.add_argument(
        "--start",
        type=command.names,
        default=list(STARTS),
        metavar="|".join(STARTS),
        help="where the theory starts (default: both)",
    )
    result.add_argument(
        "--flow",
        action="store_true",
        help="follow gradient flow, not the gradient steps that a run was trained with",
    )
    result.add_argument("--json", action="store_true", help="print JSON instead of the tables")
    result.add_argument("--plot", metavar="FILE", help="also plot to a .png, .pdf or .svg file")
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parsed = parser()
    options = parsed.parse_args(argv)
    return command.run(parsed, lambda: _compare(options))


def _compare(options: argparse.Namespace) -> int:
    for name in options.theory:
        Theory.parse(name)
    for name in options.start:
        one_of("start", name, STARTS)
    if options.plot is not None:
        style.check(options.plot)
        check_writable(options.plot)
    found = read(options.files)
    if options.plot is not None:
        plot.check(len(found), len(options.theory))
    groups = [compared(each, options.theory, options.start, flow=options.flow) for each in found]
    if options.plot is not None:
        plot.plot(groups, options.plot)
    if options.json:
        print(json.dumps([to_dict(*group) for group in groups], allow_nan=False))
    else:
        print("\n\n".join([*(report(*group) for group in groups), LEGEND]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
