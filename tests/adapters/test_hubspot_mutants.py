"""Broken HubSpot adapters: each must fail the test that forbids it."""

import contextlib
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import test_hubspot_feed as feeds
import test_hubspot_webhooks as hooks
import test_hubspot_writes as writes
import urllib3
from _pytest.outcomes import OutcomeException
from hubspot_rig import HubSpotRig, running

from connector.adapters.hubspot import (
    auth,
    cursor,
    feed,
    keyed,
    limits,
    places,
    stages,
    tasks,
    transport,
    webhooks,
    writing,
)
from connector.adapters.testing import CUT
from connector.sources import hubspot_signing

_RETRIES = urllib3.Retry(
    total=3, status_forcelist=(429,), allowed_methods=None, backoff_factor=0, respect_retry_after_header=False
)


def _retries(_origin: str) -> urllib3.PoolManager:
    return urllib3.PoolManager(retries=_RETRIES)


def _old_signatures(*args: Any, **_: Any) -> None:
    hubspot_signing.check(*args, old_signatures=True)


def _never_by_id(track: cursor.Track, _before: object, stamped: Any) -> cursor.Track:
    return track.moved(None if len(stamped) < feed.SEARCH_PAGE else stamped[-1][0] + 1)


def _one_instant(rig: HubSpotRig) -> None:
    with pytest.MonkeyPatch.context() as patch:
        feeds.test_changes_of_one_instant_are_all_told_once(rig, patch)


def _expired(rig: HubSpotRig) -> None:
    with pytest.MonkeyPatch.context() as patch:
        writes.test_an_expired_token_is_renewed_once_for_all_threads(rig, patch)


def _by_name(stage: Any) -> str:
    return {"closedwon": "won", "closedlost": "lost"}.get(stage["id"], "open")


def _always_renew(self: Any, _refused: str) -> str:
    with self._lock:
        self._renew()
        return str(self._token)


MUTANTS: dict[str, tuple[object, str, object, Callable[[HubSpotRig], object]]] = {
    "retries by itself": (
        transport,
        "_pool",
        _retries,
        lambda rig: writes.test_each_rate_limit_says_how_long_it_lasts(rig, "SECONDLY", timedelta(seconds=1)),
    ),
    "speaks the old paths": (transport, "dated", lambda path: path, writes.test_every_path_carries_the_dated_version),
    "makes a lost task again": (
        tasks.Tasks,
        "_hanging",
        lambda *_: {},
        lambda rig: writes.test_a_lost_answer_to_a_task_leaves_one_task(rig, CUT),
    ),
    "believes in the owner it sent": (
        writing.Writer,
        "_checked",
        lambda *given: given[-1],
        lambda rig: writes.test_an_owner_that_hubspot_drops_in_silence_is_noticed(rig, "79999999"),
    ),
    "sends until it is refused": (
        limits.Limits,
        "reserve",
        lambda *_, **__: None,
        writes.test_calls_stop_before_the_limit_and_not_at_it,
    ),
    "puts any id into an address": (
        places,
        "_ID",
        SimpleNamespace(fullmatch=bool),
        lambda rig: writes.test_an_id_that_would_change_the_address_is_refused_unsent(rig, "12?a=b"),
    ),
    "leaves an existing contact alone": (
        keyed.Keyed,
        "_merged_into_existing",
        lambda *_: set(),
        writes.test_a_contact_that_was_there_is_linked_and_keeps_what_people_wrote,
    ),
    "renews for every thread": (
        auth.OAuth,
        "renew",
        _always_renew,
        _expired,
    ),
    "knows a stage by its name": (stages, "deal_state", _by_name, writes.test_a_deal_is_won_by_its_stages_metadata),
    "loses a whole batch to one item": (
        writing,
        "_MOST_CALLS",
        1,
        writes.test_one_bad_item_spares_the_others_also_where_the_batch_is_refused_as_a_whole,
    ),
    "reads each change once and never looks back": (
        cursor,
        "OVERLAP",
        0,
        feeds.test_what_the_search_shows_late_is_told_all_the_same,
    ),
    "pages changes of one instant by their time": (
        feed,
        "_following",
        _never_by_id,
        _one_instant,
    ),
    "takes older signatures": (
        webhooks,
        "hubspot_signing",
        SimpleNamespace(check=_old_signatures),
        lambda rig: hooks.test_older_signatures_are_refused(rig, "v1"),
    ),
    "takes events of every account": (
        webhooks.Hooks,
        "portal",
        property(lambda _: "", lambda *_: None),
        hooks.test_events_of_another_account_are_none_of_ours,
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_adapter_fails_the_test_that_forbids_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, what, instead, forbids = MUTANTS[name]
    with contextlib.contextmanager(running)(HubSpotRig) as rig:
        monkeypatch.setattr(where, what, instead)
        rig.begin_anew()

        with pytest.raises((Exception, OutcomeException)):
            forbids(rig)


@pytest.mark.parametrize("name", MUTANTS)
def test_the_adapter_as_it_is_passes(name: str) -> None:
    with contextlib.contextmanager(running)(HubSpotRig) as rig:
        MUTANTS[name][3](rig)
