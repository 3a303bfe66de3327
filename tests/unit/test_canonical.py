"""Canonical JSON has one spelling, whoever writes it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.model.canonical import canonical, plain

#: Text as PostgreSQL can hold it: no lone surrogates.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=30,
)


@given(DOCUMENTS)
def test_the_fast_writer_and_the_standard_library_agree_byte_for_byte(document: object) -> None:
    """P4: a record can be checked with Python alone."""
    assert canonical(document) == plain(document)


@given(DOCUMENTS)
def test_what_is_read_back_is_written_the_same(document: object) -> None:
    assert canonical(json.loads(canonical(document))) == canonical(document)


def test_a_number_beyond_64_bits_is_written_all_the_same() -> None:
    assert canonical({"n": 10**30}) == b'{"n":1000000000000000000000000000000}'


@pytest.mark.parametrize("pair", [({"b": 1, "a": 2}, {"a": 2, "b": 1}), (["ä"], ["ä"])], ids=["order", "text"])
def test_equal_content_has_equal_bytes(pair: tuple[object, object]) -> None:
    assert canonical(pair[0]) == canonical(pair[1])
