"""meanfield/generated.py is what the registry says, and reads like a formula sheet."""

from __future__ import annotations

import random
import re
import shutil

import pytest
import sympy as sp

from derivations import generate
from derivations.code.written import Written
from derivations.functions.names import NAMES
from derivations.proof import difference
from derivations.symbols import K, N, T, d, r
from meanfield import generated

RNG = random.Random(20260618)
SIZES = [(2, 2, 2), (3, 2, 4), (20, 20, 10), (7, 50, 3), (1000, 3, 30)]


def rational(low: int, high: int) -> sp.Rational:
    """A random number that a float holds exactly."""
    return sp.Rational(RNG.randint(low * 64, high * 64), 64)


def test_the_file_is_what_the_registry_gives() -> None:
    assert generate.TARGET.read_text(encoding="utf-8") == generate.module_source()


def test_no_name_inside_a_function_is_that_of_a_function() -> None:
    written = generate.functions()
    names = [each.name for each in written]
    assert len(names) == len(set(names))
    for each in written:
        inside = [*each.arguments, *(left for left, _ in each.lines)]
        hidden = {NAMES.get(symbol, symbol.name) for symbol in inside} & set(names)
        assert not hidden, f"{each.name} hides {hidden}"


def test_the_file_reads_like_a_formula_sheet() -> None:
    lines = generate.module_source().splitlines()
    assert max(map(len, lines)) <= 100  # a longer one needs a name for a part of it
    for line in lines:
        assert not re.search(r"\(\d+ / \d+\) ?\*|-\d+ / \d+ ?\*|\w\*\w", line.split("#")[0]) or (
            '"""' in line or "**" in line
        ), line


def test_check_notices_an_edited_file(tmp_path, monkeypatch, capsys) -> None:
    source = generate.TARGET.read_text(encoding="utf-8")
    monkeypatch.setattr(generate, "module_source", lambda: source)
    edited = tmp_path / "generated.py"
    edited.write_text(generate.TARGET.read_text(encoding="utf-8").replace("(K - 1)", "K", 1))
    shutil.copytree(generate.TARGET.parent / "explore", tmp_path / "explore")
    monkeypatch.setattr(generate, "TARGET", edited)
    assert generate.main(["--check"]) == 1
    assert "run python -m derivations.generate" in capsys.readouterr().err
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def states(written: Written) -> bool:
    """Whether a function is the right side of one equation, in whatever form."""
    if written.lines or len(written.sources) > 1 or isinstance(written.returns, tuple):
        return False
    right = written.sources[0].statement.rhs
    return right.free_symbols == set(written.arguments) and not difference(written.returns, right)


STATED = [written for written in generate.functions() if states(written)]


def test_many_functions_are_equations_as_stated() -> None:
    names = {written.name for written in STATED}
    assert {"power_frequency", "early_Q", "early_time", "margin_by_gap", "least_overlap"} <= names
    assert len(names) > 12


@pytest.mark.parametrize("written", STATED, ids=lambda written: written.name)
def test_equations_as_stated_agree_with_exact_rationals(written: Written) -> None:
    for _ in range(10):
        sizes = dict(zip((N, K, T), RNG.choice(SIZES), strict=True)) | {d: 64, r: 5}
        exact = {
            symbol: sp.Integer(sizes[symbol]) if symbol in sizes else rational(1, 9)
            for symbol in written.arguments
        }
        claimed = getattr(generated, written.name)(*map(float, exact.values()))
        expected = written.sources[0].statement.rhs.subs(exact)
        assert claimed == pytest.approx(float(expected), rel=1e-13, abs=1e-14)
