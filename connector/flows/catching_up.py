"""Read a CRM's change feed until there is nothing more, then what was only named: `hearback crm sync`."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from connector.adapters import metering
from connector.adapters.base import Capability
from connector.errors import AuthenticationError, ConnectorError, HearbackError
from connector.flows import calls, rereading, rest, sync
from connector.services import Services
from connector.store import connections, crm_leads, rereads
from connector.store import sync as cursors
from connector.store.connections import Pause

#: A rest this short is waited for.
PATIENCE = timedelta(minutes=10)


@dataclass(slots=True)
class Progress:
    """What was read so far: pages, records by type, and records read again by their ids."""

    pages: int = 0
    records: Counter[str] = field(default_factory=Counter)
    reread: int = 0


@dataclass(frozen=True, slots=True)
class Mirror:
    """What the mirror holds of a connection: records by type, open leads of the CRM's own by person."""

    records: Mapping[str, int]
    open_leads: Mapping[str, int]
    rereads: int


T = TypeVar("T")
Tell = Callable[[Progress], None]
Wait = Callable[[Pause], None]


def sleep(pause: Pause) -> None:
    """Wait until a pause is over."""
    if pause.until is not None:
        time.sleep(max(0.0, (pause.until - datetime.now(UTC)).total_seconds()) + 0.1)


def catch_up(
    services: Services, connection: str, *, from_start: bool = False, tell: Tell, wait: Wait = sleep
) -> Progress:
    """Read everything there is to read, from where it was left; interrupted, it goes on from the last page.

    Raises:
        HearbackError: it is paused by a person or for longer than `PATIENCE`, or this kind of CRM has no change feed.
        ConnectorError: the credentials are refused, or the CRM's answer cannot be read.
    """
    _check_readable(services, connection)
    if from_start:
        with services.store.transaction() as tx:
            cursors.start_over(tx, connection)
    done, more = Progress(), True
    while more:
        page = _patiently(services, connection, wait, lambda: sync.read_page(services, connection))
        more = page.more
        done.pages += 1
        done.records.update(page.told)
        tell(done)
    with services.store.transaction() as tx:
        rereads.hurry(tx, connection)
    while answered := _patiently(services, connection, wait, lambda: _read_again(services, connection)):
        done.reread += answered
        tell(done)
    return done


def _read_again(services: Services, connection: str) -> int:
    """Read a batch of records that were only named; one that ran into a rest counts as none."""
    answered = rereading.work(services, connection)
    if not answered and _pause_of(services, connection):
        raise Rested
    return answered


class Rested(HearbackError):
    """The CRM asked for a rest meanwhile."""


def count(services: Services, connection: str, tell: Tell) -> Progress:
    """Read the feed from where it was left and count what it tells; nothing is stored.

    Raises:
        HearbackError: as for `catch_up`.
        ConnectorError: the CRM did not answer.
    """
    _check_readable(services, connection)
    adapter = services.adapter(services.current().settings, connection)
    with services.store.transaction() as tx:
        cursor = cursors.cursor(tx, connection)
    done = Progress()
    while True:
        with metering.calling_for("poll"):
            changes, following = adapter.changes_since(cursor)
        done.pages += 1
        done.records.update(str(event.ref.object_type) for event in changes)
        tell(done)
        if following == cursor:
            return done
        cursor = following


def mirror_of(services: Services, connection: str) -> Mirror:
    """Return what the mirror holds now."""
    with services.store.transaction() as tx:
        records = connections.mirrored(tx, connection)
        return Mirror(records, crm_leads.counts(tx, connection), connections.waiting(tx, connection).rereads)


def _check_readable(services: Services, connection: str) -> None:
    settings = services.current().settings
    if Capability.CHANGE_FEED not in services.adapter(settings, connection).capabilities:
        raise HearbackError(f"{connection}: this kind of CRM has no change feed to read")


def _patiently(services: Services, connection: str, wait: Wait, read: Callable[[], T]) -> T:
    """Read, waiting out the rests a CRM asks for."""
    while True:
        _wait_out(services, connection, wait)
        try:
            return read()
        except Rested:
            continue
        except ConnectorError as err:
            if isinstance(err, AuthenticationError) or not rest.rests(err):
                raise
        finally:
            calls.flush(services)


def _wait_out(services: Services, connection: str, wait: Wait) -> None:
    while pause := _pause_of(services, connection):
        if pause.until is None:
            raise HearbackError(
                f"{connection} is paused ({pause.reason}): run `hearback crm resume {connection}` first"
            )
        if pause.until - datetime.now(UTC) > PATIENCE:
            raise HearbackError(
                f"{connection} rests until {pause.until:%Y-%m-%d %H:%M} UTC ({pause.reason}): run it again after that"
            )
        wait(pause)


def _pause_of(services: Services, connection: str) -> Pause | None:
    with services.store.transaction() as tx:
        return connections.state(tx, connection).pause
