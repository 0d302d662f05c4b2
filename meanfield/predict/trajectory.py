"""What a prediction is: curves over epochs, the epochs that matter, and ways to write them down."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import notebook
from meanfield.checks import nonnegative
from meanfield.errors import ParameterError
from meanfield.files import printable, reading, writing
from meanfield.parameters import Parameters
from meanfield.predict.plot import draw
from meanfield.predict.spread import Spread, onset_spread
from meanfield.predict.trust import Grounds, caveats, trust
from meanfield.quantities import QUANTITIES
from meanfield.runs.schema import Kind, described, keys, mapping, part
from meanfield.start import Start
from meanfield.theory import OwnClosure, Theory
from meanfield.training import Training

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

FORMAT = "meanfield trajectory"
VERSION = 3
OWN = "G = "  # before the text of a closure of the user's own
CURVES = (
    "epoch",
    "R",
    "retrieval_error",
    "Q",
    "S",
    "margin",
    "loss",
    "sigma_c",
    "sigma_o",
    "next_token_error",
    "rollout_error",
)
NUMBER, SHARE = Kind(shape="E"), Kind(shape="E", least=0, most=1)
KINDS = {
    **dict.fromkeys(CURVES, NUMBER),
    **dict.fromkeys(("R", "retrieval_error", "next_token_error", "rollout_error"), SHARE),
    **dict.fromkeys(("sigma_c", "sigma_o"), Kind(shape="E", least=0)),
}
ACCURACIES = ("next_token_accuracy", "rollout_accuracy")
TIMES = ("heuristic_end_epoch", "onset_epoch", "rollout_half_epoch", "saturation_epoch")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Trajectory:
    """A predicted training run. Arrays are over epochs, all of the same length.

    epoch: number of gradient steps; training time is lr * epoch.
    R, Q, S: order parameters (8), (9). retrieval_error: 1 - R, accurate where R is almost 1.
    margin: of the mean logits (12b). loss: that of the theory, (10) or (X8d), in nats.
    sigma_c, sigma_o: deviations of the logits.
    next_token_error, rollout_error: one minus the accuracies (17), (18), accurate when tiny.
    start: where it started, every number told. training: how the run is trained, if it was said.

    Epochs found on the solution itself, None where the curve ends before:
    heuristic_end_epoch: R has come a tenth of the way from where it starts to 1.
    onset_epoch: R first reaches 1/2. rollout_half_epoch: rollout accuracy first reaches 1/2.
    saturation_epoch: rollout accuracy first reaches 0.99.
    """

    parameters: Parameters
    theory: Theory
    start: Start
    epoch: Array
    R: Array
    retrieval_error: Array
    Q: Array
    S: Array
    margin: Array
    loss: Array
    sigma_c: Array
    sigma_o: Array
    next_token_error: Array
    rollout_error: Array
    heuristic_end_epoch: float | None
    onset_epoch: float | None
    rollout_half_epoch: float | None
    saturation_epoch: float | None
    training: Training | None = None
    evaluate: Callable[[Array], dict[str, Any]] | None = None  # the solution itself, not in files
    told: tuple[str, ...] | None = None  # the caveats of a file

    def __repr__(self) -> str:
        """Return what was predicted of what, in a line."""
        sizes = ", ".join(f"{name} = {getattr(self.parameters, name)}" for name in "NTK")
        onset = "none" if self.onset_epoch is None else f"epoch {self.onset_epoch:.4g}"
        count = len(self.caveats)
        told = f", {count} caveat{'s' * (count > 1)}" if count else ""
        return (
            f"<Trajectory {self.theory}: {sizes}, {np.size(self.epoch)} epochs to "
            f"{np.max(self.epoch):g}, attention onset {onset}{told}>"
        )

    def _repr_html_(self) -> str:
        """Return parameters, events and caveats as a table for a notebook."""
        events = ((name, getattr(self, name)) for name in TIMES)
        rows = [*self.parameters.items(), *((name, "-" if x is None else x) for name, x in events)]
        return notebook.table(f"{self.theory}", rows, self.caveats)

    def at(self, epoch: ArrayLike) -> Trajectory:
        """Return the same prediction at other epochs: a number, or an array of any shape.

        Raises ParameterError for epochs beyond the curve, or if it was read from a file.
        """
        wanted, end = np.asarray(epoch, float), np.max(self.epoch)
        if self.evaluate is None:
            raise ParameterError(
                "a prediction read from a file knows its own epochs only: predict it again"
            )
        if not np.all((wanted >= 0) & (wanted <= end)):
            raise ParameterError(f"epoch must lie between 0 and the last one, {end:g}")
        return replace(self, epoch=wanted[()], **self.evaluate(wanted))

    def plot(self) -> Figure:
        """Return a matplotlib figure: order parameters above, accuracies below, phases marked."""
        return draw(self)

    def to_xarray(self) -> xarray.Dataset:
        """Return a labelled dataset over the epochs, with what it is in the attributes."""
        import xarray

        variables = {
            name: ("epoch", getattr(self, name), QUANTITIES[name].attributes)
            for name in (*CURVES[1:], *ACCURACIES)
        }
        about = {**dict(self.parameters.items()), "theory": str(self.theory)}
        events = {name: getattr(self, name) for name in TIMES}
        known = {name: value for name, value in events.items() if value is not None}
        epochs = {"epoch": ("epoch", self.epoch, QUANTITIES["epoch"].attributes)}
        attributes = {**about, **known, "caveats": " ".join(self.caveats)}
        return xarray.Dataset(variables, epochs, attributes)

    def to_dataframe(self) -> pandas.DataFrame:
        """Return a table with a row for each epoch."""
        import pandas

        columns = {name: getattr(self, name) for name in (*CURVES, *ACCURACIES)}
        return pandas.DataFrame(columns).set_index("epoch")

    @cached_property
    def caveats(self) -> list[str]:
        """What of it is not to be trusted, a sentence each; judged when first asked for."""
        return caveats(self._grounds) if self.told is None else list(self.told)

    @cached_property
    def trust(self) -> tuple[str, ...]:
        """What its attention is and how that was judged, a sentence each."""
        return trust(self._grounds)

    @property
    def spreads(self) -> bool:
        """Whether it is of a typical seed, about which others spread."""
        return not self.theory.closed and not self.theory.of_one_seed

    def spread(self, **options: Any) -> Spread | None:
        """Return how the onset spreads over seeds, None unless a typical one is followed.

        That may take long. options: samples and bar of ``onset_spread``.
        """
        if not self.spreads:
            return None
        return onset_spread(self.parameters, self.theory, overlap=self.start.overlap, **options)

    @property
    def _grounds(self) -> Grounds:
        return Grounds(
            theory=self.theory,
            parameters=self.parameters,
            start=self.start,
            training=self.training,
            onset_epoch=self.onset_epoch,
            accurate_epochs=(self.rollout_half_epoch, self.saturation_epoch),
        )

    @property
    def next_token_accuracy(self) -> Array:
        """Probability that the next state is right, given that the current one is (17)."""
        return 1 - self.next_token_error

    @property
    def rollout_accuracy(self) -> Array:
        """Probability that the state is right after T steps of the model's own (18)."""
        return 1 - self.rollout_error

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain numbers, lists and strings, with the accuracies."""
        return {
            **self._about(),
            **{name: getattr(self, name) for name in TIMES},
            **{name: getattr(self, name).tolist() for name in CURVES},
            **{name: getattr(self, name).tolist() for name in ACCURACIES},
            "caveats": self.caveats,
        }

    def to_json(self) -> str:
        """Return one line of JSON: to_dict."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def to_csv(self) -> str:
        """Return CSV: a line of names, then one line an epoch; numbers keep all their digits."""
        names = (*CURVES, *ACCURACIES)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(zip(*(getattr(self, name).tolist() for name in names), strict=True))
        return text.getvalue()

    def to_npz(self, path: str | os.PathLike[str]) -> None:
        """Write a self-describing NPZ file (no pickle), whole or not at all."""
        events = {name: getattr(self, name) for name in TIMES}
        about = {**self._about(), **events, "caveats": self.caveats}
        arrays = {name: getattr(self, name) for name in CURVES}
        with writing(path) as file:
            np.savez(file, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)

    @classmethod
    def from_npz(cls, path: str | os.PathLike[str]) -> Trajectory:
        """Read what to_npz wrote; FileError, in one sentence, on anything else."""
        with reading(path, "trajectory file") as file:
            return cls(**_checked(file))

    def _about(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "parameters": asdict(self.parameters),
            "theory": {**vars(self.theory), "attention": _text(self.theory)},
            "start": {name: getattr(self.start, name) for name in (*"RQSC", "overlap")},
            "units": {
                **{name: QUANTITIES[name].unit for name in CURVES},
                "epoch": QUANTITIES["epoch"].says,
            },
        }


def _text(theory: Theory) -> str:
    own = theory.attention
    return f"{OWN}{own.text}" if isinstance(own, OwnClosure) else str(own)


def _checked(file: Mapping[str, Array]) -> dict[str, Any]:
    """Return every field of a file's trajectory; ParameterError for one that cannot be."""
    about, sizes = described(file, FORMAT, VERSION), dict[str, int]()
    arrays = {name: file[name] for name in CURVES}
    for name, kind in KINDS.items():
        kind.check(name, arrays[name], sizes)
        kind.check_values(name, arrays[name])
    if not sizes["E"] or arrays["epoch"][0] != 0 or np.any(np.diff(arrays["epoch"]) <= 0):
        raise ParameterError("its epochs do not increase from 0")
    names = [each.name for each in fields(Parameters)]
    parameters = Parameters(**keys("parameters", part(about, "parameters"), names))
    start = Start(**keys("start", part(about, "start"), (*"RQSC", "overlap")))
    start.resolved(parameters)
    times = {name: part(about, name) for name in TIMES}
    for name, epoch in times.items():
        if epoch is not None:
            nonnegative(name, epoch)
    theory = _theory(mapping("theory", part(about, "theory")))
    told = part(about, "caveats")
    if not isinstance(told, list) or not all(isinstance(each, str) for each in told):
        raise ParameterError("its caveats must be sentences")
    return {
        "parameters": parameters, "theory": theory, "start": start, **times, **arrays,
        "told": tuple(map(printable, told)),
    }  # fmt: skip


def _theory(about: dict[str, Any]) -> Theory:
    """Return the theory of a file; of a closure of the user's own only the text is kept."""
    plain = {name: value for name, value in about.items() if value is not None}
    may_be_null = {each.name for each in fields(Theory) if each.default is None}
    keys("theory", plain, {each.name for each in fields(Theory)} - (may_be_null - set(plain)))
    attention = about["attention"]
    if not isinstance(attention, str) or not isinstance(about["logits"], str):
        raise ParameterError("the attention and the logits of its theory must be names")
    if attention.startswith(OWN):
        attention = OwnClosure(attention.removeprefix(OWN))
    return Theory(**{**about, "attention": attention})
