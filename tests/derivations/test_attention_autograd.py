"""(60)-(69), X5 against autograd of the real softmax attention, torch float64."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

import pytest
import sympy as sp

from derivations.beyond import attention_flow
from derivations.models.sums import numbers
from derivations.paper import attention
from derivations.statement import Equation
from derivations.symbols import A, F, G, K, L, N, Q, R, S, T, d, g, i, j, l, omega, r

torch = pytest.importorskip("torch")

SIZES = [(3, 4), (4, 6)]  # (T, d)


@dataclass(frozen=True)
class Drawn:
    """A drawn head: q, k of shape (d,) with gradients, omega of shape (d/2,)."""

    T: int
    q: torch.Tensor
    k: torch.Tensor
    omega: torch.Tensor

    @property
    def d(self) -> int:
        return len(self.q)

    @property
    def sizes(self) -> dict[sp.Symbol, int]:
        return {T: self.T, d: self.d}

    def turned(self, vector: torch.Tensor, position: int) -> torch.Tensor:
        """The vector times an explicit (d, d) rotation matrix."""
        half, turn = self.d // 2, torch.zeros(self.d, self.d, dtype=torch.float64)
        for plane, frequency in enumerate(self.omega.tolist()):
            angle = torch.tensor(frequency * position, dtype=torch.float64)
            turn[plane, plane] = turn[plane + half, plane + half] = torch.cos(angle)
            turn[plane, plane + half] = -torch.sin(angle)
            turn[plane + half, plane] = torch.sin(angle)
        return turn @ vector

    def logits(self) -> torch.Tensor:
        """(T, T): predictors T+1..2T, actions 1..T."""
        queries = [self.turned(self.q, position) for position in range(self.T + 1, 2 * self.T + 1)]
        keys = [self.turned(self.k, position) for position in range(1, self.T + 1)]
        return torch.stack(queries) @ torch.stack(keys).T / self.d**0.5

    def attention(self) -> torch.Tensor:
        return torch.softmax(self.logits(), dim=1)

    def retrieval(self) -> torch.Tensor:
        return self.attention().diagonal().mean()

    def gradient(self, quantity: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.autograd.grad(quantity, (self.q, self.k), retain_graph=True)

    def arrays(self) -> dict[sp.IndexedBase, dict]:
        return {
            attention.query: entries(self.q),
            attention.key: entries(self.k),
            omega: entries(self.omega),
            A: by_position(self.attention()),
        }


def drawn(T: int, d: int) -> Drawn:
    generator = torch.Generator().manual_seed(1000 * T + d)
    q, k, frequencies = torch.split(
        2 * torch.rand(2 * d + d // 2, generator=generator, dtype=torch.float64) - 1, [d, d, d // 2]
    )
    return Drawn(T, (2 * q).requires_grad_(), (2 * k).requires_grad_(), frequencies)


def entries(vector: torch.Tensor) -> dict[tuple[int, ...], sp.Float]:
    return {(index,): sp.Float(value) for index, value in enumerate(vector.tolist())}


def by_position(matrix: torch.Tensor) -> dict[tuple[int, ...], sp.Float]:
    size = len(matrix)
    return {
        (size + 1 + t, column + 1): sp.Float(matrix[t, column].item())
        for t, column in itertools.product(range(size), repeat=2)
    }


def value(equation: Equation, at: dict, arrays: dict, named: dict | None = None) -> sp.Expr:
    """Right side of a statement as numbers; ``named`` stands for derivatives."""
    return sp.N(numbers(equation.statement.rhs.xreplace(named or {}), at, arrays))


def same(claimed: sp.Expr, measured: torch.Tensor) -> None:
    assert float(claimed) == pytest.approx(measured.item(), rel=1e-11, abs=1e-14)


@pytest.mark.parametrize("sizes", SIZES)
def test_gradient_of_retrieval(sizes: tuple[int, int]) -> None:
    head = drawn(*sizes)
    logits, arrays, half = head.logits(), head.arrays(), head.d // 2
    weights = torch.softmax(logits, dim=1)
    (by_logit,) = torch.autograd.grad(weights.diagonal().mean(), logits, retain_graph=True)
    by_q, by_k = head.gradient(head.retrieval())
    slopes_of_u = {}
    for t, column in itertools.product(range(head.T), repeat=2):
        at = {**head.sizes, i: head.T + 1 + t, j: column + 1}
        same(value(attention.retrieval_slope, at, arrays), by_logit[t, column])
        (row_slopes,) = torch.autograd.grad(weights[t, column], logits, retain_graph=True)
        for row, other in itertools.product(range(head.T), repeat=2):
            there = {**at, attention.other_row: head.T + 1 + row, l: other + 1}
            same(value(attention.softmax_slope, there, arrays), row_slopes[row, other])
        slopes = head.gradient(logits[t, column])
        slopes_of_u[head.T + 1 + t, column + 1] = sp.Float(slopes[0][1].item())
        for plane in range(half):
            for statement, slope in zip(
                (attention.logit_by_query, attention.logit_by_key), slopes, strict=True
            ):
                claimed = value(statement, {**at, r: plane}, arrays)
                same(claimed[0], slope[plane])
                same(claimed[1], slope[plane + half])
    claimed = value(
        attention.retrieval_gradient, head.sizes, arrays | {attention.grad_u: slopes_of_u}
    )
    same(claimed, by_q[1])
    arrays |= {attention.M_cos: {}, attention.M_sin: {}}
    for plane in range(half):
        pair = [plane, plane + half]
        M = value(attention.matrix_M, {**head.sizes, r: plane}, arrays)
        block = torch.tensor(M.tolist(), dtype=torch.float64) / head.d**0.5
        torch.testing.assert_close(block @ head.k[pair], by_q[pair], rtol=1e-11, atol=1e-14)
        torch.testing.assert_close(block.T @ head.q[pair], by_k[pair], rtol=1e-11, atol=1e-14)
        arrays[attention.M_cos][plane,], arrays[attention.M_sin][plane,] = M[0, 0], M[1, 0]
    same(value(attention.quadratic_form, head.sizes, arrays), by_q @ by_q + by_k @ by_k)


@dataclass(frozen=True)
class Logic:
    """Permutations, logic matrices (K, N, N), and the mean-field loss by visiting every word."""

    permutations: list[list[int]]
    W: torch.Tensor

    def mean_field_loss(self, rows: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of the logits averaged over every word, given the (T, T) attention."""
        actions, states, _ = self.W.shape
        length, right, total, count = len(rows), 0.0, 0.0, 0
        for word in itertools.product(range(actions), repeat=length):
            for start in range(states):
                state = start
                for t in range(length):
                    mixed = sum(rows[t, column] * self.W[word[column]] for column in range(length))
                    reached = self.permutations[word[t]][state]
                    right, total = right + mixed[reached, state], total + mixed[:, state].sum()
                    state, count = reached, count + 1
        y_c, others = right / count, (total - right) / count / (states - 1)
        vector = torch.stack([y_c, *[others] * (states - 1)])
        return torch.nn.functional.cross_entropy(vector, torch.tensor(0))

    def overlaps(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Q, S by their definitions."""
        actions, states, _ = self.W.shape
        P = torch.zeros_like(self.W)
        for action, images in enumerate(self.permutations):
            P[action, images, range(states)] = 1
        every = torch.einsum("knm,lnm->kl", self.W, P) / states
        own = every.diagonal().sum()
        return own / actions, (every.sum() - own) / (actions * (actions - 1))


def test_retrieval_growth() -> None:
    head, rng = drawn(3, 4), random.Random(64)
    states, actions = 3, 2
    generator = torch.Generator().manual_seed(64)
    logic = Logic(
        [rng.sample(range(states), states) for _ in range(actions)],
        2 * torch.randn(actions, states, states, generator=generator, dtype=torch.float64),
    )
    loss, here = logic.mean_field_loss(head.attention()), head.retrieval()
    loss_slopes, slopes = head.gradient(loss), head.gradient(here)
    measured = -sum(a @ b for a, b in zip(loss_slopes, slopes, strict=True))
    bases = {
        sp.Derivative(quantity, vector[r]): sp.IndexedBase(name)[r]
        for name, (quantity, vector) in zip(
            "abcd",
            itertools.product((R, L), (attention.query, attention.key)),
            strict=True,
        )
    }
    arrays = {
        base.base: entries(slope)
        for base, slope in zip(bases.values(), (*slopes, *loss_slopes), strict=True)
    }
    same(value(attention.retrieval_flow, head.sizes, arrays, bases), measured)
    drive = -loss_slopes[0][0] / slopes[0][0]
    for loss_slope, slope in zip(loss_slopes, slopes, strict=True):
        for one, other in zip(loss_slope, slope, strict=True):
            named = {sp.Derivative(R, attention.weight): sp.Float(other.item())}
            same(value(attention.weight_flow, {F: sp.Float(drive.item())}, {}, named), -one)
    named = bases | {sp.Derivative(L, R): sp.Float(-drive.item())}
    same(value(attention.retrieval_drive, head.sizes, arrays, named), measured)
    own, off = logic.overlaps()
    at = head.sizes | {
        N: states,
        K: actions,
        Q: sp.Float(own.item()),
        S: sp.Float(off.item()),
        g: sp.Float((1 - torch.exp(-loss)).item()),
        G: value(attention.attention_gradient, head.sizes, arrays, bases),
    }
    same(value(attention.retrieval_growth, at, {}), measured)


@pytest.mark.parametrize("sizes", SIZES)
def test_flow_of_planes(sizes: tuple[int, int]) -> None:
    head, drive, half = drawn(*sizes), 0.7, sizes[1] // 2
    by_q, by_k = head.gradient(head.retrieval())
    q, k = (torch.complex(vector[:half], vector[half:]) for vector in (head.q, head.k))

    # R as a function of the products alone
    p = (q * k.conj()).detach()
    parts = [p.real.clone().requires_grad_(), p.imag.clone().requires_grad_()]
    lags = torch.arange(head.T)[:, None] - torch.arange(head.T) + head.T
    angles = lags[..., None] * head.omega
    logits = (parts[0] * torch.cos(angles) - parts[1] * torch.sin(angles)).sum(-1) / head.d**0.5
    torch.testing.assert_close(logits, head.logits(), rtol=1e-12, atol=1e-13)
    retrieval = torch.softmax(logits, dim=1).diagonal().mean()
    by_re, by_im = torch.autograd.grad(retrieval, parts)

    def rate(quantity: torch.Tensor) -> torch.Tensor:
        by = head.gradient(quantity)
        return drive * (by[0] @ by_q + by[1] @ by_k)

    arrays = head.arrays() | {
        attention_flow.p_re: entries(p.real),
        attention_flow.p_im: entries(p.imag),
        attention_flow.H_re: entries(by_re),
        attention_flow.H_im: entries(by_im),
        attention_flow.size: entries(q.abs() ** 2 + k.abs() ** 2),
    }
    for plane in range(half):
        at = head.sizes | {r: plane, F: sp.Float(drive)}
        slopes = value(attention_flow.retrieval_by_plane, at, arrays)
        same(slopes[0], by_re[plane])
        same(slopes[1], by_im[plane])
        product = q[plane] * k[plane].conj()
        claimed = value(attention_flow.product_flow, at, arrays)
        same(claimed[0], rate(product.real))
        same(claimed[1], rate(product.imag))
        lengths = q[plane].abs() ** 2, k[plane].abs() ** 2
        same(value(attention_flow.size_flow, at, arrays), rate(lengths[0] + lengths[1]))
        same(value(attention_flow.conserved_imbalance, at, arrays), lengths[0] - lengths[1])
        assert abs(rate(lengths[0] - lengths[1]).item()) < 1e-14
    same(
        value(attention_flow.gradient_without_closure, head.sizes, arrays),
        by_q @ by_q + by_k @ by_k,
    )
