import re
from importlib.resources import files

import pytest

from connector.adapters.http import Answer
from connector.adapters.sandbox.errors import BY_CODE, answer_error, item_error
from connector.errors import (
    ConnectorError,
    InvalidRecord,
    OutcomeUnknown,
    OwnerRefused,
    PermanentError,
    PermissionDenied,
    RecordNotFound,
    UnexpectedAnswer,
)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("OWNER_UNKNOWN", OwnerRefused),
        ("OWNER_INACTIVE", OwnerRefused),
        ("PERMISSION_DENIED", PermissionDenied),
        ("NOT_FOUND", RecordNotFound),
        ("INVALID_FIELD", InvalidRecord),
        ("INVALID_VALUE", InvalidRecord),
        ("INVALID_REFERENCE", InvalidRecord),
        ("REQUIRED", InvalidRecord),
        ("DUPLICATE_VALUE", InvalidRecord),
        ("BRAND_NEW", PermanentError),
    ],
)
def test_each_code_asks_for_one_reaction(code: str, kind: type[ConnectorError]) -> None:
    """A17, A26."""
    error = item_error({"code": code, "message": "no", "fields": ["OwnerId"]})

    assert type(error) is kind
    assert error.code == code
    assert "OwnerId" in str(error)
    if isinstance(error, InvalidRecord):
        assert error.fields == ("OwnerId",)


def test_the_table_knows_every_code_a_record_is_refused_with() -> None:
    source = files("connector.adapters.sandbox.crm").joinpath("records.py").read_text("utf-8")
    codes = set(re.findall(r'Refusal\(\s*"([A-Z_]+)"', source))

    assert codes - BY_CODE.keys() == {"NO_SUCH_OBJECT"}


def answer(body: bytes, *, status: int = 400) -> Answer:
    return Answer(status, {}, body, "POST /records", write=True)


def test_a_refused_call_keeps_status_and_code() -> None:
    error = answer_error(answer(b'{"error": {"code": "TOO_MANY_RECORDS", "message": "at most 200"}}', status=413))

    assert (type(error), error.status, error.code) == (PermanentError, 413, "TOO_MANY_RECORDS")
    assert error.__cause__ is not None


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"error": "no"}'])
def test_a_refusal_without_a_code_breaks_the_contract(body: bytes) -> None:
    assert type(answer_error(answer(body))) is UnexpectedAnswer


def test_a_refusal_nobody_can_read_breaks_the_contract_and_wrote_nothing() -> None:
    with pytest.raises(UnexpectedAnswer) as caught:
        answer_error(answer(b"<html>"))

    assert not isinstance(caught.value, OutcomeUnknown)
