"""What every command line shares: encodings, and files that are written as a whole."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from derivations import console
from derivations.code.terminal import GLYPHS


@pytest.mark.parametrize(
    ("character", "said"),
    [
        ("σ", "sigma"), ("Δ", "Delta"), ("²", "^2"), ("₁", "1"), ("ü", "u"), ("é", "e"), ("a", "a"),
        ("≥", ">="), ("⋅", "*"), ("√", "sqrt"), ("\u0304", ""), ("✓", "?"), ("漢", "?"),
    ],
)  # fmt: skip
def test_a_character_has_its_like_in_ascii(character: str, said: str) -> None:
    assert console.ascii_of(character) == said
    assert character.encode("ascii", "in_ascii") == said.encode()


def test_what_formulas_are_written_with_has_its_like() -> None:
    greek = (chr(code) for code in range(0x391, 0x3CA) if unicodedata.name(chr(code), ""))
    for character in (*greek, *"".join(GLYPHS.values())):
        assert "?" not in console.ascii_of(character), character


def test_bytes_are_not_made_up() -> None:
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", "in_ascii")


def test_a_file_is_written_as_a_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    console.write(path, "one σ")
    assert path.read_text(encoding="utf-8") == "one σ"

    def full(self: Path, text: str, **_: object) -> None:
        self.write_bytes(b"tw")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(console.Mistake, match=r"cannot write .*a.txt: No space left on device"):
        console.write(path, "two")
    assert path.read_text(encoding="utf-8") == "one σ"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_told_before(tmp_path: Path) -> None:
    console.require_writable(tmp_path / "new.txt")
    for path, told in (
        (tmp_path, "it is a folder"),
        (tmp_path / "no" / "a.txt", "its folder does not exist"),
    ):
        with pytest.raises(console.Mistake, match=told):
            console.require_writable(path)
