"""How an object shows itself in a notebook."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.notebook import SHOWN, short, table


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
