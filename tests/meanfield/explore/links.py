"""Links as nobody should send them, for the page to survive."""

from __future__ import annotations

import random
from urllib.parse import quote

NAMES = (
    "N", "K", "T", "d_head", "rope_theta", "lr", "qk_variance", "w_init", "rope_spacing", "theory",
    "closure", "epochs",
)  # fmt: skip
STRANGERS = ("__proto__", "constructor", "toString", "hasOwnProperty", "", "n", "start", "<b>", "%")
WORDS = (
    "", " ", "NaN", "Infinity", "-Infinity", "null", "undefined", "true", "[]", "{}", "toString",
    "constructor", "__proto__", "hasOwnProperty", "linear", "quadratic", "spectral", "power",
    "spectral+fluctuations", "per-seed", "<img src=x onerror=alert(1)>", "';alert(1)//", "1e400",
    "-0", "0x10", "1_000", "١٠", "10;", "%00", "a" * 5000, "\u202e", "\x00",
)  # fmt: skip
EXTREMES = (
    "0", "1", "2", "3", "-1", "1e-320", "1e-9", "0.5", "1.01", "2.5", "7", "64", "100", "999",
    "1000", "1001", "1024", "1e4", "1e6", "1e9", "1e308", "9007199254740993",
)  # fmt: skip
THEORIES = ("linear", "quadratic", "spectral", "spectral+fluctuations")


def hostile_links(count: int, *, rng_seed: int = 20260618) -> list[str]:
    """Return hashes: half of them wrong in every way, half of them legal and extreme."""
    rng = random.Random(rng_seed)
    return [_legal(rng) if number % 2 else _wrong(rng) for number in range(count)]


def _wrong(rng: random.Random) -> str:
    pairs = [
        f"{rng.choice(NAMES) if rng.random() < 0.8 else quote(rng.choice(STRANGERS))}="
        f"{quote(rng.choice(WORDS if rng.random() < 0.5 else EXTREMES))}"
        for _ in range(rng.randint(1, 5))
    ]
    joined = rng.choice("&&&&;?#").join(pairs)
    return joined if rng.random() < 0.9 else joined + rng.choice(("%", "%E0%A4", "&&&", "=", "#"))


def _legal(rng: random.Random) -> str:
    def log_uniform(low: float, high: float) -> float:
        return float(low * (high / low) ** rng.random())

    whole = {
        "N": rng.choice((2, 3, round(log_uniform(2, 1000)), 1000)),
        "K": 2,
        "T": rng.choice((2, 3, round(log_uniform(2, 100)))),
        "d_head": 2 * round(log_uniform(1, 40)),
    }
    if whole["N"] > 6:
        whole["K"] = rng.choice((2, round(log_uniform(2, 1000)), 1000))
    real = {
        "rope_theta": log_uniform(1.01, 1e6),
        "lr": log_uniform(1e-4, 1e4),
        "qk_variance": log_uniform(1e-4, 100),
        "w_init": rng.choice((0, log_uniform(1e-6, 100))),
    }
    given = {**whole, **{name: real[name] for name in real if rng.random() < 0.5}}
    given["theory"] = quote(rng.choice(THEORIES), safe="")
    given["rope_spacing"] = rng.choice(("power", "linear"))
    if rng.random() < 0.2:
        given["epochs"] = log_uniform(1e-3, 1e9)
    return "&".join(f"{name}={value}" for name, value in given.items())
