"""Attention maps at given values of R, and how their steps differ."""

from __future__ import annotations

import numpy as np
import pytest

from figures.measurements.attention_maps import excess, maps_at_R, step_statistics


def test_the_map_is_taken_when_R_passes_the_level() -> None:
    epoch = np.array([0.0, 10.0, 20.0])
    R = np.array([[0.2, 0.4, 0.8], [0.2, 0.3, 0.4], [0.6, 0.7, 0.8]])
    attention = np.broadcast_to(R[:, :, None, None], (3, 3, 2, 2))
    # straight between epochs, where R is 1/2; the second never gets there, the third began above
    np.testing.assert_allclose(maps_at_R(0.5, epoch, R, attention)[:, 0, 0], [0.5, 0.6])


def test_statistics_of_a_map_made_up() -> None:
    a_map = np.array([[0.7, 0.3, 0, 0], [0.1, 0.5, 0.4, 0], [0, 0.2, 0.5, 0.3], [0, 0, 0.3, 0.7]])
    np.testing.assert_allclose(excess(a_map[None]), [[1 / 6, -1 / 6, -1 / 6, 1 / 6]])
    found = step_statistics(np.stack([a_map, a_map.T]))
    assert found["ends"].value == pytest.approx(100 / 6)
    assert found["between"].value == pytest.approx(-100 / 6)
    assert found["between_range"].value == pytest.approx(0, abs=1e-12)
    assert found["spread"].value == pytest.approx(100 / 6)
    assert found["exchangeable"].value == pytest.approx(0.4 / 3)
    # (0.1 + 0.4)/2 and (0.2 + 0.3)/2; of the transposed map (0.3 + 0.2)/2 and (0.4 + 0.3)/2
    assert found["neighbour"].value == pytest.approx((0.25 + 0.25 + 0.25 + 0.35) / 4)
