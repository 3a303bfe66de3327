"""What we need in an organisation, from the SFDX project this software ships, and how it stands there."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import parse

from connector.adapters.salesforce import metadata
from connector.adapters.salesforce.client import SalesforceClient, soql
from connector.adapters.salesforce.metadata import NS
from connector.errors import ConfigurationError, PermanentError
from connector.model.crm import Part, PartState

PERMISSIONS = "Hearback"
_REPS = "Hearback_Rep"
_ASSIGNMENT = f"PermissionSetAssignment.{PERMISSIONS}"
_PAGE_PART = "Lead page"
#: What a rep must see on a lead, and answers in.
_ON_PAGE = ("Hearback_Reason__c", "Hearback_Response_Due__c", "Hearback_Response__c", "Hearback_Campaign__c")
#: What makes a field another one; labels and help are the administrator's.
_SHAPE = ("type", "length", "precision", "scale", "unique", "externalId")


#: The project's files in order of making.
_FILES = (
    ("objects/*/*.object-meta.xml", "CustomObject"),
    ("objects/*/fields/*.field-meta.xml", "CustomField"),
    ("permissionsets/*.permissionset-meta.xml", "PermissionSet"),
)


@dataclass(frozen=True, slots=True)
class Component:
    """One file of the project: a component of the Metadata API."""

    type: str
    name: str
    element: Element

    @property
    def what(self) -> str:
        """Return what it is, for an administrator."""
        label = self.element.findtext(f"{NS}label") or self.name
        if self.type == "CustomField":
            kind = self.element.findtext(f"{NS}type") or ""
            return f"{kind} field of {self.name.partition('.')[0]}: {label}"
        return {"CustomObject": f"object: {label}", "PermissionSet": f"permission set: {label}"}[self.type]


class Parts:
    """The parts of one organisation."""

    def __init__(self, client: SalesforceClient) -> None:
        self._client = client

    def all(self) -> list[Part]:
        """Return every part in order of making, as it is now."""
        components = project()
        found: dict[str, Element] = {}
        for type_ in dict.fromkeys(component.type for component in components):
            names = [component.name for component in components if component.type == type_]
            found |= metadata.read(self._client, type_, names)
        made = [_part(component, found.get(component.name)) for component in components]
        return [*made, self._assignment(), self._reps(), self._page()]

    def install(self, part: Part) -> None:
        """Make one part.

        Raises:
            PermanentError: it is made by a person: its remedy says by whom.
        """
        if part.name == _ASSIGNMENT:
            self._assign()
            return
        component = _component(part)
        metadata.upsert(self._client, component.type, component.name, component.element)

    def uninstall(self, part: Part) -> None:
        """Remove one part with what it holds."""
        if part.name == _ASSIGNMENT:
            self._take_back(PERMISSIONS, self._client.user())
            return
        component = _component(part)
        if component.type == "PermissionSet":
            self._take_back(component.name)
        metadata.delete(self._client, component.type, component.name)

    def _assignment(self) -> Part:
        state = PartState.PRESENT if self._assigned(PERMISSIONS, self._client.user()) else PartState.MISSING
        return Part(_ASSIGNMENT, "the integration user has the permission set Hearback", state)

    def _reps(self) -> Part:
        remedy = (
            "an administrator assigns the permission set Hearback Rep to everybody who gets leads: "
            "Setup, Permission Sets, Hearback Rep, Manage Assignments"
        )
        state = PartState.PRESENT if self._assigned(_REPS) else PartState.MISSING
        return Part(f"PermissionSetAssignment.{_REPS}", "reps see the fields of Hearback", state, remedy)

    def _page(self) -> Part:
        remedy = (
            "an administrator puts the fields Why this lead is yours, Respond by, Your answer and Mailing or campaign "
            "on the lead's page layout, or on its Lightning page with Dynamic Forms (which cannot be looked up here)"
        )
        try:
            shown = str(self._client.get("sobjects/Lead/describe/layouts").body)
        except PermanentError:
            shown = ""
        missing = [name for name in _ON_PAGE if name not in shown]
        state = PartState.MISSING if missing else PartState.PRESENT
        found = f"without {', '.join(missing)}" if missing else ""
        return Part(_PAGE_PART, "what a rep sees of a lead", state, remedy, found)

    def _assigned(self, name: str, user: str = "") -> list[str]:
        set_ = self._set(name)
        if not set_:
            return []
        text = "SELECT Id, AssigneeId FROM PermissionSetAssignment WHERE PermissionSetId = {} ORDER BY Id LIMIT 2000"
        found = self._client.query(soql(text, set_))
        return [str(row.get("Id")) for row in found if not user or row.get("AssigneeId") == user]

    def _set(self, name: str) -> str:
        found = self._client.query(soql("SELECT Id FROM PermissionSet WHERE Name = {}", name))
        return str(found[0].get("Id")) if found else ""

    def _assign(self) -> None:
        user = self._client.user()
        set_ = self._set(PERMISSIONS)
        if not set_:
            raise PermanentError("the permission set Hearback is not there: make it first")
        if not self._assigned(PERMISSIONS, user):
            self._client.write(
                "POST", "sobjects/PermissionSetAssignment", {"AssigneeId": user, "PermissionSetId": set_}
            )

    def _take_back(self, name: str, user: str = "") -> None:
        for id_ in self._assigned(name, user):
            self._client.write("DELETE", f"sobjects/PermissionSetAssignment/{id_}")


@cache
def project() -> Sequence[Component]:
    """Return the components this software ships, in order of making.

    Raises:
        ConfigurationError: the installation lacks them.
    """
    package = Path(str(files("connector")))
    for folder in (package / "_config", package.parent / "config"):
        root = folder / "crm/salesforce/force-app/main/default"
        if root.is_dir():
            return [component for pattern, type_ in _FILES for component in _of(root, pattern, type_)]
    raise ConfigurationError("the folder crm/salesforce is not installed: reinstall")


def _of(root: Path, pattern: str, type_: str) -> list[Component]:
    found = []
    for path in sorted(root.glob(pattern)):
        name = path.name.partition(".")[0]
        full = f"{path.parent.parent.name}.{name}" if type_ == "CustomField" else name
        found.append(Component(type_, full, _element(path)))
    return found


def _element(path: Path) -> Element:
    element: Element | None = parse(path, forbid_dtd=True).getroot()
    assert element is not None
    return element


def _component(part: Part) -> Component:
    found = next((component for component in project() if component.name == part.name), None)
    if found is None:
        raise PermanentError(f"{part.name} is made by a person: {part.remedy}")
    return found


def _part(component: Component, there: Element | None) -> Part:
    if there is None:
        return Part(component.name, component.what, PartState.MISSING)
    found = ""
    if component.type == "CustomField":
        found = _field_differs(component.element, there)
    elif component.type == "PermissionSet":
        found = _set_differs(component.element, there)
    return Part(component.name, component.what, PartState.DIFFERS if found else PartState.PRESENT, found=found)


def _field_differs(ours: Element, theirs: Element) -> str:
    """Return how a field is another than ours; what Salesforce leaves out is its default."""
    wrong = []
    for name in _SHAPE:
        wanted, told = ours.findtext(f"{NS}{name}"), theirs.findtext(f"{NS}{name}")
        if wanted is not None and (told or "false") != wanted:
            wrong.append(f"{name} is {told or 'not set'}, not {wanted}")
    values = f"{NS}valueSet/{NS}valueSetDefinition/{NS}value/{NS}fullName"
    missing = {e.text for e in ours.findall(values)} - {e.text for e in theirs.findall(values)}
    if missing:
        wrong.append(f"without the values {', '.join(sorted(filter(None, missing)))}")
    return "; ".join(wrong)


def _set_differs(ours: Element, theirs: Element) -> str:
    missing = sorted(_granted(ours) - _granted(theirs))
    return f"does not grant {', '.join(missing)}" if missing else ""


def _granted(element: Element) -> set[str]:
    """Return what a permission set grants, one entry for each right."""
    found = set()
    for entry in element:
        name = next((e.text for e in entry if e.tag in (f"{NS}field", f"{NS}object", f"{NS}name")), None)
        if name:
            found |= {f"{name} {e.tag.removeprefix(NS)}" for e in entry if e.text == "true"}
    return found
