"""The theory at the points of a grid: what predict says of each, however it is computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meanfield import ParameterError, Parameters, predict
from meanfield.predict import trust
from meanfield.sweep import grid, points
from meanfield.sweep.store import DONE, IMPOSSIBLE, Block
from meanfield.theory import CLOSURES
from tests.meanfield.sweep.small_grid import SMALL, swept

pytest.importorskip("xarray")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("", "linear"),
        ('theory = "quadratic"', "quadratic"),
        ('closure = "quadratic"', "quadratic"),
        ('closure = "spectral"', "spectral+fluctuations"),
        ('theory = "linear+fluctuations"', "linear+fluctuations"),
    ],
)
def test_every_point_is_what_predict_says(line: str, name: str, tmp_path: Path) -> None:
    data = swept(tmp_path, text=f"{line}\n{SMALL}")
    assert dict(data.sizes) == {"N": 3, "T": 2, "lr": 3, "epoch": 2}
    late = 0
    for N, T, lr in ((4, 3, 4.0), (8, 5, 2.0), (8, 5, 1.0)):
        p = Parameters(N=N, T=T, K=7, lr=lr, rope_theta=30.0)
        point = data.sel(N=N, T=T).sel(lr=lr, method="nearest")
        run = predict(p, name, epochs=[50, 100])
        whole = predict(p, name)
        assert float(point.onset_epoch) == pytest.approx(whole.onset_epoch, rel=1e-8)
        late += whole.onset_epoch > 100
        for curve in points.CURVES:
            assert point[curve].values == pytest.approx(getattr(run, curve), abs=1e-8), curve
    assert np.all(data.status == DONE)
    assert data.attrs["theory"] == name
    assert late, "an onset beyond the epochs is one of them"


def test_a_point_that_cannot_be_predicted_is_marked(tmp_path: Path) -> None:
    text = 'closure = "spectral"\n[fixed]\nN = 5\n[grid]\nT = [40]\nd_head = [2, 64]\n'
    data = swept(tmp_path, text=text)
    status = data.status.sel(T=40)
    assert int(status.sel(d_head=64)) == DONE
    with pytest.raises(ParameterError):
        predict(Parameters(N=5, T=40, d_head=2))
    assert int(status.sel(d_head=2)) == IMPOSSIBLE
    assert np.isnan(data.onset_epoch.sel(T=40, d_head=2))


def test_what_is_solved_at_once_is_bounded() -> None:
    def blocks(theory: str, epochs: list[float]) -> int:
        tables = {"theory": theory, "epochs": epochs, "fixed": {"T": 4}, "grid": {"N": [5, 6]}}
        return points.block_points(grid.from_tables(tables))

    assert blocks("linear", []) == 2**14
    assert blocks("linear", list(range(40))) == 2**14 // 10
    assert blocks("linear", list(range(10**5))) == 1
    assert blocks("spectral", []) == blocks("linear+fluctuations", [1.0]) == 8


def test_a_part_of_the_grid_is_solved_in_its_order() -> None:
    tables = {"fixed": {"K": 7}, "grid": {"N": [5, 6, 9], "T": [3, 4]}}
    found = grid.from_tables(tables)
    missing = np.array([[True, False], [True, True]])
    part = points.solve(found, Block((1, 0), (3, 2)), missing)
    wanted = [
        predict(Parameters(N=N, T=T, K=7), "linear", points=2).onset_epoch
        for N, T in ((6, 3), (9, 3), (9, 4))
    ]
    assert part["onset_epoch"] == pytest.approx(wanted, rel=1e-8)
    assert part["status"].tolist() == [DONE] * 3
    assert set(points.variables(found)) == {"onset_epoch", *points.JUDGED}
    assert points.variables(found)["onset_epoch"].source == "(15), (71a), (X2b), (X3)"


def test_an_onset_that_never_comes_is_inf_and_not_impossible() -> None:
    tables = {"theory": "linear+fluctuations", "fixed": {"K": 2, "T": 60}, "grid": {"N": [2]}}
    found = points.solve_points(grid.from_tables(tables), [np.array([0])])
    assert predict(Parameters(N=2, K=2, T=60), "linear+fluctuations").onset_epoch is None
    assert (found["onset_epoch"].tolist(), found["status"].tolist()) == ([np.inf], [DONE])


def test_what_to_trust_is_beside_the_onset(tmp_path: Path) -> None:
    text = "[fixed]\nlr = 30.0\n[grid]\nN = [4, 20]\nT = [3, 10, 101]\n"
    data = swept(tmp_path, text=text)
    for N, T in np.ndindex(2, 3):
        point = data.isel(N=N, T=T)
        p = Parameters(N=int(point.N), T=int(point["T"]), lr=30.0)
        assert float(point.relative_delay) == pytest.approx(
            trust.relative_delays(p, CLOSURES["linear"])[0], rel=1e-9
        )
        assert bool(point.trusted) == (not predict(p, "linear", points=2).caveats), p
    assert data.trusted.values.tolist() == [[0, 0, 0], [1, 1, 0]]
    said = data.trusted.attrs["long_name"]
    assert all(words in said for words in trust.REASONS.values())
    assert "softmax attention" in data.relative_delay.attrs["long_name"]
    tables = {"theory": "spectral", "grid": {"N": [5], "T": [4]}}
    assert set(points.variables(grid.from_tables(tables))) == {"onset_epoch"}
