"""Broken copies of the adapter: each is caught by the test that forbids it."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import test_salesforce_feed as feeding
import test_salesforce_webhooks as hooks
import test_salesforce_wire as wire
import test_salesforce_writes as writes
from salesforce_rig import HOOK, SECRET, SalesforceRig
from salesforce_server.org import ORG_ID
from salesforce_server.server import ORIGIN

from connector.adapters.salesforce import amends, answers, client, feed, records, sending, webhooks, writing
from connector.adapters.salesforce.adapter import from_settings
from connector.adapters.salesforce.client import SalesforceClient, soql
from connector.adapters.salesforce.errors import Refusal

Patch = Callable[[pytest.MonkeyPatch], None]


def set_(place: Any, name: str, value: Any) -> Patch:
    return lambda patch: patch.setattr(place, name, value)


def no_headers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(client, "_HEADERS", {})


def mints_always(patch: pytest.MonkeyPatch) -> None:
    def renewed(self: SalesforceClient, _used: object) -> object:
        with self._lock:
            self._client = self._minted()
            return self._client

    patch.setattr(SalesforceClient, "_renewed", renewed)


def floats(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(answers, "parsed", lambda response, _call, write: json.loads(response.content))  # noqa: ARG005 - its name is the caller's


def by_stamp_alone(patch: pytest.MonkeyPatch) -> None:
    def query(self: feed.Feed, type_: Any, walk: feed.Walk) -> str:
        columns = ", ".join(self._records.columns(type_))
        text = (
            "SELECT {:literal} FROM {:literal} WHERE SystemModstamp > {:literal} ORDER BY SystemModstamp, Id LIMIT {}"
        )
        return soql(text, columns, self._records.mappings[type_].name, (walk.at or walk.settled)[0], feed.PAGE)

    patch.setattr(feed.Feed, "_query", query)


def gives_up(patch: pytest.MonkeyPatch) -> None:
    def of(_self: object, entries: Any, tries: Any) -> list[Any]:
        return [
            tried.error(call="x") if isinstance(tried, Refusal) else tried
            for _, tried in zip(entries, tries, strict=True)
        ]

    patch.setattr(amends.Amends, "of", of)


MUTANTS: dict[str, tuple[Patch, Callable[[SalesforceRig], None]]] = {
    "sends no headers": (no_headers, writes.test_every_write_carries_both_headers_also_after_a_renewal),
    "writes to the last call": (
        set_(client, "RESERVE", 0.0),
        writes.test_writing_stops_before_the_last_calls_of_the_day,
    ),
    "mints for every thread": (mints_always, wire.test_an_expired_token_is_renewed_once_for_all_threads),
    "never renews": (
        set_(SalesforceClient, "_renewed", lambda _self, used: used),
        wire.test_an_expired_token_is_renewed_once_for_all_threads,
    ),
    "reads money as floats": (floats, writes.test_money_is_exact_to_the_last_digit),
    "asks without overlap": (
        set_(feed, "OVERLAP", feed.timedelta(0)),
        lambda rig: at_noon(rig, feeding.test_a_record_committed_late_is_told),
    ),
    "knows a state by its stamp": (
        set_(feed, "_mark", lambda row: str(row["SystemModstamp"])),
        lambda rig: at_noon(rig, feeding.test_two_changes_within_a_second_are_both_told_and_in_order),
    ),
    "pages by stamp alone": (
        by_stamp_alone,
        lambda rig: at_noon(rig, lambda it: feeding.test_equal_stamps_lose_nothing(it, pytest.MonkeyPatch())),
    ),
    "collapses nothing": (
        set_(sending.Entry, "identity", property(lambda entry: ("one", str(id(entry))))),
        writes.test_a_record_twice_in_a_batch_is_written_once,
    ),
    "takes the day in UTC": (
        set_(writing, "dated", lambda fields, _zone: records.dated(fields, "UTC")),
        lambda rig: writes.test_a_task_is_due_on_the_day_it_is_where_its_owner_works(
            rig, "Europe/Berlin", "2026-03-03"
        ),
    ),
    "links no duplicate": (
        gives_up,
        lambda rig: writes.test_a_person_the_crm_has_is_linked_with_owner_and_task(rig, "Lead", True),
    ),
    "follows no merge": (gives_up, writes.test_a_merged_lead_is_followed_to_where_it_went),
}


def at_noon(rig: SalesforceRig, test: Callable[[SalesforceRig], None]) -> None:
    rig.org.moment = feeding.NOON
    test(rig)


@pytest.mark.parametrize(("mutate", "test"), MUTANTS.values(), ids=MUTANTS.keys())
def test_a_broken_adapter_is_caught(mutate: Patch, test: Callable[[SalesforceRig], None]) -> None:
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        mutate(patch)
        rig = SalesforceRig(stack)
        with pytest.raises((Exception, pytest.fail.Exception)):
            test(rig)


@pytest.mark.parametrize(
    ("mutate", "test"),
    [
        (
            set_(webhooks, "fromstring", lambda body, **_more: ET.fromstring(body)),
            lambda adapter: hooks.test_document_types_and_entities_are_refused(
                adapter, '<!DOCTYPE x [<!ENTITY e "e">]>'
            ),
        ),
        (
            set_(webhooks.hmac, "compare_digest", lambda _given, _secret: True),
            lambda adapter: hooks.test_a_wrong_secret_is_rejected(adapter, "wrong"),
        ),
        (
            set_(webhooks, "_ID_LENGTH", 3),
            lambda adapter: hooks.test_another_organisation_is_rejected(adapter, "00D000000000002AAA"),
        ),
        (set_(webhooks, "_MOST", 1000), hooks.test_the_count_is_capped),
    ],
    ids=["takes entities", "takes any secret", "takes any organisation", "takes any number"],
)
def test_a_door_that_stands_open_is_caught(mutate: Patch, test: Callable[[Any], None]) -> None:
    adapter = from_settings(
        "main",
        {"base_url": ORIGIN, "client_id": "c", "organization_id": ORG_ID},
        {"client_secret": SECRET, "webhook": HOOK},
    )
    with pytest.MonkeyPatch.context() as patch:
        mutate(patch)
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            test(adapter)
