"""Where our kinds of record live in an account: objects, ids, mappings.

A lead is a lead object where the account has them, else a contact. Which it is stands in the reference itself, so that
an account may get lead objects later: `0-136:12` is lead object 12, `12` is contact 12.
"""

import re
from collections.abc import Mapping
from importlib.resources import files

from connector.adapters.hubspot.cache import Cached
from connector.adapters.hubspot.client import HubSpotClient
from connector.adapters.mapping import ObjectMapping, read_mapping, shipped_mapping
from connector.errors import InvalidRecord, PermissionDenied, RecordNotFound, UnsupportedCapability
from connector.model.crm import ObjectType, RecordRef

_PACKAGE = "connector.adapters.hubspot"
KEY, PERSON = "hearback_key", "hearback_person"
LEADS, CONTACTS = "leads", "contacts"
LIFECYCLE, LEAD_STATUS = "lifecyclestage", "hs_lead_status"
_ID = re.compile(r"[0-9]{1,20}")
_LEAD = "0-136:"
_FOR_EVER = float("inf")


class Places:
    """Knows where things are in one account; asks it once whether it has lead objects."""

    def __init__(self, client: HubSpotClient) -> None:
        self.mappings = shipped_mapping(_PACKAGE)
        text = files(_PACKAGE).joinpath("leads.yaml").read_text("utf-8")
        of_leads = read_mapping(text, f"{_PACKAGE}: leads.yaml")
        self.lead_object, self.person = of_leads[ObjectType.LEAD], of_leads[ObjectType.CONTACT]
        self._has_leads = Cached(lambda: _probe(client), seconds=_FOR_EVER)

    def has_leads(self) -> bool:
        """Tell whether the account has lead objects and lets us see them; asked once."""
        return self._has_leads.get()

    def mapping(self, object_type: ObjectType) -> ObjectMapping:
        """Return where records of a type are made."""
        if object_type is ObjectType.LEAD and self.has_leads():
            return self.lead_object
        return self.shipped(object_type)

    def mapping_of(self, ref: RecordRef) -> ObjectMapping:
        """Return where one record lives."""
        return self.lead_object if is_lead_object(ref) else self.shipped(ref.object_type)

    def shipped(self, object_type: ObjectType) -> ObjectMapping:
        """Return a mapping of mapping.yaml."""
        mapping = self.mappings.get(object_type)
        if mapping is None:
            raise UnsupportedCapability(f"HubSpot has no {object_type}")
        return mapping

    def types(self) -> Mapping[str, ObjectType]:
        """Return our type of each object a change may tell of; a contact may be a lead, its record tells."""
        return {
            "companies": ObjectType.ACCOUNT,
            CONTACTS: ObjectType.CONTACT,
            LEADS: ObjectType.LEAD,
            "deals": ObjectType.DEAL,
            "tasks": ObjectType.TASK,
            "calls": ObjectType.CALL,
        }


def _probe(client: HubSpotClient) -> bool:
    try:
        client.page(LEADS, [], "", limit=1)
    except (PermissionDenied, RecordNotFound):
        return False
    return True


def ref_to(object_type: ObjectType, object_: str, id_: str) -> RecordRef:
    """Return the reference to a record of an object."""
    return RecordRef(object_type, f"{_LEAD}{id_}" if object_ == LEADS else id_)


def is_lead_object(ref: RecordRef) -> bool:
    """Tell a lead object from a contact."""
    return ref.id.startswith(_LEAD)


def id_of(ref: RecordRef) -> str:
    """Return HubSpot's own id of a record.

    Raises:
        InvalidRecord: it is none; it would change the address of a call.
    """
    return number(ref.id.removeprefix(_LEAD))


def number(id_: str) -> str:
    """Return an id that is one of HubSpot's.

    Raises:
        InvalidRecord: it is not.
    """
    if not _ID.fullmatch(id_):
        raise InvalidRecord("the record's id is not one of HubSpot's", fields=("record",))
    return id_
