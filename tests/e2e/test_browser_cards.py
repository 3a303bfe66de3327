"""A response card's page in a real browser: keyboard only, three languages, nothing axe-core calls serious."""

import json
from datetime import date
from pathlib import Path

import psycopg
import pytest
from browsing import complaints
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from test_browser_public import browser, heading, picture, server, services
from web_support import Server

from connector.flows import intake, mailing
from connector.services import Services
from webhooks.texts import LANGUAGES, TEXTS

__all__ = ["browser", "server", "services"]

AXE = Path(__file__).with_name("axe.min.js").read_text(encoding="utf-8")
#: Every rule of WCAG 2.0 to 2.1, A and AA, and what axe-core calls good practice.
RUN = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ["violations"]}).then(found => done(JSON.stringify(found.violations.map(
  each => [each.impact, each.id, each.nodes.map(node => node.target.join(" "))]))));
"""
#: WCAG 2.2, 2.5.8: targets of at least 24 by 24 CSS pixels; the axe-core of the package does not know it yet.
SMALL = """
return [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea")]
  .filter(each => !each.closest("[aria-hidden=true]"))
  .map(each => (each.type === "checkbox" ? each.closest("label") : each).getBoundingClientRect())
  .filter(box => box.width < 24 || box.height < 24).length;
"""
#: Focus is never on something the visitor sees nothing of (2.4.11).
SEEN = """
const box = document.activeElement.getBoundingClientRect();
const middle = (from, to, most) => (Math.max(from, 0) + Math.min(to, most)) / 2;
const top = document.elementFromPoint(
  middle(box.left, box.right, innerWidth), middle(box.top, box.bottom, innerHeight));
return document.activeElement.contains(top);
"""


def violations(browser: webdriver.Chrome) -> list[list[object]]:
    browser.execute_script(AXE)
    found: list[list[object]] = json.loads(browser.execute_async_script(RUN))
    return found


@pytest.fixture(scope="module")
def card(services: Services, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("mailing")
    file = folder / "list.csv"
    file.write_text(
        "reference,first_name,last_name,company,street,postal_code,city,country,email,phone\n"
        "R1,Greta,Ohlsen,Ohlsen Bau,Hafenstraße 3,26122,Oldenburg,DE,g.ohlsen@ohlsen-bau.example,0441 2350123\n",
        encoding="utf-8",
    )
    mailing.load_recipients(services, "cordless-autumn-de", file)
    (made,) = mailing.send(services, "cordless-autumn-de", date(2026, 11, 2))
    return made.token


def focused(browser: webdriver.Chrome) -> str:
    assert browser.execute_script(SEEN), browser.switch_to.active_element.get_attribute("outerHTML")
    return str(browser.switch_to.active_element.get_attribute("name") or browser.switch_to.active_element.tag_name)


def press(browser: webdriver.Chrome, *keys: str) -> None:
    ActionChains(browser).send_keys(*keys).perform()


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page_in_any_language(
    browser: webdriver.Chrome, server: Server, card: str, lang: str, scheme: str
) -> None:
    """WCAG 2.2 AA."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    found = {}
    for path in (f"r/{card}", f"R/{card}", "r/", "r/7K3MPX9QRWG"):
        browser.get(f"{server.base}/{path}?lang={lang}")
        found[path] = (violations(browser), browser.execute_script(SMALL))
        assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == lang

    assert found == dict.fromkeys(found, ([], 0))


def test_axe_would_see_a_fault(browser: webdriver.Chrome, server: Server, card: str) -> None:
    browser.get(f"{server.base}/r/{card}")
    browser.execute_script("document.querySelector('label[for=email]').remove()")

    assert "label" in [each[1] for each in violations(browser)]


def test_the_page_shows_what_is_wrong_and_where(browser: webdriver.Chrome, server: Server, card: str) -> None:
    browser.get(f"{server.base}/r/{card}?lang=de")
    browser.find_element(By.NAME, "email").send_keys("greta", Keys.ENTER)
    WebDriverWait(browser, 10).until(lambda page: page.find_elements(By.CSS_SELECTOR, "[role=alert]"))
    picture(browser, "card-fault")

    assert violations(browser) == []
    browser.find_element(By.CSS_SELECTOR, "[role=alert] a").click()
    assert focused(browser) == "email"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_card_is_answered_by_keyboard_alone(
    browser: webdriver.Chrome, server: Server, services: Services, card: str, lang: str
) -> None:
    """WCAG 2.1.1: the language is chosen, a box ticked and the form sent with Tab, Space and Enter."""
    other = next(each for each in LANGUAGES if each != lang)
    # What pages looked up by others in this browser left behind.
    complaints(browser)
    browser.get(f"{server.base}/r/{card}?lang={other}")
    for _ in range(list(LANGUAGES).index(lang) + 1):
        press(browser, Keys.TAB)
    press(browser, Keys.ENTER)
    WebDriverWait(browser, 10).until(lambda page: f"lang={lang}" in page.current_url)
    picture(browser, f"card-{lang}")
    assert heading(browser) == TEXTS[lang]["card_title"].format(company="Nordhammer Tools")

    reached = []
    for _ in range(20):
        press(browser, Keys.TAB)
        reached.append(focused(browser))
        match reached[-1]:
            case "message":
                press(browser, "Bitte um Rückruf")
            case "consent_email":
                press(browser, Keys.SPACE)
            case "button":
                break
    # A person takes longer than a program (I25).
    WebDriverWait(browser, 10).until(lambda page: page.execute_script("return performance.now() > 3500"))
    press(browser, Keys.ENTER)
    WebDriverWait(browser, 10).until(lambda page: "/thanks" in page.current_url)

    assert heading(browser) == TEXTS[lang]["thanks_title"]
    assert complaints(browser) == []
    assert "website" not in reached
    fields = ("first_name", "last_name", "company", "message", "email", "phone", "street", "postal_code", "city")
    assert reached[3:] == [*fields, "consent_email", "consent_phone", "button"]
    intake.work(services)
    with psycopg.connect(services.store.url) as connection:
        state, reason = connection.execute("SELECT state, reason FROM delivery ORDER BY id DESC LIMIT 1").fetchone()
        (lead,) = connection.execute("SELECT data FROM lead").fetchone()
    assert (state, reason) == ("done", "")
    assert (lead["last_name"], lead["email"]) == ("Ohlsen", "g.ohlsen@ohlsen-bau.example")
    assert lead["consents"][0]["text"].startswith("Nordhammer Tools")


def test_the_page_works_without_javascript(browser: webdriver.Chrome, server: Server, card: str) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(f"{server.base}/r/{card}?lang=en")
        browser.find_element(By.CSS_SELECTOR, "button").click()
        WebDriverWait(browser, 10).until(lambda page: "/thanks" in page.current_url)
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert heading(browser) == "Thank you"
