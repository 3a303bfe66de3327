"""Who may sign in to the console, and what keeps everybody else out."""

import re
from collections.abc import Iterator

import pytest
from console_support import Console, an_account, console_of
from web_support import fresh_database, services_on

from connector.services import Services


@pytest.fixture(scope="module")
def services(postgres: str, template: str) -> Iterator[Services]:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        yield services


@pytest.fixture
def console(services: Services) -> Console:
    return console_of(services)


def test_before_the_first_account_the_console_says_how_to_make_one(postgres: str, template: str) -> None:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        page = console_of(services).client.get("/console/", follow_redirects=True)

    assert page.status_code == 200
    assert "hearback users add NAME --role admin" in page.text


def test_an_admin_signs_in_and_out(services: Services, console: Console) -> None:
    an_account(services, "ada", "admin")

    first = console.client.get("/console/", follow_redirects=True)
    signed = console.sign_in("ada")
    page = console.client.get("/console/")

    assert "Sign in" in first.text
    assert signed.status_code == 303
    assert signed.headers["Location"] == "/console/"
    assert "ada (admin)" in page.text
    assert console.post("/console/logout").status_code == 303
    assert console.client.get("/console/").status_code == 303


def test_sessions_are_cookies_no_script_reads_and_no_other_site_sends(services: Services, console: Console) -> None:
    an_account(services, "cookie", "admin")

    answer = console.sign_in("cookie")

    (cookie,) = answer.headers.getlist("Set-Cookie")
    assert re.search(r"^hearback_console=[^;]+; Expires=[^;]+; HttpOnly; Path=/console; SameSite=Lax$", cookie)
