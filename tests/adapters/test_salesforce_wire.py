"""Salesforce, transport and tokens: A1 to A8, A26, A28, A30."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from salesforce_rig import SECRET, SalesforceRig, adapter_of
from salesforce_server.server import ORIGIN, Answer, SalesforceServer

from connector.adapters import metering
from connector.adapters.registry import adapter_for
from connector.adapters.salesforce import client, tokens
from connector.adapters.salesforce.adapter import SalesforceAdapter
from connector.adapters.salesforce.errors import BY_CODE
from connector.adapters.salesforce.tokens import Grant, audience
from connector.adapters.testing import fresh_key
from connector.adapters.testing.leaks import leaked
from connector.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    Unavailable,
    UnexpectedAnswer,
)
from connector.model.crm import ObjectType, Upsert

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


@pytest.fixture
def rig() -> Iterator[SalesforceRig]:
    with ExitStack() as stack:
        yield SalesforceRig(stack)


def a_lead() -> Upsert:
    return Upsert(ObjectType.LEAD, fresh_key(), {"last_name": "Nowak", "company": "Nowak GmbH"})


def on(server: SalesforceServer, grant: Grant) -> SalesforceAdapter:
    return SalesforceAdapter("test", origin=ORIGIN, grant=grant, options={"currency": "EUR"}, loopback=server.url)


def test_each_grant_asks_as_its_flow_says(rig: SalesforceRig) -> None:
    """A3."""
    grants = [
        Grant("jwt", "consumer-key", "bot@example.com", private_key=PEM),
        Grant("client_credentials", "consumer-key", secret=SECRET),
        Grant("refresh_token", "consumer-key", secret=SECRET, refresh_token="refresh"),
    ]
    for grant in grants:
        list(on(rig.server, grant).owners())

    assertion, credentials, refresh = rig.server.minted[-3:]
    claims = jwt.decode(
        assertion["assertion"], KEY.public_key(), algorithms=["RS256"], audience="https://login.salesforce.com"
    )
    assert assertion["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert (claims["iss"], claims["sub"]) == ("consumer-key", "bot@example.com")
    assert 0 < claims["exp"] - time.time() <= 180
    assert credentials == {"grant_type": "client_credentials", "client_id": "consumer-key", "client_secret": SECRET}
    assert (refresh["grant_type"], refresh["refresh_token"]) == ("refresh_token", "refresh")


@pytest.mark.parametrize(
    ("origin", "whom"),
    [
        ("https://acme.my.salesforce.com", "https://login.salesforce.com"),
        ("https://acme--uat.sandbox.my.salesforce.com", "https://test.salesforce.com"),
    ],
)
def test_an_assertion_is_for_the_right_login(origin: str, whom: str) -> None:
    assert audience(origin) == whom


def test_an_expired_token_is_renewed_once_for_all_threads(rig: SalesforceRig) -> None:
    """A3, A7."""
    minted = len(rig.server.minted)
    expired = Answer(401, [{"errorCode": "INVALID_SESSION_ID", "message": ""}], fault="0.3")
    for _ in range(6):
        # All six are on their way before the first of them hears that its token is over.
        rig.server.next(expired, lambda call: call.is_write)
    rig.server.expire()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: rig.adapter.upsert([a_lead()]), range(6)))

    assert len(rig.server.minted) - minted == 1
    assert len(rig.org.living("Lead")) == 6


def test_a_token_refused_for_good_costs_two_data_requests_and_one_for_a_token(rig: SalesforceRig) -> None:
    """A3."""
    rig.server.refuses_tokens = True
    data, minted = len(rig.server.data()), len(rig.server.minted)

    with pytest.raises(AuthenticationError):
        rig.adapter.upsert([a_lead()])

    assert (len(rig.server.data()) - data, len(rig.server.minted) - minted) == (2, 1)


def test_a_fresh_token_that_is_refused_is_not_renewed(rig: SalesforceRig) -> None:
    """A3."""
    rig.server.refuses_tokens = True
    minted = len(rig.server.minted)

    with pytest.raises(AuthenticationError):
        adapter_of(rig.server).upsert([a_lead()])

    assert len(rig.server.minted) - minted == 1


@pytest.mark.parametrize(
    ("code", "description", "advice"),
    [
        ("invalid_grant", "user hasn't approved this consumer", "pre-authorise a permission set"),
        ("invalid_client_id", "client identifier invalid", "copy the consumer key"),
        ("inactive_user", "user is inactive", "activate them"),
        ("invalid_client", "invalid client credentials", "client_secret is wrong"),
        ("something_new", "?", "Login History"),
    ],
)
def test_a_refused_grant_says_what_an_administrator_does(
    rig: SalesforceRig, code: str, description: str, advice: str
) -> None:
    """A27."""
    rig.server.oauth_error = (code, description)

    with pytest.raises(AuthenticationError, match=advice) as caught:
        adapter_of(rig.server).check()

    assert caught.value.code == code


def test_tokens_go_to_the_configured_organisation_alone(rig: SalesforceRig) -> None:
    """A5: whatever a token endpoint or a redirect says."""
    rig.server.instance = "https://evil.example"
    with pytest.raises(AuthenticationError, match=r"evil\.example"):
        adapter_of(rig.server).check()

    rig.server.next(Answer(302, None, {"Location": "https://evil.example/"}))
    before = rig.requests()
    with pytest.raises(UnexpectedAnswer):
        list(rig.adapter.owners())
    assert rig.requests() - before == 1


def test_every_request_has_a_time_limit(rig: SalesforceRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A1: reads, writes, tokens and metadata."""
    monkeypatch.setattr(client, "_TIMEOUT", (1.0, 0.2))
    monkeypatch.setattr(client, "_SLOW", (1.0, 0.2))
    for call in (
        lambda: list(rig.adapter.owners()),
        lambda: rig.adapter.upsert([a_lead()]),
        lambda: adapter_of(rig.server).check(),
        rig.adapter.parts,
    ):
        rig.server.next(Answer(200, {}, fault="1"))
        since = time.monotonic()
        with pytest.raises((Unavailable, OutcomeUnknown)):
            call()
        assert time.monotonic() - since < 0.9


@pytest.mark.parametrize(
    ("message", "minutes"), [("ConcurrentRequests Limit exceeded.", 1), ("TotalRequests Limit exceeded.", 15)]
)
def test_a_limit_is_one_request_and_says_how_long(rig: SalesforceRig, message: str, minutes: int) -> None:
    """A2: it arrives as 403, like a permission error."""
    rig.server.next(Answer(403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": message}]))
    before = rig.requests()

    with pytest.raises(RateLimited) as caught:
        rig.adapter.upsert([a_lead()])

    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == minutes * 60
    assert rig.requests() - before == 1


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, [{"errorCode": "INSUFFICIENT_ACCESS", "message": "no"}], PermissionDenied),
        (403, [{"errorCode": "API_DISABLED_FOR_ORG", "message": "no"}], PermissionDenied),
        (500, b"<html>", Unavailable),
        (503, [{"errorCode": "SERVER_UNAVAILABLE", "message": "no"}], Unavailable),
        (429, b"", RateLimited),
        (200, b"<html>", UnexpectedAnswer),
        (200, None, UnexpectedAnswer),
        (200, [1], UnexpectedAnswer),
        (200, {"records": [1]}, UnexpectedAnswer),
        (418, b"teapot", UnexpectedAnswer),
    ],
)
def test_reads_that_fail_say_what_to_do_next(
    rig: SalesforceRig, status: int, body: object, kind: type[ConnectorError]
) -> None:
    """A24, A26."""
    rig.server.next(Answer(status, body))

    with pytest.raises(kind) as caught:
        list(rig.adapter.owners())

    assert type(caught.value) is kind


@pytest.mark.parametrize("body", [b"<html>", b"{", {"x": 1}, [], [1], [{"success": True}]])
def test_a_write_whose_answer_breaks_the_contract_is_unknown(rig: SalesforceRig, body: object) -> None:
    """A9, A24."""
    rig.server.next(Answer(200, body))
    try:
        (found,) = rig.adapter.upsert([a_lead()])
    except OutcomeUnknown as err:
        found = err
    assert isinstance(found, OutcomeUnknown)


def test_nothing_secret_is_logged_or_shown(rig: SalesforceRig, caplog: pytest.LogCaptureFixture) -> None:
    """A8."""
    caplog.set_level(logging.DEBUG)
    adapter = on(rig.server, Grant("jwt", "consumer-key", "bot@example.com", private_key=PEM))
    adapter.upsert([a_lead()])
    rig.server.oauth_error = ("invalid_grant", "invalid assertion")
    with pytest.raises(AuthenticationError) as caught:
        on(rig.server, Grant("refresh_token", "consumer-key", secret=SECRET, refresh_token="refresh-1")).check()

    hidden = [*rig.server.tokens, SECRET, "refresh-1", "PRIVATE KEY", rig.server.minted[-2]["assertion"]]
    assert not leaked(caught.value, hidden)
    assert not [secret for secret in hidden if secret in caplog.text or secret in repr(adapter.__dict__)]


def test_each_request_is_counted_for_its_connection(rig: SalesforceRig) -> None:
    """A28: also those for tokens and metadata."""
    metering.take()
    before = rig.requests()
    rig.adapter.check()
    rig.adapter.parts()

    assert sum(metering.take().values()) == rig.requests() - before


def test_two_organisations_share_nothing(rig: SalesforceRig) -> None:
    """A7."""
    with ExitStack() as stack:
        other = SalesforceRig(stack)
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(lambda each: each.adapter.upsert([a_lead()]), [rig, other] * 5))

        for each in (rig, other):
            assert len(each.org.living("Lead")) == 5
            used = {call.headers["authorization"] for call in each.server.data()}
            assert used == {f"Bearer {token}" for token in each.server.tokens}


def test_codes_are_salesforces_own() -> None:
    """A26: all that stand for items are in the SDK's copy of Salesforce's list; the others arrive for whole calls."""
    from importlib.resources import files  # noqa: PLC0415

    wsdl = files("simple_salesforce").joinpath("metadata.wsdl").read_text("utf-8")
    of_calls = {
        *("REQUEST_LIMIT_EXCEEDED", "API_TEMPORARILY_BLOCKED", "INVALID_SESSION_ID", "SERVER_UNAVAILABLE", "NOT_FOUND"),
        *("API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED", "FUNCTIONALITY_NOT_ENABLED", "INVALID_TYPE"),
        "JSON_PARSER_ERROR",
    }

    assert {code for code in BY_CODE if f'value="{code}"' not in wsdl} <= of_calls


@pytest.mark.parametrize(
    ("options", "secrets", "named"),
    [
        ({}, {"client_secret": "hush"}, "base_url"),
        ({"base_url": ORIGIN}, {"client_secret": "hush"}, "client_id"),
        ({"base_url": ORIGIN, "client_id": "c"}, {}, "client_secret"),
        ({"base_url": ORIGIN, "client_id": "c", "colour": "red"}, {"client_secret": "hush"}, "colour"),
        ({"base_url": "http://acme.my.salesforce.com", "client_id": "c"}, {"client_secret": "hush"}, "https"),
        ({"base_url": ORIGIN, "client_id": "c"}, {"client_secret": "hush", "webhook": "w"}, "organization_id"),
    ],
)
def test_wrong_settings_are_named_without_their_values(
    options: dict[str, str], secrets: dict[str, str], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        adapter_for("salesforce", key="main", options=options, secrets=secrets)

    assert "hush" not in str(caught.value)


def test_a_key_that_cannot_sign_is_said_at_once(rig: SalesforceRig) -> None:
    adapter = on(rig.server, Grant("jwt", "c", "bot@example.com", private_key="no key"))

    with pytest.raises(ConfigurationError, match="private_key"):
        adapter.check()


def test_the_form_of_a_token_is_not_in_its_address(rig: SalesforceRig) -> None:
    """A8."""
    call = next(call for call in rig.server.seen if "/oauth2/" in call.path)

    assert call.path == "/services/oauth2/token"
    assert parse_qs(call.body.decode())["client_secret"] == [SECRET]
    assert tokens.audience(ORIGIN).endswith("login.salesforce.com")


def test_a_refresh_token_is_given_back_once_and_for_all(rig: SalesforceRig) -> None:
    """A30."""
    adapter = on(rig.server, Grant("refresh_token", "c", secret=SECRET, refresh_token="refresh-2"))
    adapter.check()

    assert [adapter.revoke(), adapter.revoke()] == ["", ""]

    with pytest.raises(AuthenticationError, match="revoked"):
        on(rig.server, Grant("refresh_token", "c", secret=SECRET, refresh_token="refresh-2")).check()
    assert "refresh-2" not in str([call.path for call in rig.server.seen])


def test_an_app_that_mints_its_own_tokens_is_blocked_by_hand(rig: SalesforceRig) -> None:
    """A30."""
    assert "External Client App Manager" in rig.adapter.revoke()


def test_a_token_that_could_not_be_given_back_is_an_error(rig: SalesforceRig) -> None:
    """A30: nobody is told that it is done."""
    adapter = on(rig.server, Grant("refresh_token", "c", secret=SECRET, refresh_token="refresh-3"))
    rig.server.next(Answer(503, b"busy"))

    with pytest.raises(ConnectorError) as caught:
        adapter.revoke()
    assert "refresh-3" not in str(caught.value)
    assert adapter.revoke() == ""
