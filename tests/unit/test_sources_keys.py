"""Dedupe keys from expressions over header, body and query (I8, I9, I12)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_deliveries import JSON, URLENCODED, a_delivery

from connector.sources.bodies import dotted, json_pairs
from connector.sources.keys import expressed_key

MULTIPART = "multipart/form-data; boundary=b"
ENTRY = {"entry": {"id": 6000000000000000001, "answers": [{"id": "a0"}, {"id": "a1"}]}, "1.3": "Nora", "note": None}


def key(parts, body, content_type=JSON, *, position=0, leads=1, headers=None, query=None):
    body = body if isinstance(body, str | bytes) else json.dumps(body)
    return expressed_key(parts, a_delivery(body, content_type, headers=headers, query=query), position, leads)


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("body:entry.id", "6000000000000000001"),
        ("body:entry[id]", "6000000000000000001"),
        ("body:entry.answers[1].id", "a1"),
        ("body:entry.answers.1.id", "a1"),
        ("body:1.3", "Nora"),
        ("header:x-request-id", "r-7"),
        ("query:id", "q-1"),
    ],
)
def test_each_place_is_looked_into(part, found):
    """I8: header, body and query; I12: every digit of a long id."""
    assert key([part], ENTRY, headers={"x-request-id": '"r-7"'}, query={"id": "q-1"}) == f"key:{found}"


@pytest.mark.parametrize(
    "part",
    ["body:entry", "body:entry.answers", "body:entry.answers[2].id", "body:note", "body:none", "header:x", "query:x"],
)
def test_what_is_missing_or_no_single_value_leaves_the_key_to_the_source(part):
    assert key([part, "body:entry.id"], ENTRY) is None


@pytest.mark.parametrize(("body", "content_type"), [("[" * 9_999, JSON), (b"\xff", JSON), ("", MULTIPART), ("1", JSON)])
def test_an_unreadable_body_leaves_the_key_to_the_source(body, content_type):
    assert key(["body:id"], body, content_type) is None


@pytest.mark.parametrize("path", ["meta[id][value]", "meta.id.value"])
def test_a_form_spells_a_path_with_brackets(path):
    assert key([f"body:{path}"], "a=1&meta%5Bid%5D%5Bvalue%5D=77", URLENCODED) == "key:77"


def test_a_number_and_its_text_are_one_key():
    """I12."""
    assert key(["body:id"], {"id": 77}) == key(["body:id"], {"id": "77"}) == key(["body:id"], "id=77", URLENCODED)


@given(st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=2), st.lists(st.text(max_size=5), max_size=2))
def test_joined_parts_never_meet_by_chance(one, other):
    """I8: ("a|b", "c") and ("a", "b|c") are two submissions."""
    parts = ["query:a", "query:b"]
    keys = [key(parts, "{}", query=dict(zip("ab", given, strict=False))) for given in (one, other)]
    said = [[" ".join(text.split()) for text in given] for given in (one, other)]

    if None not in keys and said[0] != said[1] and all(text.isprintable() for text in (*one, *other)):
        assert keys[0] != keys[1]


def test_objects_of_a_list_have_their_own_ids_however_they_are_grouped():
    """I9: a redelivery grouped differently creates nothing new."""
    a, b = {"id": "a"}, {"id": "b"}

    together = [key(["body:id"], [a, b], position=n, leads=2) for n in (0, 1)]
    alone = [key(["body:id"], [each]) for each in (a, b)]

    assert together == alone == ["key:a", "key:b"]


def test_a_key_that_all_leads_share_gets_their_position():
    """I9."""
    shared = [key(["header:x"], [{}, {}], position=n, leads=2, headers={"x": "r"}) for n in (0, 1)]

    assert shared == ["key:r#1", "key:r#2"]


NAMES = st.text("abcäł_-", min_size=1, max_size=4)
TREES = st.recursive(st.text("xyz", max_size=3), lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3))


@given(st.dictionaries(NAMES, TREES, min_size=1, max_size=3))
def test_every_leaf_of_a_tree_comes_out_once_and_brackets_name_it_too(tree):
    """I19: `a.b` and `a[b]` are the same path."""
    pairs = json_pairs(tree)
    leaves = json.dumps(tree, ensure_ascii=False).replace("{}", "").count('": "')

    assert len(pairs) == leaves == len({name for name, _ in pairs})
    for name, value in pairs:
        first, *rest = name.split(".")
        bracketed = first + "".join(f"[{part}]" for part in rest)
        assert dotted(bracketed) == name
        if value:
            assert key([f"body:{bracketed}"], tree) == f"key:{value}"
