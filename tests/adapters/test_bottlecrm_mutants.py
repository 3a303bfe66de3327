"""Broken adapters for BottleCRM, each caught by the test that forbids it: the tests see what they are there to see."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress

import pytest
import test_bottlecrm_traps as traps
from bottlecrm_rig import BottleCrmRig
from bottlecrm_server.faults import Faults
from bottlecrm_server.process import BottleCrm

from connector.adapters.bottlecrm import leads, sending, tasks
from connector.adapters.bottlecrm.metadata import Metadata
from connector.adapters.testing import AdapterContract
from connector.errors import RateLimited
from connector.model.crm import Outcome

pytestmark = pytest.mark.slow

Break = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture
def rig(bottlecrm: BottleCrm, bottlecrm_faults: Faults) -> Iterator[BottleCrmRig]:
    with ExitStack() as stack:
        made = BottleCrmRig(bottlecrm, bottlecrm_faults, stack)
        made.install()
        yield made


def believes_the_crm_about_owners(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("connector.adapters.bottlecrm.adapter.BottleCrmAdapter._unowned", lambda *_: {})


def writes_fields_nobody_made(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Metadata, "lacks", lambda *_: [])


def takes_any_address_that_contains_it(patch: pytest.MonkeyPatch) -> None:
    # The order is random there; this one is out of luck.
    def longest(client: leads.BottleCrmClient, email: str) -> leads.Row | None:
        return max(client.rows(leads.LEADS, {"email": email}), key=lambda row: len(str(row["email"])), default=None)

    patch.setattr(leads, "_with_address", longest)


def overwrites_what_people_wrote(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(leads, "_beside", lambda body, _found, _key: body)


def never_looks_for_its_key(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(leads, "by_key", lambda *_: None)


def calls_a_lost_answer_a_failure(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("connector.adapters.http.OutcomeUnknown", traps.Unavailable)


def goes_on_sending_to_a_crm_that_refuses(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sending, "_OF_ALL", ())


def names_new_tasks_by_their_title_alone(patch: pytest.MonkeyPatch) -> None:
    def first(client: object, bodies: Mapping[str, object], batch: str) -> Mapping[str, object]:
        rows: Sequence[Mapping[str, object]] = list(client.rows(tasks.TASKS, {"cf_hearback_batch": batch}))  # type: ignore[attr-defined]
        ref = traps.RecordRef(traps.ObjectType.TASK, str(rows[0]["id"]))
        return dict.fromkeys(bodies, traps.WriteResult(ref, Outcome.CREATED))

    patch.setattr(tasks, "named", first)


def takes_an_old_signature(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("connector.adapters.stamped.within", lambda *_: True)


def tells_only_what_the_log_shows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("connector.adapters.bottlecrm.feed._due", lambda *_: False)


CONTRACT = AdapterContract()
MUTANTS: Sequence[tuple[Break, Callable[[BottleCrmRig], None]]] = (
    (believes_the_crm_about_owners, traps.test_an_owner_who_leaves_during_the_write_is_refused),
    (writes_fields_nobody_made, traps.test_a_field_that_is_not_there_is_said_before_it_is_lost),
    (takes_any_address_that_contains_it, traps.test_an_address_that_contains_ours_is_somebody_else),
    (overwrites_what_people_wrote, traps.test_somebody_elses_lead_with_the_address_becomes_ours),
    (never_looks_for_its_key, traps.test_without_an_address_the_key_alone_keeps_it_one),
    (calls_a_lost_answer_a_failure, traps.test_a_500_after_the_commit_is_unknown_and_one_record),
    (names_new_tasks_by_their_title_alone, traps.test_new_tasks_are_found_by_one_look_and_twins_by_their_keys),
    (tells_only_what_the_log_shows, traps.test_more_than_the_log_shows_is_compared_and_not_lost),
    (takes_an_old_signature, lambda rig: CONTRACT.test_a_timestamp_far_off_is_rejected(rig, -6)),
)


@pytest.mark.parametrize(("broken", "test"), MUTANTS, ids=[broken.__name__ for broken, _ in MUTANTS])
def test_a_broken_adapter_is_caught(
    rig: BottleCrmRig, monkeypatch: pytest.MonkeyPatch, broken: Break, test: Callable[[BottleCrmRig], None]
) -> None:
    broken(monkeypatch)

    with pytest.raises((AssertionError, pytest.fail.Exception, traps.ConnectorError)):
        test(rig)
    monkeypatch.undo()
    rig.install()


def test_a_crm_that_refuses_is_not_asked_again(rig: BottleCrmRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A2: of a full batch only what was on its way already is sent."""

    def sent() -> int:
        rig.adapter._metadata.owners.get()  # type: ignore[attr-defined]
        rig.faults.asked.clear()
        limit = traps.Fault(429, headers=(("Retry-After", "7"),), forward=False)
        for _ in range(16):
            rig.faults.plan(limit)
        # Raised where nothing else had left when the first was refused.
        with suppress(RateLimited):
            rig.adapter.upsert([traps.a_lead(rig) for _ in range(16)])
        return len([asked for asked in rig.faults.asked if asked.write])

    traps.written(rig, traps.a_lead(rig))
    assert sent() <= sending.ABREAST
    rig.faults.clear()
    goes_on_sending_to_a_crm_that_refuses(monkeypatch)
    assert sent() == 16
