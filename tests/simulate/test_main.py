"""The command, ``python -m simulate``, and what survives when it is killed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meanfield.command import given
from meanfield.runs.run import ARRAYS, Run, files_in, read_run
from simulate import __main__ as simulate
from simulate.gradient import fused
from simulate.settings import Experiment, Machine, from_set
from simulate.train import train
from tests.simulate.small import experiment, needs_compiler

ROOT = Path(__file__).parents[2]
TINY = ["--N", "5", "--T", "3", "--d-head", "4", "--n-train", "60", "--n-test", "20",
        "--train-epochs", "12", "--eval-every", "4"]  # fmt: skip


def read_runs(folder: Path) -> list[Run]:
    return [read_run(path) for path in files_in(folder)]


def test_seeds_into_one_run_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate.main([*TINY, "--seeds", "0:3", "--out", str(tmp_path / "runs")]) == 0
    (run,) = read_runs(tmp_path / "runs")
    assert run.seeds.tolist() == [0, 1, 2]
    assert (run.parameters.N, run.parameters.K, run.parameters.lr) == (5, 5, 2.0)
    assert run.training["batch_size"] == 60
    out, err = capsys.readouterr()
    assert "3 seeds, 12 epochs" in out
    assert err == ""  # no progress bar where there is no terminal


def test_the_papers_own_form(tmp_path: Path) -> None:
    assert simulate.main([*TINY, "--seed", "3", "--dir", str(tmp_path / "results")]) == 0
    assert read_run(tmp_path / "results" / "seed_3.npz").seeds.tolist() == [3]


def options_of(*arguments: str) -> Any:
    return simulate.parser().parse_args(arguments)


def test_a_named_set_with_overrides() -> None:
    arguments = ("--set", "robust", "--N", "7", "--no-fix-embedding", "--n-train", "50")
    found = simulate.experiment_of(options_of(*arguments, "--seeds", "4,2"))
    assert found == from_set("robust", [4, 2], N=7, fix_embedding=False, n_train=50)
    assert simulate.experiment_of(options_of()) == from_set("main", [0])
    assert options_of().out == Path("runs")
    assert simulate.experiment_of(options_of("--seed", "8")) == from_set("main", [8])


def test_every_value_has_an_option() -> None:
    values = {
        "N": 7, "T": 3, "K": 4, "d_head": 8, "rope_theta": 30.0, "rope_spacing": "linear",
        "lr": 0.02, "qk_variance": 0.5, "w_init": 0.1, "n_train": 300, "batch_size": 50,
        "optimizer": "adamw", "weight_decay": 0.1, "d_embed": 2, "n_test": 99, "train_epochs": 30,
        "eval_every": 9, "device": "cpu", "dtype": "float64", "kernel": "torch", "threads": 3,
    }  # fmt: skip
    texts = [
        text
        for name, value in values.items()
        for text in (f"--{name.replace('_', '-')}", str(value))
    ]
    options = options_of(*texts, "--no-fix-embedding")
    found, machine = simulate.experiment_of(options), Machine(**given(options, Machine))
    everything = {**dict(found.parameters.items()), **found.settings, **asdict(machine)}
    assert everything == {**values, "integrator": "sgd", "fix_embedding": False}
    assert (
        simulate.experiment_of(options_of("--integrator", "ssprk3")).training.integrator == "ssprk3"
    )


def test_the_options_for_the_machine_reach_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = ("--dtype", "float64", "--kernel", "torch", "--device", "cpu", "--threads", "1")
    assert simulate.main([*TINY, *machine, "--out", str(tmp_path)]) == 0
    (run,) = read_runs(tmp_path)
    about = {name: run.made_with[name] for name in ("dtype", "kernel", "device")}
    assert about == {"dtype": "float64", "kernel": "torch", "device": "cpu"}
    out = capsys.readouterr().out
    assert "1 seed, 12 epochs in " in out
    R, rollout = run.R[0, -1], run.rollout_accuracy[0, -1]
    assert f" s: R {R:.4f}, rollout accuracy {rollout:.4f} (worst {rollout:.4f})\n" in out
    assert out.endswith(f"\n{next(tmp_path.iterdir())}\n")


def test_seeds_that_diverge_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 only if none is left."""
    hot = ["--lr", "1e6", "--weight-decay", "1"]
    assert simulate.main([*TINY, *hot, "--seeds", "0:2", "--out", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert re.fullmatch(r"2 seeds, \d+ epochs in [\d.]+ s\n.*\n", out)
    assert err.count("diverged at epoch") == 2


class Bar:
    """What a progress bar is told."""

    def __init__(self, **options: Any) -> None:
        self.options, self.n, self.texts, self.closed = options, 0, [], False
        bars.append(self)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def set_postfix_str(self, text: str, *, refresh: bool) -> None:
        assert not refresh
        self.texts.append(text)

    def update(self, more: int) -> None:
        self.n += more


bars: list[Bar] = []


def test_the_bar_follows_the_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "tqdm", Bar)
    assert simulate.main([*TINY, "--seeds", "0:2", "--out", str(tmp_path)]) == 0
    (run,) = read_runs(tmp_path)
    bar = bars.pop()
    assert bar.options == {"total": 12, "unit": "epoch", "disable": None}
    assert (bar.n, bar.closed, len(bar.texts)) == (12, True, 4)
    R, rollout = run.R[:, -1].mean(), run.rollout_accuracy[:, -1].mean()
    assert bar.texts[-1] == f"R {R:.3f}, rollout {rollout:.3f}"


def test_the_bar_speaks_of_the_seeds_that_are_left() -> None:
    measured = {"R": np.array([0.5, np.nan, 0.7]), "rollout_accuracy": np.array([1, np.nan, 0.5])}
    assert simulate._postfix(measured) == "R 0.600, rollout 0.750"
    nothing = {name: np.full(2, np.nan) for name in measured}
    assert simulate._postfix(nothing) == "diverged"


def test_the_summary_is_of_the_seeds_that_are_left() -> None:
    run = train(experiment([3, 8, 5], train_epochs=2))
    path = Path("here.npz")
    last, right = run.R[[0, 2], -1], run.rollout_accuracy[[0, 2], -1]
    assert simulate.summary(replace(run, diverged={8: 1}), path, 1.26) == (
        f"3 seeds, 2 epochs in 1.3 s: R {last.mean():.4f}, rollout accuracy {right.mean():.4f} "
        f"(worst {right.min():.4f})\nhere.npz"
    )


def test_old_files_are_not_overwritten_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*TINY, "--seeds", "1,4", "--out", str(tmp_path)]
    assert simulate.main(command) == 0
    (path,) = tmp_path.iterdir()
    before = path.stat().st_mtime_ns
    with pytest.raises(SystemExit) as raised:
        simulate.main(command)
    assert raised.value.code == 2
    assert "exists: give --resume to go on, or --overwrite" in capsys.readouterr().err
    assert simulate.main([*command, "--resume"]) == 0
    assert "is finished already" in capsys.readouterr().out
    assert path.stat().st_mtime_ns == before
    assert simulate.main([*command, "--overwrite"]) == 0
    assert path.stat().st_mtime_ns > before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--N", "1"], "N must be between 2 and"),
        (["--N", "x"], "must be an integer, not 'x'"),
        (["--lr", "nan"], "lr must be a finite number, not nan"),
        (["--seeds", "3:3"], "the number of seeds must be between 1 and 1000000, not 0"),
        (["--seeds", "1,1"], "seeds must be different ones, at least one, not (1, 1)"),
        (["--seeds", "-1"], "seeds must be text such as"),
        (["--seed", "-1", "--dir", "x"], "seed must be between 0 and"),
        (["--seed", "2"], "--seed and --dir go together"),
        (["--dir", "x"], "--seed and --dir go together"),
        (["--set", "mine"], 'set must be "main" or "robust", not \'mine\''),
        (["--device", "tpu"], 'device must be "auto", "cpu" or "cuda", not \'tpu\''),
        (["--kernel", "fast"], 'kernel must be "auto", "torch" or "fused"'),
        (["--dtype", "half"], "dtype must be"),
        (["--threads", "0"], "threads must be between 1 and 1000000000, not 0"),
        (["--train-epochs", "0"], "train_epochs must be between 1 and"),
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
        simulate.main(arguments)
    assert raised.value.code == 2
    out, err = capsys.readouterr()
    assert words in err
    assert err.startswith("python -m simulate: ")
    assert err.count("\n") == 1
    assert out == ""
    assert list(tmp_path.rglob("*.npz")) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SystemExit):
        simulate.main([*TINY, "--out", str(tmp_path)])


def test_a_file_where_the_folder_should_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(SystemExit):
        simulate.main([*TINY, "--out", str(tmp_path / "runs")])
    assert "runs cannot be made" in capsys.readouterr().err


def test_out_of_memory_splits_the_seeds_and_says_so_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def small_machine(of: Experiment, **options: Any) -> Any:
        if len(of.seeds) > 2:
            raise MemoryError
        return train(of, **options)

    monkeypatch.setattr("simulate.train.train", small_machine)
    assert simulate.main([*TINY, "--seeds", "0:5", "--out", str(tmp_path)]) == 0
    assert sorted(run.seeds.tolist() for run in read_runs(tmp_path)) == [[0, 1], [2], [3, 4]]
    assert capsys.readouterr().err == "out of memory with 5 seeds at once: splitting them\n"


@pytest.mark.parametrize(
    ("seeds", "error"), [("0:1", RuntimeError("of one seed")), ("0:4", RuntimeError("another"))]
)
def test_what_splitting_cannot_mend_is_raised(
    seeds: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr("simulate.train.train", broken)
    with pytest.raises(type(error), match=str(error)):
        simulate.main([*TINY, "--seeds", seeds, "--out", str(tmp_path)])


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        simulate.main(arguments)
    out, err = capsys.readouterr()
    assert (stopped.value.code, out, err.count("\n")) == (2, "", 1)
    return err


def test_a_seed_that_does_not_fit_is_one_sentence_and_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = ["--out", str(tmp_path / "a" / "runs")]
    said = refused([*out, "--N", "1000000"], capsys)
    assert "takes at least 1.6e+10 GB of memory, and there are " in said
    many = ["--T", "40000", "--n-train", "9", "--n-test", "9", "--train-epochs", "1"]
    assert "T * d_head/2 must be at most 1000000" in refused([*out, *many], capsys)

    def full(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("simulate.trainer.draw_task", full)
    assert "of memory, and there is not as much left" in refused([*TINY, *out], capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kernel", [[], ["--kernel", "torch"]])
def test_a_compiler_that_is_none_is_one_sentence(
    kernel: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    command = [*TINY, "--N", "6", "--K", "7", "--out", str(tmp_path / "runs"), *kernel]
    for compiler, words in (("false", "CC = 'false' cannot compile the fused kernel"),
                            ("no-such-cc -O1", "CC = 'no-such-cc -O1' is not there")):  # fmt: skip
        monkeypatch.setenv("CC", compiler)
        fused.library.cache_clear()
        if kernel:
            assert simulate.main([*command, "--overwrite"]) == 0
        else:
            assert words in refused(command, capsys)
            assert list(tmp_path.iterdir()) == []


@needs_compiler
def test_a_compiler_may_have_options(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = fused.compiler()
    assert plain is not None
    monkeypatch.setenv("CC", f"{plain[0]} -O1")
    assert fused.compiler() == [plain[0], "-O1"]


def test_resume_and_overwrite_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert "not allowed with" in refused(["--resume", "--overwrite"], capsys)


def test_more_epochs_go_on_from_a_finished_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [*TINY, "--train-epochs", "20"]
    assert simulate.main([*more, "--out", str(tmp_path / "whole")]) == 0
    (wanted,) = read_runs(tmp_path / "whole")
    out, kept = ["--out", str(tmp_path / "runs")], []
    for command in (TINY, [*TINY, "--train-epochs", "9"]):
        assert simulate.main([*command, *out]) == 0
        kept = sorted((tmp_path / "runs").iterdir())
    capsys.readouterr()
    assert simulate.main([*more, *out, "--resume"]) == 0
    new = set((tmp_path / "runs").iterdir()) - set(kept)
    assert len(new) == 1
    said = capsys.readouterr().err
    longest = max(kept, key=lambda path: read_run(path).epoch[-1])
    assert said == f"going on from {longest}, a finished run of 12 epochs\n"
    assert_same(read_run(new.pop()), wanted)
    one = ["--seed", "0", "--dir", str(tmp_path / "one"), "--resume"]
    for command in (TINY, more):
        assert simulate.main([*command, *one]) == 0
    assert_same(read_run(tmp_path / "one" / "seed_0.npz"), wanted)
    assert len(list((tmp_path / "one").iterdir())) == 1
    capsys.readouterr()
    for command, words in ((TINY, "a run with train_epochs = 20, not 12"),
                           ([*more, "--lr", "3"], "a run with lr = 2.0, not 3.0")):  # fmt: skip
        assert words in refused([*command, *one], capsys)


def test_split_seeds_that_all_diverge_in_one_half_are_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small_machine(of: Experiment, **options: Any) -> Any:
        if len(of.seeds) > 1:
            raise MemoryError
        hot = of.seeds == (1,)
        p = replace(of.parameters, lr=1e6) if hot else of.parameters
        return train(replace(of, parameters=p), **options)

    monkeypatch.setattr("simulate.train.train", small_machine)
    arguments = [*TINY, "--weight-decay", "0.1", "--out", str(tmp_path), "--seeds"]
    assert simulate.main([*arguments, "0:2"]) == 0
    assert simulate.main([*arguments, "1,3", "--overwrite"]) == 0


def assert_same(one: Run, other: Run) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def without(library: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run python -m with a library that is not installed."""
    program = (
        f"import runpy, sys; sys.modules[{library!r}] = None; sys.argv = {list(arguments)!r};"
        "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
    )
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True
    )


def test_without_torch_the_commands_say_what_to_install(tmp_path: Path) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text("[grid]\nN = [4, 5]\nT = [2]\n")
    for prog, *arguments in (
        ("simulate", "--out", str(tmp_path / "runs")),
        ("simulate.sweep", str(grid), "--out", str(tmp_path / "runs"), "--workers", "0"),
    ):
        result = without("torch", prog, *arguments)
        assert result.returncode == 2
        assert result.stderr == (
            f'python -m {prog}: needs torch: pip install --editable ".[simulate]"\n'
        )
        assert not list(tmp_path.rglob("*.npz"))
    assert without("torch", "simulate", "--help").returncode == 0


def test_another_library_that_is_missing_is_no_users_mistake(tmp_path: Path) -> None:
    result = without("numpy.random", "simulate", "--out", str(tmp_path))
    assert result.returncode == 1
    assert "ModuleNotFoundError" in result.stderr
