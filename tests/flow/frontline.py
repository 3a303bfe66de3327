"""A desk whose owners must respond: the sample organisation on a clock that tests set, with people in the CRM."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from desk import Desk

from connector.flows import responses, sync
from connector.model.crm import CrmEvent, EventType, ObjectType, Record, RecordRef
from connector.routing.explain import explain
from connector.routing.record import recompute
from connector.store import configuration, decisions, ledger

RESPONSE = 'response: {due: "4h"}'
#: A Monday, 10:00 in Warsaw; everybody there works from 9:00 to 17:00.
START = datetime(2026, 11, 23, 9, tzinfo=UTC)


class Frontline(Desk):
    """What reps do with leads, and what becomes of them."""

    def __init__(self, *arguments: Any, response: str = RESPONSE, at: datetime = START) -> None:
        super().__init__(*arguments)
        self.edit("routing.yaml", "fallback: ", f"{response}\n\nfallback: ")
        self.publish()
        self.set_clock(at)

    def set_clock(self, at: datetime) -> None:
        self.run("UPDATE clock SET shift = %s - clock_timestamp()", at)

    def look(self, at: datetime | None = None) -> float | None:
        """Work off what is due, at an instant, and send it."""
        if at is not None:
            self.set_clock(at)
        following = responses.work(self.services)
        self.send()
        return following

    def lead(self, **fields: str) -> UUID:
        """Have a person in Warsaw, or elsewhere, answer; return their lead once its CRM holds it."""
        known = {row[0] for row in self.rows("SELECT id FROM lead")}
        who = f"p{len(known)}"
        said = {"nachname": who, "email": f"{who}@{who}.example", "plz": "00-950", "land": "PL", **fields}
        self.post(**said)
        self.work()
        self.send()
        return next(row[0] for row in self.rows("SELECT id FROM lead") if row[0] not in known)

    def owner(self, lead: UUID) -> str:
        return str(self.rows("SELECT owner FROM lead WHERE id = %s", lead)[0][0])

    def state(self, lead: UUID) -> str:
        return str(self.rows("SELECT state FROM response WHERE lead_id = %s", lead)[0][0])

    def given(self, lead: UUID) -> dict[str, Any]:
        ((row,),) = self.rows("SELECT to_jsonb(response) FROM response WHERE lead_id = %s", lead)
        return dict(row)

    def instant(self, lead: UUID, name: str) -> datetime:
        return datetime.fromisoformat(self.given(lead)[name])

    def user(self, person: str) -> str:
        return self.services.current().settings.people[person].users["sandbox"]

    def record(self, key: str) -> tuple[str, dict[str, Any]]:
        """Return id and fields of what the CRM holds under a key of ours."""
        return next((id_, fields) for id_, fields in self.crm.records.items() if fields["key"] == key)

    def task(self, lead: UUID, owner: str, kind: str = "task") -> dict[str, Any]:
        return self.record(f"{kind}:{lead}:{owner}")[1]

    def sets(self, lead: UUID, at: datetime | None = None, **fields: object) -> int:
        """Have a person change a lead in the CRM, which tells us; return how much was news."""
        record, known = self.record(f"lead:{lead}")
        known.update(fields)
        return self.tells(ObjectType.LEAD, record, known, at)

    def ticks(self, key: str) -> int:
        record, known = self.record(key)
        known["status"] = "done"
        return self.tells(ObjectType.TASK, record, known)

    def tells(self, kind: ObjectType, record: str, fields: dict[str, Any], at: datetime | None = None) -> int:
        """Have the CRM tell of a record as it is."""
        ref = RecordRef(kind, record)
        with self.services.store.transaction() as tx:
            at = at or tx.now()
            seen = Record(ref, {name: value for name, value in fields.items() if name != "key"}, at)
            return sync.apply(
                self.services, tx, "sandbox", [CrmEvent(f"{record}@{at}", EventType.RECORD_CHANGED, ref, at, seen)]
            )

    def balances(self) -> dict[str, int]:
        """Return who is owed what, having checked the ledger against everything that was posted to it."""
        with self.services.store.transaction() as tx:
            assert ledger.recount(tx) == {}
            found = {person: entry[0] for person, entry in ledger.entries(tx).items() if entry[0]}
        assert sum(found.values()) == 0
        assert found == self._replayed()
        return found

    def _replayed(self) -> dict[str, int]:
        """Take every posting from zero, decisions and corrections in the order they happened."""
        posted: Counter[str] = Counter()
        corrections = self.rows("SELECT decisions, person, amount FROM ledger_posting ORDER BY id")
        for row in self.decisions():
            while corrections and corrections[0][0] < row.seq:
                _, person, amount = corrections.pop(0)
                posted[person] += amount
            for person, (_, share, before, after) in json.loads(row.record)["postings"].items():
                assert (before, share > 0) == (posted[person], True)
                posted[person] = after
        for _, person, amount in corrections:
            posted[person] += amount
        return {person: amount for person, amount in posted.items() if amount}

    def decisions(self) -> list[decisions.DecisionRow]:
        with self.services.store.transaction() as tx:
            return decisions.since(tx, 0, 10_000)

    def explained(self, lead: UUID) -> list[str]:
        """Return the story of the newest decision, having taken it again to the same bytes (P4)."""
        with self.services.store.transaction() as tx:
            newest = decisions.of_lead(tx, lead)[-1]
            assert recompute(newest.record, configuration.rule_set_document(tx, newest.rule_set)) == newest.record
        people = self.services.current().settings.people
        return explain(json.loads(newest.record), {key: person.name for key, person in people.items()})
