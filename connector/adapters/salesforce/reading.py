"""Records by id, many in one call, where they are now: a merged one is its master, a converted lead its contact."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connector.adapters.salesforce import attainment
from connector.adapters.salesforce.client import SalesforceClient, checked_id, chunks, soql
from connector.adapters.salesforce.errors import caused
from connector.adapters.salesforce.records import CONTACT, Records, Row, held_by
from connector.errors import ConnectorError, InvalidRecord, RecordNotFound
from connector.model.crm import ObjectType, Record, RecordRef

#: Ids in the address of one query.
_MOST_IDS = 200
#: A record merged into one that was merged, and a lead of those converted: nobody does more.
_MOST_MOVES = 4


class Reader:
    """Reads records of one organisation."""

    def __init__(self, client: SalesforceClient, records: Records) -> None:
        self._client = client
        self._records = records

    def many(self, refs: Sequence[RecordRef]) -> list[Record | ConnectorError]:
        """Return records in order, each with the ref of the record that holds it now."""
        answers: dict[RecordRef, Record | ConnectorError] = {}
        places: dict[RecordRef, RecordRef] = {}
        for ref in refs:
            try:
                places[ref] = _held_in(ref, checked_id(ref.id))
            except InvalidRecord as err:
                answers[ref] = err
        for _ in range(_MOST_MOVES):
            rows = self._rows(places.values())
            moved = {ref: to for ref, at in places.items() if (to := held_by(at, rows.get(at.id, {}))) is not None}
            answers |= self._read({ref: at for ref, at in places.items() if ref not in moved}, rows)
            places = moved
            if not places:
                break
        return [answers.get(ref) or _gone(ref) for ref in refs]

    def leads_of(self, deals: Sequence[str]) -> Mapping[str, str]:
        """Return the lead each deal came from: Salesforce keeps that on the lead."""
        text = "SELECT Id, ConvertedOpportunityId FROM Lead WHERE ConvertedOpportunityId IN {}"
        found = [row for some in chunks(deals, _MOST_IDS) for row in self._client.query(soql(text, list(some)))]
        return {str(row.get("ConvertedOpportunityId")): str(row.get("Id")) for row in found}

    def _rows(self, refs: Iterable[RecordRef]) -> dict[str, Row]:
        """Return the rows of records by id, those in the recycle bin too."""
        by_type: dict[ObjectType, list[str]] = {}
        for ref in dict.fromkeys(refs):
            by_type.setdefault(ref.object_type, []).append(ref.id)
        found: dict[str, Row] = {}
        for type_, ids in by_type.items():
            read_as = ObjectType.TASK if type_ is ObjectType.CALL else type_
            columns = ", ".join(self._records.columns(read_as))
            for some in chunks(ids, _MOST_IDS):
                text = "SELECT {:literal} FROM {:literal} WHERE Id IN {}"
                query = soql(text, columns, self._records.mappings[type_].name, list(some))
                rows = self._client.query(query, deleted=True)
                # Asked for by 15 letters a record answers with 18.
                found |= {id_: row for row in rows for id_ in (str(row.get("Id")), str(row.get("Id"))[:15])}
        return found

    def _read(
        self, places: Mapping[RecordRef, RecordRef], rows: Mapping[str, Row]
    ) -> dict[RecordRef, Record | ConnectorError]:
        answers: dict[RecordRef, Record | ConnectorError] = {}
        more = self._beside(places.values(), rows)
        for ref, at in places.items():
            row = rows.get(at.id)
            if row is None or row.get("IsDeleted") is True:
                answers[ref] = _gone(ref)
                continue
            type_ = self._records.type_of(row, at.object_type) or at.object_type
            record = self._records.read(type_, RecordRef(type_, at.id), row)
            answers[ref] = Record(record.ref, {**record.fields, **more.get(at.id, {})}, record.updated_at, record.key)
        return answers

    def _beside(self, places: Iterable[RecordRef], rows: Mapping[str, Row]) -> Mapping[str, dict[str, Any]]:
        """Return what of a record stands elsewhere: a user's attainment, the lead of a deal."""
        there = [ref for ref in places if ref.id in rows]
        users = [ref.id for ref in there if ref.object_type is ObjectType.USER]
        deals = [ref.id for ref in there if ref.object_type is ObjectType.DEAL]
        leads = self.leads_of(deals) if deals else {}
        more: dict[str, dict[str, Any]] = {id_: {"lead": leads.get(id_)} for id_ in deals}
        if users:
            held = self._attainments(users)
            more |= {id_: attainment.canonical(held.get(id_)) for id_ in users}
        return more

    def _attainments(self, users: Sequence[str]) -> dict[str, Row]:
        """Return the newest attainment of each user."""
        columns = ", ".join(["User__c", *attainment.FIELDS.values()])
        text = "SELECT {:literal} FROM {:literal} WHERE User__c IN {} ORDER BY As_Of__c LIMIT 2000"
        found = [
            row
            for some in chunks(users, _MOST_IDS)
            for row in self._client.query(soql(text, columns, attainment.OBJECT, list(some)))
        ]
        return {str(row.get("User__c")): row for row in found}


def _held_in(ref: RecordRef, id_: str) -> RecordRef:
    """Return the type a record is of: a lead of ours may be a contact the CRM had already."""
    is_contact = ref.object_type is ObjectType.LEAD and id_.startswith(CONTACT)
    return RecordRef(ObjectType.CONTACT, id_) if is_contact else ref


def _gone(ref: RecordRef) -> ConnectorError:
    return caused(RecordNotFound(f"{ref.object_type}: no such record"), None, "no row")
