"""The page to explore, in a real browser: its numbers are those of Python, its controls work."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest

from derivations.code import javascript
from derivations.code.written import Written, select
from derivations.symbols import N, R
from meanfield import ParameterError, Parameters, predict
from meanfield.explore import __main__ as explore
from meanfield.explore import page as explore_page
from meanfield.predict import __main__ as cli
from meanfield.predict.trust import relative_delays
from meanfield.theory import CLOSURES
from tests.meanfield.explore.links import hostile_links

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NODE = shutil.which("node") or ""
needs_node = pytest.mark.skipif(not NODE, reason="Node is not installed")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
CURVES = ("R", "Q", "S", "margin", "loss", "next_token_accuracy", "rollout_accuracy")
EVENTS = ("heuristic_end_epoch", "onset_epoch", "rollout_half_epoch", "saturation_epoch")
MODELS: dict[str, dict[str, Any]] = {
    "main": {"N": 20},
    "linear": {"theory": "linear"},
    "quadratic": {"theory": "quadratic"},
    "typical seed": {"N": 12, "K": 5, "T": 6, "d_head": 16, "theory": "spectral"},
    "all parameters": {
        "N": 9, "T": 4, "d_head": 12, "rope_spacing": "linear", "qk_variance": 0.2, "w_init": 0.1,
    },
    "no noise": {"N": 9, "T": 4, "w_init": 0, "theory": "linear"},
    "two actions": {"T": 2, "theory": "linear"},
    "two actions, softmax": {"T": 2, "d_head": 16},
    "few states": {"N": 3, "K": 5, "T": 3, "lr": 0.5, "theory": "linear"},
    "few permutations": {"N": 40, "K": 2, "T": 12, "d_head": 16, "theory": "linear"},
    "long": {
        "N": 12, "K": 30, "T": 40, "rope_theta": 1e4, "lr": 50.0, "theory": "quadratic",
    },
    "never saturated": {"N": 3, "K": 6, "T": 50, "d_head": 2, "theory": "linear"},
    "never locked": {"N": 3, "K": 2, "T": 25, "theory": "quadratic"},
    "one plane": {"N": 30, "K": 30, "T": 7, "d_head": 2, "rope_theta": 3.0, "theory": "linear"},
}  # fmt: skip
IN_BROWSER = ("main", "quadratic", "all parameters", "two actions", "never locked")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "explore.html"
    assert explore.main(["--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Any, path: Path) -> Iterator[Any]:
    """The page, opened; whatever it complains of fails the test."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, offline=True)
    opened, complaints = context.new_page(), []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(path.as_uri())
    yield opened
    context.close()
    assert not complaints


def state(page: Any) -> dict[str, Any]:
    return dict(page.evaluate("explorer.state()"))


def visit(page: Any, path: Path, **given: Any) -> None:
    wanted = urlencode(given)
    page.goto(f"{path.as_uri()}#{wanted}")
    page.wait_for_function(f"location.hash === {json.dumps('#' + wanted)}")


def model(given: dict[str, Any]) -> tuple[Parameters, str]:
    """The parameters and the theory of what a page says it shows."""
    rest = {name: value for name, value in given.items() if name not in ("theory", "epochs")}
    return Parameters(**rest), given["theory"]


def agrees(shown: dict[str, Any]) -> None:
    """What the page shows is what Python predicts: to 1e-8, the softmax attention to 2e-6."""
    parameters, theory = model(shown["parameters"])
    run = predict(parameters, theory, epochs=np.array(shown["curve"]["epoch"]))
    error = 1e-8 if theory in CLOSURES else 2e-6
    for name in CURVES:
        assert np.array(shown["curve"][name]) == pytest.approx(getattr(run, name), abs=error), name
    for name in EVENTS:
        expected = getattr(run, name)
        found = shown["events"].get(name)
        if expected is None:
            assert found is None, name
        else:
            assert found == pytest.approx(expected, rel=error), name


def asked(model: str) -> dict[str, Any]:
    """The state of the page under a link to this model."""
    given: dict[str, Any] = {
        "N": 20, "T": 10, "d_head": 64, "rope_theta": 10, "rope_spacing": "power", "lr": 2,
        "qk_variance": 1 / 3, "w_init": None, "theory": "spectral+fluctuations", "epochs": None,
        **MODELS[model],
    }  # fmt: skip
    return {"K": given["N"], **given}


def computed(expression: str, given: dict[str, Any]) -> Any:
    """The value of an expression in p by the page's solver alone."""
    folder = Path(explore.__file__).parent
    parts = ("special.js", "generated.js", "attention.js", "solver.js")
    source = "".join((folder / part).read_text(encoding="utf-8") for part in parts)
    source = f"const CLOSURES = {json.dumps(list(CLOSURES))}, p = {json.dumps(given)};\n{source}"
    program = f"{source}\nconsole.log(JSON.stringify({expression}))"
    done = subprocess.run([NODE, "-e", program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@needs_node
@pytest.mark.parametrize("model", MODELS)
def test_the_solver_gives_the_numbers_of_python(model: str) -> None:
    shown = computed("predict(p)", asked(model))
    agrees({"parameters": asked(model), **shown})
    assert ("saturation_epoch" in shown["events"]) != model.startswith("never")


@needs_node
@pytest.mark.parametrize("name", ["main", "all parameters", "two actions", "long", "one plane"])
def test_the_page_judges_closures_as_python_does(name: str) -> None:
    given = asked(name)
    found = computed(f"{list(CLOSURES)}.map((closure) => relative_delay(p, closure))", given)
    assert found == pytest.approx(relative_delays(model(given)[0], *CLOSURES.values()), rel=1e-9)


@needs_node
def test_beyond_what_a_page_can_judge_it_says_so() -> None:
    given = {**asked("main"), "T": 1000, "d_head": 1024}
    assert computed("relative_delay(p, 'linear')", given) is None  # NaN


@needs_browser
@pytest.mark.parametrize("model", IN_BROWSER)
def test_the_numbers_are_those_of_python(model: str, page: Any, path: Path) -> None:
    visit(page, path, **MODELS[model])
    shown = state(page)
    for name, value in MODELS[model].items():
        assert shown["parameters"][name] == value
    agrees(shown)


@needs_browser
def test_sliders_move_the_curves_by_keyboard_alone(page: Any) -> None:
    before = state(page)
    page.focus("#N")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "N-slider"
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    moved = state(page)
    assert (moved["parameters"]["N"], moved["parameters"]["K"]) == (25, 25)  # K = N is ticked
    assert moved["events"]["onset_epoch"] > before["events"]["onset_epoch"]
    agrees(moved)
    page.focus("#lr-slider")
    page.keyboard.press("ArrowLeft")
    assert state(page)["parameters"]["lr"] < 2
    page.focus("#K-slider")
    page.keyboard.press("End")
    assert state(page)["parameters"]["K"] == 100
    assert not page.is_checked("#K-tied")
    page.select_option("#theory", "quadratic")
    agrees(state(page))
    page.select_option("#rope_spacing", "linear")
    page.uncheck("#w_init-tied")
    page.fill("#w_init", "0.05")
    shown = state(page)
    assert (shown["parameters"]["rope_spacing"], shown["parameters"]["w_init"]) == ("linear", 0.05)
    agrees(shown)
    page.check("#w_init-tied")
    assert state(page)["parameters"]["w_init"] is None
    assert page.locator("#phases tr").count() == 4
    assert page.locator("#accuracies path.curve").count() == 3


@needs_browser
def test_a_curve_is_read_where_it_is_pointed_at_and_phases_are_named_in_the_plot(page: Any) -> None:
    for name in ("accuracies", "overlaps"):
        box = page.locator(f"#{name}").bounding_box()
        page.mouse.move(box["x"] + 40 + (box["width"] - 52) / 2, box["y"] + 60)
        shown, told = state(page), page.locator("#values").text_content()
        middle = len(shown["curve"]["epoch"]) // 2
        assert told.startswith(f"Epoch {shown['curve']['epoch'][middle]:.1f}: ")
        values = [float(each.split()[-1]) for each in told.split(": ")[1].split(", ")]
        curves = ("R", "next_token_accuracy", "rollout_accuracy", "Q", "S")
        wanted = [shown["curve"][curve][middle] for curve in curves]
        assert values == pytest.approx(wanted, rel=5e-3)
        places = page.locator(f"#{name} .marker").evaluate_all(
            "m => m.map((e) => +e.getAttribute('x1'))"
        )
        numbers = page.locator(f"#{name} text.number").all_text_contents()
        assert numbers == ["1", "2", "3", "4"]
        left, right = 40, box["width"] - 12
        for place, event in zip(places, EVENTS, strict=True):
            epoch = (place - left) / (right - left) * shown["epochs"]
            assert epoch == pytest.approx(shown["events"][event], rel=1e-3)


@needs_browser
def test_the_link_opens_what_is_shown(page: Any, browser: Any) -> None:
    page.fill("#T", "7")
    page.fill("#qk_variance", "0.25")
    page.select_option("#theory", "quadratic")
    page.wait_for_function("location.hash.includes('theory=quadratic')")
    again = browser.new_page()
    again.goto(page.url)
    assert state(again)["parameters"] == state(page)["parameters"]
    assert state(again)["events"] == state(page)["events"]
    again.close()


@needs_browser
def test_the_command_gives_what_is_shown(
    page: Any, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {"N": 9, "K": 14, "T": 5, "rope_theta": 31.6, "lr": 0.7}
    given |= {"rope_spacing": "linear", "qk_variance": 0.25, "w_init": 0.1, "theory": "quadratic"}
    visit(page, path, **given)
    shown = state(page)
    assert page.text_content("#line") == shown["command"]
    python, _, module, *arguments = shlex.split(shown["command"])
    assert (python, module) == ("python", "meanfield.predict")
    assert cli.main([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    for name in EVENTS:
        assert printed[name] == pytest.approx(shown["events"][name], rel=1e-8)


@needs_browser
@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("d_head", "7", "d_head must be even"),
        ("N", "1", "N must be an integer from 2"),
        ("N", "", "N must be an integer from 2"),
        ("T", "2.5", "T must be an integer"),
        ("lr", "0", "lr must be a number from"),
    ],
)
def test_a_wrong_value_is_told_and_nothing_is_drawn(
    field: str, value: str, told: str, page: Any
) -> None:
    page.fill(f"#{field}", value)
    assert told in page.text_content("#mistake")
    assert page.is_hidden("#shown")
    assert page.is_disabled("#command")
    page.click("#reset")
    assert page.is_hidden("#mistake")
    agrees(state(page))


@needs_browser
def test_a_wrong_link_is_told(page: Any, path: Path) -> None:
    for given, told in (
        ({"N": 3, "K": 7}, "K must be at most N! = 6, not 7"),
        ({"theory": "cubic"}, "theory must be linear or quadratic or spectral or"),
        ({"closure": "toString"}, "not toString."),
        ({"rope_spacing": "constructor"}, "rope_spacing must be power or linear, not constructor"),
        ({"T": "many"}, "T must be an integer"),
        ({"N": 1001}, "N must be an integer from 2 to 1000"),
        ({"qk_variance": 50}, "No seed is typical here"),
    ):
        visit(page, path, **given)
        assert told in page.text_content("#mistake")
    visit(page, path, closure="linear")  # as links of old have it
    assert state(page)["parameters"]["theory"] == "linear"


@needs_browser
def test_the_page_says_what_its_numbers_are_and_whether_to_trust_them(
    page: Any, path: Path
) -> None:
    assert "softmax attention of a typical seed" in page.text_content("#trust")
    visit(page, path, theory="linear")
    assert page.text_content("#trust") == (
        "This is the linear closure, which stands in for the softmax attention. Here the onset "
        "comes 6% later than that of the softmax attention itself: trusted for the onset only."
    )
    visit(page, path, N=5, T=50, rope_theta=1e4, theory="linear")
    assert "more than ten times as late as that of the softmax" in page.text_content("#trust")
    assert page.get_attribute("#trust", "class") == "wary"
    visit(page, path, T=2, theory="linear")
    assert "R = 3/4 comes 44% later" in page.text_content("#trust")
    visit(page, path, lr=200, theory="linear")
    assert "too coarse for gradient flow" in page.text_content("#trust")
    visit(page, path, N=6, K=4, T=3)
    assert "Accuracies before the onset are not to be trusted" in page.text_content("#trust")


OPEN = """(link) => {
  history.replaceState(null, "", "#" + link);
  read();
  update(false);
  const told = document.getElementById("mistake").textContent;
  const plots = [...document.querySelectorAll("svg")].map((each) => each.outerHTML).join();
  const shown = (document.body.innerText + plots).replace(told, "");
  return { told, drawn: !document.querySelector(".shown").hidden,
    strange: shown.match(/NaN|Infinity|undefined|null/)?.[0] };
}"""


def survives(page: Any, links: list[str]) -> None:
    """Every link is drawn in numbers or refused in a sentence, never both."""
    for link in links:
        found = page.evaluate(OPEN, link)
        assert found["drawn"] == (not found["told"]), link
        assert not found.get("strange"), link
        assert len(found["told"]) < 200, link


@needs_browser
def test_it_survives_hostile_links(page: Any) -> None:
    survives(page, hostile_links(40))


@pytest.mark.slow
@needs_browser
def test_it_survives_a_thousand_hostile_links(page: Any) -> None:
    survives(page, hostile_links(1000, rng_seed=1))


@needs_browser
def test_it_is_readable_on_a_phone(browser: Any, path: Path) -> None:
    phone = browser.new_page(viewport={"width": 360, "height": 740})
    phone.goto(path.as_uri())
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    assert phone.locator("#accuracies").bounding_box()["width"] > 300
    phone.locator("#lr-slider").scroll_into_view_if_needed()
    for plot in ("#accuracies", "#overlaps"):  # in sight while a slider far below is dragged
        box = phone.locator(plot).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= phone.locator("#lr-slider").bounding_box()["y"]
    phone.close()


def test_the_page_needs_nothing_else(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for sign in ("src=", '<link rel="stylesheet', "@import", "fetch(", "/*start*/", "<!--"):
        assert sign not in text
    assert len(text) < 70_000


def test_its_start_is_written_into_it() -> None:
    given = {"N": 7, "T": 4, "K": 5, "d_head": 8, "rope_theta": 20.0, "rope_spacing": "linear",
             "lr": 0.5, "qk_variance": 0.1, "w_init": 0.2}  # fmt: skip
    text = explore_page.page(Parameters(**given), "quadratic")
    assert json.dumps({**given, "theory": "quadratic", "epochs": None}) in text
    assert '"w_init": null' in explore_page.page(Parameters(N=7, T=4))  # it follows N
    with pytest.raises(ParameterError, match='must be "linear", "quadratic", "spectral" or'):
        explore_page.page(Parameters(N=7, T=4), "per-seed")


@pytest.mark.parametrize("name", explore_page.LIMITS)
def test_what_the_page_would_refuse_is_not_written(name: str) -> None:
    low, high = explore_page.LIMITS[name]
    given: dict[str, Any] = {"N": 20, "T": 10}
    beyond = (low / 2, 2 * high) if name in ("rope_theta", "lr", "qk_variance") else (2 * high,)
    for value in beyond:
        with pytest.raises(ParameterError, match=f"the page solves {name} from"):
            explore_page.page(Parameters(**{**given, name: value}))
    explore_page.page(Parameters(**{**given, name: high}))


def test_every_part_is_put_in_its_place() -> None:
    text = explore_page.page(Parameters(N=7, T=4))
    folder = Path(explore_page.__file__).parent
    for name in explore_page.PARTS:
        assert (folder / name).read_text(encoding="utf-8") in text, name


def test_the_printer_writes_scalars_and_refuses_what_it_does_not_know() -> None:
    written = Written("f", "Says.", (), (R, N), (select(R > 1, R**2, 1 / N), R / 3))
    source = javascript.function(written)
    assert "return [R > 1 ? R**2 : 1 / N, R / 3];" in source
    from sympy import gamma

    with pytest.raises(ValueError, match="no JavaScript is known for gamma"):
        javascript.function(Written("f", "Says.", (), (R,), gamma(R)))
