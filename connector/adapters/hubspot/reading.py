"""Reads records by their references: one, or a hundred at once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from connector.adapters.hubspot.client import BATCH, Entry, HubSpotClient
from connector.adapters.hubspot.links import Links
from connector.adapters.hubspot.places import CONTACTS, Places, id_of, is_lead_object
from connector.adapters.hubspot.records import MERGED, Records
from connector.errors import ConnectorError, InvalidRecord, RecordNotFound
from connector.model.crm import ObjectType, Record, RecordRef


class Reader:
    """Reads records of one account."""

    def __init__(self, client: HubSpotClient, places: Places, links: Links, records: Records) -> None:
        self._client = client
        self._places = places
        self._links = links
        self._records = records

    def one(self, ref: RecordRef) -> Record:
        """Return one record in the words of its reference; a lead object with its person."""
        mapping = self._places.mapping_of(ref)
        links = [*self._links.wanted(ref.object_type), *([CONTACTS] if is_lead_object(ref) else [])]
        entry = self._client.read(mapping.name, id_of(ref), self._records.properties(mapping.name), links)
        record = self._records.in_words(ref.object_type, mapping, entry)
        people = entry.links.get(CONTACTS) or ()
        return self._with_person(record, people[0]) if is_lead_object(ref) and people else record

    def many(self, refs: Sequence[RecordRef]) -> list[Record | ConnectorError]:
        """Return records item by item; a record that was merged comes back under its new reference.

        What the batch leaves out is asked for alone: HubSpot answers a merged id with the record that is left (U).
        """
        answers: dict[RecordRef, Record | ConnectorError] = {}
        wanted: dict[str, dict[str, list[RecordRef]]] = {}
        for ref in dict.fromkeys(refs):
            try:
                wanted.setdefault(self._places.mapping_of(ref).name, {}).setdefault(id_of(ref), []).append(ref)
            except InvalidRecord:
                answers[ref] = RecordNotFound("no record of HubSpot has such an id")
        for object_, by_id in wanted.items():
            answers |= self._of(object_, by_id)
        return [answers[ref] for ref in refs]

    def _of(self, object_: str, by_id: Mapping[str, Sequence[RecordRef]]) -> dict[RecordRef, Record | ConnectorError]:
        ids, names = list(by_id), self._records.properties(object_)
        found: dict[str, Entry] = {}
        for start in range(0, len(ids), BATCH):
            for entry in self._client.read_many(object_, ids[start : start + BATCH], names).entries:
                found |= dict.fromkeys((entry.id, *(entry.properties.get(MERGED) or "").split(";")), entry)
        errors: dict[str, ConnectorError] = {}
        for id_ in ids:
            if id_ not in found:
                try:
                    found[id_] = self._client.read(object_, id_, names)
                except RecordNotFound as err:
                    errors[id_] = err
        there = list(dict.fromkeys(found[id_].id for id_ in ids if id_ in found))
        linked = self._links.read(self._places.types()[object_], object_, there)
        answers: dict[RecordRef, Record | ConnectorError] = {}
        for id_, refs in by_id.items():
            known = found.get(id_)
            told = self._records.record(object_, known, linked.get(known.id, {})) if known else errors[id_]
            answers |= dict.fromkeys(refs, told)
        return answers

    def _with_person(self, lead: Record, contact: str) -> Record:
        mapping = self._places.person
        try:
            entry = self._client.read(CONTACTS, contact, mapping.vendor_names)
        except RecordNotFound:
            return lead
        person = self._records.in_words(ObjectType.CONTACT, mapping, entry)
        kept = {name: value for name, value in person.fields.items() if name not in lead.fields}
        return replace(lead, fields={**kept, **lead.fields})
