"""The pages in a real browser, on a phone, under their own policy; skipped where there is no Chromium."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from api.middleware import HEADERS
from tests.api.test_pages import PAGES, STATIC, everywhere, text
from verifier import render_html

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

SITE = "https://pages.test"
PHONE = {"width": 390, "height": 844}
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
FOCUS = "getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).boxShadow"

RING = """() => {
    const found = document.activeElement, style = getComputedStyle(found);
    return [found.tagName, found.type || "", style.outlineStyle, parseFloat(style.outlineWidth), style.outlineColor];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def phone(browser: Any) -> Iterator[Any]:
    page = browser.new_page(viewport=PHONE)
    yield page
    page.close()


def visit(phone: Any, html: str) -> list[str]:
    """Open a page as the server would answer it; returns what the browser complained about."""
    complaints: list[str] = []
    phone.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    phone.on("pageerror", lambda error: complaints.append(str(error)))
    phone.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    phone.route("**/*", lambda route: answer(route, html))
    phone.goto(f"{SITE}/")
    return complaints


def answer(route: Any, html: str) -> None:
    path = route.request.url.removeprefix(SITE)
    if path == "/":
        route.fulfill(body=html, content_type="text/html", headers=dict(HEADERS))
    elif path == "/static/report.css":
        route.fulfill(body=render_html.style(), content_type="text/css")
    elif path.startswith("/static/"):
        route.fulfill(path=STATIC / path.removeprefix("/static/"))
    elif path == "/openapi.json":
        route.fulfill(json={"openapi": "3.1.0", "info": {"title": "seedgolf", "version": "1"}, "paths": {}})
    else:
        route.fulfill(body="<svg xmlns='http://www.w3.org/2000/svg'/>", content_type="image/svg+xml")


@everywhere
def test_a_phone_shows_it_without_complaint_and_without_scrolling_sideways(phone: Any, show: Any) -> None:
    complaints = visit(phone, text(show()))
    assert complaints == []
    assert phone.evaluate(OVERFLOW) <= 0


def test_the_browser_does_complain_about_what_the_policy_forbids(phone: Any) -> None:
    assert visit(phone, "<p style='color: red'>inline</p><script>alert(1)</script>")


def test_the_keyboard_reaches_the_content_first_and_shows_where_it_is(phone: Any) -> None:
    visit(phone, text(PAGES["leaderboard"]()))
    phone.keyboard.press("Tab")
    assert phone.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert phone.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    for _ in range(3):
        phone.keyboard.press("Tab")
        assert phone.evaluate(FOCUS) != "nonenone"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_whatever_the_keyboard_is_on_has_a_ring_that_stands_out_as_wcag_asks(phone: Any, scheme: str) -> None:
    phone.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    visit(phone, text(PAGES["home"]()))
    ground = phone.eval_on_selector("html", "found => getComputedStyle(found).backgroundColor")
    seen = set()
    for _ in range(16):
        phone.keyboard.press("Tab")
        tag, kind, line, width, colour = phone.evaluate(RING)
        seen.add(tag)
        assert (line, width >= 2) == ("solid", True), (tag, kind)
        assert contrast(colour, ground) >= 3.0, (tag, kind, colour)
    assert {"A", "BUTTON", "INPUT", "SELECT", "SUMMARY"} <= seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_quiet_words_stand_out_from_the_ground_as_wcag_asks(phone: Any, scheme: str) -> None:
    phone.emulate_media(color_scheme=scheme)
    visit(phone, text(PAGES["report"]()))
    for selector in (".passed", ".evidence-claimed", ".facts th", ".report small", "footer p", "h1"):
        words, ground = (
            phone.eval_on_selector(chosen, f"found => getComputedStyle(found).{what}")
            for chosen, what in ((selector, "color"), ("html", "backgroundColor"))
        )
        assert contrast(words, ground) >= 4.5, selector


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_stand_out_from_the_ground_and_their_words_are_readable_on_a_phone(phone: Any, scheme: str) -> None:
    phone.emulate_media(color_scheme=scheme)
    visit(phone, text(PAGES["compare"]()))
    ground = phone.eval_on_selector("html", "found => getComputedStyle(found).backgroundColor")
    needed = {".label": ("fill", 4.5), ".plot text": ("fill", 4.5), "figcaption": ("color", 4.5)}
    needed |= {f"path.{kind}": ("stroke", 3.0) for kind in ("candidates", "baseline", "level")}
    for selector, (what, least) in needed.items():
        colour = phone.eval_on_selector(f".curves {selector}", f"found => getComputedStyle(found).{what}")
        assert contrast(colour, ground) >= least, selector
    for svg in (".plot", ".chart"):
        size = "found => parseFloat(getComputedStyle(found.querySelector('text')).fontSize) * found.getScreenCTM().a"
        assert phone.eval_on_selector(svg, size) >= 10.0


def contrast(one: str, other: str) -> float:
    """WCAG 2's ratio of two CSS colours."""
    lights = sorted(map(luminance, (one, other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour: str) -> float:
    channels = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
