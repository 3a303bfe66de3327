"""One of several people in a delivery is erased (I33, I18): nothing of them stays, and nobody else is lost (P2).

What became leads is tried in test_rights.py; here nobody's part of the delivery is a lead yet.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from captcha_provider import loopback_provider
from desk import Desk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vendor_support import (
    ENVIRON,
    SOURCES,
    Vendors,
    app_contact,
    app_event,
    app_events,
    compact,
    graph_lead,
    lead_action,
    leadgen,
    member_lead,
)

from connector.adapters.testing import Reply
from connector.flows import captcha, erasing, fetch, housekeeping, inspecting, searching
from connector.flows.accept import accept
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.store import Store, Transaction, deliveries, fetches
from connector.store.erasures import Erasure

JSON = "application/json"
ERASE = "contact.privacyDeletion"
SET_ASIDE = "no e-mail, phone or address was recognised"


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with Vendors() as server:
        yield server


@pytest.fixture
def desk(database_url: str, tmp_path: Path, vendors: Vendors) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    made.edit("hearback.yaml", "sources:\n", SOURCES)
    made.publish()
    made.services.environ = dict(ENVIRON)
    made.services.origins = dict.fromkeys(("meta", "hubspot_app", "linkedin"), vendors.url)
    yield made
    made.close()


def fetch_all(desk: Desk) -> None:
    desk.work()
    while fetch.work(desk.services):
        pass
    desk.work()


def later(desk: Desk, **span: float) -> None:
    desk.run("UPDATE clock SET shift = shift + %s", timedelta(**span))


def erase(desk: Desk, email: str) -> Erasure:
    person = searching.person(desk.services, email, "")
    return erasing.erase(desk.services, person, "the test", lambda _done, _all: None)


def release(desk: Desk, receipt: UUID) -> None:
    with desk.services.store.transaction() as tx:
        assert deliveries.replay(tx, receipt)
    fetch_all(desk)


def people(desk: Desk) -> list[str]:
    return [row[0] for row in desk.rows("SELECT data->>'email' FROM lead WHERE erased_at IS NULL ORDER BY 1")]


def everything(desk: Desk) -> str:
    """Every row of every table, and every body opened."""
    tables = desk.rows(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
        "AND relnamespace = 'public'::regnamespace"
    )
    rows = [row for (table,) in tables for (row,) in desk.rows(f"SELECT t::text FROM {table} t")]
    sealed = desk.rows("SELECT delivery_id, sealed FROM delivery_body")
    return "\n".join([*rows, *(str(desk.services.vault.open(receipt, bytes(body))) for receipt, body in sealed)])


def is_gone(desk: Desk, *names: str) -> bool:
    held = everything(desk).casefold()
    return not any(name in held for name in names)


def body_of(desk: Desk, receipt: UUID) -> str:
    ((sealed,),) = desk.rows("SELECT sealed FROM delivery_body WHERE delivery_id = %s", receipt)
    return str(desk.services.vault.open(receipt, bytes(sealed)))


def batch(*names: str, **more: str) -> bytes:
    said = [{"email": f"{name}@{name}.example", "nachname": name, "plz": "10115", **more} for name in names]
    return compact(said)


# Deliveries of three people, one of them Nora 51001 (or 9001), and a fourth who has to be looked at first.


def by_hubspot(desk: Desk, vendors: Vendors) -> UUID:
    vendors.leads = {str(number): app_contact(number) for number in (51001, 51002, 51003)}
    vendors.leads["51004"] = {"id": "51004", "properties": {"firstname": "Nobody"}}
    return desk.post_raw("hubspot", app_events(51001, 51002, 51003, 51004), JSON)


def by_meta(desk: Desk, vendors: Vendors) -> UUID:
    vendors.leads = {str(number): graph_lead(number) for number in (51001, 51002, 51003)}
    vendors.leads["51004"] = graph_lead(51004, email="", full_name="Nobody")
    return desk.post_raw("meta", leadgen(51001, 51002, 51003, 51004), JSON)


def by_form(desk: Desk, vendors: Vendors) -> UUID:
    said = [{"email": f"nora.{number}@feld.example", "plz": "10115"} for number in (51001, 51002, 51003)]
    return desk.post_raw("website", compact([*said, {"vorname": "Nobody"}]), JSON)


NORA, OTHERS = "nora.51001@feld.example", ["nora.51002@feld.example", "nora.51003@feld.example"]
KINDS = {"hubspot_app": by_hubspot, "meta": by_meta, "form": by_form}
Sent = Callable[[Desk, Vendors], UUID]


@pytest.fixture(params=KINDS)
def sent(request: pytest.FixtureRequest) -> Sent:
    return KINDS[request.param]


def test_the_others_of_a_delivery_set_aside_wait_on_for_the_same_reason(
    desk: Desk, vendors: Vendors, sent: Sent
) -> None:
    """I33, P2: and become leads once somebody has looked; the erased stays out when it all comes again."""
    receipt = sent(desk, vendors)
    fetch_all(desk)
    before = desk.fate(receipt)
    assert before[0] == "quarantined"
    assert SET_ASIDE in before[2]

    done = erase(desk, NORA)

    assert desk.fate(receipt) == before
    assert is_gone(desk, NORA)
    assert done.counts["delivery parts"] == 1
    assert "bodies" not in done.counts
    release(desk, receipt)
    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert people(desk) == OTHERS
    again = sent(desk, vendors)
    fetch_all(desk)
    assert desk.fate(again)[0] == "quarantined"
    if sent is not by_form:
        # A form has neither keys nor times of its own: what it repeats is new.
        assert is_gone(desk, NORA)
        release(desk, again)
        assert desk.fate(again)[:2] == ("done", "duplicate")
        assert people(desk) == OTHERS


def test_what_was_seen_of_the_others_is_what_becomes_of_them(desk: Desk, vendors: Vendors, sent: Sent) -> None:
    """P2: released after the erasure they are the leads they would have been without it."""

    def leads() -> list[tuple[Any, ...]]:
        return desk.rows(
            "SELECT data, s.position, k.key, k.version FROM lead l JOIN submission s ON s.lead_id = l.id "
            "JOIN dedupe_key k ON k.lead_id = l.id WHERE data ->> 'email' = ANY(%s) ORDER BY data ->> 'email', key",
            OTHERS,
        )

    receipt = sent(desk, vendors)
    fetch_all(desk)
    release(desk, receipt)
    without = leads()
    desk.run("TRUNCATE lead, submission, person_key, dedupe_key CASCADE")
    desk.run("UPDATE delivery SET state = 'quarantined', fate = NULL WHERE id = %s", receipt)

    erase(desk, NORA)
    release(desk, receipt)

    assert without == leads() != []


@pytest.mark.parametrize("number", [51001, 51003])
def test_a_vendors_notice_takes_one_out_of_a_delivery_set_aside(desk: Desk, vendors: Vendors, number: int) -> None:
    """I18: found by the key it came under, also when somebody else was taken out before."""
    receipt = by_hubspot(desk, vendors)
    fetch_all(desk)
    erase(desk, "nora.51002@feld.example")

    notice = desk.post_raw("hubspot", compact([app_event(number, ERASE)]), JSON)
    fetch_all(desk)
    housekeeping.work(desk.services)

    assert desk.fate(notice)[:2] == ("done", "applied")
    assert desk.fate(receipt)[0] == "quarantined"
    assert is_gone(desk, f"nora.{number}@", "nora.51002@")
    release(desk, receipt)
    assert people(desk) == [f"nora.{each}@feld.example" for each in (51001, 51003) if each != number]
    assert desk.rows("SELECT count(*) FROM erasure WHERE finished_at IS NULL") == [(0,)]


def test_a_notice_about_the_only_one_of_a_delivery_takes_it_whole(desk: Desk, vendors: Vendors) -> None:
    """I18: LinkedIn names one answer in each delivery, here one that is set aside."""
    answer = member_lead()
    del answer["formResponse"]["answers"][1]
    vendors.leads = {"501-1": answer}
    receipt = desk.post_raw("linkedin", lead_action(), JSON)
    fetch_all(desk)
    assert desk.fate(receipt)[0] == "quarantined"
    assert "Jane" in body_of(desk, receipt)

    desk.post_raw("linkedin", lead_action(action="DELETED"), JSON)
    desk.work()
    housekeeping.work(desk.services)

    assert desk.fate(receipt)[:2] == ("done", "erased")
    assert is_gone(desk, "jane")


def test_when_the_last_one_is_erased_the_delivery_goes(desk: Desk) -> None:
    """P2: and only then its fate is `erased`."""
    receipt = desk.post_raw("website", batch("xenia", "otto", "ute", website="spam"), JSON)
    desk.work()
    fates = []
    for name in ("xenia", "otto", "ute"):
        erase(desk, f"{name}@{name}.example")
        assert is_gone(desk, f"{name}@")
        fates.append(desk.fate(receipt)[:2])

    assert fates == [("quarantined", None), ("quarantined", None), ("done", "erased")]
    assert desk.rows("SELECT count(*) FROM delivery_body") == [(0,)]


def test_what_the_head_of_a_request_says_of_a_person_goes_too(desk: Desk) -> None:
    """I33: an address they filled in, a cookie's echo; the network and page of the others' consent stay."""
    headers = {"referer": "https://www.example.com/?email=xenia@xenia.example#xenia", "x-name": "xenia"}
    said = batch("xenia", "otto", einwilligung="on", website="spam")
    sent = Delivery(
        new_id(), "website", datetime.now(UTC), JSON, said, headers, {"who": "xenia"}, "192.0.2.7", "/in/t?who=xenia"
    )
    receipt = accept(desk.services, sent)
    desk.work()

    erase(desk, "xenia@xenia.example")
    assert is_gone(desk, "xenia")
    release(desk, receipt)

    assert desk.rows("SELECT ip, source_url FROM consent_event") == [("192.0.2.0/24", "https://www.example.com/")]


# Waiting.


@pytest.mark.parametrize("kind", ["meta", "hubspot_app"])
def test_what_was_fetched_of_the_erased_is_given_up_while_others_are_waited_for(
    desk: Desk, vendors: Vendors, kind: str
) -> None:
    """I9, I33: it is not asked for again, and the others come."""
    one = {"meta": graph_lead, "hubspot_app": app_contact}[kind]
    body = {"meta": leadgen, "hubspot_app": app_events}[kind](51001, 51002, 51003)
    vendors.then(Reply(200, one(51001)), Reply(503))
    receipt = desk.post_raw({"meta": "meta", "hubspot_app": "hubspot"}[kind], body, JSON)
    fetch_all(desk)
    assert desk.fate(receipt)[0] == "waiting"
    assert not is_gone(desk, NORA)

    erase(desk, NORA)

    assert desk.fate(receipt)[0] == "waiting"
    assert is_gone(desk, NORA)
    vendors.leads = {str(number): one(number) for number in (51001, 51002, 51003)}
    later(desk, minutes=2)
    fetch_all(desk)
    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert people(desk) == OTHERS
    assert vendors.asked == ["51001", "51002", "51002", "51003"]


def test_a_turn_of_fetching_that_was_under_way_brings_nobody_back(desk: Desk, vendors: Vendors) -> None:
    """I33: it read the body before the erasure, and does not write it back after."""
    vendors.then(Reply(200, app_contact(51001)), Reply(503))
    vendors.leads = {str(number): app_contact(number) for number in (51001, 51002)}
    receipt = desk.post_raw("hubspot", app_events(51001, 51002), JSON)
    fetch_all(desk)
    later(desk, minutes=2)
    with desk.services.store.transaction() as tx:
        (leased,) = fetches.lease(tx, 1, timedelta(minutes=5))
    erase(desk, NORA)
    with desk.services.store.transaction() as tx:
        assert not fetches.keep(tx, leased, b"what it had read, and more")
    later(desk, minutes=6)
    fetch_all(desk)

    assert is_gone(desk, NORA)
    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert people(desk) == ["nora.51002@feld.example"]


def test_the_others_of_a_delivery_that_waits_for_its_captcha_go_on_after_it(desk: Desk) -> None:
    """I27, P2."""
    field = "    captcha: {provider: turnstile, secret: '${CAPTCHA}', site_key: site-1}\n"
    desk.edit("hearback.yaml", "  website:\n    kind: form\n", f"  website:\n    kind: form\n{field}")
    desk.publish()
    desk.services.environ = {**ENVIRON, "CAPTCHA": "s3cret"}
    solved = batch("xenia", "otto", "ute", **{"cf-turnstile-response": "token-1"})
    receipt = desk.post_raw("website", solved, JSON)
    desk.work()
    assert desk.fate(receipt)[0] == "waiting"

    erase(desk, "xenia@xenia.example")

    assert desk.fate(receipt)[0] == "waiting"
    assert is_gone(desk, "xenia")
    with loopback_provider() as provider:
        while captcha.work(desk.services, provider.ask):
            pass
        desk.work()
        assert [asked["response"] for asked in provider.asked] == ["token-1"]
    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert people(desk) == ["otto@otto.example", "ute@ute.example"]


# Not read yet, or read again.


@pytest.mark.parametrize("then", ["leads", "set aside"])
def test_who_was_erased_before_a_delivery_is_read_costs_no_other_their_place(desk: Desk, then: str) -> None:
    """P2: whether the others go on at once or must be looked at first."""
    receipt = desk.post_raw("website", batch("xenia", "otto", "ute", website="spam" * (then != "leads")), JSON)

    erase(desk, "xenia@xenia.example")

    assert is_gone(desk, "xenia")
    if then == "set aside":
        assert desk.fate(receipt)[0] == "quarantined"
        release(desk, receipt)
    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert people(desk) == ["otto@otto.example", "ute@ute.example"]


def test_a_delivery_that_is_set_aside_after_the_erasure_keeps_the_others(desk: Desk, vendors: Vendors) -> None:
    """I33, P2: the delivery came before it and is read after it, with somebody who must be looked at."""
    vendors.then(Reply(503))
    receipt = by_hubspot(desk, vendors)
    fetch_all(desk)
    desk.post(email=NORA, plz="10115", land="DE")
    desk.work()
    erase(desk, NORA)

    later(desk, minutes=2)
    fetch_all(desk)

    assert desk.fate(receipt)[0] == "quarantined"
    assert SET_ASIDE in desk.fate(receipt)[2]
    assert is_gone(desk, NORA)
    release(desk, receipt)
    assert people(desk) == OTHERS


def test_a_delivery_released_while_its_notice_waits_to_be_worked_is_not_cut_off(desk: Desk, vendors: Vendors) -> None:
    """P2: found set aside, and worked by the time it is cleared: it keeps the fate it has by then."""
    receipt = by_hubspot(desk, vendors)
    fetch_all(desk)
    desk.post_raw("hubspot", compact([app_event(51001, ERASE)]), JSON)
    desk.work()
    release(desk, receipt)
    assert desk.fate(receipt)[:2] == ("done", "leads")

    housekeeping.work(desk.services)

    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert people(desk) == OTHERS
    assert is_gone(desk, NORA)
    again = desk.post_raw("hubspot", app_events(51002, 51003), JSON)
    fetch_all(desk)
    assert desk.fate(again)[:2] == ("done", "duplicate")


def test_a_delivery_sent_through_again_but_not_read_yet_keeps_the_others(desk: Desk, vendors: Vendors) -> None:
    """P2."""
    receipt = by_hubspot(desk, vendors)
    fetch_all(desk)
    desk.post_raw("hubspot", compact([app_event(51001, ERASE)]), JSON)
    desk.work()
    with desk.services.store.transaction() as tx:
        assert deliveries.replay(tx, receipt)

    housekeeping.work(desk.services)

    assert desk.fate(receipt)[0] == "stored"
    assert is_gone(desk, NORA)
    desk.work()
    assert people(desk) == OTHERS


# Set aside at the door: nobody has read it.


def test_of_what_was_set_aside_at_the_door_the_others_and_their_notices_stay(desk: Desk, vendors: Vendors) -> None:
    """I18, P2: the wrong secret, perhaps; what it says counts once it is released."""
    vendors.leads = {"51009": app_contact(51009)}
    desk.post_raw("hubspot", app_events(51009), JSON)
    fetch_all(desk)
    said = compact([app_event(51009, ERASE), app_event(51001), app_event(51002)])
    fetched = {str(number): json.dumps(app_contact(number)) for number in (51001, 51002)}
    forged = Delivery(new_id(), "hubspot", datetime.now(UTC), JSON, said, {}, {}, fetched=fetched)
    receipt = accept(desk.services, forged, verified="no:signature", suspect="the signature is wrong")

    erase(desk, NORA)

    assert desk.fate(receipt) == ("quarantined", None, "the signature is wrong")
    assert people(desk) == ["nora.51009@feld.example"]
    assert is_gone(desk, NORA)
    release(desk, receipt)
    housekeeping.work(desk.services)
    assert people(desk) == ["nora.51002@feld.example"]
    assert is_gone(desk, NORA, "nora.51009@")


def test_a_mapping_corrected_after_the_erasure_finds_the_others(desk: Desk, vendors: Vendors) -> None:
    """P2: what nobody recognised yet is in what is left."""
    vendors.leads = {str(number): graph_lead(number) for number in (51001, 51002, 51003)}
    for number in (51002, 51003):
        vendors.leads[str(number)]["field_data"][1]["name"] = "odd"
    receipt = desk.post_raw("meta", leadgen(51001, 51002, 51003), JSON)
    fetch_all(desk)
    erase(desk, NORA)
    desk.edit("hearback.yaml", "    kind: meta\n", "    kind: meta\n    mapping: {odd: email}\n")
    desk.publish()

    release(desk, receipt)

    assert desk.fate(receipt)[:2] == ("done", "leads")
    assert people(desk) == OTHERS


def test_of_a_rejected_delivery_the_others_can_still_be_replayed(desk: Desk, vendors: Vendors) -> None:
    """P2: nobody in it could be reached; what its reason quotes goes with the erased."""
    vendors.leads = {
        str(number): {"id": str(number), "properties": {"lastname": f"Feld{number}", "phone": str(number)}}
        for number in (51001, 51002)
    }
    receipt = desk.post_raw("hubspot", app_events(51001, 51002), JSON)
    fetch_all(desk)
    if desk.fate(receipt)[0] == "quarantined":
        release(desk, receipt)
    assert desk.fate(receipt)[1] == "rejected"
    assert "'51001'" in desk.fate(receipt)[2]

    desk.post_raw("hubspot", compact([app_event(51001, ERASE)]), JSON)
    desk.work()
    housekeeping.work(desk.services)

    assert desk.fate(receipt)[1] == "rejected"
    assert is_gone(desk, "feld51001", "'51001'")
    assert "Feld51002" in body_of(desk, receipt)
    release(desk, receipt)
    assert "'51002'" in desk.fate(receipt)[2]


# All of it together.

NAMES, TURNS = ("xenia", "otto", "ute", "nils"), itertools.count(1)
bodies = st.lists(
    st.tuples(
        st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
        st.sampled_from(["plain", "suspicious"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies, st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True))
def test_whoever_was_in_a_delivery_and_was_not_erased_becomes_a_lead(
    desk: Desk, sent: list[tuple[list[str], str, bool]], gone: list[str]
) -> None:
    """Law (P2, I33): whoever else was in it, whether it was read before the erasure or after, set aside or not."""
    turn = f"turn{next(TURNS)}x"
    receipts = []
    for names, kind, read in sent:
        said = batch(*(f"{name}{turn}" for name in names), **({"website": "spam"} if kind == "suspicious" else {}))
        receipts.append(desk.post_raw("website", said, JSON))
        if read:
            desk.work()
    for name in gone:
        erase(desk, f"{name}{turn}@{name}{turn}.example")
        assert is_gone(desk, f"{name}{turn}")
    for receipt in receipts:
        if desk.fate(receipt)[0] == "quarantined":
            release(desk, receipt)

    alive = {name for names, _, _ in sent for name in names if name not in gone}
    assert {email for email in people(desk) if turn in email} == {f"{n}{turn}@{n}{turn}.example" for n in alive}
    assert is_gone(desk, *(f"{name}{turn}" for name in gone))
    assert {desk.fate(receipt)[0] for receipt in receipts} == {"done"}


# Crashes, and what a person sees.


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("place", range(8))
def test_killed_at_any_commit_and_run_again_it_is_done_once(
    desk: Desk, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    """I33, P2: the others are there in the end, and counted once."""
    receipt = by_hubspot(desk, vendors)
    fetch_all(desk)
    before = desk.fate(receipt)
    real, count = Store.transaction, itertools.count()

    @contextmanager
    def fragile(store: Store) -> Iterator[Transaction]:
        with real(store) as tx:
            yield tx
        if next(count) == place:
            raise Killed

    monkeypatch.setattr(Store, "transaction", fragile)
    with suppress(Killed):
        erase(desk, NORA)
    monkeypatch.undo()
    erasing.work(desk.services)
    erase(desk, NORA)
    assert erase(desk, NORA).counts == {}

    assert desk.fate(receipt) == before
    assert is_gone(desk, NORA)
    assert desk.rows("SELECT sum((counts ->> 'delivery parts')::int) FROM erasure") == [(1,)]
    release(desk, receipt)
    assert people(desk) == OTHERS


def test_two_who_carry_on_the_same_erasure_do_it_once(
    desk: Desk, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I33: the command and housekeeping at the same moment."""
    receipt = by_hubspot(desk, vendors)
    fetch_all(desk)
    clear_leads = erasing._clear_leads

    def and_housekeeping(*arguments: Any) -> None:
        clear_leads(*arguments)
        monkeypatch.undo()
        erasing.work(desk.services)

    monkeypatch.setattr(erasing, "_clear_leads", and_housekeeping)
    done = erase(desk, NORA)

    assert done.counts["delivery parts"] == 1
    assert desk.fate(receipt)[0] == "quarantined"
    release(desk, receipt)
    assert people(desk) == OTHERS


def test_what_is_left_is_shown_masked_and_read(desk: Desk, vendors: Vendors, sent: Sent) -> None:
    """I5: whoever decides about the others sees them as of any delivery."""
    receipt = sent(desk, vendors)
    fetch_all(desk)
    erase(desk, NORA)

    seen = inspecting.inspect(desk.services, receipt)

    assert seen is not None
    assert (seen.problem, seen.rest) == ("", True)
    assert len(seen.leads) == 3
    assert seen.body is not None
    assert "feld.example" not in seen.body
    assert json.loads(seen.body)["leads"]


def test_what_nobody_can_read_goes_whole(desk: Desk) -> None:
    """I33: nobody can tell who is who in it."""
    receipt = desk.post_raw("website", b'[{"email": "xenia@xenia.example"}, {"email": "otto@otto.example"}', JSON)
    desk.work()
    assert desk.fate(receipt)[0] == "quarantined"

    erase(desk, "xenia@xenia.example")

    assert desk.fate(receipt)[:2] == ("done", "erased")
    assert is_gone(desk, "xenia")
