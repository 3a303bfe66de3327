"""One batch of commands: translated, collapsed by record, made ready, sent, and answered in order."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from connector.adapters.salesforce import attainment
from connector.adapters.salesforce.amends import Amends
from connector.adapters.salesforce.client import SalesforceClient, checked_id, soql
from connector.adapters.salesforce.records import Records, dated, fitting, sobject_of
from connector.adapters.salesforce.sending import Entry, Sender, keyed_rows
from connector.errors import ConnectorError, InvalidRecord
from connector.model.crm import ObjectType, RecordRef, Upsert, WriteResult

Answer = WriteResult | ConnectorError
#: A new deal needs a day to close; Salesforce asks for one, and people correct it.
_CLOSES_IN = timedelta(days=30)


class Writer:
    """Writes one batch of one object type; made anew for each."""

    def __init__(self, client: SalesforceClient, records: Records) -> None:
        self._client = client
        self._records = records
        self._sender = Sender(client)

    def write(self, commands: Sequence[Upsert]) -> list[Answer]:
        """Return an answer for each command, in order."""
        answers: dict[int, Answer] = {}
        entries: dict[tuple[str, str], Entry] = {}
        places: dict[int, tuple[str, str]] = {}
        for place, command in enumerate(commands):
            try:
                entry = self._entry(command)
            except InvalidRecord as err:
                answers[place] = err
                continue
            known = entries.get(entry.identity)
            # Twice in one call would be refused: the later values win, as they would one after the other.
            entries[entry.identity] = replace(entry, fields={**known.fields, **entry.fields}) if known else entry
            places[place] = entry.identity
        if entries:
            tried = dict(zip(entries, self._sent(list(entries.values())), strict=True))
            answers |= {place: tried[identity] for place, identity in places.items()}
        return [answers[place] for place in range(len(commands))]

    def _sent(self, entries: list[Entry]) -> list[Answer]:
        ready = self._ready(entries)
        return Amends(self._sender, self._client, self._records).of(ready, self._sender.attempt(ready))

    def _entry(self, command: Upsert) -> Entry:
        mapping = self._records.mappings[command.object_type]
        id_ = checked_id(command.record.id) if command.record else ""
        if command.object_type is ObjectType.USER:
            return _attainment(command, id_)
        fields = self._records.outward(command)
        if not id_ and mapping.key_field is None:
            raise InvalidRecord(f"{mapping.name} are made in the CRM: name the record", fields=("record",))
        sobject = sobject_of(mapping.name, id_)
        return Entry(command.object_type, sobject, id_, command.key, fitting(sobject, fields))

    def _ready(self, entries: list[Entry]) -> list[Entry]:
        if any(entry.sobject == "Task" for entry in entries):
            return self._dated(entries)
        if any(entry.sobject == "Opportunity" and not entry.id for entry in entries):
            return self._deals(entries)
        return entries

    def _dated(self, entries: list[Entry]) -> list[Entry]:
        """Give tasks the day they are due where their owner works."""
        due = [entry for entry in entries if entry.fields.get("Hearback_Due__c")]
        unowned = [entry.id for entry in due if entry.id and not entry.fields.get("OwnerId")]
        owners = {entry.id: str(entry.fields["OwnerId"]) for entry in due if entry.fields.get("OwnerId") and entry.id}
        owners |= self._owners_of(unowned)
        of = {i: str(e.fields.get("OwnerId") or owners.get(e.id, "")) for i, e in enumerate(entries) if e in due}
        staff = self._records.lexicon.staff({owner for owner in of.values() if owner.startswith("005")})
        ready = []
        for place, entry in enumerate(entries):
            member = staff.get(of.get(place, ""))
            ready.append(replace(entry, fields=dated(entry.fields, member.zone)) if member else self._undated(entry))
        return ready

    def _undated(self, entry: Entry) -> Entry:
        if not entry.fields.get("Hearback_Due__c"):
            return entry
        return replace(entry, fields=dated(entry.fields, self._records.lexicon.words().zone))

    def _owners_of(self, ids: Sequence[str]) -> dict[str, str]:
        if not ids:
            return {}
        found = self._client.query(soql("SELECT Id, OwnerId FROM Task WHERE Id IN {}", list(ids)))
        return {str(row.get("Id")): str(row.get("OwnerId")) for row in found}

    def _deals(self, entries: list[Entry]) -> list[Entry]:
        """Look which deals there are already: a new one needs a stage and a day, an old one keeps its own."""
        keys = [entry.key for entry in entries if not entry.id]
        known = keyed_rows(self._client, "Opportunity", keys)
        ready = []
        for entry in entries:
            ids = known.get(entry.key, []) if not entry.id else []
            if entry.id or len(ids) > 1:
                ready.append(entry)
            elif ids:
                ready.append(replace(entry, id=ids[0]))
            else:
                day = (datetime.now(UTC) + _CLOSES_IN).date().isoformat()
                stage = self._records.lexicon.words().stage.outward("stage", "open")
                ready.append(replace(entry, fields={"StageName": stage, "CloseDate": day, **entry.fields}))
        return ready


def _attainment(command: Upsert, id_: str) -> Entry:
    if not id_:
        raise InvalidRecord("users are made in the CRM: name the record", fields=("record",))
    key, fields = attainment.body_of(command, id_)
    return Entry(command.object_type, attainment.OBJECT, "", key, fields, RecordRef(ObjectType.USER, id_))
