"""Leads join campaigns: one call for a batch, after the leads are written."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from connector.adapters.http import WireError
from connector.adapters.salesforce.client import SalesforceClient, soql
from connector.adapters.salesforce.errors import refusal
from connector.errors import ConnectorError, OutcomeUnknown, TransientError
from connector.model.crm import ObjectType, Upsert, WriteResult

log = logging.getLogger(__name__)

_ID_LENGTHS = (15, 18)


def join(
    client: SalesforceClient, commands: Sequence[Upsert], answers: Sequence[WriteResult | ConnectorError]
) -> list[WriteResult | ConnectorError]:
    """Make written leads members of their campaigns; being one already is no error.

    What may work later has the lead's command sent again, which changes nothing but that. A membership Salesforce
    refuses for good is logged: a wrong campaign is no reason to lose a lead, and `crm check` names it.
    """
    final = list(answers)
    wanted: dict[tuple[str, str], list[int]] = {}
    for place, (command, answer) in enumerate(zip(commands, answers, strict=True)):
        if command.campaign and isinstance(answer, WriteResult):
            wanted.setdefault((command.campaign, answer.ref.id), []).append(place)
    if not wanted:
        return final
    bodies = [_member(campaign, answers[places[0]]) for (campaign, _), places in wanted.items()]
    try:
        results = client.collection("POST", "composite/sobjects", bodies)
    except ConnectorError as err:
        later = _later(err)
        for places in wanted.values():
            for place in places:
                final[place] = later
        return final
    for places, result in zip(wanted.values(), results, strict=True):
        error = _error(result)
        for place in places if error else ():
            final[place] = error or final[place]
    return final


def unknown(client: SalesforceClient, ids: Sequence[str]) -> list[str]:
    """Return which of these are no campaigns."""
    asked = [id_ for id_ in ids if len(id_) in _ID_LENGTHS and id_.isalnum()]
    found = client.query(soql("SELECT Id FROM Campaign WHERE Id IN {}", asked)) if asked else ()
    known = {str(row.get("Id"))[: _ID_LENGTHS[0]] for row in found}
    return [id_ for id_ in ids if id_ not in asked or id_[: _ID_LENGTHS[0]] not in known]


def _member(campaign: str, answer: WriteResult | ConnectorError) -> dict[str, Any]:
    assert isinstance(answer, WriteResult)
    link = "ContactId" if answer.ref.object_type is ObjectType.CONTACT else "LeadId"
    return {"attributes": {"type": "CampaignMember"}, "CampaignId": campaign, link: answer.ref.id}


def _later(err: ConnectorError) -> ConnectorError:
    if not isinstance(err, OutcomeUnknown):
        return err
    error = TransientError("CampaignMember: no clear answer, and joining twice is harmless")
    error.__cause__ = WireError("no answer")
    return error


def _error(result: Mapping[str, Any]) -> ConnectorError | None:
    """Return what is worth another attempt, if anything."""
    if result.get("success") is True:
        return None
    errors = result.get("errors")
    told = refusal(errors[0]) if isinstance(errors, list) and errors and isinstance(errors[0], dict) else refusal({})
    if told.code == "DUPLICATE_VALUE":
        return None
    error = told.error(call="CampaignMember")
    if isinstance(error, TransientError | OutcomeUnknown):
        return _later(error)
    log.warning("lead joined no campaign", extra={"code": told.code})
    return None
