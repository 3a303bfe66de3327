"""A proposed mapping: names, shapes and shares, and never a value."""

import string

from hypothesis import given
from hypothesis import strategies as st

from connector.flows.learning import propose
from connector.settings.values import Source
from connector.sources.masks import mask, shape

SITE = Source("site", "form", "TOKEN", mapping={"firma_nr": "custom.number"}, honeypot="website")


def by_name(values, leads=10):
    return {line.name: line for line in propose(values, leads, SITE, "DE")}


def test_names_shapes_and_what_stands_already_are_told_apart():
    lines = by_name(
        {
            "E-Mail": ["nora@fink.example"] * 10,
            "kontakt": ["a@fink.example", "b@fink.example", "c@fink.example", "", ""],
            "antwort_3": ["030 23125001", "+49 30 23125002", "0171/1234567"],
            "feld_7": ["10115", "20095", "80331"],
            "feld_8": ["Deutschland", "PL", "Österreich"],
            "feld_9": ["x", "", ""],
            "firma_nr": ["7"],
            "website": ["spam"],
            "_ts": ["1"],
        }
    )

    assert {name: (line.sure, line.target) for name, line in lines.items()} == {
        "firma_nr": ("set", "custom.number"),
        "E-Mail": ("sure", "email"),
        "kontakt": ("likely", "custom.kontakt"),
        "antwort_3": ("likely", "phone"),
        "feld_7": ("likely", "postal_code"),
        "feld_8": ("likely", "country"),
        "feld_9": ("unknown", "custom.feld_9"),
    }
    assert "email is taken above" in lines["kontakt"].why
    assert (lines["E-Mail"].filled, lines["kontakt"].filled) == (1.0, 0.3)


def test_numbers_that_only_might_be_phones_stay_unknown():
    """An id, a date, a year, an amount: what a phone book would take, too."""
    lines = by_name({"a": ["6000000000001"], "b": ["2026"], "c": ["1200.50"], "d": ["yes"]})

    assert {line.sure for line in lines.values()} == {"unknown"}


def test_shapes_say_what_values_look_like():
    shapes = {
        "Nora Feld": "Aaaa Aaaa",
        "nora.feld@x.example": "a@a.aa",
        "+49 30 23125001": "+99 99 9999",
        "Łódź": "Aaaa",
    }

    assert {value: shape(value) for value in shapes} == shapes
    assert mask(["10115", "20095", "Köln"]) == "9999"
    assert mask([]) == ""


@given(st.text(max_size=60))
def test_no_shape_holds_anything_of_its_value(value):
    kept = set(" .,-/()+:;?")
    letters = set(shape(value)) - kept

    assert letters <= {"A", "a", "9", "@"}
    assert len(shape(value)) <= 27


@given(
    st.dictionaries(
        st.text(string.printable + "äł", min_size=1, max_size=12), st.lists(st.text(max_size=9)), max_size=6
    )
)
def test_every_proposed_target_is_one_the_settings_take_and_none_is_proposed_twice(values):
    from connector.settings.organisation import target  # noqa: PLC0415 (one test's own)

    targets = [line.target for line in propose(values, 5, SITE, "DE") if line.sure != "set"]

    assert [target(text) for text in targets] == targets
    assert len(targets) == len(set(targets))
