from datetime import UTC, datetime

import pytest

from connector.followup import texts
from connector.model.followup import Evidence, Lack, Span, Step, Unit

STEP = Step(
    "check",
    {"en": "Call the customer", "de": "Kunden anrufen"},
    "sales",
    "won",
    Span(1, Unit.BUSINESS_DAYS),
    True,
    (Evidence("crm_call", 120),),
)
DUE = datetime(2026, 6, 9, 15, tzinfo=UTC)


@pytest.mark.parametrize("language", ["en", "de", "pl"])
@pytest.mark.parametrize("lack", list(Lack))
def test_every_lack_has_its_words_in_every_language(language, lack):
    assert texts.refusal([lack], language)


@pytest.mark.parametrize("language", ["en", "de", "pl"])
def test_a_task_says_when_it_is_due_and_what_proves_it(language):
    text = texts.body(STEP, DUE, "Europe/Berlin", language)

    assert "17:00" in text
    assert "120" in text


def test_a_title_the_plan_lacks_falls_back_to_english():
    assert texts.title(STEP, "pl") == "Call the customer"


def test_the_first_language_the_catalogue_speaks_is_chosen():
    assert texts.pick(["fr", "pl", "de"]) == "pl"
    assert texts.pick(["fr"]) == "en"
