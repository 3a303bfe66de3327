import pytest

from connector.adapters.mapping import read_mapping, shipped_mapping
from connector.adapters.sandbox.crm.shapes import SHAPES
from connector.errors import ConfigurationError, InvalidRecord
from connector.model.crm import ObjectType, Upsert

TEXT = """
task:
  object: to_dos
  key: our_key
  fields:
    title: Subject
    status: {name: State, values: {open: "1", done: "9"}}
    due: {name: Due, time: true}
"""


@pytest.fixture
def tasks():
    return read_mapping(TEXT, "test")[ObjectType.TASK]


def a_task(**fields: object) -> Upsert:
    return Upsert(ObjectType.TASK, "k", fields)


def test_fields_and_closed_values_are_translated_both_ways(tasks) -> None:
    written = tasks.to_vendor(a_task(title="Call", status="done", due="2026-03-02T13:00:00+01:00"))

    assert written == {"Subject": "Call", "State": "9", "Due": "2026-03-02T12:00:00+00:00"}
    assert tasks.to_canonical(written) == {"title": "Call", "status": "done", "due": "2026-03-02T12:00:00+00:00"}


def test_what_the_crm_does_not_hold_is_none(tasks) -> None:
    assert tasks.to_canonical({"Colour": "red"}) == {"title": None, "status": None, "due": None}


def test_one_instant_has_one_spelling(tasks) -> None:
    """P9: the echo guard compares texts."""
    spellings = {
        tasks.to_canonical({"Due": text})["due"]
        for text in ("2026-03-02T12:00:00Z", "2026-03-02T12:00:00.000+00:00", "2026-03-02T07:00:00-05:00")
    }

    assert spellings == {"2026-03-02T12:00:00+00:00"}


def test_none_clears_whatever_the_kind(tasks) -> None:
    assert tasks.to_vendor(a_task(status=None, due=None)) == {"State": None, "Due": None}


@pytest.mark.parametrize("fields", [{"status": "asleep"}, {"due": "tomorrow"}, {"due": "2026-03-02"}, {"hue": "red"}])
def test_what_cannot_be_said_is_refused_by_name(tasks, fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRecord) as caught:
        tasks.to_vendor(a_task(**fields))

    assert caught.value.fields == tuple(fields)


@pytest.mark.parametrize(
    "text",
    ["painting: {object: p, fields: {}}", "task: {fields: {}}", "task: 3", "[]", "",
     "task: {object: t, fields: {status: {name: S, values: {open: A, done: A}}}}"],
)  # fmt: skip
def test_a_mapping_that_says_too_little_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        read_mapping(text, "test")


def test_the_sandbox_has_every_field_its_mapping_names() -> None:
    for mapping in shipped_mapping("connector.adapters.sandbox").values():
        missing = [name for name in mapping.vendor_names if SHAPES[mapping.name].check_of(name) is None]
        assert missing == []
