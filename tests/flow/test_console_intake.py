"""The intake pages: what came in is found, read and released, and no page gives a secret away."""

import csv
import io
import re
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from console_support import Console, an_account, signed_in
from web_support import ENVIRON, FORM, OID, SECRET_KEY, TYPEFORM, WEB_TO_LEAD, fresh_database, services_on

from connector.flows import erasing, intake, searching
from connector.model.crm import Budget
from connector.model.identity import new_id
from connector.services import Services
from connector.store import calls, commands, connections

PERSON = {"vorname": "Theodora", "nachname": "Winterfeldt", "email": "t.winterfeldt@example.com", "plz": "10115"}
RECEIPT = re.compile(r"/console/intake/([0-9a-f-]{36})")


@pytest.fixture(scope="module")
def services(postgres: str, template: str) -> Iterator[Services]:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        for role in ("admin", "manager", "keyer"):
            an_account(services, f"the-{role}", role)
        yield services


@pytest.fixture(scope="module")
def manager(services: Services) -> Console:
    return signed_in(services, "the-manager")


@pytest.fixture(scope="module")
def admin(services: Services) -> Console:
    return signed_in(services, "the-admin")


def posted(console: Console, **fields: str) -> str:
    """Send a form and return its receipt."""
    answer = console.client.post(FORM, data={**PERSON, **fields}, headers={"Accept": "application/json"})
    return str(answer.json["receipt"]) if answer.json else ""


def rows(services: Services, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(services.store.url) as connection:
        return connection.execute(statement.encode()).fetchall()


def quarantined(console: Console, **fields: str) -> str:
    """Send a form whose hidden field is filled in, and let it be read."""
    receipt = posted(console, website="http://spam.example", **fields)
    intake.work(console.services)
    return receipt


def test_an_empty_list_says_what_to_do_next(postgres: str, template: str) -> None:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        an_account(services, "first", "manager")
        page = signed_in(services, "first").client.get("/console/intake")

    assert "Nothing has come in yet" in page.text
    assert "hearback check" in page.text


def test_a_delivery_is_listed_with_its_fate_its_lead_and_the_owner(services: Services, manager: Console) -> None:
    """I5: the fate of each post is found, and leads to who has it."""
    receipt = posted(manager, email="listed@example.com")
    intake.work(services)

    page = manager.client.get("/console/intake")
    (lead, owner) = rows(services, "SELECT id, owner FROM lead WHERE data ->> 'email' = 'listed@example.com'")[0]

    assert f"/console/intake/{receipt}" in page.text
    assert f"/console/leads/{lead}" in page.text
    assert services.current().settings.people[str(owner)].name in page.text
    assert "listed@example.com" not in page.text


def test_filters_stand_in_the_address(services: Services, manager: Console) -> None:
    plain, odd = posted(manager, email="plain@example.com"), quarantined(manager, email="odd@example.com")

    def shown(**query: str) -> set[str]:
        return set(RECEIPT.findall(manager.client.get("/console/intake", query_string=query).text))

    assert {plain, odd} <= shown()
    assert odd in shown(outcome="quarantined", source="website")
    assert plain not in shown(outcome="quarantined")
    assert plain in shown(outcome="leads")
    assert shown(source="nobody") == set()
    assert {plain, odd} <= shown(outcome="no such outcome", before="no id")


def test_a_page_begins_where_the_one_before_ended(services: Services, manager: Console) -> None:
    """Keyset paging over ids that are not in the order of time, as those of imported cards are."""
    with psycopg.connect(services.store.url) as connection:
        for number in range(120):
            connection.execute(
                "INSERT INTO delivery (id, kind, source, content_type, size, sha256, verified, received_at) "
                "VALUES (gen_random_uuid(), 'lead', 'paged', '', 1, '', 'none', now() - make_interval(secs => %s))",
                (number // 7,),
            )
        connection.execute("UPDATE delivery SET state = 'done', fate = 'rejected' WHERE source = 'paged'")
    seen: list[str] = []
    address: str | None = "/console/intake?source=paged"
    while address:
        page = manager.client.get(address).text
        seen += RECEIPT.findall(page)
        following = re.search(r'href="([^"]+)" rel="next"', page)
        address = following[1].replace("&amp;", "&") if following else None
    expected = rows(services, "SELECT id FROM delivery WHERE source = 'paged' ORDER BY received_at DESC, id DESC")

    assert seen == [str(row[0]) for row in expected]
    rows_of_file = list(csv.reader(io.StringIO(manager.client.get("/console/intake.csv?source=paged").text)))
    assert [row[0] for row in rows_of_file[1:]] == seen


@pytest.mark.parametrize("start", ["=1+1", "+49 30", "-2", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1"])
def test_an_exported_cell_is_no_formula(services: Services, manager: Console, start: str) -> None:
    """I22: whatever a sender wrote, a spreadsheet takes it for text."""
    receipt = new_id()
    with psycopg.connect(services.store.url) as connection:
        connection.execute(
            "INSERT INTO delivery (id, kind, source, content_type, size, sha256, verified, state, reason) "
            "VALUES (%s, 'lead', 'formula', '', 1, '', 'none', 'quarantined', %s)",
            (receipt, f"{start}|cmd"),
        )

    text = manager.client.get("/console/intake.csv?source=formula").get_data().decode("utf-8-sig")
    cells = {row[0]: row[4] for row in csv.reader(io.StringIO(text, newline=""))}

    assert cells[str(receipt)] == f"'{start}|cmd"


@pytest.mark.parametrize("asked", ["found@example.com", " FOUND@example.com ", "030 23125077", "+49 30 23125077"])
def test_a_person_is_found_and_never_stands_in_an_address(services: Services, manager: Console, asked: str) -> None:
    posted(manager, email="found@example.com", telefon="030 23125077")
    intake.work(services)
    ((lead,),) = rows(services, "SELECT id FROM lead WHERE data ->> 'email' = 'found@example.com'")

    answer = manager.post("/console/intake/search", q=asked)

    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/console/leads/{lead}"


def test_ids_are_found_and_nonsense_says_so(services: Services, manager: Console) -> None:
    receipt = posted(manager, email="ids@example.com")
    intake.work(services)
    ((lead,),) = rows(services, "SELECT id FROM lead WHERE data ->> 'email' = 'ids@example.com'")

    assert manager.post("/console/intake/search", q=receipt).headers["Location"] == f"/console/intake/{receipt}"
    assert manager.post("/console/intake/search", q=str(lead)).headers["Location"] == f"/console/leads/{lead}"
    assert manager.post("/console/intake/search", q="whatever").headers["Location"] == "/console/intake"
    assert "Nothing found" in manager.client.get("/console/intake").text


def test_a_delivery_shows_every_fact_and_no_value(services: Services, manager: Console) -> None:
    """I5: what is known of a receipt, its body masked."""
    receipt = quarantined(manager, email="hidden@example.com", nachricht="Rufen Sie 0171 5554433 an")

    page = manager.client.get(f"/console/intake/{receipt}").text

    assert "the hidden field that people cannot see was filled in" in page
    assert "website" in page
    assert "application/x-www-form-urlencoded" in page
    assert "xxxxxx@xxxxxxx.xxx" in page
    assert re.search(r"SHA-256</dt><dd>[0-9a-f]{64}", page)
    assert "content:" in page
    for value in ("hidden@example.com", "Theodora", "Winterfeldt", "5554433", "10115", "spam.example"):
        assert value not in page


def test_only_an_admin_sees_personal_data_and_that_is_remembered(
    services: Services, manager: Console, admin: Console
) -> None:
    receipt = quarantined(manager, email="asked@example.com")

    refused = manager.post(f"/console/intake/{receipt}/reveal")
    shown = admin.post(f"/console/intake/{receipt}/reveal")
    events = rows(services, f"SELECT action, subject FROM console_event WHERE subject = '{receipt}'")

    assert refused.status_code == 403
    assert "asked@example.com" not in refused.text
    assert "asked@example.com" in shown.text
    assert shown.headers["Cache-Control"] == "no-store"
    assert events == [("revealed", receipt)]
    assert "looked at the personal data" in manager.client.get(f"/console/intake/{receipt}").text


def test_the_key_against_duplicates_is_told_in_full_to_an_admin_who_asks(manager: Console, admin: Console) -> None:
    """I5: by it two receipts can be compared; it may be made of what a person wrote, so it is masked at first."""
    receipt = quarantined(manager, email="keyed@example.com", _nonce="press-4711")
    told = re.compile(r"<dt>Key against duplicates</dt><dd>([^<]*)</dd>")

    masked = told.findall(manager.client.get(f"/console/intake/{receipt}").text)
    revealed = told.findall(admin.post(f"/console/intake/{receipt}/reveal").text)

    assert masked == ["xxxxx-9999"]
    assert revealed == ["press-4711"]


SENT = {
    "a key in the body": (
        {"google_key": "gk-5531-secret", "user_column_data": [{"column_id": "EMAIL", "string_value": "x@example.com"}]},
        ("gk-5531-secret",),
    ),
    "the same, spelled as a sender does": ({"Google_key": "gk-5531-secret", "email": "x@example.com"}, ("gk-5531",)),
    "a handshake key": ({"HandshakeKey": "shake-99", "email": "x@example.com"}, ("shake-99",)),
    "a document in a value": ({"rawRequest": '{"q1_email": "x@example.com", "api_key": "inner-77"}'}, ("inner-77",)),
    "our own address in a value": (
        {"email": "x@example.com", "webhookURL": f"https://h.example{FORM}"},
        (ENVIRON["HEARBACK_FORM_TOKEN"],),
    ),
    "a secret of another source": (
        {"email": "x@example.com", "note": f"it is {ENVIRON['HEARBACK_TYPEFORM_SECRET']}"},
        (ENVIRON["HEARBACK_TYPEFORM_SECRET"],),
    ),
}


@pytest.mark.parametrize(("body", "secrets"), SENT.values(), ids=SENT.keys())
def test_no_page_shows_a_secret_even_to_an_admin(
    services: Services, admin: Console, body: dict[str, object], secrets: tuple[str, ...]
) -> None:
    """P10: masked or revealed, a secret stays hidden."""
    answer = admin.client.post(FORM, json=body, headers={"Accept": "application/json"})
    receipt = answer.get_data(as_text=True).split('"')[3] if answer.is_json else answer.text.split()[1]
    intake.work(services)

    masked = admin.client.get(f"/console/intake/{receipt}").text
    revealed = admin.post(f"/console/intake/{receipt}/reveal").text

    for secret in (*secrets, SECRET_KEY):
        assert secret not in masked
        assert secret not in revealed
    assert "x@example.com" in revealed
    assert "x@example.com" not in masked


def test_what_an_erasure_left_of_a_delivery_says_so(services: Services, manager: Console) -> None:
    """I33: the page shows the others, masked, and why the body is not as it came."""
    people = [{"email": f"{name}@example.com", "website": "spam"} for name in ("somebody", "the-other")]
    answer = manager.client.post(FORM, json=people, headers={"Accept": "application/json"})
    receipt = str(answer.get_json()["receipt"])
    intake.work(services)
    before = manager.client.get(f"/console/intake/{receipt}").text
    gone = searching.person(services, "somebody@example.com", "")

    erasing.erase(services, gone, "the test", lambda _done, _all: None)
    after = manager.client.get(f"/console/intake/{receipt}").text

    assert "was erased" not in before
    assert "Somebody this delivery spoke of was erased" in after
    assert "the-other" not in after
    assert "xxx-xxxxx@xxxxxxx.xxx" in after


def test_a_body_nobody_can_read_is_masked_too(services: Services, admin: Console) -> None:
    """I7: also what is no JSON at all."""
    body = b'{"email": "broken@example.com", "api_key": "bk-1234", "token=tk-9'
    answer = admin.client.post(TYPEFORM, data=body, content_type="application/json")
    ((receipt,),) = rows(
        services, "SELECT id FROM delivery WHERE source = 'typeform' ORDER BY received_at DESC LIMIT 1"
    )

    masked = admin.client.get(f"/console/intake/{receipt}").text
    revealed = admin.post(f"/console/intake/{receipt}/reveal").text

    assert answer.status_code == 401
    assert "broken@example.com" not in masked
    assert "broken@example.com" in revealed
    for secret in ("bk-1234", "tk-9"):
        assert secret not in masked + revealed
    assert "It could not be verified" in masked


def test_a_released_delivery_becomes_a_lead_once(services: Services, manager: Console) -> None:
    """I26: released with one click; a second click does nothing."""
    receipt = quarantined(manager, email="released@example.com")
    before = manager.client.get(f"/console/intake/{receipt}").text

    manager.post(f"/console/intake/{receipt}/release")
    intake.work(services)
    again = manager.post(f"/console/intake/{receipt}/release")
    after = manager.client.get(f"/console/intake/{receipt}").text

    assert "Leads in it: 1" in before
    assert again.status_code == 303
    assert "Nothing changed" in after
    assert "released by a person" in after
    assert "the-manager, released it" in after
    ((lead,),) = rows(services, "SELECT id FROM lead WHERE data ->> 'email' = 'released@example.com'")
    assert f"/console/leads/{lead}" in after
    assert len(rows(services, f"SELECT 1 FROM console_event WHERE subject = '{receipt}'")) == 1


def test_a_filtered_quarantine_is_released_as_counted(services: Services, manager: Console) -> None:
    """I26: what came after the count stays in quarantine, and so does what was filtered out."""
    counted = [quarantined(manager, email=f"bulk{number}@example.com") for number in range(3)]
    other = manager.client.post(WEB_TO_LEAD, data={"oid": "00DXX0000000999", "email": "w@example.com"})
    page = manager.client.get("/console/intake/release?source=website").text
    until = re.search(r'name="until" value="([^"]+)"', page)
    late = quarantined(manager, email="late@example.com")
    assert until is not None
    assert other.status_code in (200, 303)

    for _ in range(2):
        manager.post("/console/intake/release", source="website", reason="", until=until[1])
    intake.work(services)
    states = dict(rows(services, "SELECT id::text, coalesce(fate, state) FROM delivery"))

    assert [states[receipt] for receipt in counted] == ["leads"] * 3
    assert states[late] == "quarantined"
    assert rows(
        services, f"SELECT 1 FROM delivery WHERE source LIKE 'oid:%' AND source <> '{OID}' AND state = 'quarantined'"
    )
    assert all(rows(services, f"SELECT 1 FROM console_event WHERE subject = '{receipt}'") for receipt in counted)


def test_a_release_of_what_is_not_authentic_says_how_many(services: Services, manager: Console) -> None:
    """I14: whoever releases a forgery does so knowingly."""
    manager.client.post(TYPEFORM, data=b"{}", content_type="application/json")
    ((forged,),) = rows(services, "SELECT count(*) FROM delivery WHERE state = 'quarantined' AND verified LIKE 'no:%'")

    page = manager.client.get("/console/intake/release?source=typeform").text

    assert f"Not verified to come from their sender: {forged}." in page
    assert "Not verified" not in manager.client.get("/console/intake/release?source=website").text


@pytest.mark.parametrize("until", ["", "yesterday", "2026-01-01T00:00:00"])
def test_a_release_without_its_count_is_refused(manager: Console, until: str) -> None:
    assert manager.post("/console/intake/release", source="", reason="", until=until).status_code == 400


def test_a_lead_says_who_owns_it_and_why(services: Services, manager: Console) -> None:
    receipt = posted(manager, email="why@example.com")
    intake.work(services)
    ((lead, owner),) = rows(services, "SELECT id, owner FROM lead WHERE data ->> 'email' = 'why@example.com'")

    page = manager.client.get(f"/console/leads/{lead}").text

    assert services.current().settings.people[str(owner)].name in page
    assert "Theodora Winterfeldt" in page
    assert f"/console/intake/{receipt}" in page
    assert "territory" in page.lower()


def test_what_is_unknown_is_a_page_that_says_so(manager: Console) -> None:
    unknown = UUID(int=7)

    for address in (f"/console/intake/{unknown}", f"/console/leads/{unknown}"):
        answer = manager.client.get(address)
        assert answer.status_code == 404
        assert "There is nothing here" in answer.text


def test_the_overview_counts_what_needs_a_person(services: Services, manager: Console) -> None:
    quarantined(manager, email="overview@example.com")
    ((count,),) = rows(services, "SELECT count(*) FROM delivery WHERE state = 'quarantined'")

    page = manager.client.get("/console/").text

    assert "Something needs a person now" in page
    assert f">{count}</span>" in page


def test_the_overview_has_a_row_for_each_connection(services: Services, manager: Console) -> None:
    """Issue 5, item 9: mode, pause, backlog, calls and budget, without looking into a terminal."""
    with services.store.transaction() as tx:
        commands.pause(tx, "sandbox", until=None, reason="paused by ada: moving")
        connections.note_budget(tx, "sandbox", Budget(4500, 5000, "24 hours"))
        calls.add(tx, {("sandbox", "poll"): 1234})
    try:
        page = manager.client.get("/console/").text
    finally:
        with services.store.transaction() as tx:
            commands.resume(tx, "sandbox")

    for text in ("sandbox (sandbox)", "paused", "paused by ada: moving", "4,500 / 5,000", ">1,234<"):
        assert text in page
    assert "is written to" in manager.client.get("/console/").text
