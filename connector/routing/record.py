"""The decision record: canonical JSON that recomputes to the same bytes for ever (promise P4)."""

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

import orjson

from connector.model.canonical import canonical
from connector.model.lead import Facets
from connector.model.ruleset_document import from_document
from connector.routing.book import HERE, NO_GRANT, Book, Grant, Presence, Standing
from connector.routing.compiled import CompiledRules
from connector.routing.decide import Again, Case, Decision, Known, decide
from connector.routing.ledger import Turn
from connector.routing.rings import Window

#: Raised whenever the same inputs may lead to another record.
ENGINE = 1

_FACETS = tuple(f.name for f in fields(Facets))
_KNOWN = tuple(f.name for f in fields(Known))
_facets, _known = attrgetter(*_FACETS), attrgetter(*_KNOWN)
_PRESENCE = tuple(f.name for f in fields(Presence))
_AGAIN = tuple(f.name for f in fields(Again))


def record_of(decision: Decision, book: Book) -> bytes:
    """Write a decision with all it read. `book` is the one the decision was taken with, before posting."""
    case = decision.case
    people = {*decision.turn.people, *(each.person for each in decision.passed)}
    if decision.owner is not None:
        people.add(decision.owner)
    return canonical(
        {
            "engine": ENGINE,
            "seq": decision.seq,
            "rule_set": decision.rule_set,
            "case": _case_document(case),
            "book": _book_document(book.standings(people)),
            "result": str(decision.result),
            "owner": decision.owner,
            "connection": decision.connection,
            "pool": decision.pool,
            "rule": decision.rule,
            "steps": decision.steps,
            "postings": _postings_document(decision.turn),
            "passed": {p.person: (p.code, p.fact) for p in decision.passed},
            **_grants_document(decision),
        }
    )


def recompute(record: bytes, rule_set_document: bytes) -> bytes:
    """Take the decision again from its record and the stored rule set; equal bytes prove both.

    Raises:
        ValueError: the record was written by an engine this code does not know.
    """
    return recompute_by(orjson.loads(record), CompiledRules(from_document(json.loads(rule_set_document))))


def recompute_by(written: Mapping[str, Any], rules: CompiledRules) -> bytes:
    """Take a record that has been read again as `recompute` does, with a rule set made ready once for many.

    Raises:
        ValueError: the record was written by an engine this code does not know.
    """
    if written["engine"] != ENGINE:
        raise ValueError(f"engine {written['engine']} is not known here; this is engine {ENGINE}")
    standings = {person: standing_of(row) for person, row in written["book"].items()}
    book = Book(standings, written["seq"] - 1)
    return record_of(decide(case_of(written["case"]), rules, book), book)


def _case_document(case: Case) -> dict[str, Any]:
    # Only numbers may be zero and yet known.
    facets = {name: value for name, value in zip(_FACETS, _facets(case.facets), strict=True) if value or value == 0}
    known = {name: value for name, value in zip(_KNOWN, _known(case.known), strict=True) if value}
    return {
        "lead": case.lead,
        "assign_seq": case.assign_seq,
        "at": _instant(case.at),
        "facets": facets,
        "known": known,
        "snapshot": case.snapshot,
        "excluded": case.excluded,
        "waited_out": case.waited_out,
        **({"again": {name: getattr(case.again, name) for name in _AGAIN}} if case.again else {}),
        **({"chosen": case.chosen} if case.chosen else {}),
    }


@lru_cache(maxsize=8)
def _instant(at: datetime) -> str:
    """Write an instant in UTC; all leads of a batch have the same."""
    return at.astimezone(UTC).isoformat()


def case_of(document: Mapping[str, Any]) -> Case:
    """Return the case of a record."""
    facets, known = document["facets"], document["known"]
    if "domain_rules" in facets:
        facets = {**facets, "domain_rules": tuple(facets["domain_rules"])}
    if "reasons" in known:
        known = {**known, "reasons": tuple(known["reasons"])}
    again = document.get("again")
    return Case(
        lead=document["lead"],
        assign_seq=document["assign_seq"],
        at=datetime.fromisoformat(document["at"]),
        facets=Facets(**facets),
        known=Known(**known),
        snapshot=document["snapshot"],
        excluded=tuple(document["excluded"]),
        waited_out=document["waited_out"],
        again=Again(**{**again, "cause": tuple(again["cause"])}) if again else None,
        chosen=document.get("chosen", ""),
    )


def _grants_document(decision: Decision) -> dict[str, Any]:
    grants = {person: [grant.units, grant.until] for person, grant in decision.grants.items()}
    return {"grants": grants} if grants else {}


def _postings_document(turn: Turn) -> dict[str, Any]:
    people, *columns = turn
    return dict(zip(people, zip(*columns, strict=True), strict=True))


def turn_of(postings: Mapping[str, list[int]]) -> Turn:
    """Return the turn of a record's postings."""
    return Turn(tuple(postings), *zip(*postings.values(), strict=True))


def _book_document(standings: Mapping[str, Standing]) -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = {
        person: [row.balance, row.last_seq, row.open_leads, 1 if row.paused else 0] for person, row in standings.items()
    }
    for person, row in standings.items():
        if (row.presence is not HERE or row.windows or row.grant is not NO_GRANT) and (facts := _facts_document(row)):
            rows[person].append(facts)
    return rows


def _facts_document(standing: Standing) -> dict[str, Any]:
    facts = _presence_document(standing.presence)
    if standing.windows:
        facts["windows"] = {key: [window.used, window.frees] for key, window in standing.windows.items()}
    if standing.grant.units:
        facts["grant"] = [standing.grant.units, standing.grant.until]
    return facts


def _presence_document(presence: Presence) -> dict[str, Any]:
    return {name: value for name in _PRESENCE if (value := getattr(presence, name)) != getattr(HERE, name)}


def standing_of(row: list[Any]) -> Standing:
    """Return a standing of a record's book."""
    balance, last_seq, open_leads, paused, *more = row
    if not more:
        return Standing(balance, last_seq, open_leads, bool(paused))
    facts = dict(more[0])
    windows = {key: Window(*window) for key, window in facts.pop("windows", {}).items()}
    grant = Grant(*facts.pop("grant", ()))
    return Standing(balance, last_seq, open_leads, bool(paused), grant, Presence(**facts), windows)
