"""What every adapter promises, as tests. Subclass `AdapterContract` and give it a `rig`.

The numbers are those of README.md beside the adapters: K for everyone, KW for webhooks, KF for the change feed,
KC for capabilities, KE for erasure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

import pytest

from connector.adapters.base import Adapter, Capability
from connector.adapters.testing.leaks import leaked
from connector.adapters.testing.rig import Rig, fresh_key
from connector.errors import (
    AuthenticationError,
    ConnectorError,
    InvalidRecord,
    OutcomeUnknown,
    OwnerRefused,
    PermanentError,
    RateLimited,
    RecordNotFound,
    TransientError,
    UnexpectedAnswer,
    UnsupportedCapability,
    WebhookRejected,
)
from connector.model.crm import (
    CrmEvent,
    EventType,
    ObjectType,
    Outcome,
    PartState,
    Record,
    RecordRef,
    Upsert,
    Value,
    WriteResult,
)
from connector.model.delivery import Delivery

_NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
_MOST_OWNERS = 50_000
_MOST_PAGES = 1_000
_MOST_REQUESTS_WHEN_REFUSED = 3
_AWKWARD = (
    "Zażółć gęślą jaźń \U0001f426\u200d\U0001f525",
    "שלום, مرحبا",
    'O\'Brien "Bobby"; DROP TABLE leads; -- \\ % _ {{x}} <b>&amp;</b>',
    "line one\nline two\ttab",
    "long " * 100,
)


class AdapterContract:
    """Every adapter keeps this contract; a subclass provides the fixture `rig`."""

    @pytest.fixture
    def rig(self) -> Rig:
        """Return the CRM under test."""
        raise NotImplementedError

    def test_check_names_the_account_and_the_api_version(self, rig: Rig) -> None:
        """Bronze: `check` works."""
        about = rig.adapter.check()

        assert about.account
        assert about.api_version

    def test_a_new_key_creates_a_record(self, rig: Rig) -> None:
        """K1."""
        command = _a_lead(rig)

        result = _written(rig.adapter, command)

        assert result.outcome is Outcome.CREATED
        assert _holds(rig.adapter.fetch(result.ref), command)

    def test_a_keyless_type_is_created_too(self, rig: Rig) -> None:
        """K1, for tasks."""
        command = _a_task(rig)

        result = _written(rig.adapter, command)

        assert result.outcome is Outcome.CREATED
        assert _holds(rig.adapter.fetch(result.ref), command)

    def test_a_repeat_under_the_same_key_changes_nothing(self, rig: Rig) -> None:
        """K2, A11: sent twice, one record."""
        command = _a_lead(rig)
        first = _written(rig.adapter, command)
        before = rig.adapter.fetch(first.ref)

        second = _written(rig.adapter, command)

        assert second.ref == first.ref
        assert second.outcome in {Outcome.UPDATED, Outcome.UNCHANGED}
        assert rig.adapter.fetch(first.ref).fields == before.fields

    def test_a_key_twice_in_one_batch_makes_one_record(self, rig: Rig) -> None:
        """K2, A13."""
        command = _a_lead(rig)
        if rig.adapter.batch_size == 1:
            pytest.skip("takes one command a call")

        first, second = rig.adapter.upsert([command, command])

        assert isinstance(first, WriteResult)
        assert isinstance(second, WriteResult)
        assert first.ref == second.ref

    def test_a_known_record_is_updated_and_not_created_again(self, rig: Rig) -> None:
        """K2, for types without a unique key: the record is named."""
        command = _a_task(rig)
        ref = _written(rig.adapter, command).ref

        again = _written(rig.adapter, replace(command, record=ref, fields={"status": "done"}))

        assert again.ref == ref
        assert rig.adapter.fetch(ref).fields["status"] == "done"

    def test_fields_not_named_stay_as_they_are(self, rig: Rig) -> None:
        """K3."""
        command = _a_lead(rig)
        ref = _written(rig.adapter, command).ref

        _written(rig.adapter, replace(command, fields={"company": "Other Ltd"}))

        assert rig.adapter.fetch(ref).fields["company"] == "Other Ltd"
        assert rig.adapter.fetch(ref).fields["last_name"] == command.fields["last_name"]

    def test_an_empty_value_clears_a_field(self, rig: Rig) -> None:
        """K3, the other side: None is a value."""
        command = _a_lead(rig)
        ref = _written(rig.adapter, command).ref

        _written(rig.adapter, replace(command, fields={"phone": None}))

        assert rig.adapter.fetch(ref).fields["phone"] is None

    def test_find_returns_what_was_written_and_leaves_out_the_rest(self, rig: Rig) -> None:
        """K4."""
        lead, task = _a_lead(rig), _a_task(rig)
        lead_ref = _written(rig.adapter, lead).ref
        task_ref = _written(rig.adapter, task).ref
        rig.settle()

        leads = rig.adapter.find(ObjectType.LEAD, [lead.key, fresh_key()])
        tasks = rig.adapter.find(ObjectType.TASK, [fresh_key(), task.key])

        assert dict(leads) == {lead.key: lead_ref}
        assert dict(tasks) == {task.key: task_ref}

    def test_find_of_nothing_is_nothing(self, rig: Rig) -> None:
        """K4."""
        assert dict(rig.adapter.find(ObjectType.LEAD, [])) == {}

    def test_a_record_that_is_not_there_is_not_found(self, rig: Rig) -> None:
        """K4, A23: gone is an error, never an empty record."""
        ref = _written(rig.adapter, _a_lead(rig)).ref

        with pytest.raises(RecordNotFound):
            rig.adapter.fetch(replace(ref, id=_another_id(ref.id)))

    def test_several_records_are_read_at_once_and_told_in_order(self, rig: Rig) -> None:
        """K4, A13: one that is gone is told in its place, and spares the others."""
        first, second = (_written(rig.adapter, _a_lead(rig)).ref for _ in range(2))
        gone = replace(first, id=_another_id(first.id))

        answers = rig.adapter.fetch_many([second, gone, first][: rig.adapter.batch_size])

        told = [each.ref if isinstance(each, Record) else type(each) for each in answers]
        assert told == [second, RecordNotFound, first][: rig.adapter.batch_size]
        assert list(rig.adapter.fetch_many([])) == []

    def test_a_lost_answer_is_an_unknown_outcome_and_a_resend_does_not_duplicate(self, rig: Rig) -> None:
        """K5, A9, keyed."""
        command = _a_lead(rig)
        rig.lose_next_answer()

        with pytest.raises(OutcomeUnknown):
            rig.adapter.upsert([command])

        rig.settle()
        found = rig.adapter.find(ObjectType.LEAD, [command.key])[command.key]
        assert _written(rig.adapter, command).ref == found

    def test_after_a_lost_answer_find_sees_a_keyless_record(self, rig: Rig) -> None:
        """K5, A9, keyless: looking before resending finds it."""
        command = _a_task(rig)
        rig.lose_next_answer()

        with pytest.raises(OutcomeUnknown):
            rig.adapter.upsert([command])

        rig.settle()
        found = rig.adapter.find(ObjectType.TASK, [command.key])[command.key]
        assert isinstance(found, RecordRef)
        assert _holds(rig.adapter.fetch(found), command)

    def test_a_refused_connection_is_transient(self, rig: Rig) -> None:
        """K6, A10: nothing left, so nothing was written."""
        with pytest.raises(TransientError):
            rig.unreachable().upsert([_a_lead(rig)])

    def test_a_rate_limit_is_told_at_once_with_the_delay(self, rig: Rig) -> None:
        """K7, A2: exactly one request."""
        rig.limit_next(timedelta(seconds=7))
        before = rig.requests()

        with pytest.raises(RateLimited) as caught:
            rig.adapter.upsert([_a_lead(rig)])

        assert caught.value.retry_after == timedelta(seconds=7)
        assert rig.requests() - before == 1

    def test_refused_credentials_are_told_after_one_renewal_at_most(self, rig: Rig) -> None:
        """K8, A3: two data requests and one for a token at most."""
        adapter = rig.refused()
        before = rig.requests()

        with pytest.raises(AuthenticationError):
            adapter.upsert([_a_lead(rig)])

        assert rig.requests() - before <= _MOST_REQUESTS_WHEN_REFUSED

    def test_every_error_is_ours_with_a_cause_and_without_secrets(self, rig: Rig) -> None:
        """K9, A8, A26."""
        command = _a_lead(rig)
        hidden = [*rig.secrets, str(command.fields["email"]), str(command.fields["message"])]

        for error in _failures(rig, command):
            assert isinstance(error, ConnectorError)
            assert error.__cause__ is not None
            assert not leaked(error, hidden)
        for item in _refusals(rig, command):
            assert isinstance(item, ConnectorError)
            assert not leaked(item, hidden)

    def test_the_adapter_does_not_show_its_secrets(self, rig: Rig) -> None:
        """K9."""
        assert not [secret for secret in rig.secrets if secret in repr(rig.adapter)]

    def test_paging_ends_even_if_the_crm_repeats_itself(self, rig: Rig) -> None:
        """K10, A21."""
        owners = rig.repeating().owners()

        with pytest.raises(UnexpectedAnswer):
            list(islice(owners, _MOST_OWNERS))

    @pytest.mark.parametrize("text", _AWKWARD, ids=["emoji", "right to left", "quotes", "lines", "long"])
    def test_text_survives(self, rig: Rig, text: str) -> None:
        """K11."""
        command = replace(_a_lead(rig), fields={"last_name": "Text", "company": "Text", "message": text})

        ref = _written(rig.adapter, command).ref

        assert rig.adapter.fetch(ref).fields["message"] == text

    def test_money_is_exact(self, rig: Rig) -> None:
        """A18."""
        fields: dict[str, Value] = {"name": "Pumps", "amount": "12345678.10", "currency": "EUR", "owner": rig.owner}
        command = Upsert(ObjectType.DEAL, fresh_key(), fields)

        ref = _written(rig.adapter, command).ref

        assert rig.adapter.fetch(ref).fields["amount"] == "12345678.10"

    def test_times_come_back_aware_and_in_utc(self, rig: Rig) -> None:
        """K12: written from another zone, read as `datetime.isoformat()` of the same instant in UTC."""
        ref = _written(rig.adapter, _a_task(rig, due="2026-03-02T13:00:00+01:00")).ref

        record = rig.adapter.fetch(ref)

        assert record.fields["due"] == _NOON.isoformat()
        assert record.updated_at is None or record.updated_at.utcoffset() == timedelta()

    def test_naive_times_are_refused(self, rig: Rig) -> None:
        """K12."""
        (result,) = rig.adapter.upsert([_a_task(rig, due="2026-03-02T13:00:00")])

        assert isinstance(result, InvalidRecord)
        assert result.fields

    def test_unknown_fields_are_refused_by_name(self, rig: Rig) -> None:
        """A17: a field nobody mapped is not dropped in silence."""
        command = _a_lead(rig)

        (result,) = rig.adapter.upsert([replace(command, fields={**command.fields, "shoe_size": 43})])

        assert isinstance(result, InvalidRecord)
        assert "shoe_size" in result.fields

    @pytest.mark.parametrize("who", ["unknown", "inactive"])
    def test_an_owner_who_may_not_own_is_refused(self, rig: Rig, who: str) -> None:
        """A16."""
        owner = rig.inactive_owner if who == "inactive" else _another_id(rig.owner)
        command = _a_lead(rig)

        (result,) = rig.adapter.upsert([replace(command, fields={**command.fields, "owner": owner})])

        assert isinstance(result, OwnerRefused)

    def test_owners_tell_who_is_active(self, rig: Rig) -> None:
        """Inactive ones too: routing must know that somebody left."""
        active = {owner.id: owner.active for owner in rig.adapter.owners()}

        assert active[rig.owner] is True
        assert active[rig.inactive_owner] is False

    def test_a_batch_is_answered_item_by_item_in_order(self, rig: Rig) -> None:
        """A13: one bad item spares the others."""
        if rig.adapter.batch_size == 1:
            pytest.skip("takes one command a call")
        commands = [_a_lead(rig) for _ in range(3)]
        commands[1] = replace(commands[1], fields={**commands[1].fields, "owner": rig.inactive_owner})

        first, bad, last = rig.adapter.upsert(commands)

        assert isinstance(bad, OwnerRefused)
        assert isinstance(first, WriteResult)
        assert isinstance(last, WriteResult)
        assert _holds(rig.adapter.fetch(first.ref), commands[0])
        assert _holds(rig.adapter.fetch(last.ref), commands[2])

    def test_a_batch_above_the_limit_is_refused_unsent(self, rig: Rig) -> None:
        """A13: splitting is the caller's duty."""
        before = rig.requests()

        with pytest.raises(PermanentError):
            rig.adapter.upsert([_a_lead(rig) for _ in range(rig.adapter.batch_size + 1)])

        assert rig.requests() == before

    def test_no_commands_need_no_request(self, rig: Rig) -> None:
        """A13."""
        before = rig.requests()

        assert list(rig.adapter.upsert([])) == []
        assert rig.requests() == before

    def test_an_authentic_delivery_passes_and_keeps_its_order(self, rig: Rig) -> None:
        """KW3: one delivery, many events, as they happened."""
        leads = [_written(rig.adapter, _a_lead(rig)).ref.id for _ in range(rig.most_events)]
        delivery = _hook(rig, leads)

        rig.adapter.verify_webhook(delivery)
        events = rig.adapter.parse_webhook(delivery)

        assert [event.ref.id for event in events] == leads
        assert len({event.id for event in events}) == len(leads)
        assert {event.type for event in events} == {EventType.RECORD_CHANGED}
        assert all(event.occurred_at.utcoffset() == timedelta() for event in events)

    def test_a_tampered_body_is_rejected(self, rig: Rig) -> None:
        """KW1."""
        _needs_signature(rig)
        delivery = _hook(rig, ["a-lead"])

        with pytest.raises(WebhookRejected):
            rig.adapter.verify_webhook(replace(delivery, body=delivery.body + b" "))

    def test_a_strangers_secret_is_rejected(self, rig: Rig) -> None:
        """KW1."""
        with pytest.raises(WebhookRejected):
            rig.adapter.verify_webhook(_hook(rig, ["a-lead"], forged=True))

    @pytest.mark.parametrize("minutes", [-6, 6], ids=["old", "future"])
    def test_a_timestamp_far_off_is_rejected(self, rig: Rig, minutes: int) -> None:
        """KW2, W2: in both directions."""
        _needs_signature(rig)
        with pytest.raises(WebhookRejected):
            rig.adapter.verify_webhook(_hook(rig, ["a-lead"], sent_at=_NOON + timedelta(minutes=minutes)))

    def test_an_unknown_event_type_is_kept_as_unknown(self, rig: Rig) -> None:
        """KW3, A24."""
        delivery = _hook(rig, ["a-lead"], known=False)

        rig.adapter.verify_webhook(delivery)

        assert [event.type for event in rig.adapter.parse_webhook(delivery)] == [EventType.UNKNOWN]

    @pytest.mark.parametrize("junk", ["", "=", "t=,v1=", "t=1e9,v1=zz", "t=99999999999999999999,v1=a", "ü" * 300])
    def test_malformed_headers_are_rejected(self, rig: Rig, junk: str) -> None:
        """KW4, W2: never another exception."""
        _needs_signature(rig)
        delivery = _hook(rig, ["a-lead"])

        with pytest.raises(WebhookRejected):
            rig.adapter.verify_webhook(replace(delivery, headers=dict.fromkeys(delivery.headers, junk)))

    def test_missing_headers_are_rejected(self, rig: Rig) -> None:
        """KW4."""
        _needs_signature(rig)
        delivery = _hook(rig, ["a-lead"])

        with pytest.raises(WebhookRejected):
            rig.adapter.verify_webhook(replace(delivery, headers={}))

    def test_the_change_feed_tells_what_was_written_and_then_stands_still(self, rig: Rig) -> None:
        """KF1, W13: with every webhook lost, polling converges."""
        _needs(rig, Capability.CHANGE_FEED)
        start = _caught_up(rig.adapter)[1]
        refs = [_written(rig.adapter, _a_lead(rig)).ref for _ in range(3)]

        events, cursor = _caught_up(rig.adapter, start)

        assert [event.ref for event in events if event.ref in refs] == refs
        assert rig.adapter.changes_since(cursor) == ([], cursor)

    def test_the_change_feed_skips_what_was_seen(self, rig: Rig) -> None:
        """KF2, A22."""
        _needs(rig, Capability.CHANGE_FEED)
        seen = _written(rig.adapter, _a_lead(rig)).ref
        cursor = _caught_up(rig.adapter)[1]
        new = _written(rig.adapter, _a_lead(rig)).ref

        events = _caught_up(rig.adapter, cursor)[0]

        assert new in {event.ref for event in events}
        assert seen not in {event.ref for event in events}

    def test_an_erased_record_is_gone_and_erasing_it_again_is_harmless(self, rig: Rig) -> None:
        """KE1, I33."""
        _needs(rig, Capability.ERASE)
        kept, gone = (_written(rig.adapter, _a_lead(rig)).ref for _ in range(2))

        for outcome in (Outcome.UPDATED, Outcome.UNCHANGED):
            assert rig.adapter.erase([gone]) == [WriteResult(gone, outcome)]

        with pytest.raises(RecordNotFound):
            rig.adapter.fetch(gone)
        assert rig.adapter.fetch(kept).ref == kept

    @pytest.mark.parametrize("capability", list(Capability))
    def test_a_capability_is_declared_if_and_only_if_it_is_there(self, rig: Rig, capability: Capability) -> None:
        """KC1."""
        declared = capability in rig.adapter.capabilities

        assert declared == _overrides(rig.adapter, capability.value)

    def test_a_lack_is_said_out_loud(self, rig: Rig) -> None:
        """KC2."""
        for capability in set(Capability) - rig.adapter.capabilities:
            arguments = {Capability.WEBHOOKS: [_delivery()], Capability.INSTALL: []}.get(capability, [""])

            with pytest.raises(UnsupportedCapability):
                getattr(rig.adapter, capability.value)(*arguments)

    def test_whoever_tells_its_parts_makes_and_removes_them(self, rig: Rig) -> None:
        """KC4."""
        tells = _overrides(rig.adapter, "parts")

        assert (_overrides(rig.adapter, "install"), _overrides(rig.adapter, "uninstall")) == (tells, tells)

    def test_what_is_missing_is_made_once(self, rig: Rig) -> None:
        """KI1, A29: making it again changes nothing, and what needs a person says whom."""
        _needs(rig, Capability.INSTALL)
        before = rig.adapter.parts()
        for part in [part for part in before if not part.remedy] * 2:
            rig.adapter.install(part)

        after = rig.adapter.parts()
        assert [part.name for part in after] == [part.name for part in before]
        assert {part.state for part in after if not part.remedy} == {PartState.PRESENT}
        assert len({part.name for part in after}) == len(after) > 0

    def test_what_is_ours_is_removed_and_removing_it_again_is_harmless(self, rig: Rig) -> None:
        """KI2."""
        _needs(rig, Capability.INSTALL)
        parts = [part for part in rig.adapter.parts() if not part.remedy]
        for part in parts:
            rig.adapter.install(part)
        for part in [*reversed(parts)] * 2:
            rig.adapter.uninstall(part)

        assert {part.state for part in rig.adapter.parts() if not part.remedy} == {PartState.MISSING}

    def test_whoever_parses_also_verifies(self, rig: Rig) -> None:
        """KC3."""
        assert _overrides(rig.adapter, "parse_webhook") == _overrides(rig.adapter, "verify_webhook")


def _a_lead(rig: Rig) -> Upsert:
    key = fresh_key()
    fields: dict[str, Value] = {
        "first_name": "Ada",
        "last_name": f"Nowak {key[-6:]}",
        "company": "Nowak & Söhne",
        "email": f"{key}@example.com",
        "phone": "+48600100200",
        "message": f"please call {key}",
        "owner": rig.owner,
    }
    return Upsert(ObjectType.LEAD, key, fields, trace=f"trace-{key}")


def _a_task(rig: Rig, due: str = "2026-03-02T12:00:00+00:00") -> Upsert:
    fields: dict[str, Value] = {"title": "Call the customer", "status": "open", "due": due, "owner": rig.owner}
    key = fresh_key()
    return Upsert(ObjectType.TASK, key, fields, trace=f"trace-{key}")


def _written(adapter: Adapter, command: Upsert) -> WriteResult:
    (result,) = adapter.upsert([command])
    assert isinstance(result, WriteResult), repr(result)
    return result


def _holds(record: Record, command: Upsert) -> bool:
    return {name: record.fields[name] for name in command.fields} == dict(command.fields)


def _another_id(id_: str) -> str:
    """Return an id of the same form that belongs to nothing."""
    return id_[:-4] + ("0000" if id_[-4:] != "0000" else "1111")


def _failures(rig: Rig, command: Upsert) -> Iterator[Exception]:
    """Yield the error of each call that fails as a whole."""
    yield _error_of(rig.unreachable(), command)
    yield _error_of(rig.refused(), command)
    rig.limit_next(timedelta(seconds=1))
    yield _error_of(rig.adapter, command)
    rig.lose_next_answer()
    yield _error_of(rig.adapter, command)


def _error_of(adapter: Adapter, command: Upsert) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - that it is ours is what the caller asserts
        adapter.upsert([command])
    return caught.value


def _refusals(rig: Rig, command: Upsert) -> Iterator[object]:
    """Yield the error of each item that is refused."""
    for wrong in ({"owner": rig.inactive_owner}, {"shoe_size": 43}):
        (result,) = rig.adapter.upsert([replace(command, key=fresh_key(), fields={**command.fields, **wrong})])
        yield result


def _needs(rig: Rig, capability: Capability) -> None:
    if capability not in rig.adapter.capabilities:
        pytest.skip(f"has no {capability.value}")


def _hook(
    rig: Rig, leads: Sequence[str], *, sent_at: datetime = _NOON, forged: bool = False, known: bool = True
) -> Delivery:
    _needs(rig, Capability.WEBHOOKS)
    return rig.webhook(leads, sent_at=sent_at, received_at=_NOON, forged=forged, known=known)


def _needs_signature(rig: Rig) -> None:
    if not rig.signed:
        pytest.skip("its sender signs nothing (W16)")


def _delivery() -> Delivery:
    return Delivery(
        id=UUID(int=0),
        source="crm",
        received_at=_NOON,
        content_type="application/json",
        body=b"{}",
        headers={},
        query={},
    )


def _caught_up(adapter: Adapter, cursor: str = "") -> tuple[list[CrmEvent], str]:
    events: list[CrmEvent] = []
    for _ in range(_MOST_PAGES):
        page, following = adapter.changes_since(cursor)
        events += page
        if following == cursor:
            return events, cursor
        cursor = following
    raise AssertionError("the change feed does not end")


def _overrides(adapter: Adapter, method: str) -> bool:
    return getattr(type(adapter), method) is not getattr(Adapter, method)
