"""How long the command takes, against what SciPy takes to be imported: python benchmarks/predict.py

Pairs are interleaved, so that a busy machine slows both; the median of the ratios counts.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

import numpy as np

from meanfield import Parameters, dynamics, predict
from meanfield.attention import closures
from meanfield.predict import seeds, trust

PREDICT = [sys.executable, "-m", "meanfield.predict", "--N", "20", "--T", "10"]
IMPORT = [sys.executable, "-c", "import scipy.integrate"]
TARGET = 1.3  # wall time of the command over that of the import


def wall(command: list[str]) -> float:
    """Return the wall time of a command, in seconds."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def least(work: object, repeats: int = 30) -> float:
    """Return the least CPU time of one call, in milliseconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()  # type: ignore[operator]
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def main() -> int:
    """Print the ratio and the times of the parts; exit 1 if the ratio misses its target."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=15, help="interleaved pairs (default: 15)")
    options = parser.parse_args()
    wall(PREDICT), wall(IMPORT)  # fill the file cache
    pairs = [(wall(PREDICT), wall(IMPORT)) for _ in range(options.pairs)]
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    print(f"python -m meanfield.predict  {statistics.median(p for p, _ in pairs):.3f} s")
    print(f"import scipy.integrate       {statistics.median(i for _, i in pairs):.3f} s")
    print(f"median ratio                 {ratio:.2f}  (target {TARGET})")

    p = Parameters(N=20, T=10)
    for closure in closures.CLOSURES.values():
        rate, start = closures.rate(closure, p), dynamics.start(p)

        def solve(closure=closure, rate=rate, start=start):  # type: ignore[no-untyped-def]
            return dynamics.solve(p, closure, start, rate=rate, t_end=600.0 * p.lr)

        print(f"solve to epoch 600, {closure.name:9}  {least(solve):.1f} ms, {solve().nfev} calls")
    print(f"predict(), linear              {least(lambda: predict(p, closure='linear')):.1f} ms")
    print(f"which closure to trust         {least(lambda: trust.words(closures.LINEAR, p)):.1f} ms")
    q, k = seeds.draw(p, 64)
    epochs = np.arange(0.0, 701.0, 10.0)
    for words, work in (
        ("predict(), spectral", lambda: predict(p, closure="spectral")),
        ("predict(), per-seed", lambda: predict(p, closure="per-seed", q=q[0], k=k[0])),
        ("64 seeds to epoch 700", lambda: seeds.predict_seeds(p, q=q, k=k, epochs=epochs)),
        ("spread over 400 seeds", lambda: seeds.onset_spread(p)),
    ):
        print(f"{words:30} {least(work, 5):.0f} ms")
    return int(ratio > TARGET)


if __name__ == "__main__":
    sys.exit(main())
