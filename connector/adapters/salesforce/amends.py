"""What is done about records Salesforce refused with a reason we understand, by at most a few more calls a batch.

A second look never risks what the first call achieved: whatever goes wrong here is the item's own error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from connector.adapters.salesforce.client import SalesforceClient, soql
from connector.adapters.salesforce.errors import DuplicatesFound, Refusal, caused
from connector.adapters.salesforce.records import CONTACT, KEY, LEAD, Records, fitting, ours_only
from connector.adapters.salesforce.sending import Entry, Sender, Try, keyed_rows
from connector.errors import AmbiguousKey, ConnectorError, OwnerRefused, RecordNotFound
from connector.model.crm import ObjectType, Outcome, RecordRef, WriteResult

#: Salesforce asks for both; its own web forms write this where a person gave none.
_UNKNOWN = "[not provided]"
_DEFAULTS: Mapping[str, str] = {"LastName": _UNKNOWN, "Company": _UNKNOWN}
_GONE = frozenset({"ENTITY_IS_DELETED", "CANNOT_UPDATE_CONVERTED_LEAD", "INVALID_CROSS_REFERENCE_KEY", "NOT_FOUND"})
_BAD_LINK = _GONE | {"FIELD_INTEGRITY_EXCEPTION", "INVALID_CROSS_REFERENCE_TYPE_FOR_FIELD"}
_BAD_OWNER = frozenset(
    {"INVALID_CROSS_REFERENCE_KEY", "MALFORMED_ID", "INVALID_OWNER", "INVALID_CROSS_REFERENCE_TYPE_FOR_FIELD"}
)
#: One look for a duplicate's ids costs a call, so a batch gets so many.
_MOST_LOOKS = 20

Places = list[int]


class Amends:
    """Goes through refused items reason by reason."""

    def __init__(self, sender: Sender, client: SalesforceClient, records: Records) -> None:
        self._sender = sender
        self._client = client
        self._records = records

    def of(self, entries: Sequence[Entry], tries: Sequence[Try]) -> list[WriteResult | ConnectorError]:
        """Return the final answers."""
        now = list(tries)
        for step in (self._bad_owners, self._incomplete, self._raced, self._known, self._moved, self._linked):
            open_ = [place for place, tried in enumerate(now) if isinstance(tried, Refusal)]
            if not open_:
                break
            try:
                step(entries, now, open_)
            except ConnectorError as err:
                # A look failed, so nothing more was written of these.
                for place in open_:
                    now[place] = err if isinstance(now[place], Refusal) else now[place]
        return [self._final(entry, tried) for entry, tried in zip(entries, now, strict=True)]

    def _final(self, entry: Entry, tried: Try) -> WriteResult | ConnectorError:
        return tried.error(call=f"{entry.sobject}") if isinstance(tried, Refusal) else tried

    def _again(self, now: list[Try], places: Places, entries: Sequence[Entry]) -> None:
        """Send some records once more."""
        if places:
            answers = self._sender.attempt(entries, alone=False)
            for place, answer in zip(places, answers, strict=True):
                now[place] = answer

    def _bad_owners(self, entries: Sequence[Entry], now: list[Try], open_: Places) -> None:
        """Tell a wrong owner from another wrong reference: the code is the same, and often names no field (A16)."""
        doubted = [place for place in open_ if _code(now[place]) in _BAD_OWNER and entries[place].fields.get("OwnerId")]
        owners = {str(entries[place].fields["OwnerId"]) for place in doubted}
        staff = self._records.lexicon.staff({owner for owner in owners if owner.startswith("005")}) if owners else {}
        for place in doubted:
            owner = str(entries[place].fields["OwnerId"])
            member = staff.get(owner)
            named = "OwnerId" in _refused(now[place]).fields
            if named or (owner in staff and (member is None or not member.active)):
                error = OwnerRefused(
                    f"{entries[place].sobject}: the owner is no active user or queue", code=_code(now[place])
                )
                now[place] = caused(error, None, _code(now[place]))

    def _incomplete(self, entries: Sequence[Entry], now: list[Try], open_: Places) -> None:
        """Fill in what a new lead must have; only now is it sure that it is new."""
        places = [
            place for place in open_ if _code(now[place]) == "REQUIRED_FIELD_MISSING" and _is_new_lead(entries[place])
        ]
        filled = [replace(entries[place], fields={**_DEFAULTS, **_given(entries[place])}) for place in places]
        self._again(now, places, filled)

    def _raced(self, entries: Sequence[Entry], now: list[Try], open_: Places) -> None:
        """Send again what another worker made in between: now it is there, and is updated (A12)."""
        places = [place for place in open_ if _code(now[place]) == "DUPLICATE_VALUE" and not entries[place].id]
        self._again(now, places, [entries[place] for place in places])
        for place in open_:
            if _code(now[place]) == "DUPLICATE_EXTERNAL_ID":
                entry = entries[place]
                ids = keyed_rows(self._client, entry.sobject, [entry.key]).get(entry.key, [])
                message = f"{entry.sobject} {entry.key}: {len(ids)} records carry this key: {', '.join(ids)}"
                now[place] = caused(AmbiguousKey(message, code="DUPLICATE_EXTERNAL_ID"), None, "DUPLICATE_EXTERNAL_ID")

    def _known(self, entries: Sequence[Entry], now: list[Try], open_: Places) -> None:
        """Put owner and our fields on the record a duplicate rule found (A15)."""
        places, linked = [], []
        asked = [place for place in open_ if _code(now[place]) == "DUPLICATES_DETECTED"]
        for place in asked[:_MOST_LOOKS]:
            entry = entries[place]
            told = _refused(now[place]).duplicates or self._alone(entry)
            if isinstance(told, WriteResult):
                now[place] = told
                continue
            found = told
            leads = [id_ for type_, id_ in found if type_ == "Lead"]
            matches = leads or [id_ for type_, id_ in found if type_ == "Contact"]
            if len(matches) == 1:
                places.append(place)
                linked.append(_link(entry, matches[0]))
            elif matches:
                message = f"{entry.sobject}: a duplicate rule found several records: {', '.join(matches)}"
                now[place] = caused(AmbiguousKey(message, code="DUPLICATES_DETECTED"), None, "DUPLICATES_DETECTED")
        self._again(now, places, linked)
        for place in places:
            answer = now[place]
            if isinstance(answer, WriteResult):
                now[place] = WriteResult(answer.ref, Outcome.LINKED)

    def _alone(self, entry: Entry) -> Sequence[tuple[str, str]] | WriteResult:
        """Send one record alone, where the error lists the matches. By our key, so it is made once at most."""
        if entry.id or not entry.key:
            return ()
        try:
            body = self._client.upsert_one(entry.sobject, KEY, entry.key, entry.fields)
        except DuplicatesFound as err:
            return err.duplicates
        return entry.told(body)

    def _moved(self, entries: Sequence[Entry], now: list[Try], open_: Places) -> None:
        """Follow leads that were merged or converted (A23)."""
        places = [place for place in open_ if _code(now[place]) in _GONE and entries[place].id.startswith(LEAD)]
        if not places:
            return
        fate = self._fate([entries[place].id for place in places])
        again: list[tuple[int, Entry]] = []
        for place in places:
            row = fate.get(entries[place].id, {})
            if row.get("MasterRecordId"):
                winner = str(row["MasterRecordId"])
                again.append((place, replace(entries[place], id=winner)))
            elif row.get("IsConverted") is True:
                now[place] = WriteResult(_after_conversion(entries[place], row), Outcome.MOVED)
            elif row.get("IsDeleted") is True or not row:
                error = RecordNotFound(f"{entries[place].sobject}: the record was deleted", code=_code(now[place]))
                now[place] = caused(error, None, _code(now[place]))
        self._again(now, [place for place, _ in again], [entry for _, entry in again])
        for place, _ in again:
            answer = now[place]
            if isinstance(answer, WriteResult):
                now[place] = WriteResult(answer.ref, Outcome.MOVED)

    def _linked(self, entries: Sequence[Entry], now: list[Try], open_: Places) -> None:
        """Point tasks to what became of their lead: its contact and deal, or the lead it was merged into (A15, A23)."""
        places = [
            place
            for place in open_
            if entries[place].sobject == "Task"
            and _code(now[place]) in _BAD_LINK
            and str(entries[place].fields.get("WhoId") or "").startswith(LEAD)
        ]
        if not places:
            return
        fate = self._fate(sorted({str(entries[place].fields["WhoId"]) for place in places}))
        again = []
        for place in places:
            links = _links(fate.get(str(entries[place].fields["WhoId"]), {}))
            if links:
                again.append((place, replace(entries[place], fields={**entries[place].fields, **links})))
        self._again(now, [place for place, _ in again], [entry for _, entry in again])

    def _fate(self, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return what became of leads, also of those in the recycle bin."""
        if not ids:
            return {}
        text = soql(
            "SELECT Id, IsDeleted, MasterRecordId, IsConverted, ConvertedContactId, ConvertedOpportunityId "
            "FROM Lead WHERE Id IN {}",
            list(ids),
        )
        return {str(row.get("Id")): row for row in self._client.query(text, deleted=True)}


def _code(tried: Try) -> str:
    return tried.code if isinstance(tried, Refusal) else ""


def _refused(tried: Try) -> Refusal:
    assert isinstance(tried, Refusal)
    return tried


def _given(entry: Entry) -> dict[str, Any]:
    return {name: value for name, value in entry.fields.items() if value is not None}


def _after_conversion(entry: Entry, row: Mapping[str, Any]) -> RecordRef:
    """Return the contact a lead became. What was to be written belonged to the lead, which is read-only now."""
    contact = row.get("ConvertedContactId")
    return RecordRef(ObjectType.CONTACT, str(contact)) if contact else RecordRef(ObjectType.LEAD, entry.id)


def _is_new_lead(entry: Entry) -> bool:
    return entry.sobject == "Lead" and not entry.id and any(not entry.fields.get(name) for name in _DEFAULTS)


def _link(entry: Entry, id_: str) -> Entry:
    sobject = "Contact" if id_.startswith(CONTACT) else "Lead"
    return replace(entry, id=id_, sobject=sobject, fields=fitting(sobject, ours_only({**entry.fields, KEY: entry.key})))


def _links(row: Mapping[str, Any]) -> dict[str, Any]:
    if row.get("MasterRecordId"):
        return {"WhoId": str(row["MasterRecordId"])}
    if row.get("IsConverted") is True and row.get("ConvertedContactId"):
        deal = row.get("ConvertedOpportunityId")
        return {"WhoId": str(row["ConvertedContactId"])} | ({"WhatId": str(deal)} if deal else {})
    return {}
