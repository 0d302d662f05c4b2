"""Everything the theory speaks of, measured on the network itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from meanfield import generated
from simulate.gradient.data import Data
from simulate.model import Transformer, attention_of, overlaps
from simulate.task import Sequences, Task, indices

Array = NDArray[Any]


def measure(model: Transformer, task: Task, train: Data, test: Data) -> dict[str, Array]:
    """Return one array (B, ...) for each measured field of a run file."""
    W = model.W.detach()
    permutations = indices(task.permutations, W.device)
    _, K, N, _ = W.shape
    if model.fix_embedding:
        of_train = of_test = A = model.attention()
        grad_R_squared = _grad_R_squared(model, A)
        rollout = test.rollout(A, W)
    else:
        with torch.no_grad():
            of_train, of_test = attention_of(model, task.train), attention_of(model, task.test)
            rollout = learned_rollout(model, task.test)
        A = of_train.mean(1)
        grad_R_squared = _learned_grad_R_squared(model, task.train)
    Q, S, C = (value.cpu().numpy() for value in overlaps(W, permutations))
    R = A.diagonal(dim1=1, dim2=2).mean(-1).cpu().numpy()
    seen, unseen = train.statistics(of_train, W), test.statistics(of_test, W)
    with np.errstate(invalid="ignore", over="ignore"):  # of a seed that diverges, W in float64
        mean_field_loss = generated.loss(generated.margin(R, Q, S, C, N, K), N)
    return {
        "R": R,
        "Q": Q,
        "S": S,
        "C": C,
        "loss": seen.loss,
        "mean_field_loss": np.asarray(mean_field_loss),
        "train_accuracy": seen.accuracy,
        "test_accuracy": unseen.accuracy,
        "rollout_accuracy": rollout.cpu().numpy(),
        "correct_logit": seen.correct_logit,
        "correct_logit_std": seen.correct_logit_std,
        "other_logit": seen.other_logit,
        "other_logit_std": seen.other_logit_std,
        "grad_R_squared": grad_R_squared.cpu().numpy(),
        "attention": A.cpu().numpy(),
    }


def learned_rollout(model: Transformer, data: Sequences) -> Tensor:
    """Return the share of sequences whose last state is generated right, learned embeddings."""
    B, K = model.W.shape[:2]
    actions, states = (indices(part, model.W.device) for part in (data.actions, data.states))
    onehot = one_hot(actions, K).to(model.W.dtype)
    seed = torch.arange(B, device=model.W.device)[:, None]
    columns = model.W.permute(0, 3, 1, 2)
    own = states[..., :-1].clone()  # what is not generated yet is not seen by the rows before it
    for t in range(actions.shape[2]):
        A = model.attention_of(actions, own)[:, :, t].to(model.W.dtype)
        z = A[:, :, None] @ onehot
        state = (z @ columns[seed, own[:, :, t]]).argmax(-1)[..., 0]
        if t + 1 < actions.shape[2]:
            own[:, :, t + 1] = state
    return (state == states[..., -1]).double().mean(-1)


def _grad_R_squared(model: Transformer, A: Tensor) -> Tensor:
    T = A.shape[-1]
    by_A = torch.eye(T, dtype=A.dtype, device=A.device).expand_as(A) / T
    by_q, by_k = model.attention_gradient(A, by_A)
    # each of the d_embed columns of W_Q and W_K has the gradient of their sum
    return model.query.shape[2] * (by_q.square() + by_k.square()).sum(-1)


def _learned_grad_R_squared(model: Transformer, data: Sequences) -> Tensor:
    R = attention_of(model, data).diagonal(dim1=2, dim2=3).mean((1, 2))
    gradients = torch.autograd.grad(R.sum(), [model.query, model.key])
    return sum((g.square().sum((1, 2)) for g in gradients), torch.zeros_like(R))
