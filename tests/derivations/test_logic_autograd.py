"""(42)-(56) against autograd: gradients of the mean-field loss of random matrices."""

from __future__ import annotations

import pytest
import torch

from derivations.models.sums import numbers
from derivations.paper import logic
from derivations.symbols import K, N, P, R, eta, g

N0, K0, T0 = 7, 4, 5


@pytest.fixture(scope="module")
def drawn() -> dict[str, torch.Tensor]:
    """Random logic matrices, permutations and attention rows, and the gradients of (10)."""
    generator = torch.Generator().manual_seed(3)
    W = torch.rand(K0, N0, N0, generator=generator, dtype=torch.float64, requires_grad=True)
    images = [torch.randperm(N0, generator=generator) for _ in range(K0)]
    teacher = torch.zeros(K0, N0, N0, dtype=torch.float64)
    for k, image in enumerate(images):
        teacher[k, image, torch.arange(N0)] = 1.0
    rows = torch.softmax(torch.rand(T0, T0, generator=generator, dtype=torch.float64) * 3, dim=1)
    # the two mean logits, averaged over positions, actions and the state, term by term
    right, total = W.new_zeros(()), W.new_zeros(())
    for t in range(T0):
        for j in range(T0):
            pairs = (
                [(k, k) for k in range(K0)]
                if j == t
                else [(k, other) for k in range(K0) for other in range(K0)]
            )
            for taught, used in pairs:
                overlap = (teacher[taught] * W[used]).sum() / N0
                right = right + rows[t, j] * overlap / len(pairs) / T0
    for k in range(K0):
        total = total + W[k].sum() / (N0 * K0)
    other = (total - right) / (N0 - 1)
    loss = -torch.log_softmax(torch.stack([right, *[other] * (N0 - 1)]), dim=0)[0]
    retrieval = rows.diagonal().mean()
    gradient = torch.autograd.grad(loss, W, retain_graph=True)[0]
    by_right = torch.autograd.grad(right, W, retain_graph=True)[0]
    by_other = torch.autograd.grad(other, W)[0]
    wrong = 1 - torch.exp(-loss.detach())
    return {
        "P": teacher, "R": retrieval, "g": wrong, "gradient": gradient,
        "by_right": by_right, "by_other": by_other,
    }  # fmt: skip


def at_entry(expr, drawn, k: int, n: int, m: int) -> float:
    """A right side of derivations.logic at one entry of the drawn matrices."""
    teacher = drawn["P"]
    arrays = {
        P: {
            (a + 1, b + 1, c + 1): float(teacher[a, b, c])
            for a in range(K0)
            for b in range(N0)
            for c in range(N0)
        },
        logic.mean_permutation: {(n + 1, m + 1): float(teacher[:, n, m].mean())},
    }
    letters = dict(zip((logic.k, logic.n, logic.m), (k + 1, n + 1, m + 1), strict=True))
    values = {N: N0, K: K0, R: float(drawn["R"]), g: float(drawn["g"]), eta: 1.0, **letters}
    return float(numbers(expr, values, arrays))


def test_logic_update(drawn: dict[str, torch.Tensor]) -> None:
    slope = logic.right_logit_slope_in_permutations.statement.rhs
    update = logic.logic_update.statement.rhs
    other = logic.other_logit_slope.statement.rhs.xreplace({logic.slope_in_entry(logic.y_c): slope})
    for k, n, m in [(0, 0, 0), (1, 3, 6), (3, 6, 2), (2, 5, 5)]:
        place = k, n, m
        assert at_entry(slope, drawn, *place) == pytest.approx(
            float(drawn["by_right"][place]), abs=1e-14
        )
        assert at_entry(other, drawn, *place) == pytest.approx(
            float(drawn["by_other"][place]), abs=1e-14
        )
        assert at_entry(update, drawn, *place) == pytest.approx(
            -float(drawn["gradient"][place]), abs=1e-14
        )


def test_overlap_changes(drawn: dict[str, torch.Tensor]) -> None:
    teacher, step = drawn["P"], -drawn["gradient"]
    overlaps = torch.einsum("knm,lnm->kl", step, teacher)
    same, pairs = overlaps.diagonal().sum(), overlaps.sum()
    own = torch.einsum("knm,lnm->kl", teacher, teacher)
    c_1 = own.sum() / (N0 * K0)
    c_2 = (own.sum() - own.diagonal().sum()) / (N0 * K0 * (K0 - 1))
    values = {N: N0, K: K0, R: float(drawn["R"]), g: float(drawn["g"]), eta: 1.0}
    values |= {logic.c_1: float(c_1), logic.c_2: float(c_2)}
    exact = {
        logic.alignment_change_by_overlaps: same / (N0 * K0),
        logic.off_target_change_by_overlaps: (pairs - same) / (N0 * K0 * (K0 - 1)),
    }
    for equation, change in exact.items():
        claimed = float(equation.statement.rhs.subs(values))
        assert claimed == pytest.approx(float(change), abs=1e-14)
