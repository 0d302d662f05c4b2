"""Steps along the gradient, for all seeds at once.

The functions of torch.optim, not its classes: making one imports torch's compiler, which takes
longer than training a small model.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

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
        tensors: list[Tensor] = list(weights.values())
        slopes = [gradients[name] for name in weights]
        if self.name == "sgd":
            sgd(
                tensors,
                slopes,
                [None] * len(tensors),
                foreach=False,
                weight_decay=self.weight_decay,
                momentum=0,
                lr=self.lr,
                dampening=0,
                nesterov=False,
                maximize=False,
            )
        else:
            for name, weight in weights.items():
                if name not in self.moments:
                    self.moments[name] = torch.zeros_like(weight), torch.zeros_like(weight)
            means, squares = zip(*(self.moments[name] for name in weights), strict=True)
            adamw(
                tensors,
                slopes,
                list(means),
                list(squares),
                [],
                [torch.tensor(float(self.steps), device="cpu") for _ in tensors],
                foreach=False,
                amsgrad=False,
                beta1=BETA_1,
                beta2=BETA_2,
                lr=self.lr,
                weight_decay=self.weight_decay,
                eps=EPSILON,
                maximize=False,
            )
        self.steps += 1
