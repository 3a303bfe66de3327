"""A real browser fills in the sample form and answers a survey; screenshots go to build/screens."""

from collections.abc import Iterator

import psycopg
import pytest
from browsing import NARROW, SCREENS, WIDE, a_browser, complaints, need_chromium, prefer
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from web_support import Server, an_invitation, fresh_database, server_on, services_on

from connector.flows import intake
from connector.services import Services

need_chromium()


@pytest.fixture(scope="module")
def services(postgres: str, template: str) -> Iterator[Services]:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        yield services


@pytest.fixture(scope="module")
def server(services: Services) -> Iterator[Server]:
    with server_on(services.store.url, {"HEARBACK_DEMO": "1"}) as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with a_browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


def picture(browser: webdriver.Chrome, name: str) -> None:
    """Save the page at both widths, bright and dark; nothing may stick out at the narrow one."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    for width, height in (WIDE, NARROW):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        for scheme in ("light", "dark"):
            prefer(browser, scheme)
            browser.save_screenshot(str(SCREENS / f"{name}-{width}-{scheme}.png"))
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def heading(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "h1").text


def test_a_visitor_sends_the_sample_form_and_is_thanked(
    browser: webdriver.Chrome, server: Server, services: Services
) -> None:
    """I2, I28: from the visitor's click to a lead with an owner."""
    browser.get(f"{server.base}/sample-form?lang=de")
    picture(browser, "sample-form")
    for name, value in {
        "first_name": "Łukasz",
        "last_name": "Müller",
        "company": "Müller & Söhne GmbH",
        "email": "l.mueller@example.com",
        "phone": "030 23125001",
        "postal_code": "10115",
        "message": "Bitte um Rückruf\nnach 17 Uhr",
    }.items():
        browser.find_element(By.NAME, name).send_keys(value)
    browser.find_element(By.CSS_SELECTOR, "input[type=checkbox]").click()
    browser.find_element(By.CSS_SELECTOR, "button").click()
    WebDriverWait(browser, 10).until(lambda page: "/thanks" in page.current_url)

    assert heading(browser) == "Thank you"
    picture(browser, "thanks")
    assert complaints(browser) == []
    intake.work(services)
    with psycopg.connect(services.store.url) as connection:
        rows = connection.execute(
            "SELECT d.fate, l.owner IS NOT NULL, l.data ->> 'first_name', l.data ->> 'message' FROM delivery d "
            "JOIN submission s ON s.delivery_id = d.id JOIN lead l ON l.id = s.lead_id"
        ).fetchall()
    assert [row[:3] for row in rows] == [("leads", True, "Łukasz")]
    assert "Rückruf" in rows[0][3]


def test_the_hidden_field_cannot_be_seen_or_reached_by_keyboard(browser: webdriver.Chrome, server: Server) -> None:
    """I25: the honeypot is for programs only."""
    browser.get(f"{server.base}/sample-form")
    reached = []
    for _ in range(14):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        reached.append(browser.switch_to.active_element.get_attribute("name"))
    trap = browser.find_element(By.NAME, "website")

    assert "website" not in reached
    assert "email" in reached
    assert trap.rect["x"] + trap.rect["width"] <= 0


def test_a_survey_is_answered_by_keyboard_alone(browser: webdriver.Chrome, server: Server, services: Services) -> None:
    """B4, WCAG 2.1.1: Tab, arrows, typing and Enter are enough."""
    an_invitation(services, "keyboard", language="pl")
    browser.get(f"{server.base}/s/keyboard")
    picture(browser, "survey")
    keys = ActionChains(browser).send_keys(Keys.TAB).send_keys(Keys.SPACE)
    for _ in range(9):
        keys = keys.send_keys(Keys.ARROW_RIGHT)
    keys.perform()
    picture(browser, "survey-chosen")
    ActionChains(browser).send_keys(Keys.TAB, "Szybko i dobrze", Keys.TAB, Keys.ENTER).perform()
    WebDriverWait(browser, 10).until(lambda page: not page.find_elements(By.TAG_NAME, "form"))

    assert heading(browser) == "Dziękujemy za odpowiedź"
    with psycopg.connect(services.store.url) as connection:
        answer = connection.execute("SELECT score, text FROM survey_answer").fetchall()
    assert answer == [(9, "Szybko i dobrze")]
    assert complaints(browser) == []


def test_a_used_and_an_unknown_survey_are_friendly(browser: webdriver.Chrome, server: Server) -> None:
    browser.get(f"{server.base}/s/keyboard")
    used = heading(browser)
    browser.get(f"{server.base}/s/unknown-token")
    picture(browser, "survey-unknown")

    assert used == "Odpowiedź już jest u nas"
    assert heading(browser) == "We do not know this link"
