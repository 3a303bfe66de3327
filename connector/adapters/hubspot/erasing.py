"""Erasure: contacts are deleted for good, the rest is archived and no longer shown."""

from collections.abc import Mapping, Sequence

from connector.adapters.hubspot.client import HubSpotClient
from connector.adapters.hubspot.places import CONTACTS, Places, id_of
from connector.errors import ConnectorError, InvalidRecord, RecordNotFound
from connector.model.crm import Outcome, RecordRef, WriteResult

Answer = WriteResult | ConnectorError


class Eraser:
    """Erases records of one account."""

    def __init__(self, client: HubSpotClient, places: Places) -> None:
        self._client = client
        self._places = places

    def erase(self, refs: Sequence[RecordRef]) -> list[Answer]:
        """Erase records of one type; one that is gone already is UNCHANGED."""
        answers: dict[RecordRef, Answer] = {}
        by_object: dict[str, dict[RecordRef, str]] = {}
        for ref in refs:
            try:
                by_object.setdefault(self._places.mapping_of(ref).name, {})[ref] = id_of(ref)
            except InvalidRecord as err:
                answers[ref] = err
        for object_, ids in by_object.items():
            answers |= self._of(object_, ids)
        return [answers[ref] for ref in refs]

    def _of(self, object_: str, ids: Mapping[RecordRef, str]) -> dict[RecordRef, Answer]:
        unique = list(dict.fromkeys(ids.values()))
        there = {entry.id for entry in self._client.read_many(object_, unique, ["hs_object_id"]).entries}
        failed = self._purged(there) if object_ == CONTACTS else self._archived(object_, there)
        return {
            ref: failed.get(id_) or WriteResult(ref, Outcome.UPDATED if id_ in there else Outcome.UNCHANGED)
            for ref, id_ in ids.items()
        }

    def _archived(self, object_: str, ids: set[str]) -> dict[str, ConnectorError]:
        if ids:
            self._client.archive(object_, sorted(ids))
        return {}

    def _purged(self, ids: set[str]) -> dict[str, ConnectorError]:
        failed: dict[str, ConnectorError] = {}
        for id_ in sorted(ids):
            try:
                self._client.purge_contact(id_)
            except RecordNotFound:
                continue
            except ConnectorError as err:
                failed[id_] = err
        return failed
