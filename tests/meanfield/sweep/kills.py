"""A command that is killed at random moments, and started again until it ends."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def seconds(command: Sequence[str], folder: Path) -> float:
    """Run a command whole; return how long it takes."""
    began = time.monotonic()
    subprocess.run([sys.executable, *command], cwd=folder, env=ENVIRONMENT, check=True,
                   stdout=subprocess.DEVNULL, timeout=300)  # fmt: skip
    return time.monotonic() - began


class Killer:
    """Kills what it starts at random moments; within: seconds, shorter if that was too late."""

    def __init__(self, within: float, seed: int = 0) -> None:
        self.within, self.kills, self.rng = within, 0, random.Random(seed)

    def start(self, command: Sequence[str], folder: Path) -> None:
        """Start a command, and kill it with all its children unless it has ended by then."""
        process = subprocess.Popen(
            [sys.executable, *command], cwd=folder, env=ENVIRONMENT,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        time.sleep(self.rng.uniform(0, self.within))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            self.kills += 1
        else:
            self.within *= 0.8
        process.wait()
