"""The map of onsets: circles have its colours, labels keep off them, the caption averages them."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.contour import QuadContourSet

from figures.beyond import phase_diagram
from figures.drawing import Drawn
from figures.measurements.onset_maps import MAPS, onset_times
from figures.panels import round_steps
from meanfield.predict.prediction import predict
from tests.figures.small_runs import assert_no_words_overlap
from tests.figures.synthetic_runs import LR, ONSETS, map_parameters, map_runs

# The dashed line is made up, as the softmax takes seconds.
LINE = (np.array([2.0, 2e4]), np.array([3, 32]), np.array([[0.0, 0.2], [0.0, 0.2]]))


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phase_diagram, "delay_against_softmax", lambda each: LINE)
        return phase_diagram.draw(map_runs())


def test_circles_have_the_colours_of_the_map(drawn: Drawn) -> None:
    panels = dict(zip(MAPS, drawn.canvas.axes, strict=False))
    for name, axes in panels.items():
        mesh, *_ = axes.collections
        collections = [each for each in axes.collections if isinstance(each, PathCollection)]
        np.testing.assert_allclose(np.ravel(mesh.get_array()), onset_times(MAPS[name]).ravel())
        circles = {(*each.get_offsets()[0],): each for each in collections}
        here = {key: at for key, at in ONSETS.items() if key.startswith(f"{name} ")}
        learned = {
            key: float(np.median(at)) for key, at in here.items() if np.isfinite(np.median(at))
        }
        assert len(circles) == len(learned)
        for key, middle in learned.items():
            _, across, T = key.split()
            circle = circles[float(across), float(T)]
            assert circle.get_array()[0] == pytest.approx(LR * middle)
            assert (circle.norm.vmin, circle.norm.vmax) == (mesh.norm.vmin, mesh.norm.vmax)
            assert circle.cmap == mesh.cmap
            onset = predict(map_parameters(key), "linear").onset_epoch
            assert onset is not None
            percent = f"{100 * (onset / middle - 1):+.0f}".replace("-", "−")
            assert percent in [text.get_text() for text in axes.texts]
    cross = panels["rope_theta"].lines[0]
    assert (cross.get_marker(), cross.get_xdata()[0], cross.get_ydata()[0]) == ("x", 1e4, 4)


def test_caption_averages_over_the_circles(drawn: Drawn) -> None:
    found = [drawn.numbers["late"][name]["linear"] for name in ("N 8 4", "N 20 10")]
    assert f"at worst {100 * max(found, key=abs):+.0f} % (linear); over $K$" in drawn.caption
    scatter = np.mean(
        [np.std(at, ddof=1) / np.median(at) for at in ONSETS.values() if np.all(np.isfinite(at))]
    )
    assert f"Single seeds scatter by {100 * scatter:.0f} %" in drawn.caption
    assert drawn.numbers["late"]["rope_theta 10000 4"] is None


def length_of_contours(axes: Axes) -> float:
    """Return the length of all contours on a map, in pixels."""
    total = 0.0
    for contours in (each for each in axes.collections if isinstance(each, QuadContourSet)):
        for path in contours.get_paths():
            for piece in path.to_polygons(closed_only=False):
                steps = np.diff(axes.transData.transform(piece), axis=0)
                total += float(np.hypot(*steps.T).sum())
    return total


def scaled(axes: Axes) -> np.ndarray:
    """Return two corners of a panel, on its scales."""
    return np.asarray(axes.transScale.transform(np.transpose([axes.get_xlim(), axes.get_ylim()])))


def test_contours_are_whole_and_every_one_has_a_label(
    drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phase_diagram, "delay_against_softmax", lambda each: LINE)
    monkeypatch.setattr(Axes, "clabel", lambda *_args, **_options: [])
    bare = phase_diagram.draw(map_runs()).canvas.axes
    for axes, unlabelled in zip(drawn.canvas.axes[: len(MAPS)], bare, strict=False):
        assert length_of_contours(axes) == pytest.approx(length_of_contours(unlabelled))
        lines = next(each for each in axes.collections if isinstance(each, QuadContourSet))
        parts = zip(lines.levels, lines.allsegs, strict=True)
        words = {text.get_text() for text in axes.texts}
        for level, lines_there in parts:  # a line in a corner is too short for a word
            places = [axes.transScale.transform(line) for line in lines_there if len(line)]
            spans = [np.ptp(each, axis=0) / np.ptp(scaled(axes), axis=0) for each in places]
            if max(map(np.max, spans), default=0.0) > 0.2:
                assert f"{level:g}" in words


def test_labels_of_contours_keep_off_the_circles() -> None:
    for each in MAPS.values():
        grid = onset_times(each)
        places = phase_diagram.label_places(each, grid, round_steps(grid.min(), grid.max()))
        assert places
        assert {T for _, T in places} <= set(phase_diagram.FREE_ROWS)


def test_nothing_overlaps(drawn: Drawn) -> None:
    assert_no_words_overlap(drawn.canvas)
