"""A CRM that asks for a rest, is down or refuses the credentials rests as a whole: nobody calls it meanwhile."""

from datetime import UTC, datetime

from connector.errors import ConnectorError
from connector.flows.retry import NextStep, RetryPolicy
from connector.services import Services
from connector.store import Transaction, commands

POLICY = RetryPolicy()


def rests(error: ConnectorError) -> bool:
    """Tell an error that is no record's fault."""
    return POLICY.next_step(error, 1)[0] is NextStep.PAUSE


def pause(tx: Transaction, connection: str, error: ConnectorError) -> None:
    """Let a connection rest as long as an error asks for."""
    _, wait = POLICY.next_step(error, 1)
    commands.pause(tx, connection, until=datetime.now(UTC) + wait, reason=str(error))


def pause_for(services: Services, connection: str, error: ConnectorError) -> None:
    """Let a connection rest if an error asks for that."""
    if rests(error):
        with services.store.transaction() as tx:
            pause(tx, connection, error)
