"""``python -m simulate``: options in, run files out."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from meanfield import command
from meanfield.errors import FileError, ParameterError
from meanfield.files import check_folder
from meanfield.parameters import Parameters
from meanfield.runs.run import Run, checkpoint_of, read_run
from meanfield.training import Training
from simulate.settings import SETS, Experiment, Machine, Schedule, from_set, seeds_of

DESCRIPTION = """\
Train the paper's transformer for many seeds at once and measure everything the theory speaks of."""

EPILOG = """\
examples:
  python -m simulate --N 20 --T 10 --seeds 0:8 --out runs/
  python -m simulate --set robust --seeds 0:4 --out runs/
  python -m simulate --integrator ssprk3 --lr 25 --train-epochs 60 --eval-every 1 --out runs/
  python -m simulate --seed 3 --dir results

Every seed is one model. A run file holds one batch of seeds; beside it lies a checkpoint while
training goes on, renewed at every evaluation, from which --resume goes on. With more --train-epochs
than a finished run has, --resume goes on from its end, to the same numbers as from the start; with
--out the shorter run is kept beside the longer. Exit code: 0; 1 if every
seed diverged; 2 with one sentence on stderr; 130 if interrupted."""

GO_ON = "the same command with --resume goes on from the last evaluation"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = command.parser("python -m simulate", DESCRIPTION, EPILOG)
    which = result.add_argument_group("what to run")
    which.add_argument(
        "--set",
        default="main",
        metavar="|".join(SETS),
        help="hyperparameters to start from (default: main)",
    )
    seeds = which.add_mutually_exclusive_group()
    seeds.add_argument(
        "--seeds",
        default="0:1",
        metavar="A:B|A,B,…",
        help="seeds A to B - 1, or these (default: 0:1)",
    )
    seeds.add_argument("--seed", type=command.integer, help="one seed, written to --dir")
    out = which.add_mutually_exclusive_group()
    out.add_argument(
        "--out",
        type=Path,
        default=Path("runs"),
        metavar="FOLDER",
        help="where run files go (default: runs)",
    )
    out.add_argument("--dir", type=Path, metavar="FOLDER", help="where --seed's file goes")
    old = which.add_mutually_exclusive_group()
    old.add_argument(
        "--resume",
        action="store_true",
        help="go on from a checkpoint, or from a finished run of fewer epochs; leave what is "
        "finished alone",
    )
    old.add_argument("--overwrite", action="store_true", help="start again over old files")
    for kind, title in (
        (Parameters, "model (unless given, as in the set; K and w-init follow N)"),
        (Training, "training (unless given, as in the set)"),
        (Schedule, "schedule (unless given, as in the set)"),
    ):
        command.add_fields(result.add_argument_group(title), kind, defaults=False)
    command.add_fields(result.add_argument_group("machine"), Machine)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    simulate = parser()
    options = simulate.parse_args(argv)
    return command.run(simulate, lambda: _simulate(options), resume=GO_ON)


def experiment_of(options: argparse.Namespace) -> Experiment:
    """Return the named set with the options given put in."""
    changed: dict[str, Any] = {}
    for kind in (Parameters, Training, Schedule):
        changed |= command.given(options, kind)
    seeds = seeds_of(options.seeds) if options.seed is None else [options.seed]
    return from_set(options.set, seeds, **changed)


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


def _simulate(options: argparse.Namespace) -> int:
    if (options.seed is None) != (options.dir is None):
        raise ParameterError("--seed and --dir go together; several seeds go with --out")
    experiment = experiment_of(options)
    machine = Machine(**command.given(options, Machine))
    check_folder(_run_path(experiment, options).parent)
    from simulate.machine import one_thread  # torch is loaded once the options are found good

    one_thread()
    return _train_all(experiment, machine, options)


def _train_all(experiment: Experiment, machine: Machine, options: argparse.Namespace) -> int:
    """Train all seeds at once, or half of them at a time as long as they do not fit in memory."""
    from simulate import memory
    from simulate.machine import out_of_memory, resolve

    memory.seeds_at_once(experiment, machine)  # before anything is compiled
    machine = resolve(machine, experiment)
    most = memory.seeds_at_once(experiment, machine)
    waiting, codes = [experiment], []
    while waiting:
        part = waiting.pop(0)
        count = len(part.seeds)
        try:
            if count > most:
                raise MemoryError
            codes.append(_train(part, machine, options))
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            if count == 1:
                what = memory.too_large(part, machine)
                raise ParameterError(f"{what}, and there is not as much left") from None
            if part is experiment:
                print(f"out of memory with {count} seeds at once: splitting them", file=sys.stderr)
            halves = part.seeds[: count // 2], part.seeds[count // 2 :]
            waiting[:0] = [replace(part, seeds=half) for half in halves]
    return min(codes)


def _train(experiment: Experiment, machine: Machine, options: argparse.Namespace) -> int:
    """Write one run file; return 1 if every seed diverged, else 0."""
    path, shorter = _run_path(experiment, options), None
    if options.resume:
        if path.exists() and _is_finished(path, experiment):
            print(f"{path} is finished already")
            return 0
        shorter = path if path.exists() else _shorter(path, experiment)
    elif not options.overwrite:
        for old in (path, checkpoint_of(path)):
            if old.exists():
                raise FileError(f"{old} exists: give --resume to go on, or --overwrite")
    began = time.perf_counter()
    run = _with_a_bar(experiment, machine, path, resume=options.resume, shorter=shorter)
    print(summary(run, path, time.perf_counter() - began))
    return int(len(run.diverged) == len(run.seeds))


def _run_path(experiment: Experiment, options: argparse.Namespace) -> Path:
    if options.dir is not None:
        return Path(options.dir) / f"seed_{options.seed}.npz"
    return Path(options.out) / experiment.file


def _is_finished(path: Path, experiment: Experiment) -> bool:
    """Whether a run file is this very run, not a shorter one; FileError if it is another."""
    run = read_run(path)
    found = {**asdict(run.parameters), **run.training, "seeds": tuple(run.seeds.tolist())}
    wanted = {**asdict(experiment.parameters), **experiment.settings, "seeds": experiment.seeds}
    differ = {name: value for name, value in wanted.items() if found[name] != value}
    for name, value in differ.items():
        if name != "train_epochs" or found[name] > value:
            raise FileError(
                f"{path} is a run with {name} = {found[name]!r}, not {value!r}: resume with the "
                "same settings, or train elsewhere"
            )
    return not differ


def _shorter(path: Path, experiment: Experiment) -> Path | None:
    """Return the finished run of the same training with the most epochs below those wanted."""
    if path.name != experiment.file:  # a name of its own, --dir
        return None
    head, tail = path.name.rsplit("_", 2)[::2]  # a hash of the settings stands between
    there = {each.name for each in path.parent.glob(f"{head}_*_{tail}")}
    schedule = experiment.schedule
    for epochs in range(schedule.train_epochs - 1, 0, -1) if there else ():
        name = replace(experiment, schedule=replace(schedule, train_epochs=epochs)).file
        if name in there:
            return path.with_name(name)
    return None


def _with_a_bar(
    experiment: Experiment, machine: Machine, path: Path, *, resume: bool, shorter: Path | None
) -> Run:
    """Train under a progress bar, which is shown on a terminal only."""
    from simulate.train import train

    with tqdm(total=experiment.schedule.train_epochs, unit="epoch", disable=None) as bar:

        def report(epoch: int, measured: dict[str, Any]) -> None:
            bar.set_postfix_str(_postfix(measured), refresh=False)
            bar.update(epoch - bar.n)

        def say(message: str) -> None:
            tqdm.write(message, file=sys.stderr)

        return train(
            experiment,
            machine=machine,
            path=path,
            resume=resume,
            shorter=shorter,
            report=report,
            say=say,
        )


def _postfix(measured: dict[str, Any]) -> str:
    alive = measured["R"] == measured["R"]
    if not alive.any():
        return "diverged"
    R, rollout = (measured[name][alive].mean() for name in ("R", "rollout_accuracy"))
    return f"R {R:.3f}, rollout {rollout:.3f}"


if __name__ == "__main__":
    raise SystemExit(main())
