"""HubSpot's records as ours."""

from collections.abc import Mapping, Sequence

from connector.adapters.hubspot.client import Entry
from connector.adapters.hubspot.links import Links
from connector.adapters.hubspot.places import CONTACTS, KEY, LEAD_STATUS, LEADS, LIFECYCLE, Places, ref_to
from connector.adapters.hubspot.stages import Stages
from connector.adapters.hubspot.values import canonical, inward, moment
from connector.adapters.mapping import ObjectMapping
from connector.model.crm import ObjectType, Record, Value

#: HubSpot's own list of the records that were merged into this one.
MERGED = "hs_merged_object_ids"
#: What a contact's lead status says when nobody works on it as a lead any more.
_ENDED = frozenset({"OPEN_DEAL", "UNQUALIFIED"})
#: Stages of those who were leads; their lead status may stand as it was.
_PAST = frozenset({"opportunity", "customer", "evangelist", "other"})


def changed_property(object_: str) -> str:
    """Return the property that holds when a record was last changed; contacts have a name of their own for it."""
    return "lastmodifieddate" if object_ == CONTACTS else "hs_lastmodifieddate"


class Records:
    """Reads entries of one account."""

    def __init__(self, places: Places, links: Links, stages: Stages) -> None:
        self._places = places
        self._links = links
        self._stages = stages

    def properties(self, object_: str) -> Sequence[str]:
        """Return the properties to ask for."""
        mappings = [self._places.lead_object] if object_ == LEADS else list(self._places.mappings.values())
        names = [name for mapping in mappings if mapping.name == object_ for name in mapping.vendor_names]
        extra = [changed_property(object_), *([MERGED, LIFECYCLE] if object_ == CONTACTS else [])]
        return list(dict.fromkeys([*names, *extra]))

    def type_of(self, object_: str, entry: Entry) -> ObjectType:
        """Return our type of a record: a contact that carries our key is a lead, and so is an open one born there."""
        if object_ == CONTACTS and (entry.properties.get(KEY) or self.is_born_lead(entry)):
            return ObjectType.LEAD
        return self._places.types()[object_]

    def is_born_lead(self, entry: Entry) -> bool:
        """Tell a contact that somebody works on as a lead, in an account whose leads are contacts: not one of ours.

        Without a lead status nobody does, whatever its lifecycle stage: that is where imports and forms put people.
        """
        status = inward({LEAD_STATUS: entry.properties.get(LEAD_STATUS)})[LEAD_STATUS]
        if entry.properties.get(KEY) or not status or status in _ENDED:
            return False
        return entry.properties.get(LIFECYCLE) not in _PAST and not self._places.has_leads()

    def contact(self, entry: Entry, linked: Mapping[str, Sequence[str]] | None = None) -> Record:
        """Return a contact as one, whatever else it is."""
        return self.in_words(ObjectType.CONTACT, self._places.shipped(ObjectType.CONTACT), entry, linked)

    def record(self, object_: str, entry: Entry, linked: Mapping[str, Sequence[str]] | None = None) -> Record:
        """Return an entry as a record."""
        object_type = self.type_of(object_, entry)
        mapping = self._places.lead_object if object_ == LEADS else self._places.shipped(object_type)
        return self.in_words(object_type, mapping, entry, linked)

    def in_words(
        self,
        object_type: ObjectType,
        mapping: ObjectMapping,
        entry: Entry,
        linked: Mapping[str, Sequence[str]] | None = None,
    ) -> Record:
        """Return an entry in the words of a mapping."""
        properties = inward(entry.properties)
        fields = canonical(mapping.to_canonical(properties))
        fields |= self._links.fields(object_type, linked if linked is not None else entry.links)
        self._name_stage(mapping.name, fields)
        at = moment(entry.properties.get(changed_property(mapping.name)) or "")
        key = properties.get(mapping.key_field or "")
        return Record(ref_to(object_type, mapping.name, entry.id), fields, at, key or "")

    def _name_stage(self, object_: str, fields: dict[str, Value]) -> None:
        name = {"deals": "stage", LEADS: "status"}.get(object_)
        if name and fields.get(name):
            fields[name] = self._stages.meaning(object_, str(fields[name]))
