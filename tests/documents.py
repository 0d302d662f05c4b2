"""What the documents show, taken out of them and run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with warnings as errors, in that folder."""
    command = [sys.executable, "-W", "error", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "MPLCONFIGDIR": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def fenced(text: str) -> list[tuple[str, str]]:
    """The fenced blocks, in order: what stands behind the opening fence, and the block."""
    return re.findall(r"^```(\w[^\n]*)\n(.*?)^```$", text, flags=re.M | re.S)
