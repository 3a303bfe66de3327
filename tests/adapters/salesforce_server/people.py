"""What people may see and do in an organisation: their own logins, private sharing, object and field rights.

A standard sales user's profile under private sharing: they see what they own, and tasks on a lead they see; standard
fields are open to them, custom ones by the permission sets they have. Who wrote a record first, teams, queues and
the role hierarchy are left out. (U) That whoever may not see a record is answered 404 for a read and 403 for a write.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from salesforce_server.metadata import Metadata
from salesforce_server.org import Org, Refused
from salesforce_server.schema import NS, SETUP

#: What a standard sales user may do with which object.
PROFILE: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("Lead", "Contact", "Account", "Opportunity", "Task"), frozenset(("read", "edit"))),
    **dict.fromkeys(("User", "Campaign", "CampaignMember"), frozenset(("read",))),
}
#: Setup rows everybody reads; the others take the right to view setup.
OPEN_SETUP = frozenset(("LeadStatus", "TaskStatus", "OpportunityStage", "Organization"))
#: Objects whose records everybody sees.
PUBLIC = frozenset((*OPEN_SETUP, "User", "Campaign"))
_SEEN = "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id"
_UNSEEN = "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "insufficient access rights on cross-reference id"
_LOCKED = "Unable to create/update fields: {}. Please check the security settings of this field and verify that it is "
_LOCKED += "read/write for your profile or permission set."

Made = tuple[int, Any]


class People:
    """Users of an organisation who work in it by their own logins."""

    def __init__(self, org: Org, metadata: Metadata) -> None:
        self.org = org
        self.metadata = metadata
        self._refresh: dict[str, str] = {}
        self._sessions: dict[str, str] = {}

    # Levers.

    def authorise(self, user: str) -> str:
        """Have a person sign in and allow an app to work as them; return its refresh token."""
        token = f"5Aep-refresh-{user}"
        self._refresh[token] = user
        return token

    def assign(self, set_: str, *users: str) -> None:
        """Give people a permission set, as an administrator does."""
        (id_,) = [row["Id"] for row in self.org.all("PermissionSet") if row["Name"] == set_]
        for user in users:
            self.org.insert("PermissionSetAssignment", AssigneeId=user, PermissionSetId=id_)

    # Serving.

    def token(self, form: Mapping[str, str]) -> str | None:
        """Mint a session for a person's refresh token; None for whatever is none."""
        user = self._refresh.get(form.get("refresh_token", ""))
        if form.get("grant_type") != "refresh_token" or user is None:
            return None
        if not self.org.rows[user]["IsActive"]:
            raise Refused("invalid_grant", "inactive user")
        session = f"00D!session-{len(self._sessions) + 1}-{user}"
        self._sessions[session] = user
        return session

    def user_of(self, session: str) -> str | None:
        """Return whose session it is."""
        return self._sessions.get(session)

    def answer(self, user: str, method: str, url: str, body: bytes) -> Made:
        """Answer a request for a resource below the version's root as it is for this person."""
        path, _, query = url.partition("?")
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        rights = Rights(self, user)
        match method, [unquote(part) for part in urlsplit(path).path.split("/")]:
            case "GET", ["query"]:
                return 200, rights.query(asked["q"])
            case "GET", ["sobjects", object_, "describe"]:
                return 200, rights.describe(object_)
            case "GET", ["sobjects", object_, id_]:
                names = asked["fields"].split(",") if "fields" in asked else []
                return 200, rights.read(object_, id_, names)
            case "PATCH", ["sobjects", object_, id_]:
                rights.write(object_, id_, json.loads(body))
                return 204, None
            case "DELETE", ["sobjects", object_, id_]:
                rights.delete(object_, id_)
                return 204, None
        raise Refused("NOT_FOUND", "The requested resource does not exist")


class Rights:
    """What one person may do."""

    def __init__(self, people: People, user: str) -> None:
        self._org = people.org
        self._user = user
        given = [
            row["PermissionSetId"] for row in people.org.living("PermissionSetAssignment") if row["AssigneeId"] == user
        ]
        names = {people.org.rows[id_]["Name"] for id_ in given}
        known = people.metadata.components.items()
        self._sets = [element for (type_, name), element in known if type_ == "PermissionSet" and name in names]

    def query(self, text: str) -> dict[str, Any]:
        rows = self._org.query(text, deleted=False, seen=self.sees, readable=self.readable)
        return {"totalSize": len(rows), "done": True, "records": rows}

    def describe(self, object_: str) -> dict[str, Any]:
        self._may("read", object_)
        known = self._org.schema.objects[object_]
        fields = [
            told.described() | {"updateable": told.updateable and self.editable(object_, name)}
            for name, told in known.items()
            if self.readable(object_, name)
        ]
        edits = "edit" in self._on(object_)
        return {"name": object_, "createable": False, "updateable": edits, "deletable": False, "fields": fields}

    def read(self, object_: str, id_: str, names: Sequence[str]) -> dict[str, Any]:
        self._may("read", object_)
        row = self._org.rows.get(id_)
        if row is None or self._org.of[id_] != object_ or row.get("IsDeleted") or not self.sees(object_, row):
            raise Refused("NOT_FOUND", "The requested resource does not exist")
        lost = [name for name in names if not self.readable(object_, name)]
        if lost:
            raise Refused("INVALID_FIELD", f"No such column '{lost[0]}' on sobject of type {object_}")
        shown = names or [name for name in self._org.schema.objects[object_] if self.readable(object_, name)]
        return {"attributes": {"type": object_}, "Id": id_, **{name: row.get(name) for name in shown}}

    def write(self, object_: str, id_: str, fields: dict[str, Any]) -> None:
        self._owned("edit", object_, id_)
        locked = sorted(name for name in fields if not self.editable(object_, name))
        unseen = [name for name in locked if not self.readable(object_, name)]
        if unseen:
            raise Refused("INVALID_FIELD", f"No such column '{unseen[0]}' on sobject of type {object_}")
        if locked:
            raise Refused("INVALID_FIELD_FOR_INSERT_UPDATE", _LOCKED.format(", ".join(locked)), locked)
        self._org.update(object_, id_, fields)

    def delete(self, object_: str, id_: str) -> None:
        self._owned("delete", object_, id_)
        self._org.delete(id_)

    def sees(self, object_: str, row: Mapping[str, Any]) -> bool:
        """Tell whether a record is shared with this person."""
        if object_ in PUBLIC or row.get("OwnerId") == self._user:
            return True
        on = self._org.rows.get(row.get("WhoId") or "") if object_ == "Task" else None
        return on is not None and on.get("OwnerId") == self._user

    def readable(self, object_: str, name: str) -> bool:
        if object_ in SETUP:
            return object_ in OPEN_SETUP
        return self._field(object_, name, "readable")

    def editable(self, object_: str, name: str) -> bool:
        return self._field(object_, name, "editable")

    def _field(self, object_: str, name: str, right: str) -> bool:
        if name not in self._org.schema.objects.get(object_, {}):
            return False
        return not name.endswith("__c") or self._granted("fieldPermissions", "field", f"{object_}.{name}", right)

    def _on(self, object_: str) -> frozenset[str]:
        more = {
            verb
            for verb, right in (("read", "allowRead"), ("edit", "allowEdit"), ("delete", "allowDelete"))
            if self._granted("objectPermissions", "object", object_, right)
        }
        return PROFILE.get(object_, frozenset()) | more

    def _granted(self, kind: str, key: str, name: str, right: str) -> bool:
        return any(
            each.findtext(f"{NS}{key}") == name and each.findtext(f"{NS}{right}") == "true"
            for set_ in self._sets
            for each in set_.findall(f"{NS}{kind}")
        )

    def _may(self, verb: str, object_: str) -> None:
        if verb not in self._on(object_):
            raise Refused("NOT_FOUND", "The requested resource does not exist")

    def _owned(self, verb: str, object_: str, id_: str) -> None:
        """Refuse a change of what this person cannot see, or may not change so."""
        self._may("read", object_)
        row = self._org.rows.get(id_)
        if row is None or self._org.of[id_] != object_ or not self.sees(object_, row):
            raise Refused(*_UNSEEN)
        if verb not in self._on(object_) or row.get("OwnerId") != self._user:
            raise Refused(*_SEEN)
