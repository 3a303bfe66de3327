import json
from datetime import UTC, datetime

import pytest
from intake_deliveries import JSON, a_delivery

from connector.errors import UnreadableDelivery
from connector.model.lead import Consent
from connector.sources.api import ApiSource, InvalidLead, read_lead
from connector.sources.base import Reading


def parse(document, **reading):
    [lead] = ApiSource().parse(a_delivery(json.dumps(document), JSON), Reading(**reading))
    return lead


def faults(document):
    with pytest.raises(InvalidLead) as caught:
        read_lead(json.dumps(document).encode())
    return dict(caught.value.faults)


def test_a_whole_lead_is_read():
    """I30."""
    lead = parse(
        {
            "external_id": 6000000000000000001,
            "email": "a@example.com",
            "employees": 25,
            "city": None,
            "occurred_at": "2026-09-16T14:00:00+02:00",
            "test": True,
            "custom": {"dealer": "yes"},
            "attribution": {"utm_source": "x"},
            "consents": [{"purpose": "email", "given": True, "text": "May we?"}],
        }
    )

    assert lead.lead_key == "6000000000000000001"
    assert lead.fields == {"email": "a@example.com", "employees": "25"}
    assert lead.extra == {"dealer": "yes"}
    assert lead.attribution == {"utm_source": "x"}
    assert lead.consents == (Consent("email", True, "May we?"),)
    assert lead.occurred_at == datetime(2026, 9, 16, 12, 0, tzinfo=UTC)
    assert lead.is_test


def test_unknown_fields_are_kept_and_may_be_mapped():
    """I16."""
    lead = parse(
        {"phone": "1", "vertical": "Bau", "score": 7, "tags": ["a", "b"], "deal": {"size": 1.5}},
        mapping={"vertical": "industry"},
    )

    assert lead.fields == {"phone": "1", "industry": "Bau"}
    assert lead.extra == {"score": "7", "tags": "a;b", "deal.size": "1.5"}


def test_every_fault_is_told_at_once_by_field():
    """I30."""
    found = faults(
        {
            "email": 5,
            "employees": "many",
            "test": "yes",
            "external_id": 1.5,
            "occurred_at": "2026-09-16T12:00:00",
            "custom": {"a": 1},
            "consents": [{"purpose": "", "given": 1, "extra": 1}, 7],
        }
    )

    assert found == {
        "email": "must be text",
        "employees": "must be a whole number from 0 to 2147483647",
        "test": "must be true or false",
        "external_id": "must be text or a whole number",
        "occurred_at": "must state its offset from UTC, as in 2026-09-16T12:00:00Z",
        "custom.a": "must be text",
        "consents[0].purpose": "must have 1 to 100 characters",
        "consents[0].given": "must be true or false",
        "consents[0].extra": "is not a field of a consent",
        "consents[1]": "must be an object",
    }


@pytest.mark.parametrize("employees", [True, -1, 2**31, 1.5, "25"])
def test_employees_are_strictly_a_whole_number(employees):
    assert "employees" in faults({"email": "a@example.com", "employees": employees})


@pytest.mark.parametrize("document", [[], 1, "text", None])
def test_a_body_that_is_no_object_is_one_fault(document):
    assert faults(document) == {"": "must be a JSON object"}


@pytest.mark.parametrize("document", [{}, {"email": " "}, {"city": "Ulm"}])
def test_a_lead_needs_something_to_know_the_person_by(document):
    assert "at least one of email, phone" in faults(document)[""]


def test_a_key_given_twice_is_refused():
    with pytest.raises(UnreadableDelivery, match="same key twice"):
        read_lead(b'{"email": "a@example.com", "email": "b@example.com"}')


def test_a_value_over_the_cap_is_a_fault():
    """I24."""
    assert faults({"email": "a@example.com", "message": "x" * 10_241}) == {"message": "must be at most 10240 bytes"}


def test_messages_hold_no_values():
    """P10."""
    with pytest.raises(InvalidLead) as caught:
        read_lead(b'{"email": 4711, "phone": ["secret"]}')

    assert "4711" not in f"{caught.value}{caught.value.faults}"
    assert "secret" not in f"{caught.value}{caught.value.faults}"
