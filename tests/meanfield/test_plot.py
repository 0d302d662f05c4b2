import xml.etree.ElementTree as ElementTree
from functools import partial

import pytest

from meanfield import ParameterError, Parameters
from meanfield.errors import FileError
from meanfield.predict import plot, prediction

predict = partial(prediction.predict, closure="linear")  # the paper's, unless a test says otherwise

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def run():
    return predict(Parameters(N=20, T=10), points=101)


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_formats(run, tmp_path, suffix, start):
    plot.plot(run, tmp_path / f"run.{suffix}")
    assert (tmp_path / f"run.{suffix}").read_bytes().startswith(start)


def texts(path):
    root = ElementTree.parse(path).getroot()
    nodes = root.iter("{http://www.w3.org/2000/svg}text")
    text = "".join("".join(node.itertext()) for node in nodes)
    return "".join(text.split())  # mathematics is set letter by letter


def test_what_the_plot_says(run, tmp_path):
    plot.plot(run, tmp_path / "run.svg")
    words = texts(tmp_path / "run.svg")
    for said in (
        "heuristic",
        "attention locks on",
        "saturated",
        "next token",
        "rollout of 10 steps",
        "chance",
        f"epoch {run.onset_epoch:.4g}",
        f"epoch {run.rollout_half_epoch:.4g}",
        "linear closure",
    ):
        assert "".join(said.split()) in words


def test_a_short_run_has_no_phase_it_does_not_reach(tmp_path):
    plot.plot(predict(Parameters(N=20, T=10), epochs=100, points=11), tmp_path / "run.svg")
    words = texts(tmp_path / "run.svg")
    assert "heuristic" in words
    assert "saturated" not in words
    assert "rollout1/2" not in words


def test_other_formats_are_refused(run, tmp_path):
    with pytest.raises(
        ParameterError, match=r"must be a \.png, \.pdf or \.svg file, not .*run\.gif"
    ):
        plot.plot(run, tmp_path / "run.gif")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_plot_leaves_nothing(run, tmp_path, monkeypatch):
    def fail(*_args, **_named):
        raise OSError("disk full")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(FileError, match="cannot be written: disk full"):
        plot.plot(run, tmp_path / "run.png")
    assert list(tmp_path.iterdir()) == []
