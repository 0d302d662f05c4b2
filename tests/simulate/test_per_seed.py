"""The theory without a closure against training, seed by seed: the same query, key, Q, S and C."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield import Parameters, Start, Theory, predict
from meanfield.predict.seeds import predict_seeds
from meanfield.runs.run import Run
from simulate.settings import Experiment, Machine
from simulate.train import train

MODEL = Parameters(N=20, T=5, d_head=32, lr=4.0)


@pytest.fixture(scope="module")
def trained() -> Run:
    values = {"n_train": 3000, "n_test": 10, "train_epochs": 160, "eval_every": 4}
    of = Experiment.of(range(4), **{**dict(MODEL.items()), **values})
    return train(of, machine=Machine(dtype="float64"))


def start_of(run: Run, seed: int) -> Start:
    measured = {name: float(getattr(run, name)[seed, 0]) for name in "QSC"}
    return Start(q=run.q_start[seed], k=run.k_start[seed], **measured)


def errors(run: Run, *, steps: bool) -> tuple[np.ndarray, np.ndarray]:
    """By seed: rms of R over the curve, and how much later the predicted onset is, relative."""
    predicted = predict_seeds(
        run.parameters,
        Theory(attention="per-seed", steps=steps),
        starts=[start_of(run, seed) for seed in range(4)],
        epochs=run.epoch.astype(float),
    )
    np.testing.assert_allclose(predicted.R[:, 0], run.R[:, 0], rtol=1e-12)
    onset = np.array([np.interp(0.5, R, run.epoch) for R in run.R])
    rms = np.sqrt(np.mean((predicted.R - run.R) ** 2, axis=1))
    return rms, predicted.onset_epoch / onset - 1


def test_every_seed_is_predicted(trained: Run) -> None:
    """R ends near 1 in all, their onsets lie apart, and each is met within 3 %."""
    assert np.all(trained.R[:, -1] > 0.9)
    onset = np.array([np.interp(0.5, R, trained.epoch) for R in trained.R])
    assert onset.max() / onset.min() > 1.15
    rms, late = errors(trained, steps=True)
    assert np.all(rms < 0.015)
    assert np.all(np.abs(late) < 0.03)
    assert abs(late.mean()) < 0.02


def test_the_correction_for_the_learning_rate_is_seen(trained: Run) -> None:
    """Flow runs ahead of the steps by an epoch or so; with the correction most of that is gone."""
    (plain, early), (corrected, late) = (errors(trained, steps=steps) for steps in (False, True))
    assert np.mean(corrected) < 0.8 * np.mean(plain)
    assert np.mean(early) < np.mean(late) - 0.008
    assert abs(np.mean(late)) < abs(np.mean(early))


def test_one_seed_alone_is_the_same(trained: Run) -> None:
    theory, epochs = Theory(attention="per-seed", steps=True), trained.epoch.astype(float)
    one = predict(MODEL, theory, start=start_of(trained, 1), epochs=epochs)
    assert np.sqrt(np.mean((one.R - trained.R[1]) ** 2)) < 0.012
    assert np.sqrt(np.mean((one.Q - trained.Q[1]) ** 2)) < 0.012
