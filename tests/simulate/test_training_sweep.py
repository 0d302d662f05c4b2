"""Training over a grid: run files, the dataset beside them, a killed sweep, wrong grids."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meanfield import Parameters, predict
from meanfield.runs.run import CHECKPOINT, read_run
from simulate import sweep
from simulate.settings import Training
from simulate.train import train

xarray = pytest.importorskip("xarray")

ROOT = Path(__file__).parents[2]
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
    alone = train(
        runs[5, 3].parameters,
        Training(n_train=128, n_test=32, train_epochs=40, eval_every=1),
        [0, 1],
    )
    assert np.allclose(data.R.sel(N=5, T=3), alone.R[:, -1], rtol=1e-5)


def test_the_horizon_follows_the_theory(tmp_path: Path) -> None:
    text = SMALL.replace("train_epochs = 40", "horizon = 2.5").replace("[2, 3]", "[3, 4]")
    assert sweep.main([*written(tmp_path, text), "--workers", "0"]) == 0
    data = dataset(tmp_path)
    for N, T in ((4, 3), (5, 4)):
        onset = predict(Parameters(N=N, T=T, rope_theta=30.0), closure="linear").onset_epoch
        assert onset is not None
        assert float(data.train_epochs.sel(N=N, T=T)) == math.ceil(2.5 * onset)
    assert bool(np.all(data.onset_epoch < data.train_epochs))


def test_a_killed_sweep_goes_on_from_its_checkpoints(tmp_path: Path) -> None:
    text = SMALL.replace("train_epochs = 40", "train_epochs = 500\neval_every = 5")
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed.mkdir()
    whole.mkdir()
    command = [sys.executable, "-W", "error", "-m", "simulate.sweep", *written(killed, text)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(
        [*command, "--workers", "0"], env=environment, stdout=subprocess.DEVNULL
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
    assert sweep.main([*written(whole, text), "--workers", "2"]) == 0
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

    def noting(*arguments: Any, **options: Any) -> Any:
        if "path" in options:  # the others tell how long it takes
            trained.append((options["path"].name, options["resume"]))
        return train(*arguments, **options)

    monkeypatch.setattr(sweep, "train", noting)
    assert sweep.main([*written(tmp_path), "--workers", "0"]) == 0
    assert trained == [(lost.name, True)]
    assert dataset(tmp_path).identical(before)


def test_seeds_without_an_onset() -> None:
    p = Parameters(N=4, T=3)
    short = Training(n_train=64, n_test=16, train_epochs=2, eval_every=1)
    run = train(p, short, [0, 1])
    assert np.all(run.R[:, -1] < 0.5)
    assert sweep.row(run)["onset_epoch"].tolist() == [[math.inf, math.inf]]
    broken = sweep.row(replace(run, diverged={1: 2}))["onset_epoch"]
    assert broken[0, 0] == math.inf
    assert np.isnan(broken[0, 1])


MISTAKES = {
    SMALL + "colour = 1\n": "not 'colour'",
    SMALL + "horizon = 2.0\n": "may have train_epochs or horizon, not both",
    SMALL.replace('"0:2"', '"x"'): "seeds must be text",
    SMALL.replace('"0:2"', "3"): "seeds must be text",
    SMALL.replace("n_test = 32", "n_test = 0"): "n_test must be an integer from 1",
    'closure = "quadratic"\n' + SMALL: "closure and epochs are for python -m meanfield.sweep",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_wrong_grid_is_told_in_one_sentence(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        sweep.main([*written(tmp_path, text), "--workers", "0"])
    told = capsys.readouterr().err
    assert MISTAKES[text] in told
    assert told.count("\n") == 1
