"""(19)-(24) as a real GLU in torch float64: same logits, same gradients of the learnable part."""

from __future__ import annotations

import pytest

from derivations.paper import glu
from derivations.statement import Equation
from derivations.symbols import K, N

torch = pytest.importorskip("torch")

SIZES = {K: 5, N: 7}
HIDDEN, WIDTH = SIZES[K] * SIZES[N], SIZES[K] + SIZES[N]


def matrix(equation: Equation) -> torch.Tensor:
    """(KN, K+N): the fixed projection that a statement describes."""
    entries = glu.as_matrix(glu.entries(equation.statement, SIZES), HIDDEN, WIDTH)
    return torch.tensor(entries.tolist(), dtype=torch.float64)


def test_glu_equals_logic_module_with_gradients() -> None:
    """A batch of soft z and one-hot x through the GLU and through sum_k z_k W_k x."""
    torch.manual_seed(0)
    W = torch.randn(SIZES[K], SIZES[N], SIZES[N], dtype=torch.float64, requires_grad=True)
    z = torch.softmax(torch.randn(16, SIZES[K], dtype=torch.float64), dim=1)
    x = torch.eye(SIZES[N], dtype=torch.float64)[torch.randint(SIZES[N], (16,))]
    direct = torch.einsum("bk,knm,bm->bn", z, W, x)

    h = torch.cat((z, x), dim=1)
    W_down = W.detach().permute(1, 0, 2).reshape(SIZES[N], HIDDEN).requires_grad_()
    hidden = (h @ matrix(glu.gate_projection).T) * (h @ matrix(glu.up_projection).T)
    through = hidden @ W_down.T
    assert torch.allclose(through, direct, rtol=0, atol=1e-13)

    right = x.argmax(1)
    for logits in (direct, through):
        torch.nn.functional.cross_entropy(logits, right).backward()
    blocks = W_down.grad.reshape(SIZES[N], SIZES[K], SIZES[N]).permute(1, 0, 2)
    assert torch.allclose(blocks, W.grad, rtol=0, atol=1e-14)


def test_bundled_queries_ignore_the_token() -> None:
    """The bundled matrix gives every one-hot token the one query vector."""
    q = torch.randn(2, dtype=torch.float64)
    entries = glu.entries(glu.bundled_queries.statement, SIZES)
    chosen = [
        [int(entries[row, column].indices[0]) - 1 for column in range(1, WIDTH + 1)]
        for row in (1, 2)
    ]
    W_Q = q[torch.tensor(chosen)]
    assert torch.equal(W_Q @ torch.eye(WIDTH, dtype=torch.float64), q[:, None].expand(2, WIDTH))
