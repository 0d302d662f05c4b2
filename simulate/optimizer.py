"""Steps along the gradient, for all seeds at once.

torch.optim would do, but importing it takes longer than training a small model.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # of AdamW


@dataclass(eq=False)
class Optimizer:
    """Plain SGD or AdamW on parameters by name; ``moments`` and ``steps`` are its whole memory."""

    name: str
    lr: float
    weight_decay: float
    steps: int = 0
    moments: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @torch.no_grad()
    def step(self, weights: dict[str, nn.Parameter], gradients: dict[str, Tensor]) -> None:
        """Change the weights in place."""
        self.steps += 1
        for name, weight in weights.items():
            if self.name == "sgd":
                gradient = gradients[name]
                if self.weight_decay:
                    gradient = gradient.add(weight, alpha=self.weight_decay)
                weight.sub_(gradient, alpha=self.lr)
            else:
                self._adamw(name, weight, gradients[name])

    def _adamw(self, name: str, weight: Tensor, gradient: Tensor) -> None:
        if name not in self.moments:
            self.moments[name] = torch.zeros_like(weight), torch.zeros_like(weight)
        mean, square = self.moments[name]
        mean.lerp_(gradient, 1 - BETA_1)
        square.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
        scale = (square / (1 - BETA_2**self.steps)).sqrt_().add_(EPSILON)
        weight.mul_(1 - self.lr * self.weight_decay)
        weight.addcdiv_(mean, scale, value=-self.lr / (1 - BETA_1**self.steps))
