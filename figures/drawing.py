"""What a figure is: its name, the trainings it needs, how it is drawn, and the files it becomes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figures.batches import REMEDY, Batch, load
from meanfield import style
from meanfield.compare.statistics import Estimate
from meanfield.files import writing
from meanfield.predict.scaling import Exponent
from meanfield.runs.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

FORMATS = (".pdf", ".png")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A drawn figure.

    caption: what is seen, with the numbers, in plain words and $mathematics$.
    closures: of the theory curves. numbers: what was measured on the way, by name.
    caveats: what of the theory curves is not to be trusted, a sentence each.
    """

    canvas: Canvas
    caption: str
    closures: tuple[str, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    caveats: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of the list.

    name: of its files, and on the command line. title: in a line. source: where in the paper it
    stands, or "beyond the paper".
    batches: the trainings it needs, by a name of its own, at full or quick sizes.
    draw: from their run files to a drawn figure; it reads and writes nothing else.
    """

    name: str
    title: str
    source: str
    batches: Callable[..., Mapping[str, Batch]]
    draw: Callable[[Mapping[str, Run]], Drawn]


def values(numbers: Any) -> Any:
    """Return numbers with every estimate in them as its value alone, for ``Drawn.numbers``."""
    return _plain(numbers, lambda estimate: estimate.value)


def with_errors(numbers: Any) -> Any:
    """Return the same with value and standard error of each; None for what is not there."""

    def both(estimate: Any) -> dict[str, float | None]:
        pair = {"value": estimate.value, "error": estimate.error}
        return {name: each if math.isfinite(each) else None for name, each in pair.items()}

    return _plain(numbers, both)


def _plain(numbers: Any, said: Callable[[Any], Any]) -> Any:
    if isinstance(numbers, Mapping):
        return {name: _plain(each, said) for name, each in numbers.items()}
    if isinstance(numbers, list):
        return [_plain(each, said) for each in numbers]
    return said(numbers) if isinstance(numbers, Estimate | Exponent) else numbers


@dataclass(frozen=True)
class Sheet:
    """A figure ready to be written. about: all about it, as JSON."""

    name: str
    canvas: Canvas
    about: str

    def write(self, out: Path) -> list[Path]:
        """Write the figure as PDF and PNG, with all about it as JSON; return the paths.

        Raises FileError if the folder does not take them.
        """
        *pictures, beside = [out / f"{self.name}{suffix}" for suffix in (*FORMATS, ".json")]
        for path in pictures:
            style.save(self.canvas, path)
        with writing(beside) as file:
            file.write(self.about.encode())
        return [*pictures, beside]


def sheet(figure: Figure, *, data: Path, quick: bool, remedy: str = REMEDY) -> Sheet:
    """Draw a figure from the run files in a folder, and write nothing.

    remedy: the command that trains what is missing. Raises FileError if a run file is missing or
    broken.
    """
    batches = figure.batches(quick=quick)
    runs = load(batches, data, remedy=remedy)
    drawn = figure.draw(runs)
    beware = "".join(f" Beware: {each}." for each in dict.fromkeys(drawn.caveats))
    about = {
        "figure": figure.name,
        "title": figure.title,
        "source": figure.source,
        "caption": drawn.caption + beware,
        "caveats": list(dict.fromkeys(drawn.caveats)),
        "closures": drawn.closures,
        "numbers": drawn.numbers,
        "runs": {
            name: {
                "file": batches[name].file,
                "parameters": asdict(run.parameters),
                "training": run.training,
                "seeds": run.seeds.tolist(),
                "made_with": run.made_with,
            }
            for name, run in runs.items()
        },
    }
    return Sheet(figure.name, drawn.canvas, json.dumps(about, indent=2, allow_nan=False) + "\n")
