"""The plot of a comparison, and how much it has room for."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from meanfield import ParameterError
from meanfield.compare import plot
from meanfield.compare.comparison import compare
from tests.meanfield.compare.example_measured import measured_like

pytest.importorskip("matplotlib")


def test_a_row_a_training_and_a_dash_a_theory(tmp_path: Path) -> None:
    measured = measured_like()
    found = [compare(measured, name) for name in ("linear", "quadratic")]
    plot.plot([(measured, found), (measured, found[:1])], tmp_path / "c.svg")
    root = ElementTree.parse(tmp_path / "c.svg").getroot()
    nodes = root.iter("{http://www.w3.org/2000/svg}text")
    text = "".join("".join("".join(node.itertext()).split()) for node in nodes)
    for words, count in (("orderparameters", 2), ("quadratic", 1), ("linear", 2), ("3seeds", 2),
                         ("measuredstart", 2), ("training", 2)):  # fmt: skip
        assert text.count(words) == count, words


def test_more_than_fits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="a plot has room for 12 trainings, not 13: name fewe"):
        plot.check(13, 1)
    with pytest.raises(ParameterError, match="a plot tells 6 theories apart, not 7: name fewer wi"):
        plot.check(1, 7)
    plot.check(12, 6)
    measured = measured_like()
    groups = [(measured, [compare(measured, "linear")])] * 13
    with pytest.raises(ParameterError, match="room for 12 trainings"):
        plot.plot(groups, tmp_path / "c.png")
    assert list(tmp_path.iterdir()) == []
