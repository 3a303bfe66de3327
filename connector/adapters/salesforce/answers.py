"""Answers of Salesforce's endpoints: parsed with exact numbers, or turned into our errors."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import requests

from connector.adapters.http import WireError, retry_after
from connector.adapters.salesforce import tokens
from connector.adapters.salesforce.errors import Refusal, caused, refusals
from connector.errors import (
    AmbiguousKey,
    AuthenticationError,
    ConnectorError,
    InvalidRecord,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
    UnexpectedAnswer,
)

OK, UNAUTHORISED = 200, 401
_MULTIPLE, _BAD_REQUEST, _TOO_MANY, _SERVER_ERROR = 300, 400, 429, 500
_MAINTENANCE = "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: JSON with exact numbers, or None where there is no body; and the CRM's time."""

    body: Any
    at: datetime | None


def judged(response: requests.Response, call: str, *, write: bool) -> Reply:
    """Return what an answer says.

    Raises:
        ConnectorError: it is an error, or cannot be read.
    """
    if not OK <= response.status_code < _MULTIPLE:
        raise _error(response, call, write)
    if not response.content:
        return Reply(None, _date(response))
    return Reply(parsed(response, call, write=write), _date(response))


def rows(body: Any) -> Sequence[Mapping[str, Any]]:
    """Return the records of a query's answer.

    Raises:
        UnexpectedAnswer: it holds none.
    """
    found = body.get("records") if isinstance(body, dict) else None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise unreadable("query", "records is not a list of objects", write=False)
    return found


def subanswer(name: str, answer: Any) -> Any:
    """Return the rows of one query of several, or its error."""
    if not isinstance(answer, dict):
        return unreadable(name, "an answer is no object", write=False)
    status, body = answer.get("httpStatusCode"), answer.get("body")
    if status == OK:
        return rows(body)
    found = refusals(body)
    if not found:
        return unreadable(name, f"status {status} without a code", write=False)
    return found[0].error(call=f"query of {name}", status=int(status) if isinstance(status, int) else None, write=False)


def _error(response: requests.Response, call: str, write: bool) -> ConnectorError:
    status, found = response.status_code, refusals(_body(response))
    wait = retry_after(response.headers)
    if status == UNAUTHORISED:
        return unauthorised(call)
    if status >= _SERVER_ERROR and not (found and found[0].code == _MAINTENANCE):
        kind = OutcomeUnknown if write else Unavailable
        code = found[0].code if found else ""
        return caused(kind(f"{call}: Salesforce failed with {status}", status=status, code=code), status, code)
    if found:
        return _told(found[0], call, status, write, wait)
    return caused(_by_status(call, status, write, wait), status, "")


def _told(found: Refusal, call: str, status: int, write: bool, wait: timedelta | None) -> ConnectorError:
    error = found.error(call=call, status=status, write=write)
    if isinstance(error, RateLimited) and wait is not None:
        error.retry_after = wait
    return error


def _by_status(call: str, status: int, write: bool, wait: timedelta | None) -> ConnectorError:
    """Return the error of an answer that names no code."""
    if status == _TOO_MANY:
        return RateLimited(f"{call}: too many requests", retry_after=wait, status=status)
    if status == _MULTIPLE and write:
        return AmbiguousKey(f"{call}: several records carry this key", status=status)
    if status < _BAD_REQUEST:
        message = f"{call}: Salesforce redirects, which is not followed: set base_url to My Domain's address"
        return UnexpectedAnswer(message, status=status)
    return UnexpectedAnswer(f"{call}: status {status} without a code", status=status)


def token_error(response: requests.Response, call: str) -> ConnectorError:
    """Return why there is no token, and what an administrator does about it."""
    status, body = response.status_code, _body(response)
    if status >= _SERVER_ERROR or status == _TOO_MANY:
        wait = retry_after(response.headers)
        return caused(Unavailable(f"{call}: no token, status {status}", retry_after=wait, status=status), status, "")
    told = body if isinstance(body, dict) else {}
    code = str(told.get("error") or "")[:40]
    advice = tokens.refused(code, str(told.get("error_description") or ""))
    return caused(
        AuthenticationError(f"{call}: {code or f'status {status}'}: {advice}", status=status, code=code), status, code
    )


def token_is_gone(response: requests.Response) -> bool:
    """Tell whether a token cannot be revoked because it was."""
    body = _body(response)
    return isinstance(body, dict) and body.get("error") == "invalid_token"


def unauthorised(call: str) -> ConnectorError:
    """Return the error of a token that is refused, also when it is new."""
    message = f"{call}: Salesforce refuses the token, also a new one: check the user the app runs as"
    return caused(AuthenticationError(message, status=UNAUTHORISED, code="INVALID_SESSION_ID"), UNAUTHORISED, "")


def unreadable(call: str, why: str, *, write: bool) -> ConnectorError:
    """Return the error for an answer that breaks Salesforce's own contract."""
    kind = OutcomeUnknown if write else UnexpectedAnswer
    error = kind(f"{call}: {why}")
    error.__cause__ = WireError(why)
    return error


def parsed(response: requests.Response, call: str, *, write: bool) -> Any:
    """Return the body as JSON whose numbers with a point are exact."""
    try:
        return json.loads(response.content, parse_float=Decimal)
    except ValueError:
        pass
    raise unreadable(call, "the answer is not JSON", write=write)


def _body(response: requests.Response) -> Any:
    try:
        return json.loads(response.content, parse_float=Decimal)
    except ValueError:
        return None


def written(body: object) -> bytes:
    """Return a body as JSON.

    Raises:
        InvalidRecord: a text cannot be written.
    """
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        pass
    raise InvalidRecord("a text cannot be written as UTF-8")


def expired(response: requests.Response) -> bool:
    """Tell a refused token; SOAP answers 500 and says so in its fault."""
    return response.status_code == UNAUTHORISED or b"INVALID_SESSION_ID" in response.content


def encoded(text: str) -> str:
    """Return a query as part of an address."""
    return f"q={quote(text, safe='')}"


def _date(response: requests.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers.get("Date", ""))
    except (TypeError, ValueError):
        return None
