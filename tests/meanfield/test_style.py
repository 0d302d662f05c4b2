"""How figures look: files that are the same when drawn again, and the parts that they share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meanfield import ParameterError, Parameters, style
from meanfield.quantities import QUANTITIES

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png", "PNG"])
def test_the_same_figure_is_the_same_file(tmp_path: Path, suffix: str) -> None:
    path, files = tmp_path / f"a.{suffix}", []
    for _ in range(2):
        with style.drawing(2.0, 1.0) as figure:
            figure.subplots().plot([0, 1], [0, 1])
            style.save(figure, path, dpi=50)
        files.append(path.read_bytes())
    assert files[0] == files[1]


def test_what_is_drawn_inside_has_the_style_and_nothing_else() -> None:
    import matplotlib

    before = matplotlib.rcParams["lines.linewidth"]
    with style.drawing(2.0, 1.0) as figure:
        (line,) = figure.subplots().plot([0, 1], [0, 1])
        assert line.get_linewidth() == style.STYLE["lines.linewidth"]
        assert figure.get_size_inches().tolist() == [2.0, 1.0]
    assert matplotlib.rcParams["lines.linewidth"] == before


def test_other_formats_are_refused() -> None:
    for path in ("a.gif", "a", "a.png.txt"):
        with pytest.raises(ParameterError, match=r"the plot must be a \.png, \.pdf or \.svg file"):
            style.check(path)
    style.check("a.SVG")


def test_a_band_holds_two_thirds_of_the_seeds_and_points_are_their_mean() -> None:
    curves = np.random.default_rng(0).normal(size=(60, 5)) + np.arange(5)
    with style.drawing(2.0, 1.0) as figure:
        axes = figure.subplots()
        style.band(axes, np.arange(5), curves, color="black", label="R")
        (line,) = axes.get_lines()
        assert line.get_ydata() == pytest.approx(curves.mean(0))
        (band,) = axes.collections
        edges = band.get_paths()[0].vertices
        at_two = sorted(set(edges[np.isclose(edges[:, 0], 2.0), 1].tolist()))
        assert at_two == pytest.approx(np.quantile(curves[:, 2], (1 / 6, 5 / 6)))
        alone = figure.subplots()
        style.band(alone, np.arange(5), curves[:1], color="black")
        assert not alone.collections


def test_a_residual_has_the_standard_error_of_its_mean() -> None:
    difference = np.random.default_rng(0).normal(size=(9, 5))
    with style.drawing(2.0, 1.0) as figure:
        axes = figure.subplots()
        style.residual(axes, np.arange(5), difference, color="black")
        mean, zero = axes.get_lines()
        assert mean.get_ydata() == pytest.approx(difference.mean(0))
        assert list(zero.get_ydata()) == [0, 0]
        edges = axes.collections[0].get_paths()[0].vertices
        at_two = sorted(set(edges[np.isclose(edges[:, 0], 2.0), 1].tolist()))
        error = difference[:, 2].std(ddof=1) / 3
        middle = difference[:, 2].mean()
        assert at_two == pytest.approx([middle - error, middle + error])


def test_parameters_in_a_line() -> None:
    line = style.parameters_line(Parameters(N=20, K=7, T=10, lr=0.5).items())
    assert line == "$N=20$, $K=7$, $T=10$, $d=64$, RoPE base 10, lr 0.5"
    linear = Parameters(N=20, T=10, rope_spacing="linear").items()
    assert "linear RoPE base 10" in style.parameters_line(linear)


def test_steps_go_from_dark_to_light_and_stay_off_white() -> None:
    light = style.step_colors(6)[:, :3] @ [0.3, 0.6, 0.1]
    assert np.all(np.diff(light) > 0)
    assert light[-1] < 0.85


def test_a_quantity_has_its_colour_everywhere() -> None:
    assert {name: style.COLORS[name] for name in QUANTITIES} == {
        name: each.color for name, each in QUANTITIES.items()
    }
