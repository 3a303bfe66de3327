"""What we need in an account: told, made, removed. Properties stand in a group of their own on each object."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from connector.adapters.hubspot.client import HubSpotClient, Json
from connector.adapters.hubspot.definitions import GROUP, GROUP_LABEL, Definition, definitions
from connector.adapters.hubspot.errors import AlreadyThere
from connector.adapters.hubspot.places import Places
from connector.errors import InvalidRecord, PermissionDenied, RecordNotFound
from connector.model.crm import Part, PartState

_FINAL = (
    "An admin deletes it for good: Settings > Properties > Archived properties; then install again. HubSpot never "
    "changes whether a property's values are unique"
)
_NO_SCOPE = "An admin of the account gives the app the scopes crm.schemas.{object}.read and crm.schemas.{object}.write"
_ONLY_WRITES = {"users": "crm.objects.users.read and crm.objects.users.write", "tasks": "crm.objects.contacts.write"}


class Parts:
    """Tells, makes and removes our parts of one account."""

    def __init__(self, client: HubSpotClient, places: Places) -> None:
        self._client = client
        self._places = places

    def told(self) -> Sequence[Part]:
        """Return every part as it is now: a group for each object, then its properties."""
        return [part for object_, wanted in self._wanted().items() for part in self._of(object_, wanted)]

    def install(self, part: Part) -> None:
        """Make a part, or bring it into shape."""
        object_, name = _names(part)
        definition = self._definition(object_, name)
        try:
            if definition is None:
                self._make_group(object_)
            else:
                self._make(object_, definition)
        except (InvalidRecord, RecordNotFound) as err:
            refused = PermissionDenied(
                f"{object_}: HubSpot does not let an app define {name} here ({err.code or err.status}): "
                f"an admin makes it by hand, or leaves it out",
                status=err.status,
                code=err.code,
            )
        else:
            return
        raise refused

    def uninstall(self, part: Part) -> None:
        """Archive a part of ours; one that is gone already is no error."""
        object_, name = _names(part)
        if not name.startswith(GROUP):
            return
        archive = (
            self._client.archive_group if self._definition(object_, name) is None else self._client.archive_property
        )
        try:
            archive(object_, name)
        except RecordNotFound:
            return

    def _wanted(self) -> Mapping[str, tuple[Definition, ...]]:
        return definitions(leads=self._places.has_leads())

    def _definition(self, object_: str, name: str) -> Definition | None:
        """Return the definition of a property; None for a group."""
        return next((each for each in self._wanted().get(object_, ()) if each.name == name), None)

    def _of(self, object_: str, wanted: Sequence[Definition]) -> list[Part]:
        try:
            groups = {str(group.get("name")) for group in self._client.groups(object_)}
            there = {str(each.get("name")): each for each in self._client.properties(object_)}
            archived = {str(each.get("name")) for each in self._client.properties(object_, archived=True)}
        except (PermissionDenied, RecordNotFound, InvalidRecord):
            remedy = _remedy(object_)
            return [_part(object_, each.name, _what(object_, each), PartState.MISSING, remedy) for each in wanted]
        state = PartState.PRESENT if GROUP in groups else PartState.MISSING
        parts = [_part(object_, GROUP, f"group of properties of {object_}", state)]
        return parts + [_property(object_, each, there.get(each.name), each.name in archived) for each in wanted]

    def _make_group(self, object_: str) -> None:
        with suppress(AlreadyThere):
            self._client.create_group(object_, GROUP, GROUP_LABEL)

    def _make(self, object_: str, definition: Definition) -> None:
        with suppress(AlreadyThere):
            self._client.create_property(object_, definition.body())
        # Whoever was there before, or was archived and is restored as it was, is brought into shape.
        there = next((p for p in self._client.properties(object_) if p.get("name") == definition.name), None)
        if there is not None and _differences(definition, there):
            self._client.change_property(object_, definition.name, definition.change())


def _names(part: Part) -> tuple[str, str]:
    object_, _, name = part.name.partition(".")
    return object_, name


def _part(object_: str, name: str, what: str, state: PartState, remedy: str = "", found: str = "") -> Part:
    return Part(f"{object_}.{name}", what, state, remedy, found)


def _property(object_: str, definition: Definition, there: Json | None, archived: bool) -> Part:
    what = _what(object_, definition)
    if there is None:
        found = "archived: making it brings it back with the values it had" if archived else ""
        return _part(object_, definition.name, what, PartState.MISSING, found=found)
    differences = _differences(definition, there)
    if not differences:
        return _part(object_, definition.name, what, PartState.PRESENT)
    remedy = _FINAL if _is_final(definition, there) else ""
    return _part(object_, definition.name, what, PartState.DIFFERS, remedy, "; ".join(differences))


def _what(object_: str, definition: Definition) -> str:
    unique = ", unique" if definition.unique else ""
    return f"{definition.kind.word} of {object_}{unique}: {definition.label}"


def _differences(definition: Definition, there: Json) -> list[str]:
    """Say how a property of our name is not as we need it; its label is the admin's."""
    differences = []
    if there.get("type") != definition.kind.type:
        differences.append(f"its type is {there.get('type')}")
    has = {str(option.get("value")) for option in there.get("options") or ()}
    lacking = [value for value, _ in definition.options if value not in has]
    if lacking:
        differences.append(f"it lacks the options {', '.join(lacking)}")
    if _is_final(definition, there):
        differences.append("its values are not unique")
    return differences


def _is_final(definition: Definition, there: Json) -> bool:
    return definition.unique and there.get("hasUniqueValue") is not True


def _remedy(object_: str) -> str:
    if object_ in _ONLY_WRITES:
        return f"An admin of the account gives the app the scopes {_ONLY_WRITES[object_]}"
    return _NO_SCOPE.format(object=object_)
