"""The plot of a comparison, and how much it has room for."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
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
                         ("measuredstart", 3), ("training,", 10)):  # fmt: skip
        assert text.count(words) == count, words


def test_what_a_reader_must_know_stands_in_the_plot_and_no_legend_on_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = ("no C in the file: 0 is assumed", "accuracies cost $5")
    measured = replace(measured_like(), notes=notes, training={"n_train": 64})
    drawn = []
    monkeypatch.setattr(plot.style, "save", lambda figure, path: drawn.append(figure))
    plot.plot([(measured, [compare(measured, "linear")])], tmp_path / "c.svg")
    (row,) = drawn[0].subfigs
    title = row.get_suptitle()
    assert "64 sequences, 3 seeds\nno C in the file: 0 is assumed; accuracies cost \\$5" in title
    assert not [axes for axes in row.axes if axes.get_legend()]
    words = [text.get_text() for text in row.legends[0].get_texts()]
    assert words == [*words[:-1], "linear, measured start"]


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
