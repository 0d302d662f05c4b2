"""Command line of ``python -m figures``: run files in, figures out."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from figures import drawing
from figures.batches import distinct, load
from figures.catalogue import named
from figures.drawing import Figure
from meanfield import command
from meanfield.errors import ParameterError
from meanfield.files import check_folder, make_folder

OUT, DATA = "figures/out", "runs/figures"

DESCRIPTION = """\
Redraw the paper's figures, and those beyond it, from trained models and the theory."""

EPILOG = """\
examples:
  python -m figures --list
  python -m figures --runs
  python -m figures order_parameters --out plots
  python -m figures --runs --quick --out figures/out/quick

Every figure becomes a PDF, a PNG and a JSON file. The JSON file holds its caption, its numbers, and
the parameters and seeds of the trainings it shows. --runs trains what is missing. It needs torch
and takes some minutes; small models (--quick) take less than two. The folder --data keeps every
training, and none is made twice. The exit code is 0, or 2 with one sentence on stderr, or 130 after
an interruption; the same command then goes on from there."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = command.parser("python -m figures", DESCRIPTION, EPILOG)
    add = result.add_argument
    add("names", nargs="*", metavar="NAME", help="the figures to draw (default: all)")
    add("--list", action="store_true", help="list the figures and exit")
    add("--runs", action="store_true", help="first train what is missing")
    add("--quick", action="store_true", help="use small models, for a first look")
    for name, folder, content in (("--out", OUT, "figures"), ("--data", DATA, "run files")):
        text = f"where {content} are kept (default: {folder})"
        add(name, type=Path, default=Path(folder), metavar="FOLDER", help=text)
    text = "trainings at a time (default: one a core)"
    add("--workers", type=command.integer, metavar="COUNT", help=text)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parsed = parser()
    options = parsed.parse_args(argv)
    return command.run(parsed, lambda: _make(options), resume="the same command goes on from there")


def _make(options: argparse.Namespace) -> int:
    chosen = named(options.names)
    if options.list:
        print("\n".join(f"{each.name:24} {each.title} ({each.source})" for each in chosen))
        return 0
    if options.workers is not None and options.workers < 1:
        raise ParameterError(f"workers must be at least 1, not {options.workers}")
    check_folder(options.out)
    if options.runs:
        make_folder(options.data)
        _train(chosen, options)
    for figure in chosen:  # all that is missing is told before any is drawn
        load(figure.batches(quick=options.quick), options.data, remedy=_remedy(options))
    sheets = [
        drawing.sheet(figure, data=options.data, quick=options.quick)
        for figure in tqdm(chosen, unit="figure", disable=None)
    ]
    make_folder(options.out)
    for each in sheets:
        for path in each.write(options.out):
            print(path)
    return 0


def _remedy(options: argparse.Namespace) -> str:
    """Return the same command with --runs."""
    words = ["python -m figures", *options.names, "--runs"]
    words += ["--quick"] * options.quick
    for name, usual in (("out", OUT), ("data", DATA)):
        given = str(getattr(options, name))
        if given != usual:
            words += [f"--{name}", shlex.quote(given)]
    return " ".join(words)


def _train(chosen: Sequence[Figure], options: argparse.Namespace) -> None:
    from figures import make_runs  # torch only when it is asked for

    batches = distinct(
        batch for each in chosen for batch in each.batches(quick=options.quick).values()
    )
    made = make_runs.make(batches, options.data, workers=options.workers)
    print(f"{made} of {len(batches)} trainings made, in {options.data}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
