"""The page in a real browser: what a person sees."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="aiohttp serves the page (extra web)")
pytest.importorskip("prometheus_client", reason="prometheus_client writes /metrics (extra web)")
webdriver: Any = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser")

from tests.web_client import Site, hand, site  # noqa: E402

from .mjpeg_camera import until  # noqa: E402

#: Colour, as red, green and blue, of the newest picture on the page, in its left top corner.
CORNER = """
const canvas = document.createElement("canvas"), video = document.getElementById("video");
canvas.width = canvas.height = 1;
if (!video.naturalWidth) return null;
canvas.getContext("2d").drawImage(video, 0, 0, 8, 8, 0, 0, 1, 1);
return Array.from(canvas.getContext("2d").getImageData(0, 0, 1, 1).data.slice(0, 3));
"""
#: The lowest contrast (WCAG 2, relative luminance) of any text to what is behind it, and where.
CONTRAST = """
function parts(color) { return color.match(/[\\d.]+/g).map(Number); }
function luminance(rgb) {
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = rgb.slice(0, 3).map((v) => linear(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function behind(element) {
  for (let at = element; at; at = at.parentElement) {
    const color = parts(getComputedStyle(at).backgroundColor);
    if (color.length < 4 || color[3] > 0) return color;
  }
  return [255, 255, 255];
}
let worst = [99, ""];
for (const element of document.querySelectorAll("body *")) {
  const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!text || !element.checkVisibility()) continue;
  const both = [luminance(parts(getComputedStyle(element).color)), luminance(behind(element))];
  const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
  if (contrast < worst[0]) worst = [contrast, element.outerHTML.slice(0, 90)];
}
return worst;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no chromium with chromedriver (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        "--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", f"--user-data-dir={profile}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    opened.set_page_load_timeout(30)
    yield opened
    opened.quit()


def look(browser: Any, one: Site, path: str = "", *, size: tuple[int, int] = (1280, 800), dark: bool = False) -> None:
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get_log("browser")
    browser.get(f"http://127.0.0.1:{one.server.port}/{path}")


def text_of(browser: Any, name: str) -> str:
    return str(browser.execute_script("return document.getElementById(arguments[0]).innerText", name))


def shows(browser: Any, index: int) -> bool:
    """Whether the picture on the page is the one with this number: its colour tells."""
    color = browser.execute_script(CORNER)
    return color is not None and all(abs(a - b) <= 5 for a, b in zip(color, (90, 60 + index % 150, 40)))


def test_the_picture_is_the_newest_also_when_no_other_follows(browser: Any) -> None:
    with site() as one:
        one.show(0)
        look(browser, one)
        for index in (0, 40, 90, 20, 140):
            one.show(index)
            assert until(lambda index=index: shows(browser, index)), index  # type: ignore[misc]
        assert browser.get_log("browser") == []


def test_the_panel(browser: Any) -> None:
    with site(max_viewers=5) as one:
        look(browser, one)
        assert until(lambda: text_of(browser, "state") == "starting")
        one.show(*range(30), hands=[hand(3), hand(8)])
        one.report.ledger.replaced = 1234
        assert until(lambda: "3" in text_of(browser, "hands") and text_of(browser, "state") == "live")
        hands = [line.split() for line in text_of(browser, "hands").splitlines()]
        assert hands == [["left", "0.87", "0.98", "3"], ["left", "0.87", "0.98", "8"]]
        stages = {name: times for name, *times in map(str.split, text_of(browser, "stages").splitlines())}
        assert stages["model"] == ["2.00", "2.00", "2.00"]
        assert "latency" in stages
        assert float(text_of(browser, "fps")) > 0
        assert "1,234" in text_of(browser, "frames")
        assert "rtsp://camera, 160 × 120" in text_of(browser, "source")
        assert until(lambda: "1 of 5" in text_of(browser, "run"))
        assert browser.title == "live: rtsp://camera"
        one.show(30, hands=[])
        assert until(lambda: "no hand" in text_of(browser, "hands"))
        assert browser.get_log("browser") == []


def test_troubles_show_in_words(browser: Any) -> None:
    with site() as one:
        one.show(0)
        look(browser, one)
        assert until(lambda: text_of(browser, "state") == "live" and shows(browser, 0))
        assert text_of(browser, "notice") == ""
        one.source.interrupted = "<b>it was cut</b>"
        assert until(lambda: text_of(browser, "state") == "connection lost")
        assert "<b>it was cut</b>" in text_of(browser, "notice")
        one.source.interrupted = None
        assert until(lambda: text_of(browser, "state") == "live")
        assert text_of(browser, "notice") == ""
        one.server.end("The source has ended.")
        assert until(lambda: text_of(browser, "state") == "ended")
    assert until(lambda: not until(lambda: text_of(browser, "notice") != "The source has ended.", 1))
    assert shows(browser, 0)


def test_the_picture_comes_back_when_the_server_does(browser: Any) -> None:
    with site() as one:
        one.show(0)
        look(browser, one)
        assert until(lambda: shows(browser, 0))
        port = one.server.port
    assert until(lambda: text_of(browser, "state") in ("ended", "server gone"))
    with site(port=port) as again:
        again.show(100)
        assert until(lambda: shows(browser, 100))
        assert until(lambda: text_of(browser, "state") == "live")


def test_a_stream_that_was_let_go_begins_again(browser: Any) -> None:
    with site() as one:
        one.show(0)
        look(browser, one)
        assert until(lambda: shows(browser, 0))
        browser.execute_script("document.getElementById('video').src = 'icon.svg'")  # as if the stream had broken
        one.show(70)
        assert until(lambda: shows(browser, 70))


def test_pause_keeps_the_picture_and_takes_no_more(browser: Any) -> None:
    with site() as one:
        one.show(0)
        look(browser, one)

        def viewers() -> int:
            return int(one.get("/status.json").json["viewers"]["now"])

        assert until(lambda: shows(browser, 0) and viewers() == 1)
        browser.find_element("id", "pause").click()
        assert until(lambda: viewers() == 0 and shows(browser, 0))
        one.show(20)
        assert browser.find_element("id", "pause").get_attribute("aria-pressed") == "true"
        browser.find_element("id", "pause").click()
        one.show(50)
        assert until(lambda: shows(browser, 50))


def test_with_a_token(browser: Any) -> None:
    with site(token="0123456789abcdef") as one:
        one.show(0)
        look(browser, one)
        assert "a token is needed" in browser.page_source
        look(browser, one, "?token=0123456789abcdef")
        assert until(lambda: shows(browser, 0) and text_of(browser, "state") == "live")
        assert "token" not in browser.current_url
        look(browser, one)
        assert until(lambda: shows(browser, 0))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [(1280, 800), (390, 844), (320, 568)])
def test_it_fits_and_can_be_read(browser: Any, size: tuple[int, int], dark: bool, tmp_path: Path) -> None:
    with site() as one:
        one.show(*range(20), hands=[hand(1), hand(2)])
        look(browser, one, size=size, dark=dark)
        assert until(lambda: shows(browser, 19) and text_of(browser, "state") == "live")
        one.source.interrupted = "rtsp://camera/a/long/address/without/any/place/to/break/it: it was cut"
        assert until(lambda: text_of(browser, "state") == "connection lost")
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        contrast, where = browser.execute_script(CONTRAST)
        assert contrast >= 4.5, where
        back = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, back.strip("rgb()").split(","))) < 60) == dark
        names = browser.execute_script(
            "return [...document.querySelectorAll('img, button, section')].map("
            "(one) => one.alt || one.innerText || one.ariaLabel)"
        )
        assert all(names)
