"""The layers against abuse, from a post to its fate: scored, set aside, released, let go (requirements I25, I26)."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import pytest
from desk import FORM, Desk, jan

from connector.flows import housekeeping
from connector.flows.accept import accept
from connector.flows.signals import TOKEN_KEY
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.screening import form_token
from connector.store import deliveries, reading
from connector.store.reading import DeliveryRow
from connector.vault import Vault

SPAM = {"nachricht": "<a href='https://x.example'>cheap</a> https://y.example https://z.example"}


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    yield made
    made.close()


def post_with(desk: Desk, headers: dict[str, str], **fields: str) -> UUID:
    body = urlencode(fields).encode()
    return accept(desk.services, Delivery(new_id(), "website", datetime.now(UTC), FORM, body, headers, {}))


def row(desk: Desk, receipt: UUID) -> DeliveryRow:
    with desk.services.store.transaction() as tx:
        found = reading.delivery(tx, receipt)
    assert found is not None
    return found


def release(desk: Desk, receipt: UUID) -> bool:
    with desk.services.store.transaction() as tx:
        return deliveries.replay(tx, receipt)


def test_a_spammer_is_set_aside_with_score_and_reasons_and_released_by_a_person(desk: Desk) -> None:
    """I26."""
    receipt = desk.post(**jan(**SPAM))
    desk.work()
    found = row(desk, receipt)
    released = release(desk, receipt)
    desk.work()

    assert found.state == "quarantined"
    assert found.score is not None
    assert found.score >= 100
    assert set(found.signals) >= {"links", "markup"}
    assert "HTML or forum code" in found.reason
    assert released
    assert desk.fate(receipt)[:2] == ("done", "leads")


def test_a_lead_with_a_little_against_it_goes_on_with_its_score(desk: Desk) -> None:
    receipt = desk.post(**jan(nachricht="Our drawing: https://kos.example/plan", email="jan.kos@gmail.com"))
    desk.work()

    found = row(desk, receipt)
    assert found.fate == "leads"
    assert set(found.signals) == {"origin_untold", "link", "free_mail"}
    assert found.score == 30


def test_the_key_of_a_program_and_a_mail_house_vouch_for_what_they_send(desk: Desk) -> None:
    spam = json.dumps({"last_name": "Kos", "email": "k@kos.example", "message": SPAM["nachricht"]}).encode()
    receipt = desk.post_raw("api", spam, "application/json")
    desk.work()

    assert desk.fate(receipt)[1] == "leads"
    assert row(desk, receipt).score is None


def test_of_several_leads_in_one_post_the_worst_decides(desk: Desk) -> None:
    """P2: one delivery, one fate."""
    people = [jan(), jan(email="eva@kos.example", website="x")]
    receipt = desk.post_raw("website", json.dumps(people).encode(), "application/json")
    desk.work()
    set_aside = desk.fate(receipt)[0]
    release(desk, receipt)
    desk.work()

    assert set_aside == "quarantined"
    assert desk.rows("SELECT count(*) FROM lead") == [(2,)]


# The form token.


def token(desk: Desk, age: timedelta) -> str:
    return form_token.mint(desk.services.vault.keys(TOKEN_KEY)[0], "website", datetime.now(UTC) - age)


@pytest.mark.parametrize(
    ("age", "signal", "state"),
    [
        (timedelta(seconds=0), "too_fast", "quarantined"),
        (timedelta(minutes=2), "", "done"),
        (timedelta(hours=13), "stale", "done"),
    ],
)
def test_a_signed_token_tells_how_long_somebody_took(desk: Desk, age: timedelta, signal: str, state: str) -> None:
    """I25."""
    receipt = desk.post(**jan(_token=token(desk, age)))
    desk.work()

    found = row(desk, receipt)
    assert found.state == state
    assert (signal in found.signals) or not signal
    assert not ({"too_fast", "stale", "token_forged"} - {signal}) & set(found.signals)


def test_a_token_is_missed_only_where_the_page_has_our_snippet(desk: Desk) -> None:
    """I25: and even there a browser without JavaScript is not refused."""
    without = desk.post(**jan())
    desk.work()
    desk.edit("hearback.yaml", "  website:\n    kind: form\n", "  website:\n    kind: form\n    form_token: true\n")
    desk.publish()
    missed = desk.post(**jan(nachricht="again"))
    desk.work()

    assert "token_missing" not in row(desk, without).signals
    assert "token_missing" in row(desk, missed).signals
    assert desk.fate(missed)[1] == "leads"


def test_a_token_survives_a_new_key_and_no_longer_than_the_old_one(desk: Desk) -> None:
    made = token(desk, timedelta(minutes=1))
    desk.services.vault = Vault(f"{'y' * 40},{'x' * 40}")
    kept = desk.post(**jan(_token=made))
    desk.work()
    desk.services.vault = Vault("y" * 40)
    made_after = token(desk, timedelta(minutes=1))
    fresh = desk.post(**jan(_token=made_after, nachricht="b"))
    dead = desk.post(**jan(_token=made, nachricht="c"))
    desk.work()

    assert "token_forged" not in (*row(desk, kept).signals, *row(desk, fresh).signals)
    assert "token_forged" in row(desk, dead).signals


def test_the_token_and_the_nonce_stay_out_of_the_lead(desk: Desk) -> None:
    desk.post(**jan(_token=token(desk, timedelta(minutes=1)), _nonce="n-1"))
    desk.work()

    assert desk.rows("SELECT data->'custom' FROM lead") in ([({},)], [(None,)])


def test_the_same_nonce_is_the_same_submission_whatever_was_typed(desk: Desk) -> None:
    """I10: the visitor presses twice, and a time stamp differs."""
    first = desk.post(**jan(_nonce="n-1"))
    second = desk.post(**jan(_nonce="n-1", uhrzeit="12:00:01"))
    desk.work()

    assert [desk.fate(receipt)[1] for receipt in (first, second)] == ["leads", "duplicate"]


# The page.


@pytest.mark.parametrize(
    ("origin", "signal"),
    [
        ("https://www.nordhammer.example", None),
        ("http://127.0.0.1:8650", None),
        ("null", "origin_untold"),
        ("https://evil.example", "origin_foreign"),
    ],
)
def test_the_page_a_form_is_on_is_a_signal_and_nothing_more(desk: Desk, origin: str, signal: str | None) -> None:
    """I25, I29: a plain form post needs no allowed origin; ours is one."""
    receipt = post_with(desk, {"origin": origin}, **jan())
    desk.work()

    assert desk.fate(receipt)[1] == "leads"
    assert list(row(desk, receipt).signals) == ([signal] if signal else [])


# One address, many posts.


def test_an_address_sent_very_often_is_set_aside_and_others_are_not(desk: Desk) -> None:
    """I25: per e-mail; the first ones pass, none is lost, in one batch or in many."""
    receipts = [desk.post(**jan(nachricht=f"message {number}")) for number in range(8)]
    desk.work()
    late = desk.post(**jan(nachricht="one more"))
    other = desk.post(**jan(email="eva@kos.example"))
    desk.work()

    states = [desk.fate(receipt)[0] for receipt in receipts]
    assert states == ["done"] * 6 + ["quarantined"] * 2
    assert "very often" in desk.fate(receipts[-1])[2]
    assert desk.fate(late)[0] == "quarantined"
    assert desk.fate(other)[0] == "done"


def test_an_address_may_come_again_after_a_while(desk: Desk) -> None:
    for number in range(8):
        desk.post(**jan(nachricht=f"message {number}"))
    desk.work()
    desk.run("UPDATE address_rate SET seen_at = seen_at - interval '21 minutes'")
    receipts = [desk.post(**jan(nachricht=f"later {number}")) for number in range(2)]
    desk.work()

    assert [desk.fate(receipt)[0] for receipt in receipts] == ["done", "quarantined"]


def test_addresses_are_counted_by_a_hash_that_only_we_can_make(desk: Desk) -> None:
    """P10: and an erased person's address stands in no table."""
    desk.post(**jan())
    desk.work()

    ((stored,),) = desk.rows("SELECT hash FROM address_rate")
    assert b"jan" not in bytes(stored)
    assert len(bytes(stored)) == 32


def test_a_batch_that_is_rolled_back_counts_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """P3: the count commits with the decision."""
    desk.post(**jan())
    with monkeypatch.context() as patched:

        def fail(*_: object) -> None:
            raise KeyboardInterrupt

        patched.setattr("connector.flows.route.save", fail)
        with pytest.raises(KeyboardInterrupt):
            desk.work()
    counted = desk.rows("SELECT count(*) FROM address_rate")
    desk.work()

    assert counted == [(0,)]
    assert desk.rows("SELECT left_over FROM address_rate") == [(5.0,)]


def test_what_a_person_released_is_not_counted_against_an_address(desk: Desk) -> None:
    receipts = [desk.post(**jan(nachricht=f"message {number}")) for number in range(8)]
    desk.work()
    for receipt in receipts[6:]:
        release(desk, receipt)
    desk.work()

    assert [desk.fate(receipt)[0] for receipt in receipts] == ["done"] * 8


# The end of what nobody released.


def age(desk: Desk, days: int) -> None:
    for table in ("delivery_body", "delivery"):
        desk.run(f"UPDATE {table} SET received_at = received_at - make_interval(days => {days})")


def bodies(desk: Desk) -> int:
    ((count,),) = desk.rows("SELECT count(*) FROM delivery_body")
    return int(count)


def test_a_suspect_nobody_released_in_14_days_is_rejected_and_its_body_removed(desk: Desk) -> None:
    """I26, I32: the fate, the reason, the score and the hash stay."""
    receipt = desk.post(**jan(**SPAM))
    desk.work()
    before = row(desk, receipt)
    age(desk, 13)
    housekeeping.work(desk.services)
    kept = (desk.fate(receipt)[0], bodies(desk))
    age(desk, 2)
    housekeeping.work(desk.services)
    after = row(desk, receipt)

    assert kept == ("quarantined", 1)
    assert (after.state, after.fate, after.reason) == ("done", "rejected", before.reason)
    assert (after.score, after.sha256) == (before.score, before.sha256)
    assert bodies(desk) == 0


def test_a_replay_after_that_says_that_the_body_is_gone(desk: Desk) -> None:
    receipt = desk.post(**jan(**SPAM))
    desk.work()
    age(desk, 15)
    housekeeping.work(desk.services)
    release(desk, receipt)
    desk.work()

    assert desk.fate(receipt)[0] == "quarantined"
    assert "past its retention time" in desk.fate(receipt)[2]


@pytest.mark.parametrize(
    ("source", "body"),
    [("website", b"feld=Ulm"), ("typeform", b"{not json"), ("gone", b"email=a%40kos.example")],
    ids=["nobody to answer", "unreadable", "source gone"],
)
def test_only_suspects_are_let_go_so_soon(desk: Desk, source: str, body: bytes) -> None:
    """P2: what is our own trouble waits for a person."""
    receipt = desk.post_raw(source, body, FORM)
    desk.work()
    age(desk, 15)
    housekeeping.work(desk.services)

    assert desk.fate(receipt)[0] == "quarantined"
    assert bodies(desk) == 1


def test_leads_and_released_suspects_are_not_touched(desk: Desk) -> None:
    lead, released = desk.post(**jan()), desk.post(**jan(**SPAM))
    desk.work()
    release(desk, released)
    desk.work()
    age(desk, 15)
    housekeeping.work(desk.services)

    assert [desk.fate(receipt)[1] for receipt in (lead, released)] == ["leads", "leads"]
    assert bodies(desk) == 2
