"""A figure becomes a PDF, a PNG and a JSON file that holds all about it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from figures import drawing
from figures.batches import batch
from figures.drawing import Drawn, Figure, values, with_errors
from figures.make_runs import make
from meanfield import style
from meanfield.compare.statistics import Estimate
from meanfield.errors import FileError
from meanfield.predict.scaling import Exponent

TINY = batch(seeds=2, epochs=4, every=2, N=4, T=3, n_train=32, n_test=16)


def a_figure(**numbers: float) -> Figure:
    def draw(runs: object) -> Drawn:
        with style.drawing(2, 2) as canvas:
            canvas.subplots()
        return Drawn(
            canvas=canvas, caption="Of tiny models.", closures=("linear",), numbers=numbers,
            caveats=["it is late", "it is late"],
        )  # fmt: skip

    return Figure(
        name="tiny", title="a title", source="nowhere", batches=lambda *, quick: {"run": TINY},
        draw=draw,
    )  # fmt: skip


def test_all_about_a_figure_stands_beside_it(tmp_path: Path) -> None:
    make([TINY], tmp_path)
    paths = drawing.sheet(a_figure(half=0.5), data=tmp_path, quick=True).write(tmp_path)
    assert [path.name for path in paths] == ["tiny.pdf", "tiny.png", "tiny.json"]
    about = json.loads(paths[-1].read_text())
    assert about["caption"] == "Of tiny models. Beware: it is late."
    assert (about["caveats"], about["numbers"]) == (["it is late"], {"half": 0.5})
    run = about["runs"]["run"]
    assert (run["file"], run["seeds"], run["parameters"]["N"]) == (TINY.file, [0, 1], 4)
    assert run["training"]["train_epochs"] == 4


def test_without_its_training_or_with_no_number_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="has not been trained yet"):
        drawing.sheet(a_figure(), data=tmp_path, quick=True)
    make([TINY], tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        drawing.sheet(a_figure(half=math.nan), data=tmp_path, quick=True)
    assert [path.name for path in tmp_path.iterdir()] == [TINY.file]


def test_estimates_are_numbers_wherever_they_stand() -> None:
    each = Estimate(0.5, 0.1, 4)
    numbers = {"late": {"theory": each, "constant": None}, "conserved": [each], "N": 3}
    alone = {"late": {"theory": 0.5, "constant": None}, "conserved": [0.5], "N": 3}
    assert values(numbers) == alone
    assert with_errors(Exponent(-1.0, 0.2)) == {"value": -1.0, "error": 0.2}
    assert with_errors(numbers)["conserved"] == [{"value": 0.5, "error": 0.1}]


def test_what_is_not_there_is_none() -> None:
    assert with_errors(Estimate(0.5, math.nan, 1)) == {"value": 0.5, "error": None}
    assert with_errors(Estimate(math.inf, 0.1, 2)) == {"value": None, "error": 0.1}
