"""A comparison in tables and as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from meanfield.compare.comparison import EVENTS, Comparison, quantities
from meanfield.compare.statistics import Estimate, concise
from meanfield.quantities import QUANTITIES
from meanfield.runs.measured import Measured

LEGEND = """\
Theory minus training, root mean square (rms) or largest over the epochs. 0.037(4) is 0.037 with a
standard error of 0.004 over seeds. seed: of each seed's own curve, averaged; mean: of the curve
averaged over seeds. onset (R = 1/2) and rollout 1/2 (rollout accuracy 1/2): by how much later the
epoch comes in theory."""


def report(measured: Measured, comparisons: Sequence[Comparison]) -> str:
    """Return the parameters and the tables: root mean squares with the events, and the largest."""
    tables = [
        table(comparisons, which, over)
        for over in ("seed", "mean")[: measured.count]  # of one seed the mean is its own curve
        for which in ("rms", "largest")
    ]
    return "\n\n".join(["\n".join([title(measured, comparisons), *measured.notes]), *tables])


def title(measured: Measured, comparisons: Sequence[Comparison]) -> str:
    """Return parameters, seeds, epochs, and what the theory knows, in a line or two."""
    p = measured.parameters
    extra: dict[str, Any] = {
        name: measured.training[name]
        for name in ("n_train", "integrator")
        if name in measured.training
    }
    listed = {**dict(p.items()), **extra}
    values = "  ".join(
        f"{name} = {value:.6g}" if isinstance(value, float) else f"{name} = {value}"
        for name, value in listed.items()
    )
    count = len(measured.seeds)
    seeds = "1 seed" if count == 1 else f"{count} seeds"
    start = " and ".join(dict.fromkeys(each.start for each in comparisons))
    in_steps = any(each.theory.steps for each in comparisons)
    return (
        f"{values}\n{seeds}, {measured.epoch[-1]:.0f} epochs; theory from the {start} start, in "
        f"{'gradient steps' if in_steps else 'gradient flow'}"
    )


def table(comparisons: Sequence[Comparison], which: str, over: str) -> str:
    """Return one table.

    which: "rms", with how late the events come, or "largest". over: "seed", of each seed's own
    curve, or "mean", of the curve averaged over seeds.
    """
    from tabulate import tabulate

    names = quantities(comparisons)
    events = [name for name in EVENTS if name in comparisons[0].lateness and which == "rms"]
    several = len({each.start for each in comparisons}) > 1
    rows = []
    for comparison in comparisons:
        of_curves = (getattr(comparison.deviations[name], f"{which}_{over}") for name in names)
        start = [comparison.start] if several else []
        cells = [*map(concise, of_curves), *(_late(comparison, event, over) for event in events)]
        rows.append([str(comparison.theory), *start, *cells])
    head = [
        f"{which}, {over}",
        *(["start"] if several else []),
        *(QUANTITIES[name].head for name in names),
    ]
    head += [QUANTITIES[name].head for name in events]
    return tabulate(rows, head, tablefmt="simple", disable_numparse=True)


def _late(comparison: Comparison, event: str, over: str) -> str:
    lateness = comparison.lateness[event]
    estimate: Estimate | None = getattr(lateness, over)
    if estimate is None:
        return "not reached"
    relative = concise(
        Estimate(100 * estimate.value, 100 * estimate.error, estimate.seeds), sign=True
    )
    count = len(next(iter(comparison.curves.values())))
    return f"{relative} %" + (f" of {estimate.seeds}" if estimate.seeds < count else "")


def to_dict(measured: Measured, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Return everything as plain numbers, lists and strings; None for what is not there."""
    return _plain(
        {
            "source": measured.source,
            "parameters": asdict(measured.parameters),
            "training": measured.training,
            "seeds": measured.seeds.tolist(),
            "epochs": measured.epoch[-1],
            "notes": list(measured.notes),
            "units": {"deviations": "theory minus training", "lateness": "relative"},
            "comparisons": [
                {
                    "theory": str(each.theory),
                    "start": each.start,
                    "lr_correction": each.theory.steps,
                    "deviations": {name: asdict(d) for name, d in each.deviations.items()},
                    "lateness": {name: asdict(late) for name, late in each.lateness.items()},
                }
                for each in comparisons
            ],
        }
    )


def _plain(value: Any) -> Any:
    """Put None for the numbers that JSON cannot say: what is not there (nan), or is infinite."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
