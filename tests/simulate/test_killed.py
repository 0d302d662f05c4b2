"""What survives when training is killed: everything, and nothing beside it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from meanfield.runs.run import ARRAYS, read_run
from simulate import __main__ as simulate

ROOT = Path(__file__).parents[2]

# evaluates, and so writes a checkpoint, at every epoch
LONG = ["--N", "6", "--T", "4", "--d-head", "8", "--n-train", "300", "--n-test", "100",
        "--train-epochs", "150", "--eval-every", "1", "--seeds", "0:2"]  # fmt: skip


def epoch_of(folder: Path) -> int:
    """The epoch of the checkpoint in the folder, -1 if there is none yet."""
    for path in folder.glob("*.checkpoint.npz"):
        return int(read_run(path, unfinished=True).epoch[-1])
    return -1


def test_killed_again_and_again_it_ends_bit_identical(tmp_path: Path) -> None:
    assert simulate.main([*LONG, "--out", str(tmp_path / "whole")]) == 0
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "simulate", *LONG, "--out", str(folder), "--resume"]
    for goal, sign in ((3, signal.SIGKILL), (20, signal.SIGTERM), (40, signal.SIGKILL)):
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            while epoch_of(folder) < goal:
                assert process.poll() is None, process.communicate()
                time.sleep(0.02)
            process.send_signal(sign)
            err = process.communicate()[1]
        if sign == signal.SIGTERM:
            assert process.returncode == 130
            assert "interrupted; the same command with --resume goes on" in err
            assert err.count("\n") == 1
        else:
            assert process.returncode == -signal.SIGKILL
        assert goal <= epoch_of(folder) < 150
    assert simulate.main([*LONG, "--out", str(folder), "--resume"]) == 0
    assert len(list(folder.iterdir())) == 1
    assert_same(tmp_path / "whole", folder)


def assert_same(one: Path, other: Path) -> None:
    """Assert that each folder holds one file, and both the same run."""
    (first,), (second,) = one.iterdir(), other.iterdir()
    for name in ARRAYS:
        found, wanted = getattr(read_run(first), name), getattr(read_run(second), name)
        np.testing.assert_array_equal(found, wanted, err_msg=name)


@pytest.mark.slow
def test_killed_twenty_times_at_random_moments(tmp_path: Path) -> None:
    long = [*LONG, "--train-epochs", "3000"]
    assert simulate.main([*long, "--out", str(tmp_path / "whole")]) == 0
    folder, rng = tmp_path / "killed", np.random.default_rng(2)
    command = [sys.executable, "-m", "simulate", *long, "--out", str(folder), "--resume"]
    for _ in range(20):
        before = epoch_of(folder)
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            while epoch_of(folder) == before:
                assert process.poll() is None, process.communicate()
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.2))  # a few epochs
            process.kill()
        assert process.returncode == -signal.SIGKILL
    assert epoch_of(folder) < 3000
    assert simulate.main([*long, "--out", str(folder), "--resume"]) == 0
    assert_same(tmp_path / "whole", folder)
