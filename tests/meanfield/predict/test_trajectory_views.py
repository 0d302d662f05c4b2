"""What a trajectory offers at a prompt: other epochs, a line, a plot, labelled tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from meanfield import ParameterError, Parameters, Start, Theory, Training, Trajectory, predict

DEFAULT = Parameters(N=20, T=10)
P = Parameters(N=8, T=5, K=6, d_head=16)
RUN = predict(P, start=Start(C=0.1), points=21)


def test_at_is_the_solution_itself() -> None:
    again = predict(P, start=Start(C=0.1), epochs=[10.5, 77.0])
    there = RUN.at([10.5, 77.0])
    for name in ("R", "Q", "S", "loss", "next_token_error", "rollout_error", "sigma_c"):
        # the solver's own steps differ where a run ends elsewhere
        assert getattr(there, name) == pytest.approx(getattr(again, name), rel=1e-5), name
    grid = RUN.at(RUN.epoch.reshape(3, 7))
    assert grid.R.shape == (3, 7)
    assert np.array_equal(grid.R.ravel(), RUN.R)
    assert float(RUN.at(RUN.onset_epoch or 0.0).R) == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize("epoch", [-1e-9, RUN.epoch[-1] * 1.001, np.nan])
def test_at_refuses_what_lies_beyond(epoch: float) -> None:
    with pytest.raises(ParameterError, match=f"between 0 and the last one, {RUN.epoch[-1]:g}"):
        RUN.at(epoch)


def test_a_file_knows_its_own_epochs_only(tmp_path: Path) -> None:
    RUN.to_npz(tmp_path / "run.npz")
    back = Trajectory.from_npz(tmp_path / "run.npz")
    assert np.array_equal(back.R, RUN.R)
    with pytest.raises(ParameterError, match="predict it again"):
        back.at(3.0)


def test_one_line_says_what_it_is() -> None:
    line = repr(predict(P, Theory.parse("linear"), epochs=2, points=3))
    assert line == (
        "<Trajectory linear: N = 8, T = 5, K = 6, 3 epochs to 2, attention onset none, 1 caveat>"
    )
    assert f"epoch {RUN.onset_epoch:.4g}>" in repr(RUN)


def test_caveats_go_wherever_it_goes(tmp_path: Path) -> None:
    few = Training(n_train=20)
    run = predict(P, Theory.parse("linear"), points=5, training=few)
    off, scarce = run.caveats
    assert off.startswith("the linear closure is not trusted for the onset epoch: ")
    assert scarce.startswith(
        "n_train = 20 sequences hold 2.1 examples of each action in each state"
    )
    assert run.to_dict()["caveats"] == run.caveats == json.loads(run.to_json())["caveats"]
    run.to_npz(tmp_path / "run.npz")
    back = Trajectory.from_npz(tmp_path / "run.npz")
    assert back.caveats == run.caveats  # of the training too, which the file does not hold
    assert repr(back).endswith(", 2 caveats>")
    assert run.at(3.0).caveats == run.caveats
    pytest.importorskip("xarray")
    assert run.to_xarray().attrs["caveats"] == " ".join(run.caveats)
    caption = " ".join(run.plot().get_supxlabel().split())
    assert caption == "; ".join(run.caveats)
    assert predict(DEFAULT, points=5).plot().get_supxlabel() == ""


def test_a_notebook_shows_a_table_of_it() -> None:
    html = predict(P, Theory.parse("linear"), points=5)._repr_html_()
    assert "<td style='text-align:left'>8</td>" in html
    assert "onset_epoch" in html
    assert "not trusted for the onset epoch" in html


def test_labelled_tables_hold_the_curves() -> None:
    xarray, pandas = pytest.importorskip("xarray"), pytest.importorskip("pandas")
    data, frame = RUN.to_xarray(), RUN.to_dataframe()
    assert isinstance(data, xarray.Dataset)
    assert isinstance(frame, pandas.DataFrame)
    for name in ("R", "Q", "S", "loss", "rollout_accuracy"):
        assert np.array_equal(data[name], getattr(RUN, name))
        assert np.array_equal(frame[name], getattr(RUN, name))
    assert np.array_equal(frame.index, RUN.epoch)
    assert data.R.attrs == {
        "long_name": "attention on the right action", "units": "1", "equations": "(8), (15a)"
    }  # fmt: skip
    assert data.attrs["K"] == 6
    assert data.attrs["theory"] == "spectral+fluctuations"
    assert data.attrs["onset_epoch"] == RUN.onset_epoch


def test_the_plot_shows_the_curves() -> None:
    above, below = RUN.plot().axes
    drawn = [line.get_ydata() for axes in (above, below) for line in axes.get_lines()]
    for name in ("R", "Q", "S", "next_token_accuracy", "rollout_accuracy"):
        assert any(np.array_equal(each, getattr(RUN, name)) for each in drawn), name
