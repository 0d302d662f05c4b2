"""When attention locks on: the map is the theory, a circle is the median of its seeds."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from figures import phase_diagram
from figures.phase_diagram import MAPS
from meanfield import prediction
from meanfield.parameters import Parameters
from meanfield.runs import Run
from tests.figures.synthetic_runs import locking, synthetic

predict = partial(prediction.predict, closure="linear")  # the paper's, unless a test says otherwise

EPOCH = np.arange(0, 300, 2)
ONSETS = {  # epoch of each seed
    "N 8 4": (100.0, 120.0, 130.0),
    "N 20 10": (140.0, 150.0, np.inf),
    "K 8 10": (90.0, 95.0, 101.0),
    "rope_theta 100 4": (60.0, 61.0, 62.0),
    "rope_theta 10000 4": (np.inf, np.inf, 62.0),
}
LR = 5.0


def parameters(name: str) -> Parameters:
    which, across, T = name.split()
    changed: dict[str, Any] = {"N": 20, "T": int(T), "lr": LR, which: float(across)}
    return Parameters(
        **{key: int(value) if key in "NKT" else value for key, value in changed.items()}
    )


@pytest.fixture
def runs() -> dict[str, Run]:
    return {
        name: synthetic(parameters(name), EPOCH, R=locking(EPOCH, at), Q=np.zeros((3, len(EPOCH))))
        for name, at in ONSETS.items()
    }


def test_a_map_is_the_onset_that_the_solver_finds() -> None:
    for name, row, column, changed in (
        ("N", 5, 7, {"N": 12}),
        ("K", 5, 8, {"N": 20, "K": 14}),
        ("rope_theta", 5, 20, {"N": 20, "rope_theta": MAPS["rope_theta"].grid[0][20]}),
    ):
        across, T = MAPS[name].grid
        assert changed.get(name, 0) == pytest.approx(across[column])
        found = phase_diagram.theory(MAPS[name])
        p = Parameters(T=int(T[row]), lr=1.0, **changed)
        assert found[row, column] == pytest.approx(predict(p).onset_epoch, rel=1e-6)


def test_a_point_is_the_median_of_its_seeds(runs: dict[str, Run]) -> None:
    for name, middle in (("N 8 4", 120.0), ("N 20 10", 150.0), ("rope_theta 100 4", 61.0)):
        point = phase_diagram.point(name, runs[name])
        assert point.simulated == pytest.approx(LR * middle)
        for closure, late in point.late.items():
            onset = predict(parameters(name), closure=closure).onset_epoch
            assert onset is not None
            assert late == pytest.approx(onset / middle - 1, rel=1e-6)
    assert phase_diagram.point("N 8 4", runs["N 8 4"]).scatter == pytest.approx(
        np.std([100, 120, 130], ddof=1) / 120
    )
    assert phase_diagram.point("rope_theta 10000 4", runs["rope_theta 10000 4"]).simulated == np.inf


def test_circles_have_the_colours_of_the_map(
    runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    late = (np.array([2.0, 2e4]), np.array([3, 32]), np.array([[0.0, 0.2], [0.0, 0.2]]))
    monkeypatch.setattr(phase_diagram, "mistrust", lambda each: late)
    drawn = phase_diagram.draw(runs)
    panels = dict(zip(MAPS, drawn.canvas.axes, strict=False))
    for name, axes in panels.items():
        mesh, *_ = axes.collections
        collections = [each for each in axes.collections if isinstance(each, PathCollection)]
        np.testing.assert_allclose(
            np.ravel(mesh.get_array()), phase_diagram.theory(MAPS[name]).ravel()
        )
        circles = {(*each.get_offsets()[0],): each for each in collections}
        here = {key: at for key, at in ONSETS.items() if key.startswith(f"{name} ")}
        locked = {
            key: float(np.median(at)) for key, at in here.items() if np.isfinite(np.median(at))
        }
        assert len(circles) == len(locked)
        for key, middle in locked.items():
            _, across, T = key.split()
            circle = circles[float(across), float(T)]
            assert circle.get_array()[0] == pytest.approx(LR * middle)
            assert (circle.norm.vmin, circle.norm.vmax) == (mesh.norm.vmin, mesh.norm.vmax)
            assert circle.cmap == mesh.cmap
            onset = predict(parameters(key)).onset_epoch
            assert onset is not None
            told = f"{100 * (onset / middle - 1):+.0f}".replace("-", "−")
            assert told in [text.get_text() for text in axes.texts]
    cross = panels["rope_theta"].lines[0]
    assert (cross.get_marker(), cross.get_xdata()[0], cross.get_ydata()[0]) == ("x", 1e4, 4)


def test_caption_averages_over_the_circles(
    runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    late = (np.array([2.0, 2e4]), np.array([3, 32]), np.array([[0.0, 0.2], [0.0, 0.2]]))
    monkeypatch.setattr(phase_diagram, "mistrust", lambda each: late)
    drawn = phase_diagram.draw(runs)
    found = [drawn.numbers["late"][name]["linear"] for name in ("N 8 4", "N 20 10")]
    assert f"at worst {100 * max(found, key=abs):+.0f} % (linear); over $K$" in drawn.caption
    scatter = np.mean(
        [np.std(at, ddof=1) / np.median(at) for at in ONSETS.values() if np.all(np.isfinite(at))]
    )
    assert f"single seeds scatter by {100 * scatter:.0f} %" in drawn.caption
    assert drawn.numbers["late"]["rope_theta 10000 4"] is None


def test_mistrust_is_the_lateness_of_the_closure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        phase_diagram.trust, "lateness", lambda p, closure: (p.T + 100 * p.rope_theta,)
    )
    across, T, late = phase_diagram.mistrust(MAPS["rope_theta"])
    np.testing.assert_allclose(late, T[:, None] + 100 * across)


def test_labels_of_contours_keep_off_the_circles() -> None:
    for each in MAPS.values():
        grid = phase_diagram.theory(each)
        places = phase_diagram.free_places(each, grid, phase_diagram.levels(grid))
        assert places
        assert {T for _, T in places} <= set(phase_diagram.FREE_ROWS)


def test_every_training_locks_on_at_about_the_same_epoch() -> None:
    for each in list(phase_diagram.batches(quick=False).values())[::5]:
        onset = predict(each.parameters).onset_epoch
        assert onset == pytest.approx(phase_diagram.onset.ONSET, rel=0.05)
        assert each.training.train_epochs == pytest.approx(1.5 * onset, abs=1)


@pytest.mark.parametrize(("low", "high"), [(30.0, 700.0), (1.0, 10.0), (150.0, 6000.0)])
def test_levels_are_round_and_inside(low: float, high: float) -> None:
    found = phase_diagram.levels(np.array([low, high]))
    assert found == sorted(found)
    assert all(
        low < level < high and level / 10 ** np.floor(np.log10(level)) in (1, 2, 5)
        for level in found
    )
    assert len(found) >= 2
