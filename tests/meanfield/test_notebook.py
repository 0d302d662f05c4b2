"""How an object shows itself in a notebook."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from meanfield import Parameters, Start, Theory, Training, compare, predict, predict_many
from meanfield.notebook import SHOWN, short, table
from tests.meanfield.compare.example_measured import measured_like
from tests.meanfield.example_run import a_run


def test_everything_is_escaped() -> None:
    html = table("<b>", [("a&b", "<script>"), ("R", 0.5)], ["x < y"])
    assert "&lt;b&gt;" in html
    assert "a&amp;b" in html
    assert "&lt;script&gt;" in html
    assert "x &lt; y" in html
    assert "<script>" not in html


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1 / 3, "0.333333"),
        (12, "12"),
        (np.arange(6.0).reshape(2, 3), "array of 2 × 3, 0 to 5"),
        (np.array([]), "array of 0"),
        (np.array(["x"]), "array of 1"),
        ("y" * 200, "y" * (SHOWN - 1) + "…"),
    ],
)
def test_a_value_is_short(value: object, said: str) -> None:
    assert short(value) == said


def nouns() -> list[object]:
    p = Parameters(N=8, T=4, d_head=8)
    measured = measured_like(training={"n_train": 50})
    run = predict(p, "linear", start=Start(R=0.2), points=200)
    return [
        p,
        Training(),
        Start(q=np.ones(1000), k=np.ones(1000), R=0.2, permutations=np.zeros((50, 900), int)),
        Start(),
        Theory(),
        Theory.parse("linear", logits="constant", sigma_c=0.1, sigma_o=0.1),
        run,
        predict_many(N=np.arange(5, 300)[:, None], T=np.arange(2, 40)),
        a_run(),
        a_run(diverged={7: 0}),
        measured,
        compare(measured, "linear"),
    ]


@pytest.mark.parametrize("noun", nouns(), ids=lambda noun: type(noun).__name__)
def test_every_noun_shows_itself_in_a_line_and_in_a_table(noun: Any) -> None:
    assert len(repr(noun)) < 250
    assert "\n" not in repr(noun)
    html = noun._repr_html_()
    ElementTree.fromstring(html)  # well formed
    assert "<table>" in html
    assert len(html) < 9000


def test_arrays_are_told_by_their_shape() -> None:
    start = Start(q=np.arange(1000.0), R=0.25)
    assert repr(start) == "Start(R=0.25, q=array of 1000, 0 to 999)"
    assert repr(Start()) == "Start()"


def test_what_a_file_says_is_not_taken_for_html() -> None:
    run = a_run(training={"n_train": 8, "integrator": "<img src=x>"})
    assert "<img" not in run._repr_html_()
    assert "&lt;img src=x&gt;" in run._repr_html_()
