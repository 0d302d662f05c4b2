"""What every sweep shares: options of a cluster, and what came out in words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from meanfield import command
from meanfield.sweep import running
from meanfield.sweep.grid import from_tables
from meanfield.sweep.store import Block


def test_options_say_where_to_run() -> None:
    parser = command.parser("python -m example", "")
    running.add_options(parser)
    plain = parser.parse_args([])
    assert (plain.resume, plain.overwrite, plain.dry_run) == (False, False, False)
    assert running.cluster_of(plain).workers is None
    given = {"slurm": "3", "memory": "2GiB", "queue": "long", "walltime": "01:00:00"}
    arguments = [f"--{name}={value}" for name, value in given.items()]
    directives = ["--account=me", "--directive=--gres=gpu:1", "--directive=--nice"]
    many = parser.parse_args([*arguments, *directives])
    cluster = running.cluster_of(many)
    assert (cluster.slurm, cluster.memory, cluster.queue) == (3, "2GiB", "long")
    assert (cluster.walltime, cluster.account) == ("01:00:00", "me")
    assert cluster.directives == ("--gres=gpu:1", "--nice")
    assert running.cluster_of(parser.parse_args(["--workers", "0"])).workers == 0


def test_a_grid_in_words() -> None:
    grid = from_tables({"fixed": {"T": 4}, "grid": {"N": {"from": 5, "to": 1204}, "K": [2, 3]}})
    assert running.described(grid) == "2,400 parameter sets (1200 N x 2 K)"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (42, "42 s"), (99, "99 s"), (120, "2 min"), (5400, "90 min"), (9000, "2.5 h")],
)
def test_times_in_words(seconds: float, said: str) -> None:
    assert running.time_in_words(seconds) == said


class Store:
    """A sweep that is done."""

    path = Path("sweep.zarr")

    def __init__(self, onsets: list[float], impossible: int = 0) -> None:
        self.onsets = np.array(onsets)
        self.grid = SimpleNamespace(size=len(onsets))
        self.impossible = impossible
        self.written: list[float] = []

    def results(self) -> Any:
        status = np.ones(len(self.onsets), int)
        status[: self.impossible] = 2
        yield np.ones(len(status), bool), {"onset_epoch": self.onsets, "status": status}
        yield np.zeros(2, bool), {}  # of a block that is damaged

    def unfinished(self) -> Any:
        for value in (1.0, 2.0, 3.0):
            yield value, np.ones(1, bool)

    def write(self, block: Block, missing: object, found: float) -> None:
        self.written.append(found)


@pytest.mark.parametrize(
    ("onsets", "impossible", "said"),
    [
        ([30.0, 7.5, 9.0], 0, "onset from epoch 7.5 to 30"),
        ([30.0, np.inf], 0, "onset from epoch 30 to 30; 1 never lock on"),
        ([30.0, np.nan], 1, "onset from epoch 30 to 30; 1 cannot be predicted (status 2)"),
        ([np.inf, np.inf], 0, "no point locks on; 2 never lock on"),
    ],
)
def test_what_came_out(onsets: list[float], impossible: int, said: str) -> None:
    assert running.summary(Store(onsets, impossible)) == f"{said}\nsweep.zarr"  # type: ignore[arg-type]


def test_every_result_is_kept_as_it_comes() -> None:
    store, cluster = Store([1.0] * 3), running.Cluster(workers=0)

    def solve(grid: Any, block: Any, missing: Any, more: float) -> float:
        assert grid is store.grid
        return more * float(block)

    assert running.fill(lambda: store, solve, cluster, 10.0) is store  # type: ignore
    assert store.written == [10.0, 20.0, 30.0]
