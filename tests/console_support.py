"""The console as somebody with an account sees it."""

import re
from dataclasses import dataclass

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from connector.flows import users
from connector.model.console import ConsoleRole, ConsoleUser
from connector.services import Services
from webhooks.app import create_app

PASSWORD = "ore lantern seven"
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


@dataclass
class Console:
    """A browser at the console, and what it last saw."""

    services: Services
    client: FlaskClient

    def token(self, page: str = "/console/login") -> str:
        """Return the token a form of this session carries."""
        found = _TOKEN.search(self.client.get(page, follow_redirects=True).text)
        assert found
        return found[1]

    def sign_in(self, name: str, password: str = PASSWORD, **fields: str) -> TestResponse:
        data = {"csrf_token": self.token(), "name": name, "password": password, **fields}
        return self.client.post("/console/login", data=data)

    def post(self, address: str, page: str = "/console/password", **fields: str) -> TestResponse:
        """Send a form, with the token it would carry."""
        return self.client.post(address, data={"csrf_token": self.token(page), **fields})


def console_of(services: Services) -> Console:
    return Console(services, create_app(services).test_client())


def an_account(
    services: Services, name: str, role: str, *, language: str = "en", one_time: bool = False
) -> ConsoleUser:
    return users.add(services, name, PASSWORD, ConsoleRole(role), language, "", one_time=one_time)


def signed_in(services: Services, name: str) -> Console:
    """Return the console as this account sees it."""
    console = console_of(services)
    assert console.sign_in(name).status_code == 303
    return console
