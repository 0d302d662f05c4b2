"""The grid file: what varies, what is fixed, which theory; checked at once, in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meanfield import FileError, ParameterError, Parameters
from meanfield.sweep import grid
from meanfield.sweep.grid import axis, from_tables

GOOD = "[fixed]\nT = 4\n[grid]\nN = [5, 6]\n"
MISTAKES = {
    "[grid]\nN = [5": "is not TOML",
    "[fixed]\nT = 4\n": "needs a table [grid]",
    "[grid]\nN = [5]\n": "T must be given",
    GOOD + "M = [1]\n": "'M' is no parameter",
    GOOD + "T = [4]\n": "T cannot be in [fixed] and in [grid] at once",
    GOOD + 'rope_spacing = ["power"]\n': "rope_spacing cannot be a dimension",
    GOOD + "K = 7\n": "must be a list or a range",
    GOOD + "K = [7.5]\n": "line 5: K must be integers, not 7.5",
    GOOD + "K = [7, 7]\n": "must ascend",
    GOOD + "K = [7, 121]\n": "K must be at most N! = 120",
    GOOD + "d_head = [3, 4]\n": "d_head must be even",
    GOOD + "lr = [-1.0, 1.0]\n": "lr must be greater than 0",
    GOOD + "lr = { from = 1 }\n": "must have from and to",
    GOOD + "lr = { from = 2, to = 1 }\n": "lr.to must be greater than lr.from",
    GOOD + "lr = { from = 1, to = 2, step = 0 }\n": "lr.step must be greater than 0",
    GOOD + "lr = { from = 1, to = 2, count = 1 }\n": "lr.count must be an integer from 2",
    GOOD + 'lr = { from = 1, to = 2, count = 3, spacing = "x" }\n': "lr.spacing must be",
    GOOD + 'lr = { from = 0, to = 2, count = 3, spacing = "log" }\n': "lr.from must be greater",
    GOOD
    + "lr = { from = 1, to = 2, count = 2_000_000 }\n": "lr.count must be an integer from 2 to",
    GOOD + "lr = { from = 1, to = 2, step = 1e-9 }\n": "leave at most 1,000,000 values",
    GOOD
    + "lr = { from = 1, to = 2, count = 99999 }\n"
    + "qk_variance = { from = 1, to = 2, count = 9999 }\n": "parameter sets at most",
    'closure = "cubic"\n' + GOOD: "the theory must be linear, quadratic",
    'theory = "cubic"\n' + GOOD: "the theory must be linear, quadratic",
    'theory = "linear"\nclosure = "linear"\n' + GOOD: "a grid has a theory or a closure, not both",
    'theory = "per-seed"\n' + GOOD: "a grid has no seed for per-seed to start from: name another",
    GOOD + 'K = { from = "a", to = 2 }\n': "K.from must be a finite number, not 'a'",
    "epochs = [-1]\n" + GOOD: "epochs must be at least 0, not -1",
    'epochs = "late"\n' + GOOD: "epochs must be a list of numbers",
    "colour = 1\n" + GOOD: "line 1: 'colour' is nothing a grid has",
    "fixed = 1\n[grid]\nN = [5]\n": "[fixed] must be a table",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_wrong_grid_is_told_in_one_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises((ParameterError, FileError)) as caught:
        grid.read(path)
    assert MISTAKES[text] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"grid\.toml cannot be read: No such file"):
        grid.read(tmp_path / "grid.toml")
    (tmp_path / "grid.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(FileError, match=r"grid\.toml cannot be read: it is no text"):
        grid.read(tmp_path / "grid.toml")


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("N", [4, 7], [4, 7]),
        ("N", {"from": 4, "to": 9}, [4, 5, 6, 7, 8, 9]),
        ("N", {"from": 4, "to": 9, "step": 2}, [4, 6, 8]),
        ("N", {"from": 2, "to": 20, "count": 4, "spacing": "log"}, [2, 4, 9, 20]),
        ("lr", {"from": 1, "to": 2, "step": 0.25}, [1, 1.25, 1.5, 1.75, 2]),
        ("lr", {"from": 1, "to": 2, "count": 3}, [1, 1.5, 2]),
        ("lr", {"from": 1, "to": 4, "count": 3, "spacing": "log"}, [1, 2, 4]),
    ],
)
def test_values_along_an_axis(name: str, value: Any, wanted: list[float]) -> None:
    found = axis(name, value)
    assert found.tolist() == pytest.approx(wanted)
    assert found.dtype == (np.int64 if name == "N" else np.float64)


def test_a_point_is_a_parameter_set() -> None:
    found = from_tables({"fixed": {"K": 7, "rope_spacing": "linear"},
                         "grid": {"N": [5, 6], "T": [3, 4, 9]}})  # fmt: skip
    assert (found.shape, found.size) == ((2, 3), 6)
    assert found.parameters(1, 2) == Parameters(N=6, T=9, K=7, rope_spacing="linear")
    assert found.settings(0, 1) == {"N": 5, "T": 4, "K": 7, "rope_spacing": "linear"}


@pytest.mark.parametrize(
    ("named", "theory"),
    [
        ({}, "linear"),
        ({"closure": "quadratic"}, "quadratic"),
        ({"closure": "spectral"}, "spectral+fluctuations"),
        ({"theory": "spectral"}, "spectral"),
        ({"theory": "linear+fluctuations"}, "linear+fluctuations"),
    ],
)
def test_the_theory_of_a_grid(named: dict[str, str], theory: str) -> None:
    found = from_tables({**named, "fixed": {"T": 4}, "grid": {"N": [5, 6]}})
    assert str(found.theory) == theory


def test_a_hash_names_all_but_the_values_of_the_axes() -> None:
    tables: dict[str, Any] = {"epochs": [1, 2], "fixed": {"T": 4}, "grid": {"N": [5, 6]}}
    own = from_tables(tables).hash
    assert len(own) == 12
    same = [{"grid": {"N": [5, 9]}}, {"epochs": [2, 1]}, {"theory": "linear"}]
    other = [
        {"fixed": {"T": 5}}, {"epochs": [1]}, {"theory": "quadratic"}, {"training": {"seeds": 1}},
        {"fixed": {}, "grid": {"N": [5, 6], "T": [4]}},
    ]  # fmt: skip
    assert {from_tables({**tables, **each}).hash for each in same} == {own}
    hashes = {from_tables({**tables, **each}).hash for each in other}
    assert len(hashes) == len(other)
    assert own not in hashes


def test_every_value_and_every_pair_of_N_and_K_is_checked() -> None:
    with pytest.raises(ParameterError, match="K must be at most N! = 6"):
        from_tables({"fixed": {"T": 4}, "grid": {"N": [3, 9], "K": [5, 7]}})
    with pytest.raises(ParameterError, match="d_head must be even"):
        from_tables({"fixed": {"T": 4}, "grid": {"N": [3, 9], "d_head": [4, 5]}})
    from_tables({"fixed": {"T": 4}, "grid": {"N": [3, 9], "K": [5, 6]}})
    many = {"from": 3, "to": 2000}
    with pytest.raises(ParameterError, match="K must be at most N! = 6"):
        from_tables({"fixed": {"T": 4}, "grid": {"N": many, "K": many}})
