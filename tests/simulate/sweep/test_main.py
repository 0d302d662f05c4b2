"""The command, ``python -m simulate.sweep``: run files, the dataset beside them, wrong grids."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meanfield.runs.run import CHECKPOINT, read_run
from simulate.settings import Experiment
from simulate.sweep import __main__ as sweep
from simulate.train import train
from tests.meanfield.sweep.kills import Killer, seconds
from tests.meanfield.sweep.listening import listening

xarray = pytest.importorskip("xarray")

ROOT = Path(__file__).parents[3]
SMALL = """
[fixed]
rope_theta = 30.0
[grid]
N = [4, 5]
T = [2, 3]
[training]
seeds = "0:2"
n_train = 128
n_test = 32
train_epochs = 40
"""


def written(folder: Path, text: str = SMALL) -> list[str]:
    (folder / "grid.toml").write_text(text, encoding="utf-8")
    return [str(folder / "grid.toml"), "--out", str(folder / "runs")]


def dataset(folder: Path) -> Any:
    return xarray.open_zarr(folder / "runs" / "sweep.zarr").load()


def test_every_point_is_the_training_of_its_run_file(tmp_path: Path) -> None:
    assert sweep.main([*written(tmp_path), "--workers", "0"]) == 0
    data = dataset(tmp_path)
    assert dict(data.sizes) == {"N": 2, "T": 2, "seed": 2}
    runs = {(r.parameters.N, r.parameters.T): r for r in map(read_run, tmp_path.glob("runs/*.npz"))}
    assert set(runs) == {(4, 2), (4, 3), (5, 2), (5, 3)}
    for (N, T), run in runs.items():
        point = data.sel(N=N, T=T)
        for name in ("R", "Q", "S", "rollout_accuracy"):
            assert np.array_equal(point[name], getattr(run, name)[:, -1])
        assert float(point.train_epochs) == 40
    settings = {"n_train": 128, "n_test": 32, "train_epochs": 40, "eval_every": 1}
    alone = train(Experiment.of([0, 1], **{**dict(runs[5, 3].parameters.items()), **settings}))
    assert np.allclose(data.R.sel(N=5, T=3), alone.R[:, -1], rtol=1e-5)


def test_a_killed_sweep_goes_on_from_its_checkpoints(tmp_path: Path) -> None:
    text = SMALL.replace("train_epochs = 40", "train_epochs = 500\neval_every = 5")
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed.mkdir()
    whole.mkdir()
    command = [sys.executable, "-W", "error", "-m", "simulate.sweep", *written(killed, text)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(
        [*command, "--workers", "0"], env=environment, stdout=subprocess.DEVNULL, text=True
    )
    end = time.monotonic() + 60
    while len(list(killed.glob("runs/*.npz"))) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    there = {path: path.stat().st_mtime_ns for path in killed.glob("runs/*.npz")}
    there = {path: at for path, at in there.items() if not path.name.endswith(CHECKPOINT)}
    assert there
    assert sweep.main([*written(killed, text), "--workers", "0", "--resume"]) == 0
    for path, at in there.items():
        assert path.stat().st_mtime_ns == at
    with listening() as found:
        assert sweep.main([*written(whole, text), "--workers", "2"]) == 0
    assert found == {"127.0.0.1"}  # nobody else on the network reaches it
    assert dataset(killed).identical(dataset(whole))


def test_what_is_trained_is_read_and_what_is_begun_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sweep.main([*written(tmp_path), "--workers", "0"]) == 0
    before = dataset(tmp_path)
    shutil.rmtree(tmp_path / "runs" / "sweep.zarr")
    lost, *_ = sorted(tmp_path.glob("runs/*.npz"))
    lost.unlink()
    trained = []

    def noting(of: Experiment, **options: Any) -> Any:
        if "path" in options:  # the others tell how long it takes
            trained.append((options["path"].name, options["resume"]))
            assert options["path"].name == of.file
            assert options["machine"].threads == 1  # the workers are side by side already
        return train(of, **options)

    monkeypatch.setattr("simulate.sweep.points.train", noting)
    assert sweep.main([*written(tmp_path), "--workers", "0"]) == 0
    assert trained == [(lost.name, True)]
    assert dataset(tmp_path).identical(before)


MISTAKES = {
    SMALL + "colour = 1\n": "not 'colour'",
    SMALL.replace("N = [4, 5]", "N = [1, 4]"): "N must be between 2 and",
    "": "a grid needs a table [grid]",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_wrong_grid_is_told_in_one_sentence(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        sweep.main([*written(tmp_path, text), "--workers", "0"])
    out, err = capsys.readouterr()
    assert MISTAKES[text] in err
    assert err.startswith("python -m simulate.sweep: ")
    assert (out, err.count("\n")) == ("", 1)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["grid.toml"], "the following arguments are required: --out"),
        (["--out", "runs"], "the following arguments are required: GRID.toml"),
        (["grid.toml", "--out", "runs", "--dtype", "float64"], "unrecognized arguments: --dtype"),
    ],
)
def test_options_that_there_must_or_cannot_be(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        sweep.main(arguments)
    assert words in capsys.readouterr().err


def test_an_old_dataset_is_gone_on_with_or_replaced_only_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*written(tmp_path), "--workers", "0"]
    assert sweep.main(command) == 0
    data = dataset(tmp_path)
    assert data.attrs["title"] == "Training over a grid of parameters"
    assert capsys.readouterr().out.endswith(f"\n{tmp_path / 'runs' / 'sweep.zarr'}\n")
    with pytest.raises(SystemExit, match="2"):
        sweep.main(command)
    assert "--resume" in capsys.readouterr().err
    for option in ("--resume", "--overwrite"):
        assert sweep.main([*command, option]) == 0
        assert dataset(tmp_path).identical(data)


def test_an_interrupted_sweep_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "fill", interrupted)
    assert sweep.main([*written(tmp_path), "--workers", "0"]) == 130
    assert capsys.readouterr().err == (
        "python -m simulate.sweep: interrupted; the same command with --resume goes on\n"
    )


def test_a_dry_run_trains_nothing_that_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep.main([*written(tmp_path), "--dry-run"]) == 0
    out = capsys.readouterr().out
    sizes = r"4 parameter sets \(2 N x 2 T\), 2 seeds each"
    assert re.fullmatch(rf"{sizes}: about \d+ s, trainings of up to 40 epochs\n", out)
    assert not list(tmp_path.rglob("*.npz"))
    one = SMALL.replace('"0:2"', '"7"')
    assert sweep.main([*written(tmp_path, one), "--dry-run"]) == 0
    assert ", 1 seed each: about" in capsys.readouterr().out


def test_the_time_is_shared_by_the_workers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulate.sweep.points.estimate", lambda grid, plan: (600.0, 12345))
    for workers, minutes in (("0", "10 min"), ("4", "2 min")):
        assert sweep.main([*written(tmp_path), "--dry-run", "--workers", workers]) == 0
        assert f"about {minutes}, trainings of up to 12,345 epochs" in capsys.readouterr().out


def test_the_device_reaches_every_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        sweep.main([*written(tmp_path), "--device", "tpu"])
    assert 'device must be "auto", "cpu" or "cuda", not \'tpu\'' in capsys.readouterr().err


@pytest.mark.slow
def test_killed_at_any_moment_the_sweep_ends_the_same(tmp_path: Path) -> None:
    text = SMALL.replace("train_epochs = 40", "train_epochs = 300\neval_every = 5")
    (tmp_path / "whole").mkdir()
    written(tmp_path / "whole", text)
    command = ["-m", "simulate.sweep", "grid.toml", "--out", "runs", "--workers", "0"]
    within = seconds(command, tmp_path / "whole")
    whole = dataset(tmp_path / "whole")
    names = {each.name for each in (tmp_path / "whole" / "runs").iterdir()}
    killer = Killer(within)
    for seed in range(40):
        folder = tmp_path / str(seed)
        folder.mkdir()
        written(folder, text)
        for _ in range(2):
            killer.start([*command, "--resume"], folder)
        seconds([*command, "--resume"], folder)
        assert dataset(folder).identical(whole), seed
        assert {each.name for each in (folder / "runs").iterdir()} == names
        if killer.kills >= 20:
            return
    raise AssertionError(f"only {killer.kills} kills came in time")
