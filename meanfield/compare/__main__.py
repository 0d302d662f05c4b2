"""Command line of ``python -m meanfield.compare``: run files in, how right the theory is out."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from meanfield import style
from meanfield.command import Parser
from meanfield.compare import plot as comparison_plot
from meanfield.compare.comparison import (
    STARTS,
    THEORIES,
    Comparison,
    Estimate,
    compare,
    quantities,
    starts_of,
)
from meanfield.compare.words import concise
from meanfield.errors import FileError, ParameterError, SolverError
from meanfield.files import check_writable
from meanfield.runs.measured import Measured, read

DESCRIPTION = """\
Hold the mean-field theory against training: how far apart R, Q, S, the loss and the accuracies are
over the whole curve, and how much too late the theory locks on, with standard errors over seeds."""

EPILOG = """\
examples:
  python -m meanfield.compare runs/
  python -m meanfield.compare runs/ --theory linear,per-seed --start measured --plot c.pdf
  python -m meanfield.compare runs/ mine.npz --json

A file is one that python -m simulate wrote, or any NPZ file with epoch (gradient steps, from 0), R,
Q, S over epochs or over seeds and epochs, and N, T (other Parameters by name where they are not the
defaults); it may have loss, next_token_accuracy, rollout_accuracy, C, seeds, and q and k at epoch
0, which per-seed starts from. Files of the same parameters and training are taken together. From
the measured start the theory has each seed's own Q, S and C at epoch 0, and its R, or its query and
key (per-seed); from the nominal one it knows the parameters alone. Exit code: 0, or 2
with one sentence on stderr."""

HEADS = {
    "R": "R",
    "Q": "Q",
    "S": "S",
    "loss": "loss",
    "next_token_accuracy": "next token",
    "rollout_accuracy": "rollout",
}
EVENT_HEADS = {"onset_epoch": "onset", "rollout_half_epoch": "rollout 1/2"}
LEGEND = """\
Theory minus training, root mean square (rms) or largest over the epochs. 0.037(4) is 0.037 with a
standard error of 0.004 over seeds. seed: of each seed's own curve, averaged; mean: of the curve
averaged over seeds. onset (R = 1/2) and rollout 1/2 (rollout accuracy 1/2): by how much later the
epoch comes in theory."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = Parser(
        prog="python -m meanfield.compare",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    result.add_argument("files", nargs="+", metavar="FILE|FOLDER", help="what training measured")
    result.add_argument(
        "--theory",
        type=_names,
        default=list(THEORIES),
        metavar="NAME,…",
        help=f"one or several of {', '.join(THEORIES)} (default: all)",
    )
    result.add_argument(
        "--start",
        type=_names,
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


def _names(text: str) -> list[str]:
    return text.split(",")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    command = parser()
    options = command.parse_args(argv)
    try:
        for name in options.theory:
            starts_of(name)
        for name in options.start:
            if name not in STARTS:
                raise ParameterError(f"start must be {' or '.join(STARTS)}, not {name!r}")
        if options.plot is not None:
            style.check(options.plot)
            check_writable(options.plot)
        found = read(options.files)
        if options.plot is not None:
            comparison_plot.check(len(found), len(options.theory))
        groups = [_compared(measured, options) for measured in found]
        if options.plot is not None:
            comparison_plot.plot(groups, options.plot)
    except (ParameterError, FileError, SolverError) as error:
        command.error(str(error))
    if options.json:
        print(json.dumps([to_dict(*group) for group in groups], allow_nan=False))
    else:
        print("\n\n".join([*(report(*group) for group in groups), LEGEND]))
    return 0


def _compared(measured: Measured, options: argparse.Namespace) -> tuple[Measured, list[Comparison]]:
    """Return every theory asked for against one training, with a note on each that cannot be."""
    from tqdm import tqdm

    # with ssprk3 training itself follows the flow; of a foreign file nothing is known
    in_steps = measured.training.get("integrator") == "sgd" and not options.flow
    found, notes = [], []
    for theory in tqdm(options.theory, unit="theory", leave=False, disable=None):
        closure, plus, _ = theory.partition("+")
        lacks = measured.lacks(closure, bool(plus))
        starts = [start for start in options.start if start in starts_of(theory)]
        if not lacks and not starts:
            lacks = f"it has no {' or '.join(options.start)} start"
        if lacks:
            notes.append(f"without {theory}: {lacks}")
            continue
        found += [
            compare(measured, theory=theory, start=start, lr_correction=in_steps)
            for start in starts
        ]
    if not found:
        raise ParameterError(f"nothing can be compared: {'; '.join(notes)}")
    return replace(measured, notes=(*measured.notes, *notes)), found


def report(measured: Measured, comparisons: Sequence[Comparison]) -> str:
    """Return the parameters and the tables: root mean squares with the events, and the largest."""
    tables = [
        table(comparisons, which, over)
        for over in ("seed", "mean")[: measured.count]  # of one seed the mean is its own curve
        for which in ("rms", "largest")
    ]
    return "\n\n".join(["\n".join([title(measured, comparisons), *measured.notes]), *tables])


def title(measured: Measured, comparisons: Sequence[Comparison]) -> str:
    """Return parameters, seeds, epochs, and what the theory knows, in a line or two."""
    p = measured.parameters
    extra: dict[str, Any] = {
        name: measured.training[name]
        for name in ("n_train", "integrator")
        if name in measured.training
    }
    listed = {**dict(p.items()), **extra}
    values = "  ".join(
        f"{name} = {value:.6g}" if isinstance(value, float) else f"{name} = {value}"
        for name, value in listed.items()
    )
    count = len(measured.seeds)
    seeds = "1 seed" if count == 1 else f"{count} seeds"
    start = " and ".join(dict.fromkeys(each.start for each in comparisons))
    in_steps = any(each.lr_correction for each in comparisons)
    return (
        f"{values}\n{seeds}, {measured.epoch[-1]:.0f} epochs; theory from the {start} start, in "
        f"{'gradient steps' if in_steps else 'gradient flow'}"
    )


def table(comparisons: Sequence[Comparison], which: str, over: str) -> str:
    """Return one table.

    which: "rms", with how late the events come, or "largest". over: "seed", of each seed's own
    curve, or "mean", of the curve averaged over seeds.
    """
    from tabulate import tabulate

    names = quantities(comparisons)
    events = [name for name in EVENT_HEADS if name in comparisons[0].lateness and which == "rms"]
    several = len({each.start for each in comparisons}) > 1
    rows = []
    for comparison in comparisons:
        of_curves = (getattr(comparison.deviations[name], f"{which}_{over}") for name in names)
        start = [comparison.start] if several else []
        cells = [*map(concise, of_curves), *(_late(comparison, event, over) for event in events)]
        rows.append([comparison.theory, *start, *cells])
    head = [f"{which}, {over}", *(["start"] if several else []), *(HEADS[name] for name in names)]
    head += [EVENT_HEADS[name] for name in events]
    return tabulate(rows, head, tablefmt="simple", disable_numparse=True)


def _late(comparison: Comparison, event: str, over: str) -> str:
    lateness = comparison.lateness[event]
    estimate: Estimate | None = getattr(lateness, over)
    if estimate is None:
        return "not reached"
    told = concise(Estimate(100 * estimate.value, 100 * estimate.error, estimate.seeds), sign=True)
    count = len(next(iter(comparison.curves.values())))
    return f"{told} %" + (f" of {estimate.seeds}" if estimate.seeds < count else "")


def to_dict(measured: Measured, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Return everything as plain numbers, lists and strings; None for what is not there."""
    return _plain(
        {
            "source": measured.source,
            "parameters": asdict(measured.parameters),
            "training": measured.training,
            "seeds": measured.seeds.tolist(),
            "epochs": measured.epoch[-1],
            "notes": list(measured.notes),
            "units": {"deviations": "theory minus training", "lateness": "relative"},
            "comparisons": [
                {
                    "theory": each.theory,
                    "start": each.start,
                    "lr_correction": each.lr_correction,
                    "deviations": {name: asdict(d) for name, d in each.deviations.items()},
                    "lateness": {name: asdict(late) for name, late in each.lateness.items()},
                }
                for each in comparisons
            ],
        }
    )


def _plain(value: Any) -> Any:
    """Put None for the numbers that JSON cannot say: what is not there (nan), or is infinite."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    sys.exit(main())
