"""How long a sweep of a million parameter sets takes: python benchmarks/sweep.py [--states 100]

Against the same onsets by predict_many in one process, in CPU seconds, which is what the numbers
themselves cost; the rest is blocks, workers and the dataset on disk.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from meanfield import predict_many

GRID = """
[grid]
N = {{ from = 5, to = {N} }}
T = {{ from = 3, to = 52 }}
K = {{ from = 4, to = 23 }}
lr = {{ from = 1.0, to = 16.0, count = 10, spacing = "log" }}
"""
EACH = 50 * 20 * 10  # sets for one N


def swept(N: int) -> float:
    """Sweep N = 5 to this; return the wall time of the command, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        grid = Path(folder, "grid.toml")
        grid.write_text(GRID.format(N=N), encoding="utf-8")
        command = [sys.executable, "-m", "meanfield.sweep", str(grid), "--out", f"{folder}/s.zarr"]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


def alone(N: int) -> float:
    """Return the CPU seconds of the same onsets, N by N in this process."""
    T, K, lr = np.meshgrid(np.arange(3, 53), np.arange(4, 24), np.geomspace(1, 16, 10))
    began = time.process_time()
    for n in range(5, N + 1):
        predict_many(N=n, T=T.ravel(), K=K.ravel(), lr=lr.ravel())
    return time.process_time() - began


def main() -> None:
    """Print both, and the largest process of the sweep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--states", type=int, default=100, help=f"values of N, {EACH:,} sets each")
    states = parser.parse_args().states
    N, sets = 4 + states, states * EACH
    wall, cpu = swept(N), alone(N)
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{sets:,} sets: sweep {wall:.1f} s wall, largest process {largest:.0f} MB")
    print(f"predict_many alone {cpu:.1f} CPU s, {sets / cpu:,.0f} sets a second")


if __name__ == "__main__":
    main()
