"""A real Chromium for the browser tests: how it is started, photographed and checked for accessibility."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
SCREENS = Path(__file__).parents[2] / "build" / "screens"
AXE = Path(__file__).with_name("axe.min.js")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE, NARROW = (1280, 900), (390, 844)
#: What axe-core calls a finding that keeps people out.
SERIOUS = ("serious", "critical")


def need_chromium() -> None:
    """Skip a module where there is no browser, unless the run asks for one."""
    if "chromium" not in os.environ.get("HEARBACK_REQUIRE", "") and not (
        shutil.which(CHROMIUM) and shutil.which(DRIVER)
    ):
        pytest.skip(f"needs {CHROMIUM} and {DRIVER}: install Chromium with its driver", allow_module_level=True)


@contextmanager
def a_browser(folder: Path, *flags: str, prefs: Mapping[str, object] | None = None) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, *flags, f"--user-data-dir={folder}", "--lang=en"):
        options.add_argument(flag)
    if prefs:
        options.add_experimental_option("prefs", dict(prefs))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    browser.set_page_load_timeout(30)
    browser.set_script_timeout(20)
    try:
        yield browser
    finally:
        with suppress(OSError):
            browser.quit()


def sign_in(browser: webdriver.Chrome, name: str, password: str) -> None:
    """Fill in the page for signing in by keyboard, once the cursor is where the page puts it."""
    WebDriverWait(browser, 30).until(lambda page: page.switch_to.active_element.get_attribute("id") == "name")
    ActionChains(browser, duration=0).send_keys(name, Keys.TAB, password, Keys.ENTER).perform()


def photograph(browser: webdriver.Chrome, name: str) -> None:
    """Save the page at both widths, bright and dark; nothing may stick out, nor at 200 % zoom."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    for width, height in (WIDE, NARROW):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        for scheme in ("light", "dark"):
            prefer(browser, scheme)
            browser.save_screenshot(str(SCREENS / f"{name}-{width}-{scheme}.png"))
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    # 200 % zoom of a window 1280 wide leaves 640.
    zoomed = {"width": 640, "height": 450, "deviceScaleFactor": 2, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", zoomed)
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def prefer(browser: webdriver.Chrome, scheme: str) -> None:
    """Let the system ask for bright or dark pages."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def barriers(browser: webdriver.Chrome) -> list[tuple[str, str]]:
    """Return what keeps people with disabilities out, bright and dark: axe-core's rule and where."""
    found: list[tuple[str, str]] = []
    for scheme in ("light", "dark"):
        prefer(browser, scheme)
        # By the debugger, which the page's policy does not bind.
        browser.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
        answer = browser.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run().then(found => done(found.violations), error => done(String(error)))"
        )
        assert isinstance(answer, list), answer
        found += [(f"{scheme}: {each['id']}", _where(each["nodes"])) for each in answer if each["impact"] in SERIOUS]
    return found


def _where(nodes: Sequence[dict[str, Any]]) -> str:
    return "; ".join(f"{node['html']} ({node.get('failureSummary', '')})" for node in nodes[:3])


def complaints(browser: webdriver.Chrome) -> list[str]:
    """Return what the browser refused or could not load, such as a breach of the page's own policy."""
    return [entry["message"] for entry in browser.get_log("browser") if "favicon" not in entry["message"]]
