"""How long the command takes, against what SciPy takes to be imported: python benchmarks/predict.py

Pairs are interleaved, so that a busy machine slows both; the median of the ratios counts.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from functools import partial

import numpy as np

from meanfield import Parameters, Start, Theory, predict
from meanfield.attention.typical import draw
from meanfield.predict import trust
from meanfield.predict.seeds import predict_seeds
from meanfield.predict.spread import onset_spread
from meanfield.theory import CLOSURES

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
    for name, closure in CLOSURES.items():
        model = Theory.parse(name).prepare(p, None, None).model

        def solve(model=model):  # type: ignore[no-untyped-def]
            return model.solve(600.0 * p.lr)

        calls = solve().solution.calls
        print(f"solve to epoch 600, {name:9}  {least(solve):.1f} ms, {calls} calls")
        judge = partial(trust.of_closure, closure, p)
        print(f"whether to trust {name:12}  {least(judge):.1f} ms")
    q, k = draw(p, 64)
    starts = [Start(q=one, k=other) for one, other in zip(q, k, strict=True)]
    epochs = np.arange(0.0, 701.0, 10.0)
    for words, work in (
        ("predict(), linear", lambda: predict(p, "linear")),
        ("predict(), spectral", lambda: predict(p, "spectral")),
        ("predict(), with fluctuations", lambda: predict(p)),
        ("predict(), per-seed", lambda: predict(p, "per-seed", start=starts[0])),
        ("64 seeds to epoch 700", lambda: predict_seeds(p, starts=starts, epochs=epochs)),
        ("spread over 400 seeds", lambda: onset_spread(p)),
    ):
        print(f"{words:30} {least(work, 5):.0f} ms")
    return int(ratio > TARGET)


if __name__ == "__main__":
    sys.exit(main())
