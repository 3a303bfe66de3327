"""What Salesforce's error codes ask the caller to do.

Codes as its StatusCode and ExceptionCode list them. Its messages quote values, so ours say what the code means
instead; only texts an administrator wrote, and those that name rights or fields, are passed on.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from connector.adapters.http import WireError
from connector.errors import (
    AmbiguousKey,
    AuthenticationError,
    ConnectorError,
    InvalidRecord,
    OutcomeUnknown,
    OwnerRefused,
    PermanentError,
    PermissionDenied,
    RateLimited,
    RecordLocked,
    RecordNotFound,
    Unavailable,
)

#: Codes of what a caller may do next. A code that is not here is a PermanentError.
BY_CODE: Mapping[str, type[ConnectorError]] = {
    # Arrives as 403, like a permission error; only the code tells them apart.
    "REQUEST_LIMIT_EXCEEDED": RateLimited,
    "API_TEMPORARILY_BLOCKED": RateLimited,
    "INVALID_SESSION_ID": AuthenticationError,
    # Arrives as 400, like a validation error.
    "UNABLE_TO_LOCK_ROW": RecordLocked,
    "UNKNOWN_EXCEPTION": OutcomeUnknown,
    "SERVER_UNAVAILABLE": OutcomeUnknown,
    "SERVICE_UNAVAILABLE": OutcomeUnknown,
    "QUERY_TIMEOUT": OutcomeUnknown,
    "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE": Unavailable,
    "DUPLICATE_EXTERNAL_ID": AmbiguousKey,
    "INACTIVE_OWNER_OR_USER": OwnerRefused,
    "INVALID_OWNER": OwnerRefused,
    "NOT_FOUND": RecordNotFound,
    "ENTITY_IS_DELETED": RecordNotFound,
    "API_DISABLED_FOR_ORG": PermissionDenied,
    "API_CURRENTLY_DISABLED": PermissionDenied,
    "FUNCTIONALITY_NOT_ENABLED": PermissionDenied,
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": PermanentError,
    "INSUFFICIENT_ACCESS": PermissionDenied,
    "INSUFFICIENT_ACCESS_OR_READONLY": PermissionDenied,
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": PermissionDenied,
    "INVALID_TYPE": PermissionDenied,
    "REQUIRED_FIELD_MISSING": InvalidRecord,
    "INVALID_FIELD": InvalidRecord,
    "INVALID_FIELD_FOR_INSERT_UPDATE": InvalidRecord,
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": InvalidRecord,
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": InvalidRecord,
    "FIELD_INTEGRITY_EXCEPTION": InvalidRecord,
    "FIELD_FILTER_VALIDATION_EXCEPTION": InvalidRecord,
    "STRING_TOO_LONG": InvalidRecord,
    "NUMBER_OUTSIDE_VALID_RANGE": InvalidRecord,
    "INVALID_EMAIL_ADDRESS": InvalidRecord,
    "INVALID_CROSS_REFERENCE_KEY": InvalidRecord,
    "MALFORMED_ID": InvalidRecord,
    "DUPLICATE_VALUE": InvalidRecord,
    "JSON_PARSER_ERROR": InvalidRecord,
    "CANNOT_UPDATE_CONVERTED_LEAD": RecordNotFound,
}

#: What an administrator reads.
_WORDS: Mapping[str, str] = {
    "REQUEST_LIMIT_EXCEEDED": "the organisation's API calls are used up, or too many run at once",
    "INVALID_FIELD": "a field does not exist, or its field-level security hides it from the integration user: "
    "assign the permission set Hearback",
    "INACTIVE_OWNER_OR_USER": "the owner is inactive",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": "a restricted picklist lacks the value: add it, or lift the restriction",
    "STRING_TOO_LONG": "a text is longer than its field",
    "REQUIRED_FIELD_MISSING": "required fields are missing",
    "API_DISABLED_FOR_ORG": "this edition has no API, or the integration user lacks the permission API Enabled",
    "INVALID_TYPE": "the integration user does not see the object: its edition lacks it, or the permission set",
    "UNABLE_TO_LOCK_ROW": "somebody else writes the record at this moment",
    "DUPLICATE_EXTERNAL_ID": "several records carry this key",
    "DUPLICATE_VALUE": "another record holds a value that must be unique",
    "ENTITY_IS_DELETED": "the record was deleted",
    "CANNOT_UPDATE_CONVERTED_LEAD": "the lead was converted",
}
#: Codes whose own text names fields, rights or an administrator's rule, and no value.
_TELLING = frozenset({"FIELD_CUSTOM_VALIDATION_EXCEPTION", "REQUIRED_FIELD_MISSING"})
_CONCURRENT = timedelta(minutes=1)
_DAILY = timedelta(minutes=15)
_MOST_TEXT = 300


class DuplicatesFound(PermanentError):
    """A duplicate rule refused one record, and named (object, id) of those it found."""

    def __init__(
        self,
        message: str,
        duplicates: tuple[tuple[str, str], ...] = (),
        status: int | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, status=status, code=code)
        self.duplicates = duplicates


@dataclass(frozen=True, slots=True)
class Refusal:
    """One error of Salesforce's; `message` may hold personal data, so it is shown to nobody as it is."""

    code: str
    message: str = field(default="", repr=False)
    fields: tuple[str, ...] = ()
    duplicates: tuple[tuple[str, str], ...] = ()

    def error(self, *, call: str, status: int | None = None, write: bool = True) -> ConnectorError:
        """Return our error."""
        kind = BY_CODE.get(self.code, PermanentError)
        if kind is OutcomeUnknown and not write:
            kind = Unavailable
        text = self.message[:_MOST_TEXT] if self.code in _TELLING else _WORDS.get(self.code, "")
        names = f" ({', '.join(self.fields)})" if self.fields else ""
        message = f"{call}: {self.code}{names}" + (f": {text}" if text else "")
        if self.duplicates:
            return caused(DuplicatesFound(message, self.duplicates, status, self.code), status, self.code)
        if kind is InvalidRecord:
            return caused(InvalidRecord(message, fields=self.fields, status=status, code=self.code), status, self.code)
        if kind is RateLimited:
            wait = _CONCURRENT if "concurrent" in self.message.casefold() else _DAILY
            return caused(RateLimited(message, retry_after=wait, status=status, code=self.code), status, self.code)
        return caused(kind(message, status=status, code=self.code), status, self.code)


def caused(error: ConnectorError, status: int | None, code: str) -> ConnectorError:
    """Return the error with a cause that holds nothing but status and code."""
    error.__cause__ = WireError(f"status {status} {code}" if status else f"item {code}")
    return error


def refusals(body: Any) -> list[Refusal]:
    """Return the errors of a body: a list of them, or one; empty where it holds none that can be read."""
    entries = body if isinstance(body, list) else [body]
    return [refusal(entry) for entry in entries if isinstance(entry, dict) and _code(entry)]


def refusal(entry: Mapping[str, Any]) -> Refusal:
    """Return one error, of a whole call (`errorCode`) or of one item of a collection (`statusCode`)."""
    fields = entry.get("fields")
    return Refusal(
        _code(entry),
        str(entry.get("message") or ""),
        tuple(name for name in map(str, fields) if _NAME.fullmatch(name)) if isinstance(fields, list) else (),
        tuple(_matches(entry.get("duplicateResult"))),
    )


#: What stands between us and a CRM may answer in its place, and quote what we sent: only names are taken for names.
_CODE, _NAME = re.compile(r"[A-Z][A-Z0-9_]{1,80}"), re.compile(r"[A-Za-z][\w.]{0,80}")


def _code(entry: Mapping[str, Any]) -> str:
    named = str(entry.get("errorCode") or entry.get("statusCode") or "")
    return named if _CODE.fullmatch(named) else ""


def _matches(result: Any) -> Sequence[tuple[str, str]]:
    """Return (object, id) of each record a duplicate rule found, each once, in its order."""
    found: dict[tuple[str, str], None] = {}
    for match in result.get("matchResults") or () if isinstance(result, dict) else ():
        for hit in match.get("matchRecords") or ():
            record = hit.get("record") or {}
            type_ = str((record.get("attributes") or {}).get("type") or match.get("entityType") or "")
            if record.get("Id"):
                found[type_, str(record["Id"])] = None
    return list(found)
