"""One purchase through its follow-up, on a clock that is moved ahead."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import click
import requests

from connector.cli.demo.doors import BUYER
from connector.cli.demo.stage import Stage, crm_session, session
from connector.errors import HearbackError
from connector.flows import reading
from connector.services import Services
from connector.store import clock, debts

DAY = timedelta(days=1)


@dataclass(slots=True)
class Play:
    """The sandbox CRM as the rep uses it, and the two clocks."""

    services: Services
    stage: Stage
    crm: requests.Session
    stop: threading.Event
    patience: float
    shifted: timedelta = timedelta(0)

    def find(self, kind: str, **fields: str) -> list[dict[str, Any]]:
        """Return records of a kind whose fields have these values."""
        found, cursor = {}, ""
        while True:
            page = self._get(f"/api/changes?cursor={cursor}&limit=200")
            for change in page["changes"]:
                if change["object"] == kind:
                    found[change["record"]["id"]] = change["record"]
            if page["cursor"] == cursor:
                break
            cursor = page["cursor"]
        return [r for r in found.values() if all(r["fields"].get(name) == value for name, value in fields.items())]

    def create(self, kind: str, fields: dict[str, Any], actor: str) -> str:
        """Create a record the way a person in the CRM does."""
        answer = self.crm.post(
            f"{self.stage.crm_url}/api/{kind}", json={"fields": fields}, headers={"X-Acting-User": actor}, timeout=10
        )
        answer.raise_for_status()
        return str(answer.json()["id"])

    def change(self, kind: str, record: str, fields: dict[str, Any], actor: str) -> None:
        """Change a record the way a person in the CRM does."""
        self.crm.patch(
            f"{self.stage.crm_url}/api/{kind}/{record}",
            json={"fields": fields},
            headers={"X-Acting-User": actor},
            timeout=10,
        ).raise_for_status()

    def read(self, kind: str, record: str) -> dict[str, Any]:
        """Return a record's fields."""
        return dict(self._get(f"/api/{kind}/{record}")["fields"])

    def call(self, deal: str, user: str, seconds: int) -> None:
        """Have the CRM's telephony log a call that is just over."""
        at = datetime.now(UTC) + self.shifted
        fields = {"DealId": deal, "UserId": user, "DurationSeconds": seconds, "Direction": "Outbound"}
        self.create("calls", fields | {"OccurredAt": at.isoformat(), "Source": "System"}, "telephony")

    def move_clock(self, by: timedelta) -> None:
        """Let time pass, for Hearback and the CRM alike."""
        self.shifted += by
        with self.services.store.transaction() as tx:
            clock.shift(tx, self.shifted)
        self.crm.post(
            f"{self.stage.crm_url}/control/clock", json={"shift_seconds": self.shifted.total_seconds()}, timeout=10
        ).raise_for_status()
        for queue in ("followups", "held"):
            self.services.wake(queue)
        say(f"... {by.days} days pass ...")

    def until(self, what: str, check: Callable[[], Any]) -> Any:
        """Wait for something to become true and return it.

        Raises:
            HearbackError: it does not happen in time.
        """
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline and not self.stop.is_set():
            found = check()
            if found:
                return found
            time.sleep(0.1)
        raise HearbackError(f"the demo waited in vain for this: {what}")

    def _get(self, path: str) -> dict[str, Any]:
        answer = self.crm.get(self.stage.crm_url + path, timeout=10)
        answer.raise_for_status()
        return dict(answer.json())


def say(line: str) -> None:
    """Print one step of the story."""
    click.echo(f"  {line}")


def play(services: Services, stage: Stage, stop: threading.Event, patience: float) -> str:
    """Play the purchase; return what went wrong, "" if nothing."""
    click.echo("\nA purchase, followed through (the clock is moved ahead):")
    with crm_session() as crm:
        try:
            _story(Play(services, stage, crm, stop, patience))
        except (HearbackError, requests.RequestException) as err:
            return str(err)
    return ""


def _story(play: Play) -> None:
    lead = play.until("the lead in the CRM", lambda: play.find("leads", Email=BUYER))[0]
    rep = lead["fields"]["OwnerId"]
    deal = play.create(
        "deals",
        {
            "Name": "Kowalski: 12 drills",
            "Amount": "9800.00",
            "CurrencyCode": "EUR",
            "OwnerId": rep,
            "LeadId": lead["id"],
        },
        rep,
    )
    play.change("deals", deal, {"StageName": "Won"}, rep)
    say(f"{_name(play, rep)} wins the deal.")
    first = play.until("the first step's task", lambda: play.find("tasks", DealId=deal))[0]
    say(f"A follow-up plan starts; {_name(play, rep)} gets the task: {first['fields']['Subject']}")
    _evidence(play, deal, first["id"], rep)
    second, substitute = _ignored(play, deal, rep)
    _cleared(play, deal, second, substitute, rep)
    _survey(play, deal)


def _evidence(play: Play, deal: str, task: str, rep: str) -> None:
    play.change("tasks", task, {"Status": "Done"}, rep)
    reopened = play.until(
        "the ticked task to be reopened",
        lambda: (fields := play.read("tasks", task))["Status"] == "Open" and fields.get("Comment"),
    )
    say(f"The task is ticked without a call: reopened. {reopened}")
    play.call(deal, rep, 180)
    play.change("tasks", task, {"Status": "Done"}, rep)
    play.until("the step to be done", lambda: play.read("deals", deal).get("x_hearback_open_mandatory") in (1, "1"))
    say("A call of three minutes is logged and the task ticked again: the step is done.")


def _ignored(play: Play, deal: str, rep: str) -> tuple[str, str]:
    at = datetime.now(UTC) + play.shifted
    play.change("deals", deal, {"DeliveredAt": at.isoformat()}, "order-desk")
    say("The order desk enters the delivery.")
    second = play.until(
        "the second step's task",
        lambda: [t for t in play.find("tasks", DealId=deal) if t["fields"]["Status"] == "Open"],
    )[0]
    attained = play.until("attainment on the rep's record", lambda: _attainment(play, rep))
    say(f"The credit is confirmed. On {_name(play, rep)}'s record: {attained}")
    play.move_clock(8 * DAY)
    substitute: str = play.until(
        "the ignored task to be reassigned",
        lambda: (owner := play.read("tasks", second["id"])["OwnerId"]) != rep and owner,
    )
    say(f"{_name(play, rep)} ignores the second task past its due time: it goes to {_name(play, substitute)}.")
    return second["id"], substitute


def _cleared(play: Play, deal: str, task: str, substitute: str, rep: str) -> None:
    late = _person(play, rep)
    debts = play.until("the late rep's pause", lambda: _debts(play).get(late))
    say(f"{_name(play, rep)} owes {debts} follow-up and gets no new leads until it is done.")
    lead = _post_named_account(play)
    why = play.until("the new lead to wait", lambda: _waits(play, lead))
    say(f"A new lead of one of {_name(play, rep)}'s accounts waits: {why}")
    play.call(deal, substitute, 240)
    play.change("tasks", task, {"Status": "Done"}, substitute)
    play.until("the debt to be cleared", lambda: not _debts(play).get(late))
    say(f"{_name(play, substitute)} calls and completes the task: the debt is cleared.")
    owner = play.until("the waiting lead to find its owner", lambda: _owner(play, lead))
    say(f"The waiting lead goes to {owner}.")


def _survey(play: Play, deal: str) -> None:
    link: str = play.until("the survey link", lambda: play.read("deals", deal).get("x_hearback_survey_link"))
    with session() as customer:
        customer.post(link, data={"score": "9", "text": "Szybko i dobrze"}, timeout=10).raise_for_status()
    score = play.until("the score on the deal", lambda: play.read("deals", deal).get("x_hearback_score"))
    say(f"The customer answers the survey: score {score} stands on the deal.")


def _attainment(play: Play, user: str) -> str:
    fields = play.read("users", user)
    confirmed = str(fields.get("x_hearback_attainment_numerator") or "0")
    if Decimal(confirmed) == 0:
        return ""
    return (
        f"{confirmed} of {fields['x_hearback_attainment_denominator']} {fields['x_hearback_attainment_currency']} "
        f"as of {str(fields['x_hearback_attainment_as_of'])[:10]}"
    )


def _post_named_account(play: Play) -> UUID:
    """Post a lead of a company whose rule names the late rep; return its receipt."""
    fields = {"vorname": "Olga", "nachname": "Baran", "email": "olga@budomax.example", "land": "PL", "plz": "00-120"}
    with session() as browser:
        url = f"{play.stage.url}/in/{os.environ['HEARBACK_FORM_TOKEN']}"
        answer = browser.post(url, data=fields, headers={"Accept": "application/json"}, timeout=10)
        answer.raise_for_status()
        return UUID(str(answer.json()["receipt"]))


def _waits(play: Play, receipt: UUID) -> str:
    view = _lead_of(play, receipt)
    if view is None or view.lead.status != "held":
        return ""
    decision = reading.decision(play.services, view.lead.id)
    return decision.explanation[-1] if decision else ""


def _owner(play: Play, receipt: UUID) -> str:
    view = _lead_of(play, receipt)
    return str(view.owner_name) if view and view.lead.status == "assigned" else ""


def _lead_of(play: Play, receipt: UUID) -> reading.LeadView | None:
    row = reading.receipt(play.services, receipt)
    return reading.lead(play.services, row.leads[0]) if row and row.leads else None


def _person(play: Play, user: str) -> str:
    people = play.services.current().settings.people.values()
    return next(person.key for person in people if user in person.users.values())


def _name(play: Play, user: str) -> str:
    return play.services.current().settings.people[_person(play, user)].name


def _debts(play: Play) -> dict[str, int]:
    with play.services.store.transaction() as tx:
        return dict(debts.owed(tx))
