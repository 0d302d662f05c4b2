"""Train what the figures need and is not there yet, on all cores; what is done is kept."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any, NoReturn

import torch
from tqdm import tqdm

from figures.batches import Batch
from meanfield.runs import read_run
from simulate.train import train


def make(batches: Sequence[Batch], folder: Path, *, workers: int | None = None) -> int:
    """Train each batch whose run file is not in the folder; return how many.

    One thread a process, ``workers`` processes, all cores unless given. Interrupted at any moment,
    a training goes on from its last evaluation when it is made again. Raises what ``train`` raises.
    """
    missing = [each for each in batches if not _is_there(folder / each.file)]
    if not missing:
        return 0
    count = min(len(missing), workers or os.cpu_count() or 1)
    context = multiprocessing.get_context("spawn")
    with (
        context.Manager() as manager,
        tqdm(total=sum(each.cost for each in missing), unit_scale=True, disable=None) as bar,
        ProcessPoolExecutor(count, context, initializer=_end_quietly) as pool,
    ):
        bar.bar_format = "{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"
        done: Any = manager.Queue()
        running = {pool.submit(_train, each, folder, done) for each in missing}
        try:
            _follow(running, done, bar, len(missing))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    return len(missing)


def _follow(running: set[Future[None]], done: Any, bar: Any, count: int) -> None:
    """Move the bar until all are trained; raise what one of them raised."""
    while running:
        finished, running = wait(running, timeout=0.3, return_when=FIRST_COMPLETED)
        try:
            while True:
                bar.update(done.get_nowait())
        except queue.Empty:
            pass
        for future in finished:
            future.result()
        bar.set_description_str(f"training {count - len(running)} of {count}")


def _is_there(path: Path) -> bool:
    if path.exists():
        read_run(path)  # a broken file is said, not trained over
        return True
    return False


def _train(batch: Batch, folder: Path, done: Any) -> None:
    torch.set_num_threads(1)
    each_epoch = batch.cost / batch.training.train_epochs
    so_far = 0

    def report(epoch: int, _measured: object) -> None:
        nonlocal so_far
        done.put((epoch - so_far) * each_epoch)
        so_far = epoch

    path = folder / batch.file
    train(batch.parameters, batch.training, batch.seeds, path=path, resume=True, report=report)


def _end_quietly() -> None:
    """Let a worker end at once when interrupted: its checkpoint is always whole."""

    def end(*_: object) -> NoReturn:
        os._exit(130)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
