"""How fast the page answers a slider, in Chromium: python benchmarks/explore.py [--changes 200]

Without layout and painting, against the 16.7 ms a screen shows one picture.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from meanfield import Parameters
from meanfield.explore.page import page

SLIDERS = ("N", "K", "T", "d_head", "lr")


def times(opened: Page, slider: str, changes: int) -> list[float]:
    """Return the milliseconds that each change of a slider takes."""
    opened.focus(f"#{slider}-slider")
    taken = []
    for index in range(changes):
        opened.keyboard.press("ArrowLeft" if index % 2 else "ArrowRight")
        taken.append(float(opened.evaluate("document.documentElement.dataset.ms")))
    return taken


def main() -> None:
    """Print the median and the 95th percentile for each slider."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--changes", type=int, default=100, help="of each slider (default: 100)")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder, "explore.html")
        file.write_text(page(Parameters(N=20, T=10)), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.goto(file.as_uri())
        for slider in SLIDERS:
            taken = times(opened, slider, options.changes)
            median, most = np.percentile(taken, (50, 95))
            print(
                f"{slider:8} median {median:.1f} ms, 95 % {most:.1f} ms, most {max(taken):.1f} ms"
            )
        browser.close()


if __name__ == "__main__":
    main()
