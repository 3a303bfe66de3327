"""What captcha providers are asked, and what their answers mean (requirement I27)."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.flows.captcha import public_address
from connector.sources.captcha import PROVIDERS, Outcome, Question, form_of, outcome_of

HOSTS = ("www.example.com",)
TURNSTILE, HCAPTCHA, RECAPTCHA = (PROVIDERS[name] for name in ("turnstile", "hcaptcha", "recaptcha"))
ASKED = Question(UUID(int=7), "token", "203.0.113.9", "site-key")
PASSED = {"success": True, "hostname": "www.example.com", "challenge_ts": "2026-11-03T09:00:00Z", "error-codes": []}


def test_each_provider_is_asked_with_its_own_fields() -> None:
    fields = {name: set(form_of(provider, "s", ASKED)) for name, provider in PROVIDERS.items()}

    assert fields == {
        "turnstile": {"secret", "response", "remoteip", "idempotency_key"},
        "hcaptcha": {"secret", "response", "remoteip", "sitekey"},
        "recaptcha": {"secret", "response", "remoteip"},
    }


def test_asking_again_has_the_same_idempotency_key_and_another_delivery_another() -> None:
    first, again = form_of(TURNSTILE, "s", ASKED), form_of(TURNSTILE, "s", ASKED)
    other = form_of(TURNSTILE, "s", Question(UUID(int=8), "token"))

    assert first == again
    assert UUID(first["idempotency_key"]).version == 4
    assert first["idempotency_key"] != other["idempotency_key"]


@pytest.mark.parametrize(
    ("provider", "answer", "outcome"),
    [
        (TURNSTILE, PASSED, Outcome.PASSED),
        (TURNSTILE, PASSED | {"hostname": "evil.example"}, Outcome.ELSEWHERE),
        (TURNSTILE, {"success": True}, Outcome.ELSEWHERE),
        (TURNSTILE, {"success": False, "error-codes": ["timeout-or-duplicate"]}, Outcome.SPENT),
        (TURNSTILE, {"success": False, "error-codes": ["invalid-input-response"]}, Outcome.FAILED),
        (TURNSTILE, {"success": False, "error-codes": ["invalid-input-secret"]}, Outcome.MISCONFIGURED),
        (TURNSTILE, {"success": False, "error-codes": ["internal-error"]}, Outcome.OUTAGE),
        (
            TURNSTILE,
            {"success": False, "error-codes": ["invalid-input-response", "invalid-input-secret"]},
            Outcome.MISCONFIGURED,
        ),
        (HCAPTCHA, PASSED | {"score": 0.0}, Outcome.PASSED),
        (HCAPTCHA, {"success": False, "error-codes": ["already-seen-response"]}, Outcome.SPENT),
        (HCAPTCHA, {"success": False, "error-codes": ["sitekey-secret-mismatch"]}, Outcome.MISCONFIGURED),
        (RECAPTCHA, PASSED | {"score": 0.9, "action": "contact"}, Outcome.PASSED),
        (RECAPTCHA, PASSED | {"score": 0.1, "action": "contact"}, Outcome.DOUBTFUL),
        (RECAPTCHA, {"success": False, "error-codes": ["timeout-or-duplicate"]}, Outcome.SPENT),
        (RECAPTCHA, {"success": False}, Outcome.OUTAGE),
        (RECAPTCHA, {"success": False, "error-codes": ["something-new", {}]}, Outcome.OUTAGE),
        (RECAPTCHA, {"success": "true"}, Outcome.OUTAGE),
        (RECAPTCHA, ["success"], Outcome.OUTAGE),
    ],
)
def test_an_answer_has_one_meaning(provider: Any, answer: Any, outcome: Outcome) -> None:
    assert outcome_of(provider, answer, HOSTS, "") is outcome


@pytest.mark.parametrize(("told", "outcome"), [("contact", Outcome.PASSED), ("login", Outcome.ELSEWHERE)])
def test_a_token_counts_only_for_the_action_it_was_solved_for(told: str, outcome: Outcome) -> None:
    assert outcome_of(TURNSTILE, PASSED | {"action": told}, HOSTS, "contact") is outcome


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(("success", "error-codes", "hostname")), inner),
)


@given(JSON)
def test_whatever_a_provider_answers_only_a_success_on_our_host_passes(answer: Any) -> None:
    outcome = outcome_of(TURNSTILE, answer, HOSTS, "")

    if outcome is Outcome.PASSED:
        assert answer["success"] is True
        assert answer["hostname"] in HOSTS


@pytest.mark.parametrize(
    ("address", "told"),
    [("8.8.8.8", "8.8.8.8"), ("127.0.0.1", None), ("10.1.2.3", None), ("unix:", None), ("", None), (None, None)],
)
def test_only_an_address_of_the_internet_is_told_to_a_provider(address: str | None, told: str | None) -> None:
    assert public_address(address) == told
