"""`hearback crm`: check, install, uninstall, sync, status, pause and resume (issue 5, items 4, 5 and 8)."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import account_crm
import pytest
from account_crm import AccountCrm, slow_down
from cli_support import Desk, desk_on, refused, without

from connector.adapters import metering, registry
from connector.errors import AuthenticationError, ConnectorError, Unavailable
from connector.flows import catching_up, deliver, intake, rest
from connector.flows.accept import accept
from connector.model.crm import Budget, CrmEvent, EventType, ObjectType, Record, RecordRef
from connector.model.delivery import Delivery
from connector.model.identity import new_id
from connector.settings.values import Settings

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Desk:
    return desk_on(database_url, tmp_path)


@pytest.fixture
def crm(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[AccountCrm]:
    """An account that is as the sample organisation wants it, but for the parts."""
    monkeypatch.setattr(registry, "ADAPTERS", {"sandbox": account_crm.PATH})
    made = AccountCrm()
    monkeypatch.setitem(account_crm.ACCOUNTS, "sandbox", made)
    with desk.services() as services:
        settings = services.current().settings
    fill(made, settings)
    metering.take()
    yield made
    metering.take()


def fill(crm: AccountCrm, settings: Settings) -> None:
    crm.users = {p.users["sandbox"]: (p.email, True) for p in settings.people.values() if "sandbox" in p.users}
    crm.campaigns = {c.crm_ids["sandbox"] for c in settings.campaigns.values() if "sandbox" in c.crm_ids}


def calls_of(desk: Desk) -> dict[str, int]:
    return dict(desk.query("SELECT purpose, calls FROM crm_call WHERE connection = 'sandbox'"))  # type: ignore[arg-type]  # pairs


# check


def test_check_is_content_with_an_account_that_has_everything(desk: Desk, crm: AccountCrm) -> None:
    crm.there = ["key", "reason", "page"]

    result = desk.run("crm", "check", "sandbox")

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == ["sandbox: account Nordhammer, API 66.0", "sandbox: nothing is missing."]


def test_check_names_everything_at_once_and_who_must_do_what(desk: Desk, crm: AccountCrm) -> None:
    """A27: permissions, parts, users and campaigns in one look."""
    crm.problems = ["the integration user may not read deals: grant it, as an admin"]
    crm.there = ["key"]
    email, _ = crm.users.pop("U-1009")
    crm.users["U-9999"] = (email, True)
    crm.users["U-1010"] = (crm.users["U-1010"][0], False)
    crm.campaigns.discard("CMP-2601")

    result = desk.run("crm", "check")

    assert result.exit_code == 1
    lines = result.stdout.splitlines()[1:]
    for words in (
        ("account: the integration user may not read deals: grant it",),
        ("account: reason, a field of leads: reason, is missing: run `hearback crm install sandbox`",),
        ("account: page,", "is missing: drop them onto the page, as an admin"),
        ("people.csv: agnieszka.wilk has the user U-1009", "under U-9999: write that"),
        ("people.csv: michal.gorski has the user U-1010", "not active", "activate"),
        ("hearback.yaml: campaign", "which this CRM does not have", "crm_ids"),
    ):
        assert any(all(word in line for word in words) for line in lines), (words, lines)


def test_many_problems_with_one_remedy_are_a_list_below_it(desk: Desk, crm: AccountCrm) -> None:
    crm.there = ["key", "reason", "page"]
    for user in ("U-1001", "U-1002", "U-1003"):
        crm.users.pop(user)

    lines = desk.run("crm", "check", "sandbox").stdout.splitlines()[1:]

    assert lines == [
        "sandbox: people.csv: correct the id, or have the CRM's administrator add the user:",
        "sandbox:     anna.brandt has the user U-1001, which this CRM does not have",
        "sandbox:     jens.petersen has the user U-1002, which this CRM does not have",
        "sandbox:     marek.nowicki has the user U-1003, which this CRM does not have",
    ]


def test_a_question_mark_for_a_user_is_answered_by_e_mail(desk: Desk, crm: AccountCrm) -> None:
    """The first hour: who is who there need not be looked up by hand."""
    crm.there = ["key", "reason", "page"]
    desk.edit("people.csv", "U-1001", "?")

    (line,) = desk.run("crm", "check", "sandbox").stdout.splitlines()[1:]

    assert line.startswith("sandbox: people.csv: anna.brandt has the user ?, which this CRM does not have")
    assert line.endswith("the CRM has their e-mail under U-1001: write that")


def test_check_answers_in_json_too(desk: Desk, crm: AccountCrm) -> None:
    result = desk.run("crm", "check", "sandbox", "--json")

    assert result.exit_code == 1
    (found,) = json.loads(result.stdout)
    assert (found["connection"], found["account"], found["api_version"]) == ("sandbox", "Nordhammer", "66.0")
    assert [each["do"] for each in found["problems"]] == [
        "run `hearback crm install sandbox`",
        "run `hearback crm install sandbox`",
        "drop them onto the page, as an admin",
    ]


def test_check_without_a_secret_says_which_and_asks_nobody(desk: Desk, crm: AccountCrm) -> None:
    result = desk.run("crm", "check", **without({}, "HEARBACK_SANDBOX_TOKEN", "HEARBACK_SANDBOX_WEBHOOK_SECRET"))

    assert result.exit_code == 1
    assert "sandbox: hearback.yaml: secret token: HEARBACK_SANDBOX_TOKEN is not set: set it, or" in result.stdout
    assert "HEARBACK_SANDBOX_WEBHOOK_SECRET is not set" in result.stdout
    assert metering.take() == {}


@pytest.mark.parametrize("error", [AuthenticationError("the token is refused"), Unavailable("no connection")])
def test_check_of_an_account_nobody_reaches_says_that_alone(desk: Desk, crm: AccountCrm, error: ConnectorError) -> None:
    crm.trouble = [error]

    result = desk.run("crm", "check")

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [f"sandbox: connection: {error}"]


def test_a_look_that_fails_does_not_hide_what_the_others_see(desk: Desk, crm: AccountCrm) -> None:
    crm.trouble = [None, Unavailable("the fields cannot be listed")]
    crm.users.pop("U-1009")

    result = desk.run("crm", "check")

    assert "account: the fields cannot be listed" in result.stdout
    assert "agnieszka.wilk" in result.stdout


def test_the_calls_of_a_check_are_counted(desk: Desk, crm: AccountCrm) -> None:
    desk.run("crm", "check")

    assert calls_of(desk) == {"check": 3, "owners": 1}


def test_an_unknown_connection_is_named_with_those_there_are(desk: Desk, crm: AccountCrm) -> None:
    for command in ("check", "install", "uninstall", "sync", "status", "pause", "resume"):
        refused(desk.run("crm", command, "sandbx"), "'sandbx'", "hearback.yaml has sandbox")


# install and uninstall


def test_install_says_what_it_will_do_and_does_it_once(desk: Desk, crm: AccountCrm) -> None:
    """A29"""
    dry = desk.run("crm", "install", "sandbox", "--dry-run")
    assert crm.there == []
    assert dry.stdout.splitlines() == [
        "Will make in sandbox:",
        "  key, a field of leads: key, is missing",
        "  reason, a field of leads: reason, is missing",
        "To do by hand in the CRM:",
        "  page, our fields on the lead's page: drop them onto the page, as an admin",
    ]

    done = desk.run("crm", "install", "sandbox")
    again = desk.run("crm", "install", "sandbox")

    assert done.exit_code == again.exit_code == 0
    assert "made     key" in done.stdout
    assert crm.there == ["key", "reason"]
    assert again.stdout.splitlines()[0] == "Nothing to make in sandbox; 2 parts are there already."
    assert calls_of(desk) == {"install": 5}


def test_a_part_that_cannot_be_made_is_told_with_who_must_do_what_and_holds_up_no_other(
    desk: Desk, crm: AccountCrm
) -> None:
    crm.forbidden = {"key"}

    result = desk.run("crm", "install", "sandbox", "--json")

    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["done"] == ["reason"]
    assert told["failed"] == [
        {"part": "key", "why": "key: grant 'Customize Application' to the integration user, as an admin"}
    ]
    assert told["by_hand"][0]["part"] == "page"


def test_a_crm_that_asks_for_a_rest_ends_an_installation_that_may_be_run_again(desk: Desk, crm: AccountCrm) -> None:
    crm.trouble = [None, None, slow_down(1)]

    refused(desk.run("crm", "install", "sandbox"), "too many requests")
    assert crm.there == ["key"]

    assert desk.run("crm", "install", "sandbox").exit_code == 0
    assert crm.there == ["key", "reason"]


def test_uninstall_asks_and_removes_only_ours_last_made_first(desk: Desk, crm: AccountCrm) -> None:
    crm.there = ["key", "reason", "page", "theirs"]
    desk.run("crm", "pause", "sandbox")

    declined = desk.run("crm", "uninstall", "sandbox", said="n\n")
    assert declined.exit_code == 1
    assert crm.there == ["key", "reason", "page", "theirs"]
    done = desk.run("crm", "uninstall", "sandbox", said="y\n")

    assert done.exit_code == 0, done.output
    assert crm.there == ["page", "theirs"]
    assert done.stdout.index("removed  reason") < done.stdout.index("removed  key")
    assert "To do by hand in the CRM:\n  page" in done.stdout


def test_uninstall_does_not_take_fields_from_under_a_worker_that_fills_them(desk: Desk, crm: AccountCrm) -> None:
    crm.there = ["key"]

    result = desk.run("crm", "uninstall", "sandbox", "--yes")

    assert result.exit_code == 1
    assert "hearback crm pause sandbox" in result.stderr
    assert crm.there == ["key"]


# sync


def born(number: int, **fields: str) -> CrmEvent:
    ref, at = RecordRef(ObjectType.LEAD, f"b{number}"), NOW + timedelta(minutes=number)
    said = {"email": f"b{number}@born.example", "owner": "U-1009", "status": "working", **fields}
    return CrmEvent(f"e{number}", EventType.RECORD_CHANGED, ref, at, Record(ref, said, at))


def test_sync_reads_everything_and_says_what_the_mirror_holds(desk: Desk, crm: AccountCrm) -> None:
    crm.feed = [born(1), born(2), born(3, status="closed"), born(4)]
    account = RecordRef(ObjectType.ACCOUNT, "a1")
    crm.feed.append(CrmEvent("e9", EventType.RECORD_CHANGED, account, NOW))
    crm.records["a1"] = {"key": "", "domain": "born.example"}

    result = desk.run("crm", "sync", "sandbox")

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "sandbox: read 4 pages: 1 account, 4 lead, 1 read again by id",
        "The mirror holds 1 account, 4 lead.",
        "Open leads of the CRM's own, which count for caps:",
        f"  {'agnieszka.wilk':30} 3",
    ]
    assert calls_of(desk) == {"poll": 4, "fetch": 1}
    assert desk.query("SELECT cursor, caught_up_at IS NOT NULL FROM connection_state") == [("5", True)]


def test_sync_goes_on_from_the_last_page(desk: Desk, crm: AccountCrm) -> None:
    """Whatever ends it, the page that was taken in is not read again."""
    crm.feed = [born(number) for number in range(1, 6)]
    crm.trouble = [None, AuthenticationError("the token is refused")]

    refused(desk.run("crm", "sync", "sandbox"), "the token is refused")
    assert desk.query("SELECT cursor FROM connection_state") == [("2",)]
    desk.run("crm", "resume", "sandbox")
    done = desk.run("crm", "sync", "sandbox", "--json")

    told = json.loads(done.stdout)
    assert (told["pages"], told["records"], told["read_again"]) == (3, {"lead": 3}, 0)
    again = json.loads(desk.run("crm", "sync", "sandbox", "--json").stdout)
    assert (again["pages"], again["records"]) == (1, {})
    assert again["mirror"]["records"] == {"lead": 5}
    start = json.loads(desk.run("crm", "sync", "sandbox", "--from-start", "--json").stdout)
    assert start["records"] == {"lead": 5}


def test_sync_waits_out_a_short_rest_and_not_a_long_one(
    desk: Desk, crm: AccountCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A2: one call meets the limit, and nobody asks before the rest is over."""
    crm.feed = [born(1), born(2), born(3)]
    crm.trouble = [None, slow_down(2)]
    waited = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        desk.run("crm", "resume", "sandbox")

    monkeypatch.setattr(catching_up.time, "sleep", sleep)
    assert desk.run("crm", "sync", "sandbox").exit_code == 0
    assert [round(seconds / 60) for seconds in waited] == [2]
    assert crm.trouble == []

    crm.trouble = [slow_down(60)]
    refused(desk.run("crm", "sync", "sandbox"), "sandbox rests until", "run it again after that")


def test_a_dry_run_counts_and_stores_nothing(desk: Desk, crm: AccountCrm) -> None:
    crm.feed = [born(1), born(2), born(3)]

    result = desk.run("crm", "sync", "sandbox", "--dry-run")

    assert "sandbox: would read 3 pages: 3 lead" in result.stdout
    assert "The mirror holds nothing." in result.stdout
    assert desk.query("SELECT count(*) FROM mirror_record") == [(0,)]


# status, pause and resume


def post(desk: Desk) -> None:
    with desk.services() as services:
        body = b"vorname=Jan&nachname=Kos&email=jan@kos.example&plz=00-950&land=PL"
        form = "application/x-www-form-urlencoded"
        accept(services, Delivery(new_id(), "website", datetime.now(UTC), form, body, {}, {}))
        assert intake.work(services) == 1


def test_status_tells_what_there_is_to_know(desk: Desk, crm: AccountCrm) -> None:
    crm.feed = [born(1)]
    crm.limit = Budget(4500, 5000, "24 hours")
    desk.run("crm", "sync", "sandbox")
    post(desk)

    lines = desk.run("crm", "status", "sandbox").stdout.splitlines()

    assert lines[0] == "sandbox (sandbox, mode write)"
    told = {line[2:14].strip(): line[15:] for line in lines[1:]}
    assert told["budget"].startswith("4500 of 5000 in 24 hours (90%), says the CRM")
    assert told["calls today"] == "2: 2 poll"
    assert told["backlog"] == "2 writes, none went out lately"
    assert "caught up at" in told["last poll"]
    assert told["mirror"] == "1 lead"
    assert told["open there"] == "1 agnieszka.wilk (leads of the CRM's own)"
    (row,) = json.loads(desk.run("crm", "status", "--json").stdout)
    assert row["state"]["budget"] == {"used": 4500, "limit": 5000, "window": "24 hours"}
    assert row["waiting"]["backlog"] == 2


def test_a_pause_lasts_until_a_person_ends_it_and_is_shown(desk: Desk, crm: AccountCrm) -> None:
    """Item 5: it is stored, shown, and slows neither intake nor anybody else."""
    paused = desk.run("crm", "pause", "sandbox", "--reason", "moving to another org")
    assert paused.exit_code == 0

    post(desk)
    refused(desk.run("crm", "sync", "sandbox"), "moving to another org", "hearback crm resume sandbox")
    status = desk.run("crm", "status").stdout
    listed = desk.run("commands", "list").stderr

    assert metering.take() == {}
    assert "until `hearback crm resume`: paused by" in status
    assert "moving to another org" in status
    assert "sandbox rests until `hearback crm resume sandbox`" in listed
    assert desk.query("SELECT count(*) FROM command WHERE state = 'pending'") == [(2,)]
    assert desk.run("crm", "resume", "sandbox").exit_code == 0
    refused(desk.run("crm", "resume", "sandbox"), "not paused")


def test_a_shorter_rest_does_not_end_a_persons_pause(desk: Desk, crm: AccountCrm) -> None:
    """A call that was under way when somebody paused may still come back with a limit of its own."""
    desk.run("crm", "pause", "sandbox")
    with desk.services() as services:
        rest.pause_for(services, "sandbox", slow_down(1))

    assert "until `hearback crm resume`" in desk.run("crm", "status").stdout


# observe, then write


def test_what_was_only_shown_goes_out_when_a_person_says_so(desk: Desk, crm: AccountCrm) -> None:
    """Item 4: in numbers first, and never while it is observed."""
    desk.edit("hearback.yaml", "mode: write\n", "mode: observe\n")
    post(desk)
    with desk.services() as services:
        deliver.work(services, "sandbox")
    assert "would write  2" in desk.run("crm", "status").stdout
    assert "rep_task" in desk.run("commands", "list", "--state", "observed").stdout
    refused(desk.run("crm", "release", "sandbox"), "observed", "mode: write first")
    desk.edit("hearback.yaml", "mode: observe\n", "mode: write\n")
    with desk.services() as services:
        deliver.work(services, "sandbox")
    assert crm.calls == []

    dry = desk.run("crm", "release", "sandbox", "--dry-run")
    declined = desk.run("crm", "release", "sandbox", said="n\n")
    assert dry.stdout == "Will write to sandbox: 1 assign, 1 rep_task\n"
    assert declined.exit_code == 1
    assert desk.query("SELECT DISTINCT state FROM command") == [("observed",)]
    done = desk.run("crm", "release", "sandbox", said="y\n")

    assert "2 writes are on their way." in done.stdout
    with desk.services() as services:
        deliver.work(services, "sandbox")
    assert [call[0].object_type for call in crm.calls] == [ObjectType.LEAD, ObjectType.TASK]
    assert desk.run("crm", "release", "sandbox").stdout == "Nothing was only shown.\n"


# disconnect


def test_disconnect_pauses_gives_the_access_back_and_says_what_is_left(
    desk: Desk, crm: AccountCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A30: twice is once."""
    given_back: list[str] = []
    monkeypatch.setattr(AccountCrm, "revoke", lambda _: given_back.append("token") or "")

    declined = desk.run("crm", "disconnect", "sandbox", said="n\n")
    assert (declined.exit_code, given_back) == (1, [])
    done = desk.run("crm", "disconnect", "sandbox", said="y\n")
    again = desk.run("crm", "disconnect", "sandbox", "--yes")

    assert done.exit_code == again.exit_code == 0
    assert given_back == ["token", "token"]
    assert "Its access is revoked." in done.stdout
    assert "delete HEARBACK_SANDBOX_TOKEN, HEARBACK_SANDBOX_WEBHOOK_SECRET" in done.stdout
    assert desk.query("SELECT paused_since IS NOT NULL FROM connection_state") == [(True,)]


def test_a_crm_that_takes_nothing_back_says_what_to_delete_there(desk: Desk, crm: AccountCrm) -> None:
    """A30."""
    done = desk.run("crm", "disconnect", "sandbox", "--yes")

    assert "In the CRM: delete the credentials of this connection there, as an administrator." in done.stdout


def test_access_that_could_not_be_given_back_leaves_the_connection_paused(
    desk: Desk, crm: AccountCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A30: nothing goes out any more, and nobody is told that it is done."""

    def down(_: AccountCrm) -> str:
        raise Unavailable("no connection")

    monkeypatch.setattr(AccountCrm, "revoke", down)

    refused(desk.run("crm", "disconnect", "sandbox", "--yes"), "no connection")
    assert desk.query("SELECT paused_since IS NOT NULL FROM connection_state") == [(True,)]
