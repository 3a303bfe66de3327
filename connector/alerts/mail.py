"""Mail through SMTP: with TLS from the start on port 465, else with STARTTLS where the server offers it.

A password never leaves without TLS, and no certificate goes unchecked.
"""

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage

from connector.errors import NotDelivered

#: Seconds for each step of the conversation.
TIMEOUT = 10.0
TLS_PORT = 465


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The server mail is handed to; without a user name nobody logs in."""

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)


def compose(*, sender: str, to: Sequence[str], subject: str, text: str, number: str) -> EmailMessage:
    """Write a mail. `number` is the same whenever it is sent again, so that mail programs know it."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Subject"] = " ".join(subject.split())
    message["Message-ID"] = f"<{number}@{_domain(sender)}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


def send(mailbox: Mailbox, message: EmailMessage) -> str:
    """Hand a mail over; return a note when some of its receivers were refused, "" otherwise.

    Raises:
        NotDelivered: nobody got it, or it is not known whether they did.
    """
    try:
        with _opened(mailbox, _domain(str(message["From"]))) as server:
            refused = server.send_message(message)
    except (smtplib.SMTPException, OSError, ValueError) as err:
        raise NotDelivered(_said(err)) from err
    return f"{len(refused)} receivers were refused" if refused else ""


def _opened(mailbox: Mailbox, name: str) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if mailbox.port == TLS_PORT:
        server: smtplib.SMTP = smtplib.SMTP_SSL(mailbox.host, mailbox.port, name, timeout=TIMEOUT, context=context)
    else:
        server = smtplib.SMTP(mailbox.host, mailbox.port, name, timeout=TIMEOUT)
    try:
        _log_in(server, mailbox, context)
    except BaseException:
        server.close()
        raise
    return server


def _log_in(server: smtplib.SMTP, mailbox: Mailbox, context: ssl.SSLContext) -> None:
    server.ehlo()
    secured = mailbox.port == TLS_PORT
    if not secured and server.has_extn("starttls"):
        server.starttls(context=context)
        server.ehlo()
        secured = True
    if not mailbox.username:
        return
    if not secured:
        raise NotDelivered("the mail server offers no TLS, so the password was not sent: use another port or server")
    server.login(mailbox.username, mailbox.password)


def _said(err: Exception) -> str:
    """Name a failure by its kind and code: a server's own words may hold addresses."""
    code = getattr(err, "smtp_code", "")
    return f"{type(err).__name__} {code}".strip()


def _domain(address: str) -> str:
    return address.rpartition("@")[2] or "localhost"
