"""`hearback migrate` and `serve`."""

import os

import click

from connector import logs, supervisor
from connector.cli.options import at_least_one, host_option, port_option
from connector.publishing import config_folder
from connector.store import embedded, migrations


@click.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    url = embedded.database_url(owner=True)
    click.echo(f"The database is at revision {migrations.apply(url)}.")


@click.command()
@host_option
@port_option
@click.option("--workers", type=at_least_one, default=2, show_default=True, help="Worker processes.")
def serve(host: str, port: int, workers: int) -> None:
    """Run everything on this machine."""
    logs.configure(os.environ)
    layout = supervisor.Layout(host=host, port=port, workers=workers)
    supervisor.run(layout, config_folder(), ready=lambda: click.echo(f"Hearback listens on http://{host}:{port}"))
