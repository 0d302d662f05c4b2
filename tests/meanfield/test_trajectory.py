import csv
import io
import json
import os
from functools import partial

import numpy as np
import pytest

from meanfield import Parameters, Trajectory
from meanfield.errors import FileError
from meanfield.predict import prediction, trajectory
from meanfield.predict.trajectory import CURVES, TIMES

predict = partial(prediction.predict, closure="linear")  # the paper's, unless a test says otherwise


@pytest.fixture(scope="module")
def run():
    return predict(Parameters(N=20, T=10, lr=1 / 3), points=31, C=0.3)


def test_npz_goes_there_and_back(run, tmp_path):
    path = tmp_path / "run.npz"
    run.to_npz(path)
    back = Trajectory.from_npz(path)
    for name in CURVES:
        assert np.array_equal(getattr(back, name), getattr(run, name))
    for name in (*TIMES, "parameters", "closure", "rate", "lr_correction", "variances", "start"):
        assert getattr(back, name) == getattr(run, name)
    assert os.listdir(tmp_path) == ["run.npz"]


def test_npz_describes_itself_without_this_package(run, tmp_path):
    run.to_npz(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz", allow_pickle=False) as file:
        about = json.loads(str(file["about"]))
        assert file["R"].dtype == np.float64
    assert about["parameters"]["N"] == 20
    assert about["closure"] == "linear"
    assert about["start"]["C"] == 0.3
    assert "lr" in about["units"]["epoch"]


def test_foreign_and_broken_files_are_refused_in_one_sentence(run, tmp_path):
    good = tmp_path / "good.npz"
    run.to_npz(good)
    whole = good.read_bytes()
    np.savez(tmp_path / "other.npz", R=np.zeros(3))
    np.savez(tmp_path / "pickle.npz", about=np.array({"a": 1}, dtype=object))
    with np.load(good) as file:
        arrays = dict(file)
    about = json.loads(str(arrays["about"]))
    changes = {
        "version.npz": {"about": np.array(json.dumps({**about, "version": 99}))},
        "format.npz": {"about": np.array(json.dumps({**about, "format": "cake"}))},
        "parameters.npz": {
            "about": np.array(json.dumps({**about, "parameters": {"N": 1, "T": 3}}))
        },
        "short.npz": {"R": arrays["R"][:-1]},
        "nan.npz": {"Q": arrays["Q"] * np.nan},
        "text.npz": {"Q": np.array(["x"] * 31)},
    }
    for name, change in changes.items():
        np.savez(tmp_path / name, **{**arrays, **change})
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    flipped = bytearray(whole)
    flipped[whole.index(arrays["R"].tobytes()) + 5] ^= 1
    (tmp_path / "flipped.npz").write_bytes(flipped)
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "words.npz").write_text("R, Q, S")
    np.save(tmp_path / "array.npy", arrays["R"])
    names = [path.name for path in tmp_path.iterdir() if path != good]
    assert len(names) == 13
    for name in names:
        with pytest.raises(FileError, match="is not a whole trajectory file") as caught:
            Trajectory.from_npz(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(FileError, match="does not exist"):
        Trajectory.from_npz(tmp_path / "missing.npz")


def test_a_failed_write_leaves_the_old_file(run, tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    path.write_text("old")

    def fail(*_args, **_named):
        raise OSError("disk full")

    monkeypatch.setattr(trajectory.np, "savez", fail)
    with pytest.raises(FileError, match="cannot be written: disk full"):
        run.to_npz(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["run.npz"]


@pytest.mark.parametrize("path", ["no/such/folder/run.npz", "."])
def test_unwritable_paths_are_refused(run, tmp_path, path):
    with pytest.raises(FileError, match="cannot be written"):
        run.to_npz(tmp_path / path)


def test_json_and_csv_hold_the_same_numbers(run):
    values = json.loads(run.to_json())
    assert values["parameters"]["N"] == 20
    assert values["onset_epoch"] == run.onset_epoch
    rows = list(csv.DictReader(io.StringIO(run.to_csv())))
    assert len(rows) == 31
    for name in (*CURVES, "next_token_accuracy", "rollout_accuracy"):
        assert values[name] == getattr(run, name).tolist()
        assert [float(row[name]) for row in rows] == values[name]


def test_epochs_not_reached_are_none(tmp_path):
    short = predict(Parameters(N=20, T=10), epochs=50, points=3)
    assert [getattr(short, name) for name in TIMES] == [None] * 4
    assert all("not within 50 epochs" in line for line in short.phases()[1:])
    short.to_npz(tmp_path / "short.npz")
    assert Trajectory.from_npz(tmp_path / "short.npz").onset_epoch is None
    assert json.loads(short.to_json())["onset_epoch"] is None


def test_table_is_compact_and_ends_where_the_curve_ends(run):
    lines = run.table(rows=6).splitlines()
    assert len(lines) == 7
    assert lines[0].split() == [
        "epoch",
        "R",
        "Q",
        "S",
        "loss",
        "next",
        "token",
        "rollout",
    ]
    first, last = lines[1].split(), lines[-1].split()
    assert float(first[0]) == 0
    assert float(first[1]) == 0.1
    assert float(last[0]) == pytest.approx(run.epoch[-1])
    assert float(last[1]) > 0.95
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(predict(Parameters(N=20, T=10), points=2).table().splitlines()) == 3


def test_predictions_without_a_closure_go_there_and_back(tmp_path):
    for closure, given in (
        ("spectral", {}),
        ("per-seed", {"q": np.linspace(-1, 1, 64), "k": np.linspace(1, -0.5, 64)}),
    ):
        one = predict(
            Parameters(N=20, T=10), closure=closure, points=9, lr_correction=True, **given
        )
        one.to_npz(tmp_path / "one.npz")
        back = Trajectory.from_npz(tmp_path / "one.npz")
        assert back.to_json() == one.to_json()
        assert (back.closure, back.lr_correction, back.rate) == (closure, True, one.rate)
        assert json.loads(one.to_json())["lr_correction"] is True
        assert len(back.table().splitlines()) == 10
        assert back.caveats() == []


def test_coarse_steps_are_told_with_and_without_correction():
    for closure in ("linear", "spectral"):
        (plain,), (corrected,) = (
            predict(Parameters(N=20, T=10, lr=60.0), closure=closure, lr_correction=on).caveats()
            for on in (False, True)
        )
        assert "too coarse for gradient flow" in plain
        assert "too coarse for a correction of first order" in corrected
