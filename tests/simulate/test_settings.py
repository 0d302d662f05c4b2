"""What decides a training: schedules, machines, seeds, named sets, and the names of run files."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from typing import Any

import pytest

from meanfield.errors import ParameterError
from meanfield.parameters import Parameters
from meanfield.training import Training
from simulate.settings import SETS, Experiment, Machine, Schedule, from_set, seeds_of
from tests.simulate.small import experiment


def test_the_schedules_defaults_and_when_it_evaluates() -> None:
    assert asdict(Schedule()) == {"n_test": 2048, "train_epochs": 800, "eval_every": 10}
    schedule = Schedule(train_epochs=23, eval_every=5)
    assert [epoch for epoch in range(24) if schedule.evaluates(epoch)] == [0, 5, 10, 15, 20, 23]


def test_a_machine_has_all_cores_unless_told() -> None:
    machine = Machine()
    assert (machine.device, machine.dtype, machine.kernel) == ("auto", "float32", "auto")
    assert machine.threads == os.cpu_count()
    assert Machine(threads=3).threads == 3
    known = {"device": "cpu", "dtype": "float64", "kernel": "torch"}
    assert Machine(**known, threads=7).arithmetic == known


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        (Schedule, {"n_test": 0}, "n_test must be between 1 and 1000000000, not 0"),
        (Schedule, {"eval_every": 2.5}, "eval_every must be an integer, not 2.5"),
        (Schedule, {"train_epochs": True}, "train_epochs must be an integer, not True"),
        (Machine, {"device": "tpu"}, 'device must be "auto", "cpu" or "cuda", not \'tpu\''),
        (Machine, {"dtype": "float16"}, 'dtype must be "float32" or "float64", not \'float16\''),
        (Machine, {"kernel": "fast"}, 'kernel must be "auto", "torch" or "fused", not \'fast\''),
        (Machine, {"threads": 0}, "threads must be between 1 and 1000000000, not 0"),
        (experiment, {"seeds": [3, -1]}, "seed must be between 0 and 9223372036854775807, not -1"),
        (experiment, {"seeds": [2**63]}, f"seed must be between 0 and {2**63 - 1}, not {2**63}"),
        (experiment, {"seeds": [1.5]}, "seed must be an integer, not 1.5"),
        (experiment, {"seeds": []}, "seeds must be different ones, at least one, not ()"),
        (experiment, {"seeds": [4, 4]}, "seeds must be different ones, at least one, not (4, 4)"),
        (experiment, {"colour": 1}, "an experiment has no colour"),
        (experiment, {"n_train": 0}, "n_train must be between 1 and"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_sentence(
    kind: Any, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(ParameterError) as raised:
        kind(**values)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_experiment_of_values_by_name() -> None:
    found = Experiment.of(range(2, 4), N=6, T=3, lr=0.5, n_train=10, optimizer="adamw", n_test=7)
    assert found == Experiment(
        parameters=Parameters(N=6, T=3, lr=0.5),
        training=Training(n_train=10, optimizer="adamw"),
        schedule=Schedule(n_test=7),
        seeds=(2, 3),
    )
    assert found.settings == {
        "n_train": 10, "n_test": 7, "batch_size": 10, "optimizer": "adamw", "weight_decay": 0.0,
        "integrator": "sgd", "d_embed": 1, "fix_embedding": True, "train_epochs": 800,
        "eval_every": 10,
    }  # fmt: skip


def test_run_files_keep_their_names() -> None:
    """Run files that exist are found by these names: they must never change."""
    assert from_set("main", range(3)).file == "N20_T10_K20_e6e433837b10_seeds0-2.npz"
    assert from_set("robust", [0, 4]).file == (
        "N15_T14_K25_3c72aeefdce8_seeds0-4-2-0da47c08443f.npz"
    )
    changed = Experiment.of(
        [4, 2], N=7, T=3, K=4, d_head=8, rope_theta=30, rope_spacing="linear", qk_variance=0.5,
        w_init=0.1, lr=0.02, optimizer="adamw", weight_decay=0.1, fix_embedding=False, d_embed=2,
        batch_size=50, n_train=300, n_test=99, train_epochs=30, eval_every=9,
    )  # fmt: skip
    assert changed.file == "N7_T3_K4_631f7292b342_seeds4-2-2-c1dd5d9fb14a.npz"


def test_a_file_is_named_after_everything() -> None:
    first = experiment([0, 1, 2])
    others = [
        replace(first, seeds=(0, 2)),
        replace(first, seeds=(2, 1, 0)),
        replace(first, parameters=replace(first.parameters, lr=1.0)),
        replace(first, training=replace(first.training, weight_decay=0.5)),
        replace(first, schedule=replace(first.schedule, n_test=9)),
    ]
    assert len({first.file, *(each.file for each in others)}) == 6
    assert experiment([5]).file.endswith("_seeds5-5.npz")
    assert experiment([0, 2**62]).file.count("-") == 3


def test_the_cost_counts_gradients_of_rows() -> None:
    first = experiment([0], n_train=100, train_epochs=10)
    assert first.cost == 10 * 100 * 4**2 * (6 + 20)
    assert replace(first, seeds=(0, 7, 9)).cost == 3 * first.cost
    assert experiment([0], train_epochs=10, integrator="ssprk3").cost == 3 * first.cost
    assert experiment([0], n_train=200, train_epochs=30).cost == 6 * first.cost


def test_named_sets() -> None:
    main = from_set("main", [0])
    p, training = main.parameters, main.training
    assert (p.N, p.K, p.T, p.d_head, p.rope_theta, p.lr) == (20, 20, 10, 64, 10.0, 2.0)
    assert (training.n_train, main.schedule.n_test, training.full_batch) == (4096, 2048, True)
    assert training.optimizer == "sgd"
    assert set(SETS) == {"main", "robust"}
    robust = from_set("robust", [0])
    assert (robust.parameters.K, robust.training.n_train, robust.schedule.n_test) == (
        25,
        3072,
        1024,
    )
    for name in ("N", "T", "K", "d_head", "rope_theta", "rope_spacing", "lr"):
        assert getattr(robust.parameters, name) != getattr(p, name), name
    with pytest.raises(ParameterError, match='set must be "main" or "robust", not \'mine\''):
        from_set("mine", [0])


def test_a_set_with_values_changed() -> None:
    changed = from_set("robust", [0], N=7, n_train=50, fix_embedding=False, eval_every=3)
    assert (changed.parameters.N, changed.parameters.K) == (7, 7)
    assert changed.parameters.w_init == pytest.approx(7**-0.5)
    assert (changed.training.n_train, changed.training.batch_size) == (50, 50)
    assert not changed.training.fix_embedding
    assert (changed.schedule.n_test, changed.schedule.eval_every) == (1024, 3)
    assert from_set("robust", [0], N=7, K=9).parameters.K == 9
    assert from_set("robust", [0], T=7).parameters.K == 25


def test_seeds_of_text() -> None:
    assert list(seeds_of("3:7")) == [3, 4, 5, 6]
    assert list(seeds_of("0:1")) == [0]
    assert list(seeds_of("5,1,7")) == [5, 1, 7]
    assert list(seeds_of("12")) == [12]
    assert len(list(seeds_of("5:1000005"))) == 10**6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3:3", "the number of seeds must be between 1 and 1000000, not 0"),
        ("4:3", "the number of seeds must be between 1 and 1000000, not -1"),
        ("0:1000001", "the number of seeds must be between 1 and 1000000, not 1000001"),
        *(
            (text, f'seeds must be text such as "0:8" or "1,5,7", not {text!r}')
            for text in (
                "",
                "x",
                "-1",
                "1,",
                "1:2:3",
                "1:2,5",
                "1 2",
                "²",
                3,
                None,
                10 * "1" + "\n",
            )
        ),
    ],
)
def test_other_text_is_refused(text: Any, words: str) -> None:
    with pytest.raises(ParameterError) as raised:
        seeds_of(text)
    assert str(raised.value) == words
