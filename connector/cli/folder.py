"""The configuration folder as a command needs it: valid, or all its mistakes."""

from collections.abc import Iterable

import click

from connector import publishing
from connector.errors import ConfigurationError
from connector.settings import Complaint, Loaded
from connector.settings.complaints import Severity


def valid() -> Loaded:
    """Return the folder's content; a broken folder ends the command with all its complaints."""
    folder = publishing.config_folder()
    loaded = publishing.read(folder)
    if loaded.settings is None:
        tell(loaded.complaints)
        raise ConfigurationError(f"{folder} has {len(loaded.complaints)} mistakes: correct these first")
    return loaded


def tell(found: Iterable[Complaint]) -> None:
    """Print complaints, a line each."""
    for each in found:
        prefix = "warning: " if each.severity is Severity.WARNING else ""
        click.echo(f"{prefix}{each}")
