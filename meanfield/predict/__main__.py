"""Command line of ``python -m meanfield.predict``: options in, a report or data out."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np

from meanfield import command, style
from meanfield.errors import FileError, ParameterError
from meanfield.files import check_writable
from meanfield.parameters import Parameters
from meanfield.predict import plot
from meanfield.predict.prediction import predict
from meanfield.predict.report import report, trusted
from meanfield.predict.spread import SAMPLES, Spread, check_samples
from meanfield.predict.trajectory import Trajectory
from meanfield.runs.measured import of_run
from meanfield.runs.run import read_run
from meanfield.start import Start
from meanfield.theory import ATTENTIONS, DEFAULT, LADDER, Theory
from meanfield.training import Training

CITATION = """\
@misc{forner2026learning,
  title         = {Learning Dynamics of Chain-of-Thought State Tracking in a Solvable
                   Transformer Model},
  author        = {Forner and K{\\"u}hn and Thamm and Rosenow},
  year          = {2026},
  eprint        = {2606.18164},
  archivePrefix = {arXiv}
}"""

DESCRIPTION = """\
Predict how a one-layer transformer learns to track a state through a chain of actions, without
training it: when the heuristic phase ends, when attention locks on, when rollouts succeed."""

EPILOG = """\
examples:
  python -m meanfield.predict --N 20 --T 10
  python -m meanfield.predict --N 20 --T 10 --theory linear
  python -m meanfield.predict --N 20 --T 10 --rope-theta 10000 --closure quadratic
  python -m meanfield.predict --theory per-seed --run runs/RUN.npz --seed 3 --steps
  python -m meanfield.predict --N 50 --T 20 --csv > curve.csv
  python -m meanfield.predict --N 20 --T 10 --plot curve.pdf

R is the attention on the right action, Q the overlap of the logic matrices with the right
permutations, S that with the others. Epochs are gradient steps. Exit code: 0, or 2 with one
sentence on stderr and nothing written."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = command.parser("python -m meanfield.predict", DESCRIPTION, EPILOG)
    command.add_fields(result.add_argument_group("model and training"), Parameters)
    _add_theory(result.add_argument_group("theory"))
    _add_start(result.add_argument_group("start (nominal unless given)"))
    _add_output(result.add_argument_group("output"))
    return result


def _add_theory(to: argparse._ArgumentGroup) -> None:
    to.add_argument(
        "--theory",
        metavar="NAME",
        help=f"{', '.join(LADDER)}; spectral is a typical seed, the paper's is linear "
        f"(default: {DEFAULT})",
    )
    to.add_argument(
        "--closure",
        metavar="|".join(ATTENTIONS),
        help="what stands for the attention, instead of --theory",
    )
    to.add_argument(
        "--fluctuations",
        action=argparse.BooleanOptionalAction,
        help="with --closure: keep the fluctuations of the logits in the loss (default: with "
        "spectral and per-seed)",
    )
    command.add_fields(to, Theory)
    to.add_argument(
        "--samples",
        type=command.integer,
        metavar="COUNT",
        help=f"seeds drawn for the spread of the onset about a typical one (default: {SAMPLES}, "
        "fewer where each takes long)",
    )
    to.add_argument("--epochs", type=command.number, help="where to end (default: past saturation)")
    to.add_argument(
        "--points", type=command.integer, default=401, help="epochs in the curve (default: 401)"
    )


def _add_start(to: argparse._ArgumentGroup) -> None:
    command.add_fields(to, Start)
    to.add_argument(
        "--run",
        metavar="FILE",
        help="take model, training and start from a run file instead, query and key included",
    )
    to.add_argument(
        "--seed",
        type=command.integer,
        metavar="S",
        help="which seed of the run file, if it holds several",
    )


def _add_output(to: argparse._ArgumentGroup) -> None:
    printed = to.add_mutually_exclusive_group()
    printed.add_argument("--json", action="store_true", help="print JSON instead of the report")
    printed.add_argument("--csv", action="store_true", help="print CSV instead of the report")
    to.add_argument("--npz", metavar="FILE", help="also write the curves as NPZ")
    to.add_argument("--plot", metavar="FILE", help="also plot to a .png, .pdf or .svg file")
    to.add_argument("--cite", action=_Cite, nargs=0, help="print how to cite the theory, and exit")


class _Cite(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(CITATION)
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parsed = parser()
    options = parsed.parse_args(argv)
    return command.run(parsed, lambda: _predict(options))


def _predict(options: argparse.Namespace) -> int:
    theory = _theory(options)
    parameters, start, training = _given(options, theory)
    if options.plot is not None:
        style.check(options.plot)
    for path in (options.npz, options.plot):
        if path is not None:
            check_writable(path)
    if options.samples is not None:
        check_samples(options.samples, parameters)
    run = predict(
        parameters,
        theory,
        start=start,
        training=training,
        epochs=options.epochs,
        points=options.points,
    )
    if options.npz is not None:
        run.to_npz(options.npz)
    if options.plot is not None:
        plot.plot(run, options.plot)
    _print(run, options)
    return 0


def _theory(options: argparse.Namespace) -> Theory:
    """Return the theory that the options name, whole or by its parts."""
    given = command.given(options, Theory)
    if options.theory is not None:
        if options.closure is not None or options.fluctuations is not None:
            raise ParameterError(
                f"--theory {options.theory} says it all: leave out --closure and --fluctuations"
            )
        return Theory.parse(options.theory, **given)
    attention, _, loss = DEFAULT.partition("+")
    plain = Theory.parse(options.closure or attention, **given)
    if options.fluctuations or (options.fluctuations is None and not plain.closed):
        return Theory.parse(f"{options.closure or attention}+{loss}", **given)
    return plain


def _given(
    options: argparse.Namespace, theory: Theory
) -> tuple[Parameters, Start, Training | None]:
    """Return model, start and training, from the options or from a seed of a run file."""
    model, start = command.given(options, Parameters), command.given(options, Start)
    if options.run is None:
        if options.seed is not None:
            raise ParameterError(f"--seed {options.seed} needs --run, the file the seed is in")
        if missing := [f"--{name}" for name in ("N", "T") if name not in model]:
            raise ParameterError(f"the following arguments are required: {', '.join(missing)}")
        if theory.of_one_seed:
            raise ParameterError(
                f"{theory} follows one seed, whose query and key it starts from: name it by --run "
                "FILE --seed S"
            )
        return Parameters(**model), Start(**start), None
    flags = {each.name: each.metadata.get("flag", each.name) for each in fields(Start)}
    for name in (*model, *start):
        flag = flags.get(name, name).replace("_", "-")
        raise ParameterError(f"--{flag} cannot be given with --run, whose file says it")
    if os.path.isdir(options.run):
        raise FileError(f"{options.run} is a folder: name one run file in it")
    measured = of_run(read_run(options.run), options.run)
    held = f"holds the seeds {', '.join(map(str, measured.seeds))}"
    if options.seed is None and measured.count > 1:
        raise ParameterError(f"{options.run} {held}: name one with --seed")
    seed = measured.seeds[0] if options.seed is None else options.seed
    if seed not in measured.seeds:
        raise ParameterError(
            f"--seed must name a seed of {options.run}, which {held}, not {options.seed}"
        )
    index = int(np.flatnonzero(measured.seeds == seed)[0])
    return measured.parameters, theory.pick(measured.start(index)), measured.known_training


def _print(run: Trajectory, options: argparse.Namespace) -> None:
    """Print what is asked for; the report at once, and then what takes longer to say."""
    if options.csv:
        print(run.to_csv().rstrip("\n"))
    elif options.json:
        spread = _spread(run, options)
        lines = [*run.trust, *([] if spread is None else [spread.in_words(run.parameters.T)])]
        values: dict[str, Any] = {**run.to_dict(), "trust": ", ".join(lines)}
        print(json.dumps(values, allow_nan=False))
    else:
        print(report(run), flush=True)
        print(f"\n{trusted(run, _spread(run, options))}")


def _spread(run: Trajectory, options: argparse.Namespace) -> Spread | None:
    """Return how the onset spreads over seeds, with a bar in a terminal where that takes long."""
    from tqdm import tqdm

    bar = partial(tqdm, desc="seeds", unit="chunk", leave=False, disable=None, delay=1.0)
    return run.spread(samples=options.samples, bar=bar)


if __name__ == "__main__":
    sys.exit(main())
