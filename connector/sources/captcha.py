"""Captcha providers: what each is asked, and what its answer means (requirement I27).

Sources: Cloudflare "Validate the token" (Turnstile), hCaptcha developer guide "Verify the user response server side",
Google "Verifying the user's response" (reCAPTCHA v2 and v3).
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID


class Outcome(StrEnum):
    """What asking a provider came to."""

    PASSED = "passed"
    FAILED = "failed"
    SPENT = "spent"
    ELSEWHERE = "elsewhere"
    DOUBTFUL = "doubtful"
    #: The token is used up, and that may be our doing: asked before by a process that died, or asked late.
    UNSURE = "unsure"
    OUTAGE = "outage"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider: its address, the field its widget fills in, and where it differs from the others."""

    url: str
    field: str
    longest: int
    #: Takes an idempotency key: the same question may be asked again and has the same answer.
    repeatable: bool = False
    #: Can be told which site key to expect.
    names_site: bool = False
    #: Rates visitors from 0, a program, to 1; the opposite of what others call a score.
    rates: bool = False


PROVIDERS: Mapping[str, Provider] = {
    "turnstile": Provider(
        "https://challenges.cloudflare.com/turnstile/v0/siteverify", "cf-turnstile-response", 2048, repeatable=True
    ),
    "hcaptcha": Provider("https://api.hcaptcha.com/siteverify", "h-captcha-response", 10_240, names_site=True),
    "recaptcha": Provider(
        "https://www.google.com/recaptcha/api/siteverify", "g-recaptcha-response", 10_240, rates=True
    ),
}
#: The fields in which widgets leave their tokens.
TOKEN_FIELDS = frozenset(provider.field for provider in PROVIDERS.values())

# The threshold that the documentation of reCAPTCHA v3 begins with.
_LIKELY_HUMAN = 0.5

_BY_CODE: Mapping[str, Outcome] = {
    **dict.fromkeys(("missing-input-response", "invalid-input-response"), Outcome.FAILED),
    **dict.fromkeys(
        ("timeout-or-duplicate", "expired-input-response", "already-seen-response", "invalid-or-already-seen-response"),
        Outcome.SPENT,
    ),
    **dict.fromkeys(
        (
            "missing-input-secret",
            "invalid-input-secret",
            "sitekey-secret-mismatch",
            "not-using-dummy-passcode",
            "missing-remoteip",
            "invalid-remoteip",
            "bad-request",
        ),
        Outcome.MISCONFIGURED,
    ),
    "internal-error": Outcome.OUTAGE,
}


@dataclass(frozen=True, slots=True)
class Question:
    """One token to be verified. `remote_ip` is None where it would tell the provider nothing."""

    delivery: UUID
    token: str
    remote_ip: str | None = None
    site_key: str = ""


def form_of(provider: Provider, secret: str, question: Question) -> dict[str, str]:
    """Return the fields to post; the idempotency key follows from the delivery, so that it is the same next time."""
    form = {"secret": secret, "response": question.token}
    if question.remote_ip:
        form["remoteip"] = question.remote_ip
    if provider.names_site and question.site_key:
        form["sitekey"] = question.site_key
    if provider.repeatable:
        digest = hashlib.sha256(b"captcha" + question.delivery.bytes).digest()
        form["idempotency_key"] = str(UUID(bytes=digest[:16], version=4))
    return form


def outcome_of(provider: Provider, answer: Any, hosts: Collection[str], action: str) -> Outcome:
    """Read a provider's answer; one that is not of its documented shape counts as an outage."""
    if not isinstance(answer, dict) or not isinstance(answer.get("success"), bool):
        return Outcome.OUTAGE
    if not answer["success"]:
        return _refusal(answer.get("error-codes"))
    if answer.get("hostname") not in hosts or (action and answer.get("action") != action):
        return Outcome.ELSEWHERE
    score = answer.get("score") if provider.rates else None
    doubtful = isinstance(score, int | float) and score < _LIKELY_HUMAN
    return Outcome.DOUBTFUL if doubtful else Outcome.PASSED


def _refusal(codes: Any) -> Outcome:
    """Name the weightiest reason: our own mistakes before the visitor's, and an unknown one is nobody's."""
    found = {_BY_CODE.get(str(code), Outcome.OUTAGE) for code in codes} if isinstance(codes, list) else set()
    for outcome in (Outcome.MISCONFIGURED, Outcome.OUTAGE, Outcome.SPENT, Outcome.FAILED):
        if outcome in found:
            return outcome
    return Outcome.OUTAGE
