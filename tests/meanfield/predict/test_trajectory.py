"""A prediction written down and read back: NPZ, JSON, CSV."""

import csv
import io
import json
import os

import numpy as np
import pytest
import sympy as sp

from meanfield import FileError, ParameterError, Parameters, Start, Theory, Trajectory, predict
from meanfield.predict import trajectory
from meanfield.predict.report import table
from meanfield.predict.trajectory import CURVES, TIMES
from meanfield.theory import OwnClosure


@pytest.fixture(scope="module")
def run():
    return predict(
        Parameters(N=20, K=7, T=10, lr=1 / 3), "linear", points=31, start=Start(R=0.2, C=0.3)
    )


def test_npz_goes_there_and_back(run, tmp_path):
    path = tmp_path / "run.npz"
    run.to_npz(path)
    back = Trajectory.from_npz(path)
    for name in CURVES:
        assert np.array_equal(getattr(back, name), getattr(run, name))
    for name in (*TIMES, "parameters", "theory"):
        assert getattr(back, name) == getattr(run, name)
    assert back.start.given == run.start.given
    assert set(run.start.given) == {"R", "Q", "S", "C", "overlap"}
    assert os.listdir(tmp_path) == ["run.npz"]


def test_npz_describes_itself_without_this_package(run, tmp_path):
    run.to_npz(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz", allow_pickle=False) as file:
        about = json.loads(str(file["about"]))
        assert file["R"].dtype == np.float64
    assert about["parameters"]["N"] == 20
    assert about["version"] == 3
    assert about["theory"] == {
        "attention": "linear",
        "loss": "mean-field",
        "logits": "gaussian",
        "steps": False,
        "sigma_c": None,
        "sigma_o": None,
        "thermodynamic_limit": False,
    }
    assert about["start"] == {"R": 0.2, "Q": 0.015, "S": 0.015, "C": 0.3, "overlap": 0.05}
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
        "version.npz": {"about": np.array(json.dumps({**about, "version": 2}))},
        "theory.npz": {
            "about": np.array(
                json.dumps({**about, "theory": {**about["theory"], "attention": "cubic"}})
            )
        },
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
    assert len(names) == 14
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
    short = predict(Parameters(N=20, T=10), "linear", epochs=50, points=3)
    assert [getattr(short, name) for name in TIMES] == [None] * 4
    short.to_npz(tmp_path / "short.npz")
    assert Trajectory.from_npz(tmp_path / "short.npz").onset_epoch is None
    assert json.loads(short.to_json())["onset_epoch"] is None


Q_K = {"q": np.linspace(-1, 1, 16), "k": np.linspace(1, -0.5, 16)}


@pytest.mark.parametrize(
    ("theory", "start"),
    [
        (Theory.parse("spectral+fluctuations", steps=True), Start(overlap=0.2)),
        (Theory.parse("per-seed", steps=True), Start(**Q_K)),
        (Theory.parse("quadratic+fluctuations", logits="sampled"), Start(Q=0.1, C=0.3)),
        (Theory(logits="constant", sigma_c=0.3, thermodynamic_limit=True), Start(S=0.1)),
    ],
    ids=lambda each: str(each) if isinstance(each, Theory) else "",
)
def test_every_part_of_a_theory_goes_there_and_back(theory, start, tmp_path):
    one = predict(Parameters(N=9, K=5, T=6, d_head=16), theory, start=start, points=9)
    one.to_npz(tmp_path / "one.npz")
    back = Trajectory.from_npz(tmp_path / "one.npz")
    assert back.to_json() == one.to_json()
    assert back.theory == theory
    assert json.loads(one.to_json())["theory"]["steps"] == theory.steps
    assert json.loads(one.to_json())["start"]["overlap"] == one.start.overlap
    assert table(back) == table(one)
    assert set(back.start.given) == {"R", "Q", "S", "C", "overlap"}  # q and k are not kept


def test_of_a_closure_of_ones_own_the_text_is_kept(tmp_path):
    R, gamma = sp.symbols("R gamma", positive=True)
    p = Parameters(N=9, K=5, T=6, d_head=16)
    one = predict(p, Theory(attention=gamma * R * (1 - R) ** 2), points=9)
    one.to_npz(tmp_path / "one.npz")
    back = Trajectory.from_npz(tmp_path / "one.npz")
    assert back.theory.attention == OwnClosure("R*gamma*(1 - R)**2")
    assert back.theory.attention.expression is None
    assert str(back.theory) == str(one.theory) == "R*gamma*(1 - R)**2"
    assert back.theory.closed
    assert back.to_json() == one.to_json()
    with pytest.raises(ParameterError, match="is known as text only: give its SymPy expression"):
        predict(p, back.theory)
    assert json.loads(one.to_json())["theory"]["attention"] == "G = R*gamma*(1 - R)**2"


def test_accuracies_are_one_less_the_errors(run):
    assert run.next_token_accuracy.tolist() == (1 - run.next_token_error).tolist()
    assert run.rollout_accuracy.tolist() == (1 - run.rollout_error).tolist()
