"""What an adapter remembers of the organisation: who may own, which fields there are, stages, the clock it lives by."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connector.adapters.bottlecrm.client import BottleCrmClient, Row
from connector.errors import UnexpectedAnswer

#: Seconds after which what an admin may change is looked at again.
_FRESH = 60.0

T = TypeVar("T")


class _Remembered(Generic[T]):
    """A value read at need, and again once it is old. Safe to use from several threads."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._value: T | None = None
        self._since = 0.0

    def get(self) -> T:
        with self._lock:
            if self._value is None or time.monotonic() - self._since > _FRESH:
                self._refresh()
            assert self._value is not None
            return self._value

    def again(self) -> T:
        with self._lock:
            return self._refresh()

    def forget(self) -> None:
        with self._lock:
            self._value = None

    def _refresh(self) -> T:
        began = time.monotonic()
        try:
            self._value = self._read()
            self._since = began
            return self._value
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            reason = type(err).__name__
        raise UnexpectedAnswer(f"the organisation's set-up cannot be read: {reason}")


@dataclass(frozen=True, slots=True)
class Definition:
    """A custom field as BottleCRM defines it."""

    id: str
    type: str
    options: tuple[str, ...]
    active: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a deal: its pipeline, its code, and its kind: open, won or lost."""

    pipeline: str
    code: str
    kind: str
    default: bool


class Metadata:
    """Reads the organisation's set-up when it is needed."""

    def __init__(self, client: BottleCrmClient) -> None:
        self._client = client
        self.owners: _Remembered[frozenset[str]] = _Remembered(self._read_owners)
        self.fields: _Remembered[Mapping[tuple[str, str], Definition]] = _Remembered(self._read_fields)
        self.stages: _Remembered[Sequence[Stage]] = _Remembered(self._read_stages)
        self.zone: _Remembered[ZoneInfo] = _Remembered(self._read_zone)

    def may_own(self, profile: str) -> bool:
        """Tell whether a profile is active, looking again for one not seen before."""
        return profile in self.owners.get() or profile in self.owners.again()

    def lacks(self, target: str, names: Sequence[str]) -> list[str]:
        """Return which custom fields a record type has not: BottleCRM drops their values without a word."""
        known = self.fields.get()
        if all(_usable(known, target, name) for name in names):
            return []
        known = self.fields.again()
        return [name for name in names if not _usable(known, target, name)]

    def _read_owners(self) -> frozenset[str]:
        """The shortest list there is of who may be assigned; a profile that left is not on it."""
        found = self._client.get("/api/users/get-teams-and-users/").get("profiles")
        if not isinstance(found, list):
            raise UnexpectedAnswer("users: profiles is not a list")
        return frozenset(str(each["id"]) for each in found if isinstance(each, dict) and each.get("is_active"))

    def _read_fields(self) -> Mapping[tuple[str, str], Definition]:
        found = self._client.get("/api/custom-fields/", {"include_counts": "false"}).get("definitions")
        if not isinstance(found, list):
            raise UnexpectedAnswer("custom-fields: definitions is not a list")
        return {(str(each["target_model"]), str(each["key"])): _definition(each) for each in found}

    def _read_stages(self) -> Sequence[Stage]:
        found = self._client.get("/api/opportunities/pipelines/").get("pipelines")
        if not isinstance(found, list):
            raise UnexpectedAnswer("pipelines: not a list")
        return [
            Stage(str(pipeline["id"]), str(stage["code"]), str(stage["kind"]), pipeline.get("is_default") is True)
            for pipeline in found
            for stage in pipeline["stages"]
        ]

    def _read_zone(self) -> ZoneInfo:
        name = str(self._client.get("/api/org/settings/").get("timezone") or "UTC")
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            pass
        raise UnexpectedAnswer("org/settings: the time zone is unknown")


def _usable(known: Mapping[tuple[str, str], Definition], target: str, name: str) -> bool:
    definition = known.get((target, name))
    return definition is not None and definition.active


def _definition(row: Row) -> Definition:
    options = tuple(str(option["value"]) for option in row.get("options") or ())
    return Definition(str(row["id"]), str(row["field_type"]), options, row.get("is_active") is True)
