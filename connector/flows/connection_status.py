"""How the connections are doing, for people: mode, pause, budget, backlog, feed and mirror."""

from collections.abc import Mapping
from dataclasses import dataclass

from connector.errors import HearbackError
from connector.services import Services
from connector.settings.values import Connection, Mode, Settings
from connector.store import Transaction, calls, connections, crm_leads
from connector.store.connections import ConnectionState, Waiting


@dataclass(frozen=True, slots=True)
class Status:
    """One connection. `mirror` counts records by type, `open_leads` those of the CRM's own, by person.

    Both are empty where nobody asked for them: counting takes long.
    """

    connection: str
    adapter: str
    mode: str
    state: ConnectionState
    waiting: Waiting
    calls_today: Mapping[str, int]
    mirror: Mapping[str, int]
    open_leads: Mapping[str, int]

    @property
    def condition(self) -> str:
        """Return `observed`, `paused` by a person, `resting` as the CRM asked for it, or `writing`."""
        pause = self.state.pause
        if pause is not None:
            return "resting" if pause.until else "paused"
        return "observed" if self.mode == Mode.OBSERVE else "writing"


def configured(settings: Settings, name: str) -> Connection:
    """Return a connection by its key.

    Raises:
        HearbackError: there is none of that name.
    """
    if name not in settings.connections:
        known = ", ".join(sorted(settings.connections)) or "none"
        raise HearbackError(f"no connection is called '{name}': hearback.yaml has {known}")
    return settings.connections[name]


def status(services: Services, name: str = "", *, counted: bool = True) -> list[Status]:
    """Return how one connection is doing, or all of them; `counted`: with what the mirror holds."""
    settings = services.current().settings
    wanted = [configured(settings, name)] if name else list(settings.connections.values())
    with services.store.transaction() as tx:
        return [_status(tx, each, counted=counted) for each in wanted]


def _status(tx: Transaction, connection: Connection, *, counted: bool) -> Status:
    key = connection.key
    return Status(
        key,
        connection.adapter,
        str(connection.mode),
        connections.state(tx, key),
        connections.waiting(tx, key),
        calls.today(tx, key),
        connections.mirrored(tx, key) if counted else {},
        crm_leads.counts(tx, key) if counted else {},
    )
