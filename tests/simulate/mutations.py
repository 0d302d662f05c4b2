"""Run files broken at random: bytes flipped, cut, arrays dropped, reshaped, recast, odd values."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = dict[str, Any]
Rng = np.random.Generator

ODD = (None, "8", "", "\x1b[2J", [], {}, [1], -1, 10**400, float("nan"), float("inf"), -0.5, 1e400)
TYPES = ("float32", "float16", "complex128", "int8", "bool", "U4", "M8[D]", "S3", ">f4", "V8")


def flip(content: bytes, rng: Rng) -> bytes:
    """Flip a bit."""
    changed = bytearray(content)
    changed[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def cut(content: bytes, rng: Rng) -> bytes:
    """Leave out the end, or a piece in the middle."""
    start = int(rng.integers(len(content)))
    end = len(content) if rng.random() < 0.5 else start + int(rng.integers(1, 400))
    return content[:start] + content[end:]


def drop(arrays: Arrays, name: str, rng: Rng) -> None:
    """Leave out an array, or put it under another's name."""
    array = arrays.pop(name)
    if rng.random() < 0.5:
        arrays[str(rng.choice([*arrays, "another", "state/another"]))] = array


def reshape(arrays: Arrays, name: str, rng: Rng) -> None:
    """Give an array another shape: flat, shorter, with one more dimension, transposed, or empty."""
    array = arrays[name]
    one = array[:1] if array.ndim else array[None]
    others = [array.ravel(), one, array[None], array.T, array[..., None], array.ravel()[:0]]
    others = [each for each in others if each.shape != array.shape]
    arrays[name] = others[rng.integers(len(others))]


def recast(arrays: Arrays, name: str, rng: Rng) -> None:
    """Give an array another type, by value or by its bytes."""
    with np.errstate(all="ignore"):
        kind = str(rng.choice(TYPES))
        try:
            arrays[name] = arrays[name].astype(kind)
        except (TypeError, ValueError):
            arrays[name] = np.zeros(arrays[name].shape, kind)


def spoil(arrays: Arrays, name: str, rng: Rng) -> None:
    """Put a number that cannot be in one place: nan, infinity, the largest integer, or -1."""
    array = np.array(arrays[name])
    if array.dtype.kind in "iu" and array.size:
        largest = np.iinfo(array.dtype).max  # which a seed may be
        array.flat[rng.integers(array.size)] = -1 if name == "seeds" else largest
    elif array.dtype.kind == "f" and array.size:
        array.flat[rng.integers(array.size)] = rng.choice([np.nan, np.inf, -np.inf])
    arrays[name] = array


def restate(arrays: Arrays, name: str, rng: Rng) -> None:
    """Put an odd value for one of those that the file says of itself, drop it, or add one."""
    about = json.loads(str(arrays["about"]))
    inside: Any = about
    while True:
        key = str(rng.choice(list(inside)))
        if not (isinstance(inside[key], dict) and inside[key] and rng.random() < 0.8):
            break
        inside = inside[key]
    choice = rng.random()
    if choice < 0.15:
        del inside[key]
    elif choice < 0.3:
        inside[f"{key}\x1b"] = inside[key]
    else:
        inside[key] = ODD[rng.integers(len(ODD))]
    text = json.dumps(about)
    arrays["about"] = np.array(text[: len(text) // 2] if rng.random() < 0.05 else text)


OF_BYTES: tuple[Callable[[bytes, Rng], bytes], ...] = (flip, cut)
OF_ARRAYS: tuple[Callable[[Arrays, str, Rng], None], ...] = (drop, reshape, recast, spoil, restate)
KINDS = tuple(each.__name__ for each in (*OF_BYTES, *OF_ARRAYS))


def mutated(content: bytes, kind: str, rng: Rng) -> bytes:
    """Return a run file's bytes broken in this way."""
    for of_bytes in OF_BYTES:
        if of_bytes.__name__ == kind:
            return of_bytes(content, rng)
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = dict(file)
    change = next(each for each in OF_ARRAYS if each.__name__ == kind)
    change(arrays, str(rng.choice(list(arrays))), rng)
    written = io.BytesIO()
    np.savez(written, **arrays)
    return written.getvalue()
