"""Seconds per full-batch epoch and peak memory: the simulator against the plain reference.

    python benchmarks/simulator.py [--sizes main large] [--rounds 4] [--out FILE]

All variants take turns in one process, one thread, three epochs at a time, timed in CPU seconds,
best of the rounds, so that what else the machine does changes the ratios little and an epoch finds
the caches as the one before left them. An epoch is gradient and step. The floor is the flops of the
sparse problem at the speed of a large matrix product, and its exponentials at the speed of torch's
exp on an array in the cache. Memory is the rise of the process's peak over a few epochs (Linux
only), each variant in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.plain import PlainTransformer, loss
from meanfield.parameters import Parameters
from simulate.settings import Experiment, Machine, from_set
from simulate.task import Task, draw_task
from simulate.trainer import Trainer

SIZES = {"main": {"N": 20, "T": 10}, "large": {"N": 50, "T": 20}}
VARIANTS = ("plain", "torch", "fused")


def experiment_of(size: str) -> Experiment:
    """Return one model and the data that an epoch needs."""
    return from_set("main", [0], n_test=1, **SIZES[size])


def epoch_of(variant: str, size: str) -> Callable[[], object]:
    """Return a function that trains one model for one epoch."""
    experiment = experiment_of(size)
    if variant == "plain":
        return plain_epoch(experiment.parameters, draw_task(experiment))
    trainer = Trainer.set_up(experiment, Machine(device="cpu", kernel=variant, threads=1))
    return lambda: trainer.train_epoch(0)


def plain_epoch(p: Parameters, task: Task) -> Callable[[], object]:
    """Return the epoch of a student's script: module, data loader, autograd, torch's optimizer."""
    actions, states = (each[0].astype(np.int64) for each in (task.train.actions, task.train.states))
    tokens = np.concatenate([actions, p.K + states], 1)
    model = PlainTransformer(N=p.N, K=p.K, T=p.T, d_head=p.d_head, frequencies=p.frequencies)
    loader = DataLoader(TensorDataset(torch.as_tensor(tokens)), batch_size=len(tokens))
    optimizer = torch.optim.SGD(model.parameters(), lr=p.lr)

    def epoch() -> None:
        for (batch,) in loader:
            optimizer.zero_grad()
            loss(model, batch).backward()
            optimizer.step()

    return epoch


def floor(experiment: Experiment) -> float:
    """Return the CPU seconds that the arithmetic of an epoch takes at this machine's own best."""
    p, rows = experiment.parameters, experiment.training.n_train * experiment.parameters.T
    a, b = torch.randn(2, 768, 768).unbind()
    x = torch.randn(2048)
    flops = 2 * 768**3 / best([lambda: a @ b], rounds=9)[0]
    exps = 100 * 2048 / best([lambda: [x.exp() for _ in range(100)]], rounds=9)[0]
    # a row of logits is T columns of N added up, weighted; twice as much again backwards
    return 3 * 2 * rows * p.T * p.N / flops + rows * p.N / exps


def best(functions: list[Callable[[], object]], *, rounds: int) -> list[float]:
    """Return the least CPU seconds of each function, taking turns, three calls a turn."""
    least = [float("inf")] * len(functions)
    for _ in range(rounds):
        for index, function in enumerate(functions):
            for _ in range(3):
                began = time.process_time()
                function()
                least[index] = min(least[index], time.process_time() - began)
    return least


def memory(variant: str, size: str) -> float:
    """Return by how many MB the peak rises over three epochs, measured in this process."""
    epoch = epoch_of("plain", size) if variant == "plain" else None
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _peak()
    epoch = epoch or epoch_of(variant, size)
    for _ in range(3):
        epoch()
    return _peak() - before


def _peak() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(size: str, rounds: int) -> dict[str, Any]:
    """Return seconds, ratios and memory of every variant at one size."""
    least = best([epoch_of(variant, size) for variant in VARIANTS], rounds=rounds)
    seconds = dict(zip(VARIANTS, least, strict=True))
    peaks = {}
    for variant in VARIANTS:
        command = [sys.executable, __file__, "--memory", variant, "--sizes", size]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[variant] = float(answer.stdout)
    return {
        "size": size,
        "milliseconds": {name: 1e3 * value for name, value in seconds.items()},
        "floor_milliseconds": 1e3 * floor(experiment_of(size)),
        "times_faster_than_plain": {v: seconds["plain"] / seconds[v] for v in VARIANTS},
        "extra_megabytes": peaks,
    }


def main() -> None:
    """Print a table; write JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--memory", choices=VARIANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory:
        print(memory(options.memory, options.sizes[0]))
        return
    results = [measure(size, options.rounds) for size in options.sizes]
    print(f"{'size':8}{'variant':10}{'ms/epoch':>10}{'x plain':>10}{'x floor':>10}{'MB':>8}")
    for result in results:
        for variant in VARIANTS:
            ms = result["milliseconds"][variant]
            print(
                f"{result['size']:8}{variant:10}{ms:10.2f}"
                f"{result['times_faster_than_plain'][variant]:10.1f}"
                f"{ms / result['floor_milliseconds']:10.1f}"
                f"{result['extra_megabytes'][variant]:8.1f}"
            )
        print(f"{result['size']:8}{'floor':10}{result['floor_milliseconds']:10.2f}")
    if options.out:
        machine = {"machine": platform.machine(), "torch": torch.__version__}
        options.out.write_text(json.dumps({**machine, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
