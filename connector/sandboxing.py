"""The sandbox CRM beside us: start it as a child of `serve`, and give it the organisation's users."""

import logging
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import requests

from connector.adapters.sandbox import process
from connector.settings import read_secret
from connector.settings.values import Connection, Settings

log = logging.getLogger(__name__)

LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))
PATIENCE = 30.0


def runs_here(connection: Connection) -> bool:
    """Tell whether a connection is a sandbox CRM that should run on this machine."""
    return connection.adapter == "sandbox" and urlsplit(connection.options["base_url"]).hostname in LOOPBACK


def child(
    connection: Connection, environ: Mapping[str, str], *, database_url: str, webhook_url: str, parent: int
) -> tuple[list[str], dict[str, str]]:
    """Return the command and the variables that run the connection's sandbox CRM."""
    address = urlsplit(connection.options["base_url"])
    command = process.command(
        port=address.port or 80, host=str(address.hostname), webhook_url=webhook_url, die_with=parent
    )
    variables = process.environment(
        database_url=database_url,
        token=read_secret(connection.secrets["token"], environ),
        webhook_secret=read_secret(connection.secrets["webhook"], environ),
    )
    return command, variables


def seed_users(settings: Settings, connection: Connection, environ: Mapping[str, str]) -> int:
    """Create the people of people.csv as users of the sandbox CRM where they are missing; return how many.

    Raises:
        requests.RequestException: it does not answer within half a minute.
    """
    base = connection.options["base_url"].rstrip("/")
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {read_secret(connection.secrets['token'], environ)}"
        # Failures on demand are for the integration: an administrator meets none.
        session.headers["X-Acting-User"] = "administrator"
        _await(session, base)
        people = {p.users[connection.key]: p for p in settings.people.values() if connection.key in p.users}
        created = 0
        for user, person in people.items():
            if session.get(f"{base}/api/users/{user}", timeout=10).ok:
                continue
            fields = {"Name": person.name, "Email": person.email, "IsActive": person.active}
            session.post(f"{base}/api/users", json={"id": user, "fields": fields}, timeout=10).raise_for_status()
            created += 1
    return created


def _await(session: requests.Session, base: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            session.get(f"{base}/healthz", timeout=5).raise_for_status()
        except requests.RequestException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
