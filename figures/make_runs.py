"""Trains what the figures need and what is missing, on all cores; finished trainings are kept."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

import torch
from tqdm import tqdm

from figures.batches import Batch
from meanfield.runs.run import read_run
from simulate.settings import Machine
from simulate.train import train


class _Stopped(Exception):
    """Raised inside a training to end it after its checkpoint."""


def make(batches: Sequence[Batch], folder: Path, *, workers: int | None = None) -> int:
    """Train each batch whose run file is not in the folder; return how many.

    workers: trainings at a time, as many as cores unless given. Each is one thread; the arithmetic
    happens outside Python. A training that is interrupted goes on from its last evaluation when it
    is made again. Raises what ``train`` raises, and FileError for a broken run file.
    """
    missing = [each for each in batches if not _is_there(folder / each.file)]
    torch.set_num_threads(1)
    stop = threading.Event()
    bar = tqdm(total=sum(each.cost for each in missing), disable=None if missing else True)
    bar.bar_format = "training {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"

    def one(batch: Batch) -> None:
        path, so_far = folder / batch.file, 0

        def report(epoch: int, _measured: object) -> None:
            nonlocal so_far
            bar.update((epoch - so_far) * batch.cost / batch.schedule.train_epochs)
            so_far = epoch
            if stop.is_set():
                raise _Stopped

        if stop.is_set():
            raise _Stopped
        train(batch, machine=Machine(threads=1), path=path, resume=True, report=report)

    with bar, ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        running = [pool.submit(one, each) for each in missing]
        try:
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        finally:  # however it ends, no thread is left behind
            stop.set()
    return len(missing)


def _is_there(path: Path) -> bool:
    if path.exists():
        read_run(path)  # a broken file raises, instead of being trained over
        return True
    return False
