"""What came in, what became of it, and why."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, request, url_for
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response as Redirect

from connector.flows import inspecting, reading
from connector.flows.inspecting import Inspection
from connector.model.console import ConsoleRole
from connector.store import inbox
from connector.store.inbox import NAMED, OUTCOMES, Listed, Wanted
from webhooks.console.guard import requires
from webhooks.console.rendering import page, say
from webhooks.console.sessions import the_account
from webhooks.console.spreadsheets import download
from webhooks.edge import edge
from webhooks.limits import network

routes = Blueprint("intake", __name__)

ROWS = 50
_EXPORTED_AT_ONCE = 1_000
_LONGEST_SEARCH = 320


@routes.get("/intake")
@requires(ConsoleRole.MANAGER)
def listing() -> Response:
    """List deliveries, newest first."""
    wanted, before = _wanted(), _id(request.args.get("before"))
    with edge().services.store.transaction() as tx:
        rows = inbox.page(tx, wanted, before=before, limit=ROWS + 1)
        people = _owners(inbox.owners(tx, _leads(rows[:ROWS])))
        sources = inbox.sources(tx)
    return page(
        "intake.html",
        rows=rows[:ROWS],
        more=rows[ROWS - 1].id if len(rows) > ROWS else None,
        first=before is None,
        owners=people,
        named=NAMED,
        wanted=wanted,
        chosen=_chosen(wanted),
        outcomes=OUTCOMES,
        sources=sources,
    )


@routes.get("/intake.csv")
@requires(ConsoleRole.MANAGER)
def export() -> Response:
    """Send the same list as a file."""
    head = ("receipt", "received", "source", "status", "reason", "size", "verified", "test", "first", "leads", "owners")
    return download("intake", head, _exported(_wanted()))


@routes.post("/intake/search")
@requires(ConsoleRole.MANAGER)
def search() -> Redirect:
    """Go to what was searched for: whom an address belongs to never stands in one of ours."""
    found = reading.find(edge().services, request.form.get("q", "")[:_LONGEST_SEARCH])
    if found is None:
        flash(say("search_nothing"), "warning")
        return redirect(url_for("console.intake.listing"), HTTPStatus.SEE_OTHER)
    kind, found_id = found
    if kind == "lead":
        return redirect(url_for("console.leads.lead", lead_id=found_id), HTTPStatus.SEE_OTHER)
    return redirect(url_for("console.intake.delivery", receipt=found_id), HTTPStatus.SEE_OTHER)


@routes.get("/intake/<uuid:receipt>")
@requires(ConsoleRole.MANAGER)
def delivery(receipt: UUID) -> Response:
    """Show one delivery, its values masked."""
    return _shown(inspecting.inspect(edge().services, receipt), revealed=False)


@routes.post("/intake/<uuid:receipt>/reveal")
@requires(ConsoleRole.ADMIN)
def reveal(receipt: UUID) -> Response:
    """Show one delivery with what its sender wrote; who asked is remembered."""
    return _shown(inspecting.reveal(edge().services, receipt, the_account()), revealed=True)


@routes.post("/intake/<uuid:receipt>/release")
@requires(ConsoleRole.MANAGER)
def release(receipt: UUID) -> Redirect:
    """Send one delivery through again."""
    done = inspecting.release(edge().services, receipt, the_account())
    flash(say("release_done" if done else "release_none"), "success" if done else "warning")
    return redirect(url_for("console.intake.delivery", receipt=receipt), HTTPStatus.SEE_OTHER)


@routes.get("/intake/release")
@requires(ConsoleRole.MANAGER)
def release_listing() -> Response:
    """Show how many deliveries would be released, and why they were set aside."""
    wanted = _wanted()
    with edge().services.store.transaction() as tx:
        groups = inbox.set_aside(tx, wanted)
    return page(
        "release.html",
        groups=groups,
        wanted=wanted,
        total=sum(group.total for group in groups),
        unverified=sum(group.unverified for group in groups),
        until=max((group.newest for group in groups), default=None),
    )


@routes.post("/intake/release")
@requires(ConsoleRole.MANAGER)
def release_all() -> Redirect:
    """Release what was counted; what came since stays where it is."""
    wanted = Wanted("quarantined", request.form.get("source") or None, request.form.get("reason") or None)
    count = inspecting.release_all(edge().services, wanted, _until(), the_account())
    flash(say("released_all", count=count), "success")
    return redirect(url_for("console.intake.listing"), HTTPStatus.SEE_OTHER)


def _wanted() -> Wanted:
    """Read the filters out of the address; what it cannot mean is no filter."""
    outcome = request.args.get("outcome")
    return Wanted(
        outcome if outcome in OUTCOMES else None, request.args.get("source") or None, request.args.get("reason") or None
    )


def _chosen(wanted: Wanted) -> dict[str, str]:
    given = {"outcome": wanted.outcome, "source": wanted.source, "reason": wanted.reason}
    return {name: value for name, value in given.items() if value}


def _id(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _until() -> datetime:
    try:
        until = datetime.fromisoformat(request.form.get("until", ""))
    except ValueError as err:
        raise BadRequest("until is no instant") from err
    if until.tzinfo is None:
        raise BadRequest("until has no offset")
    return until


def _leads(rows: Iterable[Listed]) -> list[UUID]:
    return [lead for row in rows for lead in row.leads]


def _owners(owners: Mapping[UUID, str | None]) -> dict[UUID, str]:
    """Name the owner of each lead, "" while it has none."""
    people = edge().services.current().settings.people
    return {lead: (people[key].name if key in people else key) if key else "" for lead, key in owners.items()}


def _exported(wanted: Wanted) -> Iterator[tuple[object, ...]]:
    services, before = edge().services, None
    while True:
        with services.store.transaction() as tx:
            rows = inbox.page(tx, wanted, before=before, limit=_EXPORTED_AT_ONCE)
            people = _owners(inbox.owners(tx, _leads(rows)))
        for row in rows:
            yield _exported_row(row, people)
        if len(rows) < _EXPORTED_AT_ONCE:
            return
        before = rows[-1].id


def _exported_row(row: Listed, people: Mapping[UUID, str]) -> tuple[object, ...]:
    leads = row.leads[:NAMED]
    more = ["..."] if len(row.leads) > NAMED else []
    return (
        row.id,
        row.received_at.isoformat(),
        row.source,
        row.outcome,
        row.reason,
        row.size,
        row.verified,
        "yes" if row.is_test else "",
        row.first,
        "; ".join([*map(str, leads), *more]),
        "; ".join(dict.fromkeys(filter(None, (people.get(lead) for lead in leads)))),
    )


def _shown(found: Inspection | None, *, revealed: bool) -> Response:
    if found is None:
        raise NotFound("no delivery has this id")
    row = found.row
    return page(
        "delivery.html",
        found=found,
        row=row,
        outcome=row.fate or row.state,
        revealed=revealed,
        releasable=row.state == "quarantined" or row.fate == "rejected",
        network=network(found.remote_ip),
        verified=row.verified.partition(":")[0],
        step=row.verified.partition(":")[2],
    )
