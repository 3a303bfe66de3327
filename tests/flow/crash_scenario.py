"""A whole story, from five kinds of post to an answered survey, that can be taken up again wherever it broke off.

Senders post until they hear an answer; people in the CRM do each thing once, when everything before it has come
to rest. What is done stands in a notebook, so that a new process goes on where the last one was killed.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import psycopg
import requests

from connector.errors import StoreUnavailable
from connector.flows import feedback, sync
from connector.flows.accept import accept, accept_once
from connector.flows.importing import import_cards
from connector.jobs import Workers
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.services import Services
from connector.store import deliveries

T = TypeVar("T")

CONNECTION = "crm"
TOKEN = "sandbox-token"
USERS = {"U-anna": "Anna", "U-bert": "Bert", "U-cleo": "Cleo", "U-mona": "Mona"}
#: A Tuesday on which nobody has a holiday; the goals below hold on it.
START = datetime(2026, 6, 9, 8, tzinfo=UTC)
PATIENCE = 25.0
_POLL = f"poll:{CONNECTION}"
_JOBS = ("intake", "sync", _POLL, "followups", "held", f"commands:{CONNECTION}")

ORGANISATION = {
    "hearback.yaml": """\
organisation: {name: Nordhammer, country: DE, timezone: Europe/Berlin, languages: [en, de, pl]}
public_url: "http://127.0.0.1:8650"
publish: manual
connections:
  crm:
    adapter: sandbox
    mode: write
    rep_tasks: true
    options: {base_url: "http://127.0.0.1:8651"}
    secrets: {token: "${CRM_TOKEN}", webhook: "${CRM_WEBHOOK_SECRET}"}
sources:
  site:
    kind: form
    token: ${SITE_TOKEN}
    honeypot: website
    mapping: {firma: company, nachricht: message, einwilligung: consent.email}
    defaults: {country: DE, language: de}
  quiz: {kind: typeform, token: "${QUIZ_TOKEN}", secrets: ["${QUIZ_SECRET}"]}
  api: {kind: api}
  cards: {kind: cards}
card_profiles:
  house:
    encoding: utf-8
    delimiter: ";"
    date_format: "%d.%m.%Y"
    country: DE
    columns: {Nr: record, Code: key_code, Vorname: first_name, Nachname: last_name, Ort: city, PLZ: postal_code,
      Straße: street, Telefon: phone}
campaigns:
  autumn: {name: Autumn, key_code: NH-A, product: cordless, crm_ids: {crm: CMP-1}}
""",
    "people.csv": """\
key,name,email,lane,role,team,timezone,calendar,languages,active,weight,max_open,user:crm
anna,Anna Brandt,anna@nordhammer.example,sales,rep,sales,Europe/Berlin,DE-HH,de,yes,1,40,U-anna
bert,Bert Nowicki,bert@nordhammer.example,sales,rep,sales,Europe/Berlin,DE-BE,pl,yes,1,40,U-bert
cleo,Cleo Seidel,cleo@nordhammer.example,sales,rep,sales,Europe/Berlin,DE-SN,en,yes,1,1,U-cleo
mona,Mona Voss,mona@nordhammer.example,sales,manager,sales,Europe/Berlin,DE-HB,en,yes,,,U-mona
""",
    "teams.csv": "key,name,parent,manager\nsales,Sales,,mona\n",
    "routing.yaml": """\
matching: [lead, contact, account]
holding: {max_hold: "4h"}
fallback: mona
pools:
  north: {members: [anna, bert]}
""",
    "territories.csv": """\
rule,order,country,postal,domain,pool,rep
kowalski,10,,,kowalski.example,,anna
saxony,20,DE,01000..09999,,,cleo
germany,90,DE,,,north,
""",
    "followups/after.yaml": """\
schema: followup-plan/1
kind: FollowUpPlan
key: after
version: 1
title: {en: Follow-up, de: Betreuung, pl: Opieka}
applies_to: {subject: opportunity, start_on: opportunity.won}
anchors:
  won: {event: opportunity.won}
  delivered: {event: order.delivered}
steps:
  - key: confirm
    title: {en: Confirm, de: Bestätigen, pl: Potwierdź}
    lane: sales
    due: {anchor: won, add: 1bd}
    mandatory: true
    evidence: {any: [{type: crm_call, min_seconds: 60, direction: outbound}]}
    escalation: standard
  - key: arrival
    title: {en: Arrived?, de: Angekommen?, pl: Dotarło?}
    lane: sales
    due: {anchor: delivered, add: 2bd}
    requires: [confirm]
    mandatory: true
    evidence: {any: [{type: crm_call, min_seconds: 60, direction: outbound}]}
    escalation: standard
escalations:
  standard:
    - {at: due, do: [mark_overdue]}
    - {at: due+1bd, do: [notify_manager, reassign]}
pause_new_leads_at: 1
""",
    "goals.yaml": 'currency: EUR\nmetrics: [bookings]\nrates: {PLN: "0.2353"}\n',
    "goals.csv": """\
person,metric,start,end,amount,currency
anna,bookings,2026-01-01,2026-12-31,620000,EUR
bert,bookings,2026-01-01,2026-12-31,540000,EUR
""",
}

CARDS = """\
Nr;Code;Vorname;Nachname;Straße;PLZ;Ort;Telefon
1;NH-A;Heinz;Albers;Hafenstraße 3;26122;Oldenburg;0441 5550101
2;NH-A;Otto;Maas;Ring 9;28195;Bremen;
3;;Uta;Lorenz;Ring 10;28195;Bremen;
"""


def write_organisation(folder: Path) -> None:
    (folder / "followups").mkdir(parents=True)
    for name, text in ORGANISATION.items():
        (folder / name).write_text(text, encoding="utf-8")
    # Beside the configuration, where the driver finds it.
    (folder.parent / "batch-7.csv").write_text(CARDS, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of one run are."""

    database: str
    crm: str
    folder: Path
    #: How far the run's clocks are from the real one, in seconds, before the story moves them.
    shift: float


class Crm:
    """The sandbox CRM as people use it, which never meets a fault."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"Authorization": f"Bearer {TOKEN}", "X-Acting-User": "somebody"})

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = self._session.request(method, self._url + path, json=body, timeout=10)
        answer.raise_for_status()
        return dict(answer.json())

    def create(self, kind: str, id_: str, fields: dict[str, Any]) -> None:
        self.call("POST", f"/api/{kind}", {"id": id_, "fields": fields})

    def change(self, kind: str, id_: str, **fields: Any) -> None:
        self.call("PATCH", f"/api/{kind}/{id_}", {"fields": fields})

    def read(self, kind: str, id_: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/api/{kind}/{id_}")["fields"])

    def the(self, kind: str, **fields: str) -> tuple[str, dict[str, Any]]:
        """Return id and fields of the one record with these values."""
        records = self.call("GET", f"/api/{kind}?limit=1000")["records"]
        found = [r for r in records if all(r["fields"].get(name) == value for name, value in fields.items())]
        assert len(found) == 1, f"{len(found)} {kind} with {sorted(fields)}"
        return found[0]["id"], found[0]["fields"]

    def changes(self, cursor: str, limit: int = 1000) -> list[dict[str, Any]]:
        return list(self.call("GET", f"/api/changes?cursor={cursor}&limit={limit}")["changes"])


def a_delivery(source: str, body: bytes, content_type: str) -> Delivery:
    return Delivery(new_id(), source, datetime.now(UTC), content_type, body, {}, {})


class Story:
    """The acts, and what has to come to rest after each."""

    def __init__(self, services: Services, places: Places) -> None:
        self._services = services
        self._places = places
        self._workers = Workers(services)
        self._crm = Crm(places.crm)
        self._own = psycopg.connect(places.database, autocommit=True)
        self._own.execute("CREATE TABLE IF NOT EXISTS notebook (act text PRIMARY KEY)")

    def play(self) -> None:
        """Do what is not done yet; everything has come to rest before each act and at the end."""
        done = {row[0] for row in self._own.execute("SELECT act FROM notebook").fetchall()}
        self._settle()
        for act in self._acts():
            if act.__name__ not in done:
                act()
                self._own.execute("INSERT INTO notebook VALUES (%s)", (act.__name__,))
                self._settle()

    def _acts(self) -> Iterator[Callable[[], None]]:
        yield from (self.jan_writes, self.jan_clicks_twice, self.a_bot_writes, self.nobody_writes)
        yield from (self.a_quiz_is_left, self.the_quiz_is_finished, self.jan_calls_the_dealer, self.a_test_is_sent)
        yield from (self.first_saxon, self.second_saxon, self.cards_arrive, self.a_person_releases_the_bot)
        yield from (self.the_first_saxon_is_closed, self.a_rep_moves_a_lead, self.night_comes)
        yield from (self.the_deal_is_won, self.the_task_is_ticked, self.a_call_is_made, self.it_is_ticked_again)
        yield from (self.the_goods_arrive, self.a_week_passes, self.a_lead_for_the_late_rep)
        yield from (self.the_substitute_calls, self.the_customer_answers)

    # What senders do.

    def jan_writes(self) -> None:
        self._form(vorname="Jan", nachname="Kowalski", email="jan@kowalski.example", plz="20095", einwilligung="on")

    def jan_clicks_twice(self) -> None:
        self.jan_writes()

    def a_bot_writes(self) -> None:
        self._form(vorname="Seo", nachname="Bot", email="win@links.example", plz="20097", website="http://x.example")

    def nobody_writes(self) -> None:
        self._api("nobody", first_name="No", last_name="Body")

    def a_quiz_is_left(self) -> None:
        self._quiz("form_response_partial", plz="10115")

    def the_quiz_is_finished(self) -> None:
        self._quiz("form_response", plz="10115", nachname="Adler")

    def jan_calls_the_dealer(self) -> None:
        self._api("jan", first_name="Jan", last_name="Kowalski", email="jan@kowalski.example", phone="+4940555010")

    def a_test_is_sent(self) -> None:
        self._api("test", email="test@tester.example", postal_code="20095", country="DE", test=True)

    def first_saxon(self) -> None:
        self._form(vorname="Eva", nachname="Eins", email="eva@eins.example", plz="04109")

    def second_saxon(self) -> None:
        self._form(vorname="Zoe", nachname="Zwei", email="zoe@zwei.example", plz="04229")

    def a_lead_for_the_late_rep(self) -> None:
        self._form(vorname="Olga", nachname="Baran", email="olga@kowalski.example", plz="20099")

    def cards_arrive(self) -> None:
        file = self._places.folder / "batch-7.csv"
        _until_answered(lambda: import_cards(self._services, file, profile="house"))

    def the_customer_answers(self) -> None:
        link = str(self._crm.read("deals", "dl-1")["x_hearback_survey_link"])
        token = link.rpartition("/")[2]
        outcome = _until_answered(lambda: feedback.answer(self._services, token, 9, "Alles gut"))
        assert outcome in (feedback.Outcome.RECORDED, feedback.Outcome.ALREADY)

    # What people in the CRM do.

    def the_first_saxon_is_closed(self) -> None:
        lead, _ = self._crm.the("leads", Email="eva@eins.example")
        self._crm.change("leads", lead, Status="Closed")
        # Told again after a crash, the CRM says the same: closing twice changes nothing.
        events = [change for change in self._crm.changes("") if change["record"]["id"] == lead]
        body = json.dumps({"events": events}).encode()
        _until_answered(
            lambda: accept(self._services, a_delivery(f"crm:{CONNECTION}", body, "application/json"), verified="yes")
        )

    def a_rep_moves_a_lead(self) -> None:
        lead, fields = self._crm.the("leads", Email="paul@adler.example")
        self._crm.change("leads", lead, OwnerId="U-bert" if fields["OwnerId"] == "U-anna" else "U-anna")

    def the_deal_is_won(self) -> None:
        lead, fields = self._crm.the("leads", Email="jan@kowalski.example")
        values = {"Name": "12 drills", "Amount": "9800.00", "CurrencyCode": "EUR", "LeadId": lead}
        self._crm.create("deals", "dl-1", {**values, "OwnerId": fields["OwnerId"]})
        self._crm.change("deals", "dl-1", StageName="Won")

    def the_task_is_ticked(self) -> None:
        task, _ = self._crm.the("tasks", DealId="dl-1", Status="Open")
        self._crm.change("tasks", task, Status="Done")

    def a_call_is_made(self) -> None:
        self._call("cl-1", str(self._crm.read("deals", "dl-1")["OwnerId"]))

    def it_is_ticked_again(self) -> None:
        self.the_task_is_ticked()

    def the_goods_arrive(self) -> None:
        self._crm.change("deals", "dl-1", DeliveredAt=self._now().isoformat())

    def the_substitute_calls(self) -> None:
        task, fields = self._crm.the("tasks", DealId="dl-1", Status="Open", Subject="Angekommen?")
        self._call("cl-2", str(fields["OwnerId"]))
        self._crm.change("tasks", task, Status="Done")

    def a_person_releases_the_bot(self) -> None:
        row = self._own.execute("SELECT id FROM delivery WHERE state = 'quarantined' ORDER BY id").fetchone()
        if row:
            _until_answered(lambda: self._release(row[0]))

    # What time does.

    def night_comes(self) -> None:
        while self._unsealed():
            self._workers.run("housekeeping")

    def _unsealed(self) -> bool:
        query = "SELECT max(seq) > (SELECT coalesce(max(last_seq), 0) FROM seal) FROM decision"
        row = self._own.execute(query).fetchone()
        return bool(row and row[0])

    def a_week_passes(self) -> None:
        seconds = self._places.shift + timedelta(days=8).total_seconds()
        self._own.execute("UPDATE clock SET shift = make_interval(secs => %s)", (seconds,))
        self._crm.call("POST", "/control/clock", {"shift_seconds": seconds})

    def _form(self, **fields: str) -> None:
        body = urlencode(fields).encode()
        _until_answered(lambda: accept(self._services, a_delivery("site", body, "application/x-www-form-urlencoded")))

    def _api(self, key: str, **fields: object) -> None:
        delivery = a_delivery("api", json.dumps(fields).encode(), "application/json")
        _until_answered(lambda: accept_once(self._services, delivery, client="dealer", key=key))

    def _quiz(self, event: str, **more: str) -> None:
        said = {"vorname": "Paul", "email": "paul@adler.example", "land": "DE", **more}
        fields = [{"id": f"f-{name}", "ref": name, "type": "short_text", "title": name} for name in said]
        answers = [
            {"type": "text", "text": value, "field": field} for field, value in zip(fields, said.values(), strict=True)
        ]
        response = {"form_id": "quiz", "token": "t1", "definition": {"fields": fields}, "answers": answers}
        body = json.dumps({"event_id": "e1", "event_type": event, "form_response": response}).encode()
        _until_answered(lambda: accept(self._services, a_delivery("quiz", body, "application/json"), verified="yes"))

    def _call(self, id_: str, user: str) -> None:
        values = {"DealId": "dl-1", "UserId": user, "DurationSeconds": 180, "Direction": "Outbound"}
        self._crm.create("calls", id_, {**values, "OccurredAt": self._now().isoformat(), "Source": "System"})

    def _release(self, delivery: UUID) -> None:
        with self._services.store.transaction() as tx:
            deliveries.replay(tx, delivery)

    def _now(self) -> datetime:
        return datetime.fromisoformat(str(self._crm.call("GET", "/api/account")["now"]))

    def _settle(self) -> None:
        """Run the jobs as the sweep does until nothing is left for them."""
        deadline = time.monotonic() + PATIENCE
        # The story's polls are milliseconds apart.
        sync.OWN_PACE = 0.0
        while True:
            for job in _JOBS:
                # A look at the feed that finds nothing is of no use to the story.
                if job != _POLL or self._news():
                    self._workers.run(job)
            pending = self._pending()
            if not pending:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not come to rest: {pending}")
            # Leases that run out and attempts that are due take their real time.
            time.sleep(0.01)

    def _pending(self) -> list[str]:
        (row,) = self._own.execute(
            "SELECT (SELECT count(*) FROM delivery WHERE state = 'stored'),"
            " (SELECT count(*) FROM command WHERE state = 'pending'), (SELECT count(*) FROM deal_news),"
            " (SELECT count(*) FROM attainment_due),"
            " (SELECT count(*) FROM step_instance WHERE next_rung_at <= hearback_now())"
        ).fetchall()
        counts = dict(zip(("deliveries", "commands", "news", "attainments", "rungs"), row, strict=True))
        counts["changes"] = self._news()
        return [f"{count} {name}" for name, count in counts.items() if count]

    def _news(self) -> int:
        return len(self._crm.changes(self._cursor(), 1))

    def _cursor(self) -> str:
        row = self._own.execute("SELECT cursor FROM connection_state").fetchone()
        return str(row[0]) if row else ""


def _until_answered(post: Callable[[], T]) -> T:
    """Post again and again, as a sender without an answer does."""
    for _ in range(3):
        try:
            return post()
        except StoreUnavailable:
            continue
    raise AssertionError("no answer")
