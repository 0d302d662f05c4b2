"""The command that predicts: every option reaches the prediction, every mistake is one sentence."""

import csv
import dataclasses
import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import meanfield
from meanfield import Parameters, Start, Theory, Trajectory, predict
from meanfield.attention.typical import draw
from meanfield.predict import __main__ as cli
from meanfield.predict import trajectory
from meanfield.predict.spread import Spread
from meanfield.runs import run as runs
from meanfield.start import vocabulary_overlap
from tests.meanfield.example_run import training

SMALL = ["--N", "20", "--T", "10"]


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "meanfield.predict", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_prints_a_report_and_no_warning():
    done = command(*SMALL, "--closure", "linear")
    assert (done.returncode, done.stderr) == (0, "")
    for said in (
        "N = 20",
        "gamma = 0.0348689",
        "g_0 = 0.387432",
        "C = 0",
        "theory linear",
        "trusted only for the onset epoch: 6% late (quadratic: 18% early)",
        "judged from the nominal start against softmax attention from its mean start",
        "heuristic",
        "attention onset  epoch 320.7 (R = 1/2)",
        "rollouts         epoch 373.8 (rollout accuracy 1/2)",
        "R0 = 0.1  Q0 = 0  S0 = 0  C = 0",
        "saturation ",
        "next token",
    ):
        assert said in done.stdout, said
    assert 18 <= len(done.stdout.splitlines()) <= 30


def test_module_and_function_share_a_name_in_peace():
    code = """
import sys
from meanfield import Parameters, predict
from meanfield.predict import __main__ as cli
from meanfield.predict import trajectory
from meanfield.predict.spread import Spread
from meanfield.predict.prediction import predict as same
assert predict is same
import meanfield.predict
from meanfield import predict
assert predict is same and callable(predict)
assert cli.main(["--N", "20", "--T", "10", "--json"]) == 0
heavy = {"torch", "sympy", "matplotlib", "scipy.stats"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert callable(meanfield.predict)


def test_json_is_all_that_is_printed(capsys):
    arguments = [*SMALL, "--closure", "linear", "--json", "--points", "5", "--epochs", "400"]
    assert cli.main(arguments) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["epoch"] == [0, 100, 200, 300, 400]
    assert len(values["R"]) == 5
    assert values["trust"].startswith("trusted only for the onset epoch: 6% late (quadratic: ")
    assert "judged from the nominal start against" in values["trust"]
    assert values["caveats"] == []


def test_csv_is_all_that_is_printed(capsys):
    assert cli.main([*SMALL, "--csv", "--points", "5", "--epochs", "400"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["epoch"]) for row in rows] == [0, 100, 200, 300, 400]
    assert float(rows[0]["R"]) == pytest.approx(0.1)


def test_every_option_reaches_the_prediction(capsys):
    arguments = (
        "--N 12 --T 6 --K 9 --d-head 32 --rope-theta 50 --rope-spacing linear --lr 0.5 "
        "--qk-variance 0.5 --w-init 0.1 --closure quadratic --epochs 300 --points 4 "
        "--variances constant --sigma-c 0.3 --sigma-o 0.2 --R0 0.2 --Q0 0.1 --S0 0.05 --C 0.7"
    )
    assert cli.main([*arguments.split(), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["parameters"] == {
        "N": 12,
        "T": 6,
        "K": 9,
        "d_head": 32,
        "rope_theta": 50.0,
        "rope_spacing": "linear",
        "lr": 0.5,
        "qk_variance": 0.5,
        "w_init": 0.1,
    }
    assert values["start"] == {"R": 0.2, "Q": 0.1, "S": 0.05, "C": 0.7, "overlap": 1 / 12}
    assert values["theory"] == {
        "attention": "quadratic",
        "loss": "mean-field",
        "logits": "constant",
        "steps": False,
        "sigma_c": 0.3,
        "sigma_o": 0.2,
        "thermodynamic_limit": False,
    }
    assert values["epoch"] == [0, 100, 200, 300]
    assert values["sigma_c"] == [0.3] * 4
    assert values["sigma_o"] == [0.2] * 4
    # each of them matters
    for more in ("--thermodynamic-limit", "--steps"):
        assert cli.main([*arguments.split(), "--json", more]) == 0
        assert json.loads(capsys.readouterr().out)["R"][-1] != values["R"][-1]
    with_overlap = ["--fluctuations", "--overlap", "0.2"]
    assert cli.main([*arguments.split(), "--json", *with_overlap]) == 0
    changed = json.loads(capsys.readouterr().out)
    assert changed["start"]["overlap"] == 0.2
    assert changed["theory"]["loss"] == "fluctuations"
    assert changed["S"][-1] != values["S"][-1]


@pytest.mark.parametrize(
    ("options", "theory"),
    [
        ("", "spectral+fluctuations"),
        ("--closure spectral", "spectral+fluctuations"),
        ("--no-fluctuations", "spectral"),
        ("--closure spectral --no-fluctuations", "spectral"),
        ("--closure linear", "linear"),
        ("--closure linear --no-fluctuations", "linear"),
        ("--closure quadratic --fluctuations", "quadratic+fluctuations"),
        ("--theory linear", "linear"),
        ("--theory spectral", "spectral"),
        ("--theory linear+fluctuations", "linear+fluctuations"),
    ],
)
def test_a_theory_by_its_name_or_by_its_parts(options, theory, capsys):
    arguments = ["--N", "8", "--T", "4", "--d-head", "16", "--epochs", "60", "--points", "3"]
    assert cli.main([*arguments, "--samples", "2", *options.split()]) == 0
    assert f"theory {theory}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "same"),
    [("--lr-correction", "--steps"), ("--variances sampled", "--logits sampled"),
     ("--variances theory", "--logits gaussian"), ("--logits theory", "")],
)  # fmt: skip
def test_options_have_their_older_names_too(options, same, capsys):
    printed = []
    for more in (options, same):
        arguments = ["--closure", "linear", "--epochs", "300", "--points", "4", *more.split()]
        assert cli.main([*SMALL, *arguments, "--json"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_a_measured_start_and_a_caveat_are_told(capsys):
    few = ["--N", "10", "--K", "2", "--T", "10", "--closure", "linear"]
    assert cli.main([*few, "--R0", "0.11"]) == 0
    printed = capsys.readouterr().out
    assert "judged from the nominal start, not the one given, against" in printed
    assert "caveats\n  the linear closure is not trusted for the onset epoch: 30% late" in printed
    assert "\n  accuracies before the attention onset are not to be trusted" in printed
    assert cli.main([*few, "--json"]) == 0
    _, caveat = json.loads(capsys.readouterr().out)["caveats"]
    assert "few actions: the wrong logits are not independent Gaussians" in caveat


def test_files_are_written(tmp_path, capsys):
    npz, svg = tmp_path / "run.npz", tmp_path / "run.svg"
    assert cli.main([*SMALL, "--points", "9", "--npz", str(npz), "--plot", str(svg)]) == 0
    assert "attention onset" in capsys.readouterr().out
    assert len(Trajectory.from_npz(npz).R) == 9
    assert "<svg" in svg.read_text()
    assert sorted(os.listdir(tmp_path)) == ["run.npz", "run.svg"]


def test_spectral_tells_the_spread_over_seeds(capsys):
    assert cli.main([*SMALL, "--samples", "50"]) == 0  # the default closure
    printed = capsys.readouterr().out
    assert "theory spectral+fluctuations\n" in printed
    assert "  softmax attention of a typical seed, no closure" in printed
    told = re.search(r"80 % of seeds between epoch (\d+) and (\d+), median \d+ \(50 drawn", printed)
    onset = re.search(r"attention onset  epoch ([\d.]+) ", printed)
    low, high = map(int, told.groups())
    assert 220 < low < 280 < float(onset[1]) < 330 < high < 430
    assert cli.main([*SMALL, "--closure", "spectral", "--samples", "50", "--json"]) == 0
    assert told[0] in json.loads(capsys.readouterr().out)["trust"]


@pytest.fixture(scope="module")
def run_file(tmp_path_factory):
    """A file of two seeds, 3 and 5, as training writes it; what is not used is zero."""
    p, epochs = Parameters(N=5, T=4, d_head=6, lr=0.5), np.array([0, 1])
    q, k = draw(p, 2)
    zeros = {name: np.zeros((2, 2)) for name in runs.MEASURED}
    zeros |= {"R": np.full((2, 2), 0.25), "Q": np.full((2, 2), 0.1), "C": np.full((2, 2), 0.3)}
    run = runs.Run(
        parameters=p,
        training=training(train_epochs=1),
        seeds=np.array([3, 5]),
        epoch=epochs,
        **zeros,
        attention=np.zeros((2, 2, 4, 4)),
        permutations=np.array([[np.roll(range(5), (1, 3, 1, 0, 2)[k]) for k in range(5)]] * 2),
        q_start=q,
        k_start=k,
        q_end=q,
        k_end=k,
        W_end=np.full((2, 5, 5, 5), 0.1),
    )
    path = tmp_path_factory.mktemp("runs") / "run.npz"
    run.save(path)
    return str(path)


@pytest.mark.parametrize(
    "name", ["per-seed+fluctuations", "per-seed", "spectral+fluctuations", "linear"]
)
def test_a_seed_of_a_run_file_is_the_start(run_file, name, capsys):
    run = runs.read_run(run_file)
    arguments = ["--run", run_file, "--seed", "5", "--theory", name, "--epochs", "400"]
    assert cli.main([*arguments, "--json", "--steps", "--points", "5"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["parameters"]["lr"] == 0.5
    assert (values["start"]["Q"], values["start"]["S"], values["start"]["C"]) == (0.1, 0.0, 0.3)
    known = {"Q": 0.1, "S": 0.0, "C": 0.3}
    if "per-seed" in name:
        known |= {"q": run.q_start[1], "k": run.k_start[1]}
    if "fluctuations" in name:
        known["overlap"] = float(vocabulary_overlap(run.permutations[1]))
        assert values["start"]["overlap"] == known["overlap"] != 0.2
    if name == "linear":
        known["R"] = 0.25
    theory = Theory.parse(name, steps=True)
    own = predict(run.parameters, theory, start=Start(**known), epochs=400, points=5)
    assert values["R"] == own.R.tolist()
    assert values["S"] == own.S.tolist()


def test_a_run_that_the_theory_is_not_about_is_refused(run_file, tmp_path, capsys):
    run = dataclasses.replace(
        runs.read_run(run_file), training=training(train_epochs=1, optimizer="adamw")
    )
    run.save(tmp_path / "adamw.npz")
    with pytest.raises(SystemExit):
        cli.main(["--run", str(tmp_path / "adamw.npz"), "--seed", "5"])
    said = capsys.readouterr().err
    assert "optimizer = 'adamw' is not covered: the theory is about optimizer = 'sgd'" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "holds the seeds 3, 5: name one with --seed"),
        ("--seed 4", "which holds the seeds 3, 5, not 4"),
        ("--seed 5 --d-head 8", "--d-head cannot be given with --run, whose file says it"),
        ("--seed 5 --Q0 0.1", "--Q0 cannot be given with --run, whose file says it"),
        ("--seed 5 --overlap 0.1", "--overlap cannot be given with --run, whose file says it"),
    ],
)
def test_wrong_use_of_a_run_file_is_one_sentence(run_file, arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--run", run_file, "--theory", "per-seed", *arguments.split()])
    assert stopped.value.code == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert words in printed.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--N 20 --T 10 --seed 3", "--seed 3 needs --run, the file the seed is in"),
        ("--N 20 --T 10 --samples 1", "samples must be between 2 and 1000000000, not 1"),
        (
            "--N 20 --T 10 --samples 1000000000",
            "samples = 1000000000 would take 954 GiB of memory; at most 1048576 are allowed",
        ),
        (
            "--N 20 --T 10 --points 1000000000",
            "points = 1000000000 would take 931 GiB of memory; at most 1073741 are allowed",
        ),
        ("--run no.npz --seed 3", "no.npz"),
        ("--run . --seed 3", ". is a folder: name one run file in it"),
        (
            "--N 20 --T 10 --closure per-seed",
            "per-seed+fluctuations follows one seed, whose query and key it starts from: name it "
            "by --run FILE --seed S",
        ),
        (
            "--N 20 --T 10 --theory linear --no-fluctuations",
            "--theory linear says it all: leave out --closure and --fluctuations",
        ),
        (
            "--N 20 --T 10 --theory linear --closure linear",
            "--theory linear says it all: leave out --closure and --fluctuations",
        ),
        (
            "--N 20 --T 10 --closure linear --fluctuations --steps",
            "linear+fluctuations: a closure can be followed in gradient steps down the mean-field",
        ),
        ("--N 20 --T 10 --sigma-c 0.1", "spectral: sigma_c and sigma_o may only be given with"),
        ("--N 20 --T 10 --R0 0.1", "R may not be given: spectral+fluctuations does not read it, "),
        (
            "--N 20 --T 10 --logits fitted",
            'the logits of a theory must be "gaussian", "constant" or "sampled", not \'fitted\'',
        ),
        ("--N 1 --T 10", "N must be between 2 and 1000000000, not 1"),
        ("--N 20 --T 1", "T must be between 2 and 1000000000, not 1"),
        (
            "--N 3 --T 10 --K 7",
            "K must be at most N! = 6, the number of permutations of N = 3 states, not 7",
        ),
        (
            "--N 20 --T 10 --d-head 63",
            "d_head must be even, as RoPE turns pairs of components, not 63",
        ),
        ("--N 20 --T 10 --rope-theta 0", "rope_theta must be greater than 0, not 0.0"),
        ("--N 20 --T 10 --rope-theta -2", "rope_theta must be greater than 0, not -2.0"),
        ("--N 20 --T 10 --lr nan", "lr must be a finite number, not nan"),
        ("--N 20 --T 10 --epochs -5", "epochs must be greater than 0, not -5.0"),
        (
            "--N 20 --T 10 --closure cubic",
            "the theory must be linear, quadratic, spectral, per-seed, alone or with "
            "+fluctuations, not 'cubic'",
        ),
        ("--N 20 --T 10 --points 0", "points must be between 2 and 1000000000, not 0"),
        (
            "--N 20 --T 10 --npz no/such/run.npz",
            "no/such/run.npz cannot be written; name a file in a "
            "folder that exists and that you may write to",
        ),
        ("--N 20 --T 10 --npz /proc/run.npz", "/proc/run.npz cannot be written"),
        ("--N 20 --T 10 --plot run.gif", "the plot must be a .png, .pdf or .svg file, not run.gif"),
        ("--N 2.5 --T 10", "argument --N: must be an integer, not '2.5'"),
        ("--N 20 --T 10 --lr fast", "argument --lr: must be a number, not 'fast'"),
        ("--N 20", "the following arguments are required: --T"),
        ("--N 20 --T 10 --frob", "unrecognized arguments: --frob"),
        ("--N 20 --T 10 --json --csv", "argument --csv: not allowed with argument --json"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        cli.main([*arguments.split()])
    printed = capsys.readouterr()
    assert stopped.value.code == 2
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith(f"python -m meanfield.predict: {words}")
    assert os.listdir(tmp_path) == []


def test_nothing_is_written_when_one_of_two_files_cannot_be(tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.main([*SMALL, "--npz", str(tmp_path / "a.npz"), "--plot", str(tmp_path / "no/b.png")])
    assert os.listdir(tmp_path) == []
    assert "b.png cannot be written" in capsys.readouterr().err


def test_exit_codes_reach_the_shell():
    assert command("--N", "1", "--T", "10").returncode == 2
    assert command("--help").returncode == 0


def test_cite_and_help(capsys):
    said = (("--cite", "2606.18164"), ("--help", "examples:"), ("--help", "K = N: they cancel"))
    for option, words in said:
        with pytest.raises(SystemExit) as stopped:
            cli.main([option])
        assert stopped.value.code == 0
        assert words in " ".join(capsys.readouterr().out.split())


def test_the_phases_are_said_before_the_spread_is_drawn(capsys, monkeypatch):
    said = []

    def spread(*_, **__):
        said.append(capsys.readouterr().out)
        return Spread(9, 1.0, 2.0, 3.0)

    monkeypatch.setattr(trajectory, "onset_spread", spread)
    assert cli.main([*SMALL]) == 0
    (before,) = said
    assert "phases\n  heuristic" in before
    assert "\n       epoch           R" in before
    assert "80 % of seeds" not in before
    assert "80 % of seeds between epoch 1 and 3" in capsys.readouterr().out


def test_a_file_of_one_seed_needs_no_seed(run_file, tmp_path, capsys):
    run = runs.read_run(run_file)
    names = [each.name for each in dataclasses.fields(run)]
    B = len(run.seeds)
    one = {name: getattr(run, name)[1:] for name in names
           if isinstance(getattr(run, name), np.ndarray) and name != "epoch"}  # fmt: skip
    assert B == 2
    dataclasses.replace(run, **one).save(tmp_path / "one.npz")
    printed = []
    for arguments in (["--run", str(tmp_path / "one.npz")], ["--run", run_file, "--seed", "5"]):
        options = ["--theory", "per-seed", "--epochs", "40", "--points", "3", "--csv"]
        assert cli.main([*arguments, *options]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
