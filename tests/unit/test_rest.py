"""What is left of a delivery after an erasure reads back as it was read before (I33, P2)."""

from dataclasses import MISSING, fields
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from connector.model.lead import Consent, Submission
from connector.model.signals import Signal
from connector.sources.base import Reading
from connector.sources.rest import Part, Rest, read, write

texts = st.text(max_size=20)
told = st.text(min_size=1, max_size=20)
named = st.dictionaries(texts, texts, max_size=3)
instants = st.none() | st.datetimes(timezones=st.just(UTC))
consents = st.builds(
    Consent, purpose=told, given=st.booleans(), text=texts, ticked=st.none() | st.booleans(), url=texts
)
submissions = st.builds(
    Submission,
    fields=named,
    lead_key=st.none() | told,
    extra=named,
    attribution=named,
    consents=st.lists(consents, max_size=2).map(tuple),
    occurred_at=instants,
    version=st.integers(1, 2**60),
    is_test=st.booleans(),
    suspicions=st.lists(texts, max_size=2).map(tuple),
    token=texts,
    keyed_at=instants,
    defaulted=st.frozensets(texts, max_size=2),
    signals=st.lists(st.sampled_from(Signal), max_size=2).map(tuple),
    form_token=texts,
    captcha=named,
    also_keys=st.lists(texts, max_size=2).map(tuple),
    notice_key=texts,
)
parts = st.builds(Part, position=st.integers(0, 999), key=texts, submission=submissions)


@given(st.builds(Rest, parts=st.lists(parts, max_size=3).map(tuple), notices=st.lists(texts, max_size=2).map(tuple)))
def test_what_is_left_reads_back_as_it_was(rest: Rest) -> None:
    assert read(write(rest), Reading()) == rest


def test_no_field_of_a_submission_is_left_out() -> None:
    """A field that is added later must survive too."""
    full = Submission(
        fields={"email": "ute@ute.example"},
        lead_key="k",
        extra={"a": "b"},
        attribution={"utm_source": "x"},
        consents=(Consent("email", True, "You may", "web", "contract", "3", True, "https://www.example.com/"),),
        occurred_at=datetime(2026, 9, 16, 12, tzinfo=UTC),
        version=7,
        is_test=True,
        suspicions=("why",),
        token="CARD",
        keyed_at=datetime(2026, 9, 17, 12, tzinfo=UTC),
        defaulted=frozenset(["country"]),
        signals=(Signal.HONEYPOT,),
        form_token="t",
        captcha={"g": "h"},
        also_keys=("also",),
        notice_key="notice:k",
    )

    (part,) = read(write(Rest((Part(2, "k", full),))), Reading()).parts

    assert part == Part(2, "k", full)
    for each in fields(Submission):
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        assert getattr(full, each.name) != default, f"this test must say something for {each.name}"


def test_a_mapping_that_was_corrected_since_counts() -> None:
    """P2: as it would in a replay of what was sent; a field that has a value keeps it."""
    said = Submission({"phone": "+49 30 1"}, extra={"odd": "ute@ute.example", "tel": "+49 30 2", "other": "x"})

    (part,) = read(
        write(Rest((Part(0, "k", said),))), Reading({"odd": "email", "tel": "phone", "other": "ignore", "none": "city"})
    ).parts

    assert part.submission.fields == {"phone": "+49 30 1", "email": "ute@ute.example"}
    assert part.submission.extra == {"tel": "+49 30 2"}
