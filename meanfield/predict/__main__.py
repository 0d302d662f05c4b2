"""Command line of ``python -m meanfield.predict``: options in, a report or data out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from meanfield import dynamics, style
from meanfield.attention import closures
from meanfield.command import Parser, integer, number
from meanfield.errors import FileError, ParameterError, SolverError
from meanfield.files import check_writable
from meanfield.parameters import SPACINGS, Parameters
from meanfield.predict import plot, seeds, trust
from meanfield.predict.prediction import predict
from meanfield.predict.trajectory import Trajectory
from meanfield.runs.measured import of_run
from meanfield.runs.run import read_run

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
  python -m meanfield.predict --N 20 --T 10 --rope-theta 10000 --closure quadratic
  python -m meanfield.predict --N 20 --T 10 --closure spectral
  python -m meanfield.predict --closure per-seed --run runs/RUN.npz --seed 3 --lr-correction
  python -m meanfield.predict --N 50 --T 20 --csv > curve.csv
  python -m meanfield.predict --N 20 --T 10 --plot curve.pdf

R is the attention on the right action, Q the overlap of the logic matrices with the right
permutations, S that with the others. Epochs are gradient steps. Exit code: 0, or 2 with one
sentence on stderr and nothing written."""

PARAMETERS = ("N", "T", "K", "d_head", "rope_theta", "rope_spacing", "lr", "qk_variance", "w_init")
START = ("R0", "Q0", "S0", "C")
SETTINGS = (
    "epochs",
    "points",
    "closure",
    "fluctuations",
    "lr_correction",
    "variances",
    "sigma_c",
    "sigma_o",
    "thermodynamic_limit",
)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = Parser(
        prog="python -m meanfield.predict",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    model = result.add_argument_group("model and training")
    model.add_argument("--N", type=integer, help="states, at least 2")
    model.add_argument("--T", type=integer, help="actions per sequence, at least 2")
    model.add_argument(
        "--K", type=integer, help="permutations to choose from, 2 to N! (default: N)"
    )
    model.add_argument(
        "--d-head",
        type=integer,
        metavar="D",
        help="dimension of query and key, even (default: 64)",
    )
    model.add_argument(
        "--rope-theta",
        type=number,
        metavar="BASE",
        help="base of the RoPE frequencies (default: 10)",
    )
    model.add_argument(
        "--rope-spacing",
        metavar="|".join(SPACINGS),
        help="how the frequencies are spaced (default: power)",
    )
    model.add_argument("--lr", type=number, help="learning rate (default: 2)")
    model.add_argument(
        "--qk-variance",
        type=number,
        metavar="VAR",
        help="variance of query and key entries at the start (default: 1/3)",
    )
    model.add_argument(
        "--w-init",
        type=number,
        metavar="W",
        help="half-width of the uniform start of the logic matrices (default: 1/sqrt(N))",
    )
    theory = result.add_argument_group("theory")
    theory.add_argument(
        "--closure",
        default="spectral",
        metavar="|".join((*closures.ATTENTION, *closures.CLOSURES)),
        help="what stands for the attention gradient (default: spectral, the softmax attention of "
        "a typical seed; the paper's closure is linear)",
    )
    theory.add_argument(
        "--fluctuations",
        action=argparse.BooleanOptionalAction,
        help="keep the fluctuations of the logits in the loss (default: with spectral and "
        "per-seed, which alone have them)",
    )
    theory.add_argument(
        "--lr-correction",
        action="store_true",
        help="follow gradient steps of size lr, to first order, instead of gradient flow",
    )
    theory.add_argument(
        "--samples",
        type=integer,
        default=seeds.SAMPLES,
        metavar="COUNT",
        help="seeds drawn for the spread of the onset, with --closure spectral "
        f"(default: {seeds.SAMPLES})",
    )
    theory.add_argument("--epochs", type=number, help="where to end (default: past saturation)")
    theory.add_argument(
        "--points", type=integer, default=401, help="epochs in the curve (default: 401)"
    )
    theory.add_argument(
        "--variances",
        default="theory",
        metavar="theory|constant|sampled",
        help="Gaussian logits with variances from theory, or constant; or sampled logits "
        "(default: theory)",
    )
    theory.add_argument(
        "--sigma-c",
        type=number,
        metavar="SIGMA",
        help="deviation of the right logit, with --variances constant",
    )
    theory.add_argument(
        "--sigma-o",
        type=number,
        metavar="SIGMA",
        help="deviation of every other logit, with --variances constant",
    )
    theory.add_argument(
        "--thermodynamic-limit",
        action="store_true",
        help="drop N/(N-1) and (K-1)/K from the equation of R (no change at K = N: they cancel)",
    )
    begin = result.add_argument_group("measured start (default: R0 = 1/T, C = 0, Q0 = S0 = C/N)")
    for name, meaning in zip(
        START,
        (
            "attention on the right action",
            "overlap with the right permutations",
            "overlap with the others",
            "sum of the mean logits",
        ),
        strict=True,
    ):
        begin.add_argument(f"--{name}", type=number, metavar="X", help=meaning)
    begin.add_argument(
        "--overlap",
        type=number,
        metavar="X",
        help="mean overlap of the vocabulary, with --fluctuations (default: 1/N)",
    )
    begin.add_argument(
        "--run",
        metavar="FILE",
        help="take model, training and start from a run file instead, query and key included",
    )
    begin.add_argument("--seed", type=integer, metavar="S", help="which seed of the run file")
    out = result.add_argument_group("output")
    printed = out.add_mutually_exclusive_group()
    printed.add_argument("--json", action="store_true", help="print JSON instead of the report")
    printed.add_argument("--csv", action="store_true", help="print CSV instead of the report")
    out.add_argument("--npz", metavar="FILE", help="also write the curves as NPZ")
    out.add_argument("--plot", metavar="FILE", help="also plot to a .png, .pdf or .svg file")
    out.add_argument("--cite", action=_Cite, nargs=0, help="print how to cite the theory, and exit")
    return result


class _Cite(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(CITATION)
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    command = parser()
    options = command.parse_args(argv)
    try:
        parameters, start = _given(options)
        if options.plot is not None:
            style.check(options.plot)
        for path in (options.npz, options.plot):
            if path is not None:
                check_writable(path)
        if options.samples < 2:
            raise ParameterError(f"samples must be at least 2, not {options.samples}")
        trajectory = predict(
            parameters, **{name: getattr(options, name) for name in SETTINGS}, **start
        )
        text = _text(trajectory, options)
        if options.npz is not None:
            trajectory.to_npz(options.npz)
        if options.plot is not None:
            plot.plot(trajectory, options.plot)
    except (ParameterError, FileError, SolverError) as error:
        command.error(str(error))
    print(text)
    return 0


def _text(trajectory: Trajectory, options: argparse.Namespace) -> str:
    """Return what is printed."""
    if options.json:
        told = {**trajectory.to_dict(), "trust": ", ".join(_trust(trajectory, options.samples))}
        return json.dumps(told, allow_nan=False)
    if options.csv:
        return trajectory.to_csv().rstrip("\n")
    return report(trajectory, samples=options.samples)


def _given(options: argparse.Namespace) -> tuple[Parameters, dict[str, Any]]:
    """Return the model and the start, from the options or from a seed of a run file."""
    given = {
        name: getattr(options, name)
        for name in (*PARAMETERS, *START, "overlap")
        if getattr(options, name) is not None
    }
    if options.run is None:
        if options.seed is not None:
            raise ParameterError(f"--seed {options.seed} needs --run, the file the seed is in")
        if missing := [f"--{name}" for name in ("N", "T") if name not in given]:
            raise ParameterError(f"the following arguments are required: {', '.join(missing)}")
        model = {name: given.pop(name) for name in PARAMETERS if name in given}
        return Parameters(**model), given
    if given:
        name = next(iter(given)).replace("_", "-")
        raise ParameterError(f"--{name} cannot be given with --run, whose file says it")
    measured = of_run(read_run(options.run), options.run)
    if options.seed not in measured.seeds:
        held = f"holds the seeds {', '.join(map(str, measured.seeds))}"
        raise ParameterError(
            f"--seed must name a seed of {options.run}, which {held}, not {options.seed}"
        )
    index = int(np.flatnonzero(measured.seeds == options.seed)[0])
    fluctuations = options.closure in closures.ATTENTION and options.fluctuations is not False
    start = measured.start(index, options.closure, fluctuations)
    if options.variances != "sampled":
        start.pop("permutations", None)
    return measured.parameters, start


def report(trajectory: Trajectory, *, samples: int = seeds.SAMPLES) -> str:
    """Return the parameters, what follows from them, the phases and a table."""
    parameters = trajectory.parameters
    caveats = trajectory.caveats()
    derived = {
        "gamma": closures.rate(closures.LINEAR, parameters),
        "g_0": closures.rate(closures.QUADRATIC, parameters),
    }
    start = {f"{name}0": value for name, value in asdict(trajectory.start).items() if name != "C"}
    lines = [
        "parameters",
        f"  {_listed(parameters.items())}",
        f"  {_listed(derived.items())}",
        "start",
        f"  {_listed(start.items())}  C = {trajectory.start.C:.6g}",
        f"closure {trajectory.closure}"
        + ("" if trajectory.overlap is None else ", loss with fluctuations")
        + (", gradient steps of size lr" if trajectory.lr_correction else ""),
        *(f"  {line}" for line in _trust(trajectory, samples)),
        "phases",
        *(f"  {line}" for line in trajectory.phases()),
        *(["caveats"] if caveats else []),
        *(f"  {line}" for line in caveats),
        "",
        trajectory.table(),
    ]
    return "\n".join(lines)


def _trust(trajectory: Trajectory, samples: int) -> tuple[str, ...]:
    parameters = trajectory.parameters
    if trajectory.closure in closures.ATTENTION:
        return trust.attention_words(
            trajectory.closure, parameters, samples=samples, overlap=trajectory.overlap
        )
    measured = trajectory.start != dynamics.start(parameters)
    return trust.words(closures.named(trajectory.closure), parameters, measured=measured)


def _listed(items: Iterable[tuple[str, Any]]) -> str:
    return "  ".join(
        f"{name} = {value:.6g}" if isinstance(value, float) else f"{name} = {value}"
        for name, value in items
    )
