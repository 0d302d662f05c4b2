"""The command that compares: tables, JSON, a plot, and one sentence for every mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from meanfield.compare import __main__ as cli
from meanfield.compare.comparison import compare
from tests.meanfield.compare.example_measured import STARTS, foreign_file, measured_like
from tests.meanfield.example_run import a_run


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
        "import sys; from meanfield.compare import __main__ as compare;"
        f"compare.main([{str(tmp_path / 'mine.npz')!r}, '--theory', 'linear']);"
        "print({'torch', 'sympy', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.endswith("set()\n"), done.stderr


def test_json_says_what_the_functions_find(tmp_path: Path, capsys) -> None:
    path = foreign_file(tmp_path / "mine.npz")
    assert cli.main([str(path), "--json", "--theory", "quadratic", "--start", "nominal"]) == 0
    (group,) = json.loads(capsys.readouterr().out)
    (found,) = group["comparisons"]
    expected = compare(measured_like(), "quadratic", start="nominal")
    rms = found["deviations"]["S"]["rms_mean"]
    assert rms["value"] == pytest.approx(expected.deviations["S"].rms_mean.value, rel=1e-12)
    late = found["lateness"]["onset_epoch"]["mean"]["value"]
    assert late == pytest.approx(expected.lateness["onset_epoch"].mean.value, rel=1e-12)
    assert group["parameters"]["N"] == 8
    assert group["seeds"] == [0, 1, 2]


def test_a_single_seed_has_no_error_and_json_says_null(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = foreign_file(tmp_path / "one.npz", STARTS[:1])
    cli.main([str(one), "--json", "--theory", "linear,quadratic"])
    (group,) = json.loads(capsys.readouterr().out)
    assert group["comparisons"][1]["deviations"]["R"]["rms_seed"]["error"] is None


def test_flow_is_followed_if_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = a_run(R=np.full((2, 3), 0.4))
    run.save(tmp_path / "run.npz")
    for options, steps in (([], True), (["--flow"], False)):
        cli.main([str(tmp_path), "--json", "--theory", "linear", *options])
        (group,) = json.loads(capsys.readouterr().out)
        assert {each["lr_correction"] for each in group["comparisons"]} == {steps}


def test_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = foreign_file(tmp_path / "mine.npz")
    plot = tmp_path / "c.pdf"
    assert cli.main([str(path), "--theory", "linear,spectral", "--plot", str(plot)]) == 0
    assert plot.read_bytes().startswith(b"%PDF")


def test_what_a_file_lacks_is_noted_and_the_rest_compared(tmp_path: Path, capsys) -> None:
    path = str(foreign_file(tmp_path / "mine.npz"))
    cli.main([path, "--theory", "linear,per-seed", "--start", "measured"])
    printed = capsys.readouterr().out
    assert (
        "without per-seed: per-seed needs q and k of a start, but q is missing (seed 0 of "
        f"{path})" in printed
    )
    assert "linear " in printed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing.npz"], "nothing.npz does not exist"),
        (["{}", "--theory", "cubic"], "the theory must be linear, quadratic, spectral, per-seed"),
        (["{}", "--start", "mean"], 'start must be "measured" or "nominal", not \'mean\''),
        (
            ["{}", "--theory", "per-seed"],
            "nothing can be compared: per-seed needs q and k",
        ),
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
        cli.main([str(path) if each == "{}" else each for each in arguments])
    printed = capsys.readouterr()
    assert (stopped.value.code, printed.out) == (2, "")
    assert told in printed.err
    assert printed.err.count("\n") == 1
