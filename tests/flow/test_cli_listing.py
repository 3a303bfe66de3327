"""`hearback deliveries`, `commands`, `leads` and `explain`: what came in, what goes out, who owns what and why."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import pytest
from cli_support import Desk, desk_on, refused

from connector.adapters.sandbox.process import SandboxProcess
from connector.flows import deliver, intake
from connector.flows.accept import accept
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.services import Services

NOBODY = "0199c0de-0000-7000-8000-000000000000"
GRETA = {"vorname": "Greta", "nachname": "Ohlsen", "email": "g.ohlsen@ohlsen-bau.example", "plz": "20095"}
AGNIESZKAS = {"vorname": "Olga", "nachname": "Baran", "email": "olga@budomax.example", "land": "PL", "plz": "00-120"}
UNREACHABLE = {"vorname": "Greta", "plz": "20095"}


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Desk:
    return desk_on(database_url, tmp_path)


@pytest.fixture
def worker(desk: Desk) -> Iterator[Services]:
    """What a worker has. Its wake-ups go nowhere: the tests call the flows themselves."""
    with desk.services() as services:
        yield services


def post(services: Services, fields: dict[str, str], *, suspect: str = "", body: bytes = b"") -> UUID:
    delivery = Delivery(
        id=new_id(),
        source="website",
        received_at=datetime.now(UTC),
        content_type="application/x-www-form-urlencoded",
        body=body or urlencode(fields).encode(),
        headers={},
        query={},
    )
    return accept(services, delivery, suspect=suspect)


def a_lead(services: Services, fields: dict[str, str] = GRETA) -> UUID:
    """Return the lead that a submission became."""
    post(services, fields)
    assert intake.work(services) == 1
    with services.store.transaction() as tx:
        row = tx.one("SELECT id FROM lead ORDER BY id DESC LIMIT 1")
    assert row is not None
    found: UUID = row[0]
    return found


def listed(desk: Desk, *command: object) -> list[dict[str, object]]:
    result = desk.run(*command, "--json")
    assert result.exit_code == 0, result.output
    rows: list[dict[str, object]] = json.loads(result.stdout)
    return rows


def waiting_jobs(desk: Desk) -> set[str]:
    rows = desk.query("SELECT args->>'job' FROM procrastinate_jobs WHERE status = 'todo'")
    return {str(row[0]) for row in rows}


# Empty and unknown.


@pytest.mark.parametrize("command", [("deliveries", "list"), ("commands", "list"), ("leads", "list")], ids=" ".join)
def test_an_empty_list_says_so_and_is_an_empty_list_for_programs(command: tuple[str, ...], desk: Desk) -> None:
    told = desk.run(*command)

    assert (told.exit_code, told.stdout) == (0, "Nothing here.\n")
    assert listed(desk, *command) == []


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("deliveries", "show", NOBODY), "hearback deliveries list"),
        (("deliveries", "replay", NOBODY), "nothing to replay"),
        (("commands", "retry", NOBODY), "hearback commands list --state dead"),
        (("commands", "park", NOBODY), "hearback commands list"),
        (("leads", "show", NOBODY), "hearback leads list"),
        (("explain", NOBODY), "hearback leads list"),
    ],
)
def test_an_unknown_id_is_one_clear_line(command: tuple[str, ...], words: str, desk: Desk) -> None:
    refused(desk.run(*command), NOBODY, words)

    assert waiting_jobs(desk) == set()


# Leads.


def test_a_lead_is_listed_with_its_owner_and_the_reason(desk: Desk, worker: Services) -> None:
    lead = a_lead(worker)

    (row,) = listed(desk, "leads", "list")
    table = desk.run("leads", "list").stdout

    assert row["id"] == str(lead)
    assert row["name"] == "Greta Ohlsen"
    assert row["status"] == "assigned"
    assert row["pool"] == "de-north"
    assert "de-hamburg" in str(row["why"])
    assert all(str(value) in table for value in row.values()), "a pipe must not cut what a script reads"


def test_leads_are_listed_by_status_and_owner_newest_first(desk: Desk, worker: Services) -> None:
    first, second = a_lead(worker), a_lead(worker, AGNIESZKAS)

    assert [row["id"] for row in listed(desk, "leads", "list")] == [str(second), str(first)]
    assert [row["id"] for row in listed(desk, "leads", "list", "--limit", 1)] == [str(second)]
    assert [row["id"] for row in listed(desk, "leads", "list", "--owner", "agnieszka.wilk")] == [str(second)]
    assert listed(desk, "leads", "list", "--status", "held") == []
    assert len(listed(desk, "leads", "list", "--status", "assigned")) == 2


def test_one_lead_is_shown_field_by_field(desk: Desk, worker: Services) -> None:
    lead = a_lead(worker)

    told = desk.run("leads", "show", lead)
    shown = json.loads(desk.run("leads", "show", lead, "--json").stdout)

    assert "g.ohlsen@ohlsen-bau.example" in told.stdout
    assert shown["email"] == "g.ohlsen@ohlsen-bau.example"
    assert shown["owner_name"] in told.stdout
    assert "salt" not in shown


def test_explain_names_the_rule_and_every_candidate_with_a_reason(desk: Desk, worker: Services) -> None:
    lead = a_lead(worker)

    told = desk.run("explain", lead).stdout
    (record,) = json.loads(desk.run("explain", lead, "--json").stdout)

    assert told.startswith("Decision 1 on ")
    assert "de-hamburg" in told
    for name in ("Anna Brandt", "Jens Petersen", "Marek Nowicki", "Katrin Seidel"):
        assert name in told
    assert "g.ohlsen" not in json.dumps(record), "a decision record holds no personal data (P4)"


def test_text_with_square_brackets_is_shown_as_it_is(desk: Desk, worker: Services) -> None:
    a_lead(worker, GRETA | {"nachname": "[bold]Ohlsen[/x] :smile:"})

    assert "[bold]Ohlsen[/x] :smile:" in desk.run("leads", "list").stdout


# Deliveries.


def test_deliveries_are_listed_by_fate_state_and_source(desk: Desk, worker: Services) -> None:
    good = post(worker, GRETA)
    rejected = post(worker, UNREACHABLE)
    aside = post(worker, GRETA, suspect="the hidden field was filled in")
    intake.work(worker)

    assert [row["id"] for row in listed(desk, "deliveries", "list")] == [str(aside), str(rejected), str(good)]
    assert [row["id"] for row in listed(desk, "deliveries", "list", "--fate", "rejected")] == [str(rejected)]
    assert [row["id"] for row in listed(desk, "deliveries", "list", "--state", "quarantined")] == [str(aside)]
    assert listed(desk, "deliveries", "list", "--source", "typeform") == []


def test_a_suspect_is_listed_with_its_score_and_reasons_and_released(desk: Desk, worker: Services) -> None:
    """I26."""
    receipt = post(worker, GRETA | {"website": "http://spam.example"})
    intake.work(worker)

    (row,) = listed(desk, "deliveries", "list", "--state", "quarantined")
    shown = json.loads(desk.run("deliveries", "show", receipt, "--json").stdout)
    desk.run("deliveries", "replay", receipt)
    intake.work(worker)

    assert row["score"] == 110
    assert "the hidden field that people cannot see was filled in (100)" in str(row["reason"])
    assert shown["signals"] == ["honeypot", "origin_untold"]
    assert listed(desk, "deliveries", "list", "--fate", "leads")[0]["id"] == str(receipt)


def test_one_delivery_is_shown_with_its_leads_and_without_its_body(desk: Desk, worker: Services) -> None:
    receipt = post(worker, GRETA)
    intake.work(worker)

    told = desk.run("deliveries", "show", receipt)
    shown = json.loads(desk.run("deliveries", "show", receipt, "--json").stdout)

    assert shown["fate"] == "leads"
    assert len(shown["leads"]) == 1
    assert len(shown["sha256"]) == 64
    assert shown["leads"][0] in told.stdout
    assert "ohlsen" not in told.stdout.lower()


def test_a_quarantined_delivery_is_replayed_into_a_lead(desk: Desk, worker: Services) -> None:
    """A wake-up is put down for the workers that run (I4)."""
    receipt = post(worker, GRETA, suspect="the hidden field was filled in")

    replayed = desk.run("deliveries", "replay", receipt)

    assert (replayed.exit_code, replayed.stderr) == (0, "")
    assert waiting_jobs(desk) == {"intake", "sync"}
    assert intake.work(worker) == 1
    assert json.loads(desk.run("deliveries", "show", receipt, "--json").stdout)["fate"] == "leads"


def test_a_delivery_that_became_a_lead_is_not_replayed(desk: Desk, worker: Services) -> None:
    receipt = post(worker, GRETA)
    intake.work(worker)

    refused(desk.run("deliveries", "replay", receipt), "nothing to replay")


def test_a_rejected_delivery_is_read_anew_after_the_mapping_is_mended(desk: Desk, worker: Services) -> None:
    receipt = post(worker, UNREACHABLE | {"kontakt": "g.ohlsen@ohlsen-bau.example"})
    intake.work(worker)
    assert json.loads(desk.run("deliveries", "show", receipt, "--json").stdout)["fate"] == "rejected"
    desk.edit("hearback.yaml", "      firma: company\n", "      firma: company\n      kontakt: email\n")

    with desk.services() as after_publishing:
        desk.run("deliveries", "replay", receipt)
        intake.work(after_publishing)

    (row,) = listed(desk, "leads", "list")
    assert row["name"] == "Greta"


# Commands.


@pytest.fixture
def crm(desk: Desk) -> Iterator[SandboxProcess]:
    """A CRM where nobody may own a lead yet: every assignment meets a permanent error."""
    with SandboxProcess(desk.url, token="sandbox-token", port=desk.crm_port) as running:
        yield running


def hire(crm: SandboxProcess, worker: Services) -> None:
    for person in worker.current().settings.people.values():
        if "sandbox" in person.users:
            fields = {"Name": person.name, "Email": person.email, "IsActive": True}
            crm.create("users", fields, id_=person.users["sandbox"], actor="administrator")


def send(worker: Services) -> None:
    while deliver.work(worker, "sandbox"):
        pass


def test_a_permanent_error_makes_a_dead_letter_that_tells_why_and_can_be_retried(
    desk: Desk, worker: Services, crm: SandboxProcess
) -> None:
    lead = a_lead(worker)
    send(worker)

    dead = listed(desk, "commands", "list", "--state", "dead")
    (letter,) = [row for row in dead if row["key"] == f"lead:{lead}"]
    assert str(letter["error"]).startswith("OwnerRefused: ")
    assert "g.ohlsen" not in json.dumps(dead)

    hire(crm, worker)
    retried = desk.run("commands", "retry", letter["id"])
    assert (retried.exit_code, retried.stderr) == (0, "")
    assert waiting_jobs(desk) == {"commands:sandbox"}
    send(worker)

    assert listed(desk, "commands", "list") == []
    assert f"lead:{lead}" in {row["key"] for row in listed(desk, "commands", "list", "--state", "done")}
    assert len(crm.stats()["records"]) > 0


def test_a_parked_command_no_longer_holds_back_what_comes_after(
    desk: Desk, worker: Services, crm: SandboxProcess
) -> None:
    lead = a_lead(worker)
    send(worker)
    (task,) = listed(desk, "commands", "list", "--state", "pending")
    assert task["purpose"] == "rep_task"
    hire(crm, worker)
    send(worker)
    assert listed(desk, "commands", "list", "--state", "pending") == [task], "it waits for the lead's own command"

    (letter,) = listed(desk, "commands", "list", "--state", "dead")
    assert desk.run("commands", "park", letter["id"]).exit_code == 0
    send(worker)

    assert [row["key"] for row in listed(desk, "commands", "list", "--state", "parked")] == [f"lead:{lead}"]
    (task,) = listed(desk, "commands", "list")
    assert task["state"] == "dead", "its lead was never written, and it says so"
    assert "never written" in str(task["error"])


def test_a_command_that_is_done_can_be_neither_retried_nor_parked(
    desk: Desk, worker: Services, crm: SandboxProcess
) -> None:
    hire(crm, worker)
    a_lead(worker)
    send(worker)
    done = listed(desk, "commands", "list", "--state", "done")[0]["id"]

    refused(desk.run("commands", "retry", done), "no dead letter")
    refused(desk.run("commands", "park", done), "neither pending nor dead")
