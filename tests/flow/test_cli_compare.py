"""`hearback cards compare`: from mailed to contacted, out of what is stored."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cli_support import Desk, desk_on, refused

from connector.flows import intake, mailing
from connector.flows.accept import accept
from connector.flows.nudges import TASKS
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.services import Services
from connector.sources.card_page import page_query
from connector.sources.cards import Row, card_body
from connector.store import events, journeys
from connector.store.events import Event
from connector.store.journeys import Journey

DE = "cordless-autumn-de"
FORM = "application/x-www-form-urlencoded"
MAILED = 8


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Desk:
    return desk_on(database_url, tmp_path)


def a_mailing(services: Services, folder: Path) -> dict[str, str]:
    """Mail eight cards, the day before yesterday; return the tokens by reference."""
    file = folder / "list.csv"
    rows = [f"R{n},Greta{n},Ohlsen,Weg {n},26122,Oldenburg,DE,g{n}@ohlsen.example" for n in range(MAILED)]
    header = "reference,first_name,last_name,street,postal_code,city,country,email"
    file.write_text("\n".join((header, *rows, "")), encoding="utf-8")
    mailing.load_recipients(services, DE, file)
    sent = mailing.send(services, DE, (datetime.now(UTC) - timedelta(days=2)).date())
    return {card.reference: card.token for card in sent}


def keyed(services: Services, row: Row) -> None:
    now = datetime.now(UTC)
    body = card_body("house", "b", replace(row, keyed_on=now.isoformat()))
    accept(services, Delivery(new_id(), "cards", now, "application/json", body, {}, {}))
    intake.work(services)


def by_card(services: Services, token: str, *, days_ago: float = 0) -> None:
    answered = datetime.now(UTC) - timedelta(days=days_ago)
    keyed(services, Row(token, 0, "", answered.isoformat(), {}, token))


def by_page(services: Services, token: str, **said: str) -> None:
    body = "&".join(f"{name}={value}" for name, value in {"language": "de", **said}.items()).encode()
    query = page_query(token, "de", {}, {"street": "Weg"})
    accept(services, Delivery(new_id(), "card-page", datetime.now(UTC), FORM, body, {}, query))
    intake.work(services)


def called(services: Services, desk: Desk, token: str, *, hours: float) -> None:
    """The CRM tells of a call to the lead of a card, so many hours from now."""
    ((lead,),) = desk.query(
        "SELECT DISTINCT s.lead_id FROM submission s JOIN card_answer a USING (delivery_id, position) "
        f"JOIN recipient r ON r.id = a.recipient_id WHERE r.token = '{token}'"
    )
    at = datetime.now(UTC) + timedelta(hours=hours)
    with services.store.transaction() as tx:
        tx.run(
            "INSERT INTO binding (connection, key, object_type, record_id) VALUES ('sandbox', %s, 'lead', %s) "
            "ON CONFLICT DO NOTHING",
            f"lead:{lead}",
            f"L-{lead}",
        )
        events.put(tx, Event("call.logged", "sandbox", f"c{new_id()}", "call", "C1", at, {"lead": f"L-{lead}"}))


def ways(services: Services) -> list[Journey]:
    with services.store.transaction() as tx:
        return sorted(journeys.of_campaign(tx, DE, TASKS), key=lambda each: each.answered_at)


def compared(desk: Desk) -> dict[str, dict[str, object]]:
    result = desk.run("cards", "compare", DE, "--json")
    assert result.exit_code == 0
    found: dict[str, dict[str, object]] = json.loads(result.stdout)
    return found


def test_an_answers_way_is_told_from_mailed_to_contacted(desk: Desk, tmp_path: Path) -> None:
    """Each time is stored once (P8): the way is put together from them."""
    with desk.services() as services:
        token = a_mailing(services, tmp_path)["R1"]
        by_card(services, token, days_ago=1)
        called(services, desk, token, hours=-30)
        called(services, desk, token, hours=2)
        called(services, desk, token, hours=9)

        (way,) = ways(services)

    assert way.mailed_at is not None
    assert way.keyed_at is not None
    assert way.assigned_at is not None
    assert way.contacted_at is not None
    assert way.mailed_at < way.answered_at < way.keyed_at <= way.received_at < way.assigned_at < way.contacted_at
    assert timedelta(hours=25) < way.contacted_at - way.answered_at < timedelta(hours=27)


def test_a_ticked_task_and_the_owners_touch_are_contacts_too(desk: Desk, tmp_path: Path) -> None:
    with desk.services() as services:
        tokens = a_mailing(services, tmp_path)
        by_card(services, tokens["R1"])
        by_card(services, tokens["R2"])
        first, second = (each.lead_id for each in ways(services))
        at = datetime.now(UTC) + timedelta(hours=1)
        with services.store.transaction() as tx:
            tx.run(
                "INSERT INTO binding (connection, key, object_type, record_id) "
                "SELECT connection, key, 'task', 'T-1' FROM command WHERE lead_id = %s AND object_type = 'task'",
                first,
            )
            events.put(tx, Event("task.completed", "sandbox", "t1", "task", "T-1", at, {}))
            tx.run("DELETE FROM response")
            tx.run(
                "INSERT INTO response (lead_id, assign_seq, owner, state, offered_at, touch_due, touched_at) "
                "VALUES (%s, 1, 'x', 'touched', now(), now(), %s)",
                second,
                at + timedelta(hours=1),
            )

        found = ways(services)

    assert [each.contacted_at for each in found] == [at, at + timedelta(hours=1)]


def test_cards_and_pages_are_compared_and_nobody_is_left_out(desk: Desk, tmp_path: Path) -> None:
    with desk.services() as services:
        tokens = a_mailing(services, tmp_path)
        for reference in ("R1", "R2", "R3"):
            by_card(services, tokens[reference])
        by_page(services, tokens["R4"])
        # The second response of R1: it starts no clock.
        by_page(services, tokens["R1"], message="again")
        called(services, desk, tokens["R1"], hours=5)
        called(services, desk, tokens["R2"], hours=6)
        called(services, desk, tokens["R4"], hours=1)
        keyed(services, Row("white", 0, "NH26-AK", "", {"email": "white@mail.example"}))

    found = compared(desk)

    assert (found["mailed"], found["answered"], found["unknown"]) == (MAILED, 4, 1)
    card, page = found["card"], found["page"]
    assert (card["answered"], card["people"], card["contacted"]) == (3, 4, 2)
    assert (page["answered"], page["people"], page["contacted"]) == (2, 1, 1)
    assert card["share"]["value"] == 3 / MAILED
    assert round(card["wait"]["value"] / 3600) == 5
    assert card["wait"]["high"] is None
    assert found["share_difference"]["value"] == 1 / MAILED


def test_a_person_reads_shares_times_and_a_verdict(desk: Desk, tmp_path: Path) -> None:
    with desk.services() as services:
        tokens = a_mailing(services, tmp_path)
        by_card(services, tokens["R1"])
        by_page(services, tokens["R2"])
        called(services, desk, tokens["R2"], hours=2)

    text = desk.run("cards", "compare", DE).stdout

    assert "8 mailed, 2 answered, 6 did not." in text
    assert "12.5% (95 %: 2.2% to 47.1%)" in text
    assert "2.0 hours (95 %: 2.0 to ?)" in text
    assert "Share, card less page: 0.0%" in text
    assert "Time to first contact, card less page: not yet; too early to compare." in text


def test_an_answer_nobody_can_be_reached_by_is_counted_all_the_same(desk: Desk) -> None:
    with desk.services() as services:
        mailing.add_anonymous(services, DE, 1)
        (card,) = mailing.send(services, DE, date(2026, 11, 2))
        by_card(services, card.token)

    assert desk.query("SELECT fate FROM delivery") == [("rejected",)]
    assert compared(desk)["card"]["answered"] == 1


def test_tests_do_not_count(desk: Desk, tmp_path: Path) -> None:
    with desk.services() as services:
        by_page(services, a_mailing(services, tmp_path)["R1"], _test="1")

    assert compared(desk)["answered"] == 0


def test_a_campaign_nobody_configured_is_named_with_those_that_are(desk: Desk) -> None:
    with desk.services():
        refused(desk.run("cards", "compare", "autumn"), "'autumn'", DE)


def test_what_was_answered_can_be_neither_changed_nor_emptied(desk: Desk, tmp_path: Path) -> None:
    """P8."""
    with desk.services() as services:
        by_card(services, a_mailing(services, tmp_path)["R1"])

    for statement in ("UPDATE card_answer SET channel = 'page'", "DELETE FROM card_answer", "TRUNCATE card_answer"):
        with pytest.raises(Exception, match="append-only"):
            desk.query(statement)
