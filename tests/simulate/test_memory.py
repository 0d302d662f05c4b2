"""How much a training takes at least, and what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from meanfield.errors import ParameterError
from simulate import memory
from simulate.machine import resolve
from simulate.memory import least_bytes, machine_bytes, seeds_at_once
from simulate.settings import Machine
from simulate.trainer import Trainer
from tests.simulate.small import experiment

CPU = Machine(device="cpu", kernel="torch")


@pytest.mark.parametrize("changed", [{}, {"optimizer": "adamw"}, {"fix_embedding": False}])
def test_no_less_is_ever_taken(changed: dict[str, Any]) -> None:
    """The arrays that a trainer holds are counted, and little else."""
    of = experiment([0], N=40, K=40, n_train=50, n_test=30, **changed)
    trainer = Trainer.set_up(of, CPU)
    model, task, data = trainer.model, trainer.task, (trainer.train, trainer.test)
    held = task.W.nbytes + 2 * sum(each.numel() * each.element_size() for each in [model.W])
    held += sum(chunk.onehot.numel() * 4 for each in data for chunk in each.chunks)  # type: ignore[attr-defined]
    held += 2 * model.W.numel() * 4 * (of.training.optimizer == "adamw")
    held += 80 * 4 * 4 * 8 * (not of.training.fix_embedding)
    assert held <= least_bytes(of, CPU) <= 1.1 * held
    assert least_bytes(of, Machine(device="cpu", dtype="float64", kernel="torch")) > 1.2 * held


def test_as_many_seeds_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    of = experiment(range(4))
    one = least_bytes(of, CPU)
    for there, count in ((one, 1), (2.5 * one, 2), (1e12, 4)):
        monkeypatch.setattr(memory, "machine_bytes", lambda _, there=there: there)
        assert seeds_at_once(of, CPU) == count
    monkeypatch.setattr(memory, "machine_bytes", lambda _: one - 1)
    with pytest.raises(ParameterError, match="a seed of N = 6, K = 5, T = 4, n_train = 100 "):
        seeds_at_once(of, CPU)


def test_the_memory_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    there = machine_bytes(CPU)
    assert 1e8 < there < 1e15
    monkeypatch.setattr(memory, "GROUP_LIMIT", tmp_path / "memory.max")
    for text, limit in (("max", machine_bytes(CPU)), ("12345", 12345)):
        (tmp_path / "memory.max").write_text(f"{text}\n")
        assert machine_bytes(CPU) == limit
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (1, 8 * 10**9))
    assert machine_bytes(Machine(device="cuda")) == 8e9


def test_too_many_planes_are_refused_before_anything_is_drawn() -> None:
    with pytest.raises(ParameterError, match=r"T \* d_head/2 must be at most 1000000, not 300000"):
        resolve(CPU, experiment(T=300_000))
