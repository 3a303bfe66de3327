"""What is peculiar to BottleCRM, against BottleCRM itself: its traps, A and W items the contract leaves to adapters.

Not here, and why: A4, A6 (no such headers, no version in its paths), A7's tokens (one fixed token), A19 beyond stages,
A25 (no search index), A28 (no usage headers), A30 (nothing to revoke over its API), W1's URL and W4 (its signature
covers the body alone), W3 (one version), W8 (one event a delivery), W10, W11, W14, W16 (not its own), W17 (a secret
belongs to one endpoint of one organisation).
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson
import pytest
from bottlecrm_rig import SECRET, BottleCrmRig, signed
from bottlecrm_server.faults import Asked, Fault, Faults
from bottlecrm_server.people import ANNA, CARL, US
from bottlecrm_server.process import BottleCrm

from connector.adapters.bottlecrm.adapter import BottleCrmAdapter
from connector.adapters.bottlecrm.webhooks import EVENTS
from connector.adapters.testing import Reply, ScriptedCrm, fresh_key
from connector.errors import (
    AmbiguousKey,
    AuthenticationError,
    ConnectorError,
    InvalidRecord,
    OutcomeUnknown,
    OwnerRefused,
    PermissionDenied,
    TransientError,
    Unavailable,
    UnexpectedAnswer,
    WebhookRejected,
)
from connector.model.crm import EventType, ObjectType, Outcome, PartState, RecordRef, Upsert, Value, WriteResult
from connector.model.delivery import Delivery

pytestmark = pytest.mark.slow


@pytest.fixture
def rig(bottlecrm: BottleCrm, bottlecrm_faults: Faults) -> Iterator[BottleCrmRig]:
    with ExitStack() as stack:
        made = BottleCrmRig(bottlecrm, bottlecrm_faults, stack)
        made.install()
        yield made


def a_lead(rig: BottleCrmRig, **fields: Value) -> Upsert:
    key = fresh_key()
    said: dict[str, Value] = {
        "first_name": "Ada",
        "last_name": "Nowak",
        "email": f"{key}@example.com",
        "owner": rig.owner,
    }
    return Upsert(ObjectType.LEAD, key, said | fields)


def a_task(rig: BottleCrmRig, **fields: Value) -> Upsert:
    said: dict[str, Value] = {"title": "Call", "status": "open", "due": "2026-03-02T12:00:00+00:00", "owner": rig.owner}
    return Upsert(ObjectType.TASK, fresh_key(), said | fields)


def written(rig: BottleCrmRig, command: Upsert) -> WriteResult:
    (answer,) = rig.adapter.upsert([command])
    assert isinstance(answer, WriteResult), repr(answer)
    return answer


def refused(rig: BottleCrmRig, command: Upsert) -> ConnectorError:
    (answer,) = rig.adapter.upsert([command])
    assert isinstance(answer, ConnectorError)
    return answer


def leads_with(rig: BottleCrmRig, email: str) -> int:
    return int(rig.crm.query("SELECT count(*) FROM lead WHERE lower(email) = lower(%s)", email)[0][0])


def test_somebody_elses_lead_with_the_address_becomes_ours(rig: BottleCrmRig) -> None:
    """A15: any case; the owner and our fields go there, what people wrote and the status stay."""
    email = f"{fresh_key()}@example.com"
    theirs = {"first_name": "A.", "last_name": "Nowak", "email": email.upper(), "status": "in process"}
    id_ = rig.crm.call("POST", "/api/leads/", theirs, by=CARL)["id"]
    command = a_lead(rig, email=email, company="Nowak", status="new", reason="because")

    answer = written(rig, command)

    assert answer == WriteResult(RecordRef(ObjectType.LEAD, id_), Outcome.LINKED)
    fields = rig.adapter.fetch(answer.ref).fields
    assert (fields["first_name"], fields["company"], fields["status"]) == ("A.", "Nowak", "working")
    assert (fields["owner"], fields["reason"]) == (rig.owner, "because")
    assert leads_with(rig, email) == 1
    task = written(rig, a_task(rig, lead=id_))
    assert rig.adapter.fetch(task.ref).fields["lead"] == id_


def test_an_address_that_contains_ours_is_somebody_else(rig: BottleCrmRig) -> None:
    """A15: its filter finds parts of addresses; only the same one counts."""
    email = f"{fresh_key()}@example.com"
    other = written(rig, a_lead(rig, email=f"x{email}"))
    first = written(rig, a_lead(rig, email=email))

    again = written(rig, a_lead(rig, email=email))

    assert again.outcome is Outcome.LINKED
    assert again.ref == first.ref != other.ref


def test_a_converted_lead_is_in_no_list_and_is_found_all_the_same(rig: BottleCrmRig) -> None:
    """A15, A23: its status stays, and the answer says that it moved on."""
    command = a_lead(rig, company=fresh_key())
    ref = written(rig, command).ref
    rig.crm.call("PATCH", f"/api/leads/{ref.id}/", {"status": "converted"}, by=US)

    assert written(rig, a_lead(rig, email=command.fields["email"])) == WriteResult(ref, Outcome.LINKED)
    moved = written(rig, replace(command, record=ref, fields={"status": "closed", "reason": "moved on"}))

    assert moved == WriteResult(ref, Outcome.MOVED)
    fields = rig.adapter.fetch(ref).fields
    assert (fields["status"], fields["reason"]) == ("converted", "moved on")


def test_a_bad_address_is_the_values_fault(rig: BottleCrmRig) -> None:
    """A17: refused by name, and not taken for a duplicate."""
    error = refused(rig, a_lead(rig, email="not an address"))

    assert isinstance(error, InvalidRecord)
    assert error.fields == ("email",)


def test_a_500_after_the_commit_is_unknown_and_one_record(rig: BottleCrmRig) -> None:
    """A9: with its broker down BottleCRM stores a lead and answers 500."""
    command = a_lead(rig)
    rig.faults.plan(Fault(500))

    with pytest.raises(OutcomeUnknown):
        rig.adapter.upsert([command])

    assert rig.adapter.find(ObjectType.LEAD, [command.key])[command.key] == written(rig, command).ref
    assert leads_with(rig, str(command.fields["email"])) == 1


def test_a_task_whose_id_cannot_be_read_is_unknown(rig: BottleCrmRig) -> None:
    """A9: the task was made, and the look for its id failed."""
    command = a_task(rig)
    rig.faults.plan(Fault(503, forward=False), lambda asked: asked.path.startswith("/api/tasks/?"))

    (answer,) = [*_answers(rig, command)]

    assert isinstance(answer, OutcomeUnknown)
    assert command.key in rig.adapter.find(ObjectType.TASK, [command.key])


def _answers(rig: BottleCrmRig, command: Upsert) -> Iterator[object]:
    try:
        yield from rig.adapter.upsert([command])
    except ConnectorError as err:
        yield err


def test_new_tasks_are_found_by_one_look_and_twins_by_their_keys(rig: BottleCrmRig) -> None:
    """A13: BottleCRM names no task it makes."""
    lead = written(rig, a_lead(rig)).ref.id
    commands = [a_task(rig, title=f"Call {n}", lead=lead) for n in range(4)] + [a_task(rig, title="Twin")] * 1
    twin = replace(commands[-1], key=fresh_key())
    rig.faults.asked.clear()

    answers = rig.adapter.upsert([*commands, twin])

    assert all(isinstance(answer, WriteResult) for answer in answers)
    refs = [answer.ref for answer in answers if isinstance(answer, WriteResult)]
    assert len({ref.id for ref in refs}) == 6
    assert [rig.adapter.fetch(ref).key for ref in refs] == [command.key for command in (*commands, twin)]
    assert len([a for a in rig.faults.asked if a.path.startswith("/api/tasks/?")]) == 3


def test_an_owner_who_leaves_during_the_write_is_refused(rig: BottleCrmRig) -> None:
    """A16: BottleCRM drops them and says 200, so it is read back."""
    written(rig, a_lead(rig))
    leaving = rig.crm.people[CARL].profile
    assert rig.adapter._metadata.may_own(leaving)

    def leave(asked: Asked) -> None:
        if asked.method == "POST" and asked.path == "/api/leads/":
            rig.crm.execute("UPDATE profile SET is_active = false WHERE id = %s", leaving)

    rig.faults.before = leave
    try:
        assert isinstance(refused(rig, a_lead(rig, owner=leaving)), OwnerRefused)
    finally:
        rig.faults.before = lambda _: None
        rig.crm.execute("UPDATE profile SET is_active = true WHERE id = %s", leaving)


def test_two_at_once_with_one_address_make_one_record(rig: BottleCrmRig) -> None:
    """A12, A7: each in an adapter of its own."""
    command = a_lead(rig)
    adapters = [BottleCrmAdapter(str(n), url=rig.crm.url, token=rig.crm.people[US].token) for n in range(4)]
    answers: list[object] = []
    threads = [threading.Thread(target=lambda each=each: answers.extend(each.upsert([command]))) for each in adapters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({answer.ref for answer in answers if isinstance(answer, WriteResult)}) == 1
    assert leads_with(rig, str(command.fields["email"])) == 1


def test_without_an_address_the_key_alone_keeps_it_one(rig: BottleCrmRig) -> None:
    """A11: BottleCRM would make a second one."""
    command = a_lead(rig, email=None, phone="+48600100200")

    assert written(rig, command).ref == written(rig, command).ref


def test_a_key_on_two_records_is_ambiguous_and_nothing_is_written(rig: BottleCrmRig) -> None:
    """A14."""
    command = a_lead(rig, email=None, last_name="First")
    body = {"last_name": "First", "custom_fields": {"hearback_key": command.key}}
    twins = [rig.crm.call("POST", "/api/leads/", body, by=US)["id"] for _ in range(2)]

    assert isinstance(rig.adapter.find(ObjectType.LEAD, [command.key])[command.key], AmbiguousKey)
    assert isinstance(refused(rig, replace(command, fields={"last_name": "Second"})), AmbiguousKey)
    names = {rig.crm.call("GET", f"/api/leads/{id_}/", by=US)["lead_obj"]["last_name"] for id_ in twins}
    assert names == {"First"}


def test_a_field_that_is_not_there_is_said_before_it_is_lost(rig: BottleCrmRig) -> None:
    """A17, A27: BottleCRM drops unknown custom fields without a word."""
    (part,) = [part for part in rig.adapter.parts() if part.name == "Lead.hearback_reason"]
    rig.adapter.uninstall(part)

    error = refused(rig, a_lead(rig, reason="because"))
    rig.adapter.install(part)

    assert isinstance(error, InvalidRecord)
    assert error.fields == ("hearback_reason",)
    assert "install" in str(error)


def test_a_due_instant_is_a_day_there_in_the_organisations_zone(rig: BottleCrmRig) -> None:
    """A18: 23:30 UTC is the next day in Berlin; a day a person sets is due at its end."""
    ref = written(rig, a_task(rig, due="2026-03-02T23:30:00+00:00")).ref
    shown = rig.crm.call("GET", f"/api/tasks/{ref.id}/", by=ANNA)["task_obj"]

    assert shown["due_date"] == "2026-03-03"
    assert rig.adapter.fetch(ref).fields["due"] == "2026-03-02T23:30:00+00:00"
    rig.crm.call("PATCH", f"/api/tasks/{ref.id}/", {"due_date": "2026-03-10"}, by=ANNA)
    assert rig.adapter.fetch(ref).fields["due"] == "2026-03-10T22:59:00+00:00"


def test_won_is_a_kind_of_stage_whatever_it_is_called(rig: BottleCrmRig) -> None:
    """A19."""
    pipeline = rig.crm.call("POST", "/api/opportunities/pipelines/", {"name": fresh_key()}, by=US)
    id_ = pipeline.get("id") or pipeline["pipeline"]["id"]
    stage = {"label": "Unterschrieben", "kind": "won"}
    rig.crm.call("POST", f"/api/opportunities/pipelines/{id_}/stages/", stage, by=US)
    (code,) = rig.crm.query(
        "SELECT code FROM opportunity_pipeline_stage WHERE pipeline_id = %s AND label = 'Unterschrieben'", id_
    )[0]
    body = {"name": fresh_key(), "pipeline": id_, "stage": code, "amount": "10.00", "closed_on": "2026-03-02"}
    deal = rig.crm.call("POST", "/api/opportunities/", body, by=US)["id"]

    fields = rig.adapter.fetch(RecordRef(ObjectType.DEAL, deal)).fields
    assert (fields["stage"], fields["closed_at"]) == ("won", "2026-03-01T23:00:00+00:00")


def test_a_deal_is_won_by_us_in_its_own_pipeline(rig: BottleCrmRig) -> None:
    """A19: closing takes the first stage of that kind, and today."""
    command = Upsert(ObjectType.DEAL, fresh_key(), {"name": fresh_key(), "amount": "10.00", "currency": "EUR"})
    ref = written(rig, command).ref

    written(rig, replace(command, record=ref, fields={"stage": "won", "score": 9, "open_mandatory": 2}))

    fields = rig.adapter.fetch(ref).fields
    assert (fields["stage"], fields["score"], fields["open_mandatory"]) == ("won", 9, 2)
    assert isinstance(fields["score"], int)


def test_attainment_is_a_goal_of_the_rep_made_once(rig: BottleCrmRig) -> None:
    """WB4: the rep sees it by their own token; written twice it is one goal."""
    fields: dict[str, Value] = {
        "attainment_numerator": "18500.00",
        "attainment_denominator": "560000",
        "attainment_provisional": "0.00",
        "attainment_currency": "EUR",
        "attainment_period": "2026-01-01/2026-12-31",
        "attainment_as_of": "2026-03-02T12:00:00+00:00",
    }
    command = Upsert(ObjectType.USER, f"user:{rig.owner}", fields, record=RecordRef(ObjectType.USER, rig.owner))

    written(rig, command)
    written(rig, replace(command, fields={**fields, "attainment_numerator": "20000.00"}))

    (goal,) = rig.crm.call("GET", "/api/opportunities/goals/", by=ANNA)["goals"]
    assert goal["name"].startswith("Hearback 2026-01-01/2026-12-31: 20000.00 of 560000 EUR")
    read = rig.adapter.fetch(RecordRef(ObjectType.USER, rig.owner)).fields
    assert {name: read[name] for name in fields} == {**fields, "attainment_numerator": "20000.00"}


def test_every_record_is_told_once_though_each_page_is_short(
    rig: BottleCrmRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A21: open and closed leads are paged side by side, and the page after the last is empty with offset 0."""
    for number in range(5):
        written(rig, a_lead(rig, status="closed" if number % 2 else "new"))
    monkeypatch.setattr("connector.adapters.bottlecrm.client.PAGE", 2)
    monkeypatch.setattr("connector.adapters.bottlecrm.feed.PAGE", 2)

    cursor, told = "", list[RecordRef]()
    for _ in range(500):
        events, following = rig.adapter.changes_since(cursor)
        told += [event.ref for event in events if event.ref.object_type is ObjectType.LEAD]
        if following == cursor:
            break
        cursor = following

    there = rig.crm.query("SELECT id FROM lead WHERE status IS DISTINCT FROM 'converted'")
    assert sorted(ref.id for ref in told) == sorted(str(row[0]) for row in there)


def test_what_people_do_is_told_by_the_next_poll(rig: BottleCrmRig) -> None:
    """W13, A22, A23: changed, and gone."""
    kept, gone = (written(rig, a_lead(rig)).ref for _ in range(2))
    cursor = _caught_up(rig, "")
    rig.crm.call("PATCH", f"/api/leads/{kept.id}/", {"custom_fields": {"hearback_response": "accepted"}}, by=ANNA)
    rig.crm.call("DELETE", f"/api/leads/{gone.id}/", by=US)

    events, _ = rig.adapter.changes_since(cursor)

    assert [(event.ref, event.type) for event in events] == [
        (kept, EventType.RECORD_CHANGED),
        (gone, EventType.RECORD_DELETED),
    ]
    assert rig.adapter.fetch(kept).fields["response"] == "accepted"


def test_more_than_the_log_shows_is_compared_and_not_lost(rig: BottleCrmRig) -> None:
    """A22: fifty newer entries hide an older one; ten minutes after the last compare there is another."""
    hidden = written(rig, a_lead(rig)).ref
    cursor = orjson.loads(_caught_up(rig, ""))
    rig.crm.call("PATCH", f"/api/leads/{hidden.id}/", {"job_title": "Head"}, by=ANNA)
    noisy = written(rig, a_lead(rig)).ref
    for number in range(51):
        rig.crm.call("PATCH", f"/api/leads/{noisy.id}/", {"job_title": str(number)}, by=ANNA)
    earlier = int((datetime.now(UTC) - timedelta(minutes=11)).timestamp())
    cursor["compared"] = dict.fromkeys(cursor["compared"], earlier)

    told, at = set[RecordRef](), orjson.dumps(cursor).decode()
    for _ in range(50):
        events, following = rig.adapter.changes_since(at)
        told |= {event.ref for event in events}
        if following == at:
            break
        at = following

    assert {hidden, noisy} <= told


def _caught_up(rig: BottleCrmRig, cursor: str) -> str:
    for _ in range(100):
        _, following = rig.adapter.changes_since(cursor)
        if following == cursor:
            return cursor
        cursor = following
    raise AssertionError("the feed does not end")


def test_a_feed_that_answers_nonsense_is_said_so(rig: BottleCrmRig) -> None:
    """A24: HTML, missing parts, a cursor of another adapter."""
    for body in (b"<html>", b"[]", b"{}", b'{"activities": [1]}'):
        with ScriptedCrm(otherwise=lambda _, body=body: Reply(body=body)) as server:
            adapter = BottleCrmAdapter("x", url=server.url, token="t")
            with pytest.raises(UnexpectedAnswer):
                adapter.changes_since("")
    with pytest.raises(UnexpectedAnswer):
        rig.adapter.changes_since("17")


def test_ids_are_checked_before_they_stand_in_a_path(rig: BottleCrmRig) -> None:
    """A5."""
    before = rig.requests()
    for id_ in ("../users", "https://evil.example/", "a?b#c", "x\r\nHost: y", ""):
        with pytest.raises(InvalidRecord):
            rig.adapter.fetch(RecordRef(ObjectType.CONTACT, id_))
        assert isinstance(refused(rig, replace(a_lead(rig), record=RecordRef(ObjectType.LEAD, id_))), InvalidRecord)

    assert not [asked for asked in rig.faults.asked[before:] if asked.write]


def test_a_slow_crm_does_not_outlive_the_lease(rig: BottleCrmRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A1: what cannot begin in time is not sent, and says so; nothing is lost, nothing twice."""
    monkeypatch.setattr("connector.adapters.bottlecrm.sending.LAST_BEGIN", 0.0)

    with_one = [*_answers(rig, a_lead(rig))]

    assert isinstance(with_one[0], TransientError)
    assert not [asked for asked in rig.faults.asked if asked.write]


def test_nothing_more_is_sent_to_a_crm_that_is_down(rig: BottleCrmRig) -> None:
    """A2, A10: the first refusal answers for all that were not sent."""
    adapter = rig.unreachable()

    with pytest.raises(Unavailable):
        adapter.upsert([a_lead(rig) for _ in range(adapter.batch_size)])


def test_a_call_ends_within_the_rule_of_the_pipeline() -> None:
    """A1: 14 seconds for all requests of a call, the last of which takes as long as it may."""
    from connector.adapters.bottlecrm import client, sending  # noqa: PLC0415
    from connector.flows.deliver import LAST_CALL  # noqa: PLC0415
    from connector.store.commands import LEASE  # noqa: PLC0415

    assert sending.LAST_BEGIN + client.LONGEST <= sending.CALL <= (LEASE - LAST_CALL).total_seconds()


def test_check_tells_all_that_is_wrong_at_once(rig: BottleCrmRig) -> None:
    """A27: a rep's token, one without scopes enough, and a bad one."""
    assert rig.adapter.check().problems == ()
    rep = BottleCrmAdapter("x", url=rig.crm.url, token=rig.crm.people[ANNA].token)
    (problem,) = rep.check().problems
    assert "Admin" in problem

    narrow = rig.crm.token(US, ["org:read", "profile:read", "leads:read"])
    problems = BottleCrmAdapter("x", url=rig.crm.url, token=narrow).check().problems
    assert any("tasks:read" in problem for problem in problems)
    assert any("leads:write" in problem for problem in problems)

    with pytest.raises(AuthenticationError):
        rig.refused().check()


def test_who_may_not_is_told_what_they_lack(rig: BottleCrmRig) -> None:
    """A17: 403 is not one thing there."""
    narrow = rig.crm.token(US, ["*:read"])
    adapter = BottleCrmAdapter("x", url=rig.crm.url, token=narrow)

    (error,) = adapter.upsert([a_lead(rig)])

    assert isinstance(error, PermissionDenied)
    assert "leads:write" in str(error)


def test_a_field_of_another_type_is_reported_and_choices_are_completed(rig: BottleCrmRig) -> None:
    """A29: an admin's own choice stays."""
    (part,) = [part for part in rig.adapter.parts() if part.name == "Lead.hearback_response"]
    assert part.state is PartState.PRESENT
    definitions = rig.crm.call("GET", "/api/custom-fields/?include_counts=false", by=US)["definitions"]
    (ours,) = [each for each in definitions if (each["target_model"], each["key"]) == ("Lead", "hearback_response")]
    path = f"/api/custom-fields/{ours['id']}/"
    mine = [{"value": "accepted", "label": "Ok"}, {"value": "later", "label": "Later"}]
    rig.crm.call("PUT", path, {"options": mine}, by=US)

    (part,) = [part for part in rig.adapter.parts() if part.name == "Lead.hearback_response"]
    assert (part.state, part.found) == (PartState.DIFFERS, "accepted, later")
    rig.adapter.install(part)

    values = [option["value"] for option in rig.crm.call("GET", path, by=US)["options"]]
    assert {"accepted", "rejected_bad_data", "rejected_other", "later"} <= set(values)
    assert {part.state for part in rig.adapter.parts() if part.name == "Lead.hearback_response"} == {PartState.PRESENT}


def test_what_it_sends_itself_is_accepted(rig: BottleCrmRig) -> None:
    """W1, W12, W18: signed by BottleCRM, of a rep's change; our own new leads are not told back."""
    hooks = list[tuple[dict[str, str], bytes]]()

    def take(seen: object) -> Reply:
        hooks.append((dict(seen.headers), seen.body))  # type: ignore[attr-defined] # a Seen
        return Reply()

    with ScriptedCrm(otherwise=take) as server:
        secret = rig.crm.webhook_to(server.url + "/crm/bottle", by=US, events=EVENTS)
        ref = written(rig, a_lead(rig)).ref
        assert hooks == []
        rig.crm.call("PATCH", f"/api/leads/{ref.id}/", {"custom_fields": {"hearback_response": "accepted"}}, by=ANNA)
    rig.crm.execute("UPDATE webhook_endpoint SET is_active = false")

    ((headers, body),) = hooks
    adapter = BottleCrmAdapter("x", url=rig.crm.url, token="t", webhook_secrets=[secret])
    delivery = Delivery(uuid4(), "crm:bottle", datetime.now(UTC), "application/json", body, headers, {})
    adapter.verify_webhook(delivery)
    (event,) = adapter.parse_webhook(delivery)
    assert (event.ref, event.type, event.record) == (ref, EventType.RECORD_CHANGED, None)


def test_two_secrets_are_valid_while_they_are_exchanged(rig: BottleCrmRig) -> None:
    """W15."""
    delivery = rig.webhook([str(uuid4())], sent_at=_NOON, received_at=_NOON)
    for secrets in ([SECRET, "new"], ["new", SECRET]):
        BottleCrmAdapter("x", url=rig.crm.url, token="t", webhook_secrets=secrets).verify_webhook(delivery)
    with pytest.raises(WebhookRejected):
        BottleCrmAdapter("x", url=rig.crm.url, token="t", webhook_secrets=["new"]).verify_webhook(delivery)


@pytest.mark.parametrize("event", ["ticket.created", "ping", "invoice.paid"])
def test_what_does_not_concern_us_is_nothing(rig: BottleCrmRig, event: str) -> None:
    """W6, A24: an admin may have subscribed to more."""
    body = orjson.dumps({"id": str(uuid4()), "event": event, "created_at": _NOON, "data": {"id": str(uuid4())}})
    headers = {"x-bottlecrm-signature": signed(SECRET, _NOON, body)}

    delivery = Delivery(uuid4(), "crm:bottle", _NOON, "application/json", body, headers, {})

    assert rig.adapter.parse_webhook(delivery) == []


_NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
