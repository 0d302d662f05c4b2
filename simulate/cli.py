"""Command line of ``python -m simulate``: options in, run files out."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

import torch
from tqdm import tqdm

from meanfield.command import Parser, integer, number
from meanfield.errors import FileError, ParameterError
from meanfield.files import make_folder
from meanfield.parameters import SPACINGS, Parameters
from meanfield.runs.run import Run, checkpoint_of, read_run
from simulate.settings import INTEGRATORS, OPTIMIZERS, SETS, Training, named, run_name
from simulate.train import DTYPES, KERNELS, train

DESCRIPTION = """\
Train the paper's transformer for many seeds at once and measure everything the theory speaks of."""

EPILOG = """\
examples:
  python -m simulate --N 20 --T 10 --seeds 0:8 --out runs/
  python -m simulate --set robust --seeds 0:4 --out runs/
  python -m simulate --integrator ssprk3 --lr 25 --train-epochs 60 --eval-every 1 --out runs/
  python -m simulate --seed 3 --dir results

Every seed is one model. A run file holds one batch of seeds; beside it lies a checkpoint while
training goes on, renewed at every evaluation, from which --resume goes on. Exit code: 0; 1 if every
seed diverged; 2 with one sentence on stderr; 130 if interrupted."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = Parser(
        prog="python -m simulate",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    which = result.add_argument_group("what to run")
    which.add_argument("--set", default="main", metavar="|".join(SETS),
                       help="hyperparameters to start from; every option below overrides its own "
                       "(default: main)")  # fmt: skip
    seeds = which.add_mutually_exclusive_group()
    seeds.add_argument("--seeds", type=seeds_of, default=range(1), metavar="A:B|A,B,…",
                       help="seeds A to B - 1, or these (default: 0:1)")  # fmt: skip
    seeds.add_argument("--seed", type=_seed, metavar="SEED", help="one seed, written to --dir")
    out = which.add_mutually_exclusive_group()
    out.add_argument("--out", type=Path, default=Path("runs"), metavar="FOLDER",
                     help="where run files go (default: runs)")  # fmt: skip
    out.add_argument("--dir", type=Path, metavar="FOLDER", help="where --seed's file goes")
    which.add_argument("--resume", action="store_true",
                       help="go on from a checkpoint; leave finished runs alone")  # fmt: skip
    which.add_argument("--overwrite", action="store_true", help="start again over old files")

    model = result.add_argument_group("model (unless given, as in the set)")
    model.add_argument("--N", type=integer, help="states, at least 2")
    model.add_argument("--T", type=integer, help="actions per sequence, at least 2")
    model.add_argument("--K", type=integer,
                       help="permutations to choose from (default: N, if N is given)")  # fmt: skip
    model.add_argument("--d-head", type=integer, metavar="D",
                       help="dimension of query and key, even")  # fmt: skip
    model.add_argument("--d-embed", type=integer, metavar="D", help="embedding dimension")
    model.add_argument("--rope-theta", type=number, metavar="BASE",
                       help="base of the RoPE frequencies")  # fmt: skip
    model.add_argument("--rope-spacing", metavar="|".join(SPACINGS),
                       help="how the frequencies are spaced")  # fmt: skip
    model.add_argument("--qk-variance", type=number, metavar="VAR",
                       help="variance of query and key entries at the start")  # fmt: skip
    model.add_argument("--w-init", type=number, metavar="W",
                       help="half-width of the uniform start of the logic matrices "
                       "(default: 1/sqrt(N), if N is given)")  # fmt: skip

    how = result.add_argument_group("training (unless given, as in the set)")
    how.add_argument("--lr", type=number, help="learning rate, or step of ssprk3")
    how.add_argument("--optimizer", metavar="|".join(OPTIMIZERS))
    how.add_argument("--integrator", metavar="|".join(INTEGRATORS),
                     help="ssprk3 follows the gradient flow by Runge-Kutta steps of size lr, three "
                     "gradients each (20 to 30 is good)")  # fmt: skip
    how.add_argument("--weight-decay", type=number, metavar="RATE")
    how.add_argument("--fix-embedding", action=argparse.BooleanOptionalAction, default=None,
                     help="keep every embedding at 1")  # fmt: skip
    for name, text in (
        ("n-train", "training sequences"),
        ("n-test", "test sequences"),
        ("batch-size", "sequences a gradient (default: n-train, if n-train is given)"),
        ("train-epochs", "passes over the training data"),
        ("eval-every", "epochs between evaluations"),
    ):
        how.add_argument(f"--{name}", type=integer, metavar="COUNT", help=text)

    machine = result.add_argument_group("machine")
    machine.add_argument("--device", default="auto", metavar="auto|cpu|cuda")
    machine.add_argument("--dtype", default="float32", metavar="|".join(DTYPES),
                         help="of the logic matrices (default: float32)")  # fmt: skip
    machine.add_argument("--kernel", default="auto", metavar="|".join(KERNELS),
                         help="fused needs a C compiler and a CPU (default: auto)")  # fmt: skip
    machine.add_argument("--threads", type=integer, default=os.cpu_count() or 1, metavar="COUNT",
                         help="seeds side by side in the fused kernel "
                         "(default: all cores)")  # fmt: skip
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    command = parser()
    options = command.parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if (options.seed is None) != (options.dir is None):
            raise ParameterError("--seed and --dir go together; several seeds go with --out")
        if options.threads < 1:
            raise ParameterError(f"threads must be at least 1, not {options.threads}")
        torch.set_num_threads(1)  # more only wait for each other on sizes like these
        parameters, training = chosen(options)
        seeds = list(options.seeds) if options.seed is None else [options.seed]
        return _train(parameters, training, seeds, options)
    except (ParameterError, FileError) as error:
        command.error(str(error))
    except KeyboardInterrupt:
        print(
            f"{command.prog}: interrupted; the same command with --resume goes on from the last "
            "evaluation",
            file=sys.stderr,
        )
        return 130


def chosen(options: argparse.Namespace) -> tuple[Parameters, Training]:
    """Return the named set with the options given put in."""
    named(options.set)
    result = []
    for kind, values in zip((Parameters, Training), SETS[options.set], strict=True):
        given = {
            name: getattr(options, name)
            for name in (field.name for field in fields(kind))
            if getattr(options, name) is not None
        }
        values = dict(values)
        for size, follows in (("N", "K"), ("n_train", "batch_size")):
            if size in given:
                values.pop(follows, None)
        result.append(kind(**{**values, **given}))
    return result[0], result[1]


def run_path(
    parameters: Parameters, training: Training, seeds: Sequence[int], options: argparse.Namespace
) -> Path:
    """Return where the run file goes."""
    if options.dir is not None:
        return Path(options.dir) / f"seed_{seeds[0]}.npz"
    return Path(options.out) / run_name(parameters, training, seeds)


def _train(
    parameters: Parameters,
    training: Training,
    seeds: list[int],
    options: argparse.Namespace,
    *,
    said: bool = False,
) -> int:
    """Train one batch of seeds, or two halves of it if memory runs out (``said``: was told)."""
    path = run_path(parameters, training, seeds, options)
    make_folder(path.parent)
    if path.exists() and options.resume:
        read_run(path)
        print(f"{path} is finished already")
        return 0
    if not (options.resume or options.overwrite):
        for old in (path, checkpoint_of(path)):
            if old.exists():
                raise FileError(f"{old} exists: give --resume to go on, or --overwrite")
    with _Bar(training) as bar, ThreadPoolExecutor(options.threads) as pool:
        began = time.perf_counter()
        try:
            run = train(
                parameters, training, seeds, path=path, resume=options.resume,
                device=options.device, dtype=options.dtype, kernel=options.kernel,
                each=pool.map, report=bar.report,
                say=lambda message: tqdm.write(message, file=sys.stderr),
            )  # fmt: skip
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error) or len(seeds) == 1:
                raise
            run = None
    if run is None:
        half = len(seeds) // 2
        if not said:
            print(f"out of memory with {len(seeds)} seeds at once: splitting them", file=sys.stderr)
        parts = (seeds[:half], seeds[half:])
        return min(_train(parameters, training, part, options, said=True) for part in parts)
    print(summary(run, path, time.perf_counter() - began))
    return int(len(run.diverged) == len(seeds))


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the CPU or the GPU."""
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or (
        "can't allocate memory" in str(error)
    )


def summary(run: Run, path: Path, seconds: float) -> str:
    """Return what came out, in two lines."""
    alive = [seed not in run.diverged for seed in run.seeds.tolist()]
    count = "1 seed" if len(alive) == 1 else f"{len(alive)} seeds"
    done = f"{count}, {run.epoch[-1]} epochs in {seconds:.1f} s"
    if any(alive):
        R, rollout = (curve[alive, -1] for curve in (run.R, run.rollout_accuracy))
        done += f": R {R.mean():.4f}, rollout accuracy {rollout.mean():.4f}"
        done += f" (worst {rollout.min():.4f})"
    return f"{done}\n{path}"


class _Bar:
    """A progress bar, on a terminal only."""

    def __init__(self, training: Training) -> None:
        self.bar = tqdm(total=training.train_epochs, unit="epoch", disable=None)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def report(self, epoch: int, measured: dict[str, Any]) -> None:
        alive = measured["R"] == measured["R"]
        self.bar.set_postfix_str(
            f"R {measured['R'][alive].mean():.3f}, "
            f"rollout {measured['rollout_accuracy'][alive].mean():.3f}"
            if alive.any() else "diverged",
            refresh=False,
        )  # fmt: skip
        self.bar.update(epoch - self.bar.n)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 0, not {text!r}")
    return int(text)


def seeds_of(text: str) -> list[int]:
    """Return the seeds of A:B (A to B - 1) or A,B,…; ArgumentTypeError says what is wrong."""
    first, colon, end = text.partition(":")
    seeds = list(range(_seed(first), _seed(end))) if colon else [_seed(s) for s in text.split(",")]
    if not seeds or len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError(
            f"must name different seeds, as 0:8 or 1,5,7, not {text!r}"
        )
    return seeds
