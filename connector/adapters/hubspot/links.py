"""Links between records: associations in HubSpot, fields of ours."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from connector.adapters.hubspot.client import BATCH, HubSpotClient, Json
from connector.adapters.hubspot.places import CONTACTS, LEADS, Places, id_of, is_lead_object, ref_to
from connector.model.crm import ObjectType, RecordRef, Upsert, Value

#: Which of our fields are links, and to what.
LINKS: Mapping[ObjectType, Mapping[str, ObjectType]] = MappingProxyType(
    {
        ObjectType.CONTACT: {"account": ObjectType.ACCOUNT},
        ObjectType.DEAL: {"lead": ObjectType.LEAD, "contact": ObjectType.CONTACT},
        ObjectType.TASK: {"lead": ObjectType.LEAD, "deal": ObjectType.DEAL},
        ObjectType.CALL: {"deal": ObjectType.DEAL, "lead": ObjectType.LEAD},
    }
)
#: HubSpot's own association types of records that are made with their links: the same in every account, so no call is
#: spent on reading them (HubSpot developer docs, "Associations v4", "Association type ID values", as of March 2026).
_TYPES = MappingProxyType(
    {("tasks", CONTACTS): 204, ("tasks", "deals"): 216, ("tasks", LEADS): 647, (LEADS, CONTACTS): 578}
)


class Links:
    """Reads and writes links of one account."""

    def __init__(self, client: HubSpotClient, places: Places) -> None:
        self._client = client
        self._places = places

    def split(self, command: Upsert) -> tuple[Upsert, dict[str, str]]:
        """Return a command without its links, and the ids of the records it links to by object."""
        kinds = LINKS.get(command.object_type, {})
        rest = {name: value for name, value in command.fields.items() if name not in kinds}
        linked: dict[str, str] = {}
        for name, value in command.fields.items():
            if name in kinds and value:
                ref = RecordRef(kinds[name], str(value))
                linked[self._object(ref)] = id_of(ref)
        return replace(command, fields=rest), linked

    def with_record(self, object_: str, linked: Mapping[str, str]) -> list[Json]:
        """Return the associations a record is made with."""
        return [
            {
                "to": {"id": id_},
                "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": _TYPES[object_, other]}],
            }
            for other, id_ in linked.items()
        ]

    def write(self, object_: str, wanted: Sequence[tuple[str, Mapping[str, str]]]) -> None:
        """Link records that exist; doing it again changes nothing."""
        pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for id_, linked in wanted:
            for other, to in linked.items():
                pairs[other].append((id_, to))
        for other, both in pairs.items():
            self._client.link(object_, other, both)

    def wanted(self, object_type: ObjectType) -> list[str]:
        """Return the objects that records of a type are linked to."""
        return list(dict.fromkeys(self._shown(kind) for kind in LINKS.get(object_type, {}).values()))

    def read(self, object_type: ObjectType, object_: str, ids: Sequence[str]) -> dict[str, dict[str, list[str]]]:
        """Return the linked ids of each record by object; people's own links are not worth a call each page."""
        if object_ in (CONTACTS, LEADS) or object_type not in LINKS:
            return {}
        found: dict[str, dict[str, list[str]]] = {id_: {} for id_ in ids}
        for other in self.wanted(object_type):
            for start in range(0, len(ids), BATCH):
                for id_, linked in self._client.linked(object_, other, ids[start : start + BATCH]).items():
                    found.setdefault(id_, {})[other] = linked
        return found

    def fields(self, object_type: ObjectType, linked: Mapping[str, Sequence[str]]) -> dict[str, Value]:
        """Return the link fields of a record; the first where HubSpot knows several."""
        read: dict[str, Value] = {}
        for name, kind in LINKS.get(object_type, {}).items():
            other = self._shown(kind)
            ids = linked.get(other) or ()
            read[name] = ref_to(kind, other, ids[0]).id if ids else None
        return read

    def _shown(self, kind: ObjectType) -> str:
        return self._places.mapping(kind).name

    def _object(self, ref: RecordRef) -> str:
        return LEADS if is_lead_object(ref) else self._places.shipped(ref.object_type).name
