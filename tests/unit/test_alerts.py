"""What alerts say, and the two ways they leave."""

import string
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mail_server import certificate, hook_receiver, smtp_server

from connector.alerts import mail, texts, webhook
from connector.alerts.mail import Mailbox
from connector.errors import NotDelivered
from connector.signatures import standard_webhook_headers

VALUES = {"subject": "website", "count": "12", "limit": "4 h", "since": "2026-09-16", "raised": "2026-09-15"}
NOW = datetime(2026, 9, 16, 12, 0, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize("language", texts.LANGUAGES)
@pytest.mark.parametrize("kind", [*texts.KINDS, "test"])
@pytest.mark.parametrize("news", ["raised", "lasting", "over"])
def test_every_alert_is_said_in_every_language(kind: str, news: str, language: str) -> None:
    told = texts.tell(kind, news, language, VALUES)

    assert told.title
    assert told.text
    assert not set("{}") & set(told.title + told.text)
    if news == "raised" and kind != "test":
        assert "hearback " in told.text


def test_every_table_of_texts_has_the_same_kinds_languages_and_values() -> None:
    for kind in texts._TITLES:
        for table in (texts._TITLES, texts._WHAT, texts._DO):
            spoken = table[kind]
            assert set(spoken) == set(texts.LANGUAGES)
            used = [{name for _, name, _, _ in string.Formatter().parse(each) if name} for each in spoken.values()]
            assert used[0] == used[1] == used[2], (kind, spoken["en"])


def test_an_unknown_language_is_told_in_english() -> None:
    assert texts.tell("test", "raised", "fr", VALUES) == texts.tell("test", "raised", "en", VALUES)


def a_mail(*to: str) -> mail.EmailMessage:
    subject = "Zurückgestellt:\r\nBcc: x@evil.example"
    return mail.compose(
        sender="a@nord.example", to=to or ("b@x.example",), subject=subject, text="ł.\n.\nß", number="n-1"
    )


def test_a_mail_arrives_as_it_was_written_under_a_number_that_stays() -> None:
    with smtp_server() as post:
        assert mail.send(Mailbox("127.0.0.1", post.port), a_mail()) == ""

    (taken,) = post.mails
    assert taken["Subject"] == "Zurückgestellt: Bcc: x@evil.example"
    assert (taken["Bcc"], taken["Message-ID"], taken["To"]) == (None, "<n-1@nord.example>", "b@x.example")
    assert taken.get_payload(decode=True).decode().replace("\r\n", "\n") == "ł.\n.\nß\n"
    assert post.logins == []


def test_a_password_leaves_under_tls_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, file = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with smtp_server(context) as secure, smtp_server() as plain:
        mail.send(Mailbox("127.0.0.1", secure.port, "u", "p4ss"), a_mail())
        with pytest.raises(NotDelivered, match="offers no TLS"):
            mail.send(Mailbox("127.0.0.1", plain.port, "u", "p4ss"), a_mail())

    assert secure.logins == [(" u p4ss", True)]
    assert len(secure.mails) == 1
    assert (plain.logins, plain.mails) == ([], [])


def test_a_certificate_nobody_vouches_for_ends_the_conversation(tmp_path: Path) -> None:
    context, _ = certificate(tmp_path)
    with smtp_server(context) as post, pytest.raises(NotDelivered, match="SSLCertVerificationError"):
        mail.send(Mailbox("127.0.0.1", post.port), a_mail())

    assert post.mails == []


@pytest.mark.parametrize(
    ("step", "says"), [(451, "SMTPDataError 451"), (554, "SMTPDataError 554"), ("drop", "SMTPServerDisconnected")]
)
def test_a_failure_is_named_without_an_address(step: int | str, says: str) -> None:
    with smtp_server() as post:
        post.script.append(step)
        with pytest.raises(NotDelivered) as refused:
            mail.send(Mailbox("127.0.0.1", post.port), a_mail())

    assert str(refused.value) == says


def test_refused_receivers_are_counted_and_the_others_get_it() -> None:
    with smtp_server() as post:
        post.refuse = frozenset(("gone@x.example",))
        note = mail.send(Mailbox("127.0.0.1", post.port), a_mail("gone@x.example", "b@x.example"))
        with pytest.raises(NotDelivered, match="SMTPRecipientsRefused"):
            mail.send(Mailbox("127.0.0.1", post.port), a_mail("gone@x.example"))

    assert note == "1 receivers were refused"
    assert len(post.mails) == 1


def test_nobody_there_is_not_delivered() -> None:
    with pytest.raises(NotDelivered, match="ConnectionRefusedError"):
        mail.send(Mailbox("127.0.0.1", 1), a_mail())
    with pytest.raises(NotDelivered, match="ConnectionError"):
        webhook.post("http://127.0.0.1:1/", SECRET, number="n", at=NOW, document={})


def test_a_signature_is_that_of_the_standard() -> None:
    """Standard Webhooks 1.0.0: HMAC-SHA256 of `id.timestamp.body`, the key decoded from base64 before use."""
    body = b'{"test": 2432232314}'
    at = datetime.fromtimestamp(1614265330, tz=UTC)

    assert standard_webhook_headers(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_webhook_is_posted_signed() -> None:
    with hook_receiver() as post:
        webhook.post(f"http://127.0.0.1:{post.port}/in?x=1", SECRET, number="n-1", at=NOW, document={"type": "alert"})

    ((headers, body),) = post.hooks
    assert body == b'{"type":"alert"}'
    assert headers["content-type"] == "application/json"
    assert standard_webhook_headers(SECRET, "n-1", NOW, body).items() <= headers.items()


@pytest.mark.parametrize(("step", "final"), [(302, False), (404, False), (410, True), (503, False), ("drop", False)])
def test_anything_but_success_is_not_delivered_and_410_is_for_good(step: int | str, final: bool) -> None:
    with hook_receiver() as post:
        post.script.append(step)
        with pytest.raises(NotDelivered) as refused:
            webhook.post(f"http://127.0.0.1:{post.port}/", SECRET, number="n", at=NOW, document={})

    assert refused.value.final is final
    assert len(post.hooks) == 1
