"""Leads that were born in a CRM: those that are open count for the caps of their owners, as ours do."""

from collections.abc import Iterable
from datetime import timedelta

from connector.flows import held
from connector.services import Services
from connector.settings.values import Settings
from connector.store import Transaction, crm_leads, sync
from connector.store.crm_leads import User

#: Whatever else changes a count (a lead of ours that ends, people.csv) is seen after so long.
FRESH = timedelta(hours=1)
BATCH = 50


def users_of(settings: Settings) -> list[User]:
    """Return who of our people is which user; of two with the same one the first, as everywhere."""
    found: dict[tuple[str, str], User] = {}
    for key, person in settings.people.items():
        for connection, user in person.users.items():
            if connection in settings.connections:
                found.setdefault((connection, user), User(connection, user, key))
    return list(found.values())


def recount(services: Services, tx: Transaction, touched: Iterable[tuple[str, str]]) -> None:
    """Count anew the open leads of users, given as (connection, user), whose leads changed; the last of a transaction.

    While the change feed is read for the first time nobody is counted: everybody is at its end.
    """
    named = {(connection, user) for connection, user in touched if user}
    if not named:
        return
    loaded = {connection for connection in {each for each, _ in named} if sync.is_caught_up(tx, connection)}
    users = users_of(services.active(tx).settings)
    wanted = [each for each in users if (each.connection, each.user) in named and each.connection in loaded]
    if crm_leads.recount(tx, wanted):
        held.announce(services, tx)


def recount_all(services: Services, tx: Transaction, connection: str) -> None:
    """Count the open leads of everybody in a connection."""
    users = [each for each in users_of(services.active(tx).settings) if each.connection == connection]
    if crm_leads.recount(tx, users):
        held.announce(services, tx)


def work(services: Services) -> None:
    """Count those who were not counted lately, some at a time."""
    with services.store.transaction() as tx:
        users = users_of(services.active(tx).settings)
        stale = crm_leads.stale(tx, users, FRESH, BATCH)
        fewer = crm_leads.recount(tx, stale)
        if crm_leads.keep_only(tx, users) or fewer:
            held.announce(services, tx)
