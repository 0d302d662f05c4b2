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


def killed(command: Sequence[str], folder: Path, *, within: float, rng: random.Random) -> bool:
    """Start a command, kill it and all its children at a random moment; return whether it lived."""
    process = subprocess.Popen(
        [sys.executable, *command], cwd=folder, env=ENVIRONMENT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    time.sleep(rng.uniform(0, within))
    alive = process.poll() is None
    os.killpg(process.pid, signal.SIGKILL) if alive else None
    process.wait()
    return alive
