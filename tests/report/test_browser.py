"""The HTML report in a real browser: nothing asked of the network, nothing cut off, readable.

Needs chromium and its driver (apt-get install chromium chromium-driver) and selenium.
"""

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.report.build import write_report
from tests.report.run import Run

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="no chromium: apt-get install chromium chromium-driver"
    ),
]
webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium: requirements-tests.txt")

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PHONE = (390, 844)
DESKTOP = (1280, 900)
# A4 with margins of 1 cm at 96 pixels an inch.
PAPER = (718, 1047)
LEAST_CONTRAST = 4.5

WIDTHS = (
    "return [...document.querySelectorAll(arguments[0])].map(e => e.getBoundingClientRect().width)"
)
OVERFLOW = "return document.documentElement.scrollWidth"
CUT = """return [...document.querySelectorAll('.scroll, pre, .text')]
    .filter(e => e.scrollWidth > e.clientWidth + 1)
    .map(e => e.getAttribute('aria-label') || e.className)"""
COLOURS = """const style = e => getComputedStyle(e);
return [...document.querySelectorAll('h1, p, dt, dd, td, th, figcaption, summary, code')].map(e => {
    let back = e;
    while (style(back).backgroundColor === 'rgba(0, 0, 0, 0)') back = back.parentElement;
    return [style(e).color, style(back).backgroundColor];
})"""

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every kind of block: all tasks, samples, a stand-in's warnings, cautions."""
    run = Run(tmp_path_factory.mktemp("browser"))
    run.use_every_kind()
    run.use_stand_in()
    run.write()
    out = run.folder / "report"
    write_report(run.params, **run.paths, out=out, metrics_out=run.folder / "metrics.json")
    return out / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture
def show(browser: Any, report: Path) -> Open:
    """Open a page (the report unless told) as a device would show it; return the browser."""

    def show(
        size: tuple[int, int],
        scheme: str = "light",
        media: str = "",
        scripts: bool = True,
        page: Path = report,
    ) -> Any:
        width, height = size
        for log in ("browser", "performance"):
            browser.get_log(log)
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        for command, arguments in (
            ("Emulation.setDeviceMetricsOverride", metrics),
            ("Emulation.setEmulatedMedia", {"media": media, "features": features}),
            ("Emulation.setScriptExecutionDisabled", {"value": not scripts}),
        ):
            browser.execute_cdp_cmd(command, arguments)
        browser.get(page.as_uri())
        return browser

    return show


def requested(browser: Any) -> set[str]:
    """The addresses that the page asked for since it was opened."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_it_asks_for_nothing_and_complains_of_nothing(
    show: Open, report: Path, size: tuple[int, int]
) -> None:
    browser = show(size)
    asked = requested(browser)
    assert report.as_uri() in asked
    assert {url for url in asked if not url.startswith("data:")} == {report.as_uri()}
    assert browser.get_log("browser") == []


def test_a_page_that_asks_and_complains_would_be_seen(show: Open, tmp_path: Path) -> None:
    page = tmp_path / "other.html"
    page.write_text("<img src='http://127.0.0.1:9/x.png'><script>console.error('oh')</script>")
    browser = show(DESKTOP, page=page)
    assert "http://127.0.0.1:9/x.png" in requested(browser)
    assert any("oh" in entry["message"] for entry in browser.get_log("browser"))


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_page_is_as_wide_as_the_screen_and_charts_are_seen(
    show: Open, report: Path, size: tuple[int, int]
) -> None:
    browser = show(size)
    assert browser.execute_script(OVERFLOW) <= size[0]
    browser.execute_script("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert browser.execute_script(OVERFLOW) <= size[0]
    charts = browser.execute_script(WIDTHS, "figure svg")
    assert len(charts) == len(list(report.parent.glob("*.svg")))
    assert min(charts) > 300
    for name in (".cards > div", "blockquote", "table"):
        assert min(browser.execute_script(WIDTHS, name)) > 100


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_its_ground(show: Open, scheme: str) -> None:
    browser = show(DESKTOP, scheme=scheme)
    pairs = {tuple(pair) for pair in browser.execute_script(COLOURS)}
    assert len(pairs) > 3
    assert [pair for pair in pairs if contrast(*pair) < LEAST_CONTRAST] == []
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (luminance(ground) < 0.1) == (scheme == "dark")


def test_nothing_is_cut_off_on_paper(show: Open) -> None:
    browser = show(PAPER, scheme="dark", media="print")
    assert browser.execute_script(CUT) == []
    assert browser.execute_script(OVERFLOW) <= PAPER[0]
    # What is folded on a screen is printed, in black on white whatever the screen prefers.
    assert min(browser.execute_script(WIDTHS, "details table")) > 100
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert luminance(ground) > 0.9


def test_it_prints(show: Open) -> None:
    browser = show(DESKTOP)
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})
    pdf = base64.b64decode(printed["data"])
    assert pdf.startswith(b"%PDF-")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 20


def test_scripts_make_no_difference(show: Open) -> None:
    text = "return document.body.innerText"
    with_scripts, without = (
        show(DESKTOP, scripts=scripts).execute_script(text) for scripts in (True, False)
    )
    assert "Generated text" in without
    assert without == with_scripts


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, as WCAG 2 defines it."""
    channels = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(ink: str, ground: str) -> float:
    """Contrast ratio of two colours, 1 to 21, as WCAG 2 defines it."""
    darker, lighter = sorted((luminance(ink), luminance(ground)))
    return (lighter + 0.05) / (darker + 0.05)
