"""What is kept of each evaluation, of seeds that diverge, and the run it makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from meanfield.runs.run import CURVES, MEASURED
from simulate.machine import made_with
from simulate.record import Record
from tests.simulate.small import experiment, trainer_of

TRAINER = trainer_of(experiment([7, 0, 3]))


def measured(value: float = 1.0) -> dict[str, Any]:
    shapes = dict.fromkeys(MEASURED, (3,)) | {"attention": (3, 4, 4)}
    return {name: np.full(shape, value) for name, shape in shapes.items()}


def test_an_empty_record() -> None:
    record = Record.at_start(TRAINER)
    assert record.last is None
    assert not record.all_diverged
    assert record.seeds == (7, 0, 3)
    np.testing.assert_array_equal(record.q_start, TRAINER.task.query[..., 0])
    np.testing.assert_array_equal(record.k_start, TRAINER.task.key[..., 0])


def test_a_run_holds_every_evaluation() -> None:
    record = Record.at_start(TRAINER)
    assert record.add(0, measured(1.0), [0, 0, 0]) == []
    assert record.add(5, measured(2.0), [0, 0, 0]) == []
    assert record.last == 5
    run = record.run(TRAINER)
    assert run.epoch.tolist() == [0, 5]
    assert run.seeds.tolist() == [7, 0, 3]
    for name in CURVES:
        assert getattr(run, name).shape[:2] == (3, 2)
        assert np.all(getattr(run, name)[:, 0] == 1.0)
        assert np.all(getattr(run, name)[:, 1] == 2.0)
    assert (run.complete, run.state, run.diverged) == (True, {}, {})
    assert run.training == TRAINER.experiment.settings
    assert run.parameters == TRAINER.experiment.parameters
    assert run.made_with == made_with(TRAINER.machine)
    np.testing.assert_array_equal(run.q_end, run.q_start)
    np.testing.assert_array_equal(run.W_end, TRAINER.task.W)
    unfinished = record.run(TRAINER, complete=False, state={"steps": np.array(3)})
    assert not unfinished.complete
    assert set(unfinished.state) == {"steps"}


def test_ends_are_not_starts() -> None:
    trainer = trainer_of(experiment([7, 0, 3]))
    record = Record.at_start(trainer)
    record.add(0, measured(), [0, 0, 0])
    trainer.train_epoch(0)
    run = record.run(trainer)
    q, k = trainer.model.vectors
    np.testing.assert_array_equal(run.q_end, q.numpy())
    np.testing.assert_array_equal(run.k_end, k.numpy())
    np.testing.assert_array_equal(run.W_end, trainer.model.W.detach().numpy())
    assert not np.array_equal(run.q_end, run.q_start)
    assert not np.array_equal(run.k_end, run.k_start)


@pytest.mark.parametrize("name", ["R", "grad_R_squared", "attention"])
def test_a_seed_whose_numbers_are_not_finite_has_diverged(name: str) -> None:
    record = Record.at_start(TRAINER)
    record.add(0, measured(), [0, 0, 0])
    now = measured()
    now[name][1, ...] = np.inf
    assert record.add(5, now, [0, 0, 0]) == [0]
    assert record.diverged == {0: 5}
    run = record.run(TRAINER)
    for each in CURVES:
        assert np.all(np.isnan(getattr(run, each)[1, 1]))
        assert np.all(getattr(run, each)[[0, 2], 1] == 1)
        assert np.all(getattr(run, each)[1, 0] == 1)


def test_a_seed_diverges_once_at_the_epoch_its_weights_broke() -> None:
    record = Record.at_start(TRAINER)
    record.add(0, measured(), [0, 0, 0])
    assert record.add(5, measured(), [0, 0, 3]) == [3]
    assert record.add(10, measured(), [8, 0, 3]) == [7]
    assert record.diverged == {3: 3, 7: 8}
    assert not record.all_diverged
    assert np.all(np.isnan(record.run(TRAINER).R[2, 1:]))
    assert record.add(15, measured(np.nan), [8, 0, 3]) == [0]
    assert record.all_diverged


def test_it_goes_on_from_a_run() -> None:
    first = Record.at_start(TRAINER)
    first.add(0, measured(1.0), [0, 0, 0])
    first.add(5, measured(2.0), [0, 4, 0])
    second = Record.at_start(TRAINER)
    assert second.go_on_from(first.run(TRAINER), TRAINER.experiment.schedule) == [0, 0, 0]
    assert second.last == 5
    for record in (first, second):
        assert record.add(10, measured(3.0), [0, 0, 0]) == []
    one, other = first.run(TRAINER), second.run(TRAINER)
    assert one.diverged == other.diverged == {0: 4}
    np.testing.assert_array_equal(one.epoch, other.epoch)
    for name in CURVES:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_an_end_that_a_longer_schedule_does_not_measure_is_left_out() -> None:
    first = Record.at_start(TRAINER)
    for epoch, broken in ((0, [0, 0, 0]), (5, [0, 2, 0]), (7, [6, 2, 0])):
        first.add(epoch, measured(), broken)
    assert first.diverged == {0: 2, 7: 6}
    second = Record.at_start(TRAINER)
    assert second.go_on_from(first.run(TRAINER), TRAINER.experiment.schedule) == [6, 0, 0]
    assert second.epochs == [0, 5]
    assert second.diverged == {0: 2}
    assert [len(values) for values in second.curves.values()] == [2] * len(CURVES)
    assert first.run(TRAINER).epoch.tolist() == [0, 5, 7]
