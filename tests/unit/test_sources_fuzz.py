"""Every registered parser against every mistake: an answer or a plain reason, and nothing else (I7, I16).

60 cases a kind, with HEARBACK_FULL=1 at least 20,000 in all. A new kind is covered as soon as it is registered.
"""

from contextlib import suppress
from datetime import UTC, datetime
from math import ceil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from source_fuzz import FULL, deliveries
from source_samples import fetches, kinds, sample

from connector.errors import UnreadableDelivery, WebhookRejected
from connector.model.lead import Submission
from connector.normalize import normalize
from connector.sources.base import Reading
from connector.sources.detect import looks_like
from connector.sources.keys import expressed_key
from connector.sources.registry import source_for

CASES = ceil(20_000 / len(kinds())) if FULL else 60
MAPPINGS = st.sampled_from(
    [{}, {"email": "lead_key", "Vorname": "consent.x"}, {"token": "ignore", "a.b": "attribution.c"}]
)
PARTS = st.lists(st.sampled_from(["body:a.b", "body:0", "body:form_response.token", "header:x", "query:x"]), max_size=2)


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.timeout(3600)
def test_no_mistake_of_a_sender_makes_a_parser_fail(kind: str) -> None:
    reader = source_for(kind)
    read = 0

    @settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(deliveries(kind), MAPPINGS, PARTS)
    def fails_never(delivery, mapping, parts) -> None:
        nonlocal read
        looks_like(delivery)
        with suppress(WebhookRejected):
            reader.verify(delivery, ("test-secret", "other"), datetime.now(UTC))
        reading = Reading(mapping=mapping, honeypot="website", campaign="c")
        try:
            reader.missing(delivery, reading)
            found = reader.parse(delivery, reading)
        except UnreadableDelivery:
            return
        leads = [each for each in found if isinstance(each, Submission)]
        assert reader.parse(delivery, reading) == found
        for position, lead in enumerate(leads):
            read += 1
            storable(lead)
            normalize(lead, source="s", default_country="DE")
            key = expressed_key(parts, delivery, position, len(leads))
            assert "\x00" not in (key or "").encode().decode()

    fails_never()

    assert read or fetches(kind), (
        "no case was read at all: the mistakes are too wild to find anything behind the first check"
    )


def storable(lead: Submission) -> None:
    """P1, I22: PostgreSQL takes every text."""
    texts = [lead.lead_key or "", *lead.fields.values(), *lead.suspicions]
    texts += [text for each in lead.consents for text in (each.purpose, each.text)]
    for more in (lead.extra, lead.attribution):
        texts += [*more, *more.values()]
    for text in texts:
        assert "\x00" not in text
        text.encode()
        assert len(text) <= 200_000


@pytest.mark.parametrize("kind", [kind for kind in kinds() if not fetches(kind)])
def test_the_untouched_sample_of_a_kind_is_read(kind: str) -> None:
    """Else the fuzz would begin with a body that is wrong already."""
    assert source_for(kind).parse(sample(kind), Reading(mapping={"Vorname": "first_name"}))
