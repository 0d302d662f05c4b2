"""Panels of Gauss-Legendre nodes on functions whose integrals are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import legendre

from meanfield.numerics import panels

EDGES = np.array([[0.0, 0.3, 1.0, 1.7], [-2.0, -1.5, 0.0, 0.1]])  # two rows of uneven panels
NODES = 12


def test_points_lie_in_their_panels() -> None:
    x, half = panels.at_points(EDGES, NODES)
    assert x.shape == (2, 3, NODES)
    assert np.all((x > EDGES[:, :-1, None]) & (x < EDGES[:, 1:, None]))
    np.testing.assert_allclose(2 * half[:, :, 0], np.diff(EDGES))


def test_running_integrals_at_edges_and_points() -> None:
    x, half = panels.at_points(EDGES, NODES)
    at_edges = panels.at_edges(np.cos(x), half)
    begin = np.sin(EDGES[:, :1])
    np.testing.assert_allclose(at_edges, np.sin(EDGES) - begin, atol=1e-14)
    inside = panels.between_edges(np.cos(x), half, at_edges)
    np.testing.assert_allclose(inside, np.sin(x) - begin[:, :, None], atol=1e-13)


def test_a_polynomial_is_integrated_exactly_up_to_twice_the_nodes() -> None:
    x, half = panels.at_points(EDGES[:1], 4)
    exact = panels.at_edges(x**7, half)[:, -1]
    assert exact == pytest.approx(1.7**8 / 8, rel=1e-13)
    assert panels.at_edges(x**8, half)[:, -1] != pytest.approx(1.7**9 / 9, rel=1e-13)


def test_series_is_the_sum_of_legendre_polynomials() -> None:
    terms = np.random.default_rng(0).normal(size=7)
    offset = np.linspace(-1, 1, 11)
    wide = np.broadcast_to(terms[:, None], (7, 11))
    np.testing.assert_allclose(panels.series(wide, offset), legendre.legval(offset, terms))


def test_an_integral_is_inverted() -> None:
    x, half = panels.at_points(EDGES, NODES)
    total = panels.integral_series(np.exp(x), half)
    slope = np.moveaxis(np.exp(x) @ panels.coefficients(NODES).T, 2, 0) * half[:, :, 0]
    wanted = np.array([[0.1, 0.5, 1.2], [0.02, 0.3, 0.09]])  # of the integral over each panel
    whole = np.exp(EDGES[:, 1:]) - np.exp(EDGES[:, :-1])
    offset = panels.reach(total, slope, wanted * whole / np.maximum(whole, 1.3))
    there = EDGES[:, :-1] + half[:, :, 0] * (1 + offset)
    found = np.exp(there) - np.exp(EDGES[:, :-1])
    np.testing.assert_allclose(found, wanted * whole / np.maximum(whole, 1.3), rtol=1e-12)


def test_an_integral_that_cannot_be_inverted_is_loud() -> None:
    total, slope = np.full((2, 1, 1), 0.5), np.full((2, 1, 1), np.nan)
    with pytest.raises(ArithmeticError, match="could not be found on its panel"):
        panels.reach(total, slope, np.array([[0.3]]))


def test_panels_of_equal_cost() -> None:
    cost = np.array([[0.0, 6.0, 7.0, 8.0], [0.0, 1.0, 1.0, 9.0]])
    edges = panels.spread(EDGES, cost, 4)
    assert edges.shape == (2, 5)
    np.testing.assert_array_equal(edges[:, [0, -1]], EDGES[:, [0, -1]])
    for row in range(2):
        at = np.interp(edges[row], EDGES[row], cost[row])
        np.testing.assert_allclose(np.diff(at), cost[row, -1] / 4)


def test_what_lies_where() -> None:
    edge_values = np.array([[0.0, 1.0, 3.0, 7.0], [0.0, 0.0, 2.0, 4.0]])
    index = panels.find(edge_values, np.array([[-1.0, 0.5, 1.0, 6.9, 99.0], [0.0, 0.1, 2, 3, 4]]))
    assert index.tolist() == [[0, 0, 1, 2, 2], [1, 1, 2, 2, 2]]
    picked = panels.pick(edge_values, index)
    assert picked.tolist() == [[0, 0, 1, 3, 3], [0, 0, 2, 2, 2]]
    many = panels.pick(np.stack([edge_values, -edge_values]), index)
    np.testing.assert_array_equal(many, [picked, -picked])
