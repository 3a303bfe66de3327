"""What a new owner of a lead is given: instants on their own calendar, counted from the assignment (R23)."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from connector.errors import NoWorkingTime
from connector.flows.staff import absences_of, calendar_of
from connector.routing.response import Promise, State, next_at
from connector.settings.values import Mode, Settings
from connector.store.responses import ResponseRow
from connector.worktime import add_work

log = logging.getLogger(__name__)

_HUNDRED = 100


def offer(
    settings: Settings, lead: UUID, assign_seq: int, owner: str, at: datetime, connection: str | None
) -> ResponseRow | None:
    """Return what the owner of a lead is given at an aware instant; None where nobody watches responses.

    Nobody does where a connection is only observed: its people do not learn of the lead.
    """
    response = settings.response
    if response is None or is_observed(settings, connection):
        return None

    def due(minutes: float) -> datetime:
        return _due(settings, owner, at, timedelta(minutes=minutes))

    row = ResponseRow(
        lead_id=lead,
        assign_seq=assign_seq,
        owner=owner,
        earlier=(),
        state=State.OFFERED,
        verdict="",
        pinned=False,
        moves=0,
        max_moves=response.max_moves,
        offered_at=at,
        accept_due=due(response.accept_due) if response.accept_due else None,
        touch_due=due(response.due),
        reminders=tuple(due(response.due * percent / _HUNDRED) for percent in response.remind_at),
        reminded=0,
        breached_at=None,
        touched_at=None,
        next_at=None,
    )
    return replace(row, next_at=next_at(promise(row)))


def is_observed(settings: Settings, connection: str | None) -> bool:
    """Tell a connection that is not written to."""
    configured = settings.connections.get(connection or "")
    return configured is not None and configured.mode is Mode.OBSERVE


def promise(row: ResponseRow) -> Promise:
    """Return what a stored row promises, for pure code."""
    return Promise(
        State(row.state), row.touch_due, row.accept_due, tuple(row.reminders), row.reminded, row.breached_at is not None
    )


def follow(row: ResponseRow, before: ResponseRow, *, pinned: bool) -> ResponseRow:
    """Return an offer as it follows on an earlier one of the same lead, whose limit of moves stays."""
    earlier = tuple(dict.fromkeys((*before.earlier, before.owner)))
    return replace(row, earlier=earlier, moves=before.moves + 1, max_moves=before.max_moves, pinned=pinned)


def _due(settings: Settings, owner: str, at: datetime, work: timedelta) -> datetime:
    try:
        return add_work(at, work, calendar_of(settings, owner), absences_of(settings, owner))
    except NoWorkingTime as err:
        # A lead must not fail to be assigned because of a calendar.
        log.warning("counted without a calendar", extra={"person": owner, "why": str(err)})
        return at + work
