"""Gauss-Legendre panels, many rows at once: running integrals, and where they reach a value."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

Array = NDArray[np.float64]


@cache
def rule(nodes: int) -> tuple[Array, Array]:
    """Return the Gauss-Legendre points in (-1, 1) and their weights."""
    return legendre.leggauss(nodes)


@cache
def coefficients(nodes: int) -> Array:
    """Return the matrix from values at the points to Legendre coefficients, (nodes, nodes)."""
    x, weights = rule(nodes)
    return (np.arange(nodes)[:, None] + 0.5) * legendre.legvander(x, nodes - 1).T * weights


@cache
def integral_coefficients(nodes: int) -> Array:
    """Return the same for the integral from -1, (nodes + 1, nodes)."""
    result = np.zeros((nodes + 1, nodes))
    for degree in range(nodes):
        column = legendre.legint(np.eye(degree + 1)[degree], lbnd=-1)
        result[: len(column), degree] = column
    return result @ coefficients(nodes)


def integral_series(values: Array, half: Array) -> Array:
    """Return Legendre coefficients, (nodes + 1, rows, panels), of the integral over each panel."""
    return np.moveaxis(values @ integral_coefficients(values.shape[2]).T, 2, 0) * half[:, :, 0]


@cache
def running_matrix(nodes: int) -> Array:
    """Return the matrix from values at the points to the integral from -1 to each point."""
    return legendre.legvander(rule(nodes)[0], nodes) @ integral_coefficients(nodes)


@cache
def slope_matrix(nodes: int) -> Array:
    """Return the matrix from values at the points to the slopes there, (nodes, nodes)."""
    columns = [legendre.legder(np.eye(nodes)[degree]) for degree in range(nodes)]
    slopes = np.stack([legendre.legval(rule(nodes)[0], column) for column in columns], axis=-1)
    return np.asarray(slopes @ coefficients(nodes))


def slopes(values: Array, half: Array) -> Array:
    """Return the derivative at the points, (rows, panels, nodes), of values there."""
    return np.asarray(values @ slope_matrix(values.shape[2]).T / half)


def at_points(edges: Array, nodes: int) -> tuple[Array, Array]:
    """Return the points of every panel, (rows, panels, nodes), and the panels' half-widths."""
    half = np.diff(edges)[:, :, None] / 2
    return edges[:, :-1, None] + half * (1 + rule(nodes)[0]), half


def at_edges(values: Array, half: Array) -> Array:
    """Return the running integral at the edges, (rows, panels + 1), of values at the points."""
    parts = (values @ rule(values.shape[2])[1]) * half[:, :, 0]
    return np.concatenate([np.zeros((len(parts), 1)), np.cumsum(parts, axis=1)], axis=1)


def between_edges(values: Array, half: Array, edge_values: Array) -> Array:
    """Return the running integral at the points, (rows, panels, nodes)."""
    return np.asarray(
        edge_values[:, :-1, None] + half * (values @ running_matrix(values.shape[2]).T)
    )


def spread(edges: Array, cost: Array, panels: int) -> Array:
    """Return ``panels`` panels of equal cost a row; cost: running, at the edges, not decreasing."""
    share = np.linspace(0.0, 1.0, panels + 1) * cost[:, -1:]
    # one interpolation for all rows: shift the rows apart
    apart = np.arange(len(edges))[:, None] * (np.max(cost) + 1.0)
    flat = np.interp((share + apart).ravel(), (cost + apart).ravel(), edges.ravel())
    result = flat.reshape(share.shape)
    result[:, 0], result[:, -1] = edges[:, 0], edges[:, -1]
    return result


def series(terms: Array, offset: Array) -> Array:
    """Return the sum over k of terms[k] times the Legendre polynomial P_k at offset."""
    before, now = np.ones_like(offset), offset
    total = terms[0] + terms[1] * offset
    for k in range(2, len(terms)):
        before, now = now, ((2 * k - 1) * offset * now - (k - 1) * before) / k
        total += terms[k] * now
    return np.asarray(total)


def reach(total: Array, slope: Array, wanted: Array) -> Array:
    """Return the offset in (-1, 1) at which a growing integral comes to ``wanted``.

    total, slope: Legendre coefficients of the integral and of its derivative, degree first.
    """
    offset = 2 * wanted / np.sum(total, axis=0) - 1  # every P_k(1) is 1
    for _ in range(20):
        step = (wanted - series(total, offset)) / series(slope, offset)
        offset = np.clip(offset + step, -1.0, 1.0)
        if np.all(np.abs(step) < 1e-8):  # Newton doubles the digits once more
            return np.asarray(offset)
    raise ArithmeticError("a time could not be found on its panel")


def pick(array: Array, index: NDArray[np.intp]) -> Array:
    """Return array[..., row, index[row, :]] for every row; array: (..., rows, panels)."""
    return np.asarray(array[..., np.arange(len(index))[:, None], index])


def find(edge_values: Array, wanted: Array) -> NDArray[Any]:
    """Return the panel in which each wanted value lies, (rows, values)."""
    last = edge_values.shape[1] - 2
    inner = edge_values[:, None, 1:-1]
    return np.minimum(np.sum(inner <= wanted[:, :, None], axis=2), last)
