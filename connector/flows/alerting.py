"""What needs a person: found in the rows, stored as an alert, then told by mail and webhook.

An alert is told once, again while it lasts, and when it is over. Each notice is stored before it is sent, and marked
after: if the process dies in between it comes twice, and is never lost.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.alerts import mail, texts, webhook
from connector.alerts.mail import Mailbox
from connector.alerts.texts import Told
from connector.errors import ConfigurationError, NotDelivered
from connector.followup.texts import at as instant_text
from connector.followup.texts import pick
from connector.services import Services
from connector.settings.values import Alerts, Settings, Source
from connector.store import Transaction, alerts
from connector.store.alerts import Notice
from connector.worktime import calendar, elapsed

log = logging.getLogger(__name__)

#: Longer than any conversation with a mail server takes.
LEASE = timedelta(minutes=5)
#: A connection rests for moments all the time; longer than this is news.
PAUSED = timedelta(minutes=10)
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_HOUR = 60
#: Waits between attempts, the last one for ever (as other senders of webhooks have it), until a notice is this old.
WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 300, 600))
GIVE_UP = timedelta(days=5)

Secret = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that needs a person now. `facts` are numbers and times, never values of anybody's."""

    kind: str
    subject: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def work(services: Services) -> None:
    """Look what needs a person, then send what is due."""
    watch(services)
    while send_next(services):
        pass


def watch(services: Services) -> None:
    """Raise, repeat and end alerts as the rows have it; any number of workers may."""
    with services.store.transaction() as tx:
        settings, now = services.active(tx).settings, tx.now()
        channels = channels_of(settings.alerts)
        open_ones = alerts.lasting(tx)
        for condition in conditions(tx, settings, now):
            known = open_ones.pop((condition.kind, condition.subject), None)
            if known is None:
                alerts.raise_alert(tx, condition.kind, condition.subject, condition.facts, channels, now)
                log.warning("alert", extra={"kind": condition.kind, "subject": condition.subject})
            elif known.told_at + settings.alerts.repeat * _MINUTE <= now:
                reached = [name for name in channels if name not in known.waiting]
                alerts.repeat_alert(tx, known, condition.facts, reached, now)
        for past in open_ones.values():
            alerts.end_alert(tx, past.id, channels, now)


def channels_of(configured: Alerts) -> list[str]:
    """Return the ways alerts are sent."""
    return [name for name, there in (("mail", configured.mail), ("webhook", configured.webhook)) if there]


def conditions(tx: Transaction, settings: Settings, now: datetime) -> Iterator[Condition]:
    """Yield what needs a person at this instant."""
    for source in settings.sources.values():
        if source.quiet_after:
            yield from _silent(tx, settings, source, now)
    yield from _set_aside(tx, settings, now)
    yield from _stuck(tx, settings, now)


def _silent(tx: Transaction, settings: Settings, source: Source, now: datetime) -> Iterator[Condition]:
    since = alerts.last_delivery(tx, source.key) or alerts.in_force_since(tx)
    quiet = elapsed(since, now, calendar(settings.country, settings.timezone))
    if quiet >= source.quiet_after * _MINUTE:
        yield Condition("silent_source", source.key, {"since": since.isoformat(), "minutes": source.quiet_after})


def _set_aside(tx: Transaction, settings: Settings, now: datetime) -> Iterator[Condition]:
    counts: dict[str, int] = {}
    for each in alerts.set_aside(tx, now - _DAY):
        # Anybody may make up an oid, and each would be a subject of its own.
        name = each.subject.partition(":")[0] if each.subject.startswith("oid:") else each.subject
        counts[name] = counts.get(name, 0) + each.number
    for name, count in counts.items():
        if count >= settings.alerts.quarantine:
            yield Condition("quarantine", name, {"count": count})


def _stuck(tx: Transaction, settings: Settings, now: datetime) -> Iterator[Condition]:
    target = settings.alerts.backlog * _MINUTE
    oldest = alerts.oldest_stored(tx)
    if oldest and now - oldest > target:
        yield Condition("intake_backlog", "", _waiting(oldest, settings))
    for each in alerts.dead_letters(tx):
        yield Condition("dead_letters", each.subject, {"count": each.number})
    resting = {name: since for name, since in alerts.pauses(tx).items() if name in settings.connections}
    for name, since in resting.items():
        if now - since >= PAUSED:
            yield Condition("paused", name, {"since": since.isoformat()})
    for name in settings.connections.keys() - resting.keys():
        if waits := alerts.oldest_command(tx, name, now - target):
            yield Condition("command_backlog", name, _waiting(waits, settings))


def _waiting(since: datetime, settings: Settings) -> dict[str, Any]:
    return {"since": since.isoformat(), "minutes": settings.alerts.backlog}


def send_next(services: Services) -> bool:
    """Send one notice that is due; False when none is."""
    with services.store.transaction() as tx:
        settings = services.active(tx).settings
        notice = alerts.lease(tx, LEASE)
    if notice is None:
        return False
    try:
        note = deliver(settings, notice, services.secret)
    except (NotDelivered, ConfigurationError) as err:
        _not_sent(services, notice, err)
        return True
    with services.store.transaction() as tx:
        alerts.sent(tx, notice, note)
    return True


def _not_sent(services: Services, notice: Notice, err: NotDelivered | ConfigurationError) -> None:
    log.warning("alert not sent", extra={"channel": notice.channel, "tries": notice.attempts, "why": str(err)})
    with services.store.transaction() as tx:
        old = tx.now() - notice.created_at >= GIVE_UP or getattr(err, "final", False)
        due = None if old else tx.now() + WAITS[min(notice.attempts, len(WAITS)) - 1]
        alerts.not_sent(tx, notice, str(err)[:200], due)


def deliver(settings: Settings, notice: Notice, secret: Secret) -> str:
    """Send a notice now; return a note about it, "" for none.

    Raises:
        NotDelivered: it did not get through.
        ConfigurationError: a secret is not set.
    """
    told = words(settings, notice)
    if notice.channel == "mail":
        return _mail(settings, notice, told, secret)
    _post(settings, notice, told, secret)
    return ""


def _mail(settings: Settings, notice: Notice, told: Told, secret: Secret) -> str:
    configured = settings.alerts.mail
    if configured is None:
        raise NotDelivered("alerts.mail is not configured any more", final=True)
    password = secret(configured.password) if configured.password else ""
    message = mail.compose(
        sender=configured.sender,
        to=configured.to,
        subject=f"{settings.name}: {told.title}",
        text=f"{told.text}\n\n-- \nHearback, {settings.public_url}\n",
        number=str(notice.id),
    )
    return mail.send(Mailbox(configured.host, configured.port, configured.username, password), message)


def _post(settings: Settings, notice: Notice, told: Told, secret: Secret) -> None:
    configured = settings.alerts.webhook
    if configured is None:
        raise NotDelivered("alerts.webhook is not configured any more", final=True)
    about = {"alert": str(notice.alert), "kind": notice.kind, "subject": notice.subject, **notice.facts}
    document = {
        "type": f"alert.{notice.news}" if notice.kind != "test" else "alert.test",
        "timestamp": notice.created_at.isoformat(),
        "data": about | {"raised_at": notice.raised_at.isoformat(), "title": told.title, "text": told.text},
    }
    signed = secret(configured.secret)
    try:
        webhook.post(configured.url, signed, number=str(notice.id), at=datetime.now(UTC), document=document)
    except ValueError as err:
        raise ConfigurationError(f"secret {configured.secret} is not whsec_ and base64: make a new one") from err


def words(settings: Settings, notice: Notice) -> Told:
    """Say a notice in the organisation's first language."""
    language = pick(settings.languages[:1])
    facts = notice.facts
    values = {"subject": notice.subject, "count": str(facts.get("count", "")), "limit": _span(facts.get("minutes", 0))}
    for name, text in (("since", facts.get("since")), ("raised", notice.raised_at.isoformat())):
        instant = datetime.fromisoformat(text) if text else None
        values[name] = instant_text(instant, settings.timezone, language) if instant else ""
    return texts.tell(notice.kind, notice.news, language, values)


def _span(minutes: int) -> str:
    hours, rest = divmod(minutes, _HOUR)
    return " ".join(f"{count} {unit}" for count, unit in ((hours, "h"), (rest, "min")) if count)
