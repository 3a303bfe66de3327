"""What a write does to records. Pure: the records as they are come in, the changes go out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connector.adapters.sandbox.crm.shapes import ID, KEY_FIELD, SHAPES, Shape

Fields = dict[str, Any]
_CLOSED_STAGES = ("Won", "Lost")


class Refusal(Exception):
    """The CRM will not do that; `code` is what its API documents."""

    def __init__(self, code: str, message: str, *, fields: Sequence[str] = (), status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.fields = tuple(fields)
        self.status = status

    def as_json(self) -> dict[str, Any]:
        """Return the error object of the API."""
        return {"code": self.code, "message": str(self), "fields": list(self.fields)}


@dataclass(frozen=True, slots=True)
class Item:
    """One record of a write as it was asked for. `create` allows an id of the caller's own."""

    fields: Fields
    id: str | None = None
    trace: str = ""
    create: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A record as it is stored."""

    id: str
    object: str
    fields: Fields
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one item: created, updated, unchanged, deleted, duplicate or failed."""

    status: str
    id: str | None = None
    refusal: Refusal | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the item of a batch answer."""
        if self.refusal is not None:
            return {"status": self.status, "error": self.refusal.as_json()}
        return {"status": self.status, "id": self.id}


@dataclass(frozen=True, slots=True)
class Change:
    """A record's new state, to be stored."""

    id: str
    fields: Fields
    type: str


@dataclass(frozen=True, slots=True)
class Rules:
    """Who writes, when, and under which house rules."""

    now: str
    acting: str | None = None
    link_duplicates: bool = False
    new_id: Callable[[str], str] = field(default=lambda prefix: prefix)


class Snapshot:
    """The records a write may touch or point at."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._by_id: dict[str, Row] = {}
        self._by_key: dict[tuple[str, str], str] = {}
        self._lead_by_email: dict[str, str] = {}
        for row in rows:
            self.put(row)

    def put(self, row: Row) -> None:
        """Hold a record in its newest state."""
        self._by_id[row.id] = row
        if row.deleted:
            return
        if key := row.fields.get(KEY_FIELD):
            self._by_key[row.object, key] = row.id
        if row.object == "leads" and (email := row.fields.get("Email")):
            self._lead_by_email[email.lower()] = row.id

    def get(self, object_: str, id_: str) -> Row | None:
        """Return a live record of that object."""
        row = self._by_id.get(id_)
        return row if row is not None and row.object == object_ and not row.deleted else None

    def held(self, object_: str, id_: str) -> Row | None:
        """Return a record of that object, a deleted one too."""
        row = self._by_id.get(id_)
        return row if row is not None and row.object == object_ else None

    def taken(self, id_: str) -> bool:
        """Tell whether an id was ever given."""
        return id_ in self._by_id

    def with_key(self, object_: str, key: str) -> Row | None:
        """Return the live record that carries the key."""
        id_ = self._by_key.get((object_, key))
        row = None if id_ is None else self.get(object_, id_)
        return row if row is not None and row.fields.get(KEY_FIELD) == key else None

    def lead_with_email(self, email: str) -> Row | None:
        """Return a live lead with that address."""
        id_ = self._lead_by_email.get(email.lower())
        return None if id_ is None else self.get("leads", id_)


class Write:
    """Applies the items of one request in order and gathers what has to be stored."""

    def __init__(self, shape: Shape, snapshot: Snapshot, rules: Rules) -> None:
        self._shape = shape
        self._snapshot = snapshot
        self._rules = rules
        self._changes: dict[str, Change] = {}

    @property
    def changes(self) -> Iterator[Change]:
        """Yield each changed record once, in its final state."""
        return iter(self._changes.values())

    def apply(self, item: Item) -> Result:
        """Apply one item; a refusal is its result and spares the others."""
        try:
            return self._apply(item)
        except Refusal as refusal:
            return Result("failed", item.id, refusal)

    def delete(self, id_: str) -> Result:
        """Delete one record."""
        row = self._existing(id_)
        self._put(Row(row.id, row.object, row.fields, deleted=True), "deleted")
        return Result("deleted", id_)

    def erase(self, id_: str) -> Result:
        """Empty one record and delete it, unless it is empty already."""
        row = self._snapshot.held(self._shape.object, id_)
        if row is None or not row.fields:
            return Result("unchanged", id_)
        self._put(Row(row.id, row.object, {}, deleted=True), "deleted")
        return Result("deleted", id_)

    def _apply(self, item: Item) -> Result:
        self._check_fields(item.fields)
        row = self._target(item)
        if row is None:
            return self._create(item)
        return self._update(row, item.fields)

    def _target(self, item: Item) -> Row | None:
        if item.id is not None and not item.create:
            return self._existing(item.id)
        key = item.fields.get(KEY_FIELD)
        if self._shape.keyed and key:
            return self._snapshot.with_key(self._shape.object, key)
        return None

    def _existing(self, id_: str) -> Row:
        row = self._snapshot.get(self._shape.object, id_)
        if row is None:
            raise Refusal("NOT_FOUND", f"no such record in {self._shape.object}", status=404)
        return row

    def _create(self, item: Item) -> Result:
        twin = self._twin(item.fields)
        if twin is not None:
            return Result("duplicate", twin.id)
        missing = [name for name in self._shape.required if not item.fields.get(name)]
        if missing:
            raise Refusal("REQUIRED", "required fields are missing", fields=missing)
        id_ = self._new_id(item)
        fields = self._completed({}, {**self._shape.defaults, **item.fields})
        self._check_references(fields, fields)
        self._put(Row(id_, self._shape.object, fields), "created")
        return Result("created", id_)

    def _new_id(self, item: Item) -> str:
        if item.id is None and self._shape.object == "users":
            raise Refusal("REQUIRED", "a user needs an id", fields=("id",))
        if item.id is None:
            return self._rules.new_id(self._shape.prefix)
        if not ID.fullmatch(item.id) or self._snapshot.taken(item.id):
            raise Refusal("DUPLICATE_VALUE", "the id is taken or malformed", fields=("id",))
        return item.id

    def _twin(self, fields: Fields) -> Row | None:
        if not self._rules.link_duplicates or self._shape.object != "leads" or not fields.get("Email"):
            return None
        return self._snapshot.lead_with_email(fields["Email"])

    def _update(self, row: Row, changed: Fields) -> Result:
        fields = self._completed(row.fields, changed)
        if fields == row.fields:
            return Result("unchanged", row.id)
        new = {name: value for name, value in fields.items() if row.fields.get(name) != value}
        self._check_references(new, fields)
        self._check_key(row, fields)
        self._put(Row(row.id, row.object, fields), "updated")
        return Result("updated", row.id)

    def _put(self, row: Row, type_: str) -> None:
        self._snapshot.put(row)
        earlier = self._changes.get(row.id)
        was_new = earlier is not None and earlier.type == "created"
        self._changes[row.id] = Change(row.id, row.fields, "created" if was_new else type_)

    def _completed(self, old: Fields, changed: Fields) -> Fields:
        fields = {name: value for name, value in (old | changed).items() if value is not None}
        if self._shape.object == "deals" and "ClosedAt" not in changed:
            _date_the_closing(old, fields, self._rules.now)
        if self._shape.object == "calls":
            fields.setdefault("OccurredAt", self._rules.now)
        return fields

    def _check_fields(self, fields: Fields) -> None:
        unknown, bad = [], []
        for name, value in fields.items():
            check = self._shape.check_of(name)
            if check is None:
                unknown.append(name)
            elif value is not None and not check(value):
                bad.append(name)
        if unknown:
            raise Refusal("INVALID_FIELD", f"{self._shape.object} has no such field", fields=unknown)
        if self._shape.object == "users" and self._rules.acting is None:
            self._check_administrator(fields)
        if bad:
            raise Refusal("INVALID_VALUE", "the field does not take this value", fields=bad)

    def _check_administrator(self, fields: Fields) -> None:
        locked = [name for name in fields if name in self._shape.fields]
        if locked:
            raise Refusal("PERMISSION_DENIED", "only an administrator changes users", fields=locked, status=403)

    def _check_references(self, new: Mapping[str, Any], fields: Fields) -> None:
        for name in new.keys() & self._shape.references.keys():
            target = self._shape.references[name]
            row = self._snapshot.get(target, fields[name])
            if target == "users":
                _check_owner(row, name)
            elif row is None:
                raise Refusal("INVALID_REFERENCE", f"no such record in {target}", fields=(name,))

    def _check_key(self, row: Row, fields: Fields) -> None:
        key = fields.get(KEY_FIELD)
        if not self._shape.keyed or not key:
            return
        holder = self._snapshot.with_key(self._shape.object, key)
        if holder is not None and holder.id != row.id:
            raise Refusal("DUPLICATE_VALUE", "another record carries this key", fields=(KEY_FIELD,))


def _check_owner(user: Row | None, name: str) -> None:
    if user is None:
        raise Refusal("OWNER_UNKNOWN", "no such user", fields=(name,))
    if not user.fields.get("IsActive", True):
        raise Refusal("OWNER_INACTIVE", "the user is inactive", fields=(name,))


def _date_the_closing(old: Fields, fields: Fields, now: str) -> None:
    """Fill in or clear ClosedAt as the stage moves, as CRMs do."""
    if fields.get("StageName") not in _CLOSED_STAGES:
        fields.pop("ClosedAt", None)
    elif old.get("StageName") != fields["StageName"]:
        fields["ClosedAt"] = now


def wanted(shape: Shape, items: Sequence[Item]) -> tuple[list[str], list[str], list[str]]:
    """Return the ids, keys and addresses whose records a write of these items has to see."""
    ids: set[str] = {item.id for item in items if item.id is not None}
    keys: set[str] = set()
    emails: set[str] = set()
    for item in items:
        ids.update(_texts(item.fields, shape.references))
        keys.update(_texts(item.fields, (KEY_FIELD,)))
        emails.update(email.lower() for email in _texts(item.fields, ("Email",)))
    return sorted(ids), sorted(keys) if shape.keyed else [], sorted(emails) if shape.object == "leads" else []


def _texts(fields: Fields, names: Iterable[str]) -> list[str]:
    values = (fields.get(name) for name in names)
    return [value for value in values if isinstance(value, str) and "\0" not in value]


def shape_of(object_: str) -> Shape:
    """Return the shape of an object; 404 for one the CRM lacks."""
    shape = SHAPES.get(object_)
    if shape is None:
        raise Refusal("NO_SUCH_OBJECT", "no such object", status=404)
    return shape
