"""Attainment, shown to the rep as a sales goal of theirs.

Users of BottleCRM have no custom fields, and a goal has no field for what was attained: it counts won deals by
itself, whole and at once. So the name of the goal says what we counted, and its target is ours. The rep sees it under
Goals beside the CRM's own count.
"""

import re
from collections.abc import Mapping

from connector.adapters.bottlecrm.client import BottleCrmClient, Listing, dumps
from connector.errors import InvalidRecord, UnexpectedAnswer
from connector.model.crm import Outcome, RecordRef, Value, WriteResult

GOALS = Listing("/api/opportunities/goals/", ((),), (("goals", "goals_count"),))
_START = "Hearback "
_FIELDS = ("period", "numerator", "denominator", "currency", "provisional", "as_of")
_NAME = re.compile(
    r"Hearback (?P<period>\S+): (?P<numerator>\S+) of (?P<denominator>\S+) (?P<currency>\S+), "
    r"provisional (?P<provisional>\S+), as of (?P<as_of>\S+)"
)


def write(client: BottleCrmClient, record: RecordRef, fields: Mapping[str, Value]) -> WriteResult:
    """Put a rep's attainment on their goal of the period; make the goal if there is none.

    Raises:
        InvalidRecord: other fields of a user, which are the admin's.
        ConnectorError: it was not written, or nobody knows.
    """
    said = {name.removeprefix("attainment_"): str(value) for name, value in fields.items()}
    if set(said) != set(_FIELDS):
        raise InvalidRecord("of a user BottleCRM takes attainment alone, and whole", fields=sorted(fields))
    goal = _of_period(client, record.id, said["period"])
    start, _, end = said["period"].partition("/")
    body = dumps(
        {
            "name": _named(said),
            "goal_type": "REVENUE",
            "target_value": said["denominator"],
            "currency": said["currency"],
            "period_type": "CUSTOM",
            "period_start": start,
            "period_end": end,
            "assigned_to": record.id,
        }
    )
    if goal:
        client.send("PUT", f"{GOALS.path}{goal}/", body)
    else:
        client.send("POST", GOALS.path, body)
    return WriteResult(record, Outcome.UPDATED)


def read(client: BottleCrmClient, profile: str) -> Mapping[str, Value]:
    """Return the attainment last written for a rep, of the newest period."""
    said = [found.groupdict() for name in _names(client, profile) if (found := _NAME.fullmatch(name))]
    newest = max(said, key=lambda each: each["as_of"], default={})
    return {f"attainment_{name}": value for name, value in newest.items()}


def _named(said: Mapping[str, str]) -> str:
    return (
        f"{_START}{said['period']}: {said['numerator']} of {said['denominator']} {said['currency']}, "
        f"provisional {said['provisional']}, as of {said['as_of']}"
    )


def _of_period(client: BottleCrmClient, profile: str, period: str) -> str:
    start = f"{_START}{period}:"
    rows = client.rows(GOALS, {"assigned_to": profile, "search": start})
    found = sorted(str(row["id"]) for row in rows if str(row.get("name", "")).startswith(start))
    return found[0] if found else ""


def _names(client: BottleCrmClient, profile: str) -> list[str]:
    rows = client.rows(GOALS, {"assigned_to": profile, "search": _START})
    try:
        return [str(row["name"]) for row in rows]
    except KeyError:
        pass
    raise UnexpectedAnswer("goals: a goal without a name")
