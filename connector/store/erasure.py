"""Where personal data is held, how it is shown and how it is taken away.

A new table that holds personal data is one more entry of `PLACES`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from connector.store.database import Transaction

#: The purpose of a command that erases a record in its CRM.
ERASE = "erase"
#: Texts of a CRM's records in which people write about people; nothing here works with them.
TEXTS = ("body", "comment", "email", "feedback_text", "first_name", "last_name", "message", "name", "phone", "title")

#: A record in a CRM: connection, object type, id.
Ref = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """What is held of somebody. `shared` deliveries speak of others too, `linked` records (deals, calls) stay."""

    leads: frozenset[UUID] = frozenset()
    deliveries: frozenset[UUID] = frozenset()
    shared: frozenset[UUID] = frozenset()
    records: frozenset[Ref] = frozenset()
    linked: frozenset[Ref] = frozenset()
    recipients: frozenset[UUID] = frozenset()

    def __bool__(self) -> bool:
        """Tell whether anything is held."""
        return bool(self.leads or self.deliveries or self.records or self.recipients)


@dataclass(frozen=True, slots=True)
class Place:
    """One place that holds personal data. `shown` selects it as JSON, `erased` takes it away ("": nothing has to go).

    Both may use %(leads)s, %(lead_keys)s, %(deliveries)s, %(shared)s, %(recipients)s, and the arrays of `_RECORDS`
    and `_LINKED`.
    """

    name: str
    shown: str
    erased: str = ""


_RECORDS = "(SELECT * FROM unnest(%(record_c)s::text[], %(record_t)s::text[], %(record_i)s::text[]))"
_LINKED = "(SELECT * FROM unnest(%(linked_c)s::text[], %(linked_t)s::text[], %(linked_i)s::text[]))"
_OWN = "delivery_id = ANY(%(deliveries)s) AND NOT delivery_id = ANY(%(shared)s)"
_KEYS = f"(lead_id = ANY(%(leads)s) OR ({_OWN}))"
_ABOUT = "(key = ANY(%(lead_keys)s) OR after_key = ANY(%(lead_keys)s))"
_ANSWERED = (
    "invitation IN (SELECT i.id FROM survey_invitation i JOIN sale s USING (connection, deal) "
    "WHERE s.lead_id = ANY(%(leads)s))"
)
_TEXTS = "ARRAY['" + "', '".join(TEXTS) + "']"
_FACTS = f"((source, object_type, record_id) IN {_RECORDS} OR (source, object_type, record_id) IN {_LINKED})"
# What a CRM told and what became several people's leads keeps its fate.
_KEPT = "(state = 'done' AND (kind = 'crm' OR id = ANY(%(shared)s)))"

# ruff: noqa: S608 (constants only)
PLACES = (
    Place(
        "deliveries",
        "SELECT to_jsonb(d) - 'sha256' FROM delivery d WHERE id = ANY(%(deliveries)s)",
        f"UPDATE delivery SET sha256 = '', reason = 'erased', state = 'done', attempts = 0, "
        f"fate = CASE WHEN {_KEPT} THEN fate ELSE 'erased' END, finished_at = coalesce(finished_at, hearback_now()) "
        "WHERE id = ANY(%(deliveries)s)",
    ),
    Place(
        "bodies",
        "SELECT to_jsonb(delivery_id) FROM delivery_body WHERE delivery_id = ANY(%(deliveries)s)",
        "DELETE FROM delivery_body WHERE delivery_id = ANY(%(deliveries)s)",
    ),
    Place(
        "delivery marks",
        "SELECT to_jsonb(delivery_id) FROM delivery_mark WHERE delivery_id = ANY(%(deliveries)s)",
        "DELETE FROM delivery_mark WHERE delivery_id = ANY(%(deliveries)s)",
    ),
    Place(
        "dedupe keys",
        f"SELECT to_jsonb(k) FROM dedupe_key k WHERE {_KEYS}",
        f"DELETE FROM dedupe_key WHERE {_KEYS}",
    ),
    Place(
        "idempotency keys",
        f"SELECT to_jsonb(k) - 'fingerprint' FROM idempotency_key k WHERE {_OWN}",
        f"DELETE FROM idempotency_key WHERE {_OWN}",
    ),
    Place(
        "consents",
        "SELECT to_jsonb(c) - 'text_hash' FROM consent_event c WHERE lead_id = ANY(%(leads)s)",
        "DELETE FROM consent_event WHERE lead_id = ANY(%(leads)s)",
    ),
    Place("leads", "SELECT to_jsonb(l) - 'salt' FROM lead l WHERE id = ANY(%(leads)s)"),
    Place("submissions", "SELECT to_jsonb(s) FROM submission s WHERE lead_id = ANY(%(leads)s)"),
    Place("decisions", "SELECT record::jsonb FROM decision WHERE lead_id = ANY(%(leads)s)"),
    Place("responses", "SELECT to_jsonb(r) FROM response r WHERE lead_id = ANY(%(leads)s)"),
    Place(
        "commands",
        "SELECT to_jsonb(c) FROM command c WHERE lead_id = ANY(%(leads)s)",
        # A command that was never sent is given up; one about the deal itself is still owed.
        f"UPDATE command SET fields = '{{}}', error = NULL, leased_until = NULL, "
        f"state = CASE WHEN state IN ('pending', 'dead', 'observed') THEN 'parked' ELSE state END "
        f"WHERE lead_id = ANY(%(leads)s) AND purpose <> '{ERASE}' "
        f"AND ({_ABOUT} OR state IN ('done', 'parked'))",
    ),
    Place(
        "bindings",
        f"SELECT to_jsonb(b) - 'written' FROM binding b WHERE (connection, object_type, record_id) IN {_RECORDS}",
        f"UPDATE binding SET written = '{{}}' WHERE (connection, object_type, record_id) IN {_RECORDS}",
    ),
    Place(
        "mirrored records",
        f"SELECT to_jsonb(m) FROM mirror_record m WHERE (connection, object_type, record_id) IN {_RECORDS}",
        f"DELETE FROM mirror_record WHERE (connection, object_type, record_id) IN {_RECORDS}",
    ),
    Place(
        "texts of deals",
        f"SELECT to_jsonb(m) FROM mirror_record m WHERE (connection, object_type, record_id) IN {_LINKED}",
        f"UPDATE mirror_record SET fields = fields - {_TEXTS} WHERE (connection, object_type, record_id) IN {_LINKED}",
    ),
    Place(
        "texts of events",
        f"SELECT to_jsonb(e) FROM event e WHERE {_FACTS} AND attributes ?| {_TEXTS}",
        f"UPDATE event SET attributes = attributes - {_TEXTS} WHERE {_FACTS} AND attributes ?| {_TEXTS}",
    ),
    Place(
        "survey answers",
        f"SELECT to_jsonb(a) FROM survey_answer a WHERE {_ANSWERED}",
        f"UPDATE survey_answer SET text = '' WHERE {_ANSWERED}",
    ),
    Place(
        "open surveys",
        "SELECT to_jsonb(i) - 'token_hash' FROM survey_invitation i JOIN sale s USING (connection, deal) "
        "WHERE s.lead_id = ANY(%(leads)s) AND i.state = 'scheduled'",
        "UPDATE survey_invitation i SET state = 'suppressed', token_hash = NULL, "
        "suppressed_reason = 'the customer was erased' FROM sale s WHERE s.connection = i.connection "
        "AND s.deal = i.deal AND s.lead_id = ANY(%(leads)s) AND i.state = 'scheduled'",
    ),
    Place(
        "recipients",
        "SELECT to_jsonb(r) - 'sealed' - 'token' FROM recipient r WHERE id = ANY(%(recipients)s)",
        "UPDATE recipient SET sealed = NULL, reference = id::text, erased_at = hearback_now() "
        "WHERE id = ANY(%(recipients)s) AND erased_at IS NULL",
    ),
    Place(
        "recipient marks",
        "SELECT to_jsonb(recipient_id) FROM recipient_mark WHERE recipient_id = ANY(%(recipients)s)",
        "DELETE FROM recipient_mark WHERE recipient_id = ANY(%(recipients)s)",
    ),
    Place("card answers", "SELECT to_jsonb(a) FROM card_answer a WHERE delivery_id = ANY(%(deliveries)s)"),
)


def show(tx: Transaction, found: Found) -> dict[str, list[Any]]:
    """Return everything that is held, by place."""
    values = _values(found)
    return {
        place.name: [row[0] for row in tx.connection.execute(place.shown.encode(), values).fetchall()]
        for place in PLACES
    }


def clear(tx: Transaction, found: Found) -> dict[str, int]:
    """Take away what is held, but for the leads themselves; return how much of it was in each place."""
    tx.run("SET LOCAL hearback.erasing = 'yes'")
    values = _values(found)
    done = {
        place.name: tx.connection.execute(place.erased.encode(), values).rowcount for place in PLACES if place.erased
    }
    tx.run("SET LOCAL hearback.erasing = 'no'")
    return done


def _values(found: Found) -> dict[str, Any]:
    columns = {"record": sorted(found.records), "linked": sorted(found.linked)}
    refs = {f"{name}_{c}": [ref[i] for ref in rows] for name, rows in columns.items() for i, c in enumerate("cti")}
    return refs | {
        "leads": sorted(found.leads),
        "lead_keys": [f"lead:{lead}" for lead in sorted(found.leads)],
        "deliveries": sorted(found.deliveries),
        "shared": sorted(found.shared),
        "recipients": sorted(found.recipients),
    }


def drop_bodies(tx: Transaction, ids: Sequence[UUID]) -> None:
    """Take away what deliveries said; their fate is the caller's."""
    tx.run("DELETE FROM delivery_body WHERE delivery_id = ANY(%s)", list(ids))
    tx.run("DELETE FROM delivery_mark WHERE delivery_id = ANY(%s)", list(ids))
    tx.run("UPDATE delivery SET sha256 = '' WHERE id = ANY(%s)", list(ids))


def forget_others(tx: Transaction, delivery: UUID, positions: Sequence[int]) -> None:
    """Take away what tells of a delivery's leads but those at these positions; its body was written anew.

    The hash of all that was sent goes, and from the reason of a rejection what it quotes.
    """
    tx.run("DELETE FROM delivery_mark WHERE delivery_id = %s AND NOT position = ANY(%s)", delivery, list(positions))
    tx.run(
        "UPDATE delivery SET sha256 = '', reason = CASE WHEN fate = 'rejected' THEN split_part(reason, ' (', 1) "
        "ELSE reason END WHERE id = %s",
        delivery,
    )


def forget_keys(tx: Transaction, leads: Collection[UUID]) -> None:
    """Delete the person keys that lead to these leads, in the order everybody locks them."""
    tx.run(
        "DELETE FROM person_key WHERE ctid = ANY(ARRAY(SELECT ctid FROM person_key WHERE lead_id = ANY(%s) "
        "ORDER BY kind, value FOR UPDATE))",
        list(leads),
    )


def forget_lead(tx: Transaction, lead: UUID) -> bool:
    """Take away what is known of a lead and the salt of its snapshots, closing it; False if that was done before.

    The ledger is locked, and an owner's room was given back.
    """
    changed = tx.run(
        "UPDATE lead SET data = '{}', domain = '', salt = '', status = 'closed', held_until = NULL, wake_at = NULL, "
        "closed_at = coalesce(closed_at, hearback_now()), erased_at = hearback_now() "
        "WHERE id = %s AND erased_at IS NULL",
        lead,
    )
    return changed == 1


def keys_of(tx: Transaction, found: Found) -> list[tuple[str, str, datetime]]:
    """Return (source, key, seen at) of the submissions that go."""
    query = f"SELECT source, key, seen_at FROM dedupe_key WHERE {_KEYS}"
    return tx.connection.execute(query.encode(), _values(found)).fetchall()


def requests_of(tx: Transaction, found: Found) -> list[tuple[str, str, datetime]]:
    """Return (source, Idempotency-Key, created at) of the requests that go."""
    query = (
        "SELECT d.source, k.key, k.created_at FROM idempotency_key k JOIN delivery d ON d.id = k.delivery_id "
        f"WHERE {_OWN.replace('delivery_id', 'k.delivery_id')}"
    )
    return tx.connection.execute(query.encode(), _values(found)).fetchall()


def asked_of_crm(tx: Transaction, connection: str, keys: Sequence[str]) -> set[str]:
    """Return the keys whose records a CRM was asked to erase already."""
    rows = tx.all(
        f"SELECT key FROM command WHERE connection = %s AND key = ANY(%s) AND purpose = '{ERASE}'",
        connection,
        list(keys),
    )
    return {row[0] for row in rows}


def wait_for_sending(tx: Transaction, commands: Sequence[UUID], seconds: float) -> None:
    """Let commands wait until calls that may be under way have ended."""
    tx.run(
        "UPDATE command SET due_at = clock_timestamp() + make_interval(secs => %s) WHERE id = ANY(%s)",
        seconds,
        list(commands),
    )


def is_sending(tx: Transaction, leads: Collection[UUID]) -> bool:
    """Tell whether a command about one of these leads may be on its way."""
    row = tx.one(
        "SELECT EXISTS (SELECT FROM command WHERE lead_id = ANY(%s) AND leased_until > clock_timestamp())", list(leads)
    )
    return bool(row and row[0])


def close_commands(tx: Transaction, connection: str, done: Sequence[tuple[UUID, str, Ref]]) -> None:
    """Record that records (command, our key, record) are gone from a CRM: nothing there is ours any more."""
    if not done:
        return
    tx.run(
        "UPDATE command SET state = 'done', outcome = 'erased', error = NULL, attempts = attempts + 1, "
        "finished_at = clock_timestamp(), leased_until = NULL WHERE id = ANY(%s)",
        [command for command, _, _ in done],
    )
    tx.run("DELETE FROM binding WHERE connection = %s AND key = ANY(%s)", connection, [key for _, key, _ in done])
    types, ids = [ref[1] for _, _, ref in done], [ref[2] for _, _, ref in done]
    tx.run(
        "DELETE FROM mirror_record m USING unnest(%s::text[], %s::text[]) AS n (t, r) "
        "WHERE m.record_id = n.r AND m.object_type = n.t AND m.connection = %s",
        types,
        ids,
        connection,
    )
