"""The page in a real browser: charts are drawn, nothing is fetched, nothing overflows."""

from __future__ import annotations

import json
import shutil
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench import discovery
from bench.report import image_page
from bench.report.page import render
from bench.selftest.page import publish
from bench.store.reader import load
from tests.selftest.streams import write_streams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.reading.contract import Reading
    from bench.store.reader import Run

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]  # one of them, and each page made once

ROOT = Path(__file__).parents[2]
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
WIDE = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
PRINTED = 717  # CSS pixels of a sheet of A4 within the browser's margins
DRAWN_WITHIN = 60.0
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("profile")
    quiet = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
    for argument in (*quiet, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def page(run: Run, known: dict[str, Reading], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(run, known, tmp_path_factory.mktemp("reports") / "page.html")


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(
        load(write_streams(tmp_path_factory.mktemp("results") / "run")), tmp_path_factory.mktemp("pages")
    ).page


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image_page.publish(load(ROOT / "results/image"), tmp_path_factory.mktemp("images")).page


@pytest.fixture(params=["page", "trust", "image"])
def any_page(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def show(browser: Any, page: Path, *, phone: bool = False, dark: bool = False) -> None:
    """Open the page and wait until every chart that is not folded away is drawn."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE if phone else WIDE)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get(page.as_uri())
    end = time.monotonic() + DRAWN_WITHIN
    while not browser.execute_script("return document.documentElement.dataset.drawn"):
        assert time.monotonic() < end, "charts are not drawn"
        time.sleep(0.05)


def test_every_chart_is_drawn_without_an_error_or_a_request(browser: Any, any_page: Path) -> None:
    page = any_page
    show(browser, page)
    browser.execute_script("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    time.sleep(1)
    points = browser.execute_script(
        "return [...document.querySelectorAll('.plot')].map((plot) => plot.querySelectorAll('.point, .slice').length)"
    )
    assert points
    assert all(points)
    rows = browser.execute_script(
        "return [...document.querySelectorAll('table[id]')].map((table) => table.tBodies[0].rows.length)"
    )
    assert all(rows)
    assert [entry for entry in browser.get_log("browser") if entry["level"] in {"SEVERE", "WARNING"}] == []
    sent = [
        message["params"]
        for entry in browser.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"] == "Network.requestWillBeSent"
    ]
    # The browser's own first tab asks for things too, so only what this document asks for counts.
    asked = {told["request"]["url"] for told in sent if told["documentURL"].startswith(page.as_uri())}
    assert {url for url in asked if not url.startswith(("data:", "blob:"))} == {page.as_uri()}


def test_a_phone_does_not_scroll_sideways(browser: Any, any_page: Path) -> None:
    show(browser, any_page, phone=True)
    width = browser.execute_script("return document.documentElement.scrollWidth")
    assert width <= PHONE["width"]


@pytest.mark.parametrize(("width", "media"), [(WIDE["width"], "screen"), (PRINTED, "print")])
def test_all_verdicts_on_an_image_are_in_sight(browser: Any, image: Path, width: int, media: str) -> None:
    show(browser, image)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**WIDE, "width": width})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media})
    try:
        ends = browser.execute_script(
            "return [...document.querySelectorAll('.verdicts td')].map((cell) => cell.getBoundingClientRect())"
        )
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert ends
    assert max(end["right"] for end in ends) <= width
    assert media == "print" or max(end["bottom"] for end in ends) <= WIDE["height"]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(
        load(ROOT / "results/example"), discovery.readings(), tmp_path_factory.mktemp("pages") / "example.html"
    )


@pytest.mark.parametrize(("phone", "most"), [(False, 10_000), (True, 16_000)])
def test_it_is_short_before_anything_is_unfolded(browser: Any, example: Path, phone: bool, most: int) -> None:
    show(browser, example, phone=phone)
    assert browser.execute_script("return document.documentElement.scrollHeight") <= most


def test_the_first_screen_has_all_headline_figures(browser: Any, example: Path) -> None:
    show(browser, example)
    ends = browser.execute_script(
        "return [...document.querySelectorAll('.headlines tbody tr')].map((row) => row.getBoundingClientRect().bottom)"
    )
    assert len(ends) > 8
    assert max(ends) <= 800


def test_the_first_table_has_room_for_four_file_systems(browser: Any, example: Path) -> None:
    show(browser, example)
    columns, right = browser.execute_script(
        """const rows = [...document.querySelector('.headlines').rows];
        rows.forEach((row) => row.append(row.cells[1].cloneNode(true)));  // a fourth beside the example's three
        return [rows.map((row) => row.cells.length), rows.map((row) => row.getBoundingClientRect().right)]"""
    )
    assert set(columns) == {5}
    assert max(right) <= WIDE["width"]


def test_headings_are_in_order_and_tables_have_headers(browser: Any, example: Path) -> None:
    show(browser, example)
    browser.execute_script("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    levels = browser.execute_script(
        "return [...document.querySelectorAll('h1, h2, h3, h4')].map((heading) => Number(heading.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert browser.execute_script("return [...document.querySelectorAll('table')].every((table) => table.tHead)")
    assert browser.execute_script("return [...document.querySelectorAll('.plot')].every((plot) => plot.ariaLabel)")


def test_no_chart_has_a_legend_and_every_line_and_row_has_a_name(browser: Any, example: Path) -> None:
    show(browser, example)
    browser.execute_script("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    time.sleep(1)
    named = browser.execute_script(
        """return [...document.querySelectorAll('.plot')].map((plot) => {
          const texts = (plot.layout.annotations ?? []).map((note) => note.text.replace(/<.*?>/g, ''));
          const rows = plot.layout.yaxis.ticktext ?? [];
          return [plot.layout.showlegend, texts.length + rows.length, new Set(plot.data.map((one) => one.name)).size];
        })"""
    )
    assert named
    assert all(not legend and names >= arms for legend, names, arms in named)


def test_charts_follow_the_dark(browser: Any, page: Path) -> None:
    ink = "return getComputedStyle(document.querySelector('.plot .xtick text')).fill"
    show(browser, page)
    light = browser.execute_script(ink)
    show(browser, page, dark=True)
    assert browser.execute_script(ink) != light
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(20, 23, 26)"
    lit = {"name": "prefers-color-scheme", "value": "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [lit]})
    time.sleep(0.5)
    assert browser.execute_script(ink) == light
