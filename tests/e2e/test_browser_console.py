"""A real browser signs in to the console by keyboard, finds a quarantined delivery and releases it."""

from collections.abc import Iterator

import psycopg
import pytest
import requests
from browsing import a_browser, barriers, complaints, need_chromium, photograph, sign_in
from console_support import PASSWORD, an_account
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from web_support import FORM, TYPEFORM, Server, fresh_database, server_on, services_on

from connector.flows import intake
from connector.services import Services

need_chromium()

PERSON = {"vorname": "Łucja", "nachname": "Brandt", "plz": "10115", "nachricht": "Bitte zurückrufen"}


@pytest.fixture(scope="module")
def services(postgres: str, template: str) -> Iterator[Services]:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        yield services


@pytest.fixture(scope="module")
def server(services: Services) -> Iterator[Server]:
    with server_on(services.store.url) as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with a_browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


def press(browser: webdriver.Chrome, *keys: str) -> None:
    ActionChains(browser).send_keys(*keys).perform()


def on(browser: webdriver.Chrome, words: str) -> None:
    """Wait until the page's heading says this."""
    gone = (NoSuchElementException, StaleElementReferenceException)
    wait = WebDriverWait(browser, 15, ignored_exceptions=gone)
    wait.until(lambda page: page.find_element(By.TAG_NAME, "h1").text == words)


def tab_to(browser: webdriver.Chrome, words: str) -> None:
    """Press Tab until what has the focus says this."""
    for _ in range(60):
        press(browser, Keys.TAB)
        if browser.switch_to.active_element.text.strip() == words:
            return
    raise AssertionError(f"the keyboard does not reach {words!r}")


def fill_the_inbox(services: Services, server: Server) -> None:
    """Send what a day brings: leads, duplicates, spam, a forgery, somebody nobody can answer."""
    for number in range(6):
        requests.post(server.base + FORM, data={**PERSON, "email": f"person{number}@example.com"}, timeout=10)
    requests.post(server.base + FORM, data={**PERSON, "email": "person0@example.com"}, timeout=10)
    requests.post(server.base + FORM, data={"nachricht": "nobody"}, timeout=10)
    requests.post(server.base + TYPEFORM, data="{}", headers={"Content-Type": "application/json"}, timeout=10)
    intake.work(services)
    spam = {**PERSON, "email": "aside@example.com", "website": "https://spam.example"}
    requests.post(server.base + FORM, data=spam, timeout=10)
    intake.work(services)


def test_a_quarantined_delivery_is_found_and_released_by_keyboard_alone(
    browser: webdriver.Chrome, server: Server, services: Services
) -> None:
    """I26, WCAG 2.1.1: from the login to the lead without a mouse; no page has a barrier axe-core calls serious."""
    browser.get(f"{server.base}/console/")
    on(browser, "Nobody can sign in yet")
    photograph(browser, "console-setup")
    an_account(services, "ada", "admin")
    fill_the_inbox(services, server)
    browser.get(f"{server.base}/console/intake")
    on(browser, "Sign in")
    found = {"login": barriers(browser)}
    photograph(browser, "console-login")

    sign_in(browser, "ada", PASSWORD)
    on(browser, "Intake")
    found["intake"] = barriers(browser)
    photograph(browser, "console-intake")
    tab_to(browser, "Overview")
    press(browser, Keys.ENTER)
    on(browser, "Overview")
    found["overview"] = barriers(browser)
    photograph(browser, "console-overview")
    tab_to(browser, "deliveries in quarantine: look at them, then release")
    press(browser, Keys.ENTER)
    on(browser, "Intake")
    newest = browser.find_element(By.CSS_SELECTOR, "tbody a time").text
    tab_to(browser, newest)
    press(browser, Keys.ENTER)
    on(browser, "Delivery")
    found["delivery"] = barriers(browser)
    photograph(browser, "console-delivery")
    body = browser.find_element(By.TAG_NAME, "main").text
    tab_to(browser, "Release")
    press(browser, Keys.ENTER)
    WebDriverWait(browser, 15).until(lambda page: page.find_elements(By.CSS_SELECTOR, "[role=status]"))
    intake.work(services)
    browser.get(browser.current_url)
    owner = browser.find_element(By.CSS_SELECTOR, "dd a[href*='/console/leads/']").text
    tab_to(browser, owner)
    press(browser, Keys.ENTER)
    on(browser, "Łucja Brandt")
    found["lead"] = barriers(browser)
    photograph(browser, "console-lead")

    with psycopg.connect(services.store.url) as connection:
        (key,) = connection.execute(
            "SELECT owner FROM lead WHERE data ->> 'email' = 'aside@example.com'"
        ).fetchone() or ("",)
    assert services.current().settings.people[key].name == owner
    assert "aside@example.com" not in body
    assert [each for each in found.items() if each[1]] == []
    assert complaints(browser) == []


def test_a_quarantine_is_released_with_its_count_shown(browser: webdriver.Chrome, server: Server) -> None:
    browser.get(f"{server.base}/console/intake?outcome=quarantined")
    browser.find_element(By.LINK_TEXT, "Release quarantined deliveries").send_keys(Keys.ENTER)
    on(browser, "Release quarantined deliveries")
    photograph(browser, "console-release")
    found = barriers(browser)
    count = browser.find_element(By.CSS_SELECTOR, "main .btn-primary").text
    browser.find_element(By.CSS_SELECTOR, "main .btn-primary").send_keys(Keys.ENTER)
    on(browser, "Intake")

    assert count == "Release (2)"
    assert browser.find_element(By.CSS_SELECTOR, "[role=status]").text == "Released: 2"
    assert found == []


@pytest.mark.parametrize(("language", "name", "heading"), [("de", "bernd", "Eingang"), ("pl", "celina", "Napływ")])
def test_the_console_speaks_the_accounts_language(
    browser: webdriver.Chrome, server: Server, services: Services, language: str, name: str, heading: str
) -> None:
    an_account(services, name, "manager", language=language)
    browser.delete_all_cookies()
    browser.get(f"{server.base}/console/login")
    sign_in(browser, name, PASSWORD)
    WebDriverWait(browser, 15).until(lambda page: not page.find_elements(By.ID, "password"))
    browser.get(f"{server.base}/console/intake")
    on(browser, heading)
    photograph(browser, f"console-intake-{language}")

    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == language
    assert barriers(browser) == []


def test_a_wrong_password_says_what_to_do(browser: webdriver.Chrome, server: Server) -> None:
    browser.delete_all_cookies()
    browser.get(f"{server.base}/console/login")
    sign_in(browser, "ada", "not the password")
    WebDriverWait(browser, 15).until(lambda page: page.find_elements(By.CSS_SELECTOR, "[role=alert]"))
    photograph(browser, "console-login-wrong")

    assert barriers(browser) == []
