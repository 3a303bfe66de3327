"""From HubSpot's answers to our errors.

Its messages quote what was sent, so none of their words is passed on: only names of properties, codes and ids.
Statuses, categories and policies: HubSpot developer docs, "Error handling" and "API usage guidelines".
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import orjson
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProxyError, SSLError

from connector.adapters.http import WireError, retry_after
from connector.errors import (
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
    UnexpectedAnswer,
)

OWNER = "hubspot_owner_id"

#: How long each limit lasts; the daily one ends at the portal's midnight. Retry-After is not promised.
WAITS: Mapping[str, timedelta] = MappingProxyType(
    {
        "SECONDLY": timedelta(seconds=1),
        "TEN_SECONDLY_ROLLING": timedelta(seconds=10),
    }
)
DAILY = "DAILY"

#: What a status means where the answer tells no more.
BY_STATUS: Mapping[int, type[ConnectorError]] = MappingProxyType(
    {
        400: InvalidRecord,
        401: AuthenticationError,
        403: PermissionDenied,
        404: RecordNotFound,
        409: InvalidRecord,
        423: RecordLocked,
        429: RateLimited,
        477: Unavailable,
    }
)

#: What the category of one item of a batch means.
BY_CATEGORY: Mapping[str, type[ConnectorError]] = MappingProxyType(
    {
        "VALIDATION_ERROR": InvalidRecord,
        "CONFLICT": InvalidRecord,
        "OBJECT_ALREADY_EXISTS": InvalidRecord,
        "OBJECT_NOT_FOUND": RecordNotFound,
        "MISSING_SCOPES": PermissionDenied,
        "FORBIDDEN": PermissionDenied,
        "RATE_LIMITS": RateLimited,
        "RATE_LIMIT": RateLimited,
    }
)

_LOCKED, _MIGRATION, _SERVER_ERROR, _MULTIPLE, _BAD_REQUEST = 423, 477, 500, 300, 400
_LOCK_WAIT = timedelta(seconds=2)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,60}")
_EXISTING = re.compile(r"[Ee]xisting ID: ?(\d{1,20})")
_NOT_VALID = "Property values were not valid: "
#: Under these names an error's context tells which properties it is about.
_PLACES = (
    "propertyName",
    "propertyNames",
    "properties",
    "fieldName",
    "missingProperties",
    "requiredProperties",
    "name",
)


class AlreadyThere(InvalidRecord):
    """A unique value is taken: by the record `existing`, "" where the CRM does not say whose."""

    def __init__(
        self, message: str, *, existing: str = "", fields: Sequence[str] = (), status: int | None = None
    ) -> None:
        super().__init__(message, fields=fields, status=status, code="CONFLICT")
        self.existing = existing


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no 2xx. `call` is the method and the path without ids."""

    call: str
    write: bool
    status: int
    headers: Mapping[str, str]
    body: bytes | str | None = field(repr=False)


def status_error(refusal: Refusal) -> ConnectorError:
    """Return the error of a whole call that was answered with something else than a 2xx."""
    error = _of_status(refusal, _document(refusal.body))
    error.__cause__ = WireError(f"status {refusal.status}")
    return error


def _of_status(refusal: Refusal, told: Mapping[str, Any]) -> ConnectorError:
    status, call = refusal.status, refusal.call
    correlation = _correlation(told)
    kind = BY_STATUS.get(status, PermanentError)
    if status >= _SERVER_ERROR:
        down = OutcomeUnknown if refusal.write else Unavailable
        return down(f"{call}: HubSpot failed with {status}", status=status, request_id=correlation)
    if _MULTIPLE <= status < _BAD_REQUEST:
        text = f"{call}: HubSpot redirects, which is not followed: correct the option base_url"
        return UnexpectedAnswer(text, status=status, request_id=correlation)
    if kind is RateLimited:
        return _limited(refusal, told, correlation)
    if kind in (RecordLocked, Unavailable):
        wait = retry_after(refusal.headers) or _LOCK_WAIT
        text = f"{call}: HubSpot holds the record or the account for a moment ({status})"
        locked = RecordLocked if status == _LOCKED else Unavailable
        return locked(text, retry_after=wait, status=status, request_id=correlation)
    return _refused(call, kind, told, status)


def _limited(refusal: Refusal, told: Mapping[str, Any], correlation: str | None) -> RateLimited:
    policy = told.get("policyName")
    known = policy if isinstance(policy, str) and _CODE.fullmatch(policy) else ""
    return RateLimited(
        f"{refusal.call}: too many requests" + (f" ({known})" if known else ""),
        retry_after=retry_after(refusal.headers) or WAITS.get(known),
        status=refusal.status,
        code=known or None,
        request_id=correlation,
    )


def item_error(call: str, told: Mapping[str, Any]) -> ConnectorError:
    """Return the error of one item of a batch, or of one call, as HubSpot describes it."""
    category = str(told.get("category") or "")
    return _refused(call, BY_CATEGORY.get(category, PermanentError), told, None)


def _refused(call: str, kind: type[ConnectorError], told: Mapping[str, Any], status: int | None) -> ConnectorError:
    fields, codes = property_names(told), _codes(told)
    named = f" {', '.join(fields)}" if fields else ""
    code = codes[0] if codes else None
    conflict = told.get("category") in ("CONFLICT", "OBJECT_ALREADY_EXISTS") or status == 409  # noqa: PLR2004 (HTTP)
    if conflict:
        found = _EXISTING.search(str(told.get("message") or ""))
        existing = found[1] if found else ""
        whose = f": record {existing} has it" if existing else ""
        return AlreadyThere(f"{call}: a unique value is taken{whose}", existing=existing, fields=fields, status=status)
    if kind is InvalidRecord and OWNER in fields:
        text = f"{call}: this owner is unknown or deactivated in HubSpot: choose another"
        return OwnerRefused(text, status=status, code=code, request_id=_correlation(told))
    if kind is InvalidRecord:
        return InvalidRecord(
            f"{call}: HubSpot refuses the values of{named or ' a record'} ({', '.join(codes) or 'no code'}): "
            "correct them, or the rules an admin set for these properties",
            fields=fields,
            status=status,
            code=code,
            request_id=_correlation(told),
        )
    text = _WORDS.get(kind, "HubSpot refuses") + named + (f" ({', '.join(codes)})" if codes else "")
    return kind(f"{call}: {text}", status=status, code=code, request_id=_correlation(told))


_WORDS: Mapping[type[ConnectorError], str] = MappingProxyType(
    {
        AuthenticationError: "the token is refused: enter a valid one",
        PermissionDenied: "the app may not do this: an admin of the account adds the scope, seat or tier it needs",
        RecordNotFound: "no such record, or the account does not have this kind of object",
        RateLimited: "too many requests",
    }
)


def transport_error(err: HTTPError, call: str, write: bool) -> ConnectorError:
    """Return the error of a call that got no answer."""
    sent = not isinstance(err, (NewConnectionError, ConnectTimeoutError, ProxyError, SSLError))
    kind: type[ConnectorError] = OutcomeUnknown if sent and write else Unavailable
    what = "the answer did not come, or not whole" if sent else "no connection"
    error = kind(f"{call}: {what}")
    error.__cause__ = WireError(f"{type(err).__name__}: {what}")
    return error


def unreadable(call: str, write: bool, why: str) -> ConnectorError:
    """Return the error of a 2xx that breaks HubSpot's own contract; a write may have been applied."""
    error = (OutcomeUnknown if write else UnexpectedAnswer)(f"{call}: {why}")
    error.__cause__ = WireError(why)
    return error


def property_names(told: Mapping[str, Any]) -> list[str]:
    """Return the properties an error is about, each once; never a value."""
    found = [name for name in _names(told) if _WORD.fullmatch(name)]
    return list(dict.fromkeys(found))


def _names(told: Mapping[str, Any]) -> Iterator[str]:
    for part in (told, *_details(told)):
        context = part.get("context")
        if isinstance(context, dict):
            for place in _PLACES:
                listed = context.get(place)
                yield from (str(name) for name in listed) if isinstance(listed, list) else ()
        if isinstance(part.get("in"), str):
            yield part["in"]
        if part is not told and isinstance(part.get("name"), str):
            yield part["name"]


def _codes(told: Mapping[str, Any]) -> list[str]:
    named = [told.get("subCategory"), *(d.get("code") or d.get("error") for d in _details(told)), told.get("category")]
    codes = [str(name).rpartition(".")[2] for name in named if name]
    return [code for code in dict.fromkeys(codes) if _CODE.fullmatch(code)]


def _details(told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = told.get("errors")
    details: list[Mapping[str, Any]] = []
    if isinstance(listed, list):
        details += [each for each in listed if isinstance(each, dict)]
    # Older validation errors hold the same list as JSON within their message.
    message = str(told.get("message") or "")
    if _NOT_VALID in message:
        try:
            more = json.loads(message.partition(_NOT_VALID)[2])
        except ValueError:
            more = []
        details += [each for each in more if isinstance(each, dict)] if isinstance(more, list) else []
    return details


def _correlation(told: Mapping[str, Any]) -> str | None:
    given = told.get("correlationId")
    return given if isinstance(given, str) and re.fullmatch(r"[0-9a-fA-F-]{8,64}", given) else None


def _document(body: bytes | str | None) -> Mapping[str, Any]:
    try:
        told = orjson.loads(body or b"")
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}
