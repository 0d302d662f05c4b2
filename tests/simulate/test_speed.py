"""The simulator's speed and memory against the plain reference: ratios of CPU time, one thread."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulate.small import needs_compiler

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory of Linux")
@needs_compiler
@pytest.mark.parametrize(("size", "fastest", "readable"), [("main", 80, 20), ("large", 120, 30)])
def test_times_faster_than_the_plain_reference(
    size: str, fastest: float, readable: float, tmp_path: Path
) -> None:
    out = tmp_path / "result.json"
    command = [sys.executable, "benchmarks/simulator.py", "--sizes", size, "--rounds", "2",
               "--out", str(out)]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (result,) = json.loads(out.read_text())["results"]
    assert result["times_faster_than_plain"]["fused"] > fastest
    assert result["times_faster_than_plain"]["torch"] > readable
    if size == "main":
        assert result["extra_megabytes"]["fused"] < 50
        assert result["extra_megabytes"]["torch"] < 50
