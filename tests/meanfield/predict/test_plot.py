"""The plot of a prediction: its formats, its words, and nothing left behind when it fails."""

import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pytest

from meanfield import FileError, ParameterError, Parameters, Theory, predict
from meanfield.predict import plot

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def run():
    return predict(Parameters(N=20, T=10), "linear", points=101)


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
        "linear",
    ):
        assert "".join(said.split()) in words


def test_a_short_run_has_no_phase_it_does_not_reach(tmp_path):
    short = predict(Parameters(N=20, T=10), "linear", epochs=100, points=11)
    plot.plot(short, tmp_path / "run.svg")
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


def test_the_title_says_which_theory(tmp_path):
    theory = Theory.parse("spectral+fluctuations")
    run = predict(Parameters(N=9, K=5, T=6, d_head=16), theory, epochs=60, points=5)
    plot.plot(run, tmp_path / "run.svg")
    words = texts(tmp_path / "run.svg")
    assert "ropebase10,lr2,spectral+fluctuations" in words.lower()


def test_phases_are_named_where_there_is_room(run):
    class Axes:
        def __init__(self):
            self.words = []

        def annotate(self, words, place, **_):
            self.words.append((words, place[0]))

        def get_xaxis_transform(self):
            return None

    last = run.epoch[-1]
    for width, wanted in (
        (5.6, ["heuristic", "attention locks on", "saturated"]),
        (2.5, ["heuristic", "locks on", "saturated"]),
        (2.0, ["heuristic", "locks on"]),
        (0.1, []),
    ):
        axes = Axes()
        ends = plot.phases(axes, run, width=width)
        assert ends == (run.heuristic_end_epoch, run.saturation_epoch)
        assert [words for words, _ in axes.words] == wanted, axes.words
        if wanted:
            assert axes.words[0][1] == pytest.approx(run.heuristic_end_epoch / 2)
    short = SimpleNamespace(epoch=run.epoch, heuristic_end_epoch=None, saturation_epoch=None)
    assert plot.phases(Axes(), short, width=1.0) == (last, last)
