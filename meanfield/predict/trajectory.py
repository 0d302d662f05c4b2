"""What a prediction is: curves over epochs, the epochs that matter, and ways to write them down."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from meanfield import generated
from meanfield.dynamics import Start
from meanfield.files import reading, writing
from meanfield.parameters import Parameters

Array = NDArray[np.float64]

FORMAT = "meanfield trajectory"
VERSION = 2
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
COARSE = 15  # epochs to the onset below which training lags gradient flow by a tenth or more
TIMES = ("heuristic_end_epoch", "onset_epoch", "rollout_half_epoch", "saturation_epoch")


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """A predicted training run. Arrays are over epochs, all of the same length.

    epoch: number of gradient steps; training time is lr * epoch.
    R, Q, S: order parameters (8), (9). retrieval_error: 1 - R, accurate where R is almost 1.
    margin, loss: mean logit margin and mean-field loss (10). sigma_c, sigma_o: logit deviations.
    next_token_error, rollout_error: one minus the accuracies (17), (18), accurate when tiny.

    rate: prefactor of the closure's G as it was solved, gamma (14) or g_0 (70b), with what the
    thermodynamic limit makes of it; without a closure 1, or the share of the mean size of query and
    key that a typical seed has ("spectral").
    overlap: of the vocabulary, if the loss has the fluctuations of the logits (X8); None without.
    lr_correction: whether gradient steps of size lr were followed, or gradient flow.

    Epochs found on the solution itself, None where the curve ends before:
    heuristic_end_epoch: R has come a tenth of the way from where it starts to 1.
    onset_epoch: R first reaches 1/2. rollout_half_epoch: rollout accuracy first reaches 1/2.
    saturation_epoch: rollout accuracy first reaches 0.99.
    """

    parameters: Parameters
    closure: str
    rate: float
    overlap: float | None
    lr_correction: bool
    variances: str
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

    @property
    def next_token_accuracy(self) -> Array:
        """Probability that the next state is right, given that the current one is (17)."""
        return 1 - self.next_token_error

    @property
    def rollout_accuracy(self) -> Array:
        """Probability that the state is right after T steps of the model's own (18)."""
        return 1 - self.rollout_error

    def phases(self) -> list[str]:
        """Say in plain words what happens when, one sentence a phase."""
        last = f"not within {_number(self.epoch[-1])} epochs"

        def at(epoch: float | None, what: str) -> str:
            if epoch is None:
                return f"{last} ({what})"
            when = f"epoch {_number(epoch)}" if epoch > 0 else "already so at the start"
            return f"{when} ({what})"

        attention = at(self.onset_epoch, "R = 1/2")
        if self.R[-1] < min(self.start.R, 0.5) / 2:
            attention = (
                f"{last}: R falls from {_number(self.start.R)} to {_number(self.R[-1])}, as Q "
                f"starts below S{self._comeback()}"
            )
        half = "rollout accuracy 1/2" + (", chance for N = 2" if self.parameters.N == 2 else "")
        end = self.heuristic_end_epoch
        until = "all along" if end is None else f"to epoch {_number(end)}"
        return [
            f"heuristic        {until} (R near its start, the average action is learned)",
            f"attention onset  {attention}",
            f"rollouts         {at(self.rollout_half_epoch, half)}",
            f"saturation       {at(self.saturation_epoch, 'rollout accuracy 0.99')}",
        ]

    def _comeback(self) -> str:
        """Say whether R returns after its fall, where the closure has a statement on it."""
        if self.closure == "quadratic":
            return " (in the quadratic closure it returns, however late)"  # (X3j)
        kappa = generated.kappa(self.parameters.N, self.parameters.K, self.rate)
        short = self.start.Q - self.start.S - generated.basin_gap_linear(logit(self.start.R), kappa)
        if self.closure == "linear" and short <= 0:  # (X3i)
            return " (in the linear closure it never returns: outside its basin of attraction)"
        return ""

    def caveats(self) -> list[str]:
        """Say in a sentence each what of this prediction is not to be trusted."""
        onset = math.inf if self.onset_epoch is None else self.onset_epoch
        accurate = [each for each in (self.rollout_half_epoch, self.saturation_epoch) if each]
        told = []
        if accurate and min(accurate) < onset and self.variances != "sampled":
            why = {
                "theory": "few actions: the wrong logits are not independent Gaussians",
                "constant": "constant variances leave out the spread that training adds",
            }
            told.append(
                "accuracies before the attention onset are not to be trusted "
                f"({why[self.variances]})"
            )
        if 0 < onset < COARSE:
            told.append(
                f"with the onset at epoch {_number(onset)} the steps are too coarse for gradient "
                "flow: training lags it by about 1.5 epochs, whatever the learning rate"
                if not self.lr_correction
                else f"with the onset at epoch {_number(onset)} the steps are too coarse for a "
                "correction of first order in the learning rate"
            )
        return told

    def table(self, *, rows: int = 11) -> str:
        """Return a compact table of about ``rows`` lines, evenly spread over the epochs."""
        chosen = np.unique(np.linspace(0, len(self.epoch) - 1, rows).round().astype(int))
        head = ("epoch", "R", "Q", "S", "loss", "next token", "rollout")
        curves = (
            self.epoch,
            self.R,
            self.Q,
            self.S,
            self.loss,
            self.next_token_accuracy,
            self.rollout_accuracy,
        )
        lines = ["".join(f"{name:>12}" for name in head)]
        for index in chosen:
            cells = [_number(curves[0][index]), *(_small(curve[index]) for curve in curves[1:])]
            lines.append("".join(f"{cell:>12}" for cell in cells))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain numbers, lists and strings, with the accuracies."""
        return {
            **self._about(),
            **{name: getattr(self, name) for name in TIMES},
            **{name: getattr(self, name).tolist() for name in CURVES},
            "next_token_accuracy": self.next_token_accuracy.tolist(),
            "rollout_accuracy": self.rollout_accuracy.tolist(),
            "caveats": self.caveats(),
        }

    def to_json(self) -> str:
        """Return one line of JSON: to_dict."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def to_csv(self) -> str:
        """Return CSV: a line of names, then one line an epoch; numbers keep all their digits."""
        names = (*CURVES, "next_token_accuracy", "rollout_accuracy")
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(zip(*(getattr(self, name).tolist() for name in names), strict=True))
        return text.getvalue()

    def to_npz(self, path: str | os.PathLike[str]) -> None:
        """Write a self-describing NPZ file (no pickle), whole or not at all."""
        about = {**self._about(), **{name: getattr(self, name) for name in TIMES}}
        arrays = {name: getattr(self, name) for name in CURVES}
        with writing(path) as file:
            np.savez(file, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)

    @classmethod
    def from_npz(cls, path: str | os.PathLike[str]) -> Trajectory:
        """Read what to_npz wrote; FileError, in one sentence, on anything else."""
        with reading(path, "trajectory file") as file:
            about = json.loads(str(file["about"]))
            if about["format"] != FORMAT or about["version"] != VERSION:
                raise ValueError(f"it says {about['format']!r}, version {about['version']}")
            arrays = {name: file[name] for name in CURVES}
            shapes = {array.shape for array in arrays.values()}
            if len(shapes) != 1 or len(next(iter(shapes))) != 1:
                raise ValueError("its curves differ in length")
            if not all(np.all(np.isfinite(array)) for array in arrays.values()):
                raise ValueError("a curve holds values that are not finite")
            return cls(
                parameters=Parameters(**about["parameters"]),
                closure=about["closure"],
                rate=about["rate"],
                overlap=about["overlap"],
                lr_correction=about["lr_correction"],
                variances=about["variances"],
                start=Start(**about["start"]),
                **{name: about[name] for name in TIMES},
                **arrays,
            )

    def _about(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "parameters": asdict(self.parameters),
            "closure": self.closure,
            "rate": self.rate,
            "overlap": self.overlap,
            "lr_correction": self.lr_correction,
            "variances": self.variances,
            "start": asdict(self.start),
            "units": {"epoch": "gradient steps; training time is lr * epoch", "loss": "nats"},
        }


def _number(value: float) -> str:
    """Format a number to four digits or so, without a tail of noughts."""
    return f"{value:.4g}" if abs(value) < 1000 or abs(value) >= 1e7 else f"{value:.0f}"


def _small(value: float) -> str:
    """Format a number of order 1: four decimals, unless that would show a small one as nought."""
    return f"{value:.4f}" if abs(value) >= 1e-3 or value == 0 else f"{value:.2e}"
