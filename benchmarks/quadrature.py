"""10,000 parameter sets in one call against a loop over solve_ivp: python benchmarks/quadrature.py

The loop is timed on a sample of the same sets and scaled up; the numbers are compared on it, too.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from scipy.optimize import brentq

from meanfield import Parameters, Theory, predict_many
from meanfield.theory import CLOSURES

TARGET = 100.0


def main() -> int:
    """Print times, ratio and the largest disagreement; exit 1 if the ratio misses its target."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", type=int, default=10_000)
    parser.add_argument("--sample", type=int, default=60, help="sets of the loop (default: 60)")
    parser.add_argument("--epochs", type=int, default=20, help="epochs a curve (default: 20)")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    sizes = {
        "N": rng.integers(5, 200, options.sets),
        "K": rng.integers(2, 120, options.sets),
        "T": rng.integers(3, 60, options.sets),
        "rope_theta": 10 ** rng.uniform(0.5, 5, options.sets),
    }
    missed = False
    for name in CLOSURES:
        onset = predict_many(name, **sizes).onset_epoch
        epochs = onset[:, None] * np.linspace(0, 2, options.epochs)

        start = time.process_time()
        predict_many(name, **sizes)
        onsets_alone = time.process_time() - start
        start = time.process_time()
        batch = predict_many(name, epochs=epochs, **sizes)
        together = time.process_time() - start

        worst = 0.0
        start = time.process_time()
        for row in range(options.sample):
            p = Parameters(**{size: values[row].item() for size, values in sizes.items()})
            t = epochs[row] * p.lr
            curve = Theory.parse(name).prepare(p, None, None).model.solve(t[-1])
            logit_R, Q, S = curve(t)
            found = brentq(lambda t, curve=curve: float(curve(t)[0]), t[1], t[-1]) / p.lr
            worst = max(
                worst,
                abs(found / onset[row] - 1),
                float(np.max(np.abs(logit_R - batch.logit_R[row]))),
                float(np.max(np.abs(Q - batch.Q[row])[1:] / batch.Q[row][1:])),
                float(np.max(np.abs(S - batch.S[row])[1:] / batch.S[row][1:])),
            )
        loop = (time.process_time() - start) / options.sample * options.sets
        ratio = loop / together
        missed |= ratio < TARGET
        print(
            f"{name:9}  {options.sets} sets: onsets alone {onsets_alone:.2f} s, with "
            f"{options.epochs} epochs each {together:.2f} s; loop over solve_ivp {loop:.0f} s; "
            f"ratio {ratio:.0f}  (target {TARGET:.0f}); largest disagreement {worst:.1e}"
        )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
