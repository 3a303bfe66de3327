"""One pool over two connections: one ledger and one cap a person, and each lead in the right CRM (R4, R12)."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import crash_scenario
import psycopg
import pytest
from crash_driver import ENVIRON, SECRET_KEY
from databases import at
from psycopg import sql
from web_support import post_from

from connector import publishing
from connector.adapters.sandbox.process import SandboxProcess
from connector.errors import StoreUnavailable
from connector.flows import deliver, responses, sync
from connector.model.identity import new_id
from connector.routing.ledger import TURN
from connector.services import Services
from connector.store import Store, commands, ledger
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
    post_from(services, zones)
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


# A lead goes from one CRM to the other.

#: A Monday, 10:00 in Berlin.
MORNING = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def coast(services: Services, folder: Path, *members: str) -> None:
    """Share the leads of the coast, whose rule names the eastern CRM, among others."""
    (folder / "config" / "routing.yaml").write_text(
        'fallback: mona\nresponse: {due: "4h", remind_at: [50]}\npools:\n'
        f"  coast: {{members: [{', '.join(members)}]}}\n  inland: {{members: [bert]}}\n  all: {{members: [bert]}}\n",
        "utf-8",
    )
    published = publishing.publish(services.store, folder / "config")
    assert published.hash, published.complaints
    services._seen = 0.0


def clock(services: Services, at: datetime) -> None:
    with services.store.transaction() as tx:
        tx.run("UPDATE clock SET shift = %s - clock_timestamp()", at)


def reborn(services: Services) -> Services:
    """Return the services of a process that takes over from one that died; its leases have run out."""
    with services.store.transaction() as tx:
        tx.run(
            "UPDATE command SET leased_until = clock_timestamp() - interval '1 second', due_at = '-infinity' "
            "WHERE state = 'pending' AND leased_until IS NOT NULL"
        )
    return Services(services.store, services.vault, environ=ENVIRON)


def settle(services: Services) -> None:
    """Work off everything there is, and hear what the CRMs say of it."""
    responses.work(services)
    for _ in range(2):
        for key in CRMS:
            while deliver.work(services, key):
                pass
        for key in CRMS:
            sync.poll(services, key)
    assert rows(services, "SELECT key, state, error FROM command WHERE state <> 'done'") == []


def shown(crm: SandboxProcess, object_: str) -> list[tuple[str, str]]:
    """Return owner and status of each record, oldest first."""
    with psycopg.connect(crm.database_url) as connection:
        return connection.execute(
            "SELECT fields ->> 'OwnerId', fields ->> 'Status' FROM sandbox.record WHERE object = %s ORDER BY seq",
            (object_,),
        ).fetchall()


def dies_at(monkeypatch: pytest.MonkeyPatch, name: str, connection: str = "") -> list[str]:
    """Let the process lose its store in a function of the outbox, for one CRM or for all; return where it did."""
    original: Callable[..., object] = getattr(commands, name)
    died: list[str] = []

    def gone(*arguments: object) -> object:
        if connection in arguments or not connection:
            died.append(name)
            raise StoreUnavailable("gone")
        return original(*arguments)

    monkeypatch.setattr(commands, name, gone)
    return died


@pytest.fixture
def handed(services: Services, tmp_path: Path) -> Services:
    """A lead that Anna, in the eastern CRM, was reminded of and let lie; Bert works in the western one alone."""
    coast(services, tmp_path, "anna")
    clock(services, MORNING)
    answer(services, "1")
    clock(services, MORNING + 2.1 * HOUR)
    settle(services)
    coast(services, tmp_path, "anna", "bert")
    clock(services, MORNING + 4.1 * HOUR)
    return services


def handed_over(services: Services, crms: dict[str, SandboxProcess]) -> None:
    """Check that Bert has the lead and its task, and nobody else has anything open."""
    assert rows(services, "SELECT status, owner, connection FROM lead") == [("assigned", "bert", "west")]
    assert rows(services, "SELECT state, owner FROM response") == [("offered", "bert")]
    assert shown(crms["west"], "leads") == [("U-bert", "New")]
    assert shown(crms["west"], "tasks") == [("U-bert", "Open")]
    assert shown(crms["east"], "leads") == [("U-anna", "Closed")]
    assert shown(crms["east"], "tasks") == [("U-anna", "Done")] * 2, "the task and the reminder"
    assert rows(services, "SELECT count(*) FROM decision") == [(2,)]
    with services.store.transaction() as tx:
        assert ledger.recount(tx) == {}
        assert sum(entry[0] for entry in ledger.entries(tx).values()) == 0


def test_a_lead_goes_to_an_owner_in_the_other_crm_and_ends_in_the_first(
    handed: Services, crms: dict[str, SandboxProcess]
) -> None:
    """R22: nor is the end in the first CRM, which tells of it, the end of the lead."""
    settle(handed)

    handed_over(handed, crms)
    ((record,),) = rows(handed, "SELECT record_id FROM binding WHERE connection = 'east' AND key LIKE 'lead:%'")
    crms["east"].change("leads", record, {"Status": "Working"}, actor="U-anna")
    crms["east"].change("leads", record, {"Status": "Closed"}, actor="U-anna")
    settle(handed)
    handed_over(handed, crms)


@pytest.mark.parametrize(
    ("function", "connection"),
    [("put", ""), ("lease", ""), ("lease", "east"), ("lease", "west"), ("finish", "east"), ("finish", "west")],
    ids=[
        "before the decision is stored",
        "before anything is sent",
        "between west and east",
        "between east and west",
        "with the first answer of east",
        "with the first answer of west",
    ],
)
def test_whoever_dies_between_two_crms_leaves_nobody_with_half_of_it(
    handed: Services,
    crms: dict[str, SandboxProcess],
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    connection: str,
) -> None:
    """R22, P5"""
    died = dies_at(monkeypatch, function, connection)
    with suppress(StoreUnavailable):
        responses.work(handed)
    for key in CRMS:
        with suppress(StoreUnavailable):
            while deliver.work(handed, key):
                pass
    monkeypatch.undo()
    assert died

    settle(reborn(handed))

    handed_over(handed, crms)


def test_what_an_owner_answered_is_not_the_answer_of_the_next_one_in_the_same_crm(
    services: Services, crms: dict[str, SandboxProcess], tmp_path: Path
) -> None:
    """R22: Anna rejects a lead in the east, Bert in the west lets it lie, and Cleo gets it in the east."""
    coast(services, tmp_path, "anna")
    clock(services, MORNING)
    answer(services, "1")
    settle(services)
    ((record,),) = rows(services, "SELECT record_id FROM binding WHERE key LIKE 'lead:%'")
    coast(services, tmp_path, "anna", "bert")
    crms["east"].change("leads", record, {"x_hearback_response": "rejected_other"}, actor="U-anna")
    sync.poll(services, "east")
    settle(services)
    assert rows(services, "SELECT owner FROM lead") == [("bert",)]
    coast(services, tmp_path, "anna", "bert", "cleo")
    clock(services, MORNING + 4.1 * HOUR)

    settle(services)
    settle(services)

    assert rows(services, "SELECT owner, connection FROM lead") == [("cleo", "east")]
    assert rows(services, "SELECT state, owner FROM response") == [("offered", "cleo")]
    assert shown(crms["east"], "leads") == [("U-cleo", "New")]
    assert shown(crms["west"], "leads") == [("U-bert", "Closed")]
    assert crms["east"].read("leads", record).get("x_hearback_response") is None
    assert Counter(shown(crms["east"], "tasks")) == {("U-anna", "Done"): 1, ("U-cleo", "Open"): 1}
