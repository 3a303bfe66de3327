"""`/r/<token>`: the page a response card points to, and the one lead that card and page become."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from web_support import BROWSER, Web, fresh_database, services_on, web_of

from connector.flows import intake, mailing
from connector.flows.card_page import masked_email, masked_phone
from connector.flows.importing import import_cards
from connector.services import Services
from connector.store import deliveries
from webhooks.limits import CARD_PAGES
from webhooks.texts import TEXTS

DE = "cordless-autumn-de"
GRETA = {
    "first_name": "Greta",
    "last_name": "Ohlsen",
    "company": "Ohlsen Bau",
    "street": "Hafenstraße 3",
    "postal_code": "26122",
    "city": "Oldenburg",
    "country": "DE",
    "email": "g.ohlsen@ohlsen-bau.example",
    "phone": "+49 441 2350123",
    "language": "de",
}


@pytest.fixture(scope="module")
def services(postgres: str, template: str) -> Iterator[Services]:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        yield services


@pytest.fixture
def web(services: Services) -> Web:
    return web_of(services)


_references = iter(f"R{number}" for number in range(10_000))


def a_card(services: Services, folder: Path, campaign: str = DE, **changed: str) -> str:
    """Load one recipient and return the token of their card."""
    reference = next(_references)
    fields = {"reference": reference, **GRETA, **changed}
    file = folder / "list.csv"
    file.write_text(";".join(fields) + "\n" + ";".join(fields.values()) + "\n", encoding="utf-8")
    loaded = mailing.load_recipients(services, campaign, file)
    assert loaded.added == 1, loaded.complaints
    return token_of(services, campaign, reference)


def an_anonymous_card(services: Services) -> str:
    mailing.add_anonymous(services, DE, 1)
    return token_of(services, DE, "serial-0000001")


def token_of(services: Services, campaign: str, reference: str) -> str:
    with services.store.transaction() as tx:
        return str(
            tx.all("SELECT token FROM recipient WHERE campaign = %s AND reference = %s", campaign, reference)[0][0]
        )


def a_batch(folder: Path, *rows: str, name: str) -> Path:
    file = folder / name
    file.write_text("\n".join(("Nr,Code,Token,Eingang,Nachname,E-Mail,Telefon", *rows, "")), encoding="utf-8")
    return file


def page_fields(html: str) -> dict[str, str]:
    """Return what a browser would post without touching anything."""
    inputs = re.findall(r"<input [^>]*>", html)
    named = [(re.search(r'name="([^"]*)"', each), re.search(r'value="([^"]*)"', each), each) for each in inputs]
    return {name[1]: value[1] if value else "" for name, value, each in named if name and 'type="checkbox"' not in each}


def answer(web: Web, token: str, **said: str):
    shown = page_fields(web.client.get(f"/r/{token}").text)
    # A person takes a moment (I25).
    shown["_ts"] = str(int(shown["_ts"]) - 60)
    return web.client.post(f"/r/{token}", data={**shown, **said}, headers=BROWSER)


def work(web: Web) -> None:
    while intake.work(web.services):
        pass


def leads(web: Web) -> list[dict[str, object]]:
    return [row["data"] for row in web.rows("SELECT data FROM lead ORDER BY id")]


def answers_of(web: Web, token: str) -> list[str]:
    rows = web.rows(
        "SELECT channel FROM card_answer a JOIN recipient r ON r.id = a.recipient_id "
        f"WHERE r.token = '{token}' ORDER BY answered_at"
    )
    return [row["channel"] for row in rows]


# What the page shows.


def test_the_page_is_filled_in_with_what_stands_on_the_card_and_no_more(web: Web, tmp_path: Path) -> None:
    """C10; whoever finds a card or guesses a token learns nothing new."""
    page = web.client.get(f"/r/{a_card(web.services, tmp_path)}")

    assert page.status_code == 200
    assert page_fields(page.text) | {"_ts": "", "_nonce": ""} == {
        "language": "de",
        "_ts": "",
        "_nonce": "",
        "website": "",
        "first_name": "Greta",
        "last_name": "Ohlsen",
        "company": "Ohlsen Bau",
        **dict.fromkeys(("email", "phone", "street", "postal_code", "city"), ""),
    }
    assert "g…@….example" in page.text
    assert "…23" in page.text
    assert not any(secret in page.text for secret in ("g.ohlsen", "2350123", "Hafen", "26122"))


def test_boxes_are_not_ticked_beforehand(web: Web, tmp_path: Path) -> None:
    """I31."""
    boxes = re.findall(r'<input type="checkbox"[^>]*>', web.client.get(f"/r/{a_card(web.services, tmp_path)}").text)

    assert len(boxes) == 2
    assert not any("checked" in box for box in boxes)


def test_the_code_in_capitals_or_small_letters_or_with_gaps_leads_to_the_page(web: Web, tmp_path: Path) -> None:
    """C3: a QR code says it in capitals; a person types it as they like."""
    token = a_card(web.services, tmp_path)
    addresses = (f"/R/{token}", f"/r/{token.lower()}", f"/r/{token[:5]}-{token[5:]}")

    assert [web.client.get(each).status_code for each in addresses] == [200, 200, 200]


@pytest.mark.parametrize(
    ("query", "accept", "shown"),
    [("", "pl", "de"), ("?lang=pl", "en", "pl"), ("?lang=xx", "en", "de")],
    ids=["the recipient's", "the one chosen", "no such language"],
)
def test_the_page_speaks_the_recipients_language_unless_another_is_chosen(
    web: Web, tmp_path: Path, query: str, accept: str, shown: str
) -> None:
    page = web.client.get(f"/r/{a_card(web.services, tmp_path)}{query}", headers={"Accept-Language": accept})

    assert f'<html lang="{shown}">' in page.text
    assert TEXTS[shown]["card_title"].format(company="Nordhammer Tools") in page.text
    assert page.text.count("hreflang") == 3


def test_without_a_language_of_the_recipients_the_browser_decides(web: Web, tmp_path: Path) -> None:
    page = web.client.get(
        f"/r/{a_card(web.services, tmp_path, language='')}", headers={"Accept-Language": "pl, en;q=0.5"}
    )

    assert '<html lang="pl">' in page.text


@pytest.mark.parametrize("typed", ["7K3MPX9QRWG", "7K3MPX9QRWF", "0000", "<b>x", "%00", "x" * 5000])
def test_a_code_nobody_knows_leads_to_a_field_to_type_it_again(web: Web, typed: str) -> None:
    shown, sent = web.client.get(f"/r/{typed}"), web.client.post(f"/r/{typed}", data={"last_name": "x"})

    assert (shown.status_code, sent.status_code) == (404, 404)
    assert TEXTS["en"]["card_unknown_title"] in shown.text
    assert re.search(r'<input id="token" name="token"', shown.text)
    assert "<b>" not in shown.text
    assert web.count() == 0


def test_who_cannot_scan_types_the_code(web: Web, tmp_path: Path) -> None:
    token = a_card(web.services, tmp_path)

    start, found = (
        web.client.get("/r/"),
        web.client.get("/r/", query_string={"token": f" {token.lower()} ", "lang": "pl"}),
    )
    lost = web.client.get("/R/", query_string={"token": "7K3MPX9QRWG"})

    assert start.status_code == 200
    assert (found.status_code, found.headers["Location"]) == (303, f"/r/{token}?lang=pl")
    assert lost.status_code == 404
    assert 'value="7K3MPX9QRWG"' in lost.text


def test_pages_are_strict_private_and_without_cookies(web: Web, tmp_path: Path) -> None:
    page = web.client.get(f"/r/{a_card(web.services, tmp_path)}")

    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert (page.headers["X-Robots-Tag"], page.headers["Referrer-Policy"]) == ("noindex", "no-referrer")
    assert page.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in page.headers
    assert not re.search(r"<script|style=|\son\w+=", page.text)


def test_one_network_cannot_try_codes_for_long(web: Web) -> None:
    """C2: 31^10 codes, and a few looks a minute."""
    looks = [
        web.client.get("/r/7K3MPX9QRWF", environ_overrides={"REMOTE_ADDR": "203.0.113.9"}).status_code
        for _ in range(CARD_PAGES.burst + 1)
    ]
    elsewhere = web.client.get("/r/7K3MPX9QRWF", environ_overrides={"REMOTE_ADDR": "198.51.100.9"})

    assert looks == [404] * CARD_PAGES.burst + [429]
    assert elsewhere.status_code == 404


# What an answer becomes.


def test_looking_records_nothing(web: Web, tmp_path: Path) -> None:
    """Mail scanners open links."""
    token = a_card(web.services, tmp_path)
    web.client.get(f"/r/{token}")
    web.client.head(f"/r/{token}")

    assert web.count() == 0
    assert answers_of(web, token) == []


def test_an_answer_is_stored_before_it_is_thanked_for_and_becomes_a_lead_with_the_mailed_data(
    web: Web, tmp_path: Path
) -> None:
    """P1, C10, C14."""
    token = a_card(web.services, tmp_path)

    sent = answer(web, token, message="Bitte anrufen", company="Ohlsen & Töchter", phone="0441 2350199")

    assert (sent.status_code, sent.headers["Location"]) == (303, "/thanks?lang=de")
    assert web.count() == 1
    work(web)
    (lead,) = leads(web)
    assert lead["company"] == "Ohlsen & Töchter"
    assert lead["phone"] == "+494412350199"
    assert (lead["email"], lead["street"], lead["postal_code"]) == (GRETA["email"], GRETA["street"], "26122")
    assert (lead["campaign"], lead["attribution"]["key_code"], lead["language"]) == (DE, "NH26-AK", "de")
    assert lead["message"] == "Bitte anrufen"
    assert "consents" not in lead
    assert answers_of(web, token) == ["page"]


def test_a_ticked_box_is_kept_with_the_text_beside_it_in_its_language(web: Web, tmp_path: Path) -> None:
    """I31: told what, word by word."""
    token = a_card(web.services, tmp_path)
    answer(web, token, consent_phone="on", language="pl")
    work(web)

    (lead,) = leads(web)

    text = TEXTS["pl"]["card_consent_phone"].format(company="Nordhammer Tools")
    assert lead["consents"] == [{"purpose": "phone", "given": True, "text": text}]


def test_neither_address_nor_query_nor_plain_text_holds_personal_data(web: Web, tmp_path: Path) -> None:
    """P10: the raw form is sealed as it came (I4)."""
    token = a_card(web.services, tmp_path)
    sent = answer(web, token, message="Hallo")

    (row,) = web.rows("SELECT d.*, b.sealed FROM delivery d JOIN delivery_body b ON b.delivery_id = d.id")
    head, body = web.services.vault.open(row["id"], bytes(row["sealed"]))
    assert b"message=Hallo" in body
    assert head["query"]["token"] == token
    assert "Ohlsen" not in sent.headers["Location"] + repr({**row, "sealed": ""})
    assert b"Ohlsen" not in bytes(row["sealed"])


def test_pressing_twice_is_one_answer_and_coming_back_a_second_response(web: Web, tmp_path: Path) -> None:
    """I10, C7: linked, never overwriting."""
    token = a_card(web.services, tmp_path)
    shown = page_fields(web.client.get(f"/r/{token}").text)
    shown |= {"_ts": str(int(shown["_ts"]) - 60), "message": "first"}
    for _ in range(2):
        web.client.post(f"/r/{token}", data=shown)
    work(web)
    answer(web, token, message="second", email="other@example.com")
    work(web)

    (lead,) = leads(web)
    assert (lead["message"], lead["email"]) == ("first", GRETA["email"])
    assert [row["fate"] for row in web.rows()] == ["leads", "duplicate", "leads"]
    assert [row["relation"] for row in web.rows("SELECT relation FROM submission ORDER BY delivery_id")] == [
        "created",
        "attached",
    ]
    assert answers_of(web, token) == ["page", "page"]


@pytest.mark.parametrize(
    ("said", "fault"),
    [({"email": "greta"}, "card_fault_email"), ({}, "card_fault_reach")],
    ids=["half an address", "none"],
)
def test_what_cannot_be_answered_is_asked_for_again_with_all_that_was_typed(
    web: Web, said: dict[str, str], fault: str
) -> None:
    token = an_anonymous_card(web.services)

    page = answer(web, token, last_name="Nowak", message="<i>mine</i>", consent_email="on", **said)

    assert page.status_code == 422
    assert TEXTS["en"][fault] in page.text
    assert 'aria-invalid="true"' in page.text
    assert 'value="Nowak"' in page.text
    assert "&lt;i&gt;mine" in page.text
    assert page.text.count(" checked") == 1
    assert web.count() == 0


def test_an_anonymous_card_becomes_a_lead_with_what_was_typed(web: Web) -> None:
    token = an_anonymous_card(web.services)

    answer(web, token, last_name="Nowak", email="ewa@nowak.example")
    work(web)

    (lead,) = leads(web)
    assert (lead["last_name"], lead["campaign"]) == ("Nowak", DE)
    assert answers_of(web, token) == ["page"]


def test_the_hidden_field_sets_an_answer_aside(web: Web, tmp_path: Path) -> None:
    """I25, I26: a bot gets the same answer as people."""
    sent = answer(web, a_card(web.services, tmp_path), website="http://spam.example")
    work(web)

    assert sent.status_code == 303
    assert web.rows()[0]["state"] == "quarantined"


def test_an_answer_nobody_can_read_or_in_another_media_type_is_refused(web: Web, tmp_path: Path) -> None:
    token = a_card(web.services, tmp_path)

    other = web.client.post(f"/r/{token}", json={"last_name": "x"})
    broken = web.client.post(f"/r/{token}", data=b"last_name=%ff", content_type="application/x-www-form-urlencoded")

    assert (other.status_code, broken.status_code) == (415, 400)
    assert web.count() == 0


# A card and its page.


PROFILE = """
  scan-house:
    encoding: utf-8
    columns:
      Nr: record
      Code: key_code
      Token: token
      Eingang: answered_on
      Nachname: last_name
      E-Mail: email
      Telefon: phone
"""


@pytest.fixture
def house(postgres: str, template: str, tmp_path: Path) -> Iterator[Web]:
    """An application whose cards come from a house that reads tokens."""
    from desk import Desk  # noqa: PLC0415 (only here)

    with fresh_database(postgres, template) as url:
        desk = Desk(url, tmp_path)
        desk.edit("hearback.yaml", "card_profiles:\n", f"card_profiles:{PROFILE}")
        desk.publish()
        yield web_of(desk.services)
        desk.close()


@pytest.mark.parametrize("card_first", [True, False], ids=["card first", "page first"])
def test_a_card_and_its_page_become_one_lead_though_they_name_no_key_in_common(
    house: Web, tmp_path: Path, *, card_first: bool
) -> None:
    """C16: also where e-mail and phone differ, in any order."""
    token = a_card(house.services, tmp_path, email="", phone="")
    file = a_batch(tmp_path, f"1,,{token.lower()},2026-11-02,Ohlsen,,0441 2350123", name="b1.csv")
    steps = [
        lambda: import_cards(house.services, file, profile="scan-house"),
        lambda: answer(house, token, email="greta@elsewhere.example"),
    ]
    for step in steps if card_first else reversed(steps):
        step()
        work(house)

    (lead,) = leads(house)
    assert (lead["email"], lead["phone"]) == ("greta@elsewhere.example", "+494412350123")
    assert sorted(answers_of(house, token)) == ["card", "page"]


def test_both_worked_in_one_batch_are_still_one_lead(house: Web, tmp_path: Path) -> None:
    token = a_card(house.services, tmp_path, email="", phone="")
    file = a_batch(tmp_path, f"1,NH26-AK,{token},,,,0441 2350123", name="b1.csv")
    import_cards(house.services, file, profile="scan-house")
    answer(house, token, email="greta@elsewhere.example")

    work(house)

    assert len(leads(house)) == 1


def test_a_card_with_nothing_but_its_token_is_whole(house: Web, tmp_path: Path) -> None:
    """C10: only changes are keyed. The day on the card is when they answered."""
    token = a_card(house.services, tmp_path)
    import_cards(house.services, a_batch(tmp_path, f"1,,{token},2026-11-02,,,", name="b1.csv"), profile="scan-house")
    work(house)

    (lead,) = leads(house)
    (row,) = house.rows("SELECT * FROM card_answer")
    assert (lead["last_name"], lead["email"], lead["campaign"]) == ("Ohlsen", GRETA["email"], DE)
    assert row["answered_at"] == datetime(2026, 11, 2, tzinfo=UTC)


def test_white_mail_counts_for_its_campaign(house: Web, tmp_path: Path) -> None:
    """C7: no readable code, a key code only."""
    import_cards(
        house.services,
        a_batch(tmp_path, "1,NH26-AK,,2026-11-02,Nowak,e@n.example,", name="b1.csv"),
        profile="scan-house",
    )
    work(house)

    (row,) = house.rows("SELECT campaign, recipient_id, channel FROM card_answer")
    assert row == {"campaign": DE, "recipient_id": None, "channel": "card"}


@pytest.mark.parametrize(
    ("code", "token", "reason"),
    [
        ("NH26-AK", "7K3MPX9QRWG", "cannot be right: a character is mistyped"),
        ("NH26-AK", "7K3MPX9QRWF", "belongs to no recipient"),
        ("NH26-CF", "", "belong to different campaigns"),
    ],
    ids=["mistyped", "unknown", "another campaign's"],
)
def test_a_code_that_cannot_be_right_waits_for_a_person_and_is_no_loss(
    house: Web, tmp_path: Path, code: str, token: str, reason: str
) -> None:
    """C6, C7: never guessed; released, the card counts as what can be told of it."""
    token = token or a_card(house.services, tmp_path)
    file = a_batch(tmp_path, f"1,{code},{token},2026-11-02,Nowak,e@n.example,", name="b1.csv")
    import_cards(house.services, file, profile="scan-house")
    work(house)

    (row,) = house.rows()
    assert row["state"] == "quarantined"
    assert reason in row["reason"]
    assert token not in row["reason"]
    with house.services.store.transaction() as tx:
        deliveries.replay(tx, row["id"])
    work(house)
    assert [lead["campaign"] for lead in leads(house)] == [DE]


def test_a_list_loaded_late_lets_its_cards_through(house: Web, tmp_path: Path) -> None:
    file = a_batch(tmp_path, "1,,7K3MPX9QRWF,2026-11-02,,,", name="b1.csv")
    import_cards(house.services, file, profile="scan-house")
    work(house)
    a_card(house.services, tmp_path)
    with house.services.store.transaction() as tx:
        tx.run("UPDATE recipient SET token = '7K3MPX9QRWF'")
        deliveries.replay(tx, house.rows()[0]["id"])
    work(house)

    assert [lead["last_name"] for lead in leads(house)] == ["Ohlsen"]


@pytest.mark.parametrize(
    ("address", "shown"), [("g.ohlsen@a.b.example", "g…@….example"), ("", ""), ("x", ""), ("@x.y", "")]
)
def test_an_address_is_recognised_by_its_owner_alone(address: str, shown: str) -> None:
    assert masked_email(address) == shown


@pytest.mark.parametrize(("number", "shown"), [("+49 441 23", "…23"), ("", ""), ("-", "")])
def test_a_number_is_recognised_by_its_owner_alone(number: str, shown: str) -> None:
    assert masked_phone(number) == shown
