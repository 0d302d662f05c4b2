"""The command that writes the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from meanfield.explore import __main__ as explore


def test_it_starts_where_it_is_told(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert explore.main(["--out", str(out), "--N", "7", "--theory", "quadratic"]) == 0
    text = out.read_text(encoding="utf-8")
    assert '{"N": 7, "T": 10, "K": 7,' in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--N", "1"], "N must be between 2"),
        (
            ["--theory", "per-seed"],
            'the theory of the page must be "linear", "quadratic", "spectral"',
        ),
        (["--N", "5000"], "the page solves N from 2 to 1000, not 5000"),
        (["--d-head", "3"], "d_head must be even"),
    ],
)
def test_a_wrong_start_is_told(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        explore.main(["--out", str(tmp_path / "page.html"), *arguments])
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_it_says_where_the_page_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "page.html"
    assert explore.main(["--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: open it in a browser\n"
    assert '{"N": 20, "T": 10, "K": 20,' in out.read_text(encoding="utf-8")
