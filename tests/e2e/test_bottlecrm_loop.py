"""The whole loop with a real CRM, each side in processes of its own and everything over HTTP, webhooks included.

A form is posted; the lead reaches a rep in BottleCRM, who says no with their own token; the next one accepts, wins the
deal, ticks the follow-up without a call, calls, and ticks again. Only calls are not entered over HTTP: people cannot
enter what a telephony system writes, so the test does it as such a system, inside the CRM.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import requests
from bottlecrm_server import office
from bottlecrm_server.install import need_bottlecrm
from bottlecrm_server.process import BottleCrm
from cli_support import Desk, desk_on, wait_until
from web_support import FORM, free_port

RESPONSE = 'response: {due: "4h", remind_at: [50, 80], max_moves: 3, accept: yes}'
GRETA = {
    "vorname": "Greta",
    "nachname": "Ohlsen",
    "firma": "Ohlsen Bau",
    "email": "g.ohlsen@ohlsen-bau.example",
    "plz": "20095",
    "nachricht": "Bitte um ein Angebot",
    "utm_source": "newsletter",
}
ADMIN = "hearback@nordhammer.example"
REJECTED, ACCEPTED = "rejected_wrong_territory", "accepted"


@dataclass
class Loop:
    """Hearback and BottleCRM, running."""

    crm: BottleCrm
    desk: Desk
    base: str
    process: "subprocess.Popen[str]"
    log: Path

    def until(self, look: Any, seconds: float = 90) -> Any:
        """Wait for something to be there and return it."""
        found: list[Any] = []

        def there() -> bool:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            found[:] = [look()]
            return bool(found[0])

        try:
            wait_until(there, seconds)
        except AssertionError:
            raise AssertionError(self.log.read_text()[-6000:]) from None
        return found[0]

    def person(self, key: str) -> str:
        return next(email for email in self.crm.people if email.startswith(f"{key}@"))

    def lead(self, id_: str, by: str) -> dict[str, Any]:
        return dict(self.crm.call("GET", f"/api/leads/{id_}/", by=by)["lead_obj"])

    def tasks(self, by: str, **wanted: str) -> list[dict[str, Any]]:
        query = "".join(f"&{name}={value}" for name, value in wanted.items())
        return list(self.crm.call("GET", f"/api/tasks/?slim=true&limit=50{query}", by=by)["tasks"])

    def owner(self) -> str:
        rows = self.desk.query("SELECT owner FROM response")
        return str(rows[0][0]) if rows else ""


@pytest.fixture
def loop(postgres: str, database_url: str, tmp_path: Path) -> Iterator[Loop]:
    python = need_bottlecrm()
    desk = desk_on(database_url, tmp_path)
    with BottleCrm(python, postgres, "bottlecrm_loop", office.people_of(desk.config), workers=2) as crm:
        yield from served(crm, desk, tmp_path)


def served(crm: BottleCrm, desk: Desk, folder: Path) -> Iterator[Loop]:
    port = free_port()
    profiles = {email: member.profile for email, member in crm.people.items()}
    office.configure(desk.config, crm_url=crm.url, web_port=port, profiles=profiles)
    desk.edit("routing.yaml", '# response: {due: "4h", remind_at: [50, 80], max_moves: 3, accept: no}', RESPONSE)
    office.install(crm.url, crm.people[ADMIN].token)
    address, events = office.hook(port)
    desk.environment |= {
        office.TOKEN: crm.people[ADMIN].token,
        office.WEBHOOK: crm.webhook_to(address, by=ADMIN, events=events),
    }
    log = folder / "log"
    with running(desk, port, log) as process:
        loop = Loop(crm, desk, f"http://127.0.0.1:{port}", process, log)
        loop.until(lambda: ready(loop.base))
        yield loop


@contextmanager
def running(desk: Desk, port: int, log: Path) -> Iterator["subprocess.Popen[str]"]:
    with log.open("wb") as stream:
        process = desk.start("serve", "--port", port, "--workers", 1, stdout=stream, stderr=stream)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(40)


def ready(base: str) -> bool:
    try:
        return requests.get(f"{base}/readyz", timeout=5).text.startswith("ready")
    except requests.RequestException:
        return False


@pytest.mark.slow
def test_a_lead_is_rejected_accepted_won_and_followed_up(loop: Loop) -> None:
    """P1, R22, R24, F1, WB4, A15-A16, W5, W7, W12."""
    crm = loop.crm
    requests.post(loop.base + FORM, data=GRETA, timeout=10).raise_for_status()
    record = str(loop.until(lambda: loop.desk.query("SELECT record_id FROM binding WHERE object_type = 'lead'"))[0][0])
    first = loop.person(loop.owner())

    # The rep sees it with their own token: whose it is, why, from where, until when, and what to do.
    lead = loop.lead(record, first)
    assert [each["id"] for each in lead["assigned_to"]] == [crm.people[first].profile]
    assert lead["custom_fields"]["hearback_reason"]
    assert lead["custom_fields"]["hearback_response_due"]
    assert lead["custom_fields"]["hearback_message"] == GRETA["nachricht"]
    assert "newsletter" in lead["custom_fields"]["hearback_attribution"]
    assert lead["source_detail"] == "website"
    (task,) = loop.until(lambda: loop.tasks(first, lead=record))
    assert "Greta Ohlsen" in task["title"]

    # No: the next one has it, and the first is told.
    crm.call("PATCH", f"/api/leads/{record}/", {"custom_fields": {"hearback_response": REJECTED}}, by=first)
    second = loop.until(lambda: other if (other := loop.person(loop.owner())) != first else "")
    loop.until(lambda: record in [row["id"] for row in leads(crm, second)])
    loop.until(lambda: [row["status"] for row in loop.tasks(first, lead=record)] == ["Completed"])
    assert record not in [row["id"] for row in leads(crm, first)]
    lead = loop.until(
        lambda: fresh if "hearback_response" not in (fresh := loop.lead(record, second))["custom_fields"] else None
    )
    assert lead["custom_fields"]["hearback_reason"]

    # Yes, and at work.
    crm.call("PATCH", f"/api/leads/{record}/", {"custom_fields": {"hearback_response": ACCEPTED}}, by=second)
    loop.until(lambda: loop.desk.query("SELECT FROM response WHERE state = 'accepted'"))
    crm.call("PATCH", f"/api/leads/{record}/", {"status": "in process"}, by=second)
    loop.until(lambda: loop.desk.query("SELECT FROM response WHERE state = 'touched'"))

    # Converted and won by the rep: the plan begins with a task on the deal.
    made = crm.call("PATCH", f"/api/leads/{record}/", {"status": "converted"}, by=second)
    deal = str(made["opportunity_id"])
    won = {"stage": "CLOSED_WON", "amount": "18500.00", "currency": "EUR", "closed_on": date.today().isoformat()}  # noqa: DTZ011 - a day is what a rep enters
    crm.call("PATCH", f"/api/opportunities/{deal}/", won, by=second)
    (task,) = loop.until(lambda: loop.tasks(second, opportunity=deal))
    assert [each["id"] for each in task["assigned_to"]] == [crm.people[second].profile]
    assert loop.until(lambda: loop.desk.query("SELECT lead_id FROM sale WHERE lead_id IS NOT NULL"))
    attained = loop.until(lambda: crm.call("GET", "/api/opportunities/goals/", by=second)["goals"])
    assert "provisional 18500.00" in attained[0]["name"]

    # A tick without a call does not stand, and the task says why.
    path = f"/api/tasks/{task['id']}/"
    crm.call("PATCH", path, {"status": "Completed"}, by=second)
    told = loop.until(
        lambda: said if (said := detail(crm, path, second))["custom_fields"].get("hearback_comment") else None
    )
    assert told["status"] == "New"

    # One typed in by hand is no proof either; what the telephony wrote is.
    crm.telephony(by=second, deal=deal, seconds=75)
    loop.until(lambda: loop.desk.query("SELECT FROM mirror_record WHERE object_type = 'call'"))
    crm.call("PATCH", path, {"status": "Completed"}, by=second)
    loop.until(lambda: loop.desk.query("SELECT FROM evidence_use"))
    assert detail(crm, path, second)["status"] == "Completed"
    assert json.loads(loop.desk.run("leads", "list", "--json").stdout)[0]["owner"] == loop.owner()


def leads(crm: BottleCrm, by: str) -> list[dict[str, Any]]:
    return list(crm.call("GET", "/api/leads/?limit=50", by=by)["open_leads"]["open_leads"])


def detail(crm: BottleCrm, path: str, by: str) -> dict[str, Any]:
    return dict(crm.call("GET", path, by=by)["task_obj"])
