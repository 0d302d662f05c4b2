"""The report: one page, offline, that is searched and read on a phone."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any

import pytest

from derivations.registry import CHECKS, EQUATIONS, Outcome
from derivations.report import page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """Outcomes as after a run in which everything holds, without making it again."""
    return [Outcome(check, None if check.run is None else True, "0", 0.0) for check in CHECKS]


@pytest.fixture(scope="module")
def html(outcomes: list[Outcome]) -> str:
    return page(outcomes)


@pytest.fixture(scope="module")
def phone(html: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page on a narrow phone; whatever it complains of fails the test."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    path, complaints = tmp_path_factory.mktemp("report") / "report.html", []
    path.write_text(html, encoding="utf-8")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        opened = browser.new_page(viewport={"width": 360, "height": 740})
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.goto(path.as_uri())
        yield opened
        browser.close()
    assert not complaints


def test_report_is_one_page_without_network(html: str) -> None:
    assert not re.findall(r"(?:src|href)=[\"'](?!#)", html)
    targets = set(re.findall(r'href="#([^"]+)"', html))
    anchors = re.findall(r' id="([^"]+)"', html)
    assert targets <= set(anchors)
    assert len(anchors) == len(set(anchors))
    formulas = re.findall(r"<math .*?</math>", html, flags=re.S)
    assert len(formulas) > len(EQUATIONS)
    for formula in formulas:
        tree = ElementTree.fromstring(formula)
        text = "".join(tree.itertext())
        assert "\\" not in text, f"LaTeX is left in {text}"
    assert html.count('class="matrix"') > 10  # with brackets that no font need stretch
    assert "<mo>]</mo>" not in html


def test_links_of_a_part_lead_nowhere_else(outcomes: list[Outcome]) -> None:
    some = [EQUATIONS["12b"], EQUATIONS["11"]]
    html = page(outcomes, some)
    assert set(re.findall(r'href="#eq-([^"]+)"', html)) == {"11", "12b"}
    assert re.findall(r'<article id="eq-([^"]+)"', html) == ["11", "12b"]


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ("15a", {"15a"}),
        ("(59)", {"59a", "59b"}),
        ("x9", {number for number in EQUATIONS if number.startswith("X9")}),
        ("rate linear closure matched", {"71"}),
        ("gamma onset", {"81c", "81d", "X9b", "X9g"}),
        ("γ Linear matched", {"71"}),
        ("no such phrase", set()),
        ("", set(EQUATIONS)),
    ],
)
def test_the_search_shows_what_is_asked_for(asked: str, numbers: set[str], phone: Any) -> None:
    phone.fill("#find", asked)
    found = phone.eval_on_selector_all("article:not([hidden])", "all => all.map((e) => e.id)")
    assert {each.removeprefix("eq-") for each in found} == numbers
    said = phone.text_content("#found")
    assert said == (f"{len(numbers)} of {len(EQUATIONS)} equations" if asked else "")
    assert phone.locator("section:visible").count() >= bool(numbers)


def test_nothing_is_wider_than_a_phone(phone: Any) -> None:
    phone.fill("#find", "")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    wide = "all => all.filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.textContent)"
    assert phone.eval_on_selector_all("article, p, h3", wide) == []
