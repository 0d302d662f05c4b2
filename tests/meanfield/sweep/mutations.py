"""Seeded random damage: to the text of a grid file, and to a dataset's folder."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np

ODD_VALUES = (
    "nan", "inf", "-inf", "-1", "0", "1e308", "-1e308", "1e-320", "1e400", "9" * 30, "9" * 5000,
    "true", '"N"', '"\\u001b[31mred"', "[]", "[[]]", "[1, 1]", "[nan]", "[2, 3.5]", "{}",
    "{ from = 2 }", "{ from = 2, to = 9e9 }", "{ from = -1e308, to = 1e308, count = 9 }",
    "{ from = 1e-320, to = 1e308, count = 5, spacing = 'log' }", "1979-05-27T07:32:00Z",
    "[" * 3000 + "]" * 3000, "0x7f", "1_000_000_000", "''", "[\"a\", 1]", "{ to = 3, from = 1 }",
)  # fmt: skip
ODD_LINES = (
    "N = [3, 4]", "M = 1", '"\\u001b[2J" = 1', "[grid]", "[fixed]", "[training]", "[[grid]]",
    "closure = 'quadratic'", "theory = 'linear'", "theory = 3", "closure = []", "epochs = [1, 2]",
    "epochs = [1e308]", "epochs = 'x'", "K.a.b = 1", "seeds = '0:2'", "= 5", "\x1b[31m", "# note",
    "w_init = 'zero'", "rope_spacing = 'linear'", "qk_variance = 0.5", "grid = 5", "fixed = []",
)  # fmt: skip
VALUE = re.compile(r"(?<=[=\[,\s])[-+]?\d[\d.]*")
Paths = list[Path]
HUGE = ("999999999999", "0", "-1", "1e9", "null", '"x"', "[]", "true")


def mutated_grid(text: str, rng: np.random.Generator) -> bytes:
    """Return the text with one to three changes, valid or not."""
    for _ in range(rng.integers(1, 4)):
        kind = rng.integers(6)
        lines = text.splitlines()
        line = int(rng.integers(max(1, len(lines))))
        if kind == 0 and (found := list(VALUE.finditer(text))):  # another value
            at = found[rng.integers(len(found))]
            text = text[: at.start()] + str(rng.choice(ODD_VALUES)) + text[at.end() :]
        elif kind == 1:  # a whole value
            changed = lines[line].partition("=")[0] + f"= {rng.choice(ODD_VALUES)}"
            text = "\n".join([*lines[:line], changed, *lines[line + 1 :]])
        elif kind == 2:  # a line more
            text = "\n".join([*lines[:line], str(rng.choice(ODD_LINES)), *lines[line:]])
        elif kind == 3:  # a line less
            text = "\n".join(lines[:line] + lines[line + 1 :])
        elif kind == 4 and text:  # another character
            at = int(rng.integers(len(text)))
            text = (
                text[:at]
                + chr(rng.choice([0, 27, 34, 44, 45, 46, 57, 91, 93, 233, 0x3C0]))
                + (text[at + 1 :])
            )
        else:  # two lines in the other order
            other = int(rng.integers(max(1, len(lines))))
            if lines:
                lines[line], lines[other] = lines[other], lines[line]
            text = "\n".join(lines)
    data = text.encode()
    return data if rng.random() < 0.95 else bytes(rng.permutation(np.frombuffer(data, np.uint8)))


def files_of(path: Path) -> list[Path]:
    return sorted(each for each in path.rglob("*") if each.is_file())


def damage(path: Path, rng: np.random.Generator) -> str:
    """Damage a dataset's folder in one way; return which."""
    files = files_of(path)
    chunks = [each for each in files if each.name[0] != "."]
    documents = [each for each in files if each.name[0] == "."]
    one = files[rng.integers(len(files))]
    kinds = [_flip, _cut, _remove, _swap, _swap_chunks, _number, _no_json, _empty_folder, _folder]
    kind = kinds[rng.integers(len(kinds))]
    if kind in (_flip, _cut) and rng.random() < 0.5:
        one = chunks[rng.integers(len(chunks))]
    if kind in (_number, _no_json):
        one = documents[rng.integers(len(documents))]
    return f"{kind.__name__[1:]} {kind(one, files, rng) or one.relative_to(path)}"


def _flip(one: Path, files: Paths, rng: np.random.Generator) -> None:
    data = bytearray(one.read_bytes())
    for at in rng.integers(0, len(data), rng.integers(1, 4)):
        data[at] ^= 1 << rng.integers(8)
    one.write_bytes(data)


def _cut(one: Path, files: Paths, rng: np.random.Generator) -> None:
    data = one.read_bytes()
    one.write_bytes(data[: rng.integers(len(data))])


def _remove(one: Path, files: Paths, rng: np.random.Generator) -> None:
    one.unlink()


def _swap(one: Path, files: Paths, rng: np.random.Generator) -> str:
    other = files[rng.integers(len(files))]
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    return f"{one.parent.name}/{one.name} {other.parent.name}/{other.name}"


def _swap_chunks(one: Path, files: Paths, rng: np.random.Generator) -> str:
    chunks = [each for each in files if each.name[0] != "."]
    return _swap(chunks[rng.integers(len(chunks))], chunks, rng)


def _number(one: Path, files: Paths, rng: np.random.Generator) -> None:
    """Put something else for a number or a word of a JSON document."""
    text = one.read_text(encoding="utf-8")
    found = list(re.finditer(r'-?\b\d+\b|null|"[^"]*"(?!:)', text))
    at = found[rng.integers(len(found))]
    other = rng.choice([*HUGE, found[rng.integers(len(found))].group()])
    one.write_text(text[: at.start()] + str(other) + text[at.end() :], encoding="utf-8")


def _no_json(one: Path, files: Paths, rng: np.random.Generator) -> None:
    odd = ["", "{}", "[]", "null", "5", "{", "\x1b[31m", "[" * 9000, json.dumps({"shape": 5})]
    one.write_text(str(rng.choice(odd)), encoding="utf-8")


def _empty_folder(one: Path, files: Paths, rng: np.random.Generator) -> None:
    shutil.rmtree(one.parent)
    os.makedirs(one.parent)


def _folder(one: Path, files: Paths, rng: np.random.Generator) -> None:
    one.unlink()
    one.mkdir()
