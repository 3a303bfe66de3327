from datetime import UTC, datetime, timedelta

import pytest

from connector.signatures import Encoding, hmac_sha256, hmac_sha256_matches, parse_pairs, unix_time, within

NOW = datetime(2026, 9, 16, 12, 0, tzinfo=UTC)
# RFC 4231, test case 2.
RFC_KEY, RFC_DATA = "Jefe", b"what do ya want for nothing?"
RFC_HEX = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_the_digest_is_that_of_the_standard():
    assert hmac_sha256(RFC_KEY, RFC_DATA, Encoding.HEX) == RFC_HEX


def test_any_active_secret_may_have_signed():
    """I13: rotation."""
    assert hmac_sha256_matches(["old", RFC_KEY], RFC_DATA, RFC_HEX, Encoding.HEX)


@pytest.mark.parametrize(
    ("secrets", "given", "encoding"),
    [
        ([], RFC_HEX, Encoding.HEX),
        (["other"], RFC_HEX, Encoding.HEX),
        ([RFC_KEY], RFC_HEX, Encoding.BASE64),
        ([RFC_KEY], RFC_HEX.upper(), Encoding.HEX),
        ([RFC_KEY], RFC_HEX + " ", Encoding.HEX),
        ([RFC_KEY], "", Encoding.HEX),
        ([RFC_KEY], "é\ud800", Encoding.HEX),
        ([""], hmac_sha256("", RFC_DATA, Encoding.HEX), Encoding.HEX),
    ],
    ids=["none", "wrong", "encoding", "upper case", "padding", "empty", "not ascii", "empty secret"],
)
def test_anything_but_the_documented_digest_is_refused(secrets, given, encoding):
    """I13: only the documented encoding; malformed values are a refusal, not an error."""
    assert not hmac_sha256_matches(secrets, RFC_DATA, given, encoding)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_fresh_stamp_is_within_the_window(seconds):
    assert within(NOW, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-301, 301])
def test_old_and_future_stamps_are_outside_the_window(seconds):
    """I13: both directions."""
    assert not within(NOW, NOW + timedelta(seconds=seconds))


def test_unix_time_reads_seconds_and_milliseconds():
    assert unix_time("1789560000") == NOW
    assert unix_time("1789560000000", per_second=1000) == NOW


@pytest.mark.parametrize("text", ["", "-1", "1.5", "١٢٣", "9" * 16, "9" * 5000, "now"])
def test_what_is_no_unix_time_is_none(text):
    assert unix_time(text) is None


def test_pairs_keep_every_value_of_a_name():
    assert parse_pairs("t=1, v1=a=,v1=b,junk,=x") == {"t": ("1",), "v1": ("a=", "b")}
