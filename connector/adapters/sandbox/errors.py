"""What the sandbox CRM's error codes ask the caller to do."""

from collections.abc import Mapping, Sequence

from connector.adapters.http import Answer, WireError
from connector.errors import (
    ConnectorError,
    InvalidRecord,
    OwnerRefused,
    PermanentError,
    PermissionDenied,
    RecordNotFound,
)

#: 401, 429 and 5xx are told by the status alone, in connector.adapters.http.
BY_CODE: Mapping[str, type[PermanentError]] = {
    "OWNER_UNKNOWN": OwnerRefused,
    "OWNER_INACTIVE": OwnerRefused,
    "PERMISSION_DENIED": PermissionDenied,
    "NOT_FOUND": RecordNotFound,
    "INVALID_FIELD": InvalidRecord,
    "INVALID_VALUE": InvalidRecord,
    "INVALID_REFERENCE": InvalidRecord,
    "REQUIRED": InvalidRecord,
    "DUPLICATE_VALUE": InvalidRecord,
}


def item_error(error: Mapping[str, object]) -> ConnectorError:
    """Return the error of one item of a batch."""
    return _error(error, status=None)


def answer_error(answer: Answer) -> ConnectorError:
    """Return the error of a whole call that was answered with a 4xx."""
    body = answer.json()
    found = body.get("error") if isinstance(body, dict) else None
    if not isinstance(found, dict):
        return answer.unreadable("an error without a code")
    error = _error(found, status=answer.status)
    error.__cause__ = WireError(f"status {answer.status}")
    return error


def _error(error: Mapping[str, object], *, status: int | None) -> ConnectorError:
    code = str(error.get("code", ""))
    fields = _names(error.get("fields"))
    message = f"{code}: {error.get('message', '')}" + (f" ({', '.join(fields)})" if fields else "")
    kind = BY_CODE.get(code, PermanentError)
    if kind is InvalidRecord:
        return InvalidRecord(message, fields=fields, status=status, code=code)
    return kind(message, status=status, code=code)


def _names(fields: object) -> Sequence[str]:
    return [str(name) for name in fields] if isinstance(fields, list) else []
