"""The command line of the simulator, and what survives when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meanfield.runs.run import ARRAYS, read_run, read_runs
from simulate import cli

ROOT = Path(__file__).parents[2]
TINY = ["--N", "5", "--T", "3", "--d-head", "4", "--n-train", "60", "--n-test", "20",
        "--train-epochs", "12", "--eval-every", "4"]  # fmt: skip


def test_seeds_into_one_run_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*TINY, "--seeds", "0:3", "--out", str(tmp_path / "runs")]) == 0
    (run,) = read_runs(tmp_path / "runs")
    assert run.seeds.tolist() == [0, 1, 2]
    assert (run.parameters.N, run.parameters.K, run.parameters.lr) == (5, 5, 2.0)
    assert run.training["batch_size"] == 60
    out, err = capsys.readouterr()
    assert "3 seeds, 12 epochs" in out
    assert err == ""  # no progress bar where there is no terminal


def test_the_papers_own_form(tmp_path: Path) -> None:
    assert cli.main([*TINY, "--seed", "3", "--dir", str(tmp_path / "results")]) == 0
    assert read_run(tmp_path / "results" / "seed_3.npz").seeds.tolist() == [3]


def test_a_named_set_with_overrides(tmp_path: Path) -> None:
    arguments = ["--set", "robust", "--N", "7", "--no-fix-embedding", "--n-train", "50"]
    options = cli.parser().parse_args(arguments)
    parameters, training = cli.chosen(options)
    assert (parameters.N, parameters.K, parameters.rope_spacing) == (7, 7, "linear")
    assert (training.n_test, training.n_train, training.batch_size) == (1024, 50, 50)
    assert not training.fix_embedding


def test_old_files_are_not_overwritten_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*TINY, "--seeds", "1,4", "--out", str(tmp_path)]
    assert cli.main(command) == 0
    (path,) = tmp_path.iterdir()
    before = path.stat().st_mtime_ns
    with pytest.raises(SystemExit) as raised:
        cli.main(command)
    assert raised.value.code == 2
    assert "exists: give --resume to go on, or --overwrite" in capsys.readouterr().err
    assert cli.main([*command, "--resume"]) == 0
    assert "is finished already" in capsys.readouterr().out
    assert path.stat().st_mtime_ns == before
    assert cli.main([*command, "--overwrite"]) == 0
    assert path.stat().st_mtime_ns > before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--N", "1"], "N must be between 2 and"),
        (["--N", "x"], "must be an integer, not 'x'"),
        (["--lr", "nan"], "lr must be a finite number, not nan"),
        (["--seeds", "3:3"], "must name different seeds"),
        (["--seeds", "1,1"], "must name different seeds"),
        (["--seeds", "-1"], "must be an integer of at least 0, not '-1'"),
        (["--seed", "2"], "--seed and --dir go together"),
        (["--dir", "x"], "--seed and --dir go together"),
        (["--set", "mine"], "set must be main or robust, not 'mine'"),
        (["--device", "tpu"], "device must be auto, cpu or cuda, not 'tpu'"),
        (["--kernel", "fast"], "kernel must be auto, torch or fused"),
        (["--dtype", "half"], "dtype must be"),
        (["--threads", "0"], "threads must be at least 1, not 0"),
        (["--train-epochs", "0"], "train_epochs must be an integer from 1"),
        (["--batch-size", "9999"], "batch_size must be at most n_train"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_mistakes_give_one_sentence_and_no_files(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as raised:
        cli.main(arguments)
    assert raised.value.code == 2
    out, err = capsys.readouterr()
    assert words in err
    assert err.count("\n") == 1
    assert out == ""
    assert list(tmp_path.rglob("*.npz")) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SystemExit):
        cli.main([*TINY, "--out", str(tmp_path)])


def test_a_file_where_the_folder_should_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(SystemExit):
        cli.main([*TINY, "--out", str(tmp_path / "runs")])
    assert "runs cannot be made" in capsys.readouterr().err


def test_out_of_memory_splits_the_seeds_and_says_so_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = cli.train

    def small_machine(parameters: Any, training: Any, seeds: list[int], **options: Any) -> Any:
        if len(seeds) > 2:
            raise MemoryError
        return original(parameters, training, seeds, **options)

    monkeypatch.setattr(cli, "train", small_machine)
    assert cli.main([*TINY, "--seeds", "0:5", "--out", str(tmp_path)]) == 0
    assert sorted(run.seeds.tolist() for run in read_runs(tmp_path)) == [[0, 1], [2], [3, 4]]
    assert capsys.readouterr().err == "out of memory with 5 seeds at once: splitting them\n"


# evaluates, and so writes a checkpoint, at every epoch
LONG = ["--N", "6", "--T", "4", "--d-head", "8", "--n-train", "300", "--n-test", "100",
        "--train-epochs", "200", "--eval-every", "1", "--seeds", "0:2"]  # fmt: skip


def epoch_of(folder: Path) -> int:
    """The epoch of the checkpoint in the folder, -1 if there is none yet."""
    for path in folder.glob("*.checkpoint.npz"):
        return int(read_run(path, unfinished=True).epoch[-1])
    return -1


def test_killed_again_and_again_it_ends_bit_identical(tmp_path: Path) -> None:
    assert cli.main([*LONG, "--out", str(tmp_path / "whole")]) == 0
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "simulate", *LONG, "--out", str(folder), "--resume"]
    for goal, sign in ((3, signal.SIGKILL), (60, signal.SIGTERM), (120, signal.SIGKILL)):
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            while epoch_of(folder) < goal:
                assert process.poll() is None, process.communicate()
                time.sleep(0.003)
            process.send_signal(sign)
            err = process.communicate()[1]
        if sign == signal.SIGTERM:
            assert process.returncode == 130
            assert "interrupted; the same command with --resume goes on" in err
            assert err.count("\n") == 1
        else:
            assert process.returncode == -signal.SIGKILL
        assert goal <= epoch_of(folder) < 200
    assert cli.main([*LONG, "--out", str(folder), "--resume"]) == 0
    assert len(list(folder.glob("*.npz"))) == 1
    (one,), (other,) = read_runs(tmp_path / "whole"), read_runs(folder)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_without_torch_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from simulate.__main__ import main

    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [each for each in sys.modules if each.startswith("simulate.c")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("simulate.cli", raising=False)
    assert main(["--N", "8"]) == 2
    assert 'needs torch: pip install --editable ".[simulate]"' in capsys.readouterr().err
