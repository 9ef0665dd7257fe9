"""The page in a real browser: heard, followed, tabbed through, without script, without network, and by axe-core.

Needs ``pip install 'testtone[browser]'`` and a Chromium or Chrome on this machine; without them every test here is
skipped and says what is missing.
"""

import copy
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reports_full import full

from testtone.reports import write

WIDTHS = (320, 768, 1280)
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
HOSTILE = """<script>document.title = "taken"</script>"'><img src=x onerror=alert(1)>"""
LONG = "mine" * 60
RIGHT_TO_LEFT = "מקודד\u202eevil"


def executable() -> str | None:
    """Return the browser of ``CHROME_PATH``, or one on the path."""
    return os.environ.get("CHROME_PATH") or next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="no browser test: pip install 'testtone[browser]'")
    with api.sync_playwright() as playwright:
        path = executable() or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no browser test: there is no Chromium on the path, and CHROME_PATH names none")
        # A sandbox of its own needs rights that a container does not give; the pages here are ours.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(full(), tmp_path_factory.mktemp("page") / "report.html").as_uri()


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of few claims with every form of figure: axe looks at each element, and finds the same in each claim."""
    report = full()
    kept = ("pitch_direction", "alias_collapse", "stable_across_contexts", "contained_not_exposed")
    report["claims"] = [claim for claim in report["claims"] if claim["id"] in kept]
    return write(report, tmp_path_factory.mktemp("short") / "short.html").as_uri()


def opened(browser: Any, address: str, **options: Any) -> Any:
    """Return the page, and fail later on whatever it logs or asks for that is not itself."""
    page = browser.new_context(**options).new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on(
        "request", lambda request: page.complaints.append(request.url) if is_foreign(request.url, address) else None
    )
    page.goto(address)
    return page


def is_foreign(url: str, address: str) -> bool:
    return not url.startswith(("data:", address))


def test_the_page_asks_for_nothing_and_complains_of_nothing(browser: Any, address: str) -> None:
    page = opened(browser, address)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    assert page.complaints == []


def test_a_sound_plays_to_its_end(browser: Any, address: str) -> None:
    page = opened(browser, address)
    heard = page.evaluate(
        """() => new Promise((done, fail) => {
            const audio = document.querySelector(".claim audio");
            audio.muted = true;
            audio.onended = () => done([audio.duration, audio.currentTime, audio.error]);
            audio.onerror = () => fail(audio.error);
            audio.play().catch(fail);
        })"""
    )
    assert heard[0] == pytest.approx(0.25, abs=1e-3)
    assert heard[1] == pytest.approx(heard[0], abs=1e-3)
    assert heard[2] is None


def test_every_sound_can_be_decoded_and_every_picture_shows(browser: Any, address: str) -> None:
    page = opened(browser, address)
    lengths = page.evaluate(
        """() => Promise.all([...document.querySelectorAll("audio")].map(audio => new Promise((done, fail) => {
            audio.onloadedmetadata = () => done(audio.duration);
            audio.onerror = () => fail(audio.error);
            audio.preload = "metadata";
            audio.load();
        })))"""
    )
    assert len(lengths) == 5
    assert all(length > 0.1 for length in lengths)
    sizes = page.evaluate("[...document.querySelectorAll('img')].map(each => [each.naturalWidth, each.naturalHeight])")
    assert len(sizes) == 7
    assert all(width >= 16 and height >= 2 for width, height in sizes)


def test_a_verdict_leads_to_its_numbers_and_a_permalink_to_its_claim(browser: Any, address: str) -> None:
    page = opened(browser, address, viewport={"width": 1280, "height": 900})
    cell = page.locator(".matrix a.cell").nth(3)
    cell.click()
    target = page.evaluate("location.hash.slice(1)")
    assert target.startswith("result.")
    assert page.locator(f"[id='{target}']").bounding_box()["y"] < 900
    page.goto(f"{address}#claim.holistic_texture")
    box = page.locator("[id='claim.holistic_texture']").bounding_box()
    assert 0 <= box["y"] < 60
    assert page.locator("[id='claim.holistic_texture'] h2").inner_text().startswith("One texture of the whole")


def test_the_whole_page_is_reached_with_the_tab_key_in_its_order(browser: Any, address: str) -> None:
    page = opened(browser, address, viewport={"width": 1280, "height": 900})
    total = page.evaluate(
        "document.querySelectorAll('a[href], button, summary, [tabindex=\"0\"]').length"
        " - document.querySelectorAll('details:not([open]) :is(a[href], button, [tabindex=\"0\"])').length"
    )
    focus = """() => { const e = document.activeElement; const box = e.getBoundingClientRect();
        return [e.tagName, box.top + scrollY, getComputedStyle(e).outlineStyle, e.className]; }"""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    stops, heights = set(), []
    for _ in range(40):
        page.keyboard.press("Tab")
        tag, top, outline, _ = page.evaluate(focus)
        stops.add(tag)
        heights.append(top)
        assert outline != "none", tag
    assert {"A", "BUTTON", "PRE", "DIV"} <= stops
    assert total > 40
    assert heights[0] < heights[20] < heights[-1]


def test_the_skip_link_skips_the_head(browser: Any, address: str) -> None:
    page = opened(browser, address)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"


def test_without_script_the_page_says_the_same(browser: Any, address: str) -> None:
    bare = opened(browser, address, java_script_enabled=False)
    rich = opened(browser, address)
    assert bare.locator("button").count() == 0
    assert rich.locator("button").count() > 30
    for selector in (".matrix", ".sights", "audio", "pre"):
        assert bare.locator(selector).count() == rich.locator(selector).count() > 0
    summary = bare.locator("[id='claim.pitch_direction'] summary", has_text="JSON")
    summary.click()
    numbers = bare.locator("[id='claim.pitch_direction'] .numbers code")
    assert numbers.is_visible()
    assert '"site": "stack_end"' in numbers.inner_text()
    assert bare.complaints == []


def test_without_network_the_page_is_the_same(browser: Any, address: str) -> None:
    page = opened(browser, address, offline=True)
    assert page.locator("section.claim").count() == 26
    assert page.evaluate("[...document.images].every(each => each.complete && each.naturalWidth)")
    assert page.complaints == []


def test_the_numbers_are_copied(browser: Any, address: str) -> None:
    page = opened(browser, address, permissions=["clipboard-read", "clipboard-write"])
    button = page.get_by_role("button", name="Copy: numbers of A pitch is a stable direction")
    page.locator("[id='claim.pitch_direction'] summary", has_text="JSON").click()
    button.click()
    page.locator("[id='claim.pitch_direction'] [role=status]", has_text="copied").wait_for()
    records = page.evaluate("navigator.clipboard.readText().then(JSON.parse)")
    assert [(each["id"], each["site"]) for each in records][:2] == [
        ("pitch_direction", "stack_end"),
        ("pitch_direction", "latent"),
    ]
    assert records[0]["effect"]["ci"] == [0.118, 0.206]


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(browser: Any, address: str, width: int) -> None:
    page = opened(browser, address, viewport={"width": width, "height": 900})
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    overview = page.evaluate("(e => [e.scrollWidth, e.clientWidth])(document.querySelector('.overview'))")
    assert overview[0] == overview[1]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (320, "light"), (320, "dark")])
def test_axe_finds_no_violation(browser: Any, short: str, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe: pip install 'testtone[browser]'")
    page = opened(browser, short, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    found = axe.Axe().run(page, options={"runOnly": WCAG}).response
    assert [rule["id"] for rule in found["passes"]] != []
    said = [f"{v['id']}: {v['help']}: {v['nodes'][0]['html'][:200]} ({len(v['nodes'])})" for v in found["violations"]]
    assert said == []


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of encoders whose names attack it, and of numbers at the ends of what JSON can say."""
    report = copy.deepcopy(full())
    names = (HOSTILE, LONG, RIGHT_TO_LEFT, "'\"`{{7*7}}")
    for encoder, name in zip(report["encoders"], names, strict=False):
        encoder["name"] = name
    extreme = (1.7e308, -1.7e308, 5e-324, 10**40, -0.0)
    for index, claim in enumerate(report["claims"]):
        value = extreme[index % len(extreme)]
        if claim["effect"]:
            claim["effect"] |= {"value": value, "ci": [-1.7e308, value]}
        claim["figures"] = enlarged(claim.get("figures"), value)
    return write(report, tmp_path_factory.mktemp("hostile") / "hostile.html").as_uri()


def enlarged(value: Any, by: float) -> Any:
    """Return figures with every third number replaced."""
    if isinstance(value, dict):
        return {key: enlarged(inner, by) for key, inner in value.items()}
    if isinstance(value, list):
        return [
            by if index % 3 == 0 and isinstance(each, float) else enlarged(each, by) for index, each in enumerate(value)
        ]
    return by if isinstance(value, float) and value < 0.3 else value


@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_names_and_extreme_numbers_break_nothing(browser: Any, hostile: str, width: int) -> None:
    page = opened(browser, hostile, viewport={"width": width, "height": 900})
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert page.complaints == []
    assert page.title() != "taken"
    assert page.evaluate("document.scripts.length") == 1
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert HOSTILE in page.locator("footer .name").first.inner_text()
    bad = page.evaluate(
        r"""() => [...document.querySelectorAll("svg *")].flatMap(e => [...e.attributes]
            .filter(a => /^(x|y|x1|x2|y1|y2|cx|cy|width|height|points|d)$/.test(a.name))
            .filter(a => /nan|inf|e\+?\d{3}/i.test(a.value)).map(a => a.value.slice(0, 80)))"""
    )
    assert bad == []
