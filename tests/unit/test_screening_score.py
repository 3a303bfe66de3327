"""Signals, their weights, and where they come from (requirements I25, I26)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.model.lead import Lead, Submission
from connector.model.signals import Signal
from connector.normalize import normalize
from connector.screening import form_token
from connector.screening.content import content_signals, is_disposable
from connector.screening.origin import origin_signal
from connector.screening.score import LIMIT, WEIGHTS, judge

NOW = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
FORM = "application/x-www-form-urlencoded"
SIGNALS = st.sets(st.sampled_from(Signal))
#: All that a browser without JavaScript and with every privacy setting shows.
PLAIN_BROWSER = {Signal.TOKEN_MISSING, Signal.CAPTCHA_MISSING, Signal.ORIGIN_UNTOLD}
#: All that may be said of an address alone.
ADDRESS = {Signal.DISPOSABLE_MAIL, Signal.FREE_MAIL, Signal.ROLE_ADDRESS, Signal.UNLIKE_NAME}


@given(SIGNALS, st.sampled_from(Signal), st.lists(st.text(min_size=1)))
def test_one_more_signal_never_lowers_the_score(signals: set[Signal], more: Signal, obstacles: list[str]) -> None:
    before, after = judge(signals, obstacles), judge({*signals, more}, obstacles)

    assert after.score >= before.score
    assert after.quarantined >= before.quarantined
    assert (after.score > before.score) == (more not in signals)


@given(SIGNALS, st.lists(st.text(min_size=1)))
def test_whoever_is_set_aside_has_a_reason_that_names_every_signal(signals: set[Signal], obstacles: list[str]) -> None:
    """I26: listed with its reasons."""
    verdict = judge(signals, obstacles)

    assert verdict.quarantined == (verdict.score >= LIMIT or bool(obstacles))
    assert bool(verdict.reason) or not verdict.quarantined
    assert all(WEIGHTS[signal].words in verdict.reason for signal in signals)
    assert all(obstacle in verdict.reason for obstacle in obstacles)
    assert set(verdict.signals) == signals


@given(SIGNALS)
def test_the_order_of_signals_and_their_number_make_no_difference(signals: set[Signal]) -> None:
    listed = list(signals)

    assert judge(listed) == judge([*reversed(listed), *listed])


def test_every_signal_has_its_weight_and_words() -> None:
    assert set(WEIGHTS) == set(Signal)
    assert all(weight.points > 0 and weight.words for weight in WEIGHTS.values())
    assert len({weight.words for weight in WEIGHTS.values()}) == len(WEIGHTS)


def test_nobody_is_set_aside_for_a_browser_without_javascript_whatever_their_address() -> None:
    """I25, I26: scored, never refused; addresses are only signals."""
    assert not judge(PLAIN_BROWSER | ADDRESS).quarantined
    assert judge(PLAIN_BROWSER | ADDRESS).score > 0


@pytest.mark.parametrize("signal", [Signal.HONEYPOT, Signal.TOO_FAST, Signal.CAPTCHA_FAILED, Signal.SAME_ADDRESS])
def test_what_only_programs_do_is_enough_by_itself(signal: Signal) -> None:
    assert judge([signal]).quarantined


def test_an_operator_reads_the_heaviest_reason_first() -> None:
    verdict = judge([Signal.FREE_MAIL, Signal.HONEYPOT], ["nobody to answer"])

    assert verdict.reason == (
        "nobody to answer; score 105, set aside from 100: the hidden field that people cannot see was filled in (100), "
        "an e-mail address anybody can have (5)"
    )


# The form token.


def token_at(shown: datetime, *, secret: str = "s", form: str = "website") -> str:
    return form_token.mint(secret, form, shown)


@pytest.mark.parametrize(
    ("age", "judged"),
    [
        (timedelta(seconds=0), Signal.TOO_FAST),
        (timedelta(seconds=2), Signal.TOO_FAST),
        (timedelta(seconds=3), None),
        (timedelta(hours=12), None),
        (timedelta(hours=12, seconds=1), Signal.STALE),
        (timedelta(seconds=-2), None),
    ],
)
def test_a_token_tells_when_the_form_was_shown(age: timedelta, judged: Signal | None) -> None:
    """I25: under 3 seconds, over 12 hours; another machine's clock may run ahead."""
    assert form_token.token_signal(["s"], "website", token_at(NOW - age), NOW) is judged


@pytest.mark.parametrize(
    "token",
    [
        token_at(NOW - timedelta(minutes=1), secret="another"),
        token_at(NOW - timedelta(minutes=1), form="other-form"),
        token_at(NOW - timedelta(minutes=1)).replace(".", ".0", 1),
        f"1{token_at(NOW - timedelta(minutes=1))}",
        "1793696400",
        ".",
        "x" * 5000,
        "\ud800.\u202e",
    ],
)
def test_a_token_that_is_not_ours_for_this_form_is_told(token: str) -> None:
    assert form_token.token_signal(["s"], "website", token, NOW) is Signal.TOKEN_FORGED


def test_a_token_made_with_the_key_before_is_still_ours() -> None:
    token = token_at(NOW - timedelta(minutes=1), secret="old")

    assert form_token.token_signal(["new", "old"], "website", token, NOW) is None


@given(st.text())
def test_any_text_as_a_token_is_forged(token: str) -> None:
    assert form_token.token_signal(["s"], "website", token, NOW) is Signal.TOKEN_FORGED


# The page.


@pytest.mark.parametrize(
    ("headers", "judged"),
    [
        ({"origin": "https://www.example.com"}, None),
        ({"origin": "https://www.example.com:8443"}, None),
        ({"origin": "null", "referer": "https://www.example.com/contact?a=b"}, None),
        ({"referer": "https://www.example.com/contact"}, None),
        ({"origin": "https://evil.example"}, Signal.ORIGIN_FOREIGN),
        ({"origin": "https://www.example.com.evil.example"}, Signal.ORIGIN_FOREIGN),
        ({"origin": "https://www.example.com@evil.example"}, Signal.ORIGIN_FOREIGN),
        ({"referer": "https://evil.example/www.example.com"}, Signal.ORIGIN_FOREIGN),
        ({"origin": "https://[::1"}, Signal.ORIGIN_FOREIGN),
        ({"origin": "null"}, Signal.ORIGIN_UNTOLD),
        ({}, Signal.ORIGIN_UNTOLD),
    ],
)
def test_the_page_a_form_was_sent_from_is_compared(headers: dict[str, str], judged: Signal | None) -> None:
    """I25: Origin, else Referer."""
    assert origin_signal(headers, FORM, ["www.example.com"]) is judged


def test_a_program_that_posts_json_has_no_page_to_tell() -> None:
    assert origin_signal({}, "application/json", ["www.example.com"]) is None
    assert origin_signal({"origin": "https://evil.example"}, FORM, []) is None


# What is said.


def signals_of(**fields: str) -> set[Signal]:
    lead = normalize(Submission(fields), source="website", default_country="DE")
    return set(content_signals(fields, lead))


PERSON = {"first_name": "Jürgen", "last_name": "Müller", "email": "j.mueller@mueller-bau.example"}


@pytest.mark.parametrize(
    ("fields", "signals"),
    [
        ({}, set()),
        ({"message": "Bitte um Rückruf nach 17 Uhr, am besten mobil.\nDanke!"}, set()),
        ({"message": "Our drawing: https://www.mueller-bau.example/plan"}, {Signal.LINK}),
        ({"message": "See https://a.example"}, {Signal.LINK}),
        ({"message": "https://a.example and http://b.example"}, {Signal.LINKS}),
        ({"message": "[url=x]y[/url]"}, {Signal.LINK, Signal.MARKUP}),
        ({"message": "<a href='x'>y</a>"}, {Signal.MARKUP}),
        ({"message": "5 < 6 and a<b, c>d"}, set()),
        ({"first_name": "Win at https://x.example"}, {Signal.LINK_IN_NAME}),
        ({"message": "buy now cheap " * 10}, {Signal.REPEATED_TEXT}),
        ({"message": "Best price!\nbest price\nBEST  PRICE"}, {Signal.REPEATED_TEXT}),
        ({"company": "google", "job_title": "Google", "city": "google"}, {Signal.REPEATED_TEXT}),
        ({"company": "Müller Bau", "city": "Müller Bau"}, set()),
        ({"email": "juergen@mailinator.com"}, {Signal.DISPOSABLE_MAIL}),
        ({"email": "juergen@gmail.com"}, {Signal.FREE_MAIL}),
        ({"email": "info@mueller-bau.example"}, {Signal.ROLE_ADDRESS}),
        ({"email": "xk29@bau.example"}, {Signal.UNLIKE_NAME}),
    ],
)
def test_what_is_said_is_looked_at(fields: dict[str, str], signals: set[Signal]) -> None:
    """I25, I26."""
    assert signals_of(**{**PERSON, **fields}) == signals


@pytest.mark.parametrize(
    ("first", "last", "email"),
    [
        ("Jürgen", "Müller", "mueller@x.example"),
        ("Jürgen", "Müller", "j.muller@x.example"),
        ("Jan", "Kowalski", "jkowalski77@x.example"),
        ("Łukasz", "Żak", "lukasz@x.example"),
        ("Anna", "Nowak", "an@x.example"),
        ("Anna-Lena", "Graf", "lena@x.example"),
        ("Bob", "Li", "bob@x.example"),
        ("", "", "anything@x.example"),
        ("小", "王", "wang@x.example"),
    ],
)
def test_an_address_like_the_name_says_nothing(first: str, last: str, email: str) -> None:
    assert signals_of(first_name=first, last_name=last, email=email) == set()


def test_an_address_like_the_company_says_nothing() -> None:
    said = {"first_name": "Eva", "last_name": "Kurz", "company": "Brandt Holz GmbH", "email": "brandtholz@t.example"}

    assert signals_of(**said) == set()


def test_disposable_hosts_are_known_with_their_subdomains_and_ordinary_ones_are_not() -> None:
    """I34: from the package's own list."""
    assert is_disposable("mailinator.com")
    assert is_disposable("abc.mailinator.com")
    assert not any(map(is_disposable, ("gmail.com", "nordhammer.de", "example.com", "gmx.de", "wp.pl", "")))


@given(st.dictionaries(st.sampled_from(("first_name", "company", "message", "email", "city")), st.text()))
def test_any_text_can_be_looked_at(fields: dict[str, str]) -> None:
    lead = Lead(email="a@b.example", first_name=fields.get("first_name", ""))

    assert set(content_signals(fields, lead)) <= set(Signal)
