"""Alerts: raised once from the rows, told again while they last, told when over; sent at least once."""

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cli_support import desk_on, refused
from desk import FORM, Desk, jan
from mail_server import Post, hook_receiver, smtp_server
from web_support import ENVIRON

from connector.alerts import mail
from connector.errors import PermanentError, Unavailable
from connector.flows import alerting
from connector.jobs import Workers, sweep_once
from connector.signatures import standard_webhook_headers

SECRETS = {"HOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}

MAIL = "  mail:\n    to: [ops@nord.example]\n    from: hb@nord.example\n    host: 127.0.0.1\n    port: {port}\n"


@pytest.fixture
def post() -> Iterator[Post]:
    with smtp_server() as made:
        yield made


@pytest.fixture
def hook() -> Iterator[Post]:
    with hook_receiver() as made:
        yield made


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(database_url, tmp_path)
    made.services.environ = ENVIRON | SECRETS
    yield made
    made.close()


def told_by(desk: Desk, *, post: Post | None = None, hook: Post | None = None, more: str = "") -> None:
    """Have alerts told by mail, webhook or both."""
    section = "alerts:\n"
    if post:
        section += MAIL.format(port=post.port)
    if hook:
        section += f"  webhook:\n    url: http://127.0.0.1:{hook.port}/in\n    secret: ${{HOOK_SECRET}}\n"
    desk.edit("hearback.yaml", "\nsources:\n", f"\n{section}{more}\nsources:\n")
    desk.publish()


def later(desk: Desk, **time: float) -> None:
    """Let time pass on the database's clock."""
    desk.run("UPDATE clock SET shift = shift + %s", timedelta(**time))


def set_aside(desk: Desk, count: int = 10) -> None:
    for number in range(count):
        desk.post_raw("website", f"email=p{number}%40geheim.example&website=spam".encode(), FORM)
    desk.work()


def release(desk: Desk) -> None:
    desk.run("UPDATE delivery SET state = 'done', fate = 'rejected' WHERE state = 'quarantined'")


def subjects(post: Post) -> list[str]:
    return [str(each["Subject"]) for each in post.mails]


def lasting(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.rows("SELECT kind, subject FROM alert WHERE ended_at IS NULL ORDER BY kind, subject")


def test_a_growing_quarantine_is_told_once_again_while_it_lasts_and_when_it_is_over(desk: Desk, post: Post) -> None:
    told_by(desk, post=post, more="  repeat: 2h\n")
    set_aside(desk, 9)
    alerting.work(desk.services)
    assert post.mails == []

    set_aside(desk, 10)
    for _ in range(3):
        alerting.work(desk.services)
        later(desk, minutes=59)
    alerting.work(desk.services)
    alerting.work(desk.services)
    release(desk)
    alerting.work(desk.services)
    alerting.work(desk.services)

    assert subjects(post) == [
        f"Nordhammer Tools: {said}"
        for said in (
            "19 deliveries of website are set aside",
            "Still: 19 deliveries of website are set aside",
            "Over: 19 deliveries of website are set aside",
        )
    ]
    assert lasting(desk) == []


def test_it_is_told_in_the_organisations_first_language_with_what_to_do(desk: Desk, post: Post) -> None:
    desk.edit("hearback.yaml", "languages: [en, de, pl]", "languages: [pl, en, de]")
    told_by(desk, post=post)
    set_aside(desk)
    alerting.work(desk.services)

    assert subjects(post) == ["Nordhammer Tools: Odłożone zgłoszenia ze źródła website: 10"]
    assert (
        "hearback deliveries list --state quarantined --source website"
        in post.mails[0].get_payload(decode=True).decode()
    )


def test_nothing_personal_is_in_an_alert(desk: Desk, post: Post, hook: Post, caplog: pytest.LogCaptureFixture) -> None:
    """P10: neither told, nor stored, nor logged."""
    caplog.set_level(logging.DEBUG)
    told_by(desk, post=post, hook=hook)
    set_aside(desk)
    post.script.append(554)
    alerting.work(desk.services)
    later(desk, minutes=2)
    alerting.work(desk.services)

    stored = str(desk.rows("SELECT a::text, n::text FROM alert a JOIN alert_notice n ON n.alert_id = a.id"))
    said = b"".join([*post.raw, *(body for _, body in hook.hooks)]).decode()
    for text in (stored, said, caplog.text):
        assert "geheim" not in text
    assert "ops@nord.example" not in caplog.text + stored
    assert SECRETS["HOOK_SECRET"] not in caplog.text + stored


def test_a_webhook_is_signed_and_keeps_its_number_when_sent_again(desk: Desk, hook: Post) -> None:
    told_by(desk, hook=hook)
    set_aside(desk)
    hook.script.extend([500, 302])
    for _ in range(3):
        alerting.work(desk.services)
        later(desk, minutes=6)

    numbers = [headers["webhook-id"] for headers, _ in hook.hooks]
    assert len(hook.hooks) == 3
    assert len(set(numbers)) == 1
    headers, body = hook.hooks[-1]
    signed_at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), tz=UTC)
    assert standard_webhook_headers(SECRETS["HOOK_SECRET"], numbers[0], signed_at, body).items() <= headers.items()
    document = json.loads(body)
    assert document["type"] == "alert.raised"
    assert (document["data"]["kind"], document["data"]["subject"], document["data"]["count"]) == (
        "quarantine",
        "website",
        10,
    )


def test_a_process_that_dies_after_sending_sends_twice_and_never_loses(
    desk: Desk, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_by(desk, post=post)
    set_aside(desk)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(alerting.alerts, "sent", die)
        with pytest.raises(KeyboardInterrupt):
            alerting.work(desk.services)
    alerting.work(desk.services)
    assert len(post.mails) == 1
    later(desk, minutes=6)
    alerting.work(desk.services)
    alerting.work(desk.services)

    assert len(post.mails) == 2
    assert post.mails[0]["Message-ID"] == post.mails[1]["Message-ID"]
    assert desk.rows("SELECT state, attempts FROM alert_notice") == [("sent", 2)]


def test_a_process_that_dies_before_sending_loses_nothing(
    desk: Desk, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_by(desk, post=post)
    set_aside(desk)
    with monkeypatch.context() as patched:
        patched.setattr(mail, "send", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            alerting.work(desk.services)
    later(desk, minutes=6)
    alerting.work(desk.services)

    assert len(post.mails) == 1


def test_a_server_that_drops_the_answer_may_get_it_twice(desk: Desk, post: Post) -> None:
    told_by(desk, post=post)
    set_aside(desk)
    post.script.append("drop")
    alerting.work(desk.services)
    later(desk, minutes=2)
    alerting.work(desk.services)

    assert len(post.mails) == 2
    assert post.mails[0]["Message-ID"] == post.mails[1]["Message-ID"]


def test_failures_wait_longer_each_time_and_end_after_five_days(desk: Desk, post: Post, hook: Post) -> None:
    told_by(desk, post=post, hook=hook)
    set_aside(desk)
    post.script.extend([451] * 40)
    tries: list[int] = []
    state = "pending"
    while state == "pending" and len(tries) < 140:
        alerting.work(desk.services)
        ((state, attempts),) = desk.rows(
            "SELECT state, attempts FROM alert_notice WHERE channel = 'mail' AND news = 'raised'"
        )
        tries.append(attempts)
        later(desk, hours=1)

    assert tries[0] == 1
    assert 115 <= len(tries) <= 135
    assert tries[-1] <= 17
    assert len([body for _, body in hook.hooks if json.loads(body)["type"] == "alert.raised"]) == 1


def test_an_end_is_not_told_before_its_beginning(desk: Desk, hook: Post) -> None:
    told_by(desk, hook=hook)
    set_aside(desk)
    hook.script.extend([503, 503])
    alerting.work(desk.services)
    release(desk)
    alerting.work(desk.services)
    later(desk, minutes=2)
    alerting.work(desk.services)
    later(desk, minutes=6)
    alerting.work(desk.services)

    assert [json.loads(body)["type"] for _, body in hook.hooks] == ["alert.raised"] * 3 + ["alert.over"]


def test_many_workers_at_once_raise_repeat_and_end_an_alert_once(desk: Desk, hook: Post) -> None:
    """Any number of them may look at the same moment."""
    told_by(desk, hook=hook, more="  repeat: 1h\n")
    set_aside(desk)

    def all_at_once() -> None:
        with ThreadPoolExecutor(4) as workers:
            for done in [workers.submit(alerting.work, desk.services) for _ in range(8)]:
                done.result()

    all_at_once()
    later(desk, minutes=61)
    all_at_once()
    release(desk)
    all_at_once()

    said = [json.loads(body)["type"] for _, body in hook.hooks]
    assert said == ["alert.raised", "alert.lasting", "alert.over"]
    assert desk.rows("SELECT count(*) FROM alert") == [(1,)]


def test_a_receiver_that_is_gone_is_not_asked_again(desk: Desk, hook: Post) -> None:
    """Standard Webhooks: 410 means no more."""
    told_by(desk, hook=hook)
    set_aside(desk)
    hook.script.append(410)
    for _ in range(3):
        alerting.work(desk.services)
        later(desk, minutes=30)

    assert len(hook.hooks) == 1


def test_a_secret_that_is_not_set_or_no_secret_is_tried_again_once_it_is(desk: Desk, hook: Post) -> None:
    told_by(desk, hook=hook)
    set_aside(desk)
    for secret in ("", "not base64!", SECRETS["HOOK_SECRET"]):
        desk.services.environ = ENVIRON | {"HOOK_SECRET": secret}
        alerting.work(desk.services)
        later(desk, minutes=10)

    assert len(hook.hooks) == 1
    assert desk.rows("SELECT state, attempts FROM alert_notice") == [("sent", 3)]


def test_without_receivers_alerts_are_kept_for_the_list(desk: Desk) -> None:
    set_aside(desk)
    alerting.work(desk.services)

    assert lasting(desk) == [("quarantine", "website")]
    assert desk.rows("SELECT count(*) FROM alert_notice") == [(0,)]


# What is raised.


def at(desk: Desk, moment: str) -> None:
    """Set the database's clock."""
    desk.run("UPDATE clock SET shift = shift + (%s::timestamptz - hearback_now())", moment)


def test_a_silent_source_is_measured_in_working_time(desk: Desk) -> None:
    """Friday afternoon to Monday morning is two hours."""
    quiet_after_six_hours(desk)
    at(desk, "2031-03-07 15:00 Europe/Berlin")
    desk.post(**jan())
    desk.work()
    desk.send()
    for moment in ("2031-03-07 16:59", "2031-03-10 09:00", "2031-03-10 12:50"):
        at(desk, f"{moment} Europe/Berlin")
        alerting.work(desk.services)
        assert lasting(desk) == []

    at(desk, "2031-03-10 13:10 Europe/Berlin")
    alerting.work(desk.services)
    assert lasting(desk) == [("silent_source", "website")]

    desk.post(**jan())
    alerting.work(desk.services)
    assert lasting(desk) == []


def quiet_after_six_hours(desk: Desk) -> None:
    there = "    honeypot: website\n    # Field"
    desk.edit("hearback.yaml", there, there.replace("\n", "\n    quiet_after: 6h\n"))
    desk.publish()


def test_a_source_that_never_sent_anything_is_silent_too(desk: Desk) -> None:
    """It counts from when the configuration came into force."""
    quiet_after_six_hours(desk)
    alerting.work(desk.services)
    assert lasting(desk) == []

    later(desk, days=7)
    alerting.work(desk.services)

    assert lasting(desk) == [("silent_source", "website")]


def test_a_backlog_past_its_target_is_raised_and_ends_with_it(desk: Desk) -> None:
    desk.post(**jan())
    later(desk, minutes=14)
    alerting.work(desk.services)
    assert lasting(desk) == []

    later(desk, minutes=2)
    alerting.work(desk.services)
    assert lasting(desk) == [("intake_backlog", "")]

    desk.work()
    desk.run("UPDATE command SET created_at = hearback_now() - interval '16 minutes'")
    alerting.work(desk.services)
    assert lasting(desk) == [("command_backlog", "sandbox")]

    desk.send()
    alerting.work(desk.services)
    assert lasting(desk) == []


def test_dead_letters_are_raised_until_a_person_saw_to_them(desk: Desk) -> None:
    desk.post(**jan())
    desk.work()
    desk.crm.script.append(PermanentError("no"))
    desk.send()
    alerting.work(desk.services)
    assert ("dead_letters", "sandbox") in lasting(desk)

    desk.run("UPDATE command SET state = 'parked' WHERE state = 'dead'")
    alerting.work(desk.services)
    assert ("dead_letters", "sandbox") not in lasting(desk)


def test_a_connection_that_rests_too_long_is_raised_and_its_backlog_is_not(desk: Desk) -> None:
    desk.post(**jan())
    desk.work()
    for minutes in (0, 9, 2):
        later(desk, minutes=minutes)
        desk.run("UPDATE connection_state SET paused_until = NULL")
        desk.run("UPDATE command SET due_at = '-infinity', created_at = hearback_now() - interval '16 minutes'")
        desk.crm.script.append(Unavailable("down"))
        desk.send()
        alerting.work(desk.services)
        assert lasting(desk) == ([("paused", "sandbox")] if minutes == 2 else [])

    desk.run("UPDATE connection_state SET paused_until = NULL")
    desk.run("UPDATE command SET due_at = '-infinity'")
    desk.send()
    alerting.work(desk.services)
    assert lasting(desk) == []


def test_made_up_oids_are_one_subject(desk: Desk) -> None:
    """Else anybody could make any number of alerts."""
    desk.run(
        "INSERT INTO delivery (id, kind, source, content_type, size, sha256, verified, state) "
        "SELECT gen_random_uuid(), 'lead', 'oid:00D' || g, '', 0, '', 'none', 'quarantined' "
        "FROM generate_series(1, 12) g"
    )
    alerting.work(desk.services)

    assert lasting(desk) == [("quarantine", "oid")]


def test_the_sweep_wakes_the_job_once_a_minute_and_the_job_works(desk: Desk) -> None:
    set_aside(desk)
    desk.woken.clear()

    sweep_once(desk.services, 60)
    first = desk.woken.count("alerts")
    sweep_once(desk.services, 65)
    Workers(desk.services).run("alerts")

    assert (first, desk.woken.count("alerts")) == (1, 1)
    assert lasting(desk) == [("quarantine", "website")]


# The command.


def test_the_list_shows_what_lasts_and_all_what_was(desk: Desk, database_url: str, tmp_path: Path, hook: Post) -> None:
    told_by(desk, hook=hook)
    hook.script.append(500)
    set_aside(desk)
    alerting.work(desk.services)
    terminal = desk_on(database_url, tmp_path / "terminal")

    (row,) = json.loads(terminal.run("alerts", "list", "--json").stdout)
    assert (row["kind"], row["subject"], row["facts"]) == ("quarantine", "website", {"count": 10})
    assert row["notices"] == ["webhook raised pending (1 tries, the receiver answered 500)"]

    release(desk)
    alerting.work(desk.services)
    assert json.loads(terminal.run("alerts", "list", "--json").stdout) == []
    assert "quarantine" in terminal.run("alerts", "list", "--all").stdout


def test_a_test_goes_through_every_way_and_says_what_failed(
    database_url: str, tmp_path: Path, post: Post, hook: Post
) -> None:
    terminal = desk_on(database_url, tmp_path)
    refused(terminal.run("alerts", "test"), "add alerts.mail or alerts.webhook")
    section = "alerts:\n" + MAIL.format(port=post.port)
    section += f"  webhook:\n    url: http://127.0.0.1:{hook.port}/\n    secret: ${{HOOK_SECRET}}\n"
    terminal.edit("hearback.yaml", "\nsources:\n", f"\n{section}\nsources:\n")

    good = terminal.run("alerts", "test", **SECRETS)
    hook.script.append(404)
    bad = terminal.run("alerts", "test", **SECRETS)

    assert (good.exit_code, good.stdout.split()) == (0, ["mail:", "sent", "webhook:", "sent"])
    assert subjects(post)[0] == "Nordhammer Tools: A test"
    assert json.loads(hook.hooks[0][1])["type"] == "alert.test"
    assert bad.exit_code == 1
    assert bad.stderr == "webhook: not sent: the receiver answered 404\n"
    assert "HOOK_SECRET" in terminal.run("check").stdout
