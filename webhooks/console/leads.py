"""Who owns this person, and why."""

from uuid import UUID

from flask import Blueprint, Response
from werkzeug.exceptions import NotFound

from connector.flows import reading
from connector.model.console import ConsoleRole
from connector.store import inbox
from webhooks.console.guard import requires
from webhooks.console.rendering import page
from webhooks.edge import edge

routes = Blueprint("leads", __name__)

_SUBMISSIONS = 50


@routes.get("/leads/<uuid:lead_id>")
@requires(ConsoleRole.MANAGER)
def lead(lead_id: UUID) -> Response:
    """Show a lead: its owner, why, and what came in for it."""
    services = edge().services
    found = reading.lead(services, lead_id)
    if found is None:
        raise NotFound("no lead has this id")
    with services.store.transaction() as tx:
        submissions = inbox.submissions(tx, lead_id, _SUBMISSIONS)
    owner = services.current().settings.people.get(found.lead.owner or "")
    return page(
        "lead.html",
        # The sentence was written for the owner.
        told_in=owner.languages[0] if owner and owner.languages else "en",
        found=found,
        lead=found.lead,
        decisions=reversed(reading.decisions_of(services, lead_id)),
        submissions=submissions,
    )
