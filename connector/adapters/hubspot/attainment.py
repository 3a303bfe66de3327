"""Attainment on the user record: the one place of a rep's own an app may write to.

HubSpot's owners are read-only, and the value of a goal is its own sum. Of user records the documentation lists
six properties that can be set; whether an account also takes properties of ours there, `parts` finds out (U).
"""

from collections.abc import Mapping

from connector.adapters.hubspot.cache import Cached
from connector.adapters.hubspot.client import HubSpotClient
from connector.adapters.hubspot.errors import OWNER
from connector.adapters.hubspot.places import number
from connector.adapters.hubspot.values import outward
from connector.adapters.hubspot.writing import Item, Writer
from connector.adapters.mapping import ObjectMapping
from connector.errors import (
    ConnectorError,
    InvalidRecord,
    PermissionDenied,
    RecordNotFound,
    UnexpectedAnswer,
    UnsupportedCapability,
)
from connector.model.crm import ObjectType, Outcome, RecordRef, Upsert, WriteResult

_USERS = "users"
_MOST_PAGES = 1_000
NO_PLACE = (
    "HubSpot has no place for attainment here: it takes no properties of ours on user records; "
    "attainment stays in Hearback's console"
)


class UserRecords:
    """Writes to the user records behind owners."""

    def __init__(self, client: HubSpotClient) -> None:
        self._client = client
        self._writer = Writer(client)
        self._by_owner = Cached(self._load)

    def write(self, mapping: ObjectMapping, commands: Mapping[int, Upsert]) -> dict[int, WriteResult | ConnectorError]:
        """Apply commands, whose records are owners, by place."""
        results: dict[int, WriteResult | ConnectorError] = {}
        wanted: dict[str, Item] = {}
        for place, command in commands.items():
            try:
                owner = number(command.record.id if command.record else "")
                id_ = self._by_owner.get().get(owner)
                if id_ is None:
                    raise RecordNotFound("HubSpot shows no user record for this owner")
                before = wanted[id_].properties if id_ in wanted else {}
                written = {**before, **outward(mapping.to_vendor(command))}
                wanted[id_] = Item(place, written, id_, command.trace)
                results[place] = WriteResult(RecordRef(ObjectType.USER, owner), Outcome.UPDATED)
            except PermissionDenied:
                results[place] = UnsupportedCapability(NO_PLACE)
            except (InvalidRecord, RecordNotFound) as err:
                results[place] = err
        answers = self._writer.update(_USERS, list(wanted.values())) if wanted else {}
        for place, answer in answers.items():
            if isinstance(answer, ConnectorError):
                results[place] = UnsupportedCapability(NO_PLACE) if _has_no_place(answer) else answer
        return results

    def _load(self) -> dict[str, str]:
        """Return the user record of each owner; the two have ids of their own."""
        found: dict[str, str] = {}
        after = ""
        for _ in range(_MOST_PAGES):
            entries, after = self._client.page(_USERS, [OWNER], after)
            found |= {str(entry.properties[OWNER]): entry.id for entry in entries if entry.properties.get(OWNER)}
            if not after:
                return found
        raise UnexpectedAnswer("users: the pages do not end")


def _has_no_place(error: ConnectorError) -> bool:
    return error.code == "PROPERTY_DOESNT_EXIST"
