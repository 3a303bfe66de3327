from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sandbox_rig import SECRET, TOKEN, SandboxRig

from connector.adapters.sandbox.adapter import SandboxAdapter
from connector.adapters.sandbox.process import SandboxProcess
from connector.adapters.testing import AdapterContract, Reply, ScriptedCrm, fresh_key
from connector.errors import (
    AmbiguousKey,
    InvalidRecord,
    OutcomeUnknown,
    PermissionDenied,
    RecordNotFound,
    UnexpectedAnswer,
    UnreadableDelivery,
    UnsupportedCapability,
    WebhookRejected,
)
from connector.model.crm import EventType, ObjectType, Outcome, RecordRef, Upsert, WriteResult

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class TestSandbox(AdapterContract):
    @pytest.fixture
    def rig(self, crm: SandboxProcess) -> Iterator[SandboxRig]:
        with ExitStack() as stack:
            yield SandboxRig(crm, stack)


@pytest.fixture
def adapter(crm: SandboxProcess) -> SandboxAdapter:
    return SandboxAdapter("test", url=crm.url, token=TOKEN, webhook_secrets=[SECRET])


def scripted(server: ScriptedCrm) -> SandboxAdapter:
    return SandboxAdapter("test", url=server.url, token=TOKEN)


def lead(**fields: str) -> Upsert:
    return Upsert(ObjectType.LEAD, fresh_key(), {"last_name": "Nowak", **fields})


def written(adapter: SandboxAdapter, command: Upsert) -> RecordRef:
    (result,) = adapter.upsert([command])
    assert isinstance(result, WriteResult), result
    return result.ref


class TestWriting:
    def test_attainment_is_written_to_a_user_by_record(self, adapter: SandboxAdapter, crm: SandboxProcess) -> None:
        ref = RecordRef(ObjectType.USER, "us-anna")
        fields = {"attainment_numerator": "1200.00", "attainment_as_of": "2026-03-02T12:00:00+00:00"}

        written(adapter, Upsert(ObjectType.USER, "attainment/anna", fields, record=ref))

        assert adapter.fetch(ref).fields["attainment_numerator"] == "1200.00"
        assert crm.read("users", "us-anna")["x_hearback_attainment_as_of"] == "2026-03-02T12:00:00+00:00"

    def test_a_user_without_a_record_is_refused(self, adapter: SandboxAdapter) -> None:
        (result,) = adapter.upsert([Upsert(ObjectType.USER, "k", {"attainment_numerator": "1"})])

        assert isinstance(result, InvalidRecord)

    def test_the_integration_does_not_rename_users(self, adapter: SandboxAdapter) -> None:
        ref = RecordRef(ObjectType.USER, "us-anna")

        (result,) = adapter.upsert([Upsert(ObjectType.USER, "k", {"name": "Eve"}, record=ref)])

        assert isinstance(result, PermissionDenied)

    def test_a_deal_born_in_the_crm_is_updated_by_record(self, adapter: SandboxAdapter, crm: SandboxProcess) -> None:
        id_ = crm.create("deals", {"Name": "Pumps", "StageName": "Won", "OwnerId": "us-anna"}, actor="us-anna")
        ref = RecordRef(ObjectType.DEAL, id_)

        written(adapter, Upsert(ObjectType.DEAL, "gate", {"open_mandatory": 2, "overdue": 0}, record=ref))

        record = adapter.fetch(ref)
        assert (record.fields["open_mandatory"], record.fields["overdue"]) == (2, 0)
        assert record.fields["stage"] == "won"
        assert "x_hearback_key" not in crm.read("deals", id_)

    def test_vendor_fields_pass_through(self, adapter: SandboxAdapter, crm: SandboxProcess) -> None:
        ref = written(adapter, replace(lead(), vendor_fields={"x_house_number": 7}))

        assert crm.read("leads", ref.id)["x_house_number"] == 7

    def test_text_that_is_not_unicode_spares_the_other_items(self, adapter: SandboxAdapter) -> None:
        bad, good = adapter.upsert([lead(message="\ud800"), lead()])

        assert isinstance(bad, InvalidRecord)
        assert bad.fields == ("message",)
        assert isinstance(good, WriteResult)

    def test_a_nul_in_a_text_is_refused_by_field(self, adapter: SandboxAdapter) -> None:
        (result,) = adapter.upsert([lead(message="a\0b")])

        assert isinstance(result, InvalidRecord)
        assert result.fields == ("Description",)

    def test_a_value_outside_a_closed_set_is_refused(self, adapter: SandboxAdapter) -> None:
        (result,) = adapter.upsert([lead(status="asleep")])

        assert isinstance(result, InvalidRecord)
        assert result.fields == ("status",)

    def test_two_types_in_one_call_are_refused(self, adapter: SandboxAdapter) -> None:
        with pytest.raises(UnsupportedCapability):
            adapter.upsert([lead(), Upsert(ObjectType.TASK, "k", {"title": "t"})])

    def test_a_known_address_is_linked_where_the_crm_finds_duplicates(
        self, adapter: SandboxAdapter, crm: SandboxProcess
    ) -> None:
        """A15."""
        email = f"{fresh_key()}@example.com"
        first = written(adapter, lead(email=email))
        crm.control("rules", {"duplicate_email": "link"})

        (result,) = adapter.upsert([lead(email=email.upper())])

        crm.control("rules", {"duplicate_email": "allow"})
        assert result == WriteResult(first, Outcome.LINKED)

    def test_a_resend_says_unchanged(self, adapter: SandboxAdapter) -> None:
        command = lead(email="same@example.com")
        written(adapter, command)

        (result,) = adapter.upsert([command])

        assert isinstance(result, WriteResult)
        assert result.outcome is Outcome.UNCHANGED

    def test_an_item_nobody_can_read_is_an_unknown_outcome(self) -> None:
        with ScriptedCrm(Reply(body={"results": [{"status": "exploded"}]})) as server:
            (result,) = scripted(server).upsert([lead()])

        assert isinstance(result, OutcomeUnknown)

    @pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"results": []}', b'{"results": [1]}'])
    def test_an_unreadable_answer_to_a_write_is_an_unknown_outcome(self, body: bytes) -> None:
        with ScriptedCrm(Reply(body=body)) as server, pytest.raises(OutcomeUnknown):
            scripted(server).upsert([lead()])


class TestReading:
    def test_a_key_on_several_tasks_is_ambiguous(self, adapter: SandboxAdapter, crm: SandboxProcess) -> None:
        """A14."""
        key = fresh_key()
        for _ in range(2):
            crm.create("tasks", {"Subject": "Twice", "x_hearback_key": key}, actor="us-anna")
        crm.control("rules", {"search_lag": 0})

        found = adapter.find(ObjectType.TASK, [key])

        crm.control("rules", {"search_lag": crm.search_lag})
        assert isinstance(found[key], AmbiguousKey)

    def test_many_keys_are_looked_up_in_pieces(self, adapter: SandboxAdapter) -> None:
        command = lead()
        ref = written(adapter, command)

        found = adapter.find(ObjectType.LEAD, [*(fresh_key() for _ in range(450)), command.key])

        assert dict(found) == {command.key: ref}

    def test_users_carry_no_key(self, adapter: SandboxAdapter) -> None:
        with pytest.raises(UnsupportedCapability):
            adapter.find(ObjectType.USER, ["k"])

    def test_an_id_cannot_lead_to_another_path(self, adapter: SandboxAdapter) -> None:
        """A5."""
        with pytest.raises(InvalidRecord):
            adapter.fetch(RecordRef(ObjectType.LEAD, "../account?x="))

    def test_a_value_an_admin_added_stays_as_the_crm_writes_it(self) -> None:
        """A24."""
        body = {"id": "ld-1", "fields": {"Status": "Nurturing", "x_new": 1}}
        with ScriptedCrm(Reply(body=body)) as server:
            record = scripted(server).fetch(RecordRef(ObjectType.LEAD, "ld-1"))

        assert record.fields["status"] == "Nurturing"

    @pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"fields": 3}'])
    def test_an_unreadable_record_breaks_the_contract(self, body: bytes) -> None:
        with ScriptedCrm(Reply(body=body)) as server, pytest.raises(UnexpectedAnswer):
            scripted(server).fetch(RecordRef(ObjectType.LEAD, "ld-1"))

    def test_a_deleted_record_is_gone_and_told(self, adapter: SandboxAdapter, crm: SandboxProcess) -> None:
        """A23."""
        ref = written(adapter, lead())
        crm.delete("leads", ref.id, actor="us-anna")

        with pytest.raises(RecordNotFound):
            adapter.fetch(ref)
        told = next(event for event in every_change(adapter) if event.ref == ref)
        assert told.type is EventType.RECORD_DELETED
        assert told.record is None

    def test_a_crm_without_active_users_is_a_problem_for_the_admin(self) -> None:
        """A27."""
        with ScriptedCrm(Reply(body={"account": "x", "api_version": "1", "active_users": 0})) as server:
            assert scripted(server).check().problems


def every_change(adapter: SandboxAdapter):
    cursor, following = None, ""
    while cursor != following:
        cursor = following
        events, following = adapter.changes_since(cursor)
        yield from events


class TestWebhooks:
    def test_both_secrets_are_valid_during_a_rotation(self, crm: SandboxProcess) -> None:
        """W15."""
        delivery = SandboxRig(crm, ExitStack()).webhook(["ld-1"], sent_at=NOON, received_at=NOON)
        rotating = SandboxAdapter("test", url=crm.url, token=TOKEN, webhook_secrets=["new", SECRET])

        rotating.verify_webhook(delivery)

    def test_without_a_secret_nothing_passes(self, crm: SandboxProcess) -> None:
        delivery = SandboxRig(crm, ExitStack()).webhook(["ld-1"], sent_at=NOON, received_at=NOON)

        with pytest.raises(WebhookRejected):
            SandboxAdapter("test", url=crm.url, token=TOKEN).verify_webhook(delivery)

    def test_a_repeated_timestamp_is_rejected(self, crm: SandboxProcess, adapter: SandboxAdapter) -> None:
        """W2."""
        delivery = SandboxRig(crm, ExitStack()).webhook(["ld-1"], sent_at=NOON, received_at=NOON)
        header = delivery.headers["x-sandbox-signature"]

        with pytest.raises(WebhookRejected):
            adapter.verify_webhook(replace(delivery, headers={"x-sandbox-signature": f"{header},t=1"}))

    @pytest.mark.parametrize("body", [b"", b"[]", b'{"events": [{}]}', b'{"events": [{"object": "leads"}]}'])
    def test_an_unreadable_body_is_kept_for_a_person(
        self, crm: SandboxProcess, adapter: SandboxAdapter, body: bytes
    ) -> None:
        delivery = SandboxRig(crm, ExitStack()).webhook(["ld-1"], sent_at=NOON, received_at=NOON)

        with pytest.raises(UnreadableDelivery):
            adapter.parse_webhook(replace(delivery, body=body))

    def test_an_object_without_a_word_of_ours_spares_the_others(
        self, crm: SandboxProcess, adapter: SandboxAdapter
    ) -> None:
        """W6."""
        delivery = SandboxRig(crm, ExitStack()).webhook(["ld-1", "ld-2"], sent_at=NOON, received_at=NOON)
        body = delivery.body.replace(b'"leads"', b'"paintings"', 1)

        events = adapter.parse_webhook(replace(delivery, body=body))

        assert [event.ref.id for event in events] == ["ld-2"]

    def test_a_delivery_that_waited_in_a_queue_is_judged_by_its_arrival(
        self, crm: SandboxProcess, adapter: SandboxAdapter
    ) -> None:
        delivery = SandboxRig(crm, ExitStack()).webhook(["ld-1"], sent_at=NOON, received_at=NOON + timedelta(minutes=4))

        adapter.verify_webhook(delivery)
