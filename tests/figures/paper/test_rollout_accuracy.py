"""Figure 3: accuracies, simulation and theory."""

from __future__ import annotations

import math

import numpy as np
import pytest

from figures.drawing import Drawn
from figures.paper.rollout_accuracy import draw, rise
from meanfield.compare.statistics import concise, jackknife
from meanfield.predict.prediction import predict
from meanfield.predict.trajectory import Trajectory
from meanfield.theory import Theory
from tests.figures.small_runs import P, assert_no_words_overlap, line_like, trained


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw({"run": trained()})


@pytest.fixture(scope="module")
def theories() -> dict[str, Trajectory]:
    return {
        variances: predict(P, Theory(attention="linear", logits=logits), epochs=trained().epoch)
        for variances, logits in (("theory", "gaussian"), ("constant", "constant"))
    }


def test_points_lines_and_residuals(drawn: Drawn, theories: dict[str, Trajectory]) -> None:
    run = trained()
    for column, (name, measured) in enumerate(
        {"rollout_accuracy": run.rollout_accuracy, "next_token_accuracy": run.test_accuracy}.items()
    ):
        upper, lower = drawn.canvas.axes[column], drawn.canvas.axes[column + 2]
        mean = measured.mean(0)
        assert line_like(upper, mean).get_marker() == "o"
        styles = set()
        for theory in theories.values():
            curve = getattr(theory, name)
            line = line_like(upper, curve)
            styles.add(line.get_linestyle())
            assert line_like(lower, curve - mean).get_linestyle() == line.get_linestyle()
        assert styles == {"-", "--"}


def test_the_constant_deviations_are_those_of_the_start(drawn: Drawn) -> None:
    # sum of W's entries with weights z: E sum_k z_k^2 = 1/T + (1 - 1/T)/K at equal attention
    wanted = math.sqrt(P.w_init**2 / 3 * (1 / P.T + (1 - 1 / P.T) / P.K))
    for name in ("sigma_c", "sigma_o"):
        assert drawn.numbers[name] == pytest.approx(wanted, rel=0.03)
    assert rf"$\sigma_c={drawn.numbers['sigma_c']:.3g}$" in drawn.caption


def passes(epoch: np.ndarray, curve: np.ndarray, level: float) -> float:
    right = int(np.argmax(curve >= level))
    return float(np.interp(level, curve[right - 1 : right + 1], epoch[right - 1 : right + 1]))


def test_the_numbers_said(drawn: Drawn, theories: dict[str, Trajectory]) -> None:
    run = trained()
    measured = run.rollout_accuracy
    theirs = passes(run.epoch, measured.mean(0), 0.5)
    rms, largest = [], []
    for variances, theory in theories.items():
        ours = passes(run.epoch, theory.rollout_accuracy, 0.5)
        assert drawn.numbers["rollout_half_late"][variances] == pytest.approx(ours / theirs - 1)
        off = theory.rollout_accuracy - measured
        rms.append(jackknife(lambda mean: np.sqrt(np.mean(mean**2)), off))
        assert drawn.numbers["rollout_rms"][variances] == pytest.approx(rms[-1].value)
        off = theory.next_token_accuracy - run.test_accuracy
        largest.append(jackknife(lambda mean: np.abs(mean).max(), off))
        assert drawn.numbers["next_token_largest"][variances] == pytest.approx(largest[-1].value)
    rises = [passes(run.epoch, each, 0.75) - passes(run.epoch, each, 0.25) for each in measured]
    assert drawn.numbers["rise_epochs"]["simulation"] == pytest.approx(np.mean(rises))
    assert f"square error is {concise(rms[0])} and {concise(rms[1])}." in drawn.caption
    assert f"off by up to {concise(largest[0])} and {concise(largest[1])}." in drawn.caption
    assert "% early with constant variances." in drawn.caption


def test_rise() -> None:
    epoch, accuracy = np.arange(0.0, 11.0), np.linspace(0.0, 1.0, 11)
    assert rise(epoch, accuracy) == pytest.approx(5)
    assert rise(epoch, accuracy / 2) is None


def test_nothing_overlaps(drawn: Drawn) -> None:
    assert_no_words_overlap(drawn.canvas)
