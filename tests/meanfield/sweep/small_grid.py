"""A small grid, and the sweep over it in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from meanfield.sweep import __main__ as sweep

SMALL = """
epochs = [50, 100]
[fixed]
K = 7
rope_theta = 30.0
[grid]
N = { from = 4, to = 8, step = 2 }
T = [3, 5]
lr = { from = 1.0, to = 4.0, count = 3, spacing = "log" }
"""


def written(folder: Path, text: str = SMALL) -> Path:
    """Write a grid file; return its path."""
    path = folder / "grid.toml"
    path.write_text(text, encoding="utf-8")
    return path


def swept(folder: Path, *options: str, text: str = SMALL, out: str = "sweep.zarr") -> Any:
    """Return the dataset of a sweep."""
    import xarray

    path = folder / out
    arguments = [str(written(folder, text)), "--out", str(path), "--workers", "0", *options]
    assert sweep.main(arguments) == 0
    return xarray.open_zarr(path).load()
