"""The theory without a closure against training, seed by seed: the same query, key, Q, S and C."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from meanfield import Parameters
from meanfield.predict import prediction
from meanfield.predict.seeds import predict_seeds
from meanfield.runs.run import Run
from simulate.settings import Training
from simulate.train import train

predict = partial(prediction.predict, fluctuations=False)  # of the mean-field loss

MODEL = Parameters(N=20, T=5, d_head=32, lr=4.0)


@pytest.fixture(scope="module")
def trained() -> Run:
    training = Training(n_train=3000, n_test=10, train_epochs=160, eval_every=4)
    return train(MODEL, training, range(4), dtype="float64")


def errors(run: Run, *, lr_correction: bool) -> tuple[np.ndarray, np.ndarray]:
    """By seed: rms of R over the curve, and how much later the predicted onset is, relative."""
    predicted = predict_seeds(
        run.parameters,
        q=run.q_start,
        k=run.k_start,
        Q0=run.Q[:, 0],
        S0=run.S[:, 0],
        C=run.C[:, 0],
        epochs=run.epoch.astype(float),
        lr_correction=lr_correction,
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
    rms, late = errors(trained, lr_correction=True)
    assert np.all(rms < 0.015)
    assert np.all(np.abs(late) < 0.03)
    assert abs(late.mean()) < 0.02


def test_the_correction_for_the_learning_rate_is_seen(trained: Run) -> None:
    """Flow runs ahead of the steps by an epoch or so; with the correction most of that is gone."""
    (plain, early), (corrected, late) = (errors(trained, lr_correction=on) for on in (False, True))
    assert np.mean(corrected) < 0.8 * np.mean(plain)
    assert np.mean(early) < np.mean(late) - 0.008
    assert abs(np.mean(late)) < abs(np.mean(early))


def test_one_seed_alone_is_the_same(trained: Run) -> None:
    start = {f"{name}0": float(getattr(trained, name)[1, 0]) for name in "QS"}
    one = predict(
        MODEL,
        closure="per-seed",
        q=trained.q_start[1],
        k=trained.k_start[1],
        C=float(trained.C[1, 0]),
        epochs=trained.epoch.astype(float),
        lr_correction=True,
        **start,
    )
    assert np.sqrt(np.mean((one.R - trained.R[1]) ** 2)) < 0.012
    assert np.sqrt(np.mean((one.Q - trained.Q[1]) ** 2)) < 0.012
