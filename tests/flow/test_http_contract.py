"""The OpenAPI document is true: schemathesis makes requests from it and judges the answers by it.

60 requests an operation and mode, with HEARBACK_FULL=1 at least 20,000 in all.
"""

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from web_support import KEY, LEADS, fresh_database, services_on, web_of

from connector.flows import intake

try:
    import schemathesis
    from schemathesis import GenerationMode
except ImportError:
    if "schemathesis" in os.environ.get("HEARBACK_REQUIRE", ""):
        raise
    pytest.skip("needs schemathesis: install it beside Hearback", allow_module_level=True)


pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

OPERATIONS = ("postLead", "getReceipt", "getLead", "getDecision")
CASES = 20_000 // (2 * len(OPERATIONS)) if os.environ.get("HEARBACK_FULL") == "1" else 60


@pytest.fixture(scope="module")
def api(postgres: str, template: str) -> Iterator["schemathesis.BaseSchema"]:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        web = web_of(services)
        web.client.post(LEADS, json={"email": "contract@example.com", "country": "DE"}, headers=KEY)
        intake.work(services)
        yield schemathesis.openapi.from_wsgi("/api/v1/openapi.json", web.client.application)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_api_keeps_its_word(api: "schemathesis.BaseSchema", operation: str, mode: GenerationMode) -> None:
    """Status codes, media types, bodies, and the refusal of wrong input are those of the document."""
    cases = api.find_operation_by_id(operation).as_strategy(generation_mode=mode)

    @settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def keeps_its_word(case: "schemathesis.Case") -> None:
        if mode is GenerationMode.POSITIVE and "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = uuid4().hex
        case.call_and_validate(headers=KEY)

    keeps_its_word()
