"""What BottleCRM's refusals ask the caller to do. It has no error codes: the status, and of a 400 the fields, tell."""

import re
from collections.abc import Mapping

import orjson

from connector.adapters.http import Answer, WireError
from connector.errors import (
    AuthenticationError,
    ConnectorError,
    InvalidRecord,
    PermanentError,
    PermissionDenied,
    RecordNotFound,
)

_BAD_REQUEST, _FORBIDDEN, _NOT_FOUND = 400, 403, 404
#: A token that is missing, wrong, revoked, expired or of somebody who left is answered with a 403 of these words: by
#: its door for most paths, by the view for the few that need no organisation.
_NOBODY = re.compile(
    r"^(Organization context is required|You no longer have access|Invalid token|Token revoked or expired"
    r"|Token owner or org is inactive|Given token not valid|Authentication credentials were not provided)"
)
_SCOPE = re.compile(r"It needs the ([a-z-]+:[a-z]+) scope")
_FIELD = re.compile(r"[a-z_]{1,64}")

Errors = Mapping[str, object]


def answer_error(answer: Answer) -> ConnectorError:
    """Return the error of an answer that is not 2xx."""
    error = _error(answer)
    error.__cause__ = WireError(f"status {answer.status}")
    return error


def refused_fields(answer: Answer) -> Errors:
    """Return the fields a 400 complains of, with what it says of each; none where it names none."""
    errors = _body(answer).get("errors")
    return errors if answer.status == _BAD_REQUEST and isinstance(errors, dict) else {}


def _error(answer: Answer) -> ConnectorError:
    status = answer.status
    if status == _FORBIDDEN:
        return _forbidden(answer)
    if status == _NOT_FOUND:
        return RecordNotFound(f"{answer.call}: no such record, or the integration may not see it", status=status)
    if status == _BAD_REQUEST:
        # Names alone: what it says of a value may repeat the value.
        names = sorted(_names(refused_fields(answer)))
        return InvalidRecord(
            f"{answer.call}: refused: {', '.join(names) or 'no field named'}", fields=names, status=status
        )
    return PermanentError(f"{answer.call}: refused with {status}", status=status)


def _forbidden(answer: Answer) -> ConnectorError:
    said = str(_body(answer).get("detail", ""))
    if _NOBODY.match(said):
        return AuthenticationError(
            f"{answer.call}: the token is refused: an active admin makes a new one under Profile > Access tokens",
            status=answer.status,
        )
    scope = _SCOPE.search(said)
    if scope:
        why = f"the token lacks the scope {scope[1]}: make one that has it"
    else:
        why = "the integration's user may not: give it the role Admin"
    return PermissionDenied(f"{answer.call}: {why}", status=answer.status)


def _names(errors: Errors) -> list[str]:
    inner = errors.get("custom_fields")
    names = [name for name in errors if name != "custom_fields"] + list(inner if isinstance(inner, dict) else [])
    return [name for name in names if _FIELD.fullmatch(str(name))]


def _body(answer: Answer) -> Mapping[str, object]:
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
