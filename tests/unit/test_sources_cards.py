import io
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_deliveries import JSON, a_delivery

from connector.errors import ConfigurationError, UnreadableDelivery
from connector.model.lead import Consent
from connector.sources.base import Reading
from connector.sources.cards import CardSource, Layout, Reject, Row, card_body, read_batch

COLUMNS = {
    "Nr": "record",
    "Code": "key_code",
    "Eingang": "answered_on",
    "Vorname": "first_name",
    "Straße": "street",
    "Ja": "consent.email",
}
HEADER = "Nr;Code;Eingang;Vorname;Straße;Ja;Rest\n"


def rows(text, *, encoding="utf-8", columns=COLUMNS, header=HEADER, **options):
    body = text if isinstance(text, bytes) else text.encode(encoding)
    stream = io.BytesIO(header.encode(encoding) + body)
    profile = {"columns": columns, "delimiter": ";", "date_format": "%d.%m.%Y", **options}
    return list(read_batch(stream, Layout(encoding=encoding, **profile)))


def a_card(row, **reading):
    delivery = a_delivery(card_body("post", "b1", row), JSON)
    [lead] = CardSource().parse(delivery, Reading(mapping=COLUMNS, **reading))
    return lead


def test_a_row_becomes_a_lead_with_key_code_batch_and_record():
    """C17, C14."""
    [row] = rows("7;K1;16.09.2026;Jürgen;Am Wall 1;ja;blau\n", encoding="cp1252")

    lead = a_card(row, campaigns={"K1": "autumn"}, defaults={"country": "DE"})

    assert (row.record, row.line) == ("7", 2)
    assert lead.lead_key == "post:b1:7"
    assert lead.fields == {
        "first_name": "Jürgen",
        "street": "Am Wall 1",
        "campaign": "autumn",
        "country": "DE",
    }
    assert lead.extra == {"Rest": "blau"}
    assert lead.consents == (Consent("email", True),)
    assert lead.attribution == {"key_code": "K1", "batch": "b1", "house": "post"}
    assert lead.occurred_at == datetime(2026, 9, 16, tzinfo=UTC)
    assert lead.suspicions == ()


def test_an_unknown_key_code_waits_for_a_person():
    [row] = rows("7;K9;;Eva;Am Wall 1;;\n")

    assert "belongs to no campaign" in a_card(row, campaigns={"K1": "autumn"}).suspicions[0]


def test_a_date_written_otherwise_stays_as_keyed():
    [row] = rows("7;K1;31.02.2026;Eva;Am Wall 1;;\n")
    lead = a_card(row, campaigns={"K1": "autumn"})

    assert lead.occurred_at is None
    assert lead.extra == {"Eingang": "31.02.2026"}


def test_the_parts_of_a_key_cannot_run_into_one_another():
    one = Row("1", 2, "K", "", {"Vorname": "Eva"})
    colon = CardSource().parse(a_delivery(card_body("a:b", "c", one), JSON), Reading())
    plain = CardSource().parse(a_delivery(card_body("a", "b:c", one), JSON), Reading())

    assert colon[0].lead_key != plain[0].lead_key


def test_bad_rows_are_rejected_with_reasons_and_the_rest_is_read():
    """C17: a receipt per row."""
    body = (
        b"1;K1;;Eva;Weg 1;;\n"
        b"2;K1;;J\xfcrgen;Weg 2;;\n"
        b"3;K1;;zu;wenig\n"
        b"4;;;Ohne;Code;;\n"
        b";K1;;Ohne;Nummer;;\n"
        b'6;K1;;"offen;Weg 6;;\n'
        b'7;K1;;"zu"x;Weg 7;;\n'
        b"\n"
        b"8;K1;;Ada;Weg 8;;\n"
    )

    found = rows(body)

    assert [(each.line, each.record) for each in found if isinstance(each, Row)] == [(2, "1"), (10, "8")]
    assert [(each.line, each.reason) for each in found if isinstance(each, Reject)] == [
        (3, "the line is not in the profile's encoding, or longer than 64 KB"),
        (4, "5 columns where the header has 7"),
        (5, "no key code"),
        (6, "no record number"),
        (7, "a quotation mark is not closed"),
        (8, "text follows a closing quotation mark"),
    ]
    assert "J�rgen" in found[1].text


def test_a_quoted_line_break_stays_inside_its_record():
    found = rows('1;K1;;Eva;"Weg 1\r\nHinterhaus";;\r\n2;K1;;Ada;Weg 2;;\r\n')

    assert [each.line for each in found] == [2, 4]
    assert found[0].values["Straße"] == "Weg 1\r\nHinterhaus"


def test_an_open_quote_costs_one_line_and_not_the_file():
    lines = "".join(f"{number};K1;;Eva;Weg;;\n" for number in range(2, 1000))

    found = rows('1;K1;;"Eva;Weg;;\n' + lines)

    assert [type(each) for each in found[:2]] == [Reject, Row]
    assert len(found) == 999


def test_an_endless_line_is_one_reject():
    found = rows("1;K1;;" + "x" * 200_000 + ";Weg;;\n2;K1;;Eva;Weg;;\n")

    assert [type(each) for each in found] == [Reject, Row]
    assert found[1].line == 3


def test_without_a_record_column_the_line_is_the_number():
    columns = {"Code": "key_code"}

    [row] = rows("K1;Eva\n", columns=columns, header="Code;Vorname\n")

    assert row.record == "2"


def test_a_byte_order_mark_is_no_part_of_the_header():
    [row] = rows(b"K1;Eva\n", columns={"Code": "key_code"}, header="\ufeffCode;Vorname\n")

    assert row.key_code == "K1"


@pytest.mark.parametrize(
    ("header", "reason"),
    [("", "empty"), ("Nr;Code\n", "lacks Eingang"), (HEADER.replace("Rest", "Ja"), "twice")],
)
def test_a_header_that_is_not_the_profiles_refuses_the_batch(header, reason):
    with pytest.raises(UnreadableDelivery, match=reason):
        rows("", header=header)


@pytest.mark.parametrize(
    "profile",
    [{"encoding": "utf-16"}, {"encoding": "no-such"}, {"delimiter": ";;"}, {"columns": {"Nr": "record"}}],
    ids=str,
)
def test_a_profile_no_file_can_be_read_with_is_a_configuration_error(profile):
    stream = io.BytesIO(HEADER.encode())
    whole = {"columns": COLUMNS, "encoding": "utf-8", "delimiter": ";", "date_format": "%Y"} | profile
    with pytest.raises(ConfigurationError):
        list(read_batch(stream, Layout(**whole)))


def test_a_body_that_card_body_did_not_write_is_unreadable():
    for body in ("[]", "{}", '{"house":"a","batch":"b","record":"c","values":{"x":1}}'):
        with pytest.raises(UnreadableDelivery):
            CardSource().parse(a_delivery(body, JSON), Reading())


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_no_file_makes_the_reader_fail_and_no_line_is_lost(content):
    """Every line with text is in a row or a reject, unless a quote joins it to one."""
    found = rows(content.replace(b'"', b""), columns={"Code": "key_code"}, header="Code;Vorname\n")

    texts = [line for line in content.replace(b'"', b"").split(b"\n") if line.strip(b" ;\r\t\x0b\x0c\x1c\x1d\x1e\x1f")]
    assert len(found) >= len([line for line in texts if line.isascii() and line.isalnum()])


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_quotes_anywhere_make_no_reader_fail(content):
    rows(content + b'"', columns={"Code": "key_code"}, header="Code;Vorname\n")
