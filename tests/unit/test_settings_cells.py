"""The grammar of territories.csv: what a cell means, and that writing it back loses nothing."""

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from marshmallow import ValidationError

from connector.model.routing import Condition, Term
from connector.settings.cells import fold, parse_cell, write_cell

WORDS = st.text(string.ascii_letters + string.digits + "äłé -_&/", min_size=1, max_size=12).map(fold)
PLAIN = WORDS.filter(bool).filter(lambda word: "..".find(word) < 0)
CODES = st.integers(0, 99_999).map(lambda number: f"{number:05d}")


def text_terms() -> st.SearchStrategy[Term]:
    return st.builds(Term, PLAIN) | st.builds(Term, PLAIN, prefix=st.just(True))


def postal_terms() -> st.SearchStrategy[Term]:
    ranges = st.tuples(CODES, CODES).map(sorted).map(lambda ends: Term(ends[0], ends[1]))
    prefixes = st.builds(
        Term, CODES.flatmap(lambda code: st.integers(1, 5).map(lambda n: code[:n])), prefix=st.just(True)
    )
    return st.builds(Term, CODES) | ranges | prefixes


def number_terms() -> st.SearchStrategy[Term]:
    numbers = st.integers(0, 10**6)
    ranges = st.tuples(numbers, numbers).map(sorted).map(lambda ends: Term(str(ends[0]), str(ends[1])))
    return st.builds(Term, numbers.map(str)) | ranges


def conditions() -> st.SearchStrategy[Condition]:
    kinds = {
        "product": text_terms(),
        "custom.dealer": text_terms(),
        "postal": postal_terms(),
        "employees": number_terms(),
    }
    return st.sampled_from(sorted(kinds)).flatmap(
        lambda field: st.builds(
            Condition,
            st.just(field),
            st.lists(kinds[field], max_size=4).map(tuple),
            st.lists(kinds[field], max_size=3).map(tuple),
            st.booleans(),
        )
    )


@given(conditions(), st.sampled_from(["DE", "PL", "US"]))
def test_a_written_condition_reads_as_itself(condition: Condition, country: str) -> None:
    assume(condition.include or condition.exclude or condition.missing)

    assert parse_cell(condition.field, write_cell(condition), country) == condition


@given(
    st.sampled_from(["product", "postal", "employees", "country", "language", "domain", "custom.x"]),
    st.text(max_size=20) | st.text("0123456789;!.*() aD-", max_size=16),
)
def test_any_cell_is_read_or_complained_about(field: str, text: str) -> None:
    try:
        condition = parse_cell(field, text, "DE")
    except ValidationError as err:
        [message] = err.messages
        assert message.count("\x1f") == 2
    else:
        assert condition is None or parse_cell(field, write_cell(condition), "DE") == condition


@pytest.mark.parametrize(
    ("field", "text", "condition"),
    [
        ("product", "  ", None),
        ("product", "Cordless Drills", Condition("product", (Term("cordless drills"),))),
        (
            "product",
            "cordless*;!cordless saws",
            Condition("product", (Term("cordless", prefix=True),), (Term("cordless saws"),)),
        ),
        ("country", "DE; pl", Condition("country", (Term("de"), Term("pl")))),
        ("country", "!US", Condition("country", (), (Term("us"),))),
        ("country", "(none);DE", Condition("country", (Term("de"),), missing=True)),
        ("employees", "50..0249", Condition("employees", (Term("50", "249"),))),
        ("language", "DE", Condition("language", (Term("de"),))),
        ("domain", "Example.com", Condition("domain", (Term("example.com"),))),
        ("postal", "01000 .. 09999", Condition("postal", (Term("01000", "09999"),))),
        ("postal", "01*", Condition("postal", (Term("01", prefix=True),))),
    ],
)
def test_a_cell_means_what_the_readme_says(field: str, text: str, condition: Condition | None) -> None:
    assert parse_cell(field, text, "DE") == condition


def test_polish_codes_may_be_written_with_their_hyphen() -> None:
    assert parse_cell("postal", "00-001..04-999;50-9*", "PL") == Condition(
        "postal", (Term("00001", "04999"), Term("509", prefix=True))
    )


def test_codes_of_other_countries_are_letters_and_digits_in_capitals() -> None:
    assert parse_cell("postal", "sw1a*;ec1a 1bb", "GB") == Condition(
        "postal", (Term("SW1A", prefix=True), Term("EC1A1BB"))
    )
