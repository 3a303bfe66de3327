"""Find everything that is held of a person: by their leads, by keyed hashes, and by reading what has none."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from urllib.parse import unquote_plus
from uuid import UUID

from connector.errors import ConfigurationError, ConnectorError, HearbackError, UnreadableDelivery
from connector.flows import marks, read, told
from connector.flows.mailing import fields_of, person_in
from connector.flows.marks import Parts
from connector.flows.read import Aside, Prepared, Unfetched
from connector.model.delivery import Delivery
from connector.normalize.email import read_email
from connector.normalize.phone import read_phone
from connector.services import Services
from connector.settings.values import Settings
from connector.store import Transaction, deliveries, recipients, tracing
from connector.store.deliveries import StoredDelivery
from connector.store.erasure import Found, Ref
from connector.store.tracing import Fact

PAGE = 200
#: Digits of a number that stand in every way of writing it.
_LOCAL_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody by what names them; `phones` and `names` grow with the leads that are found.

    With `by_phone` a number was asked for and no e-mail is known: it names them by itself.
    """

    emails: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    by_phone: bool = False

    def firm_marks(self) -> list[Parts]:
        """Return the marks that need nothing but what was asked for."""
        found: list[Parts] = [("email", email) for email in sorted(self.emails)]
        if self.by_phone:
            found += [("phone", phone) for phone in sorted(self.phones)]
        return found + [marks.of_caller(phone, "") for phone in sorted(self.phones)]

    def all_marks(self) -> list[Parts]:
        """Return every mark a submission of theirs may have."""
        return self.firm_marks() + [
            marks.of_caller(phone, name) for phone in sorted(self.phones) for name in sorted(self.names)
        ]


def person(services: Services, email: str, phone: str) -> Person:
    """Return who is meant, e-mail and number in the form they are stored in.

    Raises:
        HearbackError: one of them cannot be read, or the number belongs to several people.
    """
    settings = services.current().settings
    emails = frozenset(filter(None, [read_email(email)])) if email else frozenset()
    if email and not emails:
        raise HearbackError("the e-mail given is not one: write it like name@company.com")
    number = read_phone(phone, settings.country) if phone else None
    if phone and number is None:
        raise HearbackError("the phone number given is not one: write it with its country, like +49 40 5550100")
    phones = frozenset([number.number]) if number else frozenset()
    if emails:
        return Person(emails, phones)
    with services.store.transaction() as tx:
        named = {fact.email for fact in tracing.leads_of(tx, [], phones)}
        named = (named | _mailed(services, tx, settings, phones)) - {""}
    if len(named) > 1:
        raise HearbackError(f"{len(named)} people with different e-mails share this number: give the e-mail too")
    return Person(frozenset(named), phones, by_phone=not named)


def _mailed(services: Services, tx: Transaction, settings: Settings, phones: Iterable[str]) -> set[str]:
    """Return the e-mails of those a mailing went to under one of these numbers."""
    same = recipients.by_marks(tx, marks.sought(services.vault, [("phone", phone) for phone in phones]))
    rows = recipients.by_ids(tx, same)
    return {person_in(settings, fields_of(services.vault, row)).email for row in rows}


def find(services: Services, tx: Transaction, who: Person, extra: Iterable[UUID]) -> tuple[Person, Found]:
    """Return everything held of a person, and the person with the numbers and names found on the way."""
    facts = [fact for fact in tracing.leads_of(tx, who.emails, who.phones) if _is(who, fact)]
    found = {fact.lead for fact in facts}
    # A lead found by a hash may name a number by which more is found.
    for _ in range(2):
        who = more_of(who, facts)
        known = tracing.by_marks(tx, marks.sought(services.vault, who.all_marks()))
        who = _more_of_what_waits(services, tx, who, known.deliveries)
        facts = tracing.facts(tx, found | known.leads)
        found = {fact.lead for fact in facts}
    who = more_of(who, facts)
    records = tracing.mirrored(tx, who.emails, who.phones, {name.lower() for name in who.names} | {""})
    sent = known.deliveries | frozenset(extra)
    mailed = recipients.by_marks(tx, marks.sought(services.vault, who.all_marks()))
    mailed |= complete(services, tx, found, sent, records).recipients
    # What came by their card says who they are, and may have made somebody else's lead.
    by_card = tracing.by_marks(tx, marks.sought(services.vault, cards_of(tx, mailed))).deliveries
    everything = complete(services, tx, found, sent | by_card, records)
    return who, replace(everything, recipients=everything.recipients | mailed)


def cards_of(tx: Transaction, mailed: Collection[UUID]) -> list[Parts]:
    """Return the marks of the cards that were mailed to these recipients."""
    return [marks.of_card(row.token) for row in recipients.by_ids(tx, mailed)]


def complete(
    services: Services, tx: Transaction, leads: Collection[UUID], sent: Collection[UUID], records: Collection[Ref] = ()
) -> Found:
    """Add what hangs on leads: deliveries, records in CRMs, and the news that speaks of those records."""
    found = tracing.complete(tx, leads, sent, records)
    refs = [marks.of_record(*ref) for ref in sorted(found.records | found.linked)]
    news = tracing.by_marks(tx, marks.sought(services.vault, refs)).deliveries
    return replace(found, deliveries=found.deliveries | news)


def more_of(who: Person, facts: Iterable[Fact]) -> Person:
    """Add the numbers and last names of a person's leads."""
    facts = list(facts)
    return replace(
        who,
        phones=who.phones | {fact.phone for fact in facts if fact.phone},
        names=who.names | {fact.last_name for fact in facts if fact.last_name},
    )


def _more_of_what_waits(services: Services, tx: Transaction, who: Person, sent: Collection[UUID]) -> Person:
    """Add the numbers and last names of deliveries that led to no lead, as those set aside."""
    settings = services.active(tx).settings
    said = [
        Fact(p.id, p.lead.email, p.lead.phone, p.lead.last_name)
        for stored in deliveries.by_ids(tx, tracing.without_lead(tx, sent))
        if stored.sealed is not None and not told.is_news(stored)
        for p in _prepared(services, settings, stored)
    ]
    return more_of(who, [fact for fact in said if fact.email in who.emails])


def _is(who: Person, fact: Fact) -> bool:
    """Tell whether a lead found by number or by an earlier address is theirs: it names no other e-mail for a number."""
    return fact.email in who.emails or not fact.email or fact.phone not in who.phones


def scan(services: Services, who: Person, progress: Callable[[int, int], None]) -> frozenset[UUID]:
    """Read all deliveries of which nobody has noted whom they speak of; return those of this person."""
    found: set[UUID] = set()
    with services.store.transaction() as tx:
        cards = cards_of(tx, recipients.by_marks(tx, marks.sought(services.vault, who.all_marks())))
    wanted = {*who.all_marks(), *cards}
    after, done = UUID(int=0), 0
    while True:
        with services.store.transaction() as tx:
            settings = services.active(tx).settings
            page = tracing.unmarked(tx, after, PAGE)
            stored_page = deliveries.by_ids(tx, page)
        for stored in stored_page:
            if _speaks_of(services, settings, stored, who, wanted):
                found.add(stored.id)
        done += len(page)
        progress(done, done + PAGE if len(page) == PAGE else done)
        if len(page) < PAGE:
            return frozenset(found)
        after = page[-1]


def _speaks_of(
    services: Services, settings: Settings, stored: StoredDelivery, who: Person, wanted: Collection[Parts]
) -> bool:
    try:
        said = _told(services, settings, stored) if told.is_news(stored) else _read(services, settings, stored)
    except (ConnectorError, ConfigurationError, UnreadableDelivery):
        said = []
    if any(mark in wanted for mark in said):
        return True
    return not said and _anywhere(read.open_delivery(services, stored), who)


def _read(services: Services, settings: Settings, stored: StoredDelivery) -> list[Parts]:
    heard = _prepared(services, settings, stored)
    named = [mark for p in heard for mark in marks.of_person(p.lead.email, p.lead.phone, p.lead.last_name)]
    return named + [marks.of_card(p.submission.token) for p in heard if p.submission.token]


def _prepared(services: Services, settings: Settings, stored: StoredDelivery) -> list[Prepared]:
    outcome = read.read(services, settings, stored)
    if isinstance(outcome, Unfetched):
        return []
    return [p for p in (outcome.prepared if isinstance(outcome, Aside) else outcome) if isinstance(p, Prepared)]


def _told(services: Services, settings: Settings, stored: StoredDelivery) -> list[Parts]:
    connection = stored.source.removeprefix(deliveries.CRM_PREFIX)
    if connection not in settings.connections:
        return []
    return told.marks_of(connection, told.events_of(services, settings, stored))


def _anywhere(delivery: Delivery, who: Person) -> bool:
    fetched = (document.encode() for document in delivery.fetched.values())
    return any(_mentions(body, who) for body in (delivery.body, *fetched))


def _mentions(body: bytes, who: Person) -> bool:
    """Tell whether a body nobody can read holds an e-mail or a number of the person, plainly or in a form's code."""
    text = body.decode("utf-8", "replace").casefold()
    digits = "".join(filter(str.isdigit, text))
    texts = (text, unquote_plus(text), text.replace("\\u0040", "@"))
    return any(email in each for email in who.emails for each in texts) or any(
        phone[-_LOCAL_DIGITS:] in digits for phone in who.phones
    )
