"""Steps along the gradient are those of torch's own optimizers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from simulate.optimizer import Optimizer


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_optimizers_are_torchs(name: str, weight_decay: float) -> None:
    generator = torch.manual_seed(0)
    mine = {
        key: torch.nn.Parameter(torch.randn(size, generator=generator, dtype=torch.float64))
        for key, size in (("x", (5,)), ("y", (2, 3)))
    }
    theirs = {key: torch.nn.Parameter(value.detach().clone()) for key, value in mine.items()}
    kind = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[name]
    reference = kind(theirs.values(), lr=0.3, weight_decay=weight_decay)
    optimizer = Optimizer(name, 0.3, weight_decay)
    for count in range(1, 21):
        slopes = {
            key: torch.randn(value.shape, generator=generator, dtype=torch.float64)
            for key, value in mine.items()
        }
        for key, value in theirs.items():
            value.grad = slopes[key].clone()
        reference.step()
        optimizer.step(mine, slopes)
        assert optimizer.steps == count
        for key, value in mine.items():
            torch.testing.assert_close(value, theirs[key], rtol=1e-12, atol=1e-14)
            assert torch.equal(slopes[key], theirs[key].grad)  # left as it was
    assert set(optimizer.moments) == (set(mine) if name == "adamw" else set())


def test_moments_and_steps_are_all_that_it_remembers() -> None:
    slopes = torch.randn(9, 5, generator=torch.manual_seed(0), dtype=torch.float64).unbind()
    weight = torch.nn.Parameter(torch.ones(5, dtype=torch.float64))
    first = Optimizer("adamw", 0.3, 0.1)
    for slope in slopes[:4]:
        first.step({"x": weight}, {"x": slope})
    copy = torch.nn.Parameter(weight.detach().clone())
    moments = {
        name: (mean.clone(), square.clone()) for name, (mean, square) in first.moments.items()
    }
    second = Optimizer("adamw", 0.3, 0.1, steps=first.steps, moments=moments)
    for slope in slopes[4:]:
        first.step({"x": weight}, {"x": slope})
        second.step({"x": copy}, {"x": slope})
    assert torch.equal(weight, copy)


def test_torchs_compiler_is_not_loaded() -> None:
    """It takes longer to import than a small model to train."""
    program = (
        "import sys, torch; from simulate.optimizer import Optimizer;"
        "w = torch.nn.Parameter(torch.ones(3));"
        "[Optimizer(name, 0.1, 0.1).step({'w': w}, {'w': torch.ones(3)}) for name in"
        " ('sgd', 'adamw')]; print('torch._dynamo' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    root = Path(__file__).parents[2]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
