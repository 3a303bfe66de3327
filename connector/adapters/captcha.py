"""Asks a captcha provider over HTTP. Whatever goes wrong is an outage: the visitor did nothing."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson
import requests

from connector.sources.captcha import Outcome, Provider, Question, form_of, outcome_of

_CONNECT_SECONDS, _READ_SECONDS = 3.0, 5.0
_SERVER_ERROR, _TOO_MANY, _MULTIPLE, _BAD_REQUEST = 500, 429, 300, 400
#: Answers are a few hundred bytes.
_LARGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answer must say: one of these hosts, and this action unless it is empty."""

    hosts: Collection[str]
    action: str = ""


def verify(provider: Provider, secret: str, question: Question, expected: Expected) -> Outcome:
    """Ask once; `OUTAGE` when there is no answer that could be read.

    Neither the secret nor the token nor the visitor's address leaves this function in an error.
    """
    if len(question.token) > provider.longest:
        return Outcome.FAILED
    try:
        answer = _post(provider.url, form_of(provider, secret, question))
    except (requests.RequestException, ValueError):
        return Outcome.OUTAGE
    return outcome_of(provider, answer, expected.hosts, expected.action)


def _post(url: str, form: dict[str, str]) -> Any:
    with requests.post(
        url, data=form, timeout=(_CONNECT_SECONDS, _READ_SECONDS), allow_redirects=False, stream=True
    ) as response:
        status = response.status_code
        if status >= _SERVER_ERROR or status == _TOO_MANY or _MULTIPLE <= status < _BAD_REQUEST:
            return None
        # Some explain a refusal with a 4xx, in the same shape as any other.
        return orjson.loads(response.raw.read(_LARGEST, decode_content=True))
