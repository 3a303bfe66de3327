"""Keying cards in the console: kept at once, a second person blind, a third settles (C10 to C13)."""

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from console_support import Console, an_account, console_of, signed_in
from desk import Desk
from hypothesis import given
from hypothesis import strategies as st
from psycopg.rows import dict_row
from web_support import fresh_database
from werkzeug.test import TestResponse

from connector.flows import erasing, intake, mailing
from connector.flows.searching import person
from connector.normalize.keyed import differing, likelier_host
from connector.services import Services

HIDDEN = re.compile(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"')
GRETA = {
    "reference": "R1",
    "first_name": "Greta",
    "last_name": "Ohlsen",
    "street": "Hafenstraße 3",
    "postal_code": "26122",
    "city": "Oldenburg",
    "country": "DE",
    "email": "g.ohlsen@ohlsen-bau.example",
}
POLICY = """  cards:
    kind: cards
    keying:
      email: double
      custom.machine: double
"""


@pytest.fixture
def services(postgres: str, template: str, tmp_path: Path) -> Iterator[Services]:
    with fresh_database(postgres, template) as url:
        desk = Desk(url, tmp_path)
        desk.edit("hearback.yaml", "  cards:\n    kind: cards\n", POLICY)
        desk.publish()
        for name in ("anna", "bruno", "clara"):
            an_account(desk.services, name, "keyer")
        an_account(desk.services, "mara", "manager")
        yield desk.services
        desk.close()


@pytest.fixture
def anna(services: Services) -> Console:
    return signed_in(services, "anna")


@pytest.fixture
def bruno(services: Services) -> Console:
    return signed_in(services, "bruno")


def rows(services: Services, statement: str) -> list[dict[str, Any]]:
    with psycopg.connect(services.store.url, row_factory=dict_row) as connection:
        return connection.execute(statement.encode()).fetchall()


def a_batch(console: Console, name: str = "Monday, tray 1", **said: str) -> str:
    """Open a batch and return its id."""
    today = datetime.now(UTC).date() - timedelta(days=1)
    said = {"name": name, "key_code": "NH26-AK", "received_on": today.isoformat(), **said}
    answer = console.post("/console/cards", "/console/cards", **said)
    assert answer.status_code == 303, answer.text
    return answer.location.rpartition("batch=")[2]


def a_token(services: Services, folder: Path) -> str:
    file = folder / "list.csv"
    file.write_text(";".join(GRETA) + "\n" + ";".join(GRETA.values()) + "\n", encoding="utf-8")
    mailing.load_recipients(services, "cordless-autumn-de", file)
    return str(rows(services, "SELECT token FROM recipient")[0]["token"])


def hidden(page: str) -> dict[str, str]:
    """Return what the form of a page carries unseen."""
    main = page[page.index("<main") :]
    return {name: html.unescape(value) for name, value in HIDDEN.findall(main)}


def send(console: Console, address: str, page: str, **typed: str) -> TestResponse:
    """Press Enter on a form that was shown."""
    return console.client.post(address, data={**hidden(page), **typed})


def key(console: Console, batch: str, **typed: str) -> TestResponse:
    """Key a card as often as Enter must be pressed; return the last answer."""
    page = console.client.get(f"/console/cards/key?batch={batch}").text
    for _ in range(3):
        answer = send(console, "/console/cards/key", page, **typed)
        if answer.status_code == 303:
            break
        page = answer.text
    return answer


def again(console: Console, batch: str, **typed: str) -> TestResponse:
    page = console.client.get(f"/console/cards/second?batch={batch}").text
    return send(console, "/console/cards/second", page, **typed)


def leads(services: Services) -> list[dict[str, Any]]:
    while intake.work(services):
        pass
    return [row["data"] for row in rows(services, "SELECT data FROM lead ORDER BY id")]


def test_a_card_with_a_code_needs_only_what_changed(services: Services, anna: Console, tmp_path: Path) -> None:
    """C10: the mailed data are shown, the e-mail on file is not; what was left alone comes from the mailing."""
    token, batch = a_token(services, tmp_path), a_batch(anna)
    page = anna.client.get(f"/console/cards/key?batch={batch}").text
    typed = {"token": token.lower()[:5] + " " + token.lower()[5:], "phone": "0441 2350177", "consent.email": "yes"}
    shown = send(anna, "/console/cards/key", page, token=typed["token"])
    kept = send(anna, "/console/cards/key", shown.text, **typed)
    (card,) = rows(services, "SELECT * FROM keyed_card")
    assert again(signed_in(services, "bruno"), batch, email="").status_code == 303
    (lead,) = leads(services)

    assert (shown.status_code, kept.status_code) == (200, 303)
    assert "Hafenstraße 3" in shown.text
    assert "g…@….example" in shown.text
    assert GRETA["email"] not in shown.text
    assert (card["number"], card["step"]) == (1, "second")
    assert (lead["phone"], lead["email"]) == ("+494412350177", GRETA["email"])
    assert lead["consents"][0] == {"purpose": "email", "given": True, "text": ""}
    (answer,) = rows(services, "SELECT * FROM card_answer")
    assert answer["keyed_at"] is not None
    assert answer["answered_at"] < answer["keyed_at"]


def test_the_same_card_sent_again_is_kept_once(services: Services, anna: Console) -> None:
    """P1, P2: the answer got lost and Enter is pressed again."""
    batch = a_batch(anna)
    page = anna.client.get(f"/console/cards/key?batch={batch}").text
    answers = [send(anna, "/console/cards/key", page, email="a@b.example").status_code for _ in range(3)]

    assert answers == [303, 303, 303]
    assert [row["number"] for row in rows(services, "SELECT number FROM keyed_card")] == [1]
    assert len(rows(services, "SELECT * FROM delivery")) == 1


def test_what_looks_mistyped_is_asked_once_and_then_kept_as_it_stands(services: Services, anna: Console) -> None:
    """C11: nothing typed is thrown away, whatever it is."""
    batch = a_batch(anna)
    page = anna.client.get(f"/console/cards/key?batch={batch}").text
    typed = {"last_name": "Brandt", "email": "m.brandt@gmial.com", "phone": "12"}
    asked = send(anna, "/console/cards/key", page, **typed)
    kept = send(anna, "/console/cards/key", asked.text, **typed)

    assert (asked.status_code, kept.status_code) == (422, 303)
    assert "Is it gmail.com?" in asked.text
    assert "No phone number looks like this" in asked.text
    assert 'value="m.brandt@gmial.com"' in asked.text
    changed = send(anna, "/console/cards/key", asked.text, **{**typed, "email": "m.brandt@gmai.com"})
    assert changed.status_code == 422


@pytest.mark.parametrize("code", ["7K3MPX9QRWG", "0O0O0O0O0O0", "short", "ß" * 11])
def test_a_mistyped_code_is_never_guessed(services: Services, anna: Console, code: str) -> None:
    """C3: the card is not kept before somebody looked."""
    batch = a_batch(anna)
    answer = key(anna, batch, token=code, email="a@b.example")

    assert answer.status_code == 422
    assert "No code looks like this" in answer.text
    assert rows(services, "SELECT * FROM delivery") == []


def test_a_card_nobody_can_answer_is_asked_about_and_then_rejected_with_the_reason(
    services: Services, anna: Console, bruno: Console
) -> None:
    batch = a_batch(anna)
    answer = key(anna, batch, first_name="Max", email="?")
    again(bruno, batch, email="?")

    assert answer.status_code == 303
    assert leads(services) == []
    (row,) = rows(services, "SELECT fate, reason FROM delivery")
    assert row["fate"] == "rejected"
    assert "no way to reach the person" in row["reason"]


def test_until_a_second_person_keyed_it_the_card_waits_and_says_so(services: Services, anna: Console) -> None:
    """C12, C15: nothing is routed that is not verified; whoever keyed it cannot verify it."""
    batch = a_batch(anna)
    key(anna, batch, email="a@b.example")
    listing = signed_in(services, "mara").client.get("/console/intake").text
    own = anna.client.get(f"/console/cards/second?batch={batch}").text

    assert leads(services) == []
    (row,) = rows(services, "SELECT state, reason FROM delivery")
    assert (row["state"], row["reason"]) == ("waiting", "the card waits to be keyed by a second person: /console/cards")
    assert row["reason"] in listing
    assert "No card of this batch waits for you" in own


def test_two_who_agree_release_the_card(services: Services, anna: Console, bruno: Console) -> None:
    """C12: how a field is capitalised or spaced makes no difference; the second does not see the first."""
    batch = a_batch(anna)
    key(anna, batch, last_name="Brandt", email="M.Brandt@web.example", **{"custom.machine": "X 20"})
    shown = bruno.client.get(f"/console/cards/second?batch={batch}").text
    again(bruno, batch, email="m.brandt@WEB.example ", **{"custom.machine": "X  20"})
    (lead,) = leads(services)

    assert "randt" not in shown
    assert 'name="last_name"' not in shown
    assert (lead["email"], lead["custom"]["machine"]) == ("m.brandt@web.example", "X 20")
    assert [row["step"] for row in rows(services, "SELECT step FROM keying ORDER BY at")] == ["first", "second"]


def test_a_third_settles_what_two_read_differently(services: Services, anna: Console, bruno: Console) -> None:
    """C12, C13: neither of the two; before and after are kept with the card, sealed."""
    batch = a_batch(anna)
    key(anna, batch, email="m.brandt@web.example", **{"custom.machine": "?"})
    again(bruno, batch, email="n.brandt@web.example", **{"custom.machine": "X20"})
    address = f"/console/cards/settle?batch={batch}"
    refused = [console.client.get(address).text for console in (anna, bruno)]
    clara = signed_in(services, "clara")
    page = clara.client.get(address).text
    nothing = clara.client.post("/console/cards/settle", data={**hidden(page), "field": ["email", "custom.machine"]})
    before = leads(services)
    chosen = {"choice.email": "b", "b.email": "n.brandt@web.example", "own.custom.machine": "X200"}
    clara.client.post("/console/cards/settle", data={**hidden(page), **chosen, "field": ["email", "custom.machine"]})
    (lead,) = leads(services)

    assert all("No card of this batch waits for you" in text for text in refused)
    assert "m.brandt@web.example" in page
    assert "(cannot be read)" in page
    assert nothing.status_code == 303
    assert before == []
    assert (lead["email"], lead["custom"]["machine"]) == ("n.brandt@web.example", "X200")
    (card,) = rows(services, "SELECT * FROM keyed_card")
    assert (card["step"], card["differing"]) == ("done", ["email", "custom.machine"])
    (sealed,) = rows(services, "SELECT delivery_id, sealed FROM delivery_body")
    head, body = services.vault.open(sealed["delivery_id"], bytes(sealed["sealed"]))
    assert "m.brandt@web.example" in body.decode()
    assert set(head["fetched"]) == {"second", "settled"}


def test_a_card_is_keyed_again_by_one_person_only(services: Services, anna: Console, bruno: Console) -> None:
    """What comes twice, or too late, changes nothing and says so."""
    batch = a_batch(anna)
    key(anna, batch, email="a@b.example")
    page = bruno.client.get(f"/console/cards/second?batch={batch}").text
    clara = signed_in(services, "clara")
    taken = clara.client.get(f"/console/cards/second?batch={batch}").text
    first = send(bruno, "/console/cards/second", page, email="a@b.example")
    late = clara.client.post(
        "/console/cards/second", data={**hidden(page), "csrf_token": clara.token("/console/password"), "email": "x"}
    )
    shown = clara.client.get(late.location).text

    assert (first.status_code, late.status_code) == (303, 303)
    assert "No card of this batch waits for you" in taken
    assert "this card does not wait for you any more" in shown
    assert len(leads(services)) == 1
    assert len(rows(services, "SELECT * FROM keying")) == 2


def test_who_is_erased_leaves_no_card_behind(services: Services, anna: Console, bruno: Console) -> None:
    """I33: also while the card waits for its second keying; nobody is asked to key it any more."""
    batch = a_batch(anna)
    key(anna, batch, email="m.brandt@web.example", **{"custom.machine": "X20"})
    page = bruno.client.get(f"/console/cards/second?batch={batch}").text
    erasing.erase(services, person(services, "m.brandt@web.example", ""), "test", lambda _done, _all: None)
    answer = send(bruno, "/console/cards/second", page, email="m.brandt@web.example", **{"custom.machine": "X20"})
    shown = bruno.client.get(answer.location).text

    assert leads(services) == []
    assert [row["fate"] for row in rows(services, "SELECT fate FROM delivery")] == ["erased"]
    assert rows(services, "SELECT * FROM delivery_body") == []
    assert "does not wait for you any more" in shown
    assert "No card of this batch waits for you" in shown


def test_a_batch_shows_what_is_missing(services: Services, anna: Console, bruno: Console) -> None:
    """C18, and never by person: a stack of three of which two are keyed is not done."""
    batch = a_batch(anna, cards="3")
    for address in ("a@b.example", "c@d.example"):
        key(anna, batch, email=address)
    again(bruno, batch, email="z@b.example")
    text = re.sub(r"<[^>]+>|\s+", " ", anna.client.get("/console/cards").text)

    assert "2 / 3" in " ".join(text.split())
    assert "1 / 1" in " ".join(text.split())
    assert not any(name in text.replace("anna (keyer)", "") for name in ("anna", "bruno"))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"name": " "}, "A batch needs a name"),
        ({"key_code": "nope"}, "Choose the mailing"),
        ({"received_on": "2999-01-01"}, "not in the future"),
        ({"received_on": "x"}, "not in the future"),
        ({"cards": "0"}, "from 1 to 100000"),
        ({"cards": "²"}, "from 1 to 100000"),
    ],
)
def test_a_batch_that_cannot_be_is_refused_with_the_reason(anna: Console, said: dict[str, str], told: str) -> None:
    today = datetime.now(UTC).date() - timedelta(days=1)
    good = {"name": "x", "key_code": "NH26-AK", "received_on": today.isoformat()}
    answer = anna.post("/console/cards", "/console/cards", **{**good, **said})

    assert answer.status_code == 422
    assert told in answer.text


def test_a_batchs_name_is_its_own(anna: Console) -> None:
    a_batch(anna, "Tray")
    today = datetime.now(UTC).date() - timedelta(days=1)
    answer = anna.post(
        "/console/cards", "/console/cards", name="TRAY", key_code="NH26-AK", received_on=today.isoformat()
    )

    assert answer.status_code == 422
    assert "There is a batch of this name" in answer.text


@pytest.mark.parametrize("address", ["key", "second", "settle"])
def test_pages_for_keyers_are_theirs(services: Services, anna: Console, address: str) -> None:
    batch = a_batch(anna)
    mara = signed_in(services, "mara").client.get(f"/console/cards/{address}?batch={batch}")
    nobody = console_of(services).client.get(f"/console/cards/{address}?batch={batch}")

    assert mara.status_code == (200 if address == "settle" else 403)
    assert nobody.status_code == 303
    assert anna.client.get(f"/console/cards/{address}?batch={UUID(int=1)}").status_code == 404
    assert anna.client.get(f"/console/cards/{address}?batch=x").status_code == 404


def test_a_keyer_lands_on_the_cards(anna: Console) -> None:
    assert anna.client.get("/console/").location == "/console/cards"


@given(st.dictionaries(st.sampled_from(["email", "phone", "last_name"]), st.text(max_size=12)))
def test_nobody_differs_from_themselves(values: dict[str, str]) -> None:
    assert differing(values, {name: f" {text} " for name, text in values.items()}, values, "DE") == []


@pytest.mark.parametrize(
    ("first", "second", "unlike"),
    [
        ({"phone": "0441 2350177"}, {"phone": "+49 441 235-0177"}, []),
        ({"phone": "0441 2350177"}, {"phone": "0441 2350171"}, ["phone"]),
        ({"last_name": "Muller"}, {"last_name": "Müller"}, ["last_name"]),
        ({"email": "?"}, {}, ["email"]),
    ],
)
def test_two_keyings_differ_where_the_card_would(
    first: dict[str, str], second: dict[str, str], unlike: list[str]
) -> None:
    assert differing(first, second, ["email", "phone", "last_name"], "DE") == unlike


@pytest.mark.parametrize(
    ("email", "host"),
    [
        ("a@gmial.com", "gmail.com"),
        ("a@gmail.com", ""),
        ("a@web.dee", "web.de"),
        ("a@ohlsen-bau.example", ""),
        ("", ""),
    ],
)
def test_a_host_one_letter_off_is_pointed_out(email: str, host: str) -> None:
    assert likelier_host(email) == host
