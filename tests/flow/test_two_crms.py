"""One pool over two connections: one ledger and one cap a person, and each lead in the right CRM (R4, R12)."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import crash_scenario
import psycopg
import pytest
from crash_driver import ENVIRON, SECRET_KEY
from databases import at
from psycopg import sql

from connector import publishing
from connector.adapters.sandbox.process import SandboxProcess
from connector.flows import deliver, intake
from connector.flows.accept import accept_many
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.routing.ledger import TURN
from connector.services import Services
from connector.store import Store, ledger
from connector.vault import Vault

CRMS = ("east", "west")
#: Cleo has a user in both, and a cap of her own.
USERS = {"anna": ("east",), "bert": ("west",), "cleo": CRMS}
CAP = 5
CONNECTION = """\
  {key}:
    adapter: sandbox
    mode: write
    rep_tasks: true
    options: {{base_url: "{url}"}}
    secrets: {{token: "${{CRM_TOKEN}}", webhook: "${{CRM_WEBHOOK_SECRET}}"}}
"""


@pytest.fixture
def crms(postgres: str) -> Iterator[dict[str, SandboxProcess]]:
    with ExitStack() as stack:
        made = {}
        for key in CRMS:
            name = f"crm_{key}_{new_id().hex}"
            with psycopg.connect(postgres, autocommit=True) as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            made[key] = stack.enter_context(SandboxProcess(at(postgres, name), search_lag=0.1))
            for person, connections in USERS.items():
                if key in connections:
                    user = {"Name": person, "Email": f"{person}@nordhammer.example", "IsActive": True}
                    made[key].create("users", user, id_=f"U-{person}", actor="admin")
        yield made


@pytest.fixture
def services(crms: dict[str, SandboxProcess], database_url: str, tmp_path: Path) -> Iterator[Services]:
    folder = tmp_path / "config"
    crash_scenario.write_organisation(folder)
    main = (folder / "hearback.yaml").read_text("utf-8")
    before, _, rest = main.partition("connections:\n")
    after = rest[rest.index("sources:") :].replace(", crm_ids: {crm: CMP-1}", "")
    connections = "".join(CONNECTION.format(key=key, url=crm.url) for key, crm in crms.items())
    (folder / "hearback.yaml").write_text(f"{before}connections:\n{connections}{after}", "utf-8")
    head = "key,name,email,lane,role,team,timezone,calendar,languages,active,weight,max_per_day,user:east,user:west"
    people = [
        f"{person},{person.title()},{person}@nordhammer.example,sales,rep,sales,Europe/Berlin,DE,de,yes,1,"
        f"{CAP if person == 'cleo' else ''}," + ",".join(f"U-{person}" if key in connections else "" for key in CRMS)
        for person, connections in USERS.items()
    ]
    mona = "mona,Mona Voss,mona@nordhammer.example,sales,manager,sales,Europe/Berlin,DE,en,yes,,,U-mona,U-mona"
    (folder / "people.csv").write_text("\n".join([head, *people, mona, ""]), "utf-8")
    (folder / "routing.yaml").write_text(
        "fallback: mona\npools:\n"
        "  coast: {members: [anna, cleo]}\n  inland: {members: [bert, cleo]}\n  all: {members: [anna, bert, cleo]}\n",
        "utf-8",
    )
    rules = ["in-east,10,DE,1*,east,coast", "in-west,20,DE,2*,west,inland", "elsewhere,30,DE,3*,,all"]
    (folder / "territories.csv").write_text(
        "\n".join(["rule,order,country,postal,connection,pool", *rules, ""]), "utf-8"
    )
    with Store(database_url).open() as store:
        published = publishing.publish(store, folder)
        assert published.hash, published.complaints
        yield Services(store, Vault(SECRET_KEY), environ=ENVIRON)


def answer(services: Services, zones: str) -> None:
    posted = []
    for zone in zones:
        id_ = new_id()
        said = {"email": f"p{id_.hex}@gmail.com", "vorname": "P", "nachname": id_.hex, "plz": f"{zone}0115"}
        body, form = urlencode(said).encode(), "application/x-www-form-urlencoded"
        posted.append(Delivery(id_, "site", datetime.now(UTC), form, body, {}, {}))
    accept_many(services, posted)
    while intake.work(services):
        pass
    for key in CRMS:
        while deliver.work(services, key):
            pass


def rows(services: Services, query: str) -> list[tuple]:  # type: ignore[type-arg]  # whatever the query returns
    with services.store.transaction() as tx:
        return tx.all(query)


def owners_in(crm: SandboxProcess) -> Counter[str]:
    with psycopg.connect(crm.database_url) as connection:
        found = connection.execute("SELECT fields ->> 'OwnerId' FROM sandbox.record WHERE object = 'leads'").fetchall()
    return Counter(row[0] for row in found)


def test_caps_and_ledger_are_one_over_two_crms(services: Services, crms: dict[str, SandboxProcess]) -> None:
    """R4, R12"""
    for _ in range(3):
        answer(services, "123" * 4)

    assigned = rows(services, "SELECT owner, connection, count(*) FROM lead WHERE status = 'assigned' GROUP BY 1, 2")
    got = Counter[str]()
    for owner, connection, count in assigned:
        assert connection in USERS[owner]
        got[owner] += count
    assert got["cleo"] == CAP, "in both CRMs and three pools together"
    assert {connection for owner, connection, _ in assigned if owner == "cleo"} == set(CRMS)
    assert sum(got.values()) == 36
    with services.store.transaction() as tx:
        balances = [entry[0] for entry in ledger.entries(tx).values()]
        assert ledger.recount(tx) == {}
    assert sum(balances) == 0
    assert max(map(abs, balances)) <= TURN, "(n - 1) / 2 of three people"


def test_each_lead_is_in_its_owners_crm_and_in_no_other(services: Services, crms: dict[str, SandboxProcess]) -> None:
    answer(services, "123" * 4)

    there = {key: owners_in(crm) for key, crm in crms.items()}
    ours = {key: Counter[str]() for key in CRMS}
    for owner, connection in rows(services, "SELECT owner, connection FROM lead WHERE status = 'assigned'"):
        ours[connection][f"U-{owner}"] += 1
    assert there == ours
    assert sum(counted.total() for counted in there.values()) == 12
