"""Catching up after a leave, where a pool wants it: half as many again until what was missed is made up for.

While somebody is on leave their grant grows by the share they would have had, up to `GRANT_MAX`; it lapses
`LAPSES` after the last lead they missed. Nobody is flooded: the ledger's balances stay what they are.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from connector.model.routing import Member
from connector.routing.book import Grant, Standing
from connector.routing.ledger import TURN, shares

GRANT_MAX = 20 * TURN
LAPSES = timedelta(days=30)

#: The percentage of somebody's weight that counts once they are no longer new.
WHOLE = 100

#: Weights of those who catch up and of the others: half as much again.
BOOSTED, PLAIN = 3, 2


def weights(members: Sequence[Member], standings: Mapping[str, Standing]) -> dict[str, int]:
    """Return the weights that count: less of the weight of those who are new."""
    if not [row for row in standings.values() if row.presence.percent != WHOLE]:
        return {member.person: member.weight for member in members}
    return {member.person: max(1, member.weight * standings[member.person].presence.percent) for member in members}


def boosted(plain: Mapping[str, int], standings: Mapping[str, Standing], at: datetime) -> dict[str, int]:
    """Return the weights while somebody catches up; the same ones when nobody does."""
    catching_up = {person for person in plain if _left(standings[person].grant, at)}
    if not catching_up:
        return dict(plain)
    return {person: weight * (BOOSTED if person in catching_up else PLAIN) for person, weight in plain.items()}


def used(
    plain: Mapping[str, int], given: Mapping[str, int], standings: Mapping[str, Standing], at: datetime
) -> dict[str, Grant]:
    """Return the grants of those who caught up a little: less by what they got beyond their plain share.

    `given` are the shares as credited, by person.
    """
    fair = _shares(plain)
    return {
        person: Grant(max(0, units - max(0, given[person] - fair[person])), standings[person].grant.until)
        for person in plain
        if (units := _left(standings[person].grant, at))
    }


def earned(
    present: Mapping[str, int], away: Mapping[str, int], standings: Mapping[str, Standing], at: datetime
) -> dict[str, Grant]:
    """Return the grants of those on leave: more by the share they would have had."""
    fair = _shares({**present, **away})
    until = (at + LAPSES).isoformat()
    return {
        person: Grant(min(GRANT_MAX, _left(standings[person].grant, at) + fair[person]), until)
        for person in sorted(away)
    }


def _left(grant: Grant, at: datetime) -> int:
    return grant.units if grant.until and at < datetime.fromisoformat(grant.until) else 0


def _shares(weights: Mapping[str, int]) -> dict[str, int]:
    people = sorted(weights)
    return dict(zip(people, shares([weights[person] for person in people]), strict=True))
