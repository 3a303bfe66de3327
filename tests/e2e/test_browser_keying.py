"""A real browser keys cards without a mouse, faster than the server answers; no keystroke and no card is lost."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from browsing import a_browser, barriers, complaints, need_chromium, photograph, sign_in
from console_support import PASSWORD, an_account
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from web_support import Server, fresh_database, server_on, services_on

from connector.flows import intake, mailing
from connector.services import Services
from connector.settings import default_folder

need_chromium()

CARDS = 12
POLICY = "  cards:\n    kind: cards\n    keying: {email: double}\n"


@pytest.fixture(scope="module")
def services(postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("desk") / "config"
    shutil.copytree(default_folder(), folder)
    file = folder / "hearback.yaml"
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace("  cards:\n    kind: cards\n", POLICY), encoding="utf-8")
    with fresh_database(postgres, template) as url, services_on(url, folder=folder) as services:
        for name, language in (("anna", "en"), ("bernd", "de"), ("celina", "pl")):
            an_account(services, name, "keyer", language=language)
        yield services


@pytest.fixture(scope="module")
def tokens(services: Services, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    file: Path = tmp_path_factory.mktemp("mailing") / "list.csv"
    header = "reference,first_name,last_name,street,postal_code,city,country,email"
    people = [f"R{n:02},Greta{n},Ohlsen,Weg {n},26122,Oldenburg,DE,g{n}@ohlsen.example" for n in range(CARDS)]
    file.write_text("\n".join((header, *people, "")), encoding="utf-8")
    mailing.load_recipients(services, "cordless-autumn-de", file)
    sent = mailing.send(services, "cordless-autumn-de", datetime.now(UTC).date())
    return [card.token for card in sent]


@pytest.fixture(scope="module")
def server(services: Services) -> Iterator[Server]:
    with server_on(services.store.url) as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with a_browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


def press(browser: webdriver.Chrome, *keys: str) -> None:
    ActionChains(browser, duration=0).send_keys(*keys).perform()


def wait(browser: webdriver.Chrome, selector: str) -> None:
    WebDriverWait(browser, 30).until(lambda page: page.find_elements(By.CSS_SELECTOR, selector))


def enter(browser: webdriver.Chrome, server: Server, name: str) -> None:
    browser.delete_all_cookies()
    browser.get(f"{server.base}/console/")
    sign_in(browser, name, PASSWORD)
    wait(browser, "a[aria-current=page][href='/console/cards']")


def rows(services: Services, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(services.store.url) as connection:
        return connection.execute(statement.encode()).fetchall()


def kept(services: Services) -> int:
    return len(rows(services, "SELECT FROM keyed_card"))


def open_batch(browser: webdriver.Chrome, name: str) -> None:
    browser.find_element(By.ID, "name").send_keys(name, Keys.ENTER)
    wait(browser, "#token:focus")


def test_cards_are_keyed_faster_than_the_server_answers(
    browser: webdriver.Chrome, server: Server, services: Services, tokens: list[str]
) -> None:
    """ui.md: keyboard first, no lost keystroke. Everything is typed in one go, the answers come when they come."""
    enter(browser, server, "anna")
    found = {"cards": barriers(browser)}
    photograph(browser, "cards")
    open_batch(browser, "Tray 1")
    found["empty"] = barriers(browser)
    browser.execute_cdp_cmd("Network.enable", {})
    slow = {"offline": False, "latency": 150, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", slow)
    for number, token in enumerate(tokens):
        to_phone = [Keys.TAB] * 7
        press(browser, token, Keys.ENTER, *to_phone, f"0441 23501{number:02}", Keys.TAB, Keys.TAB, " ", Keys.ENTER)
    WebDriverWait(browser, 60).until(lambda _: kept(services) == CARDS)
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", {**slow, "latency": 0})
    # The last card is kept before its answer is shown.
    WebDriverWait(browser, 30).until(lambda page: page.execute_script("return !sending && !typed.length"))

    assert complaints(browser) == []
    assert [each for each in found.items() if each[1]] == []
    assert "Greta" not in browser.find_element(By.TAG_NAME, "main").text


def test_a_card_that_was_not_taken_stays_and_is_kept_once(
    browser: webdriver.Chrome, server: Server, services: Services
) -> None:
    """P1: the line is down, then the session is over; the same card is kept when Enter is pressed again."""
    before = kept(services)
    browser.get(browser.current_url)
    wait(browser, "#token:focus")
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    press(browser, *[Keys.TAB] * 7, "white@mail.example")
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    press(browser, Keys.ENTER)
    wait(browser, "[data-unsent]:not([hidden])")
    photograph(browser, "cards-unsent")
    found = barriers(browser)
    online = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", online)
    browser.delete_all_cookies()
    press(browser, Keys.ENTER)
    WebDriverWait(browser, 10).until(lambda _: browser.execute_script("return failed && !sending"))
    still = browser.find_element(By.ID, "email").get_attribute("value")
    keying = browser.current_window_handle
    browser.switch_to.new_window("tab")
    enter(browser, server, "anna")
    browser.close()
    browser.switch_to.window(keying)
    press(browser, Keys.ENTER)
    WebDriverWait(browser, 30).until(lambda _: kept(services) == before + 1)
    wait(browser, "#token:focus")

    assert found == []
    assert still == "white@mail.example"
    assert browser.find_element(By.ID, "email").get_attribute("value") == ""
    assert rows(services, "SELECT max(number) FROM keyed_card") == [(before + 1,)]
    browser.get_log("browser")


def test_what_looks_mistyped_is_shown_where_it_is(browser: webdriver.Chrome, tokens: list[str]) -> None:
    """C11: the cursor is where the doubt is; the mailed data stand beside."""
    press(browser, tokens[0], Keys.ENTER)
    wait(browser, "#first_name:focus")
    photograph(browser, "cards-key")
    found = barriers(browser)
    press(browser, *[Keys.TAB] * 6, "greta@gmial.com", Keys.ENTER)
    wait(browser, "#email:focus")
    photograph(browser, "cards-doubt")

    assert "gmail.com" in browser.find_element(By.ID, "fault-email").text
    assert "Weg 0" in browser.find_element(By.ID, "mailed-street").text
    assert found + barriers(browser) == []
    # The browser reports a 422.
    browser.get_log("browser")


@pytest.mark.parametrize(("name", "second"), [("bernd", "Zweite Erfassung"), ("celina", "Drugie wpisanie")])
def test_a_second_and_a_third_work_by_keyboard_in_their_language(
    browser: webdriver.Chrome, server: Server, services: Services, name: str, second: str
) -> None:
    """C12: one differs, one agrees; nobody sees what the other typed."""
    browser.execute_script("failed = false")
    enter(browser, server, name)
    photograph(browser, f"cards-{name}")
    found = barriers(browser)
    settled = name == "celina"
    if not settled:
        browser.find_element(By.CSS_SELECTOR, "a[href*='/cards/second']").send_keys(Keys.ENTER)
        wait(browser, "#email:focus")
        photograph(browser, "cards-second")
        found += barriers(browser)
        assert second in browser.find_element(By.TAG_NAME, "h1").text
        press(browser, "other@mail.example", Keys.ENTER, Keys.ENTER)
        WebDriverWait(browser, 30).until(
            lambda _: rows(services, "SELECT count(*) FROM keying WHERE step = 'second'") == [(2,)]
        )
    else:
        browser.find_element(By.CSS_SELECTOR, "a[href*='/cards/settle']").send_keys(Keys.ENTER)
        wait(browser, "input[type=radio]:focus")
        photograph(browser, "cards-settle")
        found += barriers(browser)
        press(browser, " ", Keys.ENTER)
        WebDriverWait(browser, 30).until(
            lambda _: rows(services, "SELECT count(*) FROM keying WHERE step = 'settle'") == [(1,)]
        )
        intake.work(services)
        assert rows(services, "SELECT count(*) FROM lead") == [(2,)]

    assert found == []
    assert complaints(browser) == []
