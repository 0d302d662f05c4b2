"""Theory against training in numbers: on curves whose deviations are known, and by command."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from meanfield.compare.words import concise, late
from scipy.special import logit

from meanfield import ParameterError, Parameters
from meanfield.compare import __main__ as compare
from meanfield.compare import comparison
from meanfield.compare.comparison import Estimate, deviation, first_half, jackknife, lateness
from meanfield.predict import prediction
from meanfield.runs.measured import CURVES, Measured

predict = partial(prediction.predict, closure="linear")  # the paper's, unless a test says otherwise

P = Parameters(N=8, T=4)
EPOCH = np.arange(0.0, 160.0, 4.0)
STARTS = [{"Q0": 0.01, "S0": 0.0, "C": 0.05}, {"R0": 0.3, "C": -0.04}, {"R0": 0.2, "Q0": 0.02}]


def measured_like(starts=STARTS, **changed) -> Measured:
    """Curves that follow the linear closure exactly from these starts."""
    runs = [predict(P, epochs=EPOCH, **start) for start in starts]
    values = {
        "source": "made up",
        "parameters": P,
        "training": {},
        "seeds": np.arange(len(runs)),
        "epoch": EPOCH,
        "curves": {name: np.array([getattr(run, name) for run in runs]) for name in CURVES},
        "C": np.array([run.start.C for run in runs]),
    }
    return Measured(**{**values, **changed})


def test_what_follows_the_theory_deviates_nowhere() -> None:
    against = comparison.compare(measured_like())
    for each in against.deviations.values():
        assert each.largest_seed.value < 1e-9
        assert each.largest_mean.value < 1e-9
    for each in against.lateness.values():
        assert each.seed is not None
        assert each.seed.seeds == 3
        assert abs(each.seed.value) < 1e-9
        assert abs(each.mean.value) < 1e-9


def test_each_seed_is_held_against_its_own_start() -> None:
    """The same curves under other seeds' starts are not followed."""
    measured = measured_like()
    turned = replace(
        measured, curves={**measured.curves, "R": np.roll(measured.curves["R"], 1, axis=0)}
    )
    assert comparison.compare(turned).deviations["R"].rms_seed.value > 1e-3


def test_the_nominal_start_knows_the_parameters_alone() -> None:
    measured = measured_like()
    against = comparison.compare(measured, start="nominal")
    nominal = predict(P, epochs=EPOCH)
    for name, curve in against.curves.items():
        np.testing.assert_allclose(curve, np.tile(getattr(nominal, name), (3, 1)), rtol=1e-12)
    gap = nominal.Q - measured.curves["Q"]
    expected = np.sqrt(np.mean(gap**2, axis=1))
    assert against.deviations["Q"].rms_seed.value == pytest.approx(expected.mean(), rel=1e-12)
    of_mean = np.sqrt(np.mean(gap.mean(0) ** 2))
    assert against.deviations["Q"].rms_mean.value == pytest.approx(of_mean, rel=1e-12)


def test_deviations_by_hand() -> None:
    difference = np.array([[3.0, -4.0], [1.0, 0.0]])
    found = deviation(difference)
    assert found.rms_seed.value == pytest.approx((math.sqrt(12.5) + math.sqrt(0.5)) / 2)
    assert found.rms_seed.error == pytest.approx((math.sqrt(12.5) - math.sqrt(0.5)) / 2)
    assert found.largest_seed.value == 2.5
    assert found.rms_mean.value == pytest.approx(2.0)  # of (2, -2)
    assert found.largest_mean.value == 2.0
    assert found.largest_mean.seeds == 2


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=(12, 1))
    found = jackknife(np.mean, values)
    assert found.value == pytest.approx(values.mean())
    assert found.error == pytest.approx(values.std(ddof=1) / math.sqrt(12), rel=1e-12)
    assert math.isnan(jackknife(np.mean, values[:1]).error)


def test_a_theory_that_runs_slower_is_late() -> None:
    """At three quarters of the learning rate every epoch comes a third later."""
    slow = replace(measured_like(), parameters=replace(P, lr=0.75 * P.lr))
    for name, each in comparison.compare(slow).lateness.items():
        assert each.seed.value == pytest.approx(1 / 3, abs=2e-3), name
        assert each.mean.value == pytest.approx(1 / 3, abs=0.02), name
        assert each.spread < 1e-3


def test_theory_may_reach_half_after_the_run_has_ended() -> None:
    short = measured_like()
    end = int(np.argmax(short.curves["R"].min(axis=0) > 0.5)) + 2
    short = replace(
        short,
        parameters=replace(P, lr=P.lr / 2),
        epoch=EPOCH[:end],
        curves={name: curve[:, :end] for name, curve in short.curves.items()},
    )
    assert comparison.compare(short).lateness["onset_epoch"].seed.value == pytest.approx(
        1, abs=0.01
    )


def test_events_that_one_side_does_not_have() -> None:
    rising, flat = np.array([0.1, 0.4, 0.8]), np.array([0.1, 0.2, 0.3])
    epoch = np.array([0.0, 1.0, 2.0])
    found = lateness(epoch, np.array([rising, rising]), epoch, np.array([rising, flat]))
    assert found.seed == Estimate(0.0, pytest.approx(math.nan, nan_ok=True), 1)
    # the mean of both measured curves is at 0.3 and 0.55, theory reaches 1/2 after 1.25 epochs
    assert found.mean is not None
    assert found.mean.value == pytest.approx(1.25 / 1.8 - 1)
    assert math.isnan(found.mean.error)  # without the rising seed there is nothing to compare
    nothing = lateness(epoch, np.array([flat]), epoch, np.array([rising]))
    assert (nothing.seed, nothing.mean) == (None, None)


def test_first_half_is_straight_on_its_scale() -> None:
    epoch = np.array([0.0, 10.0, 20.0, 30.0])
    assert first_half(epoch, np.array([0.0, 0.2, 0.6, 0.1])) == pytest.approx(17.5)
    R = 1 / (1 + np.exp(-(epoch - 17.3)))
    assert first_half(epoch, R, logit) == pytest.approx(17.3, abs=1e-9)
    assert first_half(epoch, np.full(4, 0.7)) == 0.0
    assert math.isnan(first_half(epoch, np.full(4, 0.4)))


def test_another_start_is_refused() -> None:
    with pytest.raises(ParameterError, match="start must be measured or nominal with linear, not"):
        comparison.compare(measured_like(), start="mean")


@pytest.mark.parametrize(
    ("value", "error", "told"),
    [
        (0.03712, 0.0041, "0.037(4)"),
        (0.03712, 0.0014, "0.0371(14)"),
        (0.0999, 0.0951, "0.10(10)"),
        (-12.34, 2.6, "-12(3)"),
        (1234.0, 150.0, "1230(150)"),
        (1234.0, 15.0, "1234(15)"),
        (0.5, 0.0196, "0.50(2)"),
        (0.03712, math.nan, "0.037"),
        (0.0, 0.0, "0"),
        (123.4, math.nan, "120"),
    ],
)
def test_concise(value: float, error: float, told: str) -> None:
    assert concise(Estimate(value, error, 9)) == told


def test_late_in_words() -> None:
    assert late(Estimate(-0.082, 0.031, 4)) == "8(3) % early"
    assert late(Estimate(0.082, 0.011, 4)) == "8.2(11) % late"
    assert late(None) == "beyond the run"


# --- the command ----------------------------------------------------------------------------------


def foreign_file(path: Path) -> Path:
    measured = measured_like()
    np.savez(path, N=P.N, T=P.T, epoch=EPOCH, C=measured.C, **measured.curves)
    return path


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "meanfield.compare", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_prints_tables(tmp_path: Path) -> None:
    few = ["--theory", "linear,quadratic,spectral"]
    done = command(foreign_file(tmp_path / "mine.npz"), *few)
    assert (done.returncode, done.stderr) == (0, "")
    for said in (
        "N = 8  T = 4  K = 8",
        "3 seeds, 156 epochs; theory from the measured and nominal start, in gradient flow",
        "rms, seed",
        "largest, mean",
        "onset",
        "quadratic",
        "spectral",
        "Theory minus training",
    ):
        assert said in done.stdout


def test_the_command_knows_no_torch(tmp_path: Path) -> None:
    foreign_file(tmp_path / "mine.npz")
    program = (
        "import sys; from meanfield import compare;"
        f"compare.main([{str(tmp_path / 'mine.npz')!r}, '--theory', 'linear']);"
        "print({'torch', 'sympy', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.endswith("set()\n"), done.stderr


def test_json_says_what_the_functions_find(tmp_path: Path, capsys) -> None:
    path = foreign_file(tmp_path / "mine.npz")
    assert compare.main([str(path), "--json", "--theory", "quadratic", "--start", "nominal"]) == 0
    (group,) = json.loads(capsys.readouterr().out)
    (found,) = group["comparisons"]
    expected = comparison.compare(measured_like(), theory="quadratic", start="nominal")
    rms = found["deviations"]["S"]["rms_mean"]
    assert rms["value"] == pytest.approx(expected.deviations["S"].rms_mean.value, rel=1e-12)
    late = found["lateness"]["onset_epoch"]["mean"]["value"]
    assert late == pytest.approx(expected.lateness["onset_epoch"].mean.value, rel=1e-12)
    assert group["parameters"]["N"] == 8
    assert group["seeds"] == [0, 1, 2]


def test_a_single_seed_has_no_error_and_json_says_null(tmp_path: Path, capsys) -> None:
    one = measured_like(STARTS[:1])
    np.savez(tmp_path / "one.npz", N=P.N, T=P.T, epoch=EPOCH, C=one.C, **one.curves)
    compare.main([str(tmp_path / "one.npz"), "--json", "--theory", "linear,quadratic"])
    (group,) = json.loads(capsys.readouterr().out)
    assert group["comparisons"][1]["deviations"]["R"]["rms_seed"]["error"] is None


def test_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = foreign_file(tmp_path / "mine.npz")
    for suffix, start in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        done = command(path, "--theory", "linear,spectral", "--plot", tmp_path / f"c.{suffix}")
        assert (done.returncode, done.stderr) == (0, "")
        assert (tmp_path / f"c.{suffix}").read_bytes().startswith(start)


def test_what_a_file_lacks_is_noted_and_the_rest_compared(tmp_path: Path, capsys) -> None:
    path = str(foreign_file(tmp_path / "mine.npz"))
    compare.main([path, "--theory", "linear,per-seed", "--start", "measured"])
    printed = capsys.readouterr().out
    assert f"without per-seed: {path} holds no q and k, which per-seed starts from" in printed
    assert "linear " in printed


def test_a_vocabulary_without_fluctuations_leaves_one_theory_out() -> None:
    tiles = np.array([np.roll(np.arange(8), shift) for shift in range(8)])
    measured = measured_like(permutations=np.array([tiles] * 3))
    assert measured.lacks("per-seed", False).endswith(
        "holds no q and k, which per-seed starts from"
    )
    told = measured.lacks("spectral", True)
    assert told.startswith(
        "seed 0 of made up: overlap must be above 0 and below 1 for N = 8, K = 8"
    )
    assert measured.lacks("spectral", False) == ""


def test_theory_at_one_half_from_the_start_has_no_lateness() -> None:
    epoch = np.array([0.0, 1.0, 2.0])
    rising, high = np.array([[0.1, 0.4, 0.8]]), np.array([[0.6, 0.7, 0.8]])
    for pair in ((high, rising), (rising, high)):
        found = lateness(epoch, pair[0], epoch, pair[1])
        assert (found.seed, found.mean) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing.npz"], "nothing.npz does not exist"),
        (["{}", "--theory", "cubic"], "the theory must be one of linear, quadratic, spectral"),
        (["{}", "--start", "mean"], "start must be measured or nominal, not 'mean'"),
        (["{}", "--theory", "per-seed"], "nothing can be compared: without per-seed: "),
        (["{}", "--theory", "per-seed", "--start", "nominal"], "nothing can be compared"),
        (["{}", "--plot", "c.gif"], "the plot must be a .png, .pdf or .svg file, not c.gif"),
        (["{}", "--plot", "no/c.png"], "no/c.png cannot be written"),
        ([], "the following arguments are required: FILE|FOLDER"),
    ],
)
def test_wrong_input_is_one_sentence(
    tmp_path: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = foreign_file(tmp_path / "mine.npz")
    with pytest.raises(SystemExit) as stopped:
        compare.main([str(path) if each == "{}" else each for each in arguments])
    printed = capsys.readouterr()
    assert (stopped.value.code, printed.out) == (2, "")
    assert told in printed.err
    assert printed.err.count("\n") == 1
