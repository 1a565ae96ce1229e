"""The page in a real browser: keys move the slider, nothing is asked of the network, print shows every step."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; run: pip install playwright")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; run: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture(params=["light", "dark"])
def shown(browser, page_file: Path, request) -> Iterator[tuple[Any, list[str]]]:
    """The page as it is shown, and all that it asked for or complained of."""
    page, heard = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme=request.param), list[str]()
    page.on("request", lambda asked: heard.append(asked.url))
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.goto(page_file.as_uri())
    yield page, heard
    page.close()


def visible_steps(page: Any) -> list[str]:
    steps = page.locator("[data-of=denoising]")
    return [steps.nth(n).get_attribute("data-step") for n in range(steps.count()) if steps.nth(n).is_visible()]


def test_keys_move_the_slider_and_nothing_is_loaded(shown, page_file):
    page, heard = shown
    slider = page.locator("#denoising-step")
    assert visible_steps(page) == [slider.get_attribute("max")] == ["4"]
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert visible_steps(page) == ["3"]
    assert page.locator("output[for=denoising-step]").inner_text() == "step 3: 2 written, 2 candidates not taken"
    assert slider.get_attribute("aria-valuetext") == "step 3: 2 written, 2 candidates not taken"
    page.keyboard.press("Home")
    assert visible_steps(page) == ["0"]
    assert heard == [page_file.as_uri()]


def test_text_stands_out_from_the_page_and_nothing_is_wider(shown):
    page, _ = shown
    colours = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
    light = [sum(map(int, colour[4:-1].split(","))) / 765 for colour in colours]
    assert abs(light[0] - light[1]) > 0.7
    assert page.evaluate("document.documentElement.scrollWidth") <= 1200


def test_print_shows_every_step_and_no_slider(shown):
    page, _ = shown
    page.emulate_media(media="print")
    assert visible_steps(page) == ["0", "1", "2", "3", "4"]
    assert not page.locator("#denoising-step").is_visible() and not page.locator("nav").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_a_printed_page_holds_its_whole_width(shown):
    page, _ = shown
    page.set_viewport_size({"width": 720, "height": 1000})  # A4 at 96 dots an inch, less its margins
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    outer = "[...document.querySelectorAll('table, :not(svg, g) > svg')]"
    assert page.evaluate(f"{outer}.filter(one => one.getBoundingClientRect().right > 720).length") == 0
